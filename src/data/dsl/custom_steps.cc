// Custom steps: C++ steps of the project, and any program.
#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/dsl/scenario_compiler.h"
#include "platform/os/shell_words.h"

namespace runink::dsl {

using plan::Input;

void ScenarioCompiler::custom(bool program) {
  const char* annotation_name = program ? "exec" : "step";
  if (own("step") != nullptr && own("exec") != nullptr) {
    error(own("exec")->span, "dsl.step", "@step and @exec on one step: which of them?");
    return;
  }
  const Capture* in_sentence = capture(program ? "command" : "step");
  const ReadAnnotation* a = own(annotation_name);
  if (a == nullptr && in_sentence == nullptr) a = inherited(annotation_name);
  if (a == nullptr && in_sentence == nullptr) {
    flow_.unknown = true;
    if (is_broken(annotation_name)) return;
    error(step_span(), "dsl.step", program ? "nothing says which program runs" : "nothing says which step runs")
        .help.push_back(program ? "write @exec(\"program …\") on the line above"
                                : "write @step(\"Name\") on the line above");
    return;
  }
  if (a != nullptr && in_sentence != nullptr) {
    error(a->span, "dsl.two_places", fmt::format("the sentence names it, and so does @{}", annotation_name))
        .help.push_back("leave one of them out");
    return;
  }
  const std::string what = in_sentence != nullptr ? in_sentence->text : a->text(program ? "command" : "name");
  const Span what_span = in_sentence != nullptr ? span_of(*in_sentence) : a->span;

  plan::Program step;
  step.timeout_micros = settings_.timeout_micros;
  if (a != nullptr && a->find("timeout") != nullptr) step.timeout_micros = a->find("timeout")->micros;
  if (program) {
    Result<std::vector<std::string>> words = os::split_command(what);
    if (!words.ok() || words->empty()) {
      auto& d = error(
          what_span, "dsl.command",
          words.ok() ? "the command is empty" : "cannot split the command into words: " + words.status().message());
      if (!words.ok() && !words.status().hint().empty()) d.help.push_back(words.status().hint());
      return;
    }
    step.argv = std::move(*words);
    std::string_view base = step.argv[0];
    if (const size_t slash = base.rfind('/'); slash != std::string_view::npos) base.remove_prefix(slash + 1);
    step.name = a != nullptr && a->find("name") != nullptr ? a->text("name") : std::string(base);
    if (const AnnotationValue* format = a != nullptr ? a->find("format") : nullptr) {
      Result<std::string> word = plan::canonical_format(format->text);
      if (!word.ok() || *word == "csv") {
        error(format->span, "dsl.format", "a program speaks ndjson or arrow");
        return;
      }
      step.format = *word;
    }
  } else {
    const auto& known_steps = context_.environment().known_steps;
    if (known_steps && std::find(known_steps->begin(), known_steps->end(), what) == known_steps->end()) {
      auto& d = error(what_span, "dsl.step", fmt::format("the project has no step `{}`", what));
      const auto near = nearest(what, *known_steps);
      if (!near.empty())
        d.help.push_back("did you mean `" + near[0] + "`?");
      else
        d.help.push_back(known_steps->empty() ? "there is no file in steps/"
                                              : "its steps are " + join(*known_steps, ", "));
      return;
    }
    if (what.find('/') != std::string::npos || what[0] == '.') {
      error(what_span, "dsl.step", fmt::format("`{}` is no name of a step", what))
          .help.push_back("a program is named by @exec");
      return;
    }
    step.name = step.cpp_step = what;
    step.format = "arrow";
    step.library = context_.environment().step_folder + "/" + what + ".so";
  }
  bool failed = false;
  const AnnotationValue* contract = a != nullptr ? a->find("contract") : nullptr;
  if (contract != nullptr && own("contract") != nullptr) {
    error(contract->span, "dsl.two_places",
          fmt::format("@{} names a contract, and so does @contract", annotation_name));
    return;
  }
  if (contract != nullptr) {
    step.output_contract = context_.contract(contract->text, contract->span);
    failed = step.output_contract == nullptr;
  } else if (own("contract") != nullptr) {
    step.output_contract = named_contract(nullptr, false, &failed);
  }
  if (failed) failed_ = true;
  if (!known()) return;
  if (failed) {
    flow_.unknown = true;
    return;
  }

  if (step.format == "ndjson" && !fits_ndjson(columns(), what_span, "step `" + step.name + "`")) {
    flow_.unknown = true;
    return;
  }
  // What the step answers: its contract's columns, or those it was sent.
  Columns out;
  const plan::ContractPtr answer = step.output_contract;
  if (answer == nullptr) {
    out = columns();
    // A C++ step answers what it was compiled for, and that has names.
    if (!program) std::erase_if(out, [](const auto& c) { return c.field.name == columnar::kOpenColumn; });
    for (auto& c : out) {
      c.unchanged_from.reset();
      c.field.nullable = true;
      for (auto& p : c.pii) p.derived = true;  // nobody knows what the step made of it
      for (auto& origin : c.lineage) {
        if (origin.how == "IDENTITY") origin.how = "TRANSFORMATION";
      }
    }
    // No contract governs what is left open: whatever the step was sent may stand there, under any name.
    if (const int open = index_of(out, columnar::kOpenColumn); open >= 0) {
      for (const auto& c : columns()) add_pii(c.pii, true, &out[static_cast<size_t>(open)].pii);
    }
  } else {
    std::vector<plan::ColumnInfo::Origin> all;
    for (const auto& c : columns()) add_origins(c.lineage, "TRANSFORMATION", false, &all);
    for (size_t i = 0; i < answer->fields.size(); ++i) {
      plan::ColumnInfo column;
      column.field = answer->schema->field(i);
      column.field.nullable = true;
      column.pii = pii_of(*answer, answer->fields[i]);
      const int same = index_of(columns(), column.field.name);
      if (same >= 0)
        add_origins(columns()[static_cast<size_t>(same)].lineage, "TRANSFORMATION", false, &column.lineage);
      else
        column.lineage = all;
      out.push_back(std::move(column));
    }
  }
  const std::string name = step.name;
  advance(std::move(step), name, std::move(out));
  // Its own contract governs what a step answers, so that is checked and not believed.
  if (answer != nullptr) flow_.at = add_check(*flow_.at, answer, what_span, &failed);
}

}  // namespace runink::dsl
