// rooms: kernel
// The reader of model files, and what makes packed models of them, on any bytes: a graph or mmt::Error, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel/mnn_file.h"
#include "mmt/error.h"
#include "mmt/packed_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> image((size + 7) / 8);  // Files are read into aligned memory.
  if (size > 0) std::memcpy(image.data(), data, size);
  try {
    const auto packed = mmt::packed_model({reinterpret_cast<const char*>(image.data()), size});
    if (packed.has_value()) {
      std::vector<std::uint64_t> copy((packed->size() + 7) / 8);
      std::memcpy(copy.data(), packed->data(), packed->size());
      mmt::mnn::parse_graph(reinterpret_cast<const std::uint8_t*>(copy.data()), packed->size(), "fuzz");
    }
  } catch (const mmt::Error&) {
    // The answer to a damaged file.
  }
  return 0;
}
