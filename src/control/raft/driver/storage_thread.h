// The storage of a real member: a thread that carries out what is asked of it on the journal. While one sync is under
// way, requests gather; the next one takes all of them (group commit without a timer).
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "control/raft/driver/journal_storage.h"
#include "control/raft/driver/storage.h"
#include "platform/telemetry/metrics.h"

namespace runink::raft {

class StorageThread final : public Storage {
 public:
  // `post` runs a function on the thread of the member's event loop, later; it must not block and may be called from
  // any thread. It is not called any more once the destructor has returned.
  StorageThread(std::unique_ptr<JournalStorage> storage, std::function<void(std::function<void()>)> post);
  ~StorageThread() override;  // what was submitted is carried out first

  void submit(StorageWork work) override;
  bool has_space() const override {
    return has_space_.load(std::memory_order_relaxed) && room_elsewhere_.load(std::memory_order_relaxed);
  }
  // Others that need the disk for what is accepted here say whether they have room.
  void set_room_elsewhere(bool room) { room_elsewhere_.store(room, std::memory_order_relaxed); }

  Status failure() const override;

  struct Counters {
    uint64_t rounds = 0, works = 0, nanos = 0, nanos_max = 0;  // of perform(), the syncs in it included
    uint64_t entries = 0, bytes = 0;                           // appended; bytes of their data
    telemetry::LatencyHistogram round_nanos;                   // of perform()
    // Of the journal, as it is now: files, and reserved bytes that are not used yet.
    uint64_t segments = 0, room_bytes = 0;
    bool operator==(const Counters&) const = default;
  };
  Counters counters() const;

 private:
  void run();
  void note_journal();  // under mutex_
  void finish(std::vector<StorageWork> works, const Status& status);

  std::unique_ptr<JournalStorage> storage_;
  std::function<void(std::function<void()>)> post_;
  std::atomic<bool> has_space_{true}, room_elsewhere_{true};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<StorageWork> queue_;
  bool stop_ = false;
  Counters counters_;
  Status failure_;
  std::thread thread_;
};

}  // namespace runink::raft
