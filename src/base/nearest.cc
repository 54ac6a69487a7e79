#include "base/nearest.h"

#include <algorithm>

#include "base/text.h"

namespace runink {

size_t edit_distance(std::string_view a_raw, std::string_view b_raw) {
  const std::string a = to_lower_ascii(a_raw.substr(0, 400)), b = to_lower_ascii(b_raw.substr(0, 400));
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::vector<std::string> nearest_any(std::string_view word, const std::vector<std::string>& candidates, size_t count) {
  std::vector<std::pair<size_t, const std::string*>> ranked;
  for (const auto& c : candidates) ranked.emplace_back(edit_distance(word, c), &c);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  std::vector<std::string> out;
  for (const auto& [distance, text] : ranked) {
    if (out.size() == count) break;
    if (std::find(out.begin(), out.end(), *text) == out.end()) out.push_back(*text);
  }
  return out;
}

std::vector<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates, size_t count) {
  std::vector<std::string> out;
  for (auto& c : nearest_any(word, candidates, count)) {
    const size_t longer = std::max(word.size(), c.size());
    const bool prefix = word.size() >= 3 && (starts_with_ignore_case(c, word) || starts_with_ignore_case(word, c));
    if (prefix || edit_distance(word, c) <= std::max<size_t>(1, longer / 3)) out.push_back(std::move(c));
  }
  return out;
}

}  // namespace runink
