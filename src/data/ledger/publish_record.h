// Publishing the outputs of a run: all of them or none, whenever the process is killed.
//
// 1. Before an output is begun, the name of its temporary file is written to publish/<run id>.intent.
// 2. publish(): every temporary file is synced; a record of all temp → target steps is written and synced
//    (publish/<run id>.commit, the moment of decision); the steps are done; the
//    record moves to runs/<run id>/published.json, the intent is removed.
// 3. Any later command calls complete_or_discard_torn_publish: where a dead process left a whole record its steps are
//    completed; where it left only an intent, the temporary files are removed.
//
// The steps are idempotent. An append is one too: the record holds the target's length before it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::ledger {

enum class PublishMode {
  kReplace,
  kAppend,  // the new bytes go to the end of the target; readers may see a part of them while it happens
  kFail,    // the target must not exist, neither when opened nor when published
};

// The outputs of one run. One thread at a time, except that each OutputFile is written by its own.
class OutputSet {
 public:
  // For tests: called with the name of each point reached: "begun", "noted:0" (in the intent), "opened:0", "synced:0",
  // "recorded", "done:0", "settled" (folders synced), "record retired", "intent removed".
  using Probe = std::function<void(const std::string& point)>;

  // Destroyed without publish(), everything is discarded.
  static Result<OutputSet> begin(const std::string& ledger_root, const std::string& run_id, Probe probe = {});
  OutputSet(OutputSet&&) noexcept;
  OutputSet& operator=(OutputSet&&) noexcept;
  ~OutputSet();

  // Begins an output; the pointer is good until publish or discard. Two outputs of one target are kInvalidArgument, an existing
  // target under kFail kAlreadyExists.
  Result<os::AtomicFile*> open(const std::string& target, PublishMode mode = PublishMode::kReplace,
                               unsigned permissions = 0644);

  // Publishes all. On an error before the moment of decision nothing is published and everything discarded; on one after
  // it (kind "publish.torn") the record stays, and the next command completes it.
  Status publish();
  void discard();
  size_t size() const;


 private:
  struct State;
  explicit OutputSet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct TornPublish {
  std::string run_id;
  bool completed = false;             // else discarded
  std::vector<std::string> targets;   // completed: what is there now; discarded: what was not published
};

// What dead processes left. Cheap where there is nothing (one folder is listed). Never touches a publish of a live
// process. A record that is not whole is discarded like none.
Result<std::vector<TornPublish>> complete_or_discard_torn_publish(
    const std::string& ledger_root, const std::function<bool(const os::ProcessIdentity&)>& is_alive = os::is_alive);

// Whether the files that a run has published are still those: empty if they are, else what became of one, as
// "/p/out/x.csv is not there any more" or "… has changed since it was published". Looks at size and time of
// modification; of a file that was appended to, whether it has become shorter. `wanted`: only files of which it is true.
std::string changed_output(const std::string& ledger_root, const std::string& run_id,
                           const std::function<bool(const std::string& target)>& wanted = {});

}  // namespace runink::ledger
