// Synthetic records of a contract: reproducible (the same bytes for the same contract, options and version), in
// constant memory, and wrong on purpose where asked.
//
// Every record that is not labelled keeps the contract: its rules, its checks and what must not repeat. What must not
// repeat follows from the record's number; checks are met by computing what they equate, and otherwise by drawing
// again.
//
//   synth.h           records of one contract, as bytes of a format
//   synth_feature.h   the files that a feature reads
//   synth_output.h    where the bytes go
//   synth_rows.h      typed records that keep the contract, or break one of its rules
//   synth_breaks.h    values and texts that break one rule
//   synth_values.h    values of one field; synth_words.h the words they are made of; pattern_text.h texts of a pattern
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"
#include "data/contract/contract.h"

namespace runink::local {

// Columns whose values are drawn together, row by row: keys that another file has too.
struct SynthKeys {
  std::vector<int> columns;
  std::vector<std::vector<columnar::Value>> rows;  // one value per column
};

struct SynthOptions {
  uint64_t records = 1000;
  bool fewer_will_do = false;  // where unique fields have no room for so many: as many as there is room for
  uint64_t seed = 1;
  double invalid = 0;                       // share of records that break a rule: each rule of the contract in turn
  int64_t now_micros = 1767225600'000'000;  // 2026-01-01; dates lie in the two years before it, now() in checks is it
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::CsvDialect csv;
  std::string label_file;  // what labels call the file; empty: they do not
  const StopFlag* stop = nullptr;
  std::vector<SynthKeys> draw;
  // Sets of columns of which the first values are wanted back, see SynthReport::kept.
  std::vector<std::vector<int>> keep;
};

struct SynthReport {
  uint64_t records = 0, broken = 0;
  std::map<std::string, uint64_t> by_rule;      // broken on purpose
  std::map<std::string, std::string> unbroken;  // with `invalid`: rules that no record breaks, and why
  std::vector<std::string> notes;               // what a person should know: quality rules that do not hold, …
  std::vector<SynthKeys> kept;  // of the records that keep the contract; one for each of SynthOptions::keep
};

using SynthWrite = std::function<Status(std::string_view bytes)>;

// `write` gets the file piece by piece. `label` (may be empty) gets a line of JSON for each broken record:
//   {"file":…,"line":18,"record":17,"field":"delay","rule":"delay.range","also":["check usual"]}
// `line` is that of its first byte and absent for Arrow; records count from 1 without a CSV header; `field` is absent
// where the rule has none; `also` lists further rules that the record breaks, and is absent where there are none.
// `progress` (may be empty) gets the records so far.
Result<SynthReport> synthesise(const contract::ContractPtr& contract, const SynthOptions& options,
                               const SynthWrite& write, const SynthWrite& label,
                               const std::function<void(uint64_t)>& progress);

}  // namespace runink::local
