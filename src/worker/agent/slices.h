// All slices of an agent: their lives (lifecycle.h), and what carries the hooks of these out: the launcher, the
// records, the pipes and logs. Threads: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "platform/os/fd.h"
#include "platform/telemetry/log.h"
#include "worker/agent/agent_protocol.h"
#include "worker/agent/capture.h"
#include "worker/agent/launcher_link.h"
#include "worker/agent/lifecycle.h"
#include "worker/agent/log_store.h"
#include "worker/agent/parked_classes.h"
#include "worker/agent/slice_record.h"

namespace runink::agent {

// Who wants to know what becomes of a slice. Unwatched before it is destroyed; may do so in any of these.
class SliceWatcher {
 public:
  virtual void on_started(const StartedAnswer& answer, const os::Fd& control) {}
  virtual void on_refused(const Status& why) {}
  virtual void on_ended(const EndedAnswer& answer) = 0;

 protected:
  ~SliceWatcher() = default;
};

struct SliceRequest {
  launcher::LaunchRequest launch;  // a specification that was validated
  uint32_t owner = 0;              // the user who asks
  bool detached = false;
  // 0, 1 and 2 (not of a detached one), then the program's others.
  std::vector<os::Fd> descriptors;
};

class Slices final : private LauncherLink::Owner {
 public:
  struct Options {
    std::string records;        // folder
    std::string launcher_path;  // where the launcher listens when this agent has gone
    bool end_found = false;     // what still runs of a former agent is ended
    size_t most = 10'000;       // slices at once
    size_t most_of_user = 500;  // … of one user who is no operator
    size_t most_ended = 200;    // of which records and logs are kept, the newest
    uint32_t parked = 0;        // that stand ready, of each class that is used
    bool root = false;          // whether the launcher is root's
    std::vector<model::HerdLimit> herd_limits;
  };
  struct Counters {
    std::map<std::string, uint64_t> starts_by_path, ends_by_cause;
    std::map<std::string, uint64_t> parked_by_class;  // as the launcher said last
    double ended_cpu_seconds = 0;
    uint64_t ended_out_of_memory = 0, launcher_starts = 0;
  };

  // Takes over what a former agent left. The log store outlives it.
  static Result<std::unique_ptr<Slices>> open(net::EventLoop& loop, telemetry::Log& log, LogStore& logs,
                                              Options options);
  ~Slices();  // the launcher and its slices go on, unless stop_launcher() was called
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  // The answer comes to the watcher, perhaps before this returns. `limited`: the caller is no operator. Returns its id;
  // "" where it was refused at once.
  std::string start(SliceRequest request, bool limited, SliceWatcher* watcher);
  bool watch(const std::string& id, SliceWatcher* watcher);  // false: there is no such slice
  void unwatch(SliceWatcher* watcher);

  // A signal as from a terminal: one that asks to end begins the grace, and a second one kills.
  void signal(const std::string& id, int signal);
  void end(const std::string& id, EndReason reason, std::optional<int64_t> grace_nanos);
  void kill(const std::string& id, EndReason reason);
  void end_all(EndReason reason, bool detached_too);
  void kill_all(EndReason reason, bool detached_too);

  std::optional<SliceView> view(const std::string& id) const;
  std::vector<SliceView> views(bool ended) const;
  bool over(const std::string& id) const;  // it has ended with all that follows, or is unknown
  size_t alive(bool detached_too) const;   // that have not ended with all that follows
  // Called whenever one has ended with all that follows.
  void set_on_over(std::function<void()> on_over) { on_over_ = std::move(on_over); }

  // Of the herds that are limited: whether that holds; absent while the launcher has not said so.
  std::optional<Status> herd_state(const std::string& herd) const;

  void stop_launcher() { link_->stop(); }
  const LauncherLink& launcher() const { return *link_; }
  Counters counters() const;

 private:
  struct Slice;

  Slices(net::EventLoop& loop, telemetry::Log& log, LogStore& logs, Options options);
  Status recover();
  void recover_one(SliceRecord record, launcher::Adopted* found);
  void end_strays(std::vector<launcher::Adopted> strays);
  void on_launcher_event(launcher::LauncherEvent event) override;
  void on_launcher_lost(const Status& why) override;
  void on_launcher_started() override;
  void on_drained(const std::string& id);
  void on_herds(std::vector<sandbox::HerdState> states);

  Slice* find(const std::string& id) const;
  std::string new_id() const;
  Status admit(const SliceRequest& request, bool limited) const;
  void run(Slice& slice, Hooks hooks);
  Status carry_out(Slice& slice, Hook hook);
  Status open_streams(Slice& slice);
  Status launch(Slice& slice);
  Status write_record(Slice& slice);
  void write_end(Slice& slice);
  void forget(Slice& slice);
  void tell_started(Slice& slice);
  void tell_refused(Slice& slice);
  void tell_ended(Slice& slice);
  void after(Slice& slice);
  void count_end(const Slice& slice);
  void drop_oldest_ended();
  SliceView view_of(const Slice& slice) const;

  net::EventLoop& loop_;
  telemetry::Log& log_;
  LogStore& logs_;
  const Options options_;
  std::string boot_id_;
  std::unique_ptr<RecordStore> records_;
  std::map<std::string, std::unique_ptr<Slice>, std::less<>> slices_;
  std::set<uint64_t> strays_;  // at the launcher, and nobody's: being ended
  ParkedClasses parked_;
  std::map<std::string, Status> herd_states_;
  Counters counters_;
  std::function<void()> on_over_;
  std::shared_ptr<Slices*> self_;  // for tasks that may come after this has gone
  std::unique_ptr<Capture> capture_;
  std::unique_ptr<LauncherLink> link_;
};

}  // namespace runink::agent
