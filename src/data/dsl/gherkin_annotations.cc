#include "data/dsl/gherkin_annotations.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/gherkin_arguments.h"

namespace runink::dsl {
namespace {

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
    const ArgumentsRead read = read_arguments(source_, at + name.size() + 2, &annotation.arguments);
    if (!read.problem.empty()) return malformed(name, at, read.at, read.problem);
    const size_t end = read.at;
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
    problem(Severity::kError, {next, trim_right(rest).size()}, "dsl.tag",
            "only tags may follow an annotation on its line", "put the step or keyword on a line of its own");
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
  static const std::vector<std::string> names = {"source",   "sink",      "contract",   "step",    "exec",
                                                 "requires", "affinity",  "retry",      "timeout", "secret",
                                                 "network",  "partition", "checkpoint", "schedule"};
  return names;
}

TagLine read_tag_line(const SourceText& source, const Dialect& dialect, const Line& first, LineReader* reader) {
  return TagLineReader(source, dialect, first, reader).read();
}

}  // namespace runink::dsl
