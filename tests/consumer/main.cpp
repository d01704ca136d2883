// Uses the installed package from outside: a space is parsed and counted, and an error arrives as mmt::Error.
#include <mmt/error.h>
#include <mmt/hash.h>
#include <mmt/space.h>
#include <mmt/table.h>

#include <cstdio>

int main() {
  const char* text =
      "torch.nn:\n"
      "  Conv2d:\n"
      "    in_channels: [8, 16]\n"
      "    kernel_size: [1, 3, 5]\n"
      "    input_shape: [[1, 8, 4, 4], [1, 16, 4, 4]]\n";
  const mmt::Space space = mmt::parse_space(text, "inline");
  mmt::Enumerator operators(space);
  mmt::OperatorSpec spec;
  unsigned long long seen = 0;
  while (operators.next(spec)) ++seen;
  if (seen != 6 || space.count() != 6) {
    std::printf("expected 6 operators, got %llu\n", seen);
    return 1;
  }
  try {
    mmt::LatencyTable::open("/nonexistent/mmt/folder");
    std::puts("opening a table that does not exist did not fail");
    return 1;
  } catch (const mmt::Error& error) {
    std::printf("%llu operators, %s; %s\n", seen, mmt::identity_hex(spec.parameters_json).c_str(), error.what());
  }
  return 0;
}
