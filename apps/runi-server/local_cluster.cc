// runi barn local: a whole cluster on this machine, for trying out and for tests. Every member is a process of its own.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <map>
#include <set>
#include <thread>

#include "base/clock.h"
#include "cluster_access.h"
#include "commands.h"
#include "control/node/founding.h"
#include "control/node/member_config.h"
#include "platform/config/client_folder.h"
#include "platform/os/file.h"
#include "platform/os/lock.h"
#include "platform/os/process.h"
#include "platform/os/shell_words.h"
#include "platform/os/signals.h"

namespace runink::plane {

namespace {

constexpr const char* kName = "local";
constexpr int64_t kMostMembers = 9, kMostFolders = 99;
constexpr uint64_t kMostConfigBytes = 64 << 10;
constexpr int64_t kReadyNanos = 60'000'000'000, kLeaderlessNanos = 20'000'000'000, kPauseNanos = 50'000'000;
constexpr int64_t kCallMicros = 10'000'000, kGraceMicros = 10'000'000;

StopFlag g_stop;

void pause() { std::this_thread::sleep_for(std::chrono::nanoseconds(kPauseNanos)); }

class LocalCluster {
 public:
  LocalCluster(cli::Invocation& invocation, std::string folder) : invocation_(invocation), folder_(std::move(folder)) {}

  Status run(int64_t members) {
    for (int64_t i = 1; i <= kMostFolders; ++i) {
      if (os::exists(member(i) + "/member.toml")) there_.insert(i);
    }
    RUNINK_RETURN_IF_ERROR(check_folder());
    RUNINK_RETURN_IF_ERROR(os::make_directories(folder_, 0700));
    auto lock = os::FileLock::try_acquire(lock_path(), invocation_.command_line());
    if (!lock.ok()) return Status(lock.status()).with_hint("end that command first, or give another folder and --port");
    lock_ = std::move(*lock);
    // How many there are to be, until there are: the first time may have been interrupted.
    const bool making = there_.empty() || invocation_.given("members") || os::exists(wanted_path());
    const bool began = there_.empty();
    if (making && (invocation_.given("members") || !os::exists(wanted_path())))
      RUNINK_RETURN_IF_ERROR(os::write_file_atomic(wanted_path(), std::to_string(members), 0600));
    if (there_.empty()) RUNINK_RETURN_IF_ERROR(found());
    RUNINK_RETURN_IF_ERROR(keep_client());
    RUNINK_RETURN_IF_ERROR(check_one_cluster());
    for (const int64_t i : there_) RUNINK_RETURN_IF_ERROR(start(i));
    RUNINK_RETURN_IF_ERROR(await());
    if (!began && invocation_.given("members")) say_change(members);
    if (making) RUNINK_RETURN_IF_ERROR(grow());
    if (g_stop.requested()) return {};
    invocation_.console().say(
        fmt::format("{}; ask {}: runi barn status --cluster {}",
                    children_.size() == 1 ? "1 member serves" : fmt::format("{} members serve", children_.size()),
                    children_.size() == 1 ? "it" : "them", os::quote_word(folder_)));
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
  std::string wanted_path() const { return folder_ + "/wanted"; }
  std::string lock_path() const { return folder_ + "/local.lock"; }  // also says that this command made the folder

  // Before anything is made in it: one that is new or empty, or that this command made.
  Status check_folder() const {
    if (!os::exists(folder_)) return {};
    const std::vector<std::string> names = RUNINK_TRY(os::list_directory(folder_));
    if (names.empty()) return {};
    const char* const hint = "give a folder that is not there, is empty, or was made by `runi barn local`";
    if (os::exists(folder_ + "/member.toml"))
      return already_exists("{} is the folder of one member, not of a local cluster", folder_).with_hint(hint);
    // There is no lock in what earlier versions made, but always a member.
    if (os::exists(lock_path()) || std::any_of(there_.begin(), there_.end(), [this](int64_t i) { return is_local(i); }))
      return {};
    return already_exists("{} was not made by `runi barn local`, and is not empty", folder_).with_hint(hint);
  }
  bool is_local(int64_t i) const {
    const auto config = config_of(i);
    return config.ok() && config->cluster_name == kName;
  }
  // That of its members, and none that somebody put there: new ones join what the client folder names.
  Status check_one_cluster() const {
    const std::string named = RUNINK_TRY(config::load_client_folder(folder_ + "/client")).cluster_id;
    for (const int64_t i : there_) {
      if (const std::string id = RUNINK_TRY(config_of(i)).cluster_id; id != named)
        return failed_precondition("{} is of the cluster {}, but {}/client reaches the cluster {}", member(i), id,
                                   folder_, named)
            .with_hint("move what does not belong here out of the folder");
    }
    return {};
  }
  void say_change(int64_t wanted) {
    const auto now = static_cast<int64_t>(children_.size());
    if (wanted > now) invocation_.console().say(fmt::format("{} serve; {} more join", now, wanted - now));
    if (wanted < now)
      invocation_.console().warn(
          fmt::format("{} members serve, and --members {} takes none out; `runi barn remove` does", now, wanted));
  }

  Status grow() {
    const std::string text = RUNINK_TRY(os::read_file(wanted_path(), 64));
    int64_t wanted = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), wanted).ec != std::errc() || wanted > kMostMembers)
      return data_loss("{} does not say how many members there are to be", wanted_path())
          .with_hint("remove it, and say so with --members");
    while (static_cast<int64_t>(children_.size()) < wanted && !g_stop.requested()) {
      int64_t next = 1;
      while (os::exists(member(next))) ++next;
      RUNINK_RETURN_IF_ERROR(join(next));
      RUNINK_RETURN_IF_ERROR(await());
    }
    return g_stop.requested() ? Status() : os::remove_file(wanted_path());
  }

  Result<node::NewMember> wanted(int64_t i) const {
    node::NewMember out;
    out.folder = member(i);
    out.cluster_name = kName;
    out.addresses =
        RUNINK_TRY(node::addresses_at("127.0.0.1", static_cast<int>(invocation_.integer("port") + 4 * (i - 1))));
    out.key_file = RUNINK_TRY(key_file_of(invocation_));
    return out;
  }
  Status found() {
    RUNINK_RETURN_IF_ERROR(status_of(node::found_cluster(RUNINK_TRY(wanted(1)))));
    there_.insert(1);
    return {};
  }
  // What reaches the cluster must not go with its first member.
  Status keep_client() {
    const std::string made = member(1) + "/client", kept = folder_ + "/client";
    if (os::exists(kept + "/cluster.toml")) return {};
    RUNINK_RETURN_IF_ERROR(os::make_directories(kept, 0700));
    for (const char* name : {"identity.pem", "authority.pem", "cluster.toml"}) {
      RUNINK_RETURN_IF_ERROR(
          os::write_file_atomic(os::join_path(kept, name), RUNINK_TRY(os::read_file(os::join_path(made, name))), 0600));
    }
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
    ClusterAccess access = RUNINK_TRY(open_cluster(folder_, kCallMicros));
    RUNINK_RETURN_IF_ERROR(forget_interrupted(access, RUNINK_TRY(wanted(i)).addresses.api));
    sdk::v1::AddMemberRequest request;
    request.set_votes_when_ready(true);
    const sdk::v1::AddMemberResponse added = RUNINK_TRY(access.client->add_member(request));
    RUNINK_RETURN_IF_ERROR(status_of(node::join_cluster(RUNINK_TRY(wanted(i)), added.token())));
    there_.insert(i);
    return start(i);
  }
  // One that was let in and killed before it had its folder.
  Status forget_interrupted(ClusterAccess& access, const std::string& api) {
    const sdk::v1::MembersResponse members = RUNINK_TRY(access.client->members());
    for (const auto& each : members.members()) {
      const bool votes = each.role() == "leader" || each.role() == "voter";
      if (each.record().addresses().api() == api && !votes && !each.connected())
        RUNINK_RETURN_IF_ERROR(status_of(access.client->remove_member(each.record().node())));
    }
    return {};
  }
  // Until all that run here vote and are connected. Those that the cluster does not have any more end, and are said.
  Status await() {
    const int64_t end = system_clock().steady_nanos() + kReadyNanos;
    int64_t give_up = end;  // sooner, where one has ended and nobody leads
    Status last = deadline_exceeded("the members did not find together in time");
    std::map<int64_t, std::string> ended;
    while (!g_stop.requested() && system_clock().steady_nanos() < give_up) {
      RUNINK_RETURN_IF_ERROR(collect(&ended));
      if (!ended.empty()) give_up = std::min(give_up, system_clock().steady_nanos() + kLeaderlessNanos);
      ClusterAccess access = RUNINK_TRY(open_cluster(folder_, kCallMicros / 10));
      const auto members = access.client->members();
      if (members.ok()) {
        remember_endpoints(access, *members);
        give_up = end;
        if (RUNINK_TRY(settled(*members, &ended))) return {};
      } else {
        last = members.status();
      }
      pause();
    }
    if (g_stop.requested()) return {};
    return ended.empty() ? last : ended_early(*ended.begin());
  }
  // Whether nothing is to be waited for any more; an error, where a member ended that the cluster has.
  Result<bool> settled(const sdk::v1::MembersResponse& members, std::map<int64_t, std::string>* ended) {
    std::map<uint64_t, bool> listed;  // and whether it votes and is connected
    for (const auto& each : members.members()) {
      // Taken out; the leader has not removed its record yet, for instance since the cluster was stopped before that.
      if (each.role() == "leaving") continue;
      listed[each.record().node()] = (each.role() == "leader" || each.role() == "voter") && each.connected();
    }
    for (const auto& gone : *ended) {
      if (listed.contains(RUNINK_TRY(node_of(gone.first)))) return ended_early(gone);
      invocation_.console().warn(fmt::format("{} was taken out of the cluster", member(gone.first)));
    }
    ended->clear();
    for (const auto& [i, child] : children_) {
      if (const auto found = listed.find(RUNINK_TRY(node_of(i))); found == listed.end() || !found->second) return false;
    }
    return !children_.empty();
  }
  Result<node::MemberConfig> config_of(int64_t i) const {
    const std::string path = member(i) + "/member.toml";
    return node::parse_member_config(path, RUNINK_TRY(os::read_file(path, kMostConfigBytes)));
  }
  Result<uint64_t> node_of(int64_t i) const { return RUNINK_TRY(config_of(i)).node; }
  Status ended_early(const std::pair<const int64_t, std::string>& ended) const {
    return aborted("member {} ended: {}", ended.first, ended.second)
        .with_hint("its log says why: " + member(ended.first) + ".log");
  }
  Status collect(std::map<int64_t, std::string>* ended) {
    for (auto at = children_.begin(); at != children_.end();) {
      const auto gone = RUNINK_TRY(at->second.wait(0));
      if (gone) ended->emplace(at->first, gone->to_string());
      at = gone ? children_.erase(at) : std::next(at);
    }
    return {};
  }
  // One that ends is said, and the others go on.
  Status watch() {
    while (!g_stop.requested() && !children_.empty()) {
      pause();
      std::map<int64_t, std::string> ended;
      RUNINK_RETURN_IF_ERROR(collect(&ended));
      for (const auto& [i, how] : ended)
        invocation_.console().warn(fmt::format("member {} ended: {}; its log: {}.log", i, how, member(i)));
    }
    return g_stop.requested() ? Status() : aborted("no member is left").with_hint("the same command starts them again");
  }

  cli::Invocation& invocation_;
  const std::string folder_;
  os::FileLock lock_;        // of this folder, against another such command
  std::set<int64_t> there_;  // numbers of the folders that hold a member
  std::map<int64_t, os::Child> children_;
};

}  // namespace

Result<int> run_local(cli::Invocation& invocation) {
  const int64_t members = invocation.integer("members");
  if (members < 1 || members > kMostMembers)
    return invocation.usage_error(fmt::format("--members is 1 to {}", kMostMembers));
  const int64_t port = invocation.integer("port"), last_first_port = 65536 - 4 * members;
  if (port < 1 || port > last_first_port)
    return invocation.usage_error(fmt::format("{} members take {} ports, from --port on: that is between 1 and {}",
                                              members, 4 * members, last_first_port));
  RUNINK_RETURN_IF_ERROR(check_not_empty(invocation, "FOLDER"));
  RUNINK_RETURN_IF_ERROR(status_of(key_file_of(invocation)));
  os::install_stop_signals(&g_stop);
  LocalCluster cluster(invocation, RUNINK_TRY(os::absolute_path(invocation.text("FOLDER"))));
  const Status run = cluster.run(members);
  cluster.stop();
  RUNINK_RETURN_IF_ERROR(run);
  return cli::kExitDone;
}

}  // namespace runink::plane
