// What happens in the slice: process 1 sets it up and stays as its init; a child of it gives up what is left of
// privilege, waits to be told what to execute, and becomes the program.
//
// Process 1 is a copy of the process that spawned it. The one that becomes the program shares its memory until it is
// executed, as after vfork: it costs nothing to make, and execve has no memory to take down. Process 1 stands still
// meanwhile (see child.cc). What goes wrong travels to the launcher as the number of the operation and errno. No
// exceptions, no output.
#pragma once

#include <dirent.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "platform/os/fd.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/orders.h"
#include "worker/sandbox/seccomp.h"
#include "worker/wire/framing.h"

namespace runink::sandbox {

struct ChildSource {
  int tree = -1;  // the detached mount; -1: cloned inside
  dev_t device = 0;
  ino_t inode = 0;
};

// Descriptors of the launcher that process 1 is made with; it closes all others.
struct ParkOrder {
  const Operations* operations = nullptr;  // Phase::kPark
  std::vector<ChildSource> sources;
  std::vector<int> group_files;  // the control group is entered by writing to each of them
  int launcher = -1;             // its end of the socket
  int ids_lock = -1;             // kept: the ids are free again when the last process is gone; -1: none
};

// A copy of the launcher has what it has open, the sockets of other slices among it. -1 is none.
void close_all_but(std::vector<int> kept) noexcept;

// What process 1 is called in lists of processes, and the other until it executes its program.
inline constexpr const char* kInitName = "runi-init";

// Process 1 of the slice. Signals are blocked when it is called, and stay so.
[[noreturn]] void run_init(const ParkOrder& order) noexcept;

// What process 1 carries operations out with.
struct ChildContext {
  const Operations* parking = nullptr;  // while it is parked
  const std::vector<model::SliceSecret>* secrets = nullptr;
  std::vector<ChildSource>* sources = nullptr;
  const std::vector<int>* group_files = nullptr;
};

// One operation of Place::kInit (child_setup.cc): 0 or errno.
struct SetupState {
  int root = -1;  // the slice's root
};
int set_up(const ChildContext& context, const Operation& operation, SetupState* state) noexcept;
// Those of process 1 that hold for all of the slice (child_limits.cc).
int hold_to_limits(const Operation& operation) noexcept;

// Where every program of a slice may do something: opened once, by process 1, for a slice that is used again.
struct FencePlace {
  int place = -1;  // O_PATH; above the program's descriptors
  uint64_t access = 0;
};
// Those of the parking operations, in their order; empty where that cannot be done (child_fence.cc).
std::vector<FencePlace> open_fence_places(const Operations& parking) noexcept;

// Of the process that becomes the program, in memory that it shares with process 1. Descriptors are its own.
struct ProgramState {
  wire::Channel* launcher = nullptr;  // process 1's, of which this one has the descriptor too
  wire::Message received;             // what `order` lies in; wiped when it goes
  ReceivedExecuteOrder order;
  std::vector<int> streams;                   // what the program gets as 0, 1, 2 and so on
  std::vector<char*> arguments, environment;  // as execve wants them

  // For an order of the usual size: reserved, and its pages faulted in.
  void make_room() {
    constexpr size_t kUsualBytes = 4096, kUsual = 64, kUsualStreams = 8;
    const auto reserve = [](auto* out, size_t count) {
      out->resize(count);
      out->clear();
    };
    reserve(&received.body, kUsualBytes);
    reserve(&received.descriptors, kUsualStreams);
    reserve(&order.steps, kUsual);
    for (auto* texts : {&order.candidates, &order.argv, &order.environment}) reserve(texts, kUsual);
    reserve(&order.stream_grants, kUsual);
    reserve(&streams, kUsualStreams);
    for (auto* pointers : {&arguments, &environment}) reserve(pointers, kUsual);
  }
  int terminal = -1;           // becomes 0, 1 and 2
  int fence = -1;              // the Landlock rules, until they hold; above the program's descriptors
  int root = -1;               // O_PATH: the slice's, while rules are made
  std::span<const FencePlace> places;  // instead, where they are open; the next one first
  int program = -1;            // O_PATH
  const char* path = nullptr;  // in the slice
  bool filtered = false;       // process 1 has the filter for system calls already, and so has this one
  enum class Outcome { kWaits, kSteppedAside, kFailed, kOrdered } outcome = Outcome::kWaits;  // as far as it came
};
// One operation of Place::kProgram (child_program.cc): 0 or errno.
int become_program(const ProgramStep& step, ProgramState* state) noexcept;
// Those of them that are about Landlock (child_fence.cc).
int put_up_fence(const ProgramStep& step, ProgramState* state) noexcept;

// Attaches the detached mount `tree` to the slice's root for a moment, and what lies at `part` in it at `path` for good
// (child_part.cc). 0 or errno.
int attach_part(int root, int tree, const char* part, const char* path) noexcept;

// A folder that is read again and again, and stays open. With a descriptor of its own, since reading moves the place
// in it.
class ScrubbedFolder {
 public:
  ScrubbedFolder() = default;
  ~ScrubbedFolder();
  ScrubbedFolder(const ScrubbedFolder&) = delete;
  ScrubbedFolder& operator=(const ScrubbedFolder&) = delete;

  // At its first entry; opens it the first time.
  void begin(int at, const char* name) noexcept;
  bool is_open() const noexcept { return stream_ != nullptr; }
  int descriptor() const noexcept { return ::dirfd(stream_); }
  const char* next() noexcept;  // null: no more

 private:
  DIR* stream_ = nullptr;
};

// What process 1 looks through before the slice is used again (child_scrub.cc).
class Scrubber {
 public:
  // Empties what is small, and says what else is left; "" when the slice is as it was parked. All processes but this
  // one have ended.
  std::string scrub() noexcept;
  // How process 1 is limited, which every process of the slice inherits: looked at before the first program runs. Only
  // one of its own user could change that.
  void remember_limits() noexcept { limits_.emplace(); }

 private:
  struct Limits {
    static constexpr size_t kCount = 16;  // RLIM_NLIMITS
    Limits() noexcept;
    uint64_t values[2 * kCount];
    bool operator==(const Limits&) const = default;
  };
  std::optional<Limits> limits_;
  os::Fd sockets_, queues_, links_;  // opened when first needed, as these are
  ScrubbedFolder queue_names_, temporary_, shared_;
};

}  // namespace runink::sandbox
