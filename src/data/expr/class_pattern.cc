#include "data/expr/class_pattern.h"

#include <algorithm>

namespace runink::expr {

namespace {

bool is_special(char c) { return std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos; }

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool done() const { return pos_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[pos_]; }
  char next() { return text_[pos_++]; }
  std::string_view rest() const { return text_.substr(pos_); }
  void skip(size_t n) { pos_ += n; }

 private:
  std::string_view text_;
  size_t pos_ = 0;
};

void add_range(std::bitset<256>& set, unsigned char first, unsigned char last) {
  for (int c = first; c <= last; ++c) set.set(static_cast<size_t>(c));
}

// \d \w \s; an escaped punctuation character stands for itself. Other escapes are left to RE2.
bool read_escape(Reader& in, std::bitset<256>& set, bool* single, char* c) {
  if (in.done()) return false;
  const char e = in.next();
  *single = false;
  switch (e) {
    case 'd':
      add_range(set, '0', '9');
      return true;
    case 'w':
      add_range(set, '0', '9');
      add_range(set, 'A', 'Z');
      add_range(set, 'a', 'z');
      set.set('_');
      return true;
    case 's':
      for (const char space : std::string_view("\t\n\f\r ")) set.set(static_cast<unsigned char>(space));
      return true;
    default:
      break;
  }
  const bool punctuation = static_cast<unsigned char>(e) > 0x20 && static_cast<unsigned char>(e) < 0x7F &&
                           !(e >= '0' && e <= '9') && !(e >= 'a' && e <= 'z') && !(e >= 'A' && e <= 'Z');
  if (!punctuation) return false;
  *single = true;
  *c = e;
  set.set(static_cast<unsigned char>(e));
  return true;
}

// After `[`. Negated classes hold code points beyond ASCII, and [:names:] are left to RE2.
bool read_class(Reader& in, std::bitset<256>& set) {
  if (in.peek() == '^') return false;
  bool first = true;
  while (true) {
    if (in.done()) return false;
    char c = in.next();
    if (c == ']' && !first) return true;
    if (c == '[' && in.peek() == ':') return false;
    if (c == ']' || static_cast<unsigned char>(c) >= 0x80) return false;
    first = false;
    bool single = true;
    if (c == '\\') {
      if (!read_escape(in, set, &single, &c)) return false;
    }
    if (!single) {
      if (in.peek() == '-') return false;
      continue;
    }
    const auto rest = in.rest();
    if (rest.size() >= 2 && rest[0] == '-' && rest[1] != ']') {
      in.skip(1);
      char last = in.next();
      if (last == '[' || static_cast<unsigned char>(last) >= 0x80) return false;
      if (last == '\\') {
        std::bitset<256> ignored;
        bool last_single = false;
        if (!read_escape(in, ignored, &last_single, &last) || !last_single) return false;
      }
      if (static_cast<unsigned char>(last) < static_cast<unsigned char>(c)) return false;
      add_range(set, static_cast<unsigned char>(c), static_cast<unsigned char>(last));
    } else {
      set.set(static_cast<unsigned char>(c));
    }
  }
}

bool read_number(Reader& in, int64_t* n) {
  int digits = 0;
  *n = 0;
  while (in.peek() >= '0' && in.peek() <= '9') {
    *n = *n * 10 + (in.next() - '0');
    if (++digits > 4) return false;
  }
  return digits > 0;
}

// ? * + {n} {n,} {n,m}
bool read_repeat(Reader& in, ClassItem& item) {
  switch (in.peek()) {
    case '?':
      in.skip(1);
      item.least = 0;
      item.most = 1;
      break;
    case '*':
      in.skip(1);
      item.least = 0;
      item.most = -1;
      break;
    case '+':
      in.skip(1);
      item.least = 1;
      item.most = -1;
      break;
    case '{': {
      in.skip(1);
      if (!read_number(in, &item.least)) return false;
      item.most = item.least;
      if (in.peek() == ',') {
        in.skip(1);
        if (in.peek() == '}') {
          item.most = -1;
        } else if (!read_number(in, &item.most)) {
          return false;
        }
      }
      if (in.done() || in.next() != '}' || (item.most >= 0 && item.most < item.least)) return false;
      break;
    }
    default:
      return true;
  }
  // A second repeat (lazy, possessive, or of a repeat) changes what RE2 makes of it.
  const char after = in.peek();
  return after != '?' && after != '*' && after != '+' && after != '{';
}

// Taking as much as possible at every item is exact if no item that may end early shares a byte with what may follow.
bool greedy_is_exact(const std::vector<ClassItem>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].least == items[i].most) continue;
    for (size_t k = i + 1; k < items.size(); ++k) {
      if ((items[i].bytes & items[k].bytes).any()) return false;
      if (items[k].least > 0) break;
    }
  }
  return true;
}

std::optional<std::vector<ClassItem>> read_sequence(std::string_view pattern) {
  if (pattern.starts_with('^')) pattern.remove_prefix(1);
  if (pattern.ends_with('$') && !pattern.ends_with("\\$")) pattern.remove_suffix(1);
  Reader in(pattern);
  std::vector<ClassItem> items;
  while (!in.done()) {
    ClassItem item;
    char c = in.next();
    if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
    if (c == '[') {
      if (!read_class(in, item.bytes)) return std::nullopt;
    } else if (c == '\\') {
      bool single = false;
      if (!read_escape(in, item.bytes, &single, &c)) return std::nullopt;
    } else if (is_special(c)) {
      return std::nullopt;
    } else {
      item.bytes.set(static_cast<unsigned char>(c));
    }
    if (!read_repeat(in, item)) return std::nullopt;
    items.push_back(item);
    if (items.size() > 64) return std::nullopt;
  }
  if (!greedy_is_exact(items)) return std::nullopt;
  return items;
}

// a|b|c, (a|b|c) or (?:a|b|c) of plain characters.
std::optional<std::vector<std::string>> read_literals(std::string_view pattern) {
  if (pattern.starts_with("(?:") && pattern.ends_with(')')) {
    pattern = pattern.substr(3, pattern.size() - 4);
  } else if (pattern.starts_with('(') && pattern.ends_with(')')) {
    pattern = pattern.substr(1, pattern.size() - 2);
  }
  std::vector<std::string> out(1);
  Reader in(pattern);
  while (!in.done()) {
    char c = in.next();
    if (c == '|') {
      out.emplace_back();
      continue;
    }
    if (c == '\\') {
      std::bitset<256> ignored;
      bool single = false;
      if (!read_escape(in, ignored, &single, &c) || !single) return std::nullopt;
    } else if (is_special(c)) {
      return std::nullopt;
    }
    out.back().push_back(c);
    if (out.size() > 4096) return std::nullopt;
  }
  return out;
}

}  // namespace

std::optional<SimplePattern> simplify_pattern(std::string_view pattern) {
  SimplePattern out;
  if (auto items = read_sequence(pattern)) {
    out.items = std::move(*items);
    return out;
  }
  if (auto literals = read_literals(pattern)) {
    out.literals = std::move(*literals);
    return out;
  }
  return std::nullopt;
}

}  // namespace runink::expr
