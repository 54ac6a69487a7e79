// Rows of a contract as batches, for synth.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/local/synth.h"
#include "client/local/synth_values.h"
#include "data/columnar/batch.h"
#include "data/contract/checker.h"
#include "data/expr/check.h"
#include "data/expr/eval.h"

namespace runink::local {

class SynthRows {
 public:
  static Result<std::unique_ptr<SynthRows>> make(contract::ContractPtr contract, const SynthOptions& options);

  // Numbers below this give rows that do not repeat each other.
  uint64_t room() const { return room_; }
  // What could not be done as asked, for people.
  const std::vector<std::string>& notes() const { return notes_; }

  // Rows are numbered; what must not repeat follows from the number.
  struct Rows {
    columnar::Batch batch;
    std::vector<uint64_t> numbers;
  };
  // Rows first … first + count - 1 that keep the contract. Numbers for which none was found are left out.
  Result<Rows> valid(uint64_t first, int64_t count);
  // The rule that most rows failed by for which none was found, so far.
  std::string hardest_rule() const;

  // A row that breaks one rule, with all the rules that it breaks (in the contract's order).
  struct Broken {
    columnar::Batch row;
    std::vector<int> rules;
  };
  // Row `row` of the batch, whose number is `number`, changed so that it breaks `rule`, and no other where that can be
  // found; none if nothing was found. `candidates`: values of the rule's column that break it; empty for a check.
  Result<std::optional<Broken>> breaking(int rule, const std::vector<columnar::Value>& candidates,
                                         const columnar::Batch& batch, int64_t row, uint64_t number);
  // The row with the values of a unique set that `before` has, if it then breaks no field rule and no check, and repeats
  // no other set where that can be found.
  Result<std::optional<Broken>> repeating(const contract::UniqueSet& set, const columnar::Batch& before,
                                          const columnar::Batch& batch, int64_t row, uint64_t number);

 private:
  enum class Mode {
    kLikely,     // as makers make them
    kSearching,  // columns of checks also take values that checks compare with, or each other's
  };
  // How a column avoids repeating: value (number / divisor) % modulus of its maker. modulus 0: it may repeat.
  struct Unrepeated {
    uint64_t divisor = 1, modulus = 0;
    uint64_t index(uint64_t number) const {
      return divisor == 1 && number < modulus ? number : number / divisor % modulus;
    }
  };
  struct Equation {
    int column, check;
    expr::Evaluator value;
  };
  struct Drawn {
    std::vector<int> columns;
    std::vector<columnar::Column> values;  // one per column, of the same length
    bool in_turn = false;                  // row by row, each once; else any
  };
  SynthRows(contract::ContractPtr contract, const SynthOptions& options)
      : contract_(std::move(contract)), options_(options) {}
  Status prepare();
  void arrange_keys();
  Status make_makers();
  Status arrange_unique(const contract::UniqueSet& set);
  void learn_from_checks();
  void learn_equation(const expr::ExprPtr& tree, const SourceTextPtr& text, int check);
  void add_special(int column, const std::string& text);
  Result<columnar::Batch> draw(const std::vector<uint64_t>& numbers, uint64_t attempt, Mode mode,
                               int unequal_check = -1);
  Result<columnar::Batch> repaired(const columnar::Batch& rows, const std::vector<size_t>& which, uint64_t first,
                                   uint64_t attempt);
  columnar::Column draw_column(size_t column, const std::vector<uint64_t>& numbers, uint64_t stream);
  void mix_in(columnar::Batch* batch, SynthRandom& random);
  Status equate(columnar::Batch* batch, int unequal_check, int keep_column);
  Status check(const columnar::Batch& batch);
  std::vector<int> also_repeated(const contract::UniqueSet& set, const columnar::Batch& before,
                                 const columnar::Batch& rows, int64_t r) const;
  // Of the batch just checked: the row that breaks `rule` and the fewest others. Whether it breaks no other.
  bool best_breaking(const columnar::Batch& batch, int rule, std::optional<Broken>* best) const;

  contract::ContractPtr contract_;
  const SynthOptions& options_;
  std::vector<ValueMakerPtr> makers_;
  std::vector<Unrepeated> unrepeated_;
  std::vector<Drawn> drawn_;
  std::vector<bool> is_drawn_;
  std::vector<Equation> equations_;
  std::vector<std::vector<columnar::Value>> specials_;  // per column: what checks compare it with
  std::vector<std::vector<int>> partners_;              // per column: columns of the same type in the same check
  uint64_t room_ = UINT64_MAX;
  std::vector<std::string> notes_;
  std::vector<uint64_t> whos_;  // scratch: per row of the batch being drawn
  std::map<int32_t, uint64_t> blame_;
  std::shared_ptr<const contract::ContractChecker> checker_;
  contract::CheckScratch scratch_;
  contract::CheckResult result_;
};

}  // namespace runink::local
