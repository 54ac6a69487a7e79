// The files that a feature's sources read, and how their keys belong together.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "client/local/project.h"
#include "client/local/synth.h"
#include "data/plan/plan.h"

namespace runink::local {

struct SynthFile {
  std::string path;  // absolute
  std::string name;  // from the project root
  contract::ContractPtr contract;
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::Compression compression = connectors::Compression::kNone;
  connectors::CsvDialect csv;
  bool joined_with = false;  // others look up rows in it: it may have fewer
  struct Key {
    std::vector<int> columns;        // of this file
    size_t file;                     // earlier in the list
    std::vector<int> other_columns;  // pairwise
  };
  std::vector<Key> keys;
  std::vector<SynthKeys> given;  // keys read from files that are there and have no contract
};

struct SynthPlan {
  std::vector<SynthFile> files;       // each after those whose keys it has
  std::vector<std::string> left_out;  // "dpkg-query: a program", …
};

// Each source of the plan with a contract and a path of its own, once.
Result<SynthPlan> plan_synthesis(const Project& project, const plan::Plan& plan);

// How many records a file that others look up rows in gets, where they get so many.
uint64_t records_to_look_up(uint64_t records);

}  // namespace runink::local
