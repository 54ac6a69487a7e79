// One slice as its launcher has it: parked, started, scrubbed and parked again, ended. Nothing here waits for the
// slice's processes: they report, and the launcher takes what they said when a descriptor is readable.
//
//   take() ──► parking ──kParked──► parked ──start()──► starting ──kStarted──► running ──kEnded──► ended
//                 │                   ▲                     │                                        │
//                 └──kRefused         └───────kParked───────│──────────── scrubbing ◄──scrub()───────┤
//                                                   kRefused┘                 │                      │
//                             every state ──kGone (all of it is reaped) ◄─────┴──kUnclean───end()────┘
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"
#include "worker/network/attachment.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/orders.h"
#include "worker/sandbox/slice_end.h"
#include "worker/sandbox/slice_errors.h"
#include "worker/sandbox/slice_group.h"
#include "worker/sandbox/spawn.h"
#include "worker/wire/framing.h"

namespace runink::sandbox {

// What slices need of their launcher: one of each.
struct SliceMakers {
  SliceGroups groups;
  network::Networks networks;
};

// A file system that does not answer is the one thing that a start can wait for.
inline constexpr int64_t kStartLimitNanos = 30'000'000'000;
Status not_ready_in_time();

struct SliceEvent {
  enum class Kind {
    kParked,   // it can be started
    kRefused,  // it could not be parked or started: `status` says what was attempted and why it could not be done
    kStarted,  // its program is executed
    kEnded,    // no process of it is left but process 1: `end`
    kUnclean,  // it cannot be used again: `left` says what was found in it
    kGone,     // process 1 is reaped; all other events came before, and after kRefused and kUnclean it follows
  };
  Kind kind = Kind::kGone;
  Status status;
  SliceEnd end;
  std::string left;
};

// Not for two threads at once. The destructor kills all of it and waits until it is reaped; so does the kernel (without
// the waiting) when the thread that parked it ends, however it ends.
class Slice {
 public:
  // One that is being parked by its process 1, which is a child of this process and was told to by these operations
  // (plan_parking), with these resources for a beginning (spawn.h).
  static Result<std::unique_ptr<Slice>> take(const ParkingClass& parking, std::shared_ptr<const Operations> operations,
                                             const model::SliceResources& resources, SpawnedSlice spawned,
                                             SliceMakers* makers);
  ~Slice();
  Slice(const Slice&) = delete;
  Slice& operator=(const Slice&) = delete;

  const ParkingClass& parking_class() const { return class_; }
  pid_t pid() const { return pid_; }  // of process 1, on the host
  uint32_t first_id() const { return first_id_; }
  const std::string& group() const { return group_.name(); }
  // How many slices have ended in it.
  uint32_t used() const { return used_; }

  // To poll for input; -1: there is none (now).
  int pid_descriptor() const { return pidfd_.get(); }
  int init_descriptor() const { return init_.descriptor(); }

  // What its processes said; nullopt: nothing more for now.
  std::optional<SliceEvent> next_event();

  // Of a parked slice of the specification's class: applies its limits, hands it what it is to see, and has its program
  // executed with these descriptors as 0, 1, 2, 3 and so on, which stay the caller's. An error leaves a slice that is
  // to be destroyed. `start` are the operations of plan_start. `again`: it is to be scrubbed when it has ended, as far
  // as can be said now; that begins then by itself where nothing is to be read of a control group before.
  Status start(const model::SliceSpec& spec, Operations start, const std::vector<int>& streams, bool again = false);
  // The limits of a specification alone: of one that is parked, so that its start finds them there, or whose program is
  // running and gets its work only then.
  Status limit(const model::SliceSpec& spec);
  // Whether this parked one would do for it: one that was used gets nothing but a program.
  bool will_do_for(const Operations& start) const;
  // Monotonic; 0: nothing is waited for. When it has passed, give_up() ends the slice and says why.
  int64_t deadline_nanos() const { return deadline_nanos_; }
  Status give_up();

  // To the program's process group.
  void signal(int signal);
  // Every process of it. Returns at once.
  void kill();
  // Of a slice that has ended: no more of it is needed. kGone tells when it is away.
  void end();
  // Of a slice that has ended: whether it can be parked again as it is, seen from here.
  bool may_be_scrubbed();
  void scrub();

 private:
  Slice(ParkingClass parking, std::shared_ptr<const Operations> operations, SpawnedSlice spawned, SliceMakers* makers);

  Status connect(const network::NetworkPlan& plan);
  Status execute(const std::vector<int>& streams);
  std::optional<SliceEvent> take();
  std::optional<SliceEvent> understand(wire::Message message);
  SliceEvent started();
  SliceEvent refuse(Status status);
  Status ended_early(const char* what) const;
  SliceEvent finish(SliceEnd end);
  std::optional<SliceEvent> look_for_end();

  const ParkingClass class_;
  const std::shared_ptr<const Operations> parking_;
  SliceMakers* const makers_;
  SliceGroup group_;
  const uint32_t first_id_;
  pid_t pid_ = -1;
  os::Fd pidfd_;
  wire::Channel init_;
  bool reaped_ = false;

  // Of the one slice that is started in it.
  Operations start_;
  ExecuteOrder execute_;
  StartWords words_;
  std::vector<os::Fd> streams_;  // while process 1 prepares
  std::vector<os::Fd> gpus_;     // locks: they are this slice's
  network::Attachment network_;  // to its endpoints
  int64_t deadline_nanos_ = 0;

  enum class State { kParking, kParked, kPreparing, kStarting, kRunning, kEnded, kScrubbing, kRefused, kGone };
  State state_ = State::kParking;
  // Process 1 makes a process that will become the program.
  bool is_getting_ready() const {
    return state_ == State::kParking || state_ == State::kScrubbing || state_ == State::kPreparing;
  }
  bool individual_ = false;  // something was added to it that cannot be taken away
  bool scrubs_itself_ = false;
  uint32_t used_ = 0;
};

}  // namespace runink::sandbox
