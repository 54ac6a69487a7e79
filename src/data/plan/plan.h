// Plan: what a feature means, as data. The DSL compiler writes it; the engine runs it; `runi plan`, lineage and fusion
// read it. It holds typed expressions and contracts, and no text to be interpreted again.
//
//   Plan            all scenarios of one feature file, in dependency order
//   ScenarioPlan    a directed acyclic graph of operators: one run
//   Operator        one transformation; `inputs` name the operators (and their output ports) it reads
//   Stage           adjacent operators that run in one process (see fusion.h)
//
// Rejected records are not an edge. Every operator that can reject a row (a source that cannot decode it, a check, an
// expression that overflows, a program step that refuses) hands it to the scenario's one dead-letter channel with its
// original bytes; that channel is kept in the ledger, and each sink with `rejected = true` gets a copy of those letters
// that its rule filter names.
//
// Plans are immutable once compiled and may be read by any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/diagnostic.h"
#include "data/columnar/type.h"
#include "data/contract/contract.h"
#include "data/expr/aggregate.h"
#include "data/expr/check.h"

namespace runink::plan {

using ContractPtr = contract::ContractPtr;
using expr::TypedExpr;
using OperatorId = uint32_t;  // index into ScenarioPlan::operators

// A pii field that a column still reveals, with what it takes to see it.
struct PiiSource {
  std::string contract, field;
  std::string mask;                  // mask method of the field; empty: wholly masked
  std::vector<std::string> access;   // roles that may read it
  bool derived = false;              // the value was computed from the field and is not the field itself
  bool operator==(const PiiSource&) const = default;
};

// What the compiler knows of an output column beside its type.
struct ColumnInfo {
  columnar::Field field;
  // Set while the column is the very value a source's contract field was read as: lets a text sink copy raw bytes.
  std::optional<std::pair<OperatorId, uint32_t>> unchanged_from;  // source operator, field index in its schema
  std::vector<PiiSource> pii;                                      // empty: reveals nothing
  // Of a joined column: how many bytes of its name the names of the joined sides are, with their dots. The rest of the
  // name is enough to say where no other field has it.
  uint32_t qualifier = 0;
  // Lineage: which source columns it was computed from, and how ("IDENTITY", "TRANSFORMATION", "AGGREGATION").
  struct Origin {
    OperatorId source;   // a Source or ScenarioInput operator
    std::string column;
    std::string how;
    bool masked = false;
    auto operator<=>(const Origin&) const = default;
  };
  std::vector<Origin> lineage;
};

struct Dialect {
  char delimiter = ',', quote = '"';
  char escape = 0;        // 0: a quote is doubled
  char comment = 0;       // 0: none
  bool header = true;
  bool trim = false;
  std::string null_text;  // an unquoted cell with this text is null, beside the empty cell
  bool crlf = false;      // a sink ends records with CR LF
  bool operator==(const Dialect&) const = default;
};

// ---- operators ----------------------------------------------------------------------------------------------------

struct Source {
  std::string locator;                 // as the user wrote it: a path from the project root, a glob, "-", file:///…
  std::vector<std::string> exec;       // a program instead: its words; locator is then for display
  std::string format;                  // "ndjson", "csv", "arrow"
  std::string compression;             // "", "gzip", "zstd"
  Dialect dialect;
  ContractPtr contract;                // may be null: the schema was inferred from the data's head
  bool open = false;                   // pass unknown fields through
};

struct ScenarioInput {                 // the output of another scenario of the same plan
  std::string scenario;
  std::string output;                  // "" is its valid branch, else a sink's name
  bool to_the_end = false;             // read to its end even where nobody wants more rows (a part's answers, see parts.h)
};

struct Check { ContractPtr contract; };              // row rules and checks; rejects
struct Unique { std::vector<std::string> columns; std::string rule; };   // keeps the first in input order; rejects the rest
struct Filter { TypedExpr condition; std::string reason; };   // keeps only true; drops, named by `reason`
struct Derive {                                       // sets or adds columns; an expression error rejects the row
  struct Item { std::string name; TypedExpr value; };
  std::vector<Item> items;                            // evaluated in order, each sees those before it
};
struct Project {                                      // select, drop, rename, reorder
  struct Item { std::string from, to; };
  std::vector<Item> items;
};
struct Deduplicate { std::vector<std::string> columns; };   // empty: whole rows; keeps the first
struct Sort {
  struct Key { std::string column; bool descending = false; };
  std::vector<Key> keys;                              // stable; nulls last
  std::optional<uint64_t> keep;                       // only the first so many
};
struct Limit { uint64_t rows = 0; };
struct Sample { double fraction = 1; uint64_t seed = 0; };   // by hash of seed and row number: the same rows every time
struct Union {};                                      // rows of each input in the order of inputs; same schema
struct Split {                                        // one output port per branch, in order
  struct Branch { std::string name; TypedExpr condition; };   // an invalid condition: "otherwise" (what matched none)
  std::vector<Branch> branches;
  bool first_match_only = true;                       // false: a row goes to every branch whose condition holds
};
enum class JoinKind { kInner, kLeft, kSemi, kAnti };
struct Join {                                         // input 0 is probed in order, input 1 is built first
  JoinKind kind = JoinKind::kInner;
  std::string name;                                   // of the built side: its columns appear as name.column
  std::vector<TypedExpr> probe_keys, build_keys;      // pairwise equal types; null never joins; build_keys read the built side alone
  TypedExpr residual;                                 // may be invalid; reads probe columns then all build columns
  std::vector<uint32_t> build_columns;                // of the build schema, appended to the output (inner, left)
};
struct Group {
  struct Key { std::string name; TypedExpr value; };
  struct Item { std::string name; TypedExpr value; std::string text; };   // text: canonical, with the aggregates in it
  std::vector<Key> keys;                              // may be empty: one group (also of no rows at all)
  std::vector<expr::AggregateSpec> aggregates;        // equal ones once
  std::vector<Item> items;                            // each over a row of keys, then aggregates, in their orders
  // Output columns: keys then items; groups in order of first appearance.
};
struct Program {                                      // a custom step in a process of its own
  std::string name;                                   // for messages
  std::vector<std::string> argv;                      // a program; empty for a C++ step
  std::string cpp_step;                               // name registered by the shared object; empty for a program
  std::string library;                                // path of the built shared object from the project root
  std::string format = "ndjson";                      // of standard input and output: "ndjson" or "arrow"
  ContractPtr output_contract;                        // may be null: same schema as the input
  int64_t timeout_micros = 0;                         // for the whole step without progress; 0: the default
  std::vector<std::pair<std::string, std::string>> environment;
};
struct Sink {
  std::string name;                                   // how other scenarios refer to it: the file's stem
  std::string locator;
  std::vector<std::string> exec;
  std::string format, compression;
  Dialect dialect;
  std::string mode = "replace";                       // "replace", "append", "fail"
  bool rejected = false;                              // takes dead letters instead of rows; has no inputs
  std::vector<std::string> rules;                     // rejected only: which rules' letters; empty: all
  std::vector<std::string> masks;                     // per input column: "" or the mask method to apply
  // The first so many columns are exactly the fields of the source they come from, in order, unmasked: a text sink of
  // the same format may copy records verbatim and append the rest. 0: never.
  uint32_t verbatim_columns = 0;
};
struct Output {                                       // typed rows kept for other scenarios
  std::string name;                                   // "": the valid branch; else the sink whose rows these are too
  bool spool = true;                                  // false: nobody reads them, they are only counted
};

using Parameters = std::variant<Source, ScenarioInput, Check, Unique, Filter, Derive, Project, Deduplicate, Sort, Limit,
                                Sample, Union, Split, Join, Group, Program, Sink, Output>;

// "source", "check", "filter", …: the stable word used in plans, balances and messages.
const char* kind_name(const Parameters& parameters);

struct Input {
  OperatorId from = 0;
  uint32_t port = 0;  // of a Split: the branch; else 0
};

struct Requires {
  double cpu = 0;                // 0: not stated
  uint64_t memory_bytes = 0;
  uint32_t gpu = 0;
  std::string label;
  bool operator==(const Requires&) const = default;
};

struct Operator {
  OperatorId id = 0;
  Parameters parameters;
  std::string name;                  // unique in the scenario; "check", "set route", or the @step name
  std::string sentence;              // the user's words
  Location location;
  std::vector<Input> inputs;
  // Of every output port (all ports share one schema); of a sink, as they are written, that is after masking; empty for
  // sinks of letters.
  std::vector<ColumnInfo> columns;
  columnar::SchemaPtr schema;        // the fields of `columns`
  Requires needs;                    // in force at this step
  std::vector<std::string> affinity; // as written; acts only on a cluster
  int64_t timeout_micros = 0;        // written at this step: a custom step's time without progress; 0: none written
  uint32_t retries = 0;              // written at this step: how often a custom step is run again when it fails
  bool checkpoint = false;           // keep all of this step's output for `runi show`
  bool tap = false;                  // an explicit step of the user: a sample is kept
};

// ---- what must hold --------------------------------------------------------------------------------------------------

struct Assertion {
  enum class Kind { kMinProcessed, kMaxProcessed, kMaxRejectedPercent, kMaxRejected, kMinValid, kNoDrift, kExpression };
  Kind kind = Kind::kMinProcessed;
  double number = 0;
  bool inclusive = true;         // "at most", "at least"; false: "fewer than", "more than"
  expr::AggregateExpr expression; // kExpression: aggregates over the valid branch
  std::string text;              // the user's words
  Location location;
};

struct Quality {                 // a data-set rule of a contract, over the rows that pass its check
  OperatorId after = 0;          // the Check operator, or the last Unique that belongs to it: its output rows count
  std::string name;
  expr::AggregateExpr expression; // boolean over aggregates
  bool warn_only = false;
  std::string text;
  Location location;
};

struct Notification { std::string channel, target, when; Location location; };   // "stderr", "file", "exec"

// Written, and without effect on one machine; or but where each step has a process of its own.
struct Unenforced { std::string annotation, why; Location location; bool holds_apart = false; };

struct ScenarioPlan {
  std::string name;
  std::string rule;                           // of the feature; may be empty
  std::vector<std::string> tags;
  Location location;
  std::vector<Operator> operators;            // an operator stands after all its inputs
  std::vector<Input> valid;                   // the valid branch: what "the output of scenario" means; at most one
  std::vector<std::string> needs_scenarios;   // names; each stands earlier in the plan
  std::vector<Assertion> assertions;
  std::vector<Quality> qualities;
  std::vector<Notification> notifications;
  std::vector<std::string> golden_cases;      // folders from the project root, as GoldenTest names them; may be empty
  std::vector<Unenforced> unenforced;
  // Of the scenario as a whole, from annotations above it, its rule or the feature.
  Requires needs;              // cpu bounds its worker threads, memory its budget
  int64_t timeout_micros = 0;  // of its whole run; 0: none
  uint32_t retries = 0;        // how often it is run again when it fails
  std::map<std::string, std::string> metadata;
};

struct Plan {
  std::string feature;                        // name
  std::string feature_path;                   // from the project root
  std::string description;
  std::map<std::string, std::string> metadata;
  std::vector<ScenarioPlan> scenarios;
  std::vector<ContractPtr> contracts;
  std::vector<std::string> files;             // every project file the plan was made from, for the bundle and for resume
  const ScenarioPlan* scenario(const std::string& name) const;
};

}  // namespace runink::plan
