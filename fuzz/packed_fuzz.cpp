// rooms: table
// Packed operators of a latency table, from any bytes: a row and its kernels, or mmt::Error, nothing else.
#include <cstddef>
#include <cstdint>

#include "mmt/error.h"
#include "table/packed.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    mmt::table::KernelRows kernels;
    const mmt::OperatorRow row = mmt::table::unpack({data, size}, &kernels);
    mmt::table::KernelRows again;
    const std::string bytes = mmt::table::pack(row, kernels);
    mmt::table::unpack({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()}, &again);
    if (mmt::table::pack(row, again) != bytes) __builtin_trap();  // What was read can be written and read again.
  } catch (const mmt::Error&) {
    // The answer to damaged bytes.
  }
  return 0;
}
