// What an agent keeps of a slice that outlives its caller: a small file in its folder, so that the next agent knows the
// slices that run, and how those that ended did. The format is described in docs/internals/agent.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "worker/agent/lifecycle.h"
#include "worker/sandbox/slice_end.h"

namespace runink::agent {

struct SliceRecord {
  std::string id;
  std::string herd;
  uint32_t owner = 0;   // the user who asked for it
  std::string command;  // as it would be typed
  std::string boot_id;  // of the host when it was asked for
  Life::Options options;
  Life::Kept kept;
  // Wall clock, microseconds since the epoch; 0: not yet.
  int64_t requested_micros = 0, started_micros = 0, ended_micros = 0;
  std::string path;       // "parked", "recycled", "cold": how it was started
  sandbox::SliceEnd end;  // once it has ended
};

std::string write_record(const SliceRecord& record);
// kDataLoss says what is wrong; kFailedPrecondition: a newer program wrote it. Names it does not know are left out.
Result<SliceRecord> read_record(std::string_view text);

// A folder (0700) with a file for each record (0600). One agent at a time has it.
class RecordStore {
 public:
  static Result<RecordStore> open(const std::string& folder);

  Status put(const SliceRecord& record);  // durable: the old one or the new one is there, whole
  Status remove(const std::string& id);   // one that is not there is OK
  // All that can be read. What is damaged is moved aside (NAME.damaged) and named in `faults`.
  Result<std::vector<SliceRecord>> load(std::vector<std::string>* faults);

 private:
  explicit RecordStore(std::string folder) : folder_(std::move(folder)) {}
  std::string path_of(const std::string& id) const;
  std::string folder_;
};

// Ids are eight characters, 40 random bits: "k3f9x2mq". Easily told apart: without i, l, o and u.
std::string make_slice_id(uint64_t random_bits);
bool is_slice_id(std::string_view text);
// The bits of an id: the launcher's number of the slice.
uint64_t slice_number(std::string_view id);

}  // namespace runink::agent
