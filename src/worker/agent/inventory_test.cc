// What a node has: of this host, of a made-up one, and of GPUs by a driver library without a driver
// (gpu_nvml_stand_in.cc).
#include "worker/agent/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::agent {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

std::string stand_in() {
  char path[4096] = {};
  EXPECT_GT(::readlink("/proc/self/exe", path, sizeof path - 1), 0);
  return os::folder_of(path) + "/libfake_nvml.so";
}

class Gpus : public testing::Test {
 protected:
  static GpuList ask(const char* mode) {
    ::setenv("RUNINK_FAKE_NVML", mode, 1);
    return find_gpus(stand_in());
  }
};

TEST_F(Gpus, AreAskedOfTheDriversLibrary) {
  const GpuList list = ask("");
  EXPECT_EQ(list.why_none, "");
  EXPECT_EQ(list.driver_version, "555.42");
  ASSERT_THAT(list.gpus, SizeIs(2));
  EXPECT_EQ(list.gpus[0].uuid, "GPU-00000000-0000-0000-0000-000000000001");
  EXPECT_EQ(list.gpus[0].name, "NVIDIA Stand-in 9000");
  EXPECT_EQ(list.gpus[0].bus_id, "00000000:01:00.0");
  EXPECT_EQ(list.gpus[0].memory_bytes, 80'000'000'000u);
  EXPECT_EQ(list.gpus[0].minor, 4);
  EXPECT_FALSE(list.gpus[0].partitioned);
  EXPECT_EQ(list.gpus[1].uuid, std::string(95, 'x'));  // a text that did not end
  EXPECT_TRUE(list.gpus[1].partitioned);
}

TEST_F(Gpus, ALibraryThatFailsIsToldAndSurvived) {
  EXPECT_THAT(ask("broken").why_none, HasSubstr("Driver Not Loaded"));
  EXPECT_THAT(ask("many").why_none, HasSubstr("counts 4000000000 devices"));
  const GpuList lost = ask("lost");
  EXPECT_THAT(lost.gpus, SizeIs(1));
  EXPECT_THAT(find_gpus("libnone-of-this-name.so.1").why_none, HasSubstr("libnone-of-this-name.so.1"));
  EXPECT_THAT(find_gpus("libc.so.6").why_none, HasSubstr("lacks functions"));
}

TEST(Inventory, OfThisHost) {
  const Inventory inventory = gather_inventory({});
  EXPECT_GE(inventory.processors, 1u);
  EXPECT_GE(inventory.processors, inventory.cores);
  EXPECT_GE(inventory.cores, inventory.sockets);
  EXPECT_GE(inventory.usable_processors, 1u);
  EXPECT_GT(inventory.memory_bytes, 64u << 20);
  EXPECT_FALSE(inventory.kernel.empty());
  ASSERT_FALSE(inventory.spaces.empty());
  EXPECT_GT(inventory.spaces[0].bytes, 0u);
  EXPECT_FALSE(inventory.spaces[0].type.empty());
  const auto json = nlohmann::json::parse(inventory_json(inventory), nullptr, false);
  ASSERT_TRUE(json.is_object()) << inventory_json(inventory);
  EXPECT_EQ(json["memory"]["bytes"], inventory.memory_bytes);
  EXPECT_EQ(json["processors"]["online"], inventory.processors);
}

class MadeUpHost : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    ASSERT_TRUE(os::make_directories(folder_.path() + os::folder_of(path)).ok());
    ASSERT_TRUE(os::write_file_atomic(folder_.path() + path, text).ok());
  }
  os::TempFolder folder_ = *os::TempFolder::create("");
};

TEST_F(MadeUpHost, IsReadWhole) {
  put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Abacus 3 @ 1 bead/s\nprocessor\t: 1\nmodel name\t: other\n");
  put("/proc/meminfo", "MemTotal:       1024 kB\nSwapTotal:      2 kB\n");
  put("/proc/self/mountinfo",
      "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /tmp rw - tmpfs tmpfs rw\n"
      "3 1 0:6 / /sys/fs/cgroup rw - cgroup2 none rw\n4 1 0:7 / /sys/fs/cgroup/pids rw - cgroup none rw,pids\n");
  put("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  put("/etc/os-release", "NAME=x\nPRETTY_NAME=\"Test Linux 1\"\n");
  put("/sys/devices/system/cpu/online", "0-3\n");
  for (int cpu = 0; cpu < 4; ++cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    put(folder + "physical_package_id", cpu < 2 ? "0\n" : "1\n");
    put(folder + "core_id", "7\n");
  }
  put("/sys/devices/system/node/node0/cpulist", "0-1\n");
  put("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       512 kB\n");
  put("/sys/devices/system/node/node1/cpulist", "2-3\n");
  put("/sys/devices/system/node/possible", "0-1\n");
  put("/sys/block/sda/size", "2000\n");
  put("/sys/block/sda/dev", "8:16\n");
  put("/sys/block/sda/queue/rotational", "1\n");
  put("/sys/block/loop0/size", "5\n");
  put("/sys/block/sdb/size", "0\n");
  InventoryOptions options;
  options.root = folder_.path();
  options.gpu_library = "libnone-of-this-name.so.1";
  options.labels = {{"rack", "r\"7"}};
  options.space_paths = {"/", "/none"};
  const Inventory inventory = gather_inventory(options);
  EXPECT_EQ(inventory.processor_model, "Abacus 3 @ 1 bead/s");
  EXPECT_EQ(inventory.processors, 4u);
  EXPECT_EQ(inventory.cores, 2u);
  EXPECT_EQ(inventory.sockets, 2u);
  EXPECT_EQ(inventory.memory_bytes, 1u << 20);
  EXPECT_EQ(inventory.swap_bytes, 2048u);
  EXPECT_EQ(inventory.system, "Test Linux 1");
  EXPECT_EQ(inventory.control_groups, "v2: cpu memory pids; v1: pids");
  ASSERT_THAT(inventory.numa, SizeIs(2));
  EXPECT_EQ(inventory.numa[0].memory_bytes, 512u * 1024);
  EXPECT_THAT(inventory.numa[1].processors, testing::ElementsAre(2, 3));
  ASSERT_THAT(inventory.disks, SizeIs(1));
  EXPECT_EQ(inventory.disks[0].bytes, 1'024'000u);
  EXPECT_EQ(inventory.disks[0].minor, 16u);
  EXPECT_TRUE(inventory.disks[0].rotational);
  ASSERT_THAT(inventory.spaces, SizeIs(1));
  EXPECT_EQ(inventory.spaces[0].type, "ext4");
  const auto json = nlohmann::json::parse(inventory_json(inventory), nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["labels"]["rack"], "r\"7");
  EXPECT_EQ(json["disks"][0]["device"], "8:16");
}

TEST_F(MadeUpHost, ThatSaysNothingIsEmptyAndNoError) {
  InventoryOptions options;
  options.root = folder_.path();
  options.gpu_library = "libnone-of-this-name.so.1";
  const Inventory inventory = gather_inventory(options);
  EXPECT_EQ(inventory.processors, 0u);
  EXPECT_EQ(inventory.control_groups, "none");
  EXPECT_TRUE(nlohmann::json::accept(inventory_json(inventory)));
}

TEST(Labels, AreChecked) {
  EXPECT_EQ(*parse_label("zone = eu-1 "), (std::pair<std::string, std::string>("zone", "eu-1")));
  EXPECT_EQ(parse_label("a/b.c_d-e=")->second, "");
  for (const char* bad : {"", "zone", "=x", "-a=x", "a-=x", "a b=c", "a=\x01", "a=\xff"}) {
    EXPECT_EQ(parse_label(bad).status().code(), Code::kInvalidArgument) << bad;
  }
  EXPECT_FALSE(parse_label(std::string(64, 'a') + "=x").ok());
  EXPECT_FALSE(parse_label("a=" + std::string(256, 'x')).ok());
}

TEST(Labels, OfAFile) {
  const os::TempFolder folder = *os::TempFolder::create("");
  const std::string path = folder.file("labels");
  ASSERT_TRUE(os::write_file_atomic(path, "# where\n\nzone=eu\n  rack = 7\n").ok());
  const std::map<std::string, std::string> wanted = {{"rack", "7"}, {"zone", "eu"}};
  EXPECT_EQ(*read_labels(path), wanted);
  ASSERT_TRUE(os::write_file_atomic(path, "zone=eu\nzone=us\n").ok());
  EXPECT_THAT(read_labels(path).status().to_string(), HasSubstr(":2: the label zone is there twice"));
  ASSERT_TRUE(os::write_file_atomic(path, "ok=1\nbroken\n").ok());
  EXPECT_THAT(read_labels(path).status().to_string(), HasSubstr(":2"));
  EXPECT_EQ(read_labels(folder.file("none")).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace runink::agent
