// Records broken on purpose: the text of a good record with one value changed so that it breaks one rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "client/local/synth.h"
#include "client/local/synth_values.h"

namespace runink::local {

class RecordBreaker {
 public:
  static Result<std::unique_ptr<RecordBreaker>> make(contract::ContractPtr contract, const SynthOptions& options);

  // Whether a change of text breaks this rule (by its index in the contract) in this format. Not for checks and rules across rows.
  bool breaks(int rule) const { return !replacements_[static_cast<size_t>(rule)].empty() || rule == contract::Contract::kRecordRule; }
  // `record`: a good one as a writer wrote it, with its line break. Empty where this record has no place to change (a
  // nested value that is null).
  std::string broken(int rule, std::string_view record) const;

 private:
  RecordBreaker(contract::ContractPtr contract, const SynthOptions& options) : contract_(std::move(contract)), options_(options) {}
  Status prepare();
  std::string broken_record(std::string_view record) const;
  std::string cell(std::string_view text) const;

  contract::ContractPtr contract_;
  const SynthOptions& options_;
  std::vector<std::string> replacements_;  // per rule: JSON text, or the bytes of a CSV cell; empty: none
};

// Where the value at a path of member names (and "[0]" for the first element) stands in JSON text without white space
// between tokens. Length 0: it is not there.
Span find_json_value(std::string_view json, const std::vector<std::string>& path);

}  // namespace runink::local
