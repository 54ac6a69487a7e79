#include "data/dsl/annotations.h"

#include <algorithm>
#include <cmath>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/compile.h"

namespace runink::dsl {
namespace {

enum class ArgumentKind { kText, kTexts, kInteger, kNumber, kBytes, kDuration, kFlag, kCharacter, kChoice };

struct ArgumentSpec {
  std::string_view name;
  ArgumentKind kind = ArgumentKind::kText;
  int position = -1;  // of a positional argument; -1: by key only
  std::vector<std::string_view> choices;
};

struct AnnotationSpec {
  std::string_view name;
  std::vector<ArgumentSpec> arguments;
  std::vector<std::string_view> one_of;  // at least one of these must be given
  bool repeats = false;
  bool any_key = false;
  std::string_view use, help;
};

using enum ArgumentKind;

std::vector<ArgumentSpec> endpoint_arguments() {
  return {{"path", kText, 0},
          {"exec"},
          {"format"},
          {"compression"},
          {"delimiter", kCharacter},
          {"quote", kCharacter},
          {"escape", kCharacter},
          {"header", kFlag},
          {"null"}};
}

std::vector<AnnotationSpec> make_specs() {
  std::vector<ArgumentSpec> source = endpoint_arguments();
  source.push_back({"comment", kCharacter});
  source.push_back({"trim", kFlag});
  source.push_back({"open", kFlag});
  std::vector<ArgumentSpec> sink = endpoint_arguments();
  sink.push_back({"mode", kChoice, -1, {"replace", "append", "fail"}});
  sink.push_back({"name"});
  sink.push_back({"crlf", kFlag});
  return {
      {"source",
       source,
       {"path", "exec"},
       false,
       false,
       "@source(\"data/x.ndjson\") or @source(exec=\"program …\", format=\"csv\")",
       "Where records come from. Also: compression, delimiter, quote, escape, comment, header, null, trim, open."},
      {"sink",
       sink,
       {"path", "exec"},
       false,
       false,
       "@sink(\"out/x.csv\", mode=\"append\")",
       "Where records go: mode is replace, append (NDJSON, or CSV with the same columns; lines end as those that are there) "
       "or fail. Also: format, compression, delimiter, quote, escape, header, null, crlf, name, exec. Never one of the "
       "project's own files: contracts, features, steps, golden cases, runink.toml, .runink."},
      {"contract",
       {{"path", kText, 0}},
       {"path"},
       false,
       false,
       "@contract(\"contracts/x.contract#Name\")",
       "The contract of the source, joined file, check or custom step that follows."},
      {"step",
       {{"name", kText, 0}, {"contract"}, {"timeout", kDuration}},
       {"name"},
       false,
       false,
       "@step(\"Name\", contract=\"contracts/out.contract\")",
       "A C++ step of the project, built by `runi compile`."},
      {"exec",
       {{"command", kText, 0}, {"name"}, {"format"}, {"contract"}, {"timeout", kDuration}},
       {"command"},
       false,
       false,
       "@exec(\"python3 steps/score.py\", format=\"arrow\")",
       "A program that reads records on standard input and writes records on standard output."},
      {"requires",
       {{"cpu", kNumber}, {"memory", kBytes}, {"gpu", kInteger}, {"label"}},
       {"cpu", "memory", "gpu", "label"},
       false,
       false,
       "@requires(cpu=2, memory=\"512Mi\", gpu=1, label=\"fast\")",
       "What the step, or the scenario, needs. Above a scenario, cpu bounds its worker threads and memory its budget."},
      {"affinity",
       {},
       {},
       true,
       true,
       "@affinity(colocate_with=\"step:Name\", domain=\"finance\")",
       "Where a cluster should place the step."},
      {"retry",
       {{"times", kInteger, 0}},
       {"times"},
       false,
       false,
       "@retry(3)",
       "How often a custom step, or above a scenario the whole of it, is run again when it fails."},
      {"timeout",
       {{"after", kDuration, 0}},
       {"after"},
       false,
       false,
       "@timeout(\"5m\")",
       "How long a custom step may go without progress; above a scenario, how long the whole of it may take."},
      {"secret",
       {{"name", kText, 0}, {"env"}},
       {"name"},
       true,
       false,
       "@secret(\"api_key\", env=\"API_KEY\")",
       "A secret the step may read as a file, or from an environment variable."},
      {"network",
       {{"endpoint", kText, 0}},
       {"endpoint"},
       true,
       false,
       "@network(\"api.example.org:443\")",
       "An endpoint that the step may connect to."},
      {"partition",
       {{"by", kTexts, 0}, {"count", kInteger}},
       {"by"},
       false,
       false,
       "@partition(by=\"origin\", count=8)",
       "How a cluster spreads the records."},
      {"checkpoint", {}, {}, false, false, "@checkpoint", "Keeps all of the step's output for `runi show`."},
      {"schedule",
       {{"cron", kText, 0}, {"zone"}},
       {"cron"},
       false,
       false,
       "@schedule(\"0 6 * * *\")",
       "When a cluster runs the scenario."},
  };
}

const std::vector<AnnotationSpec>& specs() {
  static const std::vector<AnnotationSpec> kSpecs = make_specs();
  return kSpecs;
}

class Reader {
 public:
  Reader(const SourceText& source, const Substitution* substitution, Diagnostics* diagnostics)
      : source_(source), substitution_(substitution), diagnostics_(diagnostics) {}

  bool read(const Annotation& annotation, const AnnotationSpec& spec, ReadAnnotation* out) {
    out->name = spec.name;
    out->span = annotation.place.span;
    bool good = true;
    int position = 0;
    for (const Argument& argument : annotation.arguments) good = read_argument(argument, spec, &position, out) && good;
    if (!good) return false;
    const bool given = spec.one_of.empty() || std::any_of(spec.one_of.begin(), spec.one_of.end(),
                                                          [&](auto key) { return out->values.count(key) != 0; });
    if (!given) {
      error(annotation.place.span, fmt::format("@{} says nothing", spec.name))
          .push_back("write " + std::string(spec.use));
      return false;
    }
    out->written = canonical(annotation, spec);
    return true;
  }

 private:
  std::vector<std::string>& error(Span span, std::string message) {
    return diagnostics_->error(source_, span, "dsl.annotation", std::move(message)).help;
  }

  bool read_argument(const Argument& argument, const AnnotationSpec& spec, int* position, ReadAnnotation* out) {
    const ArgumentSpec* wanted = nullptr;
    for (const ArgumentSpec& a : spec.arguments) {
      if (argument.key.empty() ? a.position == *position : a.name == argument.key) wanted = &a;
    }
    if (argument.key.empty()) ++*position;
    if (wanted == nullptr) {
      if (spec.any_key && !argument.key.empty()) {
        AnnotationValue value;
        if (!read_value(argument.value, {argument.key, kTexts}, &value)) return false;
        out->others.emplace_back(argument.key, std::move(value));
        return true;
      }
      unknown_argument(argument, spec);
      return false;
    }
    if (out->values.count(wanted->name) != 0) {
      error(argument.place.span, fmt::format("`{}` is given twice", wanted->name));
      return false;
    }
    AnnotationValue value;
    if (!read_value(argument.value, *wanted, &value)) return false;
    out->values.emplace(std::string(wanted->name), std::move(value));
    return true;
  }

  void unknown_argument(const Argument& argument, const AnnotationSpec& spec) {
    std::vector<std::string> names;
    for (const auto& a : spec.arguments) names.emplace_back(a.name);
    if (argument.key.empty()) {
      error(argument.place.span, fmt::format("@{} takes no value without a name here", spec.name))
          .push_back("write " + std::string(spec.use));
      return;
    }
    auto& help = error(argument.place.span, fmt::format("@{} has no argument `{}`", spec.name, argument.key));
    const auto near = nearest(argument.key, names);
    if (!near.empty())
      help.push_back("did you mean `" + near[0] + "`?");
    else if (names.empty())
      help.push_back(fmt::format("@{} takes no arguments", spec.name));
    else
      help.push_back("it takes " + join(names, ", "));
  }

  std::string text_of(const Literal& literal) {
    bool changed = false;
    return substitution_ != nullptr ? substitution_->apply(literal.text, &changed) : literal.text;
  }

  bool wrong(const Literal& literal, const ArgumentSpec& spec, std::string_view what) {
    error(literal.place.span, fmt::format("`{}` must be {}", spec.name, what));
    return false;
  }

  bool read_value(const Literal& literal, const ArgumentSpec& spec, AnnotationValue* out) {
    out->span = literal.place.span;
    if (literal.kind == Literal::Kind::kList) {
      if (spec.kind != kTexts) return wrong(literal, spec, "one value, not a list");
      for (const Literal& item : literal.items) {
        if (item.kind == Literal::Kind::kList) return wrong(item, spec, "a list of texts");
        out->items.push_back(text_of(item));
      }
      out->text = join(out->items, ", ");
      return true;
    }
    out->text = text_of(literal);
    const std::string& text = out->text;
    switch (spec.kind) {
      case kText:
      case kTexts:
        if (text.empty()) return wrong(literal, spec, "a text that is not empty");
        if (text.find('\0') != std::string::npos) return wrong(literal, spec, "a text without NUL");
        out->items = {text};
        return true;
      case kInteger:
      case kNumber: {
        char* end = nullptr;
        out->number = std::strtod(text.c_str(), &end);
        const bool whole = !text.empty() && *end == 0 && std::isfinite(out->number) && out->number >= 0;
        if (spec.kind == kNumber)
          return whole && out->number > 0 && out->number <= 1e6 ? true : wrong(literal, spec, "a number above 0");
        if (!whole || out->number != std::floor(out->number) || out->number > 1e6)
          return wrong(literal, spec, "a whole number from 0 to 1,000,000");
        out->integer = static_cast<int64_t>(out->number);
        return true;
      }
      case kBytes:
        if (!parse_bytes(text, &out->bytes) || out->bytes == 0)
          return wrong(literal, spec, "an amount such as 512Mi or 2GB");
        return true;
      case kDuration:
        if (!parse_duration_micros(text, &out->micros) || out->micros <= 0)
          return wrong(literal, spec, "a time such as 30s or 5m");
        return true;
      case kFlag:
        if (text != "true" && text != "false") return wrong(literal, spec, "true or false");
        out->flag = text == "true";
        return true;
      case kCharacter:
        if (text == "tab")
          out->text = "\t";
        else if (text == "none")
          out->text = std::string(1, '\0');
        else if (text.size() != 1 || static_cast<unsigned char>(text[0]) >= 0x80 || text[0] == '\n' ||
                 text[0] == '\r' || text[0] == 0)
          return wrong(literal, spec, "one ASCII character, or tab or none");
        return true;
      case kChoice: {
        std::vector<std::string> choices(spec.choices.begin(), spec.choices.end());
        if (std::find(choices.begin(), choices.end(), text) != choices.end()) return true;
        auto& help = error(literal.place.span, fmt::format("`{}` cannot be `{}`", spec.name, text));
        const auto near = nearest(text, choices);
        help.push_back(near.empty() ? "it is one of " + join(choices, ", ") : "did you mean `" + near[0] + "`?");
        return false;
      }
    }
    return false;
  }

  // Positional arguments first, then keys in the order written: equal annotations have equal text.
  std::string canonical(const Annotation& annotation, const AnnotationSpec& spec) {
    std::string out = "@" + std::string(spec.name);
    if (annotation.arguments.empty()) return out;
    std::vector<std::string> parts;
    for (const Argument& a : annotation.arguments) {
      std::string value;
      if (a.value.kind == Literal::Kind::kList) {
        std::vector<std::string> items;
        for (const auto& item : a.value.items) items.push_back(json_quote(text_of(item)));
        value = "[" + join(items, ", ") + "]";
      } else {
        value = a.value.kind == Literal::Kind::kNumber ? a.value.text : json_quote(text_of(a.value));
      }
      parts.push_back(a.key.empty() ? value : a.key + "=" + value);
    }
    return out + "(" + join(parts, ", ") + ")";
  }

  const SourceText& source_;
  const Substitution* substitution_;
  Diagnostics* diagnostics_;
};

}  // namespace

std::string Substitution::apply(std::string_view text, bool* changed) const {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = text.find('<', at);
    const size_t close = open == std::string_view::npos ? open : text.find('>', open);
    if (close == std::string_view::npos) break;
    const std::string_view name = text.substr(open + 1, close - open - 1);
    size_t cell = header->cells.size();
    for (size_t i = 0; i < header->cells.size(); ++i) {
      if (header->cells[i].value == name) cell = i;
    }
    if (cell < row->cells.size()) {
      out += text.substr(at, open - at);
      out += row->cells[cell].value;
      at = close + 1;
      *changed = true;
    } else {  // "a < b and <x>": only this bracket is plain
      out += text.substr(at, open + 1 - at);
      at = open + 1;
    }
  }
  out += text.substr(at);
  return out;
}

const AnnotationValue* ReadAnnotation::find(std::string_view key) const {
  const auto it = values.find(key);
  return it == values.end() ? nullptr : &it->second;
}

std::string ReadAnnotation::text(std::string_view key) const {
  const AnnotationValue* value = find(key);
  return value == nullptr ? "" : value->text;
}

const ReadAnnotation* AnnotationSet::find(std::string_view name) const {
  for (const auto& a : list) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

bool AnnotationSet::is_broken(std::string_view name) const {
  return std::find(broken.begin(), broken.end(), name) != broken.end();
}

AnnotationSetPtr read_annotations(const SourceText& source, const std::vector<Annotation>& annotations,
                                  const Substitution* substitution, Diagnostics* diagnostics) {
  static const AnnotationSetPtr kEmpty = std::make_shared<const AnnotationSet>();
  if (annotations.empty()) return kEmpty;
  auto set = std::make_shared<AnnotationSet>();
  Reader reader(source, substitution, diagnostics);
  for (const Annotation& annotation : annotations) {
    const auto spec =
        std::find_if(specs().begin(), specs().end(), [&](const auto& s) { return s.name == annotation.name; });
    if (spec == specs().end()) continue;  // the parser knows no other names
    if (!spec->repeats && set->find(spec->name) != nullptr) {
      diagnostics->error(source, annotation.place.span, "dsl.annotation",
                         fmt::format("@{} is given twice for the same thing", spec->name));
      continue;
    }
    ReadAnnotation read;
    if (reader.read(annotation, *spec, &read))
      set->list.push_back(std::move(read));
    else
      set->broken.push_back(spec->name);
  }
  return set;
}

const std::vector<AnnotationHelp>& annotation_help() {
  static const std::vector<AnnotationHelp> kHelp = [] {
    std::vector<AnnotationHelp> out;
    for (const auto& s : specs()) out.push_back({std::string(s.name), std::string(s.use), std::string(s.help)});
    return out;
  }();
  return kHelp;
}

}  // namespace runink::dsl
