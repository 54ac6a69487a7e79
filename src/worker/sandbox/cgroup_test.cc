// What the control group code makes of texts and numbers; no group is touched.
#include "worker/sandbox/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/sandbox/cgroup_files.h"
#include "worker/sandbox/device_filter.h"

namespace runink::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHybridMounts =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 /docker/abc /sys/fs/cgroup/a\\040b rw,relatime - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(CgroupText, mounts) {
  std::vector<CgroupMount> mounts = parse_cgroup_mounts(kHybridMounts);
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_THAT(mounts[0].controllers, ElementsAre("cpu", "cpuacct"));
  EXPECT_EQ(mounts[0].mount_point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(mounts[1].mount_point, "/sys/fs/cgroup/a b");
  EXPECT_EQ(mounts[1].mount_root, "/docker/abc");
  EXPECT_TRUE(mounts[2].v2);
  EXPECT_THAT(mounts[2].controllers, IsEmpty());
  EXPECT_THAT(parse_cgroup_mounts("nonsense\n1 2 - cgroup\n"), IsEmpty());
}

TEST(CgroupText, own_groups) {
  constexpr const char* kText = "4:memory:/process/a:b\n1:cpu,cpuacct:/x\n0::/unified\n";
  EXPECT_EQ(group_in(kText, "memory"), "/process/a:b");
  EXPECT_EQ(group_in(kText, "cpuacct"), "/x");
  EXPECT_EQ(group_in(kText, ""), "/unified");
  EXPECT_EQ(group_in(kText, "pids"), std::nullopt);
  EXPECT_EQ(group_in(kText, "mem"), std::nullopt);
}

TEST(CgroupText, base_lies_at_the_top_or_in_the_own_group) {
  std::vector<CgroupMount> mounts = parse_cgroup_mounts(kHybridMounts);
  EXPECT_EQ(base_folder(mounts[0], "/x", "/runink").value(), "/sys/fs/cgroup/cpu,cpuacct/runink");
  EXPECT_EQ(base_folder(mounts[0], "/x", "runink").value(), "/sys/fs/cgroup/cpu,cpuacct/x/runink");
  EXPECT_EQ(base_folder(mounts[0], "/", "runink/a").value(), "/sys/fs/cgroup/cpu,cpuacct/runink/a");
  EXPECT_EQ(base_folder(mounts[1], "/docker/abc/in", "runink").value(), "/sys/fs/cgroup/a b/in/runink");
  EXPECT_EQ(base_folder(mounts[1], "/docker/abc", "runink").value(), "/sys/fs/cgroup/a b/runink");
  for (const char* bad : {"", "/", "..", "/a/../b", "a//b", "/run ink", "a/"}) {
    EXPECT_EQ(base_folder(mounts[0], "/x", bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(CgroupText, names_of_groups) {
  for (const char* good : {"herd", "herd/slice-1", "a.b/c_d"}) EXPECT_TRUE(check_group_path(good).ok()) << good;
  for (const char* bad : {"", "/", "a/", "/a", "..", "a/..", "a/b/c", ".hidden", "a b", "a\nb", "ä"}) {
    EXPECT_FALSE(check_group_path(bad).ok()) << bad;
  }
  EXPECT_FALSE(check_group_path(std::string(129, 'a')).ok());
}

TEST(CgroupText, sets_of_numbers) {
  EXPECT_EQ(number_list({7, 0, 2, 1, 2}), "0-2,7");
  EXPECT_EQ(number_list({}), "");
  EXPECT_THAT(parse_number_list("0-2,7\n").value(), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(parse_number_list("\n").value(), IsEmpty());
  for (const char* bad : {"a", "1-", "3-1", "1,,2", "0-4294967295", "-1"}) EXPECT_FALSE(parse_number_list(bad)) << bad;
  EXPECT_TRUE(keeps_numbers({0, 1})("0-1"));
  EXPECT_FALSE(keeps_numbers({0, 1})("0"));
  EXPECT_TRUE(keeps_bytes(1'000'000)("999424"));
  EXPECT_FALSE(keeps_bytes(1'000'000)("max"));
  EXPECT_FALSE(keeps_bytes(1'000'000)("1003520"));
}

TEST(CgroupLimits, what_no_kernel_could_apply_is_refused) {
  auto code = [](auto change) {
    CgroupLimits limits;
    change(limits);
    return validate(limits).code();
  };
  EXPECT_EQ(code([](CgroupLimits&) {}), Code::kOk);
  EXPECT_EQ(code([](CgroupLimits& l) { l.cpus = 0.5, l.memory_bytes = 64u << 20, l.swap_bytes = 0, l.processes = 10; }),
            Code::kOk);
  EXPECT_EQ(code([](CgroupLimits& l) { l.cpus = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.cpus = -1; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.cpus = std::nan(""); }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.cpu_weight = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.memory_bytes = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.memory_bytes = UINT64_MAX; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.swap_bytes = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.processes = 0; }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.io.push_back({254, 0}); }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.io.push_back({254, 0, 0}); }), Code::kInvalidArgument);
  EXPECT_EQ(code([](CgroupLimits& l) { l.devices.emplace().push_back({.type = 'x'}); }), Code::kInvalidArgument);
}

TEST(CgroupLimits, what_was_run_into_is_said) {
  CgroupLimits limits;
  limits.memory_bytes = 1u << 20;
  limits.processes = 5;
  EXPECT_THAT(describe({}, limits), IsEmpty());
  EXPECT_THAT(describe({.out_of_memory_kills = 1, .memory_limit_hits = 3, .refused_processes = 2}, limits),
              ElementsAre(HasSubstr("killed 1 process(es) at the memory limit of 1048576 bytes"),
                          HasSubstr("2 fork(s) were refused at the limit of 5")));
  EXPECT_THAT(describe({.memory_high_hits = 2}, {}), ElementsAre(HasSubstr("above the high mark 2 times")));
  EXPECT_THAT(describe({.memory_limit_hits = 3, .throttled_periods = 4, .throttled_seconds = 0.25}, {}),
              ElementsAre(HasSubstr("nothing was killed"), HasSubstr("stopped for 0.2 s in 4 periods")));
}

// Runs a device program as the kernel does, as far as such programs go.
bool allows(const std::vector<bpf_insn>& code, uint32_t type, uint32_t access, uint32_t major, uint32_t minor) {
  uint32_t context[3] = {type | access << 16, major, minor};
  uint64_t reg[11] = {};
  for (size_t at = 0; at < code.size(); ++at) {
    const bpf_insn& in = code[at];
    uint64_t& to = reg[in.dst_reg];
    auto word = static_cast<uint32_t>(to), value = static_cast<uint32_t>(in.imm);
    switch (in.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        to = context[in.off / 4];
        break;
      case BPF_ALU | BPF_MOV | BPF_X:
        to = static_cast<uint32_t>(reg[in.src_reg]);
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        to = static_cast<uint64_t>(int64_t{in.imm});
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        to = word & value;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        to = word >> value;
        break;
      case BPF_JMP32 | BPF_JNE | BPF_K:
        at += word != value ? static_cast<size_t>(in.off) : 0;
        break;
      case BPF_JMP32 | BPF_JSET | BPF_K:
        at += word & value ? static_cast<size_t>(in.off) : 0;
        break;
      case BPF_JMP | BPF_EXIT:
        return reg[0] != 0;
      default:
        ADD_FAILURE() << "instruction " << int{in.code};
        return false;
    }
  }
  ADD_FAILURE() << "ran past the end";
  return false;
}

TEST(DeviceFilter, only_what_a_rule_covers_is_allowed) {
  constexpr uint32_t kBlock = BPF_DEVCG_DEV_BLOCK, kChar = BPF_DEVCG_DEV_CHAR;
  constexpr uint32_t kRead = BPF_DEVCG_ACC_READ, kWrite = BPF_DEVCG_ACC_WRITE, kMake = BPF_DEVCG_ACC_MKNOD;
  std::vector<bpf_insn> code = device_program({
      {.type = 'c', .major = 1, .minor = 3},
      {.type = 'c', .major = 195, .write = false},
      {.type = 'b', .major = 0xfffffff0, .minor = 7, .make_node = true},
  });
  EXPECT_TRUE(allows(code, kChar, kRead | kWrite, 1, 3));
  EXPECT_TRUE(allows(code, kChar, kRead, 1, 3));
  EXPECT_FALSE(allows(code, kChar, kRead | kMake, 1, 3));
  EXPECT_FALSE(allows(code, kBlock, kRead, 1, 3));
  EXPECT_FALSE(allows(code, kChar, kRead, 1, 5));
  EXPECT_TRUE(allows(code, kChar, kRead, 195, 255));
  EXPECT_FALSE(allows(code, kChar, kWrite, 195, 255));
  EXPECT_FALSE(allows(code, kChar, kRead | kWrite, 195, 255));
  EXPECT_TRUE(allows(code, kBlock, kRead | kWrite | kMake, 0xfffffff0, 7));
  EXPECT_FALSE(allows(code, kBlock, kRead, 7, 0xfffffff0));
  EXPECT_FALSE(allows(device_program({}), kChar, kRead, 1, 3));
  EXPECT_TRUE(allows(device_program({{.type = 'b'}}), kBlock, kWrite, 8, 0));
}

TEST(CgroupLimits, what_is_left_out_is_what_has_to_be_lifted) {
  CgroupLimits before, after;
  before.cpus = 2;
  before.memory_bytes = 1u << 30;
  before.processes = 10;
  before.cpu_set = {1};
  before.io = {{.major = 8, .read_bytes_per_second = 5, .write_bytes_per_second = 6},
               {.major = 9, .read_bytes_per_second = 7}};
  after.cpus = 1;
  after.cpu_set = {2};
  after.io = {{.major = 8, .read_bytes_per_second = 4}};
  const CgroupLimits left = left_out(before, after);
  EXPECT_FALSE(left.cpus);
  EXPECT_EQ(left.memory_bytes, 1u << 30);
  EXPECT_TRUE(left.swap_bytes) << "without memory it would hold nothing";
  EXPECT_EQ(left.processes, 10u);
  EXPECT_TRUE(left.cpu_set.empty());
  ASSERT_EQ(left.io.size(), 2u);
  EXPECT_FALSE(left.io[0].read_bytes_per_second);
  EXPECT_EQ(left.io[0].write_bytes_per_second, 6u);
  EXPECT_EQ(left.io[1].major, 9u);
}

TEST(CgroupEvents, whose_limit_it_was_is_told) {
  HerdEvents herd{.herd = "etl", .limits = {}, .out_of_memory = 1};
  herd.limits.memory_bytes = 4096;
  herd.limits.processes = 9;
  const CgroupEvents hit{.out_of_memory_kills = 2, .refused_processes = 3};
  CgroupEvents events = hit;
  EXPECT_THAT(
      describe_herd(herd, {}, &events),
      ::testing::ElementsAre("out of memory of its herd: the kernel killed 2 process(es) when all slices of etl "
                             "reached 4096 bytes together",
                             "out of processes of its herd: 3 fork(s) were refused when all slices of etl had 9"));
  EXPECT_TRUE(describe(events, {}).empty()) << "it is said once";
  // At limits of its own.
  CgroupLimits own;
  own.memory_bytes = 4096;
  own.processes = 5;
  events = hit;
  events.out_of_memory = 1;
  EXPECT_TRUE(describe_herd(herd, own, &events).empty());
  events = hit;
  EXPECT_EQ(describe_herd(herd, own, &events).size(), 1u) << "its own limit was not reached";
  events = hit;
  events.filled = true;
  EXPECT_TRUE(describe_herd(herd, own, &events).empty());
  EXPECT_EQ(describe(events, own).size(), 2u);
  // The whole host was out of memory.
  herd.out_of_memory = 0;
  events = hit;
  EXPECT_EQ(describe_herd(herd, {}, &events).size(), 1u);
}

}  // namespace
}  // namespace runink::sandbox
