// Synthetic records of a contract: reproducible (the same bytes for the same contract, options and version), in constant
// memory, and wrong on purpose where asked.
//
// Every record that is not labelled keeps the contract, its checks and unique rules included. Checks are met by trying:
// what a check equates is computed, values that checks compare with are tried more often.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/project.h"
#include "data/connectors/csv_dialect.h"
#include "data/connectors/locator.h"
#include "data/contract/contract.h"
#include "data/plan/plan.h"

namespace runink::local {

struct SynthOptions {
  uint64_t records = 1000;
  uint64_t seed = 1;
  double invalid = 0;                      // share of records that break a rule: each rule of the contract in turn
  int64_t now_micros = 1767225600'000'000;  // 2026-01-01; dates lie in the two years before it, now() in checks is it
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::CsvDialect csv;
  const StopFlag* stop = nullptr;
  // Columns whose values are drawn from these instead (keys that another file must have too).
  std::map<int, std::vector<columnar::Value>> draw;
  // Columns of which the first values are wanted back, see SynthReport::kept.
  std::vector<int> keep;
};

struct SynthReport {
  uint64_t records = 0, broken = 0;
  std::map<std::string, uint64_t> by_rule;  // broken on purpose
  std::vector<std::string> never_broken;    // rules that cannot be broken in this format ("name.type": every CSV cell is a string)
  std::map<int, std::vector<columnar::Value>> kept;
};

using SynthWrite = std::function<Status(std::string_view bytes)>;

// `write` gets the file piece by piece; `label` (may be empty) a line {"record":17,"rule":"delay.range"} for each broken
// record, which count from 1 without the CSV header; `progress` (may be empty) the records so far.
Result<SynthReport> synthesise(const contract::ContractPtr& contract, const SynthOptions& options, const SynthWrite& write,
                               const SynthWrite& label, const std::function<void(uint64_t)>& progress);

// The files that a feature's sources read: each source with a contract and a path of its own, once. Files that scenarios join with come first,
// so that the keys of the others can be drawn from theirs.
struct SynthFile {
  std::string path;      // absolute
  contract::ContractPtr contract;
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::Compression compression = connectors::Compression::kNone;
  connectors::CsvDialect csv;
  struct Key {
    int column;          // of this file
    size_t file;         // earlier in the list
    int other_column;
  };
  std::vector<Key> keys;
};
struct SynthPlan {
  std::vector<SynthFile> files;
  std::vector<std::string> left_out;  // "dpkg-query: a program", …
};
Result<SynthPlan> plan_synthesis(const Project& project, const plan::Plan& plan);

}  // namespace runink::local
