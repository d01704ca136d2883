#include <algorithm>
#include <numeric>
#include <utility>

#include "mmt/space.h"
#include "space/rules.h"

namespace mmt {
namespace {

/// Letters to insert, delete, replace or swap with their neighbour to get from one word to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), current(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({replace, last[j] + 1, current[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongestWord = 100;  // Beyond, nobody mistyped a name.
  if (word.empty() || word.size() > kLongestWord) return "";
  const std::string wanted = lower(word);
  std::string best;
  // Letters count more than their case: conv2d means Conv2d, and of Net and net the latter is nearer to nett.
  std::pair<std::size_t, std::size_t> best_distance{std::max<std::size_t>(1, word.size() / 3) + 1, 0};
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongestWord) continue;
    const std::pair distance{edit_distance(wanted, lower(candidate)), edit_distance(word, candidate)};
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::vector<std::string> space_reserved_keys() {
  std::vector<std::string> names;
  for (const space::KeyRule& rule : space::key_rules()) names.emplace_back(rule.name);
  return names;
}

}  // namespace mmt
