// Rules of texts: members and patterns.
#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <unordered_set>

#include "base/text.h"
#include "data/expr/class_pattern.h"
#include "data/expr/rules_internal.h"

namespace runink::expr {

using columnar::Column;
using columnar::DataType;
using columnar::TypeId;

namespace {

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class TextMembers : public RuleKernel {
 public:
  TextMembers(const std::vector<std::string>& members, std::string text) : members_(members.begin(), members.end()) {
    text_ = std::move(text);
    use_words_ = members_.size() <= rules::kMaxShortMembers;
    for (const auto& member : members_) use_words_ &= member.size() <= 8;
    if (!use_words_) return;
    for (const auto& member : members_) {
      const auto at = static_cast<size_t>(short_.count++);
      std::memcpy(&short_.word[at], member.data(), member.size());
      short_.length[at] = static_cast<uint8_t>(member.size());
    }
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    if (use_words_) {
      rule_kernels().short_members({column.offset_data(), column.values->data()}, column.length, short_,
                                   marks_of(column, failed, bit));
      return;
    }
    for (int64_t i = 0; i < column.length; ++i) {
      if (column.is_valid(i) && members_.find(column.text(i)) == members_.end()) failed[i] |= bit;
    }
  }

 private:
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || members_.find(column.text(row)) != members_.end();
  }
  std::unordered_set<std::string, TextHash, std::equal_to<>> members_;
  rules::ShortMembers short_;
  bool use_words_ = false;
};

// --- classes

using Ranges = std::vector<std::pair<int, int>>;

Ranges ranges_of(const std::bitset<256>& bytes) {
  Ranges out;
  for (int b = 0; b < 256; ++b) {
    if (!bytes[static_cast<size_t>(b)]) continue;
    if (!out.empty() && out.back().second == b - 1) {
      out.back().second = b;
    } else {
      out.emplace_back(b, b);
    }
  }
  return out;
}

// The classes of single positions as tables; false when one has too many ranges or none.
bool fill_tables(const std::vector<std::bitset<256>>& positions, rules::ClassPattern* out) {
  const auto period = static_cast<int>(positions.size());
  std::vector<Ranges> ranges;
  out->period = period;
  out->ranges = 1;
  for (const auto& bytes : positions) {
    ranges.push_back(ranges_of(bytes));
    const auto count = static_cast<int>(ranges.back().size());
    if (count == 0 || count > rules::kRanges) return false;
    out->ranges = std::max(out->ranges, count);
  }
  for (int r = 0; r < rules::kRanges; ++r) {
    for (int i = 0; i < rules::kSpan; ++i) {
      const Ranges& of = ranges[static_cast<size_t>(i % period)];
      const auto& range = of[std::min(static_cast<size_t>(r), of.size() - 1)];
      out->first[r][i] = static_cast<uint8_t>(range.first);
      out->width[r][i] = static_cast<uint8_t>(range.second - range.first);
    }
  }
  for (int p = 0; p < period; ++p) {
    for (size_t b = 0; b < 256; ++b) out->member[p][b] = positions[static_cast<size_t>(p)][b] ? 1 : 0;
  }
  return true;
}

// A sequence of fixed length, or one class repeated.
std::optional<rules::ClassPattern> vector_pattern(const std::vector<ClassItem>& items) {
  rules::ClassPattern out;
  if (items.size() == 1 &&
      (items[0].most != items[0].least || items[0].least > rules::kMaxPeriod || items[0].least == 0)) {
    if (!fill_tables({items[0].bytes}, &out)) return std::nullopt;
    out.run = true;
    out.least = items[0].least;
    out.most = items[0].most < 0 ? INT32_MAX : items[0].most;
    return out;
  }
  std::vector<std::bitset<256>> positions;
  for (const auto& item : items) {
    if (item.least != item.most || positions.size() + static_cast<size_t>(item.least) > rules::kMaxPeriod)
      return std::nullopt;
    positions.insert(positions.end(), static_cast<size_t>(item.least), item.bytes);
  }
  if (positions.empty() || !fill_tables(positions, &out)) return std::nullopt;
  out.least = out.most = static_cast<int64_t>(positions.size());
  return out;
}

bool matches_items(const std::vector<ClassItem>& items, std::string_view text) {
  size_t at = 0;
  for (const auto& item : items) {
    int64_t n = 0;
    while (at < text.size() && n != item.most && item.bytes[static_cast<unsigned char>(text[at])]) {
      ++at;
      ++n;
    }
    if (n < item.least) return false;
  }
  return at == text.size();
}

class ClassRule : public RuleKernel {
 public:
  ClassRule(std::vector<ClassItem> items, std::string text)
      : items_(std::move(items)), vector_(vector_pattern(items_)) {
    text_ = std::move(text);
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    if (vector_) {
      rule_kernels().pattern({column.offset_data(), column.values->data()}, column.length, *vector_,
                             marks_of(column, failed, bit));
      return;
    }
    for (int64_t i = 0; i < column.length; ++i) {
      if (column.is_valid(i) && !matches_items(items_, column.text(i))) failed[i] |= bit;
    }
  }

 private:
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || matches_items(items_, column.text(row));
  }
  std::vector<ClassItem> items_;
  std::optional<rules::ClassPattern> vector_;
};

class RegexRule : public RuleKernel {
 public:
  RegexRule(std::unique_ptr<re2::RE2> re, std::string text) : re_(std::move(re)) { text_ = std::move(text); }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    for (int64_t i = 0; i < column.length; ++i) {
      if (column.is_valid(i) && !matches(column.text(i))) failed[i] |= bit;
    }
  }

 private:
  bool matches(std::string_view text) const {
    return re_->Match(re2::StringPiece(text.data(), text.size()), 0, text.size(), re2::RE2::ANCHOR_BOTH, nullptr, 0);
  }
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || matches(column.text(row));
  }
  std::unique_ptr<re2::RE2> re_;
};

constexpr size_t kMaxPatternBytes = 4096;

Result<std::unique_ptr<re2::RE2>> compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return invalid_argument("a pattern has at most {} bytes, this one has {}", kMaxPatternBytes, pattern.size());
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryBytes);
  auto re = std::make_unique<re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!re->ok()) {
    return invalid_argument("{} is not a regular expression: {}", json_quote(pattern), escape_control(re->error()))
        .with_hint("the form is that of RE2: https://github.com/google/re2/wiki/Syntax");
  }
  return re;
}

}  // namespace

RulePtr make_text_members(const std::vector<std::string>& members, std::string text) {
  return std::make_shared<TextMembers>(members, std::move(text));
}

Result<RulePtr> rule_pattern(const DataType& type, std::string_view pattern, bool allow_tables) {
  if (type.id() != TypeId::kString && type.id() != TypeId::kJson) {
    return invalid_argument("a pattern does not go with {}", type.to_string())
        .with_hint("patterns look at texts: string");
  }
  auto re = RUNINK_TRY(compile(pattern));
  std::string text = fmt::format("pattern({})", json_quote(pattern));
  if (allow_tables) {
    if (auto simple = simplify_pattern(pattern)) {
      if (!simple->literals.empty()) return make_text_members(simple->literals, std::move(text));
      return RulePtr(std::make_shared<ClassRule>(std::move(simple->items), std::move(text)));
    }
  }
  return RulePtr(std::make_shared<RegexRule>(std::move(re), std::move(text)));
}

std::string pattern_method(std::string_view pattern) {
  const auto simple = simplify_pattern(pattern);
  if (!simple) return "re2";
  return simple->literals.empty() ? "classes" : "literals";
}

}  // namespace runink::expr
