#include "data/dsl/gherkin_arguments.h"

#include <algorithm>
#include <charconv>

#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {
namespace {

constexpr size_t kBytesMax = 64 * 1024;  // of one annotation
constexpr size_t kArgumentsMax = 256;
constexpr int kListDepthMax = 8;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_name_start(char c) { return is_name_char(c) && !(c >= '0' && c <= '9'); }

// What a bare word may hold, besides every character that is not ASCII and not white space.
bool is_word_char(char c) {
  if (static_cast<unsigned char>(c) >= 0x80) return true;
  return is_name_char(c) || std::string_view("-+./:%*~<>?!$&^;|\\").find(c) != std::string_view::npos;
}

bool is_number(std::string_view word) {
  size_t i = word[0] == '-' ? 1 : 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < word.size() && word[i] >= '0' && word[i] <= '9') ++i;
    return i > start;
  };
  if (!digits()) return false;
  if (i < word.size() && word[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < word.size() && (word[i] == 'e' || word[i] == 'E')) {
    ++i;
    if (i < word.size() && (word[i] == '-' || word[i] == '+')) ++i;
    if (!digits()) return false;
  }
  return i == word.size();
}

// The arguments of one annotation, from after its '(' to its ')'. Malformed text stops it at the byte that does not
// fit.
class ArgumentReader {
 public:
  ArgumentReader(const SourceText& source, size_t offset)
      : source_(source), text_(source.text()), at_(offset), limit_(std::min(text_.size(), offset + kBytesMax)) {}

  bool read(std::vector<Argument>* arguments) {
    skip_space();
    if (take(')')) return true;
    for (;;) {
      if (arguments->size() == kArgumentsMax) return fail(fmt::format("has more than {} arguments", kArgumentsMax));
      if (!read_argument(arguments)) return false;
      skip_space();
      if (take(')')) return true;
      if (!take(',')) return fail_here("`,` or `)`");
      skip_space();
    }
  }

  size_t at() const { return at_; }  // after the ')', or where it went wrong
  const std::string& problem() const { return problem_; }

 private:
  bool at_end() const { return at_ >= limit_; }
  char peek() const { return text_[at_]; }
  bool take(char c) {
    if (at_end() || peek() != c) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (!at_end()) {
      const size_t length = space_length(text_.substr(at_));
      if (length == 0) break;
      at_ += length;
    }
  }

  bool fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  bool fail_here(std::string_view expected) {
    if (at_ >= text_.size())
      return fail(fmt::format("is not closed: expected {} before the end of the file", expected));
    if (at_end()) return fail(fmt::format("is longer than {} bytes", kBytesMax));
    size_t length = 1;
    while (at_ + length < text_.size() && (static_cast<unsigned char>(text_[at_ + length]) & 0xC0) == 0x80) ++length;
    return fail(fmt::format("expects {} where `{}` stands", expected, text_.substr(at_, length)));
  }

  Place place_from(size_t start) const {
    const auto position = source_.position(start);
    return {position.line, position.column, {start, at_ - start}};
  }

  bool read_argument(std::vector<Argument>* arguments) {
    Argument argument;
    const size_t start = at_;
    size_t end = at_;
    if (!at_end() && is_name_start(peek())) {
      while (end < limit_ && is_name_char(text_[end])) ++end;
      size_t after = end;
      while (after < limit_) {
        const size_t length = space_length(text_.substr(after));
        if (length == 0) break;
        after += length;
      }
      if (after < limit_ && text_[after] == '=') {
        argument.key = std::string(text_.substr(start, end - start));
        at_ = after + 1;
        skip_space();
      }
    }
    for (const auto& other : *arguments) {
      if (!argument.key.empty() && other.key == argument.key) {
        at_ = start;
        return fail(fmt::format("gives `{}` twice", argument.key));
      }
    }
    if (argument.key.empty() && !arguments->empty() && !arguments->back().key.empty()) {
      return fail("has a value without a key after one with a key");
    }
    if (!read_value(&argument.value, 0)) return false;
    argument.place = place_from(start);
    arguments->push_back(std::move(argument));
    return true;
  }

  bool read_value(Literal* value, int depth) {
    if (at_end()) return fail_here("a value");
    const size_t start = at_;
    const char c = peek();
    bool good = false;
    if (c == '"' || c == '\'') {
      good = read_string(c, value);
    } else if (c == '[') {
      good = read_list(value, depth);
    } else {
      good = read_word(value);
    }
    value->place = place_from(start);
    return good;
  }

  bool read_string(char quote, Literal* value) {
    value->kind = Literal::Kind::kString;
    const size_t start = at_++;
    while (!at_end() && peek() != quote && peek() != '\n') {
      char c = peek();
      if (c == '\\' && at_ + 1 < limit_) {
        const char escaped = text_[at_ + 1];
        if (escaped == 'n' || escaped == 't' || escaped == '\\' || escaped == '"' || escaped == '\'') {
          c = escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
          ++at_;
        }
      }
      value->text += c;
      ++at_;
    }
    if (take(quote)) return true;
    at_ = start;
    return fail(fmt::format("has a quote `{}` that is not closed on its line", quote));
  }

  bool read_list(Literal* value, int depth) {
    value->kind = Literal::Kind::kList;
    if (depth == kListDepthMax) return fail(fmt::format("nests lists deeper than {}", kListDepthMax));
    ++at_;
    skip_space();
    if (take(']')) return true;
    for (;;) {
      if (value->items.size() == kArgumentsMax) return fail(fmt::format("has a list of more than {}", kArgumentsMax));
      value->items.emplace_back();
      if (!read_value(&value->items.back(), depth + 1)) return false;
      skip_space();
      if (take(']')) return true;
      if (!take(',')) return fail_here("`,` or `]`");
      skip_space();
    }
  }

  bool read_word(Literal* value) {
    const size_t start = at_;
    while (!at_end() && is_word_char(peek()) && space_length(text_.substr(at_)) == 0) ++at_;
    if (at_ == start) return fail_here("a value");
    value->text = std::string(text_.substr(start, at_ - start));
    if (!is_number(value->text)) return true;
    const char* begin = value->text.data();
    const char* end = begin + value->text.size();
    if (std::from_chars(begin, end, value->number).ec != std::errc()) {
      at_ = start;
      return fail(fmt::format("has a number out of range, `{}`", value->text));
    }
    value->kind = Literal::Kind::kNumber;
    int64_t integer = 0;
    const auto parsed = std::from_chars(begin, end, integer);
    if (parsed.ec == std::errc() && parsed.ptr == end) value->integer = integer;
    return true;
  }

  const SourceText& source_;
  std::string_view text_;
  size_t at_, limit_;
  std::string problem_;
};

}  // namespace

ArgumentsRead read_arguments(const SourceText& source, size_t offset, std::vector<Argument>* arguments) {
  ArgumentReader reader(source, offset);
  const bool whole = reader.read(arguments);
  return {reader.at(), whole ? std::string() : reader.problem()};
}

}  // namespace runink::dsl
