// One connection to an agent's socket (agent_protocol.h): who it is, what it may, and what it waits for. What a peer
// sends is checked; one that breaks the protocol, or does not read its answers, is cut off. When the caller of a slice
// that is not detached goes away, the slice is killed. Threads: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "worker/agent/authority.h"
#include "worker/agent/log_reader.h"
#include "worker/agent/log_store.h"
#include "worker/agent/slices.h"
#include "worker/wire/framing.h"

namespace runink::agent {

// What sessions share; outlives them.
struct SessionContext {
  net::EventLoop& loop;
  Slices& slices;
  LogStore& logs;
  const Authority& authority;
  uint32_t own_user = 0;
  std::function<AgentStatus()> status;
  // The agent's page, or what one slice answered (an id that there is).
  std::function<Result<std::string>(const std::string& id)> metrics;
  // What only cgroups know of those that run.
  std::function<void(SliceView* view)> add_usage;
  bool stopping = false;  // no slice is started any more
};

class Session final : private net::EventLoop::IoHandler, private SliceWatcher {
 public:
  // Greets. `on_close` destroys it, at the end of the turn.
  static std::unique_ptr<Session> begin(SessionContext& context, os::Fd socket, const Caller& caller,
                                        std::function<void(Session*)> on_close);
  ~Session();

  const Caller& caller() const { return caller_; }

 private:
  enum class Doing : uint8_t { kNothing, kExec, kWaitForEnd, kLogs };

  Session(SessionContext& context, os::Fd socket, Caller caller, std::function<void(Session*)> on_close);
  void on_io(unsigned events) override;
  void on_started(const StartedAnswer& answer, const os::Fd& control) override;
  void on_refused(const Status& why) override;
  void on_ended(const EndedAnswer& answer) override;

  Status handle(wire::Message message);
  Status ask(wire::Message message);
  Status exec(wire::Message message);
  Status list(std::string_view body);
  Status end(std::string_view body);
  Status logs(std::string_view body);
  Status metrics(const std::string& id);
  void pump_logs();
  Result<size_t> send_lines();

  bool may_see(const SliceView& view) const;
  Result<SliceView> resolve(const std::string& id) const;
  void answer(AnswerType type, std::string_view body, std::span<const int> descriptors = {});
  void refuse(const Status& why);
  void update_interest();
  void close();

  SessionContext& context_;
  wire::Channel channel_;
  const Caller caller_;
  const bool operator_;
  std::function<void(Session*)> on_close_;
  Doing doing_ = Doing::kNothing;
  bool detached_ = false;
  std::string slice_;  // what kExec, kWaitForEnd and kLogs are about
  std::optional<LogReader> reader_;
  LogsAsk logs_ask_;
  net::EventLoop::TimerId timer_ = 0;
  bool writing_ = false, closed_ = false;
};

}  // namespace runink::agent
