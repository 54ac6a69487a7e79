// The agent's launcher: the living one of a former agent, or a new one; watched on the agent's loop, and started again
// when it has ended. Threads: the loop's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "platform/telemetry/log.h"
#include "worker/launcher/launcher_client.h"

namespace runink::agent {

class LauncherLink final : private net::EventLoop::IoHandler {
 public:
  // Neither call may destroy the link.
  class Owner {
   public:
    virtual void on_launcher_event(launcher::LauncherEvent event) = 0;
    // It has ended, and with it all slices. Another is tried for until there is one.
    virtual void on_launcher_lost(const Status& why) = 0;
    virtual void on_launcher_started() = 0;  // the other one; not the first

   protected:
    ~Owner() = default;
  };

  // `path`: where a launcher listens for the next agent. kFailedPrecondition: one of another version lives there.
  static Result<std::unique_ptr<LauncherLink>> open(net::EventLoop& loop, telemetry::Log& log, std::string path,
                                                    Owner& owner);
  // The connection ends; the launcher waits for the next agent, unless it was told to stop.
  ~LauncherLink();

  // Whether it was there before this agent.
  bool adopted() const { return adopted_; }
  Result<launcher::LauncherState> list();  // may wait for some seconds: for the agent's start

  // kUnavailable while there is none.
  Status launch(uint64_t slice, launcher::LaunchRequest request, const launcher::LaunchDescriptors& descriptors);
  void signal(uint64_t slice, int signal);
  void kill(uint64_t slice);
  void forget(uint64_t slice);
  void keep_parked(const launcher::PoolRequest& request);
  void limit_herds(const std::vector<model::HerdLimit>& limits);
  // It ends all slices and itself, which is waited for, some seconds at most; nobody is told any more.
  void stop();

  pid_t pid() const { return client_ ? client_->pid() : 0; }
  uint64_t starts() const { return starts_; }

 private:
  LauncherLink(net::EventLoop& loop, telemetry::Log& log, std::string path, Owner& owner)
      : loop_(loop), log_(log), path_(std::move(path)), owner_(owner) {}
  Status connect();
  Status start();
  Status watch();
  void on_io(unsigned events) override;
  void take_events();
  void after_sending(const Status& sent);
  void lose(const Status& why);
  void try_again();

  net::EventLoop& loop_;
  telemetry::Log& log_;
  const std::string path_;
  Owner& owner_;
  std::unique_ptr<launcher::LauncherClient> client_;
  bool adopted_ = false, writing_ = false, looking_ = false;
  uint64_t starts_ = 0;
  int64_t started_nanos_ = 0;
  net::EventLoop::TimerId timer_ = 0;
};

}  // namespace runink::agent
