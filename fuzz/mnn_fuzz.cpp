// rooms: kernel
// The reader of model files, on any bytes: a graph or mmt::Error, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel/mnn_file.h"
#include "mmt/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> image((size + 7) / 8);  // Files are read into aligned memory.
  if (size > 0) std::memcpy(image.data(), data, size);
  try {
    mmt::mnn::parse_graph(reinterpret_cast<const std::uint8_t*>(image.data()), size, "fuzz");
  } catch (const mmt::Error&) {
    // The answer to a damaged file.
  }
  return 0;
}
