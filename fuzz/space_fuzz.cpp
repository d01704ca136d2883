// rooms: space
// The parser of operator spaces, on any bytes: a space or mmt::Error, nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mmt/error.h"
#include "mmt/space.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const mmt::Space space = mmt::parse_space(text, "fuzz");
    mmt::Enumerator enumerator(space);
    mmt::OperatorSpec spec;
    for (int i = 0; i < 1000 && enumerator.next(spec); ++i) {
    }
  } catch (const mmt::Error&) {
    // The answer to a bad file.
  }
  try {
    mmt::parse_keywords(text, "module", "Class", "fuzz");
  } catch (const mmt::Error&) {
    // The answer to bad keywords.
  }
  return 0;
}
