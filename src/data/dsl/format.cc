#include "data/dsl/format.h"

#include <algorithm>

#include "base/text.h"
#include "data/dsl/gherkin.h"
#include "data/dsl/gherkin_dialects.h"
#include "data/dsl/gherkin_dump.h"
#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kWidth = 100;

class Formatter {
 public:
  explicit Formatter(const Document& document) : document_(document), text_(document.source->text()) {
    LineReader reader(*document.source);
    for (Line line = reader.next(); !line.eof; line = reader.next()) lines_.push_back(line);
    plan_.resize(lines_.size());
  }

  std::string run() {
    for (const Comment& comment : document_.comments) at(comment.place).kind = Kind::kComment;
    if (document_.feature) plan_feature(*document_.feature);
    sort_tag_items();
    plan_what_is_left();
    plan_descriptions();
    plan_comments();
    return emit();
  }

 private:
  enum class Kind {
    kUnknown,  // not claimed yet
    kBlank,
    kComment,
    kText,         // `text` at `indent`
    kDescription,  // text of a description
    kVerbatim,     // of a doc string: `text` as it is, blank or not
    kNothing,      // a further line of what stands before it
  };
  struct LinePlan {
    Kind kind = Kind::kUnknown;
    size_t indent = 0;
    size_t extra = 0;  // spaces after the indentation, which comments before it do not have
    std::string text;
    bool blank_before = false;  // begins a Background, Scenario or Rule
    bool title = false;
    bool tags = false;
    bool keep = false;  // a blank line that is part of a description
  };
  struct TagItem {
    Span span;
    const Annotation* annotation = nullptr;  // else a tag
  };

  LinePlan& at(const Place& place) { return plan_[place.line - 1]; }
  std::string_view source_text(Span span) const { return std::string_view(text_).substr(span.offset, span.length); }

  void put(const Place& place, size_t indent, std::string text, size_t extra = 0) {
    LinePlan& line = at(place);
    line.kind = Kind::kText;
    line.indent = indent;
    line.extra = extra;
    line.text = std::move(text);
  }

  // ---- the tree, line by line ----

  template <typename Node>
  void plan_title(const Node& node, size_t indent) {
    put(node.place, indent, std::string(node.keyword) + (node.name.empty() ? ":" : ": ") + std::string(node.name));
    at(node.place).title = true;
  }

  template <typename Node>
  void plan_tags(const Node& node, size_t indent) {
    for (const Tag& tag : node.tags) tag_items_.push_back({tag.place.span, nullptr});
    for (const Tag& tag : node.tags) at(tag.place).indent = indent;
    plan_annotations(node.annotations, indent);
  }
  void plan_annotations(const std::vector<Annotation>& annotations, size_t indent) {
    for (const Annotation& annotation : annotations) {
      tag_items_.push_back({annotation.place.span, &annotation});
      at(annotation.place).indent = indent;
    }
  }

  void plan_feature(const Feature& feature) {
    plan_tags(feature, 0);
    plan_title(feature, 0);
    plan_sections(feature.sections, kIndent);
    if (feature.background) plan_background(*feature.background, kIndent);
    for (const Scenario& scenario : feature.scenarios) plan_scenario(scenario, kIndent);
    for (const Rule& rule : feature.rules) {
      plan_tags(rule, kIndent);
      plan_title(rule, kIndent);
      at(rule.place).blank_before = true;
      if (rule.background) plan_background(*rule.background, 2 * kIndent);
      for (const Scenario& scenario : rule.scenarios) plan_scenario(scenario, 2 * kIndent);
    }
  }

  void plan_background(const Background& background, size_t indent) {
    plan_title(background, indent);
    at(background.place).blank_before = true;
    plan_steps(background.steps, indent + kIndent);
  }

  void plan_scenario(const Scenario& scenario, size_t indent) {
    plan_tags(scenario, indent);
    plan_title(scenario, indent);
    at(scenario.place).blank_before = true;
    plan_sections(scenario.sections, indent + kIndent);
    plan_steps(scenario.steps, indent + kIndent);
    for (const Examples& examples : scenario.examples) {
      plan_tags(examples, indent + kIndent);
      plan_title(examples, indent + kIndent);
      std::vector<const TableRow*> rows;
      if (examples.header) rows.push_back(&*examples.header);
      for (const TableRow& row : examples.body) rows.push_back(&row);
      plan_table(rows, indent + 2 * kIndent);
    }
  }

  void plan_sections(const std::vector<Section>& sections, size_t indent) {
    for (const Section& section : sections) {
      put(section.place, indent, std::string(section_name(section.kind)) + ":");
      for (const SectionItem& item : section.items) {
        put(item.place, indent + kIndent,
            (item.key.empty() ? "-" : std::string(item.key) + ":") + " " + std::string(item.text));
      }
    }
  }

  void plan_steps(const std::vector<Step>& steps, size_t indent) {
    for (const Step& step : steps) {
      plan_annotations(step.annotations, indent);
      const size_t extra = step.keyword_type == KeywordType::kConjunction ? 1 : 0;
      put(step.place, indent, std::string(step.keyword) + std::string(step.text), extra);
      const size_t inner = indent + extra + kIndent;
      if (step.table) {
        std::vector<const TableRow*> rows;
        for (const TableRow& row : step.table->rows) rows.push_back(&row);
        plan_table(rows, inner);
      }
      if (step.doc_string) plan_doc_string(*step.doc_string, inner);
    }
  }

  void plan_table(const std::vector<const TableRow*>& rows, size_t indent) {
    std::vector<size_t> widths;
    for (const TableRow* row : rows) {
      widths.resize(std::max(widths.size(), row->cells.size()));
      for (size_t i = 0; i < row->cells.size(); ++i) {
        widths[i] = std::max(widths[i], count_code_points(source_text(row->cells[i].place.span)));
      }
    }
    for (const TableRow* row : rows) {
      std::string line = "|";
      for (size_t i = 0; i < row->cells.size(); ++i) {
        const std::string_view cell = source_text(row->cells[i].place.span);
        line += ' ';
        line += cell;
        line.append(widths[i] - count_code_points(cell) + 1, ' ');
        line += '|';
      }
      const std::string_view rest = after_last_cell(lines_[row->place.line - 1].trimmed);
      if (!rest.empty()) line += " " + std::string(rest);
      put(row->place, indent, std::move(line));
    }
  }

  // What stands after the last '|' of a row is no cell, but somebody wrote it.
  static std::string_view after_last_cell(std::string_view row) {
    size_t end = 0;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] == '\\') {
        ++i;
      } else if (row[i] == '|') {
        end = i + 1;
      }
    }
    return trim_both(row.substr(end));
  }

  void plan_doc_string(const DocString& doc, size_t indent) {
    const Line& opening = lines_[doc.place.line - 1];
    put(doc.place, indent, std::string(doc.delimiter) + std::string(doc.media_type));
    size_t i = doc.place.line;
    for (; i < lines_.size() && !lines_[i].starts_with(doc.delimiter); ++i) {
      const Line& line = lines_[i];
      std::string_view text = line.trimmed;
      if (opening.indent <= line.indent) {
        text = line.text;
        for (uint32_t n = 0; n < opening.indent; ++n) text.remove_prefix(space_length(text));
      }
      plan_[i].kind = Kind::kVerbatim;
      plan_[i].indent = indent;
      plan_[i].text = text.empty() ? std::string() : std::string(indent, ' ') + std::string(text);
    }
    if (i < lines_.size()) {
      Place place;
      place.line = static_cast<uint32_t>(i + 1);
      put(place, indent, std::string(trim_right(lines_[i].trimmed)));
    }
  }

  // ---- tags ----

  void sort_tag_items() {
    std::sort(tag_items_.begin(), tag_items_.end(), [](const TagItem& a, const TagItem& b) {
      return a.span.offset != b.span.offset ? a.span.offset < b.span.offset : a.annotation < b.annotation;
    });
    // A bare @checkpoint may be both a tag and an annotation.
    tag_items_.erase(std::unique(tag_items_.begin(), tag_items_.end(),
                                 [](const TagItem& a, const TagItem& b) { return a.span.offset == b.span.offset; }),
                     tag_items_.end());
  }

  // A line that starts with '@' and the lines that its annotations take. Returns the last of them.
  size_t plan_tag_lines(size_t first) {
    size_t last = first;
    std::vector<std::string> rows(1);
    size_t end = lines_[first].trimmed_offset();
    bool any = false;
    const size_t indent = plan_[first].indent;
    for (; next_item_ < tag_items_.size(); ++next_item_) {
      const TagItem& item = tag_items_[next_item_];
      if (item.span.offset >= lines_[last].offset + lines_[last].text.size()) break;
      end = item.span.offset + item.span.length;
      while (end > lines_[last].offset + lines_[last].text.size()) ++last;
      add_tag_item(item, indent, &rows);
      any = true;
    }
    LinePlan& plan = plan_[first];
    if (!any) {
      plan.text = std::string(trim_right(lines_[first].trimmed));  // an '@' without a name
    } else {
      const size_t line_end = lines_[last].offset + lines_[last].text.size();
      std::string_view rest = std::string_view(text_).substr(end, line_end - end);
      const size_t comment = comment_start(rest);
      if (comment != std::string_view::npos) rows.back() += " " + std::string(trim_both(rest.substr(comment)));
      for (size_t i = 0; i < rows.size(); ++i) {
        if (i != 0) plan.text += '\n' + std::string(indent, ' ');
        plan.text += rows[i];
      }
    }
    plan.kind = Kind::kText;
    plan.tags = true;
    for (size_t i = first + 1; i <= last; ++i) {
      plan_[i].kind = Kind::kNothing;
      plan_[i].tags = true;
    }
    return last;
  }

  // A '#' after white space; there may be '@'s without a name before it.
  static size_t comment_start(std::string_view text) {
    for (size_t i = 0; i < text.size();) {
      const size_t length = space_length(text.substr(i));
      if (length != 0 && i + length < text.size() && text[i + length] == '#') return i + length;
      i += std::max<size_t>(length, 1);
    }
    return std::string_view::npos;
  }

  void add_tag_item(const TagItem& item, size_t indent, std::vector<std::string>* rows) const {
    if (item.annotation == nullptr || item.annotation->bare) {
      if (!rows->back().empty()) rows->back() += ' ';
      rows->back() += source_text(item.span);
      return;
    }
    std::vector<std::string> arguments;
    size_t width = indent + item.annotation->name.size() + 3;
    for (const Argument& argument : item.annotation->arguments) {
      arguments.push_back((argument.key.empty() ? "" : argument.key + "=") + literal_text(argument.value));
      width += count_code_points(arguments.back()) + 2;
    }
    const std::string head = "@" + std::string(item.annotation->name) + "(";
    if (width <= kWidth || arguments.size() < 2) {
      if (!rows->back().empty()) rows->back() += ' ';
      rows->back() += head + join(arguments, ", ") + ")";
      return;
    }
    // One argument a line, below each other.
    if (!rows->back().empty()) rows->emplace_back();
    rows->back() = head + arguments[0];
    for (size_t i = 1; i < arguments.size(); ++i) {
      rows->back() += ",";
      rows->push_back(std::string(head.size(), ' ') + arguments[i]);
    }
    rows->back() += ")";
  }

  // Strings keep their quotes and escapes.
  std::string literal_text(const Literal& literal) const {
    if (literal.kind != Literal::Kind::kList) return std::string(source_text(literal.place.span));
    std::string out = "[";
    for (const Literal& item : literal.items) {
      if (out.size() > 1) out += ", ";
      out += literal_text(item);
    }
    return out + "]";
  }

  // ---- lines that are no node ----

  void plan_what_is_left() {
    for (size_t i = 0; i < lines_.size(); ++i) {
      LinePlan& plan = plan_[i];
      const Line& line = lines_[i];
      if (plan.kind != Kind::kUnknown) continue;
      if (line.empty()) {
        plan.kind = Kind::kBlank;
      } else if (line.starts_with("@")) {
        i = plan_tag_lines(i);
      } else if (line.starts_with("#")) {  // the language
        plan.kind = Kind::kText;
        plan.text = std::string(trim_right(line.trimmed));
      } else {
        plan.kind = Kind::kDescription;
      }
    }
  }

  // The lines of one description are shifted together, so that what is indented inside it stays so.
  void plan_descriptions() {
    size_t indent = 0;  // of the last title
    std::vector<size_t> group;
    const auto finish = [&] {
      if (group.empty()) return;
      uint32_t least = lines_[group[0]].indent;
      for (const size_t i : group) least = std::min(least, lines_[i].indent);
      for (const size_t i : group) {
        plan_[i].indent = indent + kIndent;
        plan_[i].extra = lines_[i].indent - least;
        plan_[i].text = std::string(trim_right(lines_[i].trimmed));
        // "Given " alone ends a section before it; "Given" does not.
        const StepKeyword* keyword = find_step_keyword(*find_dialect(document_.feature->language), lines_[i].trimmed);
        if (keyword != nullptr && keyword->text.size() > plan_[i].text.size()) plan_[i].text = keyword->text;
      }
      for (size_t i = group.front(); i < group.back(); ++i) plan_[i].keep = plan_[i].kind == Kind::kBlank;
      group.clear();
    };
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (plan_[i].title) {
        finish();
        indent = plan_[i].indent;
      } else if (plan_[i].kind == Kind::kDescription) {
        group.push_back(i);
      }
    }
    finish();
    last_indent_ = indent;
  }

  void plan_comments() {
    size_t indent = document_.feature ? last_indent_ + kIndent : 0;
    for (size_t i = lines_.size(); i-- > 0;) {
      LinePlan& plan = plan_[i];
      if (plan.kind == Kind::kComment) {
        plan.indent = indent;
        plan.text = std::string(trim_both(lines_[i].trimmed));
      } else if (plan.kind == Kind::kText || plan.kind == Kind::kDescription) {
        indent = plan.indent;
      }
    }
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (plan_[i].blank_before) mark_start_of_block(i);
    }
  }

  // The blank line goes before the tags of a title, and before the comments that stand directly above.
  void mark_start_of_block(size_t title) {
    plan_[title].blank_before = false;
    size_t start = title;
    for (size_t i = title; i-- > 0;) {
      const Kind kind = plan_[i].kind;
      if (plan_[i].tags) {
        start = i;
      } else if (kind != Kind::kBlank && kind != Kind::kComment) {
        break;
      }
    }
    while (start > 0 && plan_[start - 1].kind == Kind::kComment) --start;
    plan_[start].blank_before = true;
  }

  std::string emit() const {
    std::string out;
    size_t blank_lines = 0;
    for (const LinePlan& plan : plan_) {
      if (plan.kind == Kind::kNothing) continue;
      if (plan.kind == Kind::kBlank) {
        blank_lines = plan.keep ? blank_lines + 1 : std::max<size_t>(blank_lines, 1);
        continue;
      }
      if (plan.blank_before) blank_lines = std::max<size_t>(blank_lines, 1);
      if (!out.empty()) out.append(blank_lines, '\n');
      blank_lines = 0;
      if (plan.kind != Kind::kVerbatim) out.append(plan.indent + plan.extra, ' ');
      out += plan.text;
      if (plan.kind == Kind::kVerbatim && plan.text.ends_with('\r')) out += '\r';  // else that one would end the line
      out += '\n';
    }
    return out;
  }

  const Document& document_;
  const std::string& text_;
  std::vector<Line> lines_;
  std::vector<LinePlan> plan_;
  std::vector<TagItem> tag_items_;
  size_t next_item_ = 0;
  size_t last_indent_ = 0;
};

}  // namespace

std::optional<std::string> format_feature(const SourceTextPtr& source, Diagnostics* diagnostics) {
  const auto document = parse_feature(source, diagnostics);
  if (!document) return std::nullopt;
  std::string formatted = Formatter(*document).run();
  Diagnostics again;
  const auto reparsed = parse_feature(std::make_shared<const SourceText>(source->path(), formatted), &again);
  if (!reparsed || dump_json(*reparsed, DumpPlaces::kNo) != dump_json(*document, DumpPlaces::kNo)) {
    auto& d = diagnostics->error(*source, {0, 0}, "dsl.format",
                                 "this file cannot be formatted without changing what it says");
    d.help.emplace_back("it is left as it is; please report it with the file");
    return std::nullopt;
  }
  return formatted;
}

}  // namespace runink::dsl
