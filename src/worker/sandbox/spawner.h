// A process that makes the slices of a launcher: a small copy of it from its beginning.
//
//   launcher ── spawn, release ──► spawner ── clone3(CLONE_PARENT) ──► process 1, a child of the launcher
//            ◄──── spawned ───────
//
// The launcher answers starts and ends within microseconds; what can wait for the kernel is done here: control groups
// (making one waits for whoever moves a process on v1, which takes tens of milliseconds), mounts, namespaces. And
// process 1 of a slice is a copy of a process that is small, and has never seen a specification or a secret
// (one that takes the place of another is a copy of the launcher as it is then).
//
// When its launcher is gone, it removes the control groups that are left, and ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "worker/sandbox/spawn.h"
#include "worker/wire/framing.h"

namespace runink::sandbox {

// What they are called in lists of processes.
inline constexpr const char* kLauncherName = "runi-launcher";
inline constexpr const char* kSpawnerName = "runi-spawner";

// The launcher's side. One thread at a time.
class Spawner {
 public:
  struct Made {
    uint64_t slice = 0;
    Result<SpawnedSlice> result;
  };
  using HerdStates = std::vector<HerdState>;  // of those of the last limit_herds(), as they are since then
  using Answer = std::variant<Made, HerdStates>;

  // Forks: in a process with one thread, before it has anything that slices must not have.
  Status start();
  Spawner() = default;
  Spawner(Spawner&&) = delete;
  ~Spawner() { stop(); }

  // Asks for a slice by a number of the caller's, until which is released it is held; the answer is next()'s.
  Status spawn(uint64_t slice, const ParkingClass& parking, const Operations& operations,
               const model::SliceResources& resources);
  // What herds are limited to, all of them, from the next spawn() on; the answer is next()'s. In a herd whose limits do
  // not hold no slice is made.
  Status limit_herds(const std::vector<model::HerdLimit>& limits);
  // No process of it is left: its users and its control group, by name, are free again.
  Status release(uint64_t slice, const std::string& group);

  // nullopt: nothing now. kUnavailable: it has ended; start() it again.
  Result<std::optional<Answer>> next();
  int descriptor() const { return channel_.descriptor(); }  // for poll
  bool wants_to_write() const { return channel_.wants_to_write(); }
  Status flush() { return channel_.flush(); }

  // Waits until it has removed what is left, and has ended.
  void stop();

 private:
  wire::Channel channel_;
  pid_t pid_ = -1;
  bool started_ = false;  // one at least
};

}  // namespace runink::sandbox
