#include "data/dsl/gherkin_annotations.h"

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "base/text.h"

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

// The arguments of one annotation, from after its '(' to its ')'. Malformed text stops it at the byte that does not fit.
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
    if (at_ >= text_.size()) return fail(fmt::format("is not closed: expected {} before the end of the file", expected));
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

// Where a plain tag that starts at `at` ends: at the next '@', at white space before a '#', or at the end of the line.
size_t plain_tag_end(std::string_view text, size_t at, size_t line_end, bool* last) {
  size_t end = at + 1;
  *last = true;
  while (end < line_end) {
    if (text[end] == '@') {
      *last = false;
      break;
    }
    const size_t length = space_length(text.substr(end, line_end - end));
    if (length != 0 && end + length < line_end && text[end + length] == '#') break;
    end += std::max<size_t>(length, 1);
  }
  return end;
}

bool has_space(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (space_length(text.substr(i)) != 0) return true;
  }
  return false;
}

// Whether the official parser takes this line, on its own, for tags.
bool is_plain_tag_line(std::string_view text, const Line& line) {
  const size_t line_end = line.offset + line.text.size();
  size_t at = line.trimmed_offset();
  for (bool last = false; !last;) {
    const size_t end = plain_tag_end(text, at, line_end, &last);
    if (has_space(trim_right(text.substr(at + 1, end - at - 1)))) return false;
    at = end;
  }
  return true;
}

// The annotation name that `text` starts with, followed by '('; empty if it does not.
std::string_view annotation_name_of(std::string_view text) {
  for (const std::string& name : annotation_names()) {
    if (text.size() > name.size() && text[name.size()] == '(' && text.substr(0, name.size()) == name) return name;
  }
  return {};
}

class TagLineReader {
 public:
  TagLineReader(const SourceText& source, const Dialect& dialect, const Line& first, LineReader* reader)
      : source_(source), text_(source.text()), dialect_(dialect), line_(first), reader_(reader) {}

  TagLine read() {
    size_t at = line_.trimmed_offset();
    bool only_annotations = true;
    while (at < line_end()) {
      const std::string_view name = annotation_name_of(text_.substr(at + 1, line_end() - at - 1));
      if (!name.empty()) {
        at = read_annotation(name, at);
      } else {
        at = read_plain_tag(at, &only_annotations);
      }
    }
    out_.only_annotations = refused_ || (only_annotations && !out_.annotations.empty());
    return std::move(out_);
  }

 private:
  size_t line_end() const { return line_.offset + line_.text.size(); }

  uint32_t column(size_t at) const {
    const size_t start = line_.trimmed_offset();
    return line_.indent + 1 + static_cast<uint32_t>(count_code_points(text_.substr(start, at - start))) - skew_;
  }

  void problem(Severity severity, Span span, std::string code, std::string message, std::string help) {
    if (severity == Severity::kError) refused_ = true;
    out_.problems.push_back({severity, span, std::move(code), std::move(message), std::move(help)});
  }

  // Each returns where to go on: at the next '@', or past the end of the line.
  size_t read_plain_tag(size_t at, bool* only_annotations) {
    bool last = false;
    const size_t end = plain_tag_end(text_, at, line_end(), &last);
    const std::string_view item = trim_right(text_.substr(at + 1, end - at - 1));
    const Span span{at, item.size() + 1};
    if (item.empty()) {
      // G does not count the columns of an '@' without a name.
      skew_ += static_cast<uint32_t>(count_code_points(text_.substr(at, end - at)));
      *only_annotations = false;
    } else if (has_space(item)) {
      problem(Severity::kError, span, "dsl.tag", "a tag may not contain white space", help_for_spaces(item));
    } else {
      out_.tags.push_back({text_.substr(at, item.size() + 1), {line_.number, column(at), span}});
      const auto& names = annotation_names();
      if (item == "checkpoint") {
        Annotation annotation;
        annotation.name = item;
        annotation.bare = true;
        annotation.place = out_.tags.back().place;
        out_.annotations.push_back(std::move(annotation));
      } else {
        *only_annotations = false;
        hint_about(item, span, names);
      }
    }
    return last ? line_end() : end;
  }

  std::string help_for_spaces(std::string_view item) const {
    const size_t parenthesis = item.find('(');
    if (parenthesis == std::string_view::npos) return "write each tag as one word that starts with @";
    const auto near = nearest(item.substr(0, parenthesis), annotation_names());
    return near.empty() ? "only the annotations of Runink may have spaces in their arguments"
                        : fmt::format("did you mean @{}(…)?", near[0]);
  }

  void hint_about(std::string_view item, Span span, const std::vector<std::string>& names) {
    const size_t parenthesis = item.find('(');
    if (parenthesis != std::string_view::npos) {
      const std::string_view name = item.substr(0, parenthesis);
      const auto near = nearest(name, names);
      problem(Severity::kHint, span, "dsl.unknown_annotation",
              fmt::format("`@{}(…)` is no annotation of Runink, so it is a plain tag", name),
              near.empty() ? std::string() : fmt::format("did you mean @{}(…)?", near[0]));
    } else if (std::find(names.begin(), names.end(), item) != names.end()) {
      problem(Severity::kHint, span, "dsl.bare_annotation",
              fmt::format("`@{}` without arguments is a plain tag and has no effect", item),
              fmt::format("write @{}(…)", item));
    }
  }

  size_t read_annotation(std::string_view name, size_t at) {
    Annotation annotation;
    annotation.name = name;
    ArgumentReader arguments(source_, at + name.size() + 2);
    if (!arguments.read(&annotation.arguments)) return malformed(name, at, arguments.at(), arguments.problem());
    const size_t end = arguments.at();
    if (end < text_.size() && text_[end] != '@' && space_length(text_.substr(end)) == 0) {
      return malformed(name, at, end, "must be followed by white space or another tag");
    }
    annotation.place = {line_.number, column(at), {at, end - at}};
    out_.annotations.push_back(std::move(annotation));
    if (end > line_end()) {
      line_ = reader_->skip_to(end - 1);
      skew_ = 0;
    }
    return after_annotation(end);
  }

  // After a ')' come other tags, a comment, or nothing.
  size_t after_annotation(size_t end) {
    std::string_view rest = text_.substr(end, line_end() - end);
    rest = trim_left(rest);
    if (rest.empty() || rest[0] == '#') return line_end();
    const auto next = static_cast<size_t>(rest.data() - text_.data());
    if (rest[0] == '@') return next;
    problem(Severity::kError, {next, trim_right(rest).size()}, "dsl.tag", "only tags may follow an annotation on its line",
            "put the step or keyword on a line of its own");
    return line_end();
  }

  // An annotation that is refused is refused where the official parser refuses the text: at its first line if that has
  // white space in a "tag", else at the line after it, which the parser does not expect among tags. (Where that parser
  // accepts the text, as with a scenario after an unclosed annotation, it is the first line.)
  size_t malformed(std::string_view name, size_t at, size_t where, std::string problem_text) {
    const uint32_t first = line_.number;
    uint32_t problem_line = source_.position(where).line;
    bool keyword_inside = false;
    uint32_t next_line = 0;  // the first one after `first` that is not blank
    for (uint32_t number = first + 1; number <= problem_line; ++number) {
      const std::string_view text = trim_left(source_.line(number));
      if (text.empty()) continue;
      if (next_line == 0) next_line = number;
      if (!starts_with_keyword(dialect_, text)) continue;
      problem_line = number;
      where = source_.line_start(number) + (source_.line(number).size() - text.size());
      problem_text = "is not closed";
      keyword_inside = true;
      break;
    }
    uint32_t report_line = problem_line;
    if (problem_line != first) {
      const bool refused_at_first = !is_plain_tag_line(text_, line_);
      const bool accepted_after = next_line == 0 || (next_line == problem_line && is_title(next_line));
      report_line = refused_at_first || accepted_after ? first : next_line;
    }

    std::string message = fmt::format("annotation @{} {}", name, problem_text);
    Span span{where, 1};
    if (report_line != problem_line) {
      const auto position = source_.position(where);
      message += fmt::format(" (line {}, column {})", position.line, position.column);
      span = report_line == first ? Span{at, name.size() + 1} : Span{first_text_of(report_line), 1};
    }
    problem(Severity::kError, span, "dsl.annotation", std::move(message),
            fmt::format("write @{}(value, key=value), with text in \"quotes\"", name));

    // Go on after the line where it went wrong, or with it if it starts something new.
    if (problem_line != first && !keyword_inside) {
      line_ = reader_->skip_to(std::min(where, text_.size()));
    } else if (problem_line > first + 1) {
      line_ = reader_->skip_to(source_.line_start(problem_line) - 1);
    }
    return line_end();
  }

  size_t first_text_of(uint32_t line) const {
    return source_.line_start(line) + (source_.line(line).size() - trim_left(source_.line(line)).size());
  }

  bool is_title(uint32_t line) const {
    const std::string_view text = trim_left(source_.line(line));
    return starts_with_keyword(dialect_, text) && find_step_keyword(dialect_, text) == nullptr;
  }

  const SourceText& source_;
  std::string_view text_;
  const Dialect& dialect_;
  Line line_;  // the one being read: a later one after an annotation over several lines
  LineReader* reader_;
  uint32_t skew_ = 0;
  bool refused_ = false;
  TagLine out_;
};

}  // namespace

const std::vector<std::string>& annotation_names() {
  static const std::vector<std::string> names = {"source",   "sink",    "contract", "step",    "exec",
                                                 "requires", "affinity", "retry",   "timeout", "secret",
                                                 "network",  "partition", "checkpoint", "schedule"};
  return names;
}

TagLine read_tag_line(const SourceText& source, const Dialect& dialect, const Line& first, LineReader* reader) {
  return TagLineReader(source, dialect, first, reader).read();
}

}  // namespace runink::dsl
