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
                  "end with the process that started it, and let nobody look into it", "make all mounts private",
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
                  "bring loopback up; there is no other network",
                  "make the process of the program; stay as process 1: reap, pass signals on, no descriptors"));
}

// Each of these would undo what stands before it, or could not be done any more.
TEST(Operations, OfTheProgramGiveUpPrivilegesInOrder) {
  const Operations operations = plan(spec(), host(true));
  const Action order[] = {Action::kStartProgram,    Action::kNewSession,       Action::kLockSecurebits,
                          Action::kDropBounding,    Action::kBecomeUser,       Action::kDropCapabilities,
                          Action::kNoNewPrivileges, Action::kEnterFolder,      Action::kOpenProgram,
                          Action::kFilterCalls,     Action::kCloseDescriptors, Action::kExecute};
  for (size_t i = 1; i < std::size(order); ++i) {
    EXPECT_LT(index_of(operations, order[i - 1]), index_of(operations, order[i])) << i;
  }
  EXPECT_EQ(index_of(operations, Action::kExecute), operations.list.size() - 1);
  EXPECT_THAT(operations.missing_guarantees, IsEmpty());
}

TEST(Operations, PlacesComeOneAfterTheOther) {
  for (const bool root : {true, false}) {
    const Operations operations = plan(spec(), host(root));
    EXPECT_TRUE(std::is_sorted(operations.list.begin(), operations.list.end(),
                               [](const Operation& a, const Operation& b) { return a.place < b.place; }));
  }
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
              Contains("make a control group that is limited to 0.5 processors, 67.1 MB of memory, 10 processes"));
  EXPECT_LT(index_of(operations, Action::kMakeGroup), index_of(operations, Action::kClone));
  EXPECT_LT(index_of(operations, Action::kEnterGroup), index_of(operations, Action::kMapIds));
  const Status refused = plan_operations(wanted, host(false)).status();
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_THAT(refused.to_string(), HasSubstr("control groups take root"));
}

TEST(Operations, RefusesWhatTheSpecificationMayNotSay) {
  model::SliceSpec wanted = spec();
  wanted.network.endpoints = {{"db", 5432, model::SliceProtocol::kTcp, {}}};
  EXPECT_EQ(plan_operations(wanted, host(true)).status().code(), Code::kUnimplemented);
}

TEST(Operations, CoresThatWouldReachTheHostAreRefused) {
  HostFacts facts = host(true);
  facts.cores_reach_handler = true;
  EXPECT_EQ(plan_operations(spec(), facts).status().code(), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace runink::sandbox
