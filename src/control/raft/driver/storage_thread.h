// The storage of a real member: a thread that carries out what is asked of it on the journal. While one sync is under
// way, requests gather; the next one takes all of them (group commit without a timer).
//
// A thread costs two wake-ups for each write, which together take longer than a sync of a quick disk. So where a turn
// of the event loop brings a single small append, nothing else is under way and the disk has been quick, the loop
// writes it itself, at its turn's end: behind the messages of that turn, so that a leader's own sync still runs beside
// replication. One write that turns out slow, and everything goes to the thread until the disk is quick again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "control/raft/driver/journal_storage.h"
#include "control/raft/driver/storage.h"
#include "platform/telemetry/metrics.h"

namespace runink::raft {

class StorageThread final : public Storage {
 public:
  // `post` runs a function on the thread of the member's event loop, later; it must not block and may be called from
  // any thread. It is not called any more once the destructor has returned. `defer` runs one at the end of the turn,
  // and is called on the loop's thread only; what is left of it then may be called later, or never.
  using Run = std::function<void(std::function<void()>)>;
  // `clock` tells how quick the disk is.
  StorageThread(std::unique_ptr<JournalStorage> storage, Run post, Run defer, const Clock& clock = system_clock());
  ~StorageThread() override;  // what was submitted is carried out first

  void submit(StorageWork work) override;
  bool has_space() const override {
    return has_space_.load(std::memory_order_relaxed) && room_elsewhere_.load(std::memory_order_relaxed);
  }
  bool has_reserve() const override { return has_reserve_.load(std::memory_order_relaxed); }
  // Others that need the disk for what is accepted here say whether they have room.
  void set_room_elsewhere(bool room) { room_elsewhere_.store(room, std::memory_order_relaxed); }

  Status failure() const override;

  struct Counters {
    uint64_t rounds = 0, works = 0, nanos = 0, nanos_max = 0;  // of perform(), the syncs in it included
    uint64_t rounds_in_loop = 0;                               // of the rounds: without the thread
    uint64_t entries = 0, bytes = 0;                           // appended; bytes of their data
    telemetry::LatencyHistogram round_nanos;                   // of perform()
    // Of the journal, as it is now: files, and reserved bytes that are not used yet.
    uint64_t segments = 0, room_bytes = 0;
    bool operator==(const Counters&) const = default;
  };
  Counters counters() const;

 private:
  void run();
  // Under journal_mutex_. Not OK: the end.
  Status perform(std::vector<StorageWork>& works, bool in_loop);
  void look_after_journal(bool idle);
  void finish(std::vector<StorageWork> works, const Status& status);
  bool suits_loop(const StorageWork& work) const;
  void perform_in_loop();
  void hand_to_thread(std::vector<StorageWork> works);

  const Clock& clock_;
  // Whoever carries out works: the thread, or the loop, which never waits for it.
  std::mutex journal_mutex_;
  std::unique_ptr<JournalStorage> storage_;
  Status failed_;
  bool rested_ = true;

  Run post_, defer_;
  std::atomic<bool> has_space_{true}, room_elsewhere_{true}, has_reserve_{true};
  mutable std::mutex mutex_;  // of what follows; may be taken under the other one
  std::condition_variable wake_;
  std::vector<StorageWork> queue_;
  bool busy_ = false;   // the thread has taken works and not finished them
  bool quick_ = false;  // the disk, the last time
  bool stop_ = false;
  Counters counters_;
  Status failure_;

  // The loop's.
  std::vector<StorageWork> of_this_turn_;  // in order; once there is one, all that follow in the turn
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;
};

}  // namespace runink::raft
