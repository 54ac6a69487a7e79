// What the files of rules share. Internal.
#pragma once

#include <string>
#include <vector>

#include "data/expr/rules.h"
#include "data/expr/rules_kernels.h"

namespace runink::expr {

// The kernels of the level in use.
const rules::Kernels& rule_kernels();

inline rules::Marks marks_of(const columnar::Column& column, uint8_t* failed, uint8_t bit) {
  return {column.validity != nullptr ? column.validity->data() : nullptr, failed, bit};
}

RulePtr make_text_members(const std::vector<std::string>& members, std::string text);

}  // namespace runink::expr
