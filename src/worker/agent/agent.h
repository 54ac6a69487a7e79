// The agent of a machine, or of one user on it: it starts slices for those it serves, keeps the logs of those that
// nobody waits for, and knows what became of them. Its launcher (worker/launcher) makes the slices and outlives it, so
// that an agent that is killed or replaced takes over what runs. docs/internals/agent.md has the picture.
//
// Threads: the loop's; logs, metrics and the reading of pipes have threads of their own inside.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "platform/os/lock.h"
#include "platform/telemetry/log.h"
#include "worker/agent/authority.h"
#include "worker/agent/fluentd_forwarder.h"
#include "worker/agent/group_usage.h"
#include "worker/agent/herd_rows.h"
#include "worker/agent/inventory.h"
#include "worker/agent/log_store.h"
#include "worker/agent/metrics_server.h"
#include "worker/agent/session.h"
#include "worker/agent/slices.h"

namespace runink::agent {

struct AgentOptions {
  std::string socket;  // path; the launcher listens beside it, at "<socket>.launcher"
  std::string state;   // folder of records and logs, made if need be (0700)
  std::string version;
  Authority authority{0};
  bool end_found = false;                            // slices of a former agent that still run are ended
  std::vector<model::HerdLimit> herd_limits;         // root's agent only
  uint32_t parked = 2;                               // slices that stand ready, of each class that is used
  LogStore::Options logs;                            // folder, log and forwarder are set here
  std::optional<FluentdForwarder::Options> fluentd;  // node and log are set here
  std::optional<net::SocketAddress> metrics;         // where they are served over HTTP
  std::map<std::string, std::string> labels;         // of this node
};

class Agent final : private net::EventLoop::IoHandler {
 public:
  // Listens when it returns. kAborted: an agent runs with this state folder, or at this socket, already.
  static Result<std::unique_ptr<Agent>> start(net::EventLoop& loop, telemetry::Log& log, AgentOptions options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Starts no more slices, and ends those there are: SIGTERM, and SIGKILL after the grace of each. With `keep`, only
  // those whose callers wait; the others run on, and the next agent finds them. `stopped` is called once that is done:
  // the agent is then to be destroyed.
  void stop(bool keep, std::function<void()> stopped);
  // Does not wait for the grace any longer.
  void hurry();

  const std::string& socket() const { return options_.socket; }
  const std::optional<net::SocketAddress>& metrics_address() const { return metrics_->address(); }
  size_t slices() const { return slices_->alive(true); }

 private:
  Agent(net::EventLoop& loop, telemetry::Log& log, AgentOptions options);
  Status prepare();
  Status prepare_folders();
  Status listen();
  void on_io(unsigned events) override;
  void take_connection(os::Fd socket);
  size_t connections_of(uint32_t user) const;
  void pause_listening();
  void look_if_stopped();
  void publish_sample();
  AgentSample collect();
  std::vector<HerdStatus> herds();
  AgentStatus status();
  Result<std::string> metrics(const std::string& id);

  net::EventLoop& loop_;
  telemetry::Log& log_;
  AgentOptions options_;
  const uint32_t own_user_;
  int64_t started_micros_ = 0;
  os::FileLock lock_;
  std::unique_ptr<FluentdForwarder> fluentd_;
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<Slices> slices_;
  std::unique_ptr<SessionContext> context_;
  GroupUsage usage_;
  Inventory inventory_;  // as it was looked up last
  int64_t inventory_nanos_ = 0;
  os::Fd listener_;
  std::map<Session*, std::unique_ptr<Session>> sessions_;
  net::EventLoop::TimerId sample_timer_ = 0, listen_timer_ = 0;
  bool stopping_ = false, keep_ = false, stopped_called_ = false;
  std::function<void()> stopped_;

  // For the metrics' thread.
  std::mutex mutex_;
  AgentSample sample_;                                        // under mutex_; without what control groups count
  std::vector<std::pair<SliceSample, std::string>> running_;  // under mutex_; with the group of each
  GroupUsage sampled_usage_;                                  // that thread's
  std::unique_ptr<MetricsServer> metrics_;
};

}  // namespace runink::agent
