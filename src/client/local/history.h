// What commands read of past runs: the ledger of a project, opened for reading, and what hangs together in it.
//
// The command line reaches data/ledger through here alone, so this header brings in the ledger's own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/local/project.h"
#include "data/ledger/dead_letters.h"
#include "data/ledger/gc.h"
#include "data/ledger/ledger.h"
#include "data/ledger/lineage_graph.h"
#include "data/ledger/reveals.h"
#include "data/ledger/run_log.h"
#include "data/ledger/run_record.h"

namespace runink::contract {
class RecordRedactor;
}

namespace runink::local {

// The ledger for commands that only look: settles what dead processes left (as every command does), and says so in
// `notes`. Where that cannot be written (a full disk, a read-only one) it says so there and the ledger is read as it is.
// kNotFound, kind "ledger.none", where nothing ever ran; no folder is made then.
Result<ledger::Ledger> open_ledger_to_read(const Project& project, std::vector<std::string>* notes);

// The plan of the feature's newest run that has one, as JSON. kNotFound where it never ran.
Result<std::string> last_plan_of(const Project& project, const std::string& feature);

// A run and, where it is the run of a whole feature, the runs of its scenarios in the order in which they began.
struct RunFamily {
  ledger::RunRecord run;
  std::vector<ledger::RunRecord> children;
};
// `words` as Ledger::find_run takes them: "last", an id, or a part of one.
Result<RunFamily> load_family(const ledger::Ledger& ledger, const std::string& words);

// Values of pii fields masked as the project's reader may see them: the roles held in runink.toml, or all with
// `reveal`. A record is masked wholly where its fields cannot be told for certain: its contract can no longer be found,
// or no longer has the hash that the letter names; it is CSV, and its source is gone, has changed, or has no header.
class LetterMasker {
 public:
  LetterMasker(const Project& project, bool reveal);
  std::string shown(const ledger::DeadLetter& letter);

 private:
  const Project& project_;
  bool reveal_;
  std::map<std::string, contract::ContractPtr> contracts_;  // by hash
  bool loaded_ = false;
  void load_contracts();
  std::string shown_cells(const ledger::DeadLetter& letter, const contract::RecordRedactor& redactor) const;
};

}  // namespace runink::local
