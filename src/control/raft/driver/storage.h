// What a member asks of its storage, in pieces that are carried out in the order in which they were asked for. Asking
// does not block: `done` is called later, on the thread of the member's event loop. A real one has a thread for the disk
// (storage_thread.h); a simulator answers when its clock says so.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/status.h"
#include "control/raft/core/types.h"
#include "control/raft/driver/log_base.h"

namespace runink::raft {

struct StorageWork {
  std::optional<HardState> hard_state;
  std::vector<Entry> append;       // after the hard state
  std::optional<LogBase> compact;  // entries up to its index may go
  std::optional<LogBase> reset;    // a snapshot of this entry has taken the place of log and state
  bool whole = false;              // what was lost is there again
  // Exactly once. An error is the end: nobody knows what the disk holds, so the process has to stop.
  std::function<void(Status)> done;
};

class Storage {
 public:
  virtual ~Storage() = default;
  virtual void submit(StorageWork work) = 0;
  // Not OK: the disk failed while nothing was asked of it (reserving, resting). The end, as a failed work is.
  virtual Status failure() const = 0;
  // False: the disk has no room for a further segment. Nothing more may be proposed until it has.
  virtual bool has_space() const = 0;
  // Some small entries still go into what is reserved, whether there is space beyond or not.
  virtual bool has_reserve() const = 0;
};

}  // namespace runink::raft
