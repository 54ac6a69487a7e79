#include "data/contract/checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"
#include "data/expr/rules.h"

namespace runink::contract {

using columnar::Column;
using columnar::TypeId;

namespace {

struct CompiledRule {
  int column = 0;
  int32_t rule = 0;
  expr::RulePtr kernel;
  std::vector<int> element;  // path below the column; empty for the column's own value
};

struct CompiledCheck {
  int32_t rule = 0;
  size_t check = 0;
  bool reads_protected = false;
};

Result<expr::RulePtr> compile(RuleKind kind, const ContractField& field) {
  switch (kind) {
    case RuleKind::kRequired:
      return expr::rule_not_null();
    case RuleKind::kRange:
      return expr::rule_range(field.type, field.min, field.max);
    case RuleKind::kLength:
      return expr::rule_length(field.type, field.length_min, field.length_max);
    case RuleKind::kPattern:
      return expr::rule_pattern(field.type, field.pattern);
    case RuleKind::kOneOf:
      return expr::rule_one_of(field.type, field.one_of);
    default:
      return internal_error("rule kind {} has no kernel", static_cast<int>(kind));
  }
}

const ContractField& member_at(const ContractField& field, const std::vector<int>& path) {
  const ContractField* at = &field;
  for (const int index : path) at = &at->elements[static_cast<size_t>(index)];
  return *at;
}

// Marks the rows of `column` in which a member, reached by path[from…], breaks the rule. Lists on the way are walked
// through; members of a struct that is null are not looked at.
void check_members(const Column& column, const CompiledRule& rule, size_t from, std::vector<uint8_t>& failed) {
  failed.assign(static_cast<size_t>(column.length), 0);
  if (column.type.id() == TypeId::kList) {
    std::vector<uint8_t> below;
    check_members(column.children[0], rule, from, below);
    const int32_t* offsets = column.offset_data();
    for (int64_t row = 0; row < column.length; ++row) {
      if (column.is_null(row)) continue;
      for (int32_t i = offsets[row]; i < offsets[row + 1]; ++i)
        failed[static_cast<size_t>(row)] |= below[static_cast<size_t>(i)];
    }
    return;
  }
  const Column& member = column.children[static_cast<size_t>(rule.element[from])];
  const bool last = from + 1 == rule.element.size();
  if (last) {
    // The member's own value, which may itself be a list (its length is a rule of the list, not of its elements).
    rule.kernel->check(member, failed.data());
  } else {
    check_members(member, rule, from + 1, failed);
  }
  for (int64_t row = 0; row < column.length; ++row) failed[static_cast<size_t>(row)] &= column.is_valid(row) ? 1 : 0;
}

std::string shown_value(const Column& column, int64_t row, const ContractField& field, const Reader& reader) {
  if (column.is_null(row)) return "null";
  std::string text;
  columnar::append_value_text(column, row, {field.name, field.type, true, field.format, field.zone}, text);
  if (const auto mask = mask_for(field, reader)) text = mask_text(*mask, text, {});
  constexpr size_t kShownMax = 80;
  const bool cut = count_code_points(text) > kShownMax;
  if (cut) text = code_point_slice(text, 0, kShownMax);
  text = escape_control(text);
  const bool quoted = field.type.is_text() || field.type.id() == TypeId::kEnum;
  return quoted ? fmt::format("\"{}\"{}", text, cut ? "…" : "") : text + (cut ? "…" : "");
}

}  // namespace

struct ContractChecker::Impl {
  std::vector<CompiledRule> rules;     // of the columns' own values
  std::vector<CompiledRule> elements;  // of members inside lists
  std::vector<CompiledCheck> checks;
};

struct CheckScratch::Impl {
  const ContractChecker::Impl* owner = nullptr;
  std::vector<expr::Evaluator> evaluators;
  std::vector<expr::RowError> row_errors;
  std::vector<uint8_t> mask;
  std::vector<int32_t> rows;
};

CheckScratch::CheckScratch() : impl(std::make_unique<Impl>()) {}
CheckScratch::~CheckScratch() = default;

ContractChecker::ContractChecker(ContractPtr contract) : contract_(std::move(contract)) {}
ContractChecker::~ContractChecker() = default;

Result<std::shared_ptr<const ContractChecker>> ContractChecker::create(ContractPtr contract) {
  auto impl = std::make_unique<Impl>();
  for (size_t i = 0; i < contract->rules.size(); ++i) {
    const Rule& rule = contract->rules[i];
    const auto index = static_cast<int32_t>(i);
    switch (rule.kind) {
      case RuleKind::kRequired:
      case RuleKind::kRange:
      case RuleKind::kLength:
      case RuleKind::kPattern:
      case RuleKind::kOneOf: {
        const ContractField& field = contract->fields[static_cast<size_t>(rule.column)];
        impl->rules.push_back(
            {rule.column, index, RUNINK_TRY_CONTEXT(compile(rule.kind, field), "compile rule " + rule.name), {}});
        break;
      }
      case RuleKind::kElements: {
        const ContractField& member = member_at(contract->fields[static_cast<size_t>(rule.column)], rule.element);
        impl->elements.push_back({rule.column, index,
                                  RUNINK_TRY_CONTEXT(compile(rule.element_kind, member), "compile rule " + rule.name),
                                  rule.element});
        break;
      }
      case RuleKind::kCheck: {
        CompiledCheck check{index, static_cast<size_t>(rule.check)};
        for (const int column : contract->checks[check.check].expression.columns()) {
          check.reads_protected =
              check.reads_protected || mask_of(contract->fields[static_cast<size_t>(column)]).has_value();
        }
        impl->checks.push_back(check);
        break;
      }
      default:
        break;  // type and record are the reader's; unique and key the engine's
    }
  }
  auto checker = std::shared_ptr<ContractChecker>(new ContractChecker(std::move(contract)));
  checker->impl_ = std::move(impl);
  return std::shared_ptr<const ContractChecker>(std::move(checker));
}

Status ContractChecker::check(const columnar::Batch& batch, const expr::EvalContext& context, CheckScratch& scratch,
                              CheckResult& result) const {
  if (batch.columns.size() < contract_->fields.size()) {
    return internal_error("a batch of {} columns cannot be checked against contract {}, which has {}",
                          batch.columns.size(), contract_->name, contract_->fields.size());
  }
  CheckScratch::Impl& work = *scratch.impl;
  if (work.owner != impl_.get()) {
    work.owner = impl_.get();
    work.evaluators.clear();
    for (const auto& check : impl_->checks) work.evaluators.emplace_back(contract_->checks[check.check].expression);
  }
  result.failed.assign(static_cast<size_t>(batch.rows), 0);
  result.failed_rows = 0;
  result.failures.clear();
  result.errors.clear();
  if (batch.rows == 0) return {};

  uint8_t* failed = result.failed.data();
  for (const auto& rule : impl_->rules) rule.kernel->check(batch.columns[static_cast<size_t>(rule.column)], failed);
  for (const auto& rule : impl_->elements) {
    check_members(batch.columns[static_cast<size_t>(rule.column)], rule, 0, work.mask);
    for (int64_t row = 0; row < batch.rows; ++row) {
      if (work.mask[static_cast<size_t>(row)] == 0) continue;
      failed[row] = 1;
      result.failures.push_back({static_cast<int32_t>(row), rule.rule});
    }
  }
  for (size_t i = 0; i < impl_->checks.size(); ++i) {
    const CompiledCheck& check = impl_->checks[i];
    work.row_errors.clear();
    const Column verdict = RUNINK_TRY_CONTEXT(work.evaluators[i].evaluate(batch, context, work.row_errors),
                                              "evaluate " + contract_->rules[static_cast<size_t>(check.rule)].name);
    for (const auto& error : work.row_errors) {
      const auto row = static_cast<int32_t>(error.row);
      failed[row] = 1;
      result.failures.push_back({row, check.rule});
      result.errors.push_back({row, check.rule, check.reads_protected ? std::string() : error.message});
    }
    const uint8_t* holds = verdict.data<uint8_t>();
    uint8_t all_hold = 1;
    for (int64_t row = 0; row < batch.rows; ++row) all_hold &= holds[row];
    if (all_hold == 1) continue;
    for (int64_t row = 0; row < batch.rows; ++row) {
      if (holds[row] != 0 || verdict.is_null(row)) continue;  // null passes
      failed[row] = 1;
      result.failures.push_back({static_cast<int32_t>(row), check.rule});
    }
  }

  result.failed_rows = columnar::count_mask(failed, batch.rows);
  if (result.failed_rows == 0) return {};
  work.rows.resize(static_cast<size_t>(batch.rows));
  const int64_t count = columnar::rows_of_mask(failed, batch.rows, work.rows.data());
  for (const auto& rule : impl_->rules) {
    const Column& column = batch.columns[static_cast<size_t>(rule.column)];
    for (int64_t i = 0; i < count; ++i) {
      const int32_t row = work.rows[static_cast<size_t>(i)];
      if (!rule.kernel->passes(column, row)) result.failures.push_back({row, rule.rule});
    }
  }
  std::sort(result.failures.begin(), result.failures.end(),
            [](const Failure& a, const Failure& b) { return a.row != b.row ? a.row < b.row : a.rule < b.rule; });
  return {};
}

std::string ContractChecker::message(const columnar::Batch& batch, const Failure& failure, const Reader& reader,
                                     const CheckResult* result) const {
  const Rule& rule = contract_->rules[static_cast<size_t>(failure.rule)];
  const auto value_of = [&](int column) {
    const auto at = static_cast<size_t>(column);
    if (at < reader.hidden.size() && reader.hidden[at])
      return std::string(batch.columns[at].is_null(failure.row) ? "null" : "****");
    return shown_value(batch.columns[at], failure.row, contract_->fields[at], reader);
  };
  switch (rule.kind) {
    case RuleKind::kRange:
    case RuleKind::kLength:
    case RuleKind::kPattern:
    case RuleKind::kOneOf:
      return fmt::format("{}; it is {}", rule.sentence, value_of(rule.column));
    case RuleKind::kCheck: {
      const RowCheck& check = contract_->checks[static_cast<size_t>(rule.check)];
      if (result != nullptr) {
        const auto error = std::lower_bound(
            result->errors.begin(), result->errors.end(), failure,
            [](const auto& e, const auto& f) { return e.rule != f.rule ? e.rule < f.rule : e.row < f.row; });
        if (error != result->errors.end() && error->row == failure.row && error->rule == failure.rule)
          return fmt::format("{} could not be computed{}{}", rule.name, error->text.empty() ? "" : ": ",
                             escape_control(error->text));
      }
      std::string values;
      constexpr size_t kValuesMax = 6;
      const auto& columns = check.expression.columns();
      for (size_t i = 0; i < columns.size() && i < kValuesMax; ++i) {
        values += fmt::format("{}{} is {}", i == 0 ? "; " : ", ",
                              contract_->fields[static_cast<size_t>(columns[i])].name, value_of(columns[i]));
      }
      return fmt::format("{} {}{}", rule.name, rule.sentence, values);
    }
    default:
      return rule.sentence;
  }
}

}  // namespace runink::contract
