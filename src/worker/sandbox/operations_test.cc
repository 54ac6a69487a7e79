#include "worker/sandbox/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace runink::sandbox {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

HostEntry entry(const char* path, HostEntry::Kind kind, const char* link = "", uint32_t owner = 0) {
  return {.path = path, .kind = kind, .link_target = link, .owner = owner, .group = owner};
}

// A host that no machine has to be.
HostFacts host(bool root) {
  using Kind = HostEntry::Kind;
  HostFacts facts;
  facts.root = root;
  facts.uid = facts.gid = root ? 0 : 1234;
  facts.root_parts = {entry("/usr", Kind::kFolder), entry("/bin", Kind::kLink, "usr/bin"), entry("/lib", Kind::kFolder),
                      entry("/etc/ld.so.cache", Kind::kFile),
                      entry("/etc/localtime", Kind::kLink, "/usr/share/zoneinfo/Europe/Paris")};
  return facts;
}

model::SliceSpec spec() {
  model::SliceSpec out;
  out.argv = {"wc", "-l"};
  model::add_default_environment(&out);
  return out;
}

std::vector<std::string> says(const Operations& operations, Place place) {
  std::vector<std::string> out;
  for (const Operation& operation : operations.list) {
    if (operation.place == place) out.push_back(operation.says);
  }
  return out;
}

size_t index_of(const Operations& operations, Action action) {
  const auto at = std::find_if(operations.list.begin(), operations.list.end(),
                               [&](const Operation& operation) { return operation.action == action; });
  return static_cast<size_t>(at - operations.list.begin());
}

Operations plan(const model::SliceSpec& spec, const HostFacts& facts) {
  auto planned = plan_operations(spec, facts);
  EXPECT_TRUE(planned.ok()) << planned.status().to_string();
  return planned.ok() ? std::move(*planned) : Operations();
}

TEST(Operations, OfProcessOneStartedByRoot) {
  EXPECT_THAT(
      says(plan(spec(), host(true)), Place::kInit),
      ElementsAre("drop all groups, and become the slice's own root",
                  "end with the process that started it, and let nobody look into it",
                  "make its own mount, network, IPC, UTS and cgroup namespaces", "make all mounts private",
                  "mount an empty tmpfs as the slice's root", "link /bin to usr/bin", "make the folder /usr",
                  "mount /usr read-only", "make the folder /lib", "mount /lib read-only", "make the folder /etc",
                  "write /etc/ld.so.cache, to mount on", "mount /etc/ld.so.cache read-only", "make the folder /proc",
                  "mount /proc with the slice's own processes only (subset=pid, hidepid=2)", "make the folder /tmp",
                  "mount an empty tmpfs at /tmp, nosuid, nodev, at most 268 MB", "make the folder /run",
                  "write /etc/passwd, made up", "write /etc/group, made up", "write /etc/hosts, made up",
                  "write /etc/nsswitch.conf, made up", "link /etc/localtime to /usr/share/zoneinfo/Europe/Paris",
                  "make the folder /dev", "mount an empty tmpfs at /dev, nosuid, noexec, at most 65.5 kB",
                  "write /dev/null, to mount on", "mount /dev/null read-only", "write /dev/zero, to mount on",
                  "mount /dev/zero read-only", "write /dev/full, to mount on", "mount /dev/full read-only",
                  "write /dev/random, to mount on", "mount /dev/random read-only", "write /dev/urandom, to mount on",
                  "mount /dev/urandom read-only", "link /dev/fd to /proc/self/fd", "link /dev/stdin to /proc/self/fd/0",
                  "link /dev/stdout to /proc/self/fd/1", "link /dev/stderr to /proc/self/fd/2",
                  "make the folder /dev/shm",
                  "mount an empty tmpfs at /dev/shm, nosuid, nodev, noexec, at most 67.1 MB", "make /dev read-only",
                  "make the slice's root read-only", "make it /, and detach the host's root", "call the host \"slice\"",
                  "bring loopback up", "let every signal do what it does by default",
                  "join a new, empty session keyring",
                  "limit core dumps (CORE) to 1, which is none, not even to a handler",
                  "limit open files (NOFILE) to 65536, or less where the caller has less",
                  "limit processes of its user (NPROC) to 4096, or less where the caller has less",
                  "limit locked memory (MEMLOCK) to 8388608, or less where the caller has less",
                  "lock the secure bits: root inside is a user like any other",
                  "empty the bounding and ambient sets of capabilities",
                  "make the process of the program; stay as process 1: reap, pass signals on"));
}

// Each of these would undo what stands before it, or could not be done any more.
TEST(Operations, OfTheProgramGiveUpPrivilegesInOrder) {
  const Operations operations = plan(spec(), host(true));
  const Action order[] = {Action::kLockSecurebits,  Action::kDropBounding, Action::kStartProgram,
                          Action::kNewSession,      Action::kBecomeUser,   Action::kDropCapabilities,
                          Action::kNoNewPrivileges, Action::kFilterCalls,  Action::kEnterFolder,
                          Action::kOpenProgram,     Action::kCloseDescriptors, Action::kExecute};
  for (size_t i = 1; i < std::size(order); ++i) {
    EXPECT_LT(index_of(operations, order[i - 1]), index_of(operations, order[i])) << i;
  }
  EXPECT_EQ(index_of(operations, Action::kExecute), operations.list.size() - 1);
  EXPECT_THAT(operations.missing_guarantees, IsEmpty());
}

TEST(Operations, PhasesAndPlacesComeOneAfterTheOther) {
  for (const bool root : {true, false}) {
    const Operations operations = plan(spec(), host(root));
    EXPECT_TRUE(std::is_sorted(operations.list.begin(), operations.list.end(),
                               [](const Operation& a, const Operation& b) {
                                 return std::pair(a.phase, a.place) < std::pair(b.phase, b.place);
                               }));
  }
}

// Nothing that needs a right is left to do: only the process of the program has to be woken.
TEST(Operations, AParkedSliceHasNothingLeftToGiveUp) {
  const Operations start = *plan_start(spec(), host(true));
  EXPECT_THAT(says(start, Place::kInit), IsEmpty());
  EXPECT_EQ(start.list.back().action, Action::kExecute);
  for (const Operation& operation : start.list) EXPECT_EQ(operation.phase, Phase::kStart);
}

TEST(Operations, WhatASpecificationAddsIsDoneByProcessOneWhenItStarts) {
  model::SliceSpec wanted = spec();
  wanted.mounts = {{"/srv/a", "/data"}};
  wanted.host_name = "other";
  wanted.scratch_bytes = 1u << 20;
  HostFacts facts = host(true);
  facts.mounts = {entry("/srv/a", HostEntry::Kind::kFolder)};
  EXPECT_EQ(class_of(wanted, facts), class_of(spec(), host(true)));
  EXPECT_THAT(says(*plan_start(wanted, facts), Place::kInit),
              ElementsAre("let /tmp have at most 1.05 MB", "call the host \"other\"", "make the slice's root writable",
                          "write /etc/hosts with that name", "make the folder /data", "mount /data read-only",
                          "make the slice's root read-only again"));
}

TEST(Operations, OfAnotherClassAreThoseThatAreParkedOtherwise) {
  const ParkingClass usual = class_of(spec(), host(true));
  model::SliceSpec other = spec();
  other.herd = "other";
  EXPECT_NE(class_of(other, host(true)), usual);
  other = spec();
  other.user = 0;
  EXPECT_NE(class_of(other, host(true)), usual);
  other = spec();
  other.resources.cpus = 1;
  EXPECT_NE(class_of(other, host(true)), usual);
  other = spec();
  other.mounts = {{"/srv/a", "/data"}};
  EXPECT_NE(class_of(other, host(false)), class_of(spec(), host(false)));
}

TEST(Operations, AnOrdinaryUserClonesMountsInside) {
  const Operations operations = plan(spec(), host(false));
  EXPECT_THAT(says(operations, Place::kInit), Contains("clone the mount of /usr, the same as was opened"));
  EXPECT_LT(index_of(operations, Action::kCloneSource), index_of(operations, Action::kMountRoot));
  EXPECT_THAT(says(operations, Place::kLauncher),
              Contains("map the slice's user 1000 and group 1000 to your own, 1234 and 1234, and read the maps back"));
  EXPECT_EQ(index_of(operations, Action::kBecomeRoot), operations.list.size());
  EXPECT_EQ(operations.missing_guarantees.size(), 3u);
}

TEST(Operations, MountsAndSecrets) {
  model::SliceSpec wanted = spec();
  wanted.mounts = {{"/srv/a", "/data/a"}, {"/srv/b", "/data/b", true}};
  wanted.secrets = {{"key", "x"}};
  HostFacts facts = host(true);
  facts.mounts = {entry("/srv/a", HostEntry::Kind::kFolder), entry("/srv/b", HostEntry::Kind::kFile, "", 77)};
  const Operations operations = plan(wanted, facts);
  EXPECT_THAT(says(operations, Place::kLauncher), Contains("open /srv/a, through no symbolic link"));
  EXPECT_THAT(says(operations, Place::kLauncher),
              Contains("open /srv/b, through no symbolic link; the slice acts on it as its owner, 77:77"));
  const auto init = says(operations, Place::kInit);
  EXPECT_THAT(init, Contains("mount /data/a read-only"));
  EXPECT_THAT(init, Contains("mount /data/b writable"));
  EXPECT_EQ(std::count(init.begin(), init.end(), "make the folder /data"), 1);
  EXPECT_THAT(init, Contains("write the secret /run/secrets/key, for user 1000 only"));
  EXPECT_THAT(explain(operations), Not(HasSubstr("\x01")));
}

TEST(Operations, RootsFilesAreNotWritable) {
  model::SliceSpec wanted = spec();
  wanted.mounts = {{"/srv", "/data", true}};
  HostFacts facts = host(true);
  facts.mounts = {entry("/srv", HostEntry::Kind::kFolder)};
  const Status refused = plan_operations(wanted, facts).status();
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_THAT(refused.to_string(), HasSubstr("mount /srv writable at /data: it belongs to root"));
  facts.mounts[0].owner = 77;  // the group is still root's
  EXPECT_THAT(plan_operations(wanted, facts).status().to_string(), HasSubstr("belongs to the group root"));
  facts.mounts[0].group = 77;
  EXPECT_TRUE(plan_operations(wanted, facts).ok());
}

TEST(Operations, ProgramIsLookedForInPathInside) {
  EXPECT_THAT(plan(spec(), host(true)).program_candidates, Contains("/usr/bin/wc"));
  model::SliceSpec wanted = spec();
  wanted.environment = {{"PATH", "/opt/bin:relative::/usr/bin"}};
  EXPECT_THAT(plan(wanted, host(true)).program_candidates, ElementsAre("/opt/bin/wc", "/usr/bin/wc"));
  wanted.argv = {"./wc"};
  EXPECT_THAT(plan(wanted, host(true)).program_candidates, ElementsAre("./wc"));
}

TEST(Operations, LimitsTakeRootAndComeBeforeTheProgram) {
  model::SliceSpec wanted = spec();
  wanted.resources = {.cpus = 0.5, .memory_bytes = 64u << 20, .processes = 10};
  const Operations operations = plan(wanted, host(true));
  EXPECT_THAT(says(operations, Place::kLauncher),
              Contains("limit the group to 0.5 processors, 67.1 MB of memory, 10 processes, and read that back"));
  EXPECT_LT(index_of(operations, Action::kMakeGroup), index_of(operations, Action::kClone));
  EXPECT_LT(index_of(operations, Action::kEnterGroup), index_of(operations, Action::kUnshare));
  EXPECT_LT(index_of(operations, Action::kEnterGroup), index_of(operations, Action::kStartProgram));
  EXPECT_LT(index_of(operations, Action::kSetLimits), index_of(operations, Action::kExecute));
  const Status refused = plan_operations(wanted, host(false)).status();
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_THAT(refused.to_string(), HasSubstr("control groups take root"));
}

TEST(Operations, RefusesWhatTheSpecificationMayNotSay) {
  model::SliceSpec wanted = spec();
  wanted.network.endpoints = {{"db", 0, model::SliceProtocol::kTcp, {}}};
  EXPECT_EQ(plan_operations(wanted, host(true)).status().code(), Code::kInvalidArgument);
}

TEST(Operations, ConnectToEndpoints) {
  model::SliceSpec wanted = spec();
  wanted.network.endpoints = {{"db", 5432, model::SliceProtocol::kTcp, {"192.0.2.7"}}};
  wanted.network.bytes_per_second = 1'000'000;
  HostFacts facts = host(true);
  facts.network.ways = {{.to = *model::parse_ip_prefix("192.0.2.7"),
                         .kind = network::WayTo::Kind::kOther,
                         .device = "up0",
                         .mtu = 1500,
                         .forwards = true}};
  const Operations operations = plan(wanted, facts);
  EXPECT_THAT(says(operations, Place::kLauncher),
              Contains(HasSubstr("reach db:5432/tcp at 192.0.2.7, and nothing else; at most 1.00 MB a second")));
  const auto hosts = std::find_if(operations.list.begin(), operations.list.end(), [](const Operation& operation) {
    return operation.action == Action::kRewriteFile && operation.path == "etc/hosts";
  });
  ASSERT_NE(hosts, operations.list.end());
  EXPECT_EQ(hosts->text, "127.0.0.1 localhost slice\n::1 localhost slice\n192.0.2.7 db\n");
  ASSERT_TRUE(operations.network);
  EXPECT_EQ(operations.network->allowed.size(), 1u);
  facts.network.ways[0].kind = network::WayTo::Kind::kOwn;
  EXPECT_EQ(plan_operations(wanted, facts).status().code(), Code::kPermissionDenied) << "the host itself";
  EXPECT_THAT(plan_operations(wanted, host(false)).status().to_string(), HasSubstr("endpoints take root"));
}

TEST(Operations, CoresThatWouldReachTheHostAreRefused) {
  HostFacts facts = host(true);
  facts.cores_reach_handler = true;
  EXPECT_EQ(plan_operations(spec(), facts).status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace runink::sandbox
