// What the language knows by name: every function and aggregate, with signatures, help and an example. The checker
// resolves calls here; help, completion, "did you mean" and docs/guide/expressions.md are made from the same list.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace runink::expr {

struct FunctionInfo {
  std::string name;
  std::string group;                    // "text", "number", "time", "null", "aggregate", …
  std::vector<std::string> signatures;  // "left(text: string, count: int64) -> string"
  std::string help;                     // one or two sentences
  std::string example;                  // "left(origin, 2)"
  bool aggregate = false;
};

// In the order of the reference: by group, then by name. Built once; the references stay valid.
const std::vector<FunctionInfo>& functions();
const FunctionInfo* find_function(std::string_view name);  // null when there is none
std::vector<std::string> function_names();

// The reference of functions as Markdown: the part of docs/guide/expressions.md between its two marker lines.
std::string functions_as_markdown();

}  // namespace runink::expr
