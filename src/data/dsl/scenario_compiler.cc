#include "data/dsl/scenario_compiler.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"

namespace runink::dsl {

using plan::Input;

ScenarioCompiler::ScenarioCompiler(CompileContext& context, const BoundScenario& scenario)
    : context_(context), scenario_(scenario) {
  plan_.name = scenario.expanded.name;
  plan_.rule = scenario.expanded.rule;
  plan_.tags = scenario.expanded.tags;
  plan_.location = context.location(scenario.expanded.span);
}

std::optional<plan::ScenarioPlan> ScenarioCompiler::run() {
  if (scenario_.steps.empty()) {
    error(scenario_.expanded.span, "dsl.empty", fmt::format("scenario \"{}\" has no steps", plan_.name));
    return std::nullopt;
  }
  for (const BoundStep& s : scenario_.steps) {
    if (context_.give_up()) return std::nullopt;
    step(s);
  }
  step_ = nullptr;
  finish();
  sections();
  if (failed_ || context_.give_up()) return std::nullopt;
  return std::move(plan_);
}

Diagnostic& ScenarioCompiler::error(Span span, std::string code, std::string message) {
  failed_ = true;
  return context_.error(span, std::move(code), std::move(message));
}

// ---- one step -------------------------------------------------------------------------------------------------------

void ScenarioCompiler::step(const BoundStep& s) {
  step_ = &s;
  const ExpandedStep& expanded = *s.step;
  if (!s.bound && !s.by_annotation && expanded.text.text.size() > kMaxSentenceBytes) {
    error(expanded.text.span, "dsl.too_large",
          fmt::format("a sentence has at most {} bytes, this one has {}", kMaxSentenceBytes, expanded.text.text.size()))
        .help.push_back("set a field to a part of it first, in a sentence of its own");
    flow_.unknown = flow_.started = true;
    return;
  }
  if (!s.bound && !s.by_annotation) {
    auto& d = error(expanded.text.span, "dsl.unknown_sentence",
                    fmt::format("no sentence matches \"{}\"", expanded.text.text));
    const auto near = nearest_sentences(expanded.text.text);
    for (size_t i = 0; i < near.size(); ++i) {
      d.help.push_back((i == 0 ? "did you mean `" : "or `") + near[i] + "`?");
    }
    d.help.push_back("`runi steps` lists all sentences");
    flow_.unknown = true;
    flow_.started = true;
    return;
  }
  settings_ = settings_for(*expanded.annotations);
  check_annotations();
  check_attachments();
  const size_t before = plan_.operators.size();
  dispatch(s);
  // Of several operators the one that does what the sentence says is tapped, not a check that was added after it.
  const bool is_check = s.bound && s.bound->sentence->meaning == Meaning::kCheck;
  size_t tapped = plan_.operators.size();
  for (size_t i = before; i < plan_.operators.size(); ++i) {
    const auto& p = plan_.operators[i].parameters;
    const bool check = std::holds_alternative<plan::Check>(p);
    if (is_check ? check : !check && !std::holds_alternative<plan::Unique>(p)) tapped = i;
  }
  if (tapped < plan_.operators.size()) plan_.operators[tapped].tap = true;
}

void ScenarioCompiler::dispatch(const BoundStep& s) {
  if (s.by_annotation) return custom(own("exec") != nullptr);
  switch (s.bound->sentence->meaning) {
    case Meaning::kSource:
      return source();
    case Meaning::kScenarioOutput:
      return scenario_output(capture("scenario")->text, "", span_of(*capture("scenario")));
    case Meaning::kSinkOutput: {
      const Capture* scenario = capture("scenario");
      return scenario_output(scenario != nullptr ? scenario->text : "", capture("sink")->text,
                             span_of(*capture("sink")));
    }
    case Meaning::kCheck:
      return check_step();
    case Meaning::kKeep:
      return filter(true);
    case Meaning::kDropWhere:
      return filter(false);
    case Meaning::kSet:
      return set_one();
    case Meaning::kSetMany:
      return set_many();
    case Meaning::kSelect:
      return select();
    case Meaning::kDropFields:
      return drop_fields();
    case Meaning::kRename:
      return rename();
    case Meaning::kCast:
      return cast();
    case Meaning::kMask:
    case Meaning::kHash:
    case Meaning::kTokenise:
      return protect(s.bound->sentence->meaning);
    case Meaning::kDeduplicate:
      return deduplicate();
    case Meaning::kSort:
      return sort();
    case Meaning::kLimit:
      return limit();
    case Meaning::kSample:
      return sample();
    case Meaning::kUnion:
    case Meaning::kUnionScenario:
      return unite();
    case Meaning::kSplit:
      return split_step();
    case Meaning::kSplitRejected:
      return split_rejected();
    case Meaning::kBranch:
      return take_branch();
    case Meaning::kJoinInner:
      return join_step(plan::JoinKind::kInner);
    case Meaning::kJoinLeft:
      return join_step(plan::JoinKind::kLeft);
    case Meaning::kJoinSemi:
      return join_step(plan::JoinKind::kSemi);
    case Meaning::kJoinAnti:
      return join_step(plan::JoinKind::kAnti);
    case Meaning::kGroup:
    case Meaning::kAggregate:
      return group(true);
    case Meaning::kCount:
      return group(false);
    case Meaning::kStep:
      return custom(false);
    case Meaning::kProgram:
      return custom(true);
    case Meaning::kWriteValid:
      return write_flow();
    case Meaning::kWriteBranch:
      return write_branch();
    case Meaning::kWriteRejected:
    case Meaning::kWriteRejectedByRule:
    case Meaning::kWriteRejectedBranch:
      return write_rejected(s.bound->sentence->meaning);
    case Meaning::kPassOn:
      if (have_records()) {
        passed_on_ = true;
        pass_on_span_ = step_span();
      }
      return;
  }
}

void ScenarioCompiler::check_attachments() {
  const ExpandedStep& s = *step_->step;
  const std::string what = step_->bound ? "it is of the kind `" + example_words(*step_->bound->sentence) + "`"
                                        : std::string("a custom step takes records only");
  if (s.has_doc_string) {
    error(s.step->doc_string->place.span, "dsl.doc_string", "this sentence takes no doc string")
        .help.push_back("nothing would read it; a comment begins with #");
  }
  const Attachment wanted = step_->bound ? step_->bound->sentence->table : Attachment::kNone;
  const bool slots_say_it = wanted == Attachment::kOptionalTable && !step_->bound->captures.empty();
  if (!s.table.empty() && (wanted == Attachment::kNone || slots_say_it)) {
    error(s.step->table->place.span, "dsl.table", "this sentence takes no table").help.push_back(what);
  } else if (s.table.empty() && wanted != Attachment::kNone && !slots_say_it) {
    error(s.text.span, "dsl.table", "this sentence needs a table below it")
        .help.push_back("one row each: " + step_->bound->sentence->table_help);
  }
}

// Annotations that name a place or a program must stand on a sentence that uses them.
void ScenarioCompiler::check_annotations() {
  for (const ReadAnnotation& a : step_->step->annotations->list) {
    static const std::set<std::string_view> kBound = {"source", "sink", "contract", "step", "exec"};
    if (a.name == "schedule") {
      error(a.span, "dsl.annotation_misplaced", "@schedule is for a scenario, not for a step")
          .help.push_back("write it above the line with Scenario:");
    } else if (kBound.count(a.name) != 0 && step_->bound) {
      const auto& wanted = step_->bound->sentence->annotations;
      if (std::find(wanted.begin(), wanted.end(), a.name) != wanted.end()) continue;
      auto& d = error(
          a.span, "dsl.annotation_misplaced",
          fmt::format("@{} has no meaning on a sentence like `{}`", a.name, example_words(*step_->bound->sentence)));
      if (a.name == "source")
        d.help.push_back("it belongs to a sentence such as `records arrive from the feed`");
      else if (a.name == "sink")
        d.help.push_back("it belongs to a sentence such as `valid records are written`");
      else if (a.name == "contract")
        d.help.push_back("it belongs to a source, a join, a check or a custom step");
      else
        d.help.push_back("word the step freely, or as `records are processed by the step`");
    } else if ((a.name == "source" || a.name == "sink") && step_->by_annotation) {
      error(a.span, "dsl.annotation_misplaced", fmt::format("@{} has no meaning on a custom step", a.name));
    }
    enforce(a);
  }
}

ScenarioCompiler::Settings ScenarioCompiler::settings_for(const AnnotationSet& own_set) {
  Settings out;
  std::vector<const AnnotationSet*> chain = {&own_set};
  for (const auto& d : scenario_.expanded.defaults) chain.push_back(d.get());
  bool has_cpu = false, has_memory = false, has_gpu = false, has_label = false, has_affinity = false;
  for (const AnnotationSet* set : chain) {
    bool affinity_here = false;
    for (const ReadAnnotation& a : set->list) {
      if (a.name == "requires") {
        const auto take = [&](const char* key, bool* has) {
          const AnnotationValue* v = *has ? nullptr : a.find(key);
          *has = *has || v != nullptr;
          return v;
        };
        if (const auto* v = take("cpu", &has_cpu)) out.needs.cpu = v->number;
        if (const auto* v = take("memory", &has_memory)) out.needs.memory_bytes = v->bytes;
        if (const auto* v = take("gpu", &has_gpu)) out.needs.gpu = static_cast<uint32_t>(v->integer);
        if (const auto* v = take("label", &has_label)) out.needs.label = v->text;
      } else if (a.name == "affinity" && !has_affinity) {
        affinity_here = true;
        out.affinity.push_back(a.written);
      } else if (a.name == "timeout" && set == &own_set) {  // above a scenario they are for the whole of it
        out.timeout_micros = a.find("after")->micros;
      } else if (a.name == "retry" && set == &own_set) {
        out.retries = static_cast<uint32_t>(a.find("times")->integer);
      } else if (a.name == "checkpoint") {
        out.checkpoint = true;
      }
    }
    has_affinity = has_affinity || affinity_here;
  }
  return out;
}

// What annotations above the scenario say of the whole of it: the nearest wins.
void ScenarioCompiler::scenario_settings() {
  plan_.needs = settings_for(AnnotationSet{}).needs;
  bool has_timeout = false, has_retry = false;
  for (const auto& set : scenario_.expanded.defaults) {
    if (const ReadAnnotation* a = set->find("timeout"); a != nullptr && !has_timeout) {
      has_timeout = true;
      plan_.timeout_micros = a->find("after")->micros;
    }
    if (const ReadAnnotation* a = set->find("retry"); a != nullptr && !has_retry) {
      has_retry = true;
      plan_.retries = why_not_again().empty() ? static_cast<uint32_t>(a->find("times")->integer) : 0;
    }
  }
}

// Why the scenario cannot be run a second time; empty where it can.
std::string ScenarioCompiler::why_not_again() const {
  for (const plan::Operator& op : plan_.operators) {
    if (const auto* source = std::get_if<plan::Source>(&op.parameters); source != nullptr && source->locator == "-") {
      return "standard input cannot be read a second time";
    }
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink != nullptr && (sink->locator == "-" || !sink->exec.empty())) {
      return "what a pipe has taken cannot be taken back, so the scenario is not run a second time";
    }
  }
  return "";
}

// Whether the step at hand runs in a process of its own.
bool ScenarioCompiler::is_custom_step() const {
  return step_->by_annotation || (step_->bound && step_->bound->sentence->becomes == "program");
}

// Says once per annotation what has no effect on this machine.
void ScenarioCompiler::enforce(const ReadAnnotation& a) {
  const CompileEnvironment& env = context_.environment();
  if (env.cluster || !enforced_.insert(&a).second) return;
  std::string what = a.written, why;
  bool refused = false;
  if (a.name == "affinity") why = "placement has no meaning on one machine";
  if (a.name == "schedule") why = "nothing on one machine starts runs by the clock";
  if (a.name == "partition") why = "one machine does not spread records over nodes";
  if (a.name == "requires" && step_ != nullptr) {
    why = "on one machine the steps of a scenario share its threads and its memory; above the scenario it acts";
  } else if (a.name == "requires") {
    std::vector<std::string> idle;
    if (a.find("gpu") != nullptr) idle.push_back("gpu=" + a.text("gpu"));
    if (a.find("label") != nullptr) idle.push_back("label=" + json_quote(a.text("label")));
    if (!idle.empty()) {
      what = fmt::format("@requires({})", join(idle, ", "));
      why = "one machine has no others to choose from";
    }
  }
  if (a.name == "retry") {
    if (step_ == nullptr)
      why = why_not_again();
    else if (!is_custom_step())
      why = "only custom steps and whole scenarios are tried again";
  }
  if (a.name == "timeout" && step_ != nullptr && !is_custom_step()) {
    why = "only custom steps and whole scenarios are timed";
  }
  if (a.name == "secret" || a.name == "network") {
    refused = !env.allow_unenforced;
    why = a.name == "secret" ? "no secret store holds it on one machine, so the step runs without it"
                             : "a step on one machine is not kept from other endpoints";
  }
  if (why.empty()) return;
  if (refused) {
    error(a.span, "dsl.unenforced", fmt::format("@{} cannot be enforced here: {}", a.name, why))
        .help.push_back("--allow-unenforced runs it all the same");
  } else if (env.strict) {
    error(a.span, "dsl.unenforced", fmt::format("{} has no effect here: {}", what, why))
        .help.push_back("--strict makes that an error");
  } else {
    const bool holds_apart = a.name == "requires" && step_ != nullptr;
    plan_.unenforced.push_back({std::move(what), std::move(why), context_.location(a.span), holds_apart});
  }
}

// ---- looking things up
// ------------------------------------------------------------------------------------------------

const ReadAnnotation* ScenarioCompiler::own(std::string_view name) const {
  return step_->step->annotations->find(name);
}

const ReadAnnotation* ScenarioCompiler::inherited(std::string_view name) {
  for (const auto& set : scenario_.expanded.defaults) {
    if (const ReadAnnotation* a = set->find(name)) {
      used_defaults_.insert(a);
      return a;
    }
  }
  return nullptr;
}

bool ScenarioCompiler::is_broken(std::string_view name) {
  bool broken = step_->step->annotations->is_broken(name);
  for (const auto& set : scenario_.expanded.defaults) broken = broken || set->is_broken(name);
  if (broken) failed_ = true;
  return broken;
}

const Capture* ScenarioCompiler::capture(std::string_view slot) const {
  return step_->bound ? step_->bound->find(slot) : nullptr;
}

Span ScenarioCompiler::span_of(const Capture& c) const {
  const TextAt& text = step_->step->text;
  return text.exact ? Span{text.span.offset + c.offset, c.length} : text.span;
}

Span ScenarioCompiler::span_of(const Capture&, const Capture::Item& item) const {
  const TextAt& text = step_->step->text;
  return text.exact ? Span{text.span.offset + item.offset, item.length} : text.span;
}

TextAt ScenarioCompiler::text_at(const Capture& c) const {
  TextAt out;
  out.text = c.text;
  out.span = span_of(c);
  out.exact = step_->step->text.exact;
  return out;
}

TextAt ScenarioCompiler::text_at(const Capture& c, const Capture::Item& item) const {
  TextAt out;
  out.text = item.text;
  out.span = span_of(c, item);
  out.exact = step_->step->text.exact;
  return out;
}

bool ScenarioCompiler::have_records() {
  if (flow_.at || flow_.unknown) return true;
  if (flow_.started) {
    std::vector<std::string> names;
    for (const auto& [name, b] : branches_) names.push_back(name);
    error(step_span(), "dsl.branch", "the records stand at a split: which branch is meant?")
        .help.push_back("branches are " + join(names, ", ") + "; write `records of branch \"" + names[0] +
                        "\" continue`");
  } else {
    error(step_span(), "dsl.no_records", "there are no records yet")
        .help.push_back("a scenario begins with a source: `Given records arrive from the feed`");
    flow_.started = true;
  }
  flow_.unknown = true;  // said once
  return false;
}

int ScenarioCompiler::column_in(const Columns& columns, const std::string& name, Span span) {
  const int index = index_of(columns, name);
  if (index >= 0) return index;
  std::vector<int> joined;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (is_short_name(columns[i], name)) joined.push_back(static_cast<int>(i));
  }
  if (joined.size() == 1) return joined[0];
  failed_ = true;
  if (lost_.count(name) != 0) return -1;
  if (!joined.empty()) {
    std::vector<std::string> wholes;
    for (const int i : joined) wholes.push_back("`" + columns[static_cast<size_t>(i)].field.name + "`");
    error(span, "dsl.ambiguous_field",
          fmt::format("`{}` may be {}", name, join(wholes, wholes.size() == 2 ? " or " : ", ")))
        .help.push_back("write the whole name");
    return -1;
  }
  auto& d = error(span, "dsl.unknown_field", fmt::format("there is no field `{}` here", name));
  const auto names = names_of(columns);
  const auto near = nearest(name, names);
  if (!near.empty()) {
    d.help.push_back("did you mean `" + near[0] + "`?");
  } else {
    std::vector<std::string> some(names.begin(), names.begin() + static_cast<long>(std::min<size_t>(names.size(), 12)));
    d.help.push_back("fields are " + join(some, ", ") + (names.size() > some.size() ? ", …" : ""));
  }
  return -1;
}

int ScenarioCompiler::column(const std::string& name, Span span) { return column_in(columns(), name, span); }

// ---- expressions ----------------------------------------------------------------------------------------------------

bool ScenarioCompiler::reads_lost(const expr::Expr& tree) const {
  if (lost_.empty()) return false;
  for (const auto& name : expr::field_names(tree)) {
    if (lost_.count(name) != 0) return true;
  }
  return false;
}

expr::TypedExpr ScenarioCompiler::expression(const TextAt& text, const std::string& must_be_bool_for, bool* lost) {
  SourceTextPtr parsed;
  const expr::ExprPtr tree = context_.parse(text, {}, &parsed);
  if (tree == nullptr) {
    failed_ = true;
    return {};
  }
  if (reads_lost(*tree)) {
    failed_ = true;
    if (lost != nullptr) *lost = true;
    return {};
  }
  expr::CheckOptions options;
  options.must_be_bool_for = must_be_bool_for;
  options.no_aggregates_because = "this step looks at one record at a time; group or aggregate records first";
  auto result = context_.checked(text, parsed, [&](Diagnostics& diagnostics) {
    return expr::check(tree, parsed, scope_of(columns()), diagnostics, options);
  });
  if (!result.valid()) failed_ = true;
  return result;
}

expr::TypedExpr ScenarioCompiler::made_expression(const std::string& text, Span span) {
  TextAt at;
  at.text = text;
  at.span = span;
  at.exact = false;
  return expression(at);
}

// ---- operators ------------------------------------------------------------------------------------------------------

std::string ScenarioCompiler::unique_name(std::string name) {
  std::string candidate = name;
  for (int n = 2; !names_.insert(candidate).second; ++n) candidate = fmt::format("{} {}", name, n);
  return candidate;
}

plan::OperatorId ScenarioCompiler::add(plan::Parameters parameters, std::string name, std::vector<Input> inputs,
                                       Columns columns) {
  plan::Operator op;
  op.id = static_cast<OperatorId>(plan_.operators.size());
  op.parameters = std::move(parameters);
  op.name = unique_name(std::move(name));
  const Span span = step_ != nullptr ? step_span() : scenario_.expanded.span;
  if (step_ != nullptr) op.sentence = step_->step->text.text;
  op.location = context_.location(span);
  op.inputs = std::move(inputs);
  context_.count_facts(columns, span);
  op.schema = schema_of(columns);
  op.columns = std::move(columns);
  op.needs = settings_.needs;
  op.affinity = settings_.affinity;
  op.timeout_micros = settings_.timeout_micros;
  op.retries = settings_.retries;
  op.checkpoint = settings_.checkpoint;
  plan_.operators.push_back(std::move(op));
  return plan_.operators.back().id;
}

void ScenarioCompiler::advance(plan::Parameters parameters, std::string name, Columns columns) {
  const Input from = *flow_.at;
  flow_.at = Input{add(std::move(parameters), std::move(name), {from}, std::move(columns)), 0};
}

// ---- the end of a scenario
// --------------------------------------------------------------------------------------------

void ScenarioCompiler::unused_defaults() {
  const auto& expanded = scenario_.expanded;
  for (size_t i = 0; i < expanded.defaults.size(); ++i) {
    for (const ReadAnnotation& a : expanded.defaults[i]->list) {
      enforce(a);
      static const std::set<std::string_view> kBound = {"source", "sink", "step", "exec", "contract"};
      if (i >= expanded.own_defaults || kBound.count(a.name) == 0 || used_defaults_.count(&a) != 0 || failed_) continue;
      error(a.span, "dsl.annotation_unused", fmt::format("no step of this scenario uses {}", a.written))
          .help.push_back("every step that could has its own; write the annotation above the step that it is for");
    }
  }
}

void ScenarioCompiler::finish() {
  if (!flow_.started) {
    error(scenario_.expanded.span, "dsl.no_records", fmt::format("scenario \"{}\" has no source", plan_.name))
        .help.push_back("it begins with `Given records arrive from the feed` or `Given the output of scenario \"…\"`");
  }
  for (const auto& [name, input] : inputs_) {
    if (input.used || flow_.unknown) continue;
    error(input.span, "dsl.unused_input", fmt::format("`{}` arrives, but no step uses it", name))
        .help.push_back(fmt::format("join it (`joined with {} on …`) or unite it (`united with {}`)", name, name));
  }
  for (const auto& [name, b] : branches_) {
    if (b.used || flow_.unknown) continue;
    error(b.span, "dsl.branch", fmt::format("nothing is done with branch `{}`: its records would vanish", name))
        .help.push_back(
            fmt::format("write it (`records of branch \"{}\" are written`), or filter those records out", name));
  }
  settings_ = settings_for(AnnotationSet{});
  if (flow_.at && !flow_.unknown) {
    plan_.valid = {*flow_.at};
    const bool written = std::any_of(written_.begin(), written_.end(), [&](const Input& i) {
      return i.from == flow_.at->from && i.port == flow_.at->port;
    });
    if (!written) add(plan::Output{}, "output", {*flow_.at}, Columns(columns()));
  } else if (passed_on_ && !flow_.unknown) {
    error(pass_on_span_, "dsl.branch", "after a split there is no one flow to pass on")
        .help.push_back("write `records of branch \"…\" continue` at the end");
  }
  scenario_settings();
  unused_defaults();
}

}  // namespace runink::dsl
