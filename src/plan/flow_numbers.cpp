#include "plan/flow_numbers.h"

#include <charconv>
#include <system_error>

namespace mmt {

FlowNumbers FlowNumbers::parse(const std::string& text) {
  FlowNumbers numbers;
  const char *at = text.data(), *end = text.data() + text.size();
  bool writing = false;
  while (at < end) {
    int number = -1;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc()) {
      if (writing) {
        numbers.writes.push_back(number);
      } else {
        numbers.reads.push_back(number);
        numbers.copied_from.push_back(-1);
      }
      at = next;
      if (!writing && at < end && *at == '=') at = std::from_chars(at + 1, end, numbers.copied_from.back()).ptr;
    }
    if (at == end) break;
    writing = writing || *at == '>';
    ++at;
  }
  return numbers;
}

}  // namespace mmt
