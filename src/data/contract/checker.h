// ContractChecker: a contract compiled to passes over column batches.
//
// The good path is a few vectorised passes, one per rule, that only set bytes of a failure mask. Which rules a failing
// row broke is worked out for failing rows alone. Rules across rows (unique, key) and data-set rules are not checked
// here: see Contract::unique_sets and Contract::qualities.
//
// A checker is immutable: one for all threads, with one CheckScratch per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/contract/contract.h"
#include "data/contract/redact.h"
#include "data/expr/eval.h"

namespace runink::contract {

struct Failure {
  int32_t row;   // in the batch
  int32_t rule;  // index into Contract::rules
  bool operator==(const Failure&) const = default;
};

// A check whose expression could not be computed on a row ("delay * 1000: overflow of int32"): it counts as broken.
struct CheckError {
  int32_t row, rule;
  std::string text;  // why; empty where that could show a value of a protected field
};

struct CheckResult {
  std::vector<uint8_t> failed;  // one byte per row: 1 when any rule is broken
  int64_t failed_rows = 0;
  std::vector<Failure> failures;   // by row, then by rule: every rule broken
  std::vector<CheckError> errors;  // by rule, then by row
};

// Memory that check() reuses from batch to batch.
struct CheckScratch {
  CheckScratch();
  ~CheckScratch();
  struct Impl;
  std::unique_ptr<Impl> impl;
};

class ContractChecker {
 public:
  static Result<std::shared_ptr<const ContractChecker>> create(ContractPtr contract);
  ~ContractChecker();

  const Contract& contract() const { return *contract_; }
  const ContractPtr& contract_ptr() const { return contract_; }

  // The batch's first columns are the contract's, in its order and with its types (more may follow: [[open]]).
  // `result` is cleared first, its memory reused. An error means the batch does not fit, never that data is bad.
  Status check(const columnar::Batch& batch, const expr::EvalContext& context, CheckScratch& scratch,
               CheckResult& result) const;

  // What to tell about one failure: "delay must lie between -1440 and 4320; it is 99999", values masked unless `reader`
  // may see them, long ones cut, control bytes escaped. With `result`, also why a check could not be computed.
  std::string message(const columnar::Batch& batch, const Failure& failure, const Reader& reader,
                      const CheckResult* result = nullptr) const;

  struct Impl;  // internal

 private:
  explicit ContractChecker(ContractPtr contract);
  ContractPtr contract_;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace runink::contract
