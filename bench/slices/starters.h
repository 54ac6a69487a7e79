// Ways to start the payload, each behind one interface so that a bench can let them take turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "peer_commands.h"
#include "stopwatch.h"
#include "worker/launcher/launcher_client.h"

namespace runink::bench {

class Starter {
 public:
  virtual ~Starter() = default;
  // One start, from being asked for until nothing of it is left.
  virtual Result<Start> once() = 0;
  // Before a row of so many starts that are measured: what was used up is there again.
  virtual Status prepare(int starts) { return {}; }
  // Processor seconds that all starts so far have cost, where this can be told.
  virtual double cpu_seconds() = 0;
};

// The payload's standard output: a file in memory that this process sees, too.
class Stamp {
 public:
  static Result<Stamp> make();
  Stamp(Stamp&& other) noexcept;
  ~Stamp();
  void clear();
  int64_t nanos() const;  // 0: nothing was written
  int descriptor() const { return file_.get(); }

 private:
  Stamp() = default;
  os::Fd file_;
  int64_t* page_ = nullptr;
};

// posix_spawn of a command, until its process is reaped: the payload itself (the floor), a peer, or `runi exec`.
Result<std::unique_ptr<Starter>> make_command_starter(sandbox::peers::PeerCommand command);
// The same of an OCI runtime, whose containers have a name each.
Result<std::unique_ptr<Starter>> make_bundle_starter(std::string runtime, std::string bundle, std::string state);

struct LauncherUse {
  uint32_t parked = 0;   // slices that stand ready; 0: every start is a cold one
  bool recycle = false;  // whether their namespaces are used again
};
// A launcher of its own, asked over its socket.
class LauncherStarter : public Starter {
 public:
  static Result<std::unique_ptr<LauncherStarter>> make(const model::SliceSpec& spec, const LauncherUse& use);
  Result<Start> once() override;
  Status prepare(int starts) override;
  double cpu_seconds() override { return process_cpu_seconds(client_.pid()); }

  // As many starts as are done within the time, so many at once, without stamps; returns how many.
  Result<uint64_t> run_for(int64_t nanos, int at_once);
  // How many of all starts took each path.
  struct Paths {
    uint64_t cold = 0, parked = 0, recycled = 0;
  };
  const Paths& paths() const { return paths_; }
  pid_t pid() const { return client_.pid(); }

 private:
  LauncherStarter(launcher::LauncherClient client, Stamp stamp, const model::SliceSpec& spec, const LauncherUse& use)
      : client_(std::move(client)), stamp_(std::move(stamp)), spec_(spec), use_(use) {}
  Status launch(int output);
  // The next event that is not about the pool.
  Result<launcher::LauncherEvent> next();
  void count(launcher::StartPath path);

  launcher::LauncherClient client_;
  Stamp stamp_;
  model::SliceSpec spec_;
  LauncherUse use_;
  uint64_t number_ = 0;
  Paths paths_;
};

}  // namespace runink::bench
