// Replaying into outputs whose rules compare records (unique, key, deduplicate): what was written before must count.
//
// The scenario first reads its source again, without the records that are letters, so that its tables hold the keys of
// what is in the outputs; then come the letters, and sinks take only rows of letters. That is exact as long as the
// source is what it was and the present scenario makes of it what the run made of it: both are checked, and the replay
// is refused where they do not hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/local/project.h"
#include "data/connectors/source.h"
#include "data/engine/io.h"
#include "data/ledger/dead_letters.h"
#include "data/ledger/ledger.h"
#include "data/plan/plan.h"

namespace runink::local {

// A file as letters name their source: from the project root where it lies there.
std::string letter_name(std::string file, const std::string& root);

// Whether the scenario keeps or drops a record because of others.
bool compares_records(const plan::ScenarioPlan& scenario);

// What the newest run of a scenario, and replays since, have put into its outputs.
struct KnownRecords {
  std::map<std::string, uint64_t> sink_rows;          // by the sink's name
  std::map<std::string, std::set<int64_t>> left_out;  // by source as letters name it: offsets of open letters
  std::set<std::string> letters;                      // ids of all letters of that run
};

// kFailedPrecondition, with the reason and what to do, where that cannot be known: the source has changed or cannot be
// read again, records lose their origin on the way, or the run is not kept any more.
Result<KnownRecords> find_known_records(const Project& project, const ledger::Ledger& ledger, const plan::Plan& plan,
                                        const plan::ScenarioPlan& scenario, plan::OperatorId source);

// The records of `before`, without those left out, then those of `letters`. `letters_number` is what batches of the
// letters say as their source; `files` names all others.
std::unique_ptr<engine::BatchSource> read_before_letters(std::unique_ptr<engine::BatchSource> before,
                                                         std::unique_ptr<engine::BatchSource> letters,
                                                         uint32_t letters_number, const KnownRecords& known,
                                                         const std::string& project_root,
                                                         std::shared_ptr<connectors::SourceFiles> files);

// How many rows of each kind have reached a sink.
struct Arrivals {
  std::atomic<uint64_t> letters{0}, others{0};
  std::atomic<bool> origin_lost{false};
};

// A sink that takes only rows of letters and counts all. The arrivals must live longer.
std::unique_ptr<engine::BatchSink> only_letters(std::unique_ptr<engine::BatchSink> sink, uint32_t letters_number,
                                                Arrivals& arrivals);

}  // namespace runink::local
