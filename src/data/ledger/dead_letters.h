// Dead letters: rejected records, with their original bytes, where they came from, and every rule they broke.
//
// One letter is one line of NDJSON, the same in the store (.runink/dead-letters/<run id>/<name>.ndjson, mode 0600) and
// in a sink for rejected records (`@sink("out/rejected.ndjson")`). Values are raw: whoever shows them masks pii fields.
//
//   {"v":1,"id":"5f…","run":"0193…","time":"2026-11-21T19:55:00.000000Z","feature":"features/clean.dsl",
//    "scenario":"Clean the feed","step":"check","contract":"Flight","contract_hash":"ab…",
//    "source":"data/flights.ndjson","offset":1234,"line":17,
//    "rules":[{"rule":"range","field":"delay","message":"9999 is not in -1440..4320"}],"record":"{\"date\":…}"}
//
// A rule may have "words": what a custom step said of a record with pii fields, shown to nobody who may not see those. A
// letter may have "pii": names of fields that are to be masked beside those that its contract says.
// `record` holds the original bytes where they are valid UTF-8, `record_base64` where they are not: either way exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/digest.h"
#include "platform/os/fd.h"

namespace runink::ledger {

struct BrokenRule {
  std::string rule;     // "range", "required", a check's name, "json.syntax", "expression", …
  std::string field;    // empty: the whole record
  std::string message;  // values of pii fields masked
  std::string words;    // may hold values of pii fields: to be shown like the record, and only unmasked or not at all
};

struct BrokenRuleView {
  std::string_view rule, field, message, words;
};

// What all letters of one writer share.
struct DeadLetterOrigin {
  std::string run_id, feature, scenario, step;
  std::string contract, contract_hash;
  int64_t time_micros = 0;  // of the run's start, so that results do not depend on the moment
  std::vector<std::string> pii;  // fields with pii that the contract does not name: of other sources, or computed
};

// One letter to write; views into the caller's memory.
struct DeadLetterView {
  std::string_view record;    // original bytes without the record's end (newline)
  std::string_view source;    // path from the project root, or the program's command line
  int64_t offset = -1;        // of the first byte in the (uncompressed) source; -1: has none
  int64_t line = 0;           // from 1; 0: unknown
  const BrokenRuleView* rules = nullptr;
  size_t rule_count = 0;
};

struct DeadLetter {
  std::string id, run_id, feature, scenario, step, contract, contract_hash, source;
  int64_t time_micros = 0, offset = -1, line = 0;
  std::vector<BrokenRule> rules;
  std::vector<std::string> pii;  // to be masked wholly, beside what the contract says
  std::string record;  // original bytes
};

// 32 hexadecimal digits: of feature, scenario, source, offset and bytes, so the same record has the same id in every
// run, and two letters of one record (pairs of a join) share it.
std::string dead_letter_id(std::string_view feature, std::string_view scenario, std::string_view source, int64_t offset,
                           std::string_view record);

// Formats letters. One per thread; no allocation per letter once warm.
class DeadLetterEncoder {
 public:
  explicit DeadLetterEncoder(const DeadLetterOrigin& origin);
  // Appends one line, newline included.
  void encode(const DeadLetterView& letter, std::string* out);
  // The same with another step than the origin's.
  void encode(const DeadLetterView& letter, std::string_view step, std::string* out);

 private:
  std::string before_step_, after_step_, step_, lane_;
  crypto::Sha256 hash_;
};

Result<DeadLetter> parse_dead_letter(std::string_view line, const std::string& path);

struct DeadLetterSummary {
  uint64_t letters = 0, bytes = 0;            // bytes of the file
  std::map<std::string, uint64_t> by_rule;    // "range delay" → letters that broke it
};

// Appends to one file of the store. One thread at a time (workers encode, the ordered operator writes).
class DeadLetterWriter {
 public:
  DeadLetterWriter() = default;
  DeadLetterWriter(DeadLetterWriter&&) = default;
  DeadLetterWriter& operator=(DeadLetterWriter&&) = default;

  Status append(const DeadLetterView& letter);
  Status append(const DeadLetterView& letter, std::string_view step);
  // Lines of a DeadLetterEncoder with the same origin; `letters` of them. The counts by rule are then the caller's:
  // count_rule for each.
  Status append_encoded(std::string_view lines, uint64_t letters);
  void count_rule(std::string_view rule, std::string_view field, uint64_t letters);
  Status flush();  // to the kernel: after each batch
  Status finish();  // flush, fsync, and the summary beside it; nothing may be appended after

  uint64_t letters() const { return summary_.letters; }
  const DeadLetterSummary& summary() const { return summary_; }
  const std::string& path() const { return fd_.path(); }

 private:
  friend class DeadLetterStore;
  os::Fd fd_;
  std::unique_ptr<DeadLetterEncoder> encoder_;
  std::string buffer_;
  DeadLetterSummary summary_;
};

// Reads a file of letters, one after another, in bounded memory (a line may be at most 1 GiB).
class DeadLetterReader {
 public:
  static Result<DeadLetterReader> open(const std::string& path);
  // nullopt at the end. A torn last line counts as the end; a broken line in the middle is kDataLoss naming the line.
  Result<std::optional<DeadLetter>> next();
  // The same without parsing: the line as it is, without its newline. The view is good until the next call.
  Result<std::optional<std::string_view>> next_line();

 private:
  os::Fd fd_;
  std::string buffer_;
  size_t begin_ = 0, scanned_ = 0;
  bool ended_ = false;
  uint64_t line_number_ = 0;
};

struct DeadLetterFile {
  std::string path, run_id, name;
  DeadLetterSummary summary;
  int64_t modified_nanos = 0;
};

struct DeadLetterFilter {
  std::string run_id;    // empty: all
  std::string feature, scenario;
  std::string rule;      // letters that broke this rule
  std::string field;
  std::string id_prefix;
  bool only_pending = false;  // not yet replayed with success
  size_t limit = 0;           // 0: all
  // What else a letter must be; may be empty.
  std::function<bool(const DeadLetter&)> accepts;
};

// What became of a letter when it was replayed.
struct ReplayEntry {
  std::string letter_id;
  std::string run_id;   // the replaying run
  std::string result;   // "accepted": it is in an output now; "rejected": again; "dropped": by a filter of the feature
  int64_t time_micros = 0;
};

class DeadLetterStore {
 public:
  explicit DeadLetterStore(std::string ledger_root) : root_(std::move(ledger_root) + "/dead-letters") {}
  const std::string& root() const { return root_; }
  // Where a run keeps what programs said that may hold values of pii fields (PROGRAM.stderr, mode 0600). Such a file is
  // no dead letter, but as private, and is collected like them.
  std::string words_folder(const std::string& run_id) const { return root_ + "/" + run_id; }

  // The file for one run, scenario and sink (`name`, e.g. the step or the sink's path; made safe for a file name).
  Result<DeadLetterWriter> create(const DeadLetterOrigin& origin, const std::string& name) const;

  // Files of all runs, or of one; newest run first. Summaries come from the file beside each, or are counted anew.
  Result<std::vector<DeadLetterFile>> files(const std::string& run_id = "") const;
  // Calls `visit` for each letter; it returns false to stop.
  Status for_each(const DeadLetterFilter& filter, const std::function<bool(const DeadLetter&)>& visit) const;
  // The letter whose id begins with `id_prefix` (the newest, where several runs have it). kNotFound; kInvalidArgument when
  // the prefix fits different letters.
  Result<DeadLetter> find(const std::string& id_prefix) const;

  // Replay bookkeeping. A letter with result accepted or dropped is done with: pending() leaves it out, so a repeated
  // replay has nothing to do. Each replaying run writes one file, dead-letters/replayed/<run id>.ndjson.
  Result<std::map<std::string, ReplayEntry>> replayed() const;  // by letter id, the deciding (done, else last) entry
  // The file as bytes, and where it goes: publish it together with the run's outputs (publish_record.h), so that either
  // both are there or neither.
  std::string replay_file(const std::string& replay_run_id) const;
  static std::string encode_replay(const std::vector<ReplayEntry>& entries);
  Status record_replay(const std::string& replay_run_id, const std::vector<ReplayEntry>& entries) const;
  // Each letter that a replay should read, once (letters of the same id count as one), in the order written.
  Status for_each_pending(const DeadLetterFilter& filter, const std::function<bool(const DeadLetter&)>& visit) const;

 private:
  std::string root_;
};

// Letters gathered as an input file for a replay: their original bytes, each followed by a newline, and which bytes are
// whose.
class ReplayInput {
 public:
  // Reads pending letters into `path` (mode 0600). A CSV source needs the source's header line before the letters.
  static Result<ReplayInput> write(const DeadLetterStore& store, const DeadLetterFilter& filter, const std::string& path,
                                   std::string_view header_line = {});
  const std::string& path() const { return path_; }
  size_t letters() const { return ids_.size(); }
  const std::string& letter_at(size_t index) const { return ids_[index]; }
  // The letter whose bytes hold this offset of the file; nullptr if none.
  const std::string* letter_of_offset(int64_t offset) const;

 private:
  std::string path_;
  std::vector<std::string> ids_;
  std::vector<int64_t> offsets_;  // where each begins
  int64_t end_ = 0;
};

}  // namespace runink::ledger
