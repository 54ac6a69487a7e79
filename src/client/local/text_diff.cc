#include "client/local/text_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/text.h"

namespace runink::local {
namespace {

// Beyond this many cells a common subsequence is not looked for: everything between the equal ends is then replaced.
constexpr size_t kMaxCells = 4'000'000;

using Lines = std::vector<std::string_view>;

Lines lines_of(std::string_view text) {
  Lines lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

struct Edit {
  char sign;  // ' ', '-' or '+'
  size_t before, after;
};

// Edits of the part between the equal ends, by a longest common subsequence where that is affordable.
void middle_edits(const Lines& a, const Lines& b, size_t head, size_t a_end, size_t b_end, std::vector<Edit>* out) {
  const size_t n = a_end - head, m = b_end - head;
  std::vector<uint32_t> longest;
  if ((n + 1) * (m + 1) <= kMaxCells) {
    longest.assign((n + 1) * (m + 1), 0);
    for (size_t i = n; i-- > 0;) {
      for (size_t j = m; j-- > 0;) {
        longest[i * (m + 1) + j] = a[head + i] == b[head + j]
                                       ? longest[(i + 1) * (m + 1) + j + 1] + 1
                                       : std::max(longest[(i + 1) * (m + 1) + j], longest[i * (m + 1) + j + 1]);
      }
    }
  }
  size_t i = 0, j = 0;
  while (i < n || j < m) {
    if (!longest.empty() && i < n && j < m && a[head + i] == b[head + j]) {
      out->push_back({' ', head + i++, head + j++});
    } else if (i < n && (longest.empty() || j == m || longest[(i + 1) * (m + 1) + j] >= longest[i * (m + 1) + j + 1])) {
      out->push_back({'-', head + i++, head + j});
    } else {
      out->push_back({'+', head + i, head + j++});
    }
  }
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after, const DiffOptions& options) {
  const Lines a = lines_of(before), b = lines_of(after);
  size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  if (head == a.size() && head == b.size()) return "";
  size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;

  std::vector<Edit> edits;
  for (size_t i = head - std::min(head, options.context); i < head; ++i) edits.push_back({' ', i, i});
  middle_edits(a, b, head, a.size() - tail, b.size() - tail, &edits);
  for (size_t i = 0; i < std::min(tail, options.context); ++i) {
    edits.push_back({' ', a.size() - tail + i, b.size() - tail + i});
  }

  std::string out = fmt::format("--- {}\n+++ {}\n", escape_control(options.before_name), escape_control(options.after_name));
  size_t shown = 0, left_out = 0;
  for (size_t begin = 0; begin < edits.size();) {
    // A hunk: from here to where more than twice the context is equal.
    while (begin < edits.size() && edits[begin].sign == ' ' &&
           std::all_of(edits.begin() + static_cast<std::ptrdiff_t>(begin),
                       edits.begin() + static_cast<std::ptrdiff_t>(std::min(begin + options.context + 1, edits.size())),
                       [](const Edit& e) { return e.sign == ' '; })) {
      ++begin;
    }
    if (begin == edits.size()) break;
    size_t end = begin, equal = 0;
    while (end < edits.size() && equal <= 2 * options.context) {
      equal = edits[end].sign == ' ' ? equal + 1 : 0;
      ++end;
    }
    if (equal > options.context) end -= equal - options.context;
    size_t in_a = 0, in_b = 0;
    for (size_t k = begin; k < end; ++k) {
      in_a += edits[k].sign != '+';
      in_b += edits[k].sign != '-';
    }
    if (shown < options.max_lines) {
      out += fmt::format("@@ -{},{} +{},{} @@\n", edits[begin].before + (in_a > 0 ? 1 : 0), in_a,
                         edits[begin].after + (in_b > 0 ? 1 : 0), in_b);
    }
    for (size_t k = begin; k < end; ++k) {
      if (shown >= options.max_lines) {
        ++left_out;
        continue;
      }
      ++shown;
      out += edits[k].sign;
      out += escape_control(edits[k].sign == '+' ? b[edits[k].after] : a[edits[k].before]);
      out += '\n';
    }
    begin = end;
  }
  if (left_out > 0) out += fmt::format("… and {} more lines\n", human_count(left_out));
  return out;
}

}  // namespace runink::local
