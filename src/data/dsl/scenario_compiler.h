// Compiles one scenario: its bound steps to a graph of operators. One object per scenario; internal to the compiler.
//
// The state is the flow: where the next step reads, and what is known of the records there. A step that cannot be
// understood leaves the flow as it was, or `unknown` when nothing can be said of its records any more; unknown flows
// make no further errors about fields.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/dsl/columns.h"
#include "data/dsl/compile_context.h"
#include "data/plan/locator.h"

namespace runink::dsl {

// What @source or @sink says, understood.
struct Endpoint {
  bool program = false;
  plan::LocatorFacts facts;  // of a path or "-"
  std::string locator;       // as written, or the command line
  std::vector<std::string> exec;
  std::string format, compression;
  plan::Dialect dialect;
  bool open = false;
  std::string mode = "replace", name;
  Span span;
};

class ScenarioCompiler {
 public:
  ScenarioCompiler(CompileContext& context, const BoundScenario& scenario);

  // Nothing after an error.
  std::optional<plan::ScenarioPlan> run();

 private:
  using OperatorId = plan::OperatorId;

  struct Flow {
    std::optional<plan::Input> at;  // none: no records yet, or at a split
    bool started = false;           // a source was written, even one in error
    bool unknown = false;           // errors: nothing is known of the records
    plan::ContractPtr contract;     // of the source
  };
  struct NamedInput {
    plan::Input at;
    Span span;
    bool used = false, unknown = false;
  };
  struct Branch {
    plan::Input at;
    Span span;
    bool used = false;
  };
  struct Settings {  // in force at a step
    plan::Requires needs;
    std::vector<std::string> affinity;
    int64_t timeout_micros = 0;
    uint32_t retries = 0;
    bool checkpoint = false;
  };

  // ---- scenario_compiler.cc: steps in general
  void step(const BoundStep& step);
  void dispatch(const BoundStep& step);
  void check_attachments();
  void check_annotations();
  Settings settings_for(const AnnotationSet& own);
  void enforce(const ReadAnnotation& annotation);
  void scenario_settings();
  std::string why_not_again() const;
  bool is_custom_step() const;
  void finish();
  void unused_defaults();

  const ReadAnnotation* own(std::string_view name) const;
  const ReadAnnotation* inherited(std::string_view name);  // of the scenario, rule or feature; marks it as used
  bool is_broken(std::string_view name);                   // written here or above, and in error
  const Capture* capture(std::string_view slot) const;
  Span span_of(const Capture& capture) const;
  Span span_of(const Capture& capture, const Capture::Item& item) const;
  TextAt text_at(const Capture& capture) const;
  TextAt text_at(const Capture& capture, const Capture::Item& item) const;
  Span step_span() const { return step_->step->text.span; }
  Diagnostic& error(Span span, std::string code, std::string message);
  void warn_masked_in_vain(Span span);

  OperatorId add(plan::Parameters parameters, std::string name, std::vector<plan::Input> inputs, Columns columns);
  // Adds an operator that reads the flow, and moves the flow to it.
  void advance(plan::Parameters parameters, std::string name, Columns columns);
  std::string unique_name(std::string name);
  // False (and an error, the first time) when there are no records for a step to work on.
  bool have_records();
  bool known() { return have_records() && !flow_.unknown; }
  const Columns& columns() const { return plan_.operators[flow_.at->from].columns; }
  const columnar::SchemaPtr& schema() const { return plan_.operators[flow_.at->from].schema; }
  // Index of a column; -1 and an error with the nearest name when there is none. Silent for columns lost to an error.
  int column(const std::string& name, Span span);
  const std::string& name_at(int column) const { return columns()[static_cast<size_t>(column)].field.name; }
  int column_in(const Columns& columns, const std::string& name, Span span);

  // An expression over the flow's records; invalid after an error. `lost` tells that it reads a column which an earlier
  // error lost, so that nothing was reported.
  expr::TypedExpr expression(const TextAt& text, const std::string& must_be_bool_for = "", bool* lost = nullptr);
  expr::TypedExpr made_expression(const std::string& text, Span span);  // of text that the compiler wrote
  bool reads_lost(const expr::Expr& tree) const;

  // ---- sources.cc
  void source();
  void scenario_output(const std::string& scenario, const std::string& sink, Span span);
  std::optional<Endpoint> endpoint(const ReadAnnotation* annotation, const Capture* file, bool is_sink);
  bool read_dialect(const ReadAnnotation& annotation, bool is_sink, Endpoint* out);
  // Adds a Source operator; nothing after an error. A source with a contract that is not the flow is checked at once.
  std::optional<plan::Input> add_source(const Endpoint& endpoint, plan::ContractPtr contract, bool check_now);
  std::optional<plan::Input> add_scenario_input(const std::string& scenario, const std::string& sink, Span span);
  plan::ContractPtr named_contract(const Capture* in_sentence, bool with_defaults, bool* failed);
  void begin_or_name(std::optional<plan::Input> at, plan::ContractPtr contract, Span span);
  // The second side of a join or union: a file in quotes, a named input, or a scenario's output.
  std::optional<plan::Input> other_side(std::string* name);

  // ---- checks.cc
  void check_step();
  plan::Input add_check(plan::Input from, const plan::ContractPtr& contract, Span span, bool* failed);

  // ---- transforms.cc
  void filter(bool keep);
  void set_one();
  void set_many();
  void set_field(const std::string& name, Span name_span, const TextAt& value, std::vector<plan::Derive::Item>* items,
                 Columns* columns);
  void select();
  void drop_fields();
  void rename();
  void cast();
  void protect(Meaning meaning);
  void deduplicate();
  void sort();
  void limit();
  void sample();
  void split_step();
  void split_rejected();
  void take_branch();
  bool header_row(const std::vector<TextAt>& row, std::initializer_list<std::string_view> first,
                  std::initializer_list<std::string_view> second) const;
  bool table_width(size_t width);
  void project(std::vector<plan::Project::Item> items, std::string name);
  std::optional<plan::Input> branch(const Capture& name);

  // ---- joins.cc
  void join_step(plan::JoinKind kind);
  void unite();
  plan::Input with_open_column(plan::Input input);  // one that has nothing in it

  // ---- groups.cc
  void group(bool table);
  bool group_keys(plan::Group* group, Columns* keys, std::vector<expr::TypedExpr>* values);
  bool group_item(const TextAt& name, const TextAt& text, plan::Group* group, const Columns& keys,
                  const std::vector<expr::TypedExpr>& key_values, Columns* columns);

  // ---- custom_steps.cc
  void custom(bool program);

  // ---- outputs.cc
  void write(std::optional<plan::Input> from, bool rejected, std::vector<std::string> rules);
  void write_flow();
  void write_branch();
  void write_rejected(Meaning meaning);
  bool sink_conflicts(const Endpoint& endpoint);
  bool open_fits(const plan::Input& from, const Endpoint& endpoint);
  // Whether records of these columns can be NDJSON; says what stands against it, to whom they would go.
  bool fits_ndjson(const Columns& columns, Span span, std::string_view whither);
  uint32_t verbatim_columns(const plan::Input& from, const plan::Sink& sink);
  std::vector<std::string> known_rules() const;
  bool resolve_rule(const std::string& name, Span span, std::vector<std::string>* rules);

  // ---- scenario_sections.cc
  void sections();
  void assertions(const ExpandedSection& section);
  void assertion(const ExpandedItem& item);
  void notifications(const ExpandedSection& section);
  void golden(const ExpandedSection& section);
  void metadata(const ExpandedSection& section);

  CompileContext& context_;
  const BoundScenario& scenario_;
  plan::ScenarioPlan plan_;
  bool failed_ = false;

  const BoundStep* step_ = nullptr;
  Settings settings_;
  Flow flow_;
  std::set<std::string> lost_;  // columns that an error kept from being added
  std::map<std::string, NamedInput> inputs_;
  std::map<std::string, Branch> branches_;
  std::map<std::string, std::vector<std::string>> rejected_branches_;  // name → rules
  std::set<std::string> names_;
  std::set<const ReadAnnotation*> used_defaults_, enforced_;
  std::vector<plan::Input> written_;  // what sinks read
  bool passed_on_ = false;
  Span pass_on_span_;
};

// Reads Metadata items into a map; shared by features and scenarios.
void read_metadata(CompileContext& context, const std::vector<ExpandedItem>& items,
                   std::map<std::string, std::string>* out);

}  // namespace runink::dsl
