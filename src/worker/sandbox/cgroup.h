// Limits, accounting and the end of slices by control groups: one interface over cgroup v2 and v1.
//
// Groups lie below one base folder, a herd's group in it and its slices' groups inside: <base>/<herd>/<slice>. A limit
// that cannot be applied is an error that names the controller and the file, and the slice is not to be started (its
// group is removed). Nothing here touches a group that it did not make or adopt.
//
// What only one version has:
//   v2  a process is born in its group (clone_descriptor), the kernel kills a group at once (cgroup.kill), memory.high,
//       pressure, write limits that hold for buffered writes too.
//   v1  a process is attached while it is parked; each hierarchy waits for a grace period (tens of milliseconds when it
//       happens seldom), so this never belongs on the start path. A group is frozen, killed and thawed. Write limits
//       catch only writers that sync themselves, and are refused unless that is said to be enough.
//
// Threads: an object is used by one thread at a time; different objects by different threads freely.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

enum class CgroupVersion { kV1 = 1, kV2 = 2 };

struct IoLimit {
  uint32_t major = 0, minor = 0;  // of a whole block device, as in /proc/partitions
  std::optional<uint64_t> read_bytes_per_second, write_bytes_per_second;
  std::optional<uint64_t> read_operations_per_second, write_operations_per_second;
  // Whether a write limit that buffered writes pass by is enough. Only v1 asks.
  bool synced_writes_only = false;
};

// One entry of what a group may open; what no entry names is refused.
struct DeviceRule {
  char type = 'c';                       // 'c' or 'b'
  std::optional<uint32_t> major, minor;  // absent: any
  bool read = true, write = true, make_node = false;
};

// Absent: not limited here (a group above may limit it). Setting limits again leaves the absent ones as they were.
struct CgroupLimits {
  std::optional<double> cpus;                 // processors' worth of time, at least 0.01
  std::optional<uint32_t> cpu_weight;         // 1 to 10000; 100 is what a group has without it
  std::optional<uint64_t> memory_bytes;       // what is above is reclaimed, else the group's processes are killed
  std::optional<uint64_t> memory_high_bytes;  // above this the group is slowed and reclaimed (v2 only)
  std::optional<uint64_t> swap_bytes;         // besides memory_bytes, which must be set too
  std::optional<uint64_t> processes;          // with threads
  std::vector<uint32_t> cpu_set;              // processors by number; empty: not limited
  std::vector<uint32_t> memory_nodes;         // NUMA nodes by number; empty: not limited
  std::vector<IoLimit> io;
  std::optional<std::vector<DeviceRule>> devices;
};

// Of `before` what `after` does not say again. Devices stay as they are.
CgroupLimits left_out(const CgroupLimits& before, const CgroupLimits& after);

// Refuses what no kernel could apply: zero memory, weights out of range, swap without memory, … (kInvalidArgument).
Status validate(const CgroupLimits& limits);

// Since the group was made; absent where its controllers do not say, or where it was not asked for.
struct CgroupUsage {
  double cpu_seconds = 0, user_seconds = 0, system_seconds = 0;
  std::optional<uint64_t> memory_bytes, memory_peak_bytes;
  std::optional<uint64_t> page_faults, major_page_faults;  // the kernel may be a few hundred behind
  std::optional<uint64_t> io_read_bytes, io_write_bytes;
  std::optional<uint64_t> processes;
};

// How often the group ran into its limits since it was made.
struct CgroupEvents {
  uint64_t out_of_memory_kills = 0;  // of processes in it (v2: and below), whichever group's limit it was
  uint64_t out_of_memory = 0;        // times that its own limit could not be held otherwise (v2)
  bool filled = false;               // what was_filled() says, for who asks: v1 does not count
  uint64_t memory_limit_hits = 0;  // reclaim at the limit: slow, but nothing was killed yet
  uint64_t memory_high_hits = 0;   // slowed at the high mark
  uint64_t throttled_periods = 0;  // of 100 ms, in which the processor quota was used up
  double throttled_seconds = 0;
  uint64_t refused_processes = 0;  // forks that failed at the limit
};

// The group above, as far as a slice in it ran into its limits.
struct HerdEvents {
  std::string herd;
  CgroupLimits limits;
  uint64_t out_of_memory = 0;
};
// Takes out of `events` what happened at the limits of the herd and not at the slice's own: a sentence for each.
std::vector<std::string> describe_herd(const HerdEvents& herd, const CgroupLimits& limits, CgroupEvents* events);

// A sentence for each limit that was run into, the gravest first; empty if none was.
std::vector<std::string> describe(const CgroupEvents& events, const CgroupLimits& limits);

// Share of time in which some process waited for it, and all of them at once (percent), and the time in all.
struct Pressure {
  double some_10_seconds = 0, full_10_seconds = 0;
  double some_seconds = 0, full_seconds = 0;
};
enum class PressureOf { kCpu, kMemory, kIo };

// One group on the host. Destroying the object leaves the group; remove() takes it away.
class Cgroup {
 public:
  virtual ~Cgroup() = default;

  const std::string& name() const { return name_; }  // "herd" or "herd/slice"

  // All of them or an error (then some may have been set: remove the group). What was written is read back.
  virtual Status set_limits(const CgroupLimits& limits) = 0;

  // Takes those of these limits away that are there: the group is as if they had never been set. Not of devices.
  virtual Status lift_limits(const CgroupLimits& limits) = 0;
  // Whether it is still where its name says: it may have been removed, and another one made.
  virtual bool is_in_place() const = 0;

  // For CLONE_INTO_CGROUP; owned by this object. -1 on v1.
  virtual int clone_descriptor() const = 0;
  // Moves a process with all its threads, and verifies where it is. On v1 this may take a good part of a second.
  virtual Status attach(pid_t pid) = 0;
  // That the process is here: what a silent failure would cost is a slice without limits.
  virtual Status check_member(pid_t pid) const = 0;
  // Where clone_descriptor() is -1: files to each of which a process writes "0" to move itself here, whoever it is by
  // then, since the right to is that of who opened them. So nobody but itself waits for it.
  virtual Result<std::vector<os::Fd>> open_to_enter() const = 0;
  // Of this group and those below it.
  virtual Result<std::vector<pid_t>> processes() const = 0;

  // SIGKILL to every process here and below, also to those that fork meanwhile; OK once none is left, or the group
  // gone. kDeadlineExceeded names how many are still there (in uninterruptible sleep). They must be reaped by their
  // parent.
  virtual Status kill(int64_t timeout_micros) = 0;
  // OK once all are stopped. A process that ends up here later is stopped too. On an error it is thawed again.
  virtual Status freeze(int64_t timeout_micros) = 0;
  virtual Status thaw() = 0;

  // All of it; and only what those that have ended used as well (time, peak of memory, input and output), which is read
  // at the end of every slice: the kernel adds up all the rest for the sake of a few numbers.
  virtual Result<CgroupUsage> usage() const = 0;
  virtual Result<CgroupUsage> consumed() const = 0;
  virtual Result<CgroupEvents> events() const = 0;
  // Whether its memory has been at its own limit. False on v2, whose events count that.
  virtual Result<bool> was_filled() const = 0;
  // Lets memory_peak_bytes begin anew from what is used now. False where this kernel cannot.
  virtual bool reset_peak() = 0;
  virtual Result<std::optional<Pressure>> pressure(PressureOf of) const = 0;  // absent on v1, or switched off

  // The group itself, which must be empty; tried again until the timeout while processes are still dying. A group that
  // is gone is OK. kDeadlineExceeded says how many processes or groups hold it.
  virtual Status remove(int64_t timeout_micros) = 0;

 protected:
  explicit Cgroup(std::string name) : name_(std::move(name)) {}

 private:
  std::string name_;
};

class CgroupBackend {
 public:
  virtual ~CgroupBackend() = default;
  virtual CgroupVersion version() const = 0;
  virtual std::vector<std::string> controllers() const = 0;  // "cpu", "memory", … sorted
  virtual std::string describe() const = 0;                  // one line for doctor

  // Whether such limits can be applied here at all, without trying: names the controller that is missing, or what this
  // version cannot hold.
  virtual Status check_supported(const CgroupLimits& limits) const = 0;

  // `name` is "herd" or "herd/slice"; the herd's group is there already. kAlreadyExists if it is there.
  virtual Result<std::unique_ptr<Cgroup>> create(const std::string& name) = 0;
  virtual Result<std::unique_ptr<Cgroup>> adopt(const std::string& name) = 0;  // after a restart; kNotFound
  // What there is of it, in every hierarchy. OK where there is nothing; kDeadlineExceeded while something is in it.
  virtual Status remove(const std::string& name) = 0;
  // Groups directly below `name` ("" for the base), sorted: what a leak counter counts.
  virtual Result<std::vector<std::string>> list(const std::string& name) const = 0;
  virtual Status remove_base(int64_t timeout_micros) = 0;
};

// Opens the groups below `base`, making the folder: an absolute name ("/runink") lies at the top of the hierarchy, a
// relative one in the group of this process, whose limits then hold for all. v2 is taken where it has the controllers
// cpu, memory and pids, else v1 where it has them. `version` asks for one of them, with whatever controllers it has.
// kFailedPrecondition says what is missing on this host and what to change.
Result<std::unique_ptr<CgroupBackend>> open_cgroups(const std::string& base,
                                                    std::optional<CgroupVersion> version = std::nullopt);

}  // namespace runink::sandbox
