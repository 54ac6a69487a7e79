// What a specification adds to a slice, as text: whom it acts as, devices, GPUs, scratch, the fence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/sandbox/operations.h"

namespace runink::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

HostFacts host(bool root) {
  HostFacts facts;
  facts.root = root;
  facts.uid = facts.gid = root ? 0 : 1234;
  return facts;
}

model::SliceSpec spec() {
  model::SliceSpec out;
  out.argv = {"true"};
  return out;
}

Operations plan(const model::SliceSpec& spec, const HostFacts& facts) {
  auto planned = plan_start(spec, facts);
  EXPECT_TRUE(planned.ok()) << planned.status().to_string();
  return planned.ok() ? std::move(*planned) : Operations();
}

std::vector<std::string> says(const Operations& operations) {
  std::vector<std::string> out;
  for (const Operation& operation : operations.list) out.push_back(operation.says);
  return out;
}

size_t index_of(const Operations& operations, Action action) {
  const auto at = std::find_if(operations.list.begin(), operations.list.end(),
                               [&](const Operation& operation) { return operation.action == action; });
  return static_cast<size_t>(at - operations.list.begin());
}

TEST(PlanFence, IsThereWhereTheKernelHasIt) {
  HostFacts facts = host(true);
  const auto whole = [](const model::SliceSpec& wanted, const HostFacts& on) { return *plan_operations(wanted, on); };
  for (const Action action : {Action::kMakeFence, Action::kAllowPath, Action::kAllowStreams, Action::kEnterFence}) {
    EXPECT_EQ(index_of(whole(spec(), facts), action), whole(spec(), facts).list.size());
  }
  facts.landlock_abi = 5;
  model::SliceSpec wanted = spec();
  wanted.mounts = {{"/srv/a", "/data/a"}, {"/srv/b", "/data/b", true}};
  facts.mounts = {{.path = "/srv/a", .kind = HostEntry::Kind::kFolder, .owner = 7, .group = 7},
                  {.path = "/srv/b", .kind = HostEntry::Kind::kFolder, .owner = 7, .group = 7}};
  wanted.scratch_folder = "/var/tmp";
  const Operations operations = whole(wanted, facts);
  EXPECT_THAT(says(operations), AllOf(Contains("read and execute what lies below /"), Contains("write below /data/b"),
                                      Not(Contains("write below /data/a"))));
  const auto all = says(operations);
  EXPECT_EQ(std::count(all.begin(), all.end(), "write below /tmp"), 2) << "what is mounted over it is another place";
  // After the program is found, which it may no longer be then.
  EXPECT_LT(index_of(operations, Action::kOpenProgram), index_of(operations, Action::kEnterFence));
  EXPECT_LT(index_of(operations, Action::kAllowStreams), index_of(operations, Action::kEnterFence));
  EXPECT_LT(index_of(operations, Action::kEnterFence), index_of(operations, Action::kExecute));
}

TEST(PlanIdentity, MountsAreUsedAsTheOneNamed) {
  model::SliceSpec wanted = spec();
  wanted.mounts = {{"/srv", "/data", true}};
  HostFacts facts = host(true);
  facts.mounts = {{.path = "/srv", .kind = HostEntry::Kind::kFolder}};  // root's
  EXPECT_EQ(plan_start(wanted, facts).status().code(), Code::kPermissionDenied);
  wanted.act_as = {77, 78};
  const Operations operations = plan(wanted, facts);
  EXPECT_THAT(says(operations),
              Contains("open /srv, through no symbolic link, as 77:78 may; the slice acts on it as 77:78"));
  ASSERT_EQ(operations.sources.size(), 1u);
  EXPECT_TRUE(operations.sources[0].mapped && operations.sources[0].by_specification);
}

TEST(PlanIdentity, OrdinaryUsersActAsThemselves) {
  model::SliceSpec wanted = spec();
  wanted.act_as = {77, 78};
  const Status refused = plan_start(wanted, host(false)).status();
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_THAT(refused.hint(), HasSubstr("you are 1234:1234"));
  wanted.act_as = {1234, 1234};
  EXPECT_TRUE(plan_start(wanted, host(false)).ok());
}

TEST(PlanDevices, AreNodesOfTheSlicesOwn) {
  model::SliceSpec wanted = spec();
  wanted.devices = {{"/dev/x"}, {"/dev/below/y", true}};
  HostFacts facts = host(true);
  facts.devices = {{"/dev/x", 'c', 10, 20}, {"/dev/below/y", 'b', 8, 1}};
  const Operations operations = plan(wanted, facts);
  EXPECT_THAT(says(operations),
              AllOf(Contains("open /dev/x, a character device 10:20; make a node of it that the slice may read"),
                    Contains("open /dev/below/y, a block device 8:1; make a node of it that the slice may read and "
                             "write"),
                    Contains("let the group open no devices but those that every slice has, and /dev/x (to read), "
                             "/dev/below/y"),
                    Contains("mount /dev/x read-only"), Contains("mount /dev/below/y writable"),
                    Contains("make /dev read-only again")));
  ASSERT_TRUE(operations.device_rules);
  // Five of every slice, and these two; nobody makes nodes.
  ASSERT_EQ(operations.device_rules->size(), 7u);
  EXPECT_TRUE(std::none_of(operations.device_rules->begin(), operations.device_rules->end(),
                           [](const DeviceRule& rule) { return rule.make_node || !rule.major || !rule.minor; }));
  const DeviceRule& x = (*operations.device_rules)[5];
  EXPECT_TRUE(x.type == 'c' && x.major == 10u && x.minor == 20u && x.read && !x.write);
  EXPECT_TRUE((*operations.device_rules)[6].write);
  EXPECT_TRUE(class_of(wanted, facts).limited) << "their rules need a group";
}

TEST(PlanDevices, WithATerminalThatIsAllowed) {
  model::SliceSpec wanted = spec();
  wanted.devices = {{"/dev/x"}};
  wanted.terminal = model::SliceTerminal{};
  HostFacts facts = host(true);
  facts.devices = {{"/dev/x", 'c', 10, 20}};
  const Operations operations = plan(wanted, facts);
  ASSERT_TRUE(operations.device_rules);
  EXPECT_EQ(operations.device_rules->size(), 9u);
}

TEST(PlanDevices, OfEverySliceNeedNoRules) {
  const Operations operations = plan(spec(), host(true));
  EXPECT_FALSE(operations.device_rules);
  EXPECT_FALSE(class_of(spec(), host(true)).limited);
}

TEST(PlanDevices, ThatAreMissingAreRefused) {
  model::SliceSpec wanted = spec();
  wanted.devices = {{"/dev/x"}};
  HostFacts facts = host(true);
  facts.devices = {{"/dev/x"}};
  EXPECT_EQ(plan_start(wanted, facts).status().code(), Code::kNotFound);
  facts.root = false;
  EXPECT_EQ(plan_start(wanted, facts).status().code(), Code::kPermissionDenied);
}

HostFacts host_with_gpus() {
  HostFacts facts = host(true);
  facts.gpus.gpus = {{0, {"/dev/nvidia0", 'c', 195, 0}, false},
                     {1, {"/dev/nvidia1", 'c', 195, 1}, true},
                     {3, {"/dev/nvidia3", 'c', 195, 3}, true}};
  facts.gpus.controls = {{"/dev/nvidiactl", 'c', 195, 255}};
  return facts;
}

TEST(PlanGpus, ThoseThatAreFree) {
  model::SliceSpec wanted = spec();
  wanted.gpus.count = 2;
  const Operations operations = plan(wanted, host_with_gpus());
  EXPECT_THAT(says(operations), Contains("take GPU 1, 3, which no other slice has then; the program finds "
                                         "NVIDIA_VISIBLE_DEVICES=1,3 CUDA_VISIBLE_DEVICES=0,1"));
  EXPECT_THAT(says(operations),
              AllOf(Contains("mount /dev/nvidia1 writable"), Contains("mount /dev/nvidiactl writable"),
                    Not(Contains("mount /dev/nvidia0 writable"))));
  wanted.gpus.count = 3;
  EXPECT_THAT(plan_start(wanted, host_with_gpus()).status().to_string(), HasSubstr("2 of this host's 3 GPUs are free"));
  EXPECT_EQ(plan_start(wanted, host(true)).status().code(), Code::kFailedPrecondition);
}

TEST(PlanGpus, ThoseThatAreNamed) {
  model::SliceSpec wanted = spec();
  wanted.gpus.numbers = {0};
  wanted.devices = {{"/dev/nvidiactl"}};
  wanted.environment = {{"CUDA_VISIBLE_DEVICES", "7"}};
  HostFacts facts = host_with_gpus();
  facts.devices = {{"/dev/nvidiactl", 'c', 195, 255}};
  const Operations operations = plan(wanted, facts);
  EXPECT_FALSE(operations.gpus.alone);
  EXPECT_THAT(operations.environment, ElementsAre(std::make_pair("NVIDIA_VISIBLE_DEVICES", "0")));
  // Asked for twice, for reading and as a part of the GPU: there once, for both.
  EXPECT_EQ(std::count_if(operations.sources.begin(), operations.sources.end(),
                          [](const MountSource& source) { return source.path == "/dev/nvidiactl" && source.writable; }),
            1);
  wanted.gpus.numbers = {2};
  EXPECT_THAT(plan_start(wanted, facts).status().to_string(), HasSubstr("this host has no /dev/nvidia2"));
}

TEST(PlanScratch, OnDiskIsMountedOverTmp) {
  model::SliceSpec wanted = spec();
  wanted.scratch_bytes = 1ull << 30;
  EXPECT_THAT(says(plan(wanted, host(true))), Contains("let /tmp have at most 1.07 GB"));
  wanted.scratch_folder = "/var/tmp";
  const Operations operations = plan(wanted, host(true));
  EXPECT_THAT(says(operations),
              AllOf(Contains("make an encrypted file system of 1.07 GB in /var/tmp, in a file without a "
                             "name, with a key of its own"),
                    Contains("mount /tmp writable"), Not(Contains(HasSubstr("let /tmp have")))));
  EXPECT_EQ(plan_start(wanted, host(false)).status().code(), Code::kPermissionDenied);
}

TEST(PlanLimits, LargerThanTheNodeAreRefused) {
  model::SliceSpec wanted = spec();
  wanted.resources.memory_bytes = 64ull << 30;
  HostFacts facts = host(true);
  EXPECT_TRUE(plan_start(wanted, facts).ok()) << "a size that is not known is not checked against";
  facts.node.memory_bytes = 32ull << 30;
  const Status refused = plan_start(wanted, facts).status();
  EXPECT_EQ(refused.kind(), "sandbox.limit");
  EXPECT_EQ(refused.to_string(), "limit of memory to 68.7 GB: this node has 34.4 GB");
}

}  // namespace
}  // namespace runink::sandbox
