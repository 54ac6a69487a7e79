// Sources: files, programs, standard input, and outputs of other scenarios.
#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/dsl/scenario_compiler.h"
#include "platform/os/shell_words.h"

namespace runink::dsl {

using plan::Input;

namespace {

void add_hint(const Status& status, Diagnostic* d) {
  if (!status.hint().empty()) d->help.push_back(status.hint());
}

// "the late flights" → "flights": a further source is known by its last word.
std::string last_word(const std::string& noun) {
  const size_t space = noun.find_last_of(" \t");
  return space == std::string::npos ? noun : noun.substr(space + 1);
}

}  // namespace

bool ScenarioCompiler::read_dialect(const ReadAnnotation& a, bool is_sink, Endpoint* out) {
  plan::Dialect& d = out->dialect;
  const auto character = [&](const char* key, char* to) {
    if (const AnnotationValue* v = a.find(key)) *to = v->text[0];
  };
  for (const char* key : {"delimiter", "quote", "escape", "comment", "header", "trim", "null", "crlf"}) {
    const AnnotationValue* v = a.find(key);
    if (v == nullptr || out->format == "csv") continue;
    error(v->span, "dsl.annotation", fmt::format("`{}` means nothing for format {}", key, out->format))
        .help.push_back("it is for csv");
    return false;
  }
  character("delimiter", &d.delimiter);
  character("quote", &d.quote);
  character("escape", &d.escape);
  character("comment", &d.comment);
  if (const AnnotationValue* v = a.find("header")) d.header = v->flag;
  if (const AnnotationValue* v = a.find("trim")) d.trim = v->flag;
  if (const AnnotationValue* v = a.find("crlf")) d.crlf = v->flag;
  d.null_text = a.text("null");
  const std::pair<const char*, char> marks[] = {
      {"delimiter", d.delimiter}, {"quote", d.quote}, {"escape", d.escape}, {"comment", d.comment}};
  if (d.delimiter == 0) {
    error(a.span, "dsl.annotation", "a csv file needs a delimiter");
    return false;
  }
  for (const auto& x : marks) {
    for (const auto& y : marks) {
      if (&x >= &y || x.second == 0 || x.second != y.second) continue;
      error(a.span, "dsl.annotation", fmt::format("`{}` and `{}` are the same character", x.first, y.first));
      return false;
    }
  }
  return true;
}

std::optional<Endpoint> ScenarioCompiler::endpoint(const ReadAnnotation* a, const Capture* file, bool is_sink) {
  Endpoint out;
  out.span = file != nullptr ? span_of(*file) : a->span;
  if (file != nullptr && a != nullptr && (a->find("path") != nullptr || a->find("exec") != nullptr)) {
    error(a->span, "dsl.two_places", "the sentence names a place, and so does the annotation")
        .help.push_back("leave one of them out");
    return std::nullopt;
  }
  const AnnotationValue* exec = a != nullptr ? a->find("exec") : nullptr;
  if (exec != nullptr && a->find("path") != nullptr) {
    error(a->span, "dsl.two_places", "a path and a program: which of them?");
    return std::nullopt;
  }
  out.locator = exec != nullptr ? exec->text : file != nullptr ? file->text : a->text("path");
  if (exec != nullptr) {
    out.program = true;
    Result<std::vector<std::string>> words = os::split_command(exec->text);
    if (!words.ok() || words->empty()) {
      auto& d = error(
          exec->span, "dsl.command",
          words.ok() ? "the command is empty" : "cannot split the command into words: " + words.status().message());
      if (!words.ok()) add_hint(words.status(), &d);
      return std::nullopt;
    }
    out.exec = std::move(*words);
    std::string_view program = out.exec[0];
    if (const size_t slash = program.rfind('/'); slash != std::string_view::npos) program.remove_prefix(slash + 1);
    out.facts.stem = std::string(program);
  } else {
    Result<plan::LocatorFacts> facts = plan::locator_facts(out.locator);
    if (!facts.ok()) {
      auto& d = error(out.span, "dsl.locator", facts.status().message());
      add_hint(facts.status(), &d);
      return std::nullopt;
    }
    out.facts = std::move(*facts);
    if (is_sink && out.facts.glob) {
      error(out.span, "dsl.locator", fmt::format("a sink is one file, and {} is a pattern", out.locator));
      return std::nullopt;
    }
    if (out.facts.kind == plan::LocatorFacts::Kind::kStandard) out.facts.stem = is_sink ? "stdout" : "stdin";
  }
  out.format = out.facts.format;
  out.compression = out.facts.compression;
  out.dialect.delimiter = out.facts.delimiter;
  if (a != nullptr) {
    if (const AnnotationValue* v = a->find("format")) {
      Result<std::string> format = plan::canonical_format(v->text);
      if (!format.ok()) {
        auto& d = error(v->span, "dsl.format", format.status().message());
        add_hint(format.status(), &d);
        return std::nullopt;
      }
      out.format = *format;
      out.dialect.delimiter = equals_ignore_case(v->text, "tsv")   ? '\t'
                              : equals_ignore_case(v->text, "csv") ? ','
                                                                   : out.dialect.delimiter;
    }
    if (const AnnotationValue* v = a->find("compression")) {
      Result<std::string> compression = plan::canonical_compression(v->text);
      if (!compression.ok()) {
        auto& d = error(v->span, "dsl.format", compression.status().message());
        add_hint(compression.status(), &d);
        return std::nullopt;
      }
      out.compression = *compression;
    }
    out.open = a->find("open") != nullptr && a->find("open")->flag;
    out.name = a->text("name");
    if (const AnnotationValue* v = a->find("mode")) {
      out.mode = v->text;
      if (out.program || out.facts.kind == plan::LocatorFacts::Kind::kStandard) {
        error(v->span, "dsl.annotation", "`mode` means nothing for a pipe").help.push_back("it is for files");
        return std::nullopt;
      }
    }
  }
  if (out.format.empty()) {
    error(out.span, "dsl.format",
          fmt::format("the format of {} is not known", out.program ? "a program's data" : out.locator))
        .help.push_back(
            fmt::format("write @{}(…, format=\"ndjson\"), or csv, tsv, arrow", is_sink ? "sink" : "source"));
    return std::nullopt;
  }
  if (a != nullptr && !read_dialect(*a, is_sink, &out)) return std::nullopt;
  return out;
}

plan::ContractPtr ScenarioCompiler::named_contract(const Capture* in_sentence, bool with_defaults, bool* failed) {
  const ReadAnnotation* a = own("contract");
  if (in_sentence != nullptr && a != nullptr) {
    error(a->span, "dsl.two_places", "the sentence names a contract, and so does the annotation")
        .help.push_back("leave one of them out");
    *failed = true;
    return nullptr;
  }
  if (in_sentence == nullptr && a == nullptr && with_defaults) a = inherited("contract");
  if (in_sentence == nullptr && a == nullptr) {
    *failed = *failed || is_broken("contract");
    return nullptr;
  }
  plan::ContractPtr contract = in_sentence != nullptr ? context_.contract(in_sentence->text, span_of(*in_sentence))
                                                      : context_.contract(a->text("path"), a->find("path")->span);
  if (contract == nullptr) *failed = failed_ = true;
  return contract;
}

std::optional<Input> ScenarioCompiler::add_source(const Endpoint& e, plan::ContractPtr contract, bool check_now) {
  plan::Source source;
  source.locator = e.locator;
  source.exec = e.exec;
  source.format = e.format;
  source.compression = e.compression;
  source.dialect = e.dialect;
  source.contract = contract;
  source.open = e.open || (contract != nullptr && contract->open);
  const auto id = static_cast<OperatorId>(plan_.operators.size());
  Columns columns;
  if (contract != nullptr) {
    columns = source_columns(id, *contract);
  } else if (e.program || e.facts.kind == plan::LocatorFacts::Kind::kStandard) {
    error(e.span, "dsl.schema",
          fmt::format("the fields of {} can only be known from a contract",
                      e.program ? "a program's output" : "standard input"))
        .help.push_back("write @contract(\"contracts/….contract\") beside the source");
    return std::nullopt;
  } else {
    const auto schema = context_.inferred(source, e.span);
    if (!schema) {
      failed_ = true;
      return std::nullopt;
    }
    columns = source_columns(id, *schema);
    if (e.format == "csv" && !e.dialect.header) {
      error(e.span, "dsl.schema", fmt::format("{} has no header, so its fields have no names", e.locator))
          .help.push_back("write @contract(\"contracts/….contract\") beside the source");
      return std::nullopt;
    }
  }
  source.open = source.open && index_of(columns, columnar::kOpenColumn) < 0;
  if (source.open) columns.push_back(open_source_column(id, columns.size()));
  Input at{add(std::move(source), "read " + e.facts.stem, {}, std::move(columns)), 0};
  if (check_now && contract != nullptr) {
    bool failed = false;
    at = add_check(at, contract, e.span, &failed);
  }
  return at;
}

void ScenarioCompiler::begin_or_name(std::optional<Input> at, plan::ContractPtr contract, Span span) {
  if (!flow_.started) {
    flow_.started = true;
    flow_.at = at;
    flow_.unknown = !at.has_value();
    flow_.contract = std::move(contract);
    return;
  }
  const Capture* as = capture("name");
  const Capture* noun = capture("records");
  const std::string name = as != nullptr ? as->text : noun != nullptr ? last_word(noun->text) : "";
  if (name.empty()) {
    error(span, "dsl.unused_input", "a further source needs a name, so that a join or union can use it")
        .help.push_back("write `as NAME` at the end");
    return;
  }
  const auto [it, added] = inputs_.try_emplace(name);
  if (!added) {
    error(span, "dsl.duplicate_name", fmt::format("there is an input named `{}` already", name))
        .help.push_back("use another noun, or one source less");
    return;
  }
  it->second.span = span;
  it->second.unknown = !at.has_value();
  if (at) it->second.at = *at;
}

void ScenarioCompiler::source() {
  const bool first = !flow_.started;
  const Capture* file = capture("file");
  const ReadAnnotation* a = own("source");
  if (a == nullptr && file == nullptr && first) a = inherited("source");
  bool failed = false;
  plan::ContractPtr contract = named_contract(capture("contract"), first, &failed);
  std::optional<Endpoint> e;
  if (a == nullptr && file == nullptr && is_broken("source")) {
    failed = true;
  } else if (a == nullptr && file == nullptr) {
    error(step_span(), "dsl.source_missing", "nothing says where these records come from")
        .help.push_back("write @source(\"data/….ndjson\") on the line above");
  } else {
    e = endpoint(a, file, false);
  }
  std::optional<Input> at;
  if (e && !failed) at = add_source(*e, contract, !first);
  begin_or_name(at, std::move(contract), step_span());
}

// ---- other scenarios
// --------------------------------------------------------------------------------------------------

std::optional<Input> ScenarioCompiler::add_scenario_input(const std::string& scenario, const std::string& sink,
                                                          Span span) {
  // The driver has seen to it that the scenario exists, stands earlier and is not this one.
  const plan::ScenarioPlan* from = nullptr;
  std::string found = scenario;
  if (!scenario.empty()) {
    from = context_.plan.scenario(scenario);
  } else {
    for (const auto& s : context_.plan.scenarios) {
      for (const auto& op : s.operators) {
        const auto* named = std::get_if<plan::Sink>(&op.parameters);
        if (named != nullptr && named->name == sink) from = &s, found = s.name;
      }
    }
  }
  if (from == nullptr) {  // it has errors of its own
    failed_ = true;
    return std::nullopt;
  }
  const plan::Operator* source = nullptr;
  if (sink.empty()) {
    if (from->valid.empty()) {
      error(span, "dsl.unknown_scenario", fmt::format("scenario \"{}\" ends in branches and has no one output", found))
          .help.push_back("name one of its sinks: `the output of sink \"…\" of scenario \"" + found + "\"`");
      return std::nullopt;
    }
    source = &from->operators[from->valid[0].from];
  } else {
    std::vector<std::string> names;
    for (const auto& op : from->operators) {
      const auto* s = std::get_if<plan::Sink>(&op.parameters);
      if (s == nullptr || s->rejected) continue;
      names.push_back(s->name);
      if (s->name == sink) source = &from->operators[op.inputs[0].from];
    }
    if (source == nullptr) {
      auto& d = error(span, "dsl.unknown_scenario", fmt::format("scenario \"{}\" has no sink `{}`", found, sink));
      const auto near = nearest(sink, names);
      if (!near.empty())
        d.help.push_back("did you mean `" + near[0] + "`?");
      else
        d.help.push_back(names.empty() ? "it has no sinks" : "its sinks are " + join(names, ", "));
      return std::nullopt;
    }
  }
  const auto id = static_cast<OperatorId>(plan_.operators.size());
  Columns columns;
  for (const auto& c : source->columns) {
    plan::ColumnInfo own_column;
    own_column.field = c.field;
    own_column.pii = c.pii;
    own_column.qualifier = c.qualifier;
    own_column.lineage = {{id, c.field.name, "IDENTITY", false}};
    columns.push_back(std::move(own_column));
  }
  if (std::find(plan_.needs_scenarios.begin(), plan_.needs_scenarios.end(), found) == plan_.needs_scenarios.end()) {
    plan_.needs_scenarios.push_back(found);
  }
  return Input{add(plan::ScenarioInput{found, sink}, "input " + (sink.empty() ? found : sink), {}, std::move(columns)),
               0};
}

void ScenarioCompiler::scenario_output(const std::string& scenario, const std::string& sink, Span span) {
  begin_or_name(add_scenario_input(scenario, sink, span), nullptr, step_span());
}

std::optional<Input> ScenarioCompiler::other_side(std::string* name) {
  if (const Capture* scenario = capture("scenario")) {
    *name = scenario->text;
    return add_scenario_input(scenario->text, "", span_of(*scenario));
  }
  const Capture& input = *capture("input");
  const Capture* contract_name = capture("contract");
  if (!input.quoted) {
    *name = input.text;
    const auto it = inputs_.find(input.text);
    if (it == inputs_.end()) {
      auto& d = error(span_of(input), "dsl.unknown_input", fmt::format("there is no input named `{}`", input.text));
      std::vector<std::string> names;
      for (const auto& [n, i] : inputs_) names.push_back(n);
      const auto near = nearest(input.text, names);
      if (!near.empty())
        d.help.push_back("did you mean `" + near[0] + "`?");
      else
        d.help.push_back("a file is named in quotes: \"data/" + input.text +
                         ".csv\"; an input arrives in a Given step of its own");
      return std::nullopt;
    }
    if (contract_name != nullptr || own("contract") != nullptr) {
      error(step_span(), "dsl.two_places", fmt::format("the contract of `{}` stands with its own source", input.text));
      return std::nullopt;
    }
    if (it->second.used) {
      error(span_of(input), "dsl.unknown_input", fmt::format("`{}` is used twice", input.text))
          .help.push_back("name the file in quotes each time, or let it arrive twice under two names");
      return std::nullopt;
    }
    it->second.used = true;
    if (it->second.unknown) return std::nullopt;
    return it->second.at;
  }
  bool failed = false;
  plan::ContractPtr contract = named_contract(contract_name, false, &failed);
  const auto e = endpoint(nullptr, &input, false);
  if (!e || failed) return std::nullopt;
  *name = e->facts.stem;
  return add_source(*e, std::move(contract), true);
}

}  // namespace runink::dsl
