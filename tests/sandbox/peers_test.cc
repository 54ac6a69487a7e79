// The attack programs inside other people's sandboxes, configured as well as they can be: bubblewrap as an ordinary
// user, runc (crun where there is none) as root, with the slice's root, users and filter. An attack that a slice stops
// and a peer does not is listed here with the reason; all others have to be stopped there too. So an attack is known to
// be one that can be stopped, and a slice not to be held by what only the test believes.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>

#include "peers/oci_filter.h"
#include "peers/peer_commands.h"
#include "platform/os/file.h"
#include "slice_in_test.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/interpret_in_test.h"
#include "worker/sandbox/syscall_list.h"

namespace runink::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// What a peer lets through: how the attack's lines about it begin.
struct Known {
  std::string begins;
  const char* why;
};

bool installed(const std::string& program) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}) {
    if (::access((folder + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

// Without cgroup v2, or with v1 beside it, crun makes nothing.
bool only_cgroup_v2() { return ::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0; }

class PeerTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    if (!by_root()) {
      if (!installed("bwrap")) GTEST_SKIP() << "there is no program bwrap (packaging/apt-packages.txt)";
      return;
    }
    runtime_ = installed("runc") ? "runc" : installed("crun") && only_cgroup_v2() ? "crun" : "";
    if (runtime_.empty()) GTEST_SKIP() << "there is no program runc, nor crun on a host with cgroup v2 only";
  }

  // The peer's whole command line for the attack, and what it reads by descriptor.
  peers::PeerCommand command(const std::string& user, const std::string& name,
                             const std::vector<std::string>& arguments) {
    model::SliceSpec spec;
    spec.argv = {"/attacks/" + name};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.mounts = {{folder() + "/attacks", "/attacks"}};
    std::tie(spec.user, spec.group) = *model::parse_user(user);
    model::add_default_environment(&spec);
    const auto operations = plan_operations(spec, gather_host_facts(spec));
    EXPECT_TRUE(operations.ok()) << operations.status().to_string();
    const std::string place = folder() + "/peer-" + std::to_string(++commands_);
    fs::create_directory(place);
    peers::PeerCommand command;
    if (by_root()) {
      const std::string id = "runink-test-" + std::to_string(::getpid()) + "-" + std::to_string(commands_);
      const peers::BundleOptions options = {peers::ids_of_this_process(), "/" + id};
      Status written = peers::write_bundle(spec, *operations, options, place);
      EXPECT_TRUE(written.ok()) << written.to_string();
      command = peers::bundle_command(runtime_, place, folder() + "/state", id);
    } else {
      auto made = peers::bubblewrap_command(spec, *operations, place);
      EXPECT_TRUE(made.ok()) << made.status().to_string();
      if (made.ok()) command = std::move(*made);
      command.argv = as_starter(std::move(command.argv));
    }
    return command;
  }

  static void judge(const std::string& what, const Ran& ran, const std::vector<Known>& known) {
    // A peer's own failures have the same exit codes.
    EXPECT_THAT(ran.out, HasSubstr("tried everything\n")) << what << " ended with " << ran.code << "\n" << ran.err;
    std::istringstream lines(ran.out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("reached: ")) continue;
      const std::string reached = line.substr(9);
      const bool listed = std::any_of(known.begin(), known.end(),
                                      [&](const Known& difference) { return reached.starts_with(difference.begins); });
      EXPECT_TRUE(listed) << what << " lets through: " << reached;
    }
  }

  void attack(const std::string& name, const std::vector<std::string>& arguments, const std::vector<Known>& bubblewrap,
              const std::vector<Known>& runtime, std::vector<std::pair<int, int>> more = {}) {
    for (const char* user : {"1000", "0"}) {
      const peers::PeerCommand peer = command(user, name, arguments);
      std::vector<os::Fd> open;
      for (const auto& [path, number] : peer.files) {
        open.push_back(std::move(*os::open_file(path)));
        more.emplace_back(open.back().get(), number);
      }
      judge(fmt::format("{} as user {}", by_root() ? runtime_ : "bwrap", user), run(peer.argv, "", more),
            by_root() ? runtime : bubblewrap);
      more.resize(more.size() - open.size());
    }
  }

  std::string runtime_;

 private:
  int commands_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Bubblewrap, PeerTest, ::testing::Values(Starter::kUser), starter_name);
INSTANTIATE_TEST_SUITE_P(Runtime, PeerTest, ::testing::Values(Starter::kRoot), starter_name);

// A whole /proc is what bubblewrap mounts; what can be written in it is read-only there.
const std::vector<Known> kProcOfBubblewrap = {
    {"/proc/", "it mounts no /proc with the slice's own processes only"},
    {"read /proc/1/", "its process 1 can be looked into by the program, which has its users"},
    {"follow /proc/1/", "the same"},
    {"see process 1", "hidepid is not set"},
};
const std::vector<Known> kProcOfRuntime = {
    {"read /proc/1/", "process 1 is the program itself"},
    {"follow /proc/1/", "process 1 is the program itself"},
};

TEST_P(PeerTest, Descriptors) {
  const char* passes = "bubblewrap passes on what is open, for its callers to decide";
  const os::Fd leaked(::open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "/etc");
  attack("attack_descriptors", {},
         {{"descriptor 9", passes},
          {"descriptor 700", passes},
          {"open descriptor 9", passes},
          {"open descriptor 700", passes},
          {"a folder by /proc/self/fd/9", passes}},
         {}, {{leaked.get(), 9}, {leaked.get(), 700}});
}

TEST_P(PeerTest, FilesOfTheHost) {
  attack("attack_files", {write(folder() + "/planted", "of the host\n")}, {},
         {{"/dev/tty", "every OCI runtime makes that device"},
          {"set-user-id programs of /", "its root is a folder of the host; no_new_privs makes up for it"}});
}

TEST_P(PeerTest, Namespaces) { attack("attack_namespaces", {}, {}, {}); }

TEST_P(PeerTest, SystemCalls) { attack("attack_calls", {}, {}, {}); }

TEST_P(PeerTest, ControlGroups) { attack("attack_cgroups", {}, {}, {}); }

// Bubblewrap has no limits; its caller's are the program's.
TEST_P(PeerTest, CoreDumps) {
  const char* none = "bubblewrap sets no limits";
  attack("attack_core", {}, {{"a limit of core dumps", none}, {"a core dump of", none}, {"a file core", none}}, {});
}

TEST_P(PeerTest, Keys) { attack("attack_keys", {"runink-test"}, {{"/proc/key", "it mounts the whole /proc"}}, {}); }

TEST_P(PeerTest, Processes) {
  attack("attack_processes", {std::to_string(::getpid())}, kProcOfBubblewrap, kProcOfRuntime);
}

TEST_P(PeerTest, Networks) {
  const os::Fd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "tcp");
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  ASSERT_EQ(::bind(tcp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(tcp.get(), 16), 0);
  ::getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&at), &length);
  attack("attack_network", {std::to_string(ntohs(at.sin_port))}, {}, {});
}

// The caller's terminal is descriptor 0, and the controlling terminal of the caller's session.
TEST_P(PeerTest, Terminal) {
  int master = -1, slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const os::Fd keep(master, "pty"), terminal(slave, "tty");
  ASSERT_EQ(::fchmod(slave, 0666), 0);
  for (const char* user : {"1000", "0"}) {
    const peers::PeerCommand peer = command(user, "attack_terminal", {});
    std::vector<os::Fd> open;
    os::SpawnOptions options;
    for (const auto& [path, number] : peer.files) {
      open.push_back(std::move(*os::open_file(path)));
      options.descriptors.emplace_back(open.back().get(), number);
    }
    const os::Fd out = std::move(*os::open_file(folder() + "/terminal", os::OpenMode::kTruncate));
    options.argv = peer.argv;
    options.argv.insert(options.argv.begin(), {"setsid", "--ctty", "--wait"});
    options.standard_input = slave;
    options.standard_output = options.standard_error = out.get();
    auto child = os::Child::spawn(options);
    ASSERT_TRUE(child.ok()) << child.status().to_string();
    const auto ended = child->wait(60'000'000);
    ASSERT_TRUE(ended.ok() && *ended);
    const std::string said = *os::read_file(folder() + "/terminal");
    if (said == "descriptor 0 is no terminal\n") GTEST_SKIP() << runtime_ << " hands over pipes, and no terminal";
    judge(fmt::format("{} as user {}", by_root() ? runtime_ : "bwrap", user), {(*ended)->code, said, ""},
          by_root() ? std::vector<Known>{{"/dev/tty", "every OCI runtime makes that device"}} : std::vector<Known>());
  }
}

// The profile of a runtime answers what the filter's program answers, whatever the arguments.
TEST(OciFilter, SaysTheSame) {
  std::map<std::string, std::vector<peers::OciRule>> rules;
  for (const peers::OciRule& rule : peers::oci_rules()) {
    for (const std::string& name : rule.names) rules[name].push_back(rule);
  }
  const auto by_profile = [&](const std::string& name, const std::array<uint64_t, 6>& arguments) {
    uint32_t answer = SECCOMP_RET_ERRNO | EPERM;
    for (const peers::OciRule& rule : rules[name]) {
      const bool holds = std::all_of(rule.tests.begin(), rule.tests.end(), [&](const peers::ArgumentTest& test) {
        return (arguments[test.index] & test.mask) == test.value;
      });
      if (holds) answer = rule.error == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | static_cast<uint32_t>(rule.error);
    }
    return answer;
  };
  std::mt19937_64 random(20261122);
  const auto argument = [&]() -> uint64_t {
    switch (random() % 5) {
      case 0:
        return random() % 64;
      case 1:
        return 0x5400 + random() % 64;
      case 2:
        return uint64_t{1} << random() % 64;
      case 3:
        return random() % 0x20000;
      default:
        return random();
    }
  };
  for (const SyscallEntry& entry : syscall_list()) {
    const bool checked = entry.rule > SyscallRule::kAllow;
    for (int i = 0; i < (checked ? 5000 : 10); ++i) {
      seccomp_data data = {};
      data.nr = static_cast<int>(entry.number);
      data.arch = peers::kOciArchitecture;
      std::array<uint64_t, 6> arguments = {};
      for (uint64_t& value : arguments) value = argument();
      std::copy(arguments.begin(), arguments.end(), data.args);
      const auto ran = testing::interpret(default_filter(), data);
      ASSERT_TRUE(ran);
      ASSERT_EQ(by_profile(entry.name, arguments), ran->answer)
          << fmt::format("{}({:#x}, {:#x}, {:#x})", entry.name, arguments[0], arguments[1], arguments[2]);
    }
  }
}

}  // namespace
}  // namespace runink::sandbox
