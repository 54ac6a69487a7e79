// runi barn local: a whole cluster on this machine, for trying out and for tests. Every member is a process of its own.
#include <fmt/format.h>

#include <csignal>
#include <thread>

#include "base/clock.h"
#include "cluster_access.h"
#include "commands.h"
#include "control/node/founding.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/signals.h"

namespace runink::plane {

namespace {

constexpr int64_t kMostMembers = 9;
constexpr int64_t kReadyNanos = 60'000'000'000, kPauseNanos = 50'000'000;
constexpr int64_t kCallMicros = 10'000'000, kGraceMicros = 10'000'000;

StopFlag g_stop;

void pause() { std::this_thread::sleep_for(std::chrono::nanoseconds(kPauseNanos)); }

class LocalCluster {
 public:
  LocalCluster(cli::Invocation& invocation, std::string folder) : invocation_(invocation), folder_(std::move(folder)) {}

  Status run(int64_t members) {
    RUNINK_RETURN_IF_ERROR(os::make_directories(folder_, 0700));
    for (int64_t i = 1; i <= kMostMembers; ++i) {
      if (os::exists(member(i) + "/member.toml")) there_ = i;
    }
    if (there_ == 0) RUNINK_RETURN_IF_ERROR(found());
    for (int64_t i = 1; i <= there_; ++i) RUNINK_RETURN_IF_ERROR(start(i));
    const int64_t wanted = invocation_.given("members") || there_ == 1 ? members : there_;
    RUNINK_RETURN_IF_ERROR(await(there_));
    while (there_ < wanted && !g_stop.requested()) {
      RUNINK_RETURN_IF_ERROR(join(there_ + 1));
      RUNINK_RETURN_IF_ERROR(await(there_));
    }
    if (g_stop.requested()) return {};
    invocation_.console().say(
        fmt::format("{} members serve; ask them: runi barn status --cluster {}", there_, member(1)));
    invocation_.console().say("Ctrl-C stops them");
    return watch();
  }

  // All at once, so that the last ones need not elect anybody.
  void stop() {
    for (const auto& [i, child] : children_) (void)child.kill_group(SIGTERM);
    for (auto& [i, child] : children_) (void)child.terminate(kGraceMicros);
    children_.clear();
  }

 private:
  std::string member(int64_t i) const { return fmt::format("{}/{}", folder_, i); }

  Result<node::NewMember> wanted(int64_t i) const {
    node::NewMember out;
    out.folder = member(i);
    out.cluster_name = "local";
    out.addresses =
        RUNINK_TRY(node::addresses_at("127.0.0.1", static_cast<int>(invocation_.integer("port") + 4 * (i - 1))));
    out.key_file = invocation_.text("key-file");
    return out;
  }
  Status found() {
    RUNINK_RETURN_IF_ERROR(status_of(node::found_cluster(RUNINK_TRY(wanted(1)))));
    there_ = 1;
    return {};
  }
  Status start(int64_t i) {
    os::SpawnOptions options;
    options.argv = {
        RUNINK_TRY(os::canonical_path("/proc/self/exe")), "server", member(i), "--barn-only", "--log", "json"};
    if (invocation_.given("key-file")) {
      options.argv.push_back("--key-file");
      options.argv.push_back(invocation_.text("key-file"));
    }
    const os::Fd log = RUNINK_TRY(os::open_file(member(i) + ".log", os::OpenMode::kAppend, 0600));
    options.standard_output = options.standard_error = log.get();
    children_[i] = RUNINK_TRY(os::Child::spawn(options));
    return {};
  }
  Status join(int64_t i) {
    ClusterAccess access = RUNINK_TRY(open_cluster(member(1), kCallMicros));
    sdk::v1::AddMemberRequest request;
    request.set_votes_when_ready(true);
    const sdk::v1::AddMemberResponse added = RUNINK_TRY(access.client->add_member(request));
    RUNINK_RETURN_IF_ERROR(status_of(node::join_cluster(RUNINK_TRY(wanted(i)), added.token())));
    there_ = i;
    return start(i);
  }
  // Until so many members vote and are connected.
  Status await(int64_t voters) {
    const int64_t end = system_clock().steady_nanos() + kReadyNanos;
    Status last = deadline_exceeded("the members did not find together in time");
    while (!g_stop.requested() && system_clock().steady_nanos() < end) {
      RUNINK_RETURN_IF_ERROR(check_children());
      ClusterAccess access = RUNINK_TRY(open_cluster(member(1), kCallMicros / 10));
      const auto members = access.client->members();
      if (members.ok()) {
        remember_endpoints(access, *members);
        int64_t ready = 0;
        for (const auto& each : members->members())
          ready += (each.role() == "leader" || each.role() == "voter") && each.connected() ? 1 : 0;
        if (ready >= voters) return {};
      } else {
        last = members.status();
      }
      pause();
    }
    return g_stop.requested() ? Status() : last;
  }
  Status check_children() {
    for (auto& [i, child] : children_) {
      if (const auto ended = RUNINK_TRY(child.wait(0)))
        return aborted("member {} ended: {}", i, ended->to_string())
            .with_hint("its log says why: " + member(i) + ".log");
    }
    return {};
  }
  // One that ends is said, and the others go on.
  Status watch() {
    while (!g_stop.requested() && !children_.empty()) {
      pause();
      for (auto at = children_.begin(); at != children_.end();) {
        const auto ended = RUNINK_TRY(at->second.wait(0));
        if (!ended) {
          ++at;
          continue;
        }
        invocation_.console().warn(
            fmt::format("member {} ended: {}; its log: {}.log", at->first, ended->to_string(), member(at->first)));
        at = children_.erase(at);
      }
    }
    return {};
  }

  cli::Invocation& invocation_;
  const std::string folder_;
  int64_t there_ = 0;
  std::map<int64_t, os::Child> children_;
};

}  // namespace

Result<int> run_local(cli::Invocation& invocation) {
  const int64_t members = invocation.integer("members");
  if (members < 1 || members > kMostMembers)
    return invocation.usage_error(fmt::format("--members is 1 to {}", kMostMembers));
  os::install_stop_signals(&g_stop);
  LocalCluster cluster(invocation, RUNINK_TRY(os::absolute_path(invocation.text("FOLDER"))));
  const Status run = cluster.run(members);
  cluster.stop();
  RUNINK_RETURN_IF_ERROR(run);
  return cli::kExitDone;
}

}  // namespace runink::plane
