#include "worker/agent/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/os/fd.h"

namespace runink::agent {
namespace {

using ::testing::HasSubstr;

Caller user(uint32_t id) { return {.pid = 1, .user = id, .group = id + 1}; }

TEST(Authority, RootAndTheAgentsUserMayDoEverything) {
  const Authority of_root(0);
  EXPECT_EQ(of_root.role_of(user(0)), Role::kOperator);
  EXPECT_EQ(of_root.role_of(user(1000)), Role::kNone);
  const Authority of_user(1000);
  EXPECT_EQ(of_user.role_of(user(1000)), Role::kOperator);
  EXPECT_EQ(of_user.role_of(user(0)), Role::kOperator);
  EXPECT_EQ(of_user.role_of(user(1001)), Role::kNone);
}

TEST(Authority, AllowsUsersAndGroupsByNameAndNumber) {
  Authority authority(0);
  ASSERT_TRUE(authority.allow_user("nobody").ok());
  ASSERT_TRUE(authority.allow_user("4711").ok());
  ASSERT_TRUE(authority.allow_group("815").ok());
  EXPECT_EQ(authority.role_of(user(65534)), Role::kUser);
  EXPECT_EQ(authority.role_of(user(4711)), Role::kUser);
  EXPECT_EQ(authority.role_of(user(4712)), Role::kNone);
  EXPECT_EQ(authority.role_of(user(814)), Role::kUser);  // his first group
  Caller member = user(9);
  EXPECT_EQ(authority.role_of(member), Role::kNone);
  member.groups = {7, 815};
  EXPECT_EQ(authority.role_of(member), Role::kUser);
  EXPECT_EQ(authority.allow_user("no-such-user").code(), Code::kNotFound);
  EXPECT_EQ(authority.allow_group("no-such-group").code(), Code::kNotFound);
}

TEST(Authority, AnOrdinaryUserCanAllowNobody) {
  Authority authority(1000);
  EXPECT_EQ(authority.allow_user("nobody").code(), Code::kInvalidArgument);
  EXPECT_EQ(authority.allow_group("nogroup").code(), Code::kInvalidArgument);
}

TEST(Authority, SaysWhatToDo) {
  EXPECT_THAT(Authority(0).refusal(user(7)).hint(), HasSubstr("--allow-user 7"));
  EXPECT_EQ(Authority(0).refusal(user(7)).code(), Code::kPermissionDenied);
}

TEST(Authority, UsersGetAHerdOfTheirOwnAndActAsThemselves) {
  Authority authority(0);
  ASSERT_TRUE(authority.allow_user("7").ok());
  model::SliceSpec spec;
  ASSERT_TRUE(authority.confine(user(7), &spec).ok());
  EXPECT_EQ(spec.herd, "user-7");
  ASSERT_TRUE(spec.act_as);
  EXPECT_EQ(*spec.act_as, (model::SliceIdentity{7, 8}));
  spec = {};
  spec.herd = "user-8";
  ASSERT_TRUE(authority.confine(user(7), &spec).ok());
  EXPECT_EQ(spec.herd, "user-7-user-8");
  spec = {};
  ASSERT_TRUE(authority.confine(user(0), &spec).ok());
  EXPECT_EQ(spec.herd, "local");
  EXPECT_FALSE(spec.act_as);
}

TEST(Authority, UsersAreRefusedWhatIsTheHosts) {
  Authority authority(0);
  ASSERT_TRUE(authority.allow_user("7").ok());
  const auto refused = [&](auto change) {
    model::SliceSpec spec;
    change(spec);
    return authority.confine(user(7), &spec).code() == Code::kPermissionDenied;
  };
  EXPECT_TRUE(refused([](auto& spec) { spec.devices = {{"/dev/sda"}}; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.gpus.count = 1; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.scratch_folder = "/var/tmp"; }));
  EXPECT_TRUE(refused([](auto& spec) { spec.act_as = model::SliceIdentity{8, 8}; }));
  EXPECT_FALSE(refused([](auto& spec) { spec.act_as = model::SliceIdentity{7, 8}; }));
  model::SliceSpec spec;
  EXPECT_EQ(authority.confine({.user = 7, .group = 0}, &spec).code(), Code::kPermissionDenied);
}

TEST(Caller, IsWhoTheKernelSays) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const os::Fd first(ends[0], ""), second(ends[1], "");
  const auto caller = caller_of(first.get());
  ASSERT_TRUE(caller.ok()) << caller.status().to_string();
  EXPECT_EQ(caller->pid, ::getpid());
  EXPECT_EQ(caller->user, ::geteuid());
  std::vector<gid_t> groups(static_cast<size_t>(::getgroups(0, nullptr)));
  ASSERT_GE(::getgroups(static_cast<int>(groups.size()), groups.data()), 0);
  EXPECT_EQ(caller->groups, (std::vector<uint32_t>(groups.begin(), groups.end())));
}

}  // namespace
}  // namespace runink::agent
