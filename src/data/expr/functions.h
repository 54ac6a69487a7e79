// How functions are defined: signatures as text, from which the checker resolves calls and the reference is made.
// Internal; registry.h is the public view.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/expr/kernel.h"
#include "data/expr/node.h"
#include "data/expr/registry.h"

namespace runink::expr {

// A call being typed. A binder may replace args (widened, folded) and sets the rest.
struct Binding {
  std::vector<NodePtr> args;
  DataType type;
  bool nullable = false;  // preset: any argument is nullable
  Kernel kernel = nullptr;
  LazyKernel lazy = nullptr;
  std::shared_ptr<const void> state;
  bool can_fail = false;  // by itself
  bool hides_pii = false;
  bool needs_key = false;
  bool uses_now = false;
  NodePtr replacement;                                      // the call is this node instead
  AggregateFunction aggregate = AggregateFunction::kCount;  // aggregates only
  double fraction = 0.5;
  bool order_sensitive = false;

  // What is wrong; `error_arg` is the argument it is about, or -1 for the whole call.
  std::string error, help;
  int error_arg = -1;
  bool fail(std::string message, std::string advice = {}, int arg = -1) {
    error = std::move(message);
    help = std::move(advice);
    error_arg = arg;
    return false;
  }
};
using Binder = bool (*)(Binding&);

enum Flag : unsigned {
  kCanFail = 1,    // makes row errors
  kMakesNull = 2,  // may be null though no argument is
  kHides = 4,      // masks, hashes or tokenises: removes pii
  kUsesKey = 8,
  kUsesNow = 16,
};

// One way to call a function. `signature` as in "left(text: string, count: int64) -> string". Parameter types: a type
// name; "number" (any numeric type, unchanged); "any"; "list" (of anything). A kernel with a `prepare` binder has its
// constant arguments looked at when the expression is compiled.
struct Overload {
  std::string signature;
  Kernel kernel = nullptr;
  unsigned flags = 0;
  Binder prepare = nullptr;
};

struct Definition {
  std::string name, group, help, example;
  std::vector<Overload> overloads;
  Binder binder = nullptr;  // when set, types the call alone; the overloads are for the reader
  bool aggregate = false;
};

struct Parameter {
  std::string name;
  std::string type;
};
struct ParsedOverload {
  std::vector<Parameter> parameters;
  std::string result;
};
ParsedOverload parse_signature(const std::string& signature);

// All of them, in the order of the reference.
const std::vector<Definition>& definitions();
const Definition* find_definition(std::string_view name);

// Each file of functions adds its own.
void define_null_functions(std::vector<Definition>& out);
void define_number_functions(std::vector<Definition>& out);
void define_text_functions(std::vector<Definition>& out);
void define_pattern_functions(std::vector<Definition>& out);
void define_time_functions(std::vector<Definition>& out);
void define_json_functions(std::vector<Definition>& out);
void define_list_functions(std::vector<Definition>& out);
void define_secret_functions(std::vector<Definition>& out);
void define_aggregates(std::vector<Definition>& out);

// Types the call of a definition that has no binder by its overloads.
bool bind_overloads(const Definition& definition, Binding& binding);

// "an int32", "a string".
std::string a_type(const DataType& type);
std::string a_word(std::string_view type);

// The text of a constant text argument, or an error in the binding.
std::optional<std::string> constant_text(Binding& binding, size_t arg, std::string_view what);

// --- conversions the checker inserts

// A cast of `arg` to `type`; folded when constant. Null (with a message in `error`) when there is no such cast, or when
// a constant does not fit.
NodePtr make_cast(const NodePtr& arg, const DataType& type, bool lenient, std::string* error, std::string* help,
                  ExprPtr source = nullptr);
bool cast_exists(const DataType& from, const DataType& to);
bool cast_can_fail(const DataType& from, const DataType& to);
// Every value of `from` is a value of `to`, and nothing is lost.
bool widens(const DataType& from, const DataType& to);
// A literal in the type of what it meets, where it means the same: 15 as int8, 0.5 as float64, "2024-01-01" as date.
// Null when it does not fit.
NodePtr adapt_literal(const NodePtr& literal, const DataType& type);

// A constant call computed now. The node itself when it is not constant; null when computing it fails (`error` says
// why).
NodePtr fold(const NodePtr& node, std::string* error);
NodePtr finish_call(Binding& binding, std::string function, ExprPtr source);

// Brings arguments (from `first` on, every `step`-th) to one common type, without loss. Sets binding.error.
bool unify(Binding& binding, const std::vector<size_t>& which, DataType* type, std::string_view what);
// Brings arguments that are to be compared to comparable types; numbers may stay of different types.
bool unify_for_comparison(Binding& binding, const std::vector<size_t>& which);

// Operators.
bool bind_arithmetic(std::string_view sign, Binding& binding);
bool bind_negation(Binding& binding);
bool bind_comparison(std::string_view sign, Binding& binding);
bool bind_in(bool negated, Binding& binding);
bool bind_between(bool negated, Binding& binding);
bool bind_logic(std::string_view word, Binding& binding);
bool bind_not(Binding& binding);
bool bind_is_null(bool negated, Binding& binding);
bool bind_case(Binding& binding);
bool bind_concat(Binding& binding);

// -1, 0, 1 for two valid rows of comparable columns (numbers of any two types; else equal types).
int compare_values(const Column& a, int64_t row_a, const Column& b, int64_t row_b);

}  // namespace runink::expr
