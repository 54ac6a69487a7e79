#include "data/dsl/gherkin_dialects.h"

#include <algorithm>

namespace runink::dsl {
namespace {

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> table = {
#include "data/dsl/gherkin_dialect_table.inc"
  };
  return table;
}

}  // namespace

const Dialect* find_dialect(std::string_view code) {
  const auto& table = dialects();
  const auto found = std::find_if(table.begin(), table.end(), [&](const Dialect& d) { return d.code == code; });
  return found == table.end() ? nullptr : &*found;
}

std::vector<std::string> dialect_codes() {
  std::vector<std::string> codes;
  for (const auto& dialect : dialects()) codes.emplace_back(dialect.code);
  return codes;
}

std::string_view find_title_keyword(const std::vector<std::string_view>& words, std::string_view line) {
  for (const std::string_view word : words) {
    if (line.size() > word.size() && line[word.size()] == ':' && line.substr(0, word.size()) == word) return word;
  }
  return {};
}

const StepKeyword* find_step_keyword(const Dialect& dialect, std::string_view line) {
  for (const StepKeyword& keyword : dialect.steps) {
    if (line.substr(0, keyword.text.size()) == keyword.text) return &keyword;
  }
  return nullptr;
}

bool starts_with_keyword(const Dialect& dialect, std::string_view line) {
  for (const auto* words : {&dialect.feature, &dialect.rule, &dialect.background, &dialect.scenario,
                            &dialect.scenario_outline, &dialect.examples}) {
    if (!find_title_keyword(*words, line).empty()) return true;
  }
  return find_step_keyword(dialect, line) != nullptr;
}

}  // namespace runink::dsl
