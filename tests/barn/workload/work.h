// Kinds of work, each with its own keys, its own history and its own check.
//
// Histories are cut into epochs: a set of keys that is worked on for some operations, then left for good, read a last
// time, and checked. So memory and the checkers' time are bounded however long it runs, and a violation shows soon. At
// the end every epoch's keys are read once more: what was there must still be there.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store.h"
#include "testing/checkers/history.h"

namespace runink::workload {

inline testing::Time now() { return system_clock().steady_nanos(); }

// Whether to go on, and a sleep that ends with it. Any thread.
class Pace {
 public:
  void stop();
  bool stopped() const { return stopped_; }
  // False: it was stopped.
  bool sleep_until(int64_t steady_nanos);
  bool sleep(int64_t nanos) { return sleep_until(now() + nanos); }

 private:
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// Counts, violations, and the file of histories. Any thread.
class Report {
 public:
  // `acks`: a line "start end" (nanoseconds of the steady clock) for each write that was acknowledged. Paths may be
  // empty.
  Status open(const std::string& history_path, const std::string& acks_path);
  ~Report();

  void count(const char* kind, Outcome outcome);
  void count(const char* kind, const char* what, uint64_t more = 1);
  void acknowledged(testing::Time start, testing::Time end);
  // The work's first and last moment: the longest time without an acknowledged write begins and ends there, too.
  void begin(testing::Time at);
  void end(testing::Time at);
  // Writes an epoch's history as a block of lines; its place in the file, for whoever finds a fault in it.
  std::string history(const char* kind, uint64_t epoch, const std::vector<std::string>& lines);
  void violation(const char* kind, const std::string& text, const std::string& where);
  void lost(uint64_t acknowledged_writes) { lost_ += acknowledged_writes; }
  void unchecked(const char* kind, const std::string& why);

  bool has_violation() const { return violations_ > 0; }
  bool has_unchecked() const { return unchecked_ > 0; }
  std::string to_json(const std::string& target, double seconds, uint64_t repeated);

 private:
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, uint64_t>> counts_;
  std::vector<std::string> texts_;
  std::atomic<uint64_t> violations_{0}, unchecked_{0}, lost_{0};
  testing::Time last_ack_ = 0, longest_gap_ = 0;
  std::string history_path_;
  std::FILE* history_ = nullptr;
  std::FILE* acks_ = nullptr;
  uint64_t lines_ = 0;
};

struct Worker {
  uint64_t number;
  std::mt19937_64 random;
  Store* store;             // etcd, or Runink's Barn
  sdk::BarnClient* client;  // of the latter
  uint64_t below(uint64_t n) { return random() % n; }
};

struct Context {
  std::string run;  // begins all keys: several runs on one cluster do not meet
  Report& report;
  Pace& pace;      // of the work
  Pace& patience;  // of the last reads and checks
};

class Work {
 public:
  virtual ~Work() = default;
  virtual const char* name() const = 0;
  virtual size_t own_threads() const { return 0; }  // 0: callers take turns with the other kinds
  virtual void step(Worker& worker) = 0;            // one operation, or one round of them
  // After all steps, on one thread: last reads, last checks.
  virtual void finish(Worker& worker) = 0;
};

std::unique_ptr<Work> make_registers(Context context);
std::unique_ptr<Work> make_appends(Context context);
std::unique_ptr<Work> make_sets(Context context);
std::unique_ptr<Work> make_counters(Context context);
std::unique_ptr<Work> make_watches(Context context);
std::unique_ptr<Work> make_leases(Context context);
std::unique_ptr<Work> make_marks(Context context, const Access& access);

// Repeats a read until it is answered. False: patience ended, and the report says so.
bool read_at_last(const Context& context, const char* kind, const std::function<Outcome()>& read);

// One after the other, each for some operations; `close` is called once for each, by whoever leaves it last.
template <typename Epoch>
class Epochs {
 public:
  using Close = std::function<void(Epoch&, Worker&)>;
  Epochs(size_t operations, std::function<std::unique_ptr<Epoch>(uint64_t)> make, Close close)
      : operations_(operations), make_(std::move(make)), close_(std::move(close)) {}

  void use(Worker& worker, const std::function<void(Epoch&)>& what) {
    Slot* const slot = enter(worker);
    what(*slot->epoch);
    leave(slot, worker);
  }
  void finish(Worker& worker) {
    std::unique_ptr<Slot> last;
    {
      const std::lock_guard lock(mutex_);
      last = std::move(current_);
    }
    if (last != nullptr) close_(*last->epoch, worker);
  }

 private:
  struct Slot {
    std::unique_ptr<Epoch> epoch;
    size_t begun = 0, inside = 0;
    bool full = false;
  };
  Slot* enter(Worker& worker) {
    const std::lock_guard lock(mutex_);
    if (current_ == nullptr) {
      current_ = std::make_unique<Slot>();
      current_->epoch = make_(++last_);
    }
    (void)worker;
    Slot* const slot = current_.get();
    ++slot->inside;
    if (++slot->begun == operations_) {
      slot->full = true;
      full_[slot] = std::move(current_);
    }
    return slot;
  }
  void leave(Slot* slot, Worker& worker) {
    std::unique_ptr<Slot> closing;
    {
      const std::lock_guard lock(mutex_);
      if (--slot->inside > 0 || !slot->full) return;
      closing = std::move(full_[slot]);
      full_.erase(slot);
    }
    close_(*closing->epoch, worker);
  }

  const size_t operations_;
  const std::function<std::unique_ptr<Epoch>(uint64_t)> make_;
  const Close close_;
  std::mutex mutex_;
  uint64_t last_ = 0;
  std::unique_ptr<Slot> current_;
  std::map<Slot*, std::unique_ptr<Slot>> full_;
};

}  // namespace runink::workload
