#include "data/dsl/gherkin_dump.h"

#include "base/text.h"
#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {
namespace {

std::string_view keyword_type_name(KeywordType type) {
  switch (type) {
    case KeywordType::kUnknown:
      return "Unknown";
    case KeywordType::kContext:
      return "Context";
    case KeywordType::kAction:
      return "Action";
    case KeywordType::kOutcome:
      return "Outcome";
    case KeywordType::kConjunction:
      return "Conjunction";
  }
  return "";
}

// The lines of a description without their indentation, and without blank lines around them.
std::string without_indentation(std::string_view description) {
  std::string out;
  size_t blank_lines = 0;
  for (const std::string_view line : split(description, '\n')) {
    const std::string_view text = trim_both(line);
    if (text.empty()) {
      ++blank_lines;
      continue;
    }
    if (!out.empty()) out.append(blank_lines + 1, '\n');
    blank_lines = 0;
    out += text;
  }
  return out;
}

class JsonDump {
 public:
  explicit JsonDump(DumpPlaces places) : places_(places == DumpPlaces::kYes) {}

  std::string run(const Document& document) {
    open('{');
    if (document.feature) {
      key("feature");
      node(*document.feature);
    }
    list("comments", document.comments, [&](const Comment& comment) {
      open('{');
      place(comment.place);
      member("text", places_ ? comment.text : trim_both(comment.text));
      close('}');
    });
    close('}');
    return std::move(out_);
  }

 private:
  void separate() {
    if (need_comma_) out_ += ',';
    need_comma_ = false;
  }
  void open(char bracket) {
    separate();
    out_ += bracket;
  }
  void close(char bracket) {
    out_ += bracket;
    need_comma_ = true;
  }
  void key(std::string_view name) {
    separate();
    append_json_quoted(out_, name);
    out_ += ':';
  }
  void string(std::string_view text) {
    separate();
    append_json_quoted(out_, text);
    need_comma_ = true;
  }
  void member(std::string_view name, std::string_view text) {
    key(name);
    string(text);
  }
  void place(const Place& place) {
    if (!places_) return;
    key("at");
    out_ += fmt::format("[{},{}]", place.line, place.column);
    need_comma_ = true;
  }
  template <typename Items, typename Write>
  void list(std::string_view name, const Items& items, const Write& write) {
    key(name);
    open('[');
    for (const auto& item : items) write(item);
    close(']');
  }
  template <typename Items>
  void nodes(std::string_view name, const Items& items) {
    list(name, items, [&](const auto& item) { node(item); });
  }

  template <typename Node>
  void tags_of(const Node& owner) {
    list("tags", owner.tags, [&](const Tag& tag) {
      open('{');
      place(tag.place);
      member("name", tag.name);
      close('}');
    });
    annotations_of(owner.annotations);
  }
  void annotations_of(const std::vector<Annotation>& annotations) {
    if (annotations.empty()) return;
    list("annotations", annotations, [&](const Annotation& annotation) { string(to_text(annotation)); });
  }
  template <typename Node>
  void title_of(const Node& owner) {
    place(owner.place);
    member("keyword", owner.keyword);
    member("name", owner.name);
    member("description", places_ ? owner.description : without_indentation(owner.description));
  }
  void sections_of(const std::vector<Section>& sections) {
    if (sections.empty()) return;
    list("sections", sections, [&](const Section& section) {
      open('{');
      member("kind", section_name(section.kind));
      key("afterSteps");
      out_ += section.after_steps ? "true" : "false";
      need_comma_ = true;
      list("items", section.items, [&](const SectionItem& item) {
        open('{');
        place(item.place);
        if (!item.key.empty()) member("key", item.key);
        member("text", item.text);
        close('}');
      });
      close('}');
    });
  }

  void node(const TableRow& row) {
    open('{');
    place(row.place);
    list("cells", row.cells, [&](const TableCell& cell) {
      open('{');
      place(cell.place);
      member("value", cell.value);
      close('}');
    });
    close('}');
  }
  void node(const Step& step) {
    open('{');
    place(step.place);
    annotations_of(step.annotations);
    member("keyword", step.keyword);
    member("keywordType", keyword_type_name(step.keyword_type));
    member("text", step.text);
    if (step.table) {
      key("table");
      open('{');
      place(step.table->place);
      nodes("rows", step.table->rows);
      close('}');
    }
    if (step.doc_string) {
      key("docString");
      open('{');
      place(step.doc_string->place);
      member("content", step.doc_string->content);
      member("delimiter", step.doc_string->delimiter);
      member("mediaType", step.doc_string->media_type);
      close('}');
    }
    close('}');
  }
  void node(const Background& background) {
    open('{');
    title_of(background);
    nodes("steps", background.steps);
    close('}');
  }
  void node(const Examples& examples) {
    open('{');
    tags_of(examples);
    title_of(examples);
    if (examples.header) {
      key("header");
      node(*examples.header);
    }
    nodes("body", examples.body);
    close('}');
  }
  void node(const Scenario& scenario) {
    open('{');
    tags_of(scenario);
    title_of(scenario);
    sections_of(scenario.sections);
    nodes("steps", scenario.steps);
    nodes("examples", scenario.examples);
    close('}');
  }
  void node(const Rule& rule) {
    open('{');
    tags_of(rule);
    title_of(rule);
    if (rule.background) {
      key("background");
      node(*rule.background);
    }
    nodes("scenarios", rule.scenarios);
    close('}');
  }
  void node(const Feature& feature) {
    open('{');
    member("language", feature.language);
    tags_of(feature);
    title_of(feature);
    sections_of(feature.sections);
    if (feature.background) {
      key("background");
      node(*feature.background);
    }
    nodes("scenarios", feature.scenarios);
    nodes("rules", feature.rules);
    close('}');
  }

  bool places_;
  bool need_comma_ = false;
  std::string out_;
};

class Outline {
 public:
  std::string run(const Document& document) {
    if (document.feature) feature(*document.feature);
    for (const auto& comment : document.comments) line(0, comment.place, "comment " + json_quote(comment.text));
    return std::move(out_);
  }

 private:
  void line(int depth, const Place& place, std::string_view text) {
    out_ += fmt::format("{:>7}  {}{}\n", fmt::format("{}:{}", place.line, place.column),
                        std::string(static_cast<size_t>(depth) * 2, ' '), text);
  }

  template <typename Node>
  void tags_of(int depth, const Node& owner) {
    for (const auto& tag : owner.tags) line(depth, tag.place, fmt::format("tag {}", tag.name));
    annotations_of(depth, owner.annotations);
  }
  void annotations_of(int depth, const std::vector<Annotation>& annotations) {
    for (const auto& annotation : annotations) {
      line(depth, annotation.place, fmt::format("annotation {}", to_text(annotation)));
    }
  }
  template <typename Node>
  void title_of(int depth, std::string_view kind, const Node& owner) {
    line(depth, owner.place, fmt::format("{} {} {}", kind, json_quote(owner.keyword), json_quote(owner.name)));
    if (!owner.description.empty()) {
      line(depth + 1, owner.place, fmt::format("description {}", json_quote(owner.description)));
    }
  }
  void sections_of(int depth, const std::vector<Section>& sections) {
    for (const auto& section : sections) {
      line(depth, section.place,
           fmt::format("section {}{}", section_name(section.kind), section.after_steps ? " (after the steps)" : ""));
      for (const auto& item : section.items) {
        line(depth + 1, item.place,
             item.key.empty() ? fmt::format("- {}", item.text) : fmt::format("{}: {}", item.key, item.text));
      }
    }
  }
  void row(int depth, std::string_view kind, const TableRow& row) {
    std::string cells;
    for (const auto& cell : row.cells) cells += fmt::format(" {}@{}", json_quote(cell.value), cell.place.column);
    line(depth, row.place, fmt::format("{}{}", kind, cells));
  }
  void steps(int depth, const std::vector<Step>& list) {
    for (const auto& step : list) {
      annotations_of(depth, step.annotations);
      line(depth, step.place,
           fmt::format("step {} {} {}", json_quote(step.keyword), keyword_type_name(step.keyword_type),
                       json_quote(step.text)));
      if (step.table) {
        for (const auto& cells : step.table->rows) row(depth + 1, "row", cells);
      }
      if (step.doc_string) {
        const auto& doc = *step.doc_string;
        line(depth + 1, doc.place,
             fmt::format("doc string {} {} {}", doc.delimiter, json_quote(doc.media_type), json_quote(doc.content)));
      }
    }
  }
  void background(int depth, const Background& node) {
    title_of(depth, "background", node);
    steps(depth + 1, node.steps);
  }
  void scenario(int depth, const Scenario& node) {
    tags_of(depth, node);
    title_of(depth, "scenario", node);
    sections_of(depth + 1, node.sections);
    steps(depth + 1, node.steps);
    for (const auto& examples : node.examples) {
      tags_of(depth + 1, examples);
      title_of(depth + 1, "examples", examples);
      if (examples.header) row(depth + 2, "header", *examples.header);
      for (const auto& cells : examples.body) row(depth + 2, "row", cells);
    }
  }
  void feature(const Feature& node) {
    tags_of(0, node);
    title_of(0, "feature " + node.language, node);
    sections_of(1, node.sections);
    if (node.background) background(1, *node.background);
    for (const auto& child : node.scenarios) scenario(1, child);
    for (const auto& rule : node.rules) {
      tags_of(1, rule);
      title_of(1, "rule", rule);
      if (rule.background) background(2, *rule.background);
      for (const auto& child : rule.scenarios) scenario(2, child);
    }
  }

  std::string out_;
};

std::string quote_argument(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string dump_json(const Document& document, DumpPlaces places) { return JsonDump(places).run(document); }

std::string dump_outline(const Document& document) { return Outline().run(document); }

std::string to_text(const Literal& literal) {
  switch (literal.kind) {
    case Literal::Kind::kString:
      return quote_argument(literal.text);
    case Literal::Kind::kNumber:
    case Literal::Kind::kWord:
      return literal.text;
    case Literal::Kind::kList:
      break;
  }
  std::string out = "[";
  for (const auto& item : literal.items) {  // lists nest at most a few deep, by the parser
    if (out.size() > 1) out += ", ";
    out += to_text(item);
  }
  return out + "]";
}

std::string to_text(const Annotation& annotation) {
  std::string out = "@" + std::string(annotation.name);
  if (annotation.bare) return out;
  out += '(';
  for (const auto& argument : annotation.arguments) {
    if (out.back() != '(') out += ", ";
    if (!argument.key.empty()) out += argument.key + "=";
    out += to_text(argument.value);
  }
  return out + ")";
}

}  // namespace runink::dsl
