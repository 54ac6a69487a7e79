// The keywords of Gherkin in each spoken language, as the official parser has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/dsl/gherkin.h"

namespace runink::dsl {

struct StepKeyword {
  std::string_view text;  // with its trailing space, where the language has one
  KeywordType type;
};

struct Dialect {
  std::string_view code, name, native;  // "fr", "French", "français"
  // Title keywords, without the colon, in the order in which they are tried.
  std::vector<std::string_view> feature, rule, background, scenario, scenario_outline, examples;
  std::vector<StepKeyword> steps;  // in the order in which they are tried: longest first
};

// nullptr if no such language. Codes are case-sensitive. The table is made at the first call; any thread may call.
const Dialect* find_dialect(std::string_view code);
std::vector<std::string> dialect_codes();  // sorted

// The keyword of a line without its leading white space: the first of `words` that stands at its start followed by a
// colon; the first step keyword at its start. Empty and nullptr if there is none.
std::string_view find_title_keyword(const std::vector<std::string_view>& words, std::string_view line);
const StepKeyword* find_step_keyword(const Dialect& dialect, std::string_view line);
bool starts_with_keyword(const Dialect& dialect, std::string_view line);  // any of them

}  // namespace runink::dsl
