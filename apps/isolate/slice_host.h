// Starts slices for the runner and tells how they ended, by a launcher of its own.
#pragma once

#include <poll.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/launcher/launcher_client.h"

namespace runink::isolate {

// One thread. When it is destroyed, or this process ends however it does, all of its slices end.
class SliceHost {
 public:
  struct Streams {
    int input = -1, output = -1, error = -1;  // -1: /dev/null
    std::vector<int> more;                    // 3, 4, …
  };
  struct Ended {
    uint64_t slice = 0;
    Result<sandbox::SliceEnd> end;
  };

  // The slice's number, once its program runs. Others may end meanwhile: next_ended() has them.
  Result<uint64_t> start(const model::SliceSpec& spec, const Streams& streams);
  void kill(uint64_t slice);
  // Readable when one of them may have ended.
  void add_descriptors(std::vector<pollfd>* out) const;
  // One that has ended since; nothing: none has.
  std::optional<Ended> next_ended();
  // In what the slices that were started are weaker than those of root; clauses about "it".
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  Status begin(const model::SliceSpec& spec);
  Result<std::optional<launcher::LauncherEvent>> next_event(int64_t timeout_micros);
  void launcher_gone(const Status& why);

  std::optional<launcher::LauncherClient> launcher_;
  std::set<uint64_t> running_;
  std::deque<Ended> ended_;
  std::vector<std::string> missing_;
  uint64_t last_ = 0;
};

}  // namespace runink::isolate
