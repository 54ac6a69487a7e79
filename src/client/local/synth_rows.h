// Rows of a contract as batches, for synth.h.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "client/local/synth.h"
#include "client/local/synth_values.h"
#include "data/columnar/batch.h"
#include "data/contract/checker.h"
#include "data/expr/check.h"

namespace runink::local {

class SynthRows {
 public:
  static Result<std::unique_ptr<SynthRows>> make(contract::ContractPtr contract, const SynthOptions& options);

  // Rows are numbered; what must not repeat follows from the number.
  struct Rows {
    columnar::Batch batch;
    std::vector<uint64_t> numbers;
  };
  // Rows first … first + count - 1 that keep the contract. Numbers for which none was found are left out; an error where
  // that is nearly all.
  Result<Rows> valid(uint64_t first, int64_t count);
  // A row of this number that breaks the rule of a check, and as few others as possible; none if none was found.
  Result<std::optional<columnar::Batch>> breaking(int rule, uint64_t number);
  // Whether a row keeps all rules but those across rows.
  Result<bool> keeps_rules(const columnar::Batch& row);

 private:
  enum class Mode {
    kLikely,     // as makers make them
    kSearching,  // columns of checks also take values that checks compare with, or each other's
    kBreaking,   // the same, and equations are left alone
  };
  // How a column avoids repeating: value (number / divisor) % modulus of its maker. modulus 0: it may repeat.
  struct Unrepeated {
    uint64_t divisor = 1, modulus = 0;
  };
  struct Equation {
    int column;
    expr::TypedExpr value;
  };
  SynthRows(contract::ContractPtr contract, const SynthOptions& options) : contract_(std::move(contract)), options_(options) {}
  Status prepare();
  Status arrange_unique();
  void learn_from_checks();
  void add_special(int column, const std::string& text);
  Result<columnar::Batch> draw(const std::vector<uint64_t>& numbers, uint64_t attempt, Mode mode);
  void mix_in(columnar::Batch* batch, SynthRandom& random);
  Status check(const columnar::Batch& batch);

  contract::ContractPtr contract_;
  const SynthOptions& options_;
  std::vector<ValueMakerPtr> makers_;
  std::vector<Unrepeated> unrepeated_;
  std::vector<Equation> equations_;
  std::vector<std::vector<columnar::Value>> specials_;  // per column: what checks compare it with
  std::vector<std::vector<int>> partners_;              // per column: columns of the same type in the same check
  std::shared_ptr<const contract::ContractChecker> checker_;
  contract::CheckScratch scratch_;
  contract::CheckResult result_;
};

}  // namespace runink::local
