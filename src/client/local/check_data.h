// Whether every record of a file keeps a contract: read and checked by the same engine as runs are, and nothing is
// left behind, neither outputs nor dead letters. `runi contract check --data` and `runi contract diff` judge by it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"

namespace runink::local {

struct BrokenByData {
  std::string rule, field;
  uint64_t records = 0;
  std::string first;   // message of the first record that broke it, pii masked
  std::string source;  // where that record is
  uint64_t line = 0;
};

struct QualityOfData {
  std::string name, text, actual;
  bool holds = false, warn_only = false;
};

struct DataCheck {
  uint64_t records = 0, valid = 0, rejected = 0;
  std::vector<BrokenByData> broken;  // commonest first
  std::vector<QualityOfData> qualities;
  std::map<std::string, uint64_t> drift;  // fields that the contract does not name → records
  bool good() const;                      // nothing rejected, every quality rule of severity error holds
};

struct DataCheckOptions {
  std::string root;      // folder that relative paths start at
  std::string contract;  // reference as in @contract
  std::string data;      // path; its format by its name, unless `format` says
  std::string format;    // "ndjson", "csv", "arrow", or empty
  uint64_t records_max = 0;  // look at so many only, and at what one thread reads along with them; 0: all
  uint32_t threads = 1;
  uint64_t memory_budget_bytes = 256u << 20;
  const StopFlag* stop = nullptr;
};

// An error means that the data could not be judged (no such file, the contract does not parse), not that it is bad.
Result<DataCheck> check_data(const DataCheckOptions& options);

}  // namespace runink::local
