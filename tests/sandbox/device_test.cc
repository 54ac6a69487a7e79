// Devices and GPUs that a slice is granted: stand-ins, in a /dev that nobody else sees.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class DeviceTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    // Numbers of GPUs that other tests do not have: which are taken is known to the whole host.
    first_ = 2 + 2 * (static_cast<unsigned>(::getpid()) % 100);
    second_ = first_ + 1;
    if (run(with_devices({"true"})).code != 0) GTEST_SKIP() << "needs the right to make device nodes";
    const Ran ran = run(with_devices(exec_command({"--device", "/dev/standin", "--", "true"})));
    if (ran.err.find("sandbox.limit") != std::string::npos ||
        ran.err.find("controller 'devices'") != std::string::npos) {
      GTEST_SKIP() << ran.err;
    }
  }

  // The command, with a /dev of its own in which there are stand-ins: of /dev/null, a full one and a block device.
  std::vector<std::string> with_devices(const std::vector<std::string>& command) const {
    const std::string script = R"(
      set -e
      mkdir -p "$1/dev"; mount -t tmpfs none "$1/dev"; cd "$1/dev"
      for name in null zero full random urandom tty ptmx loop-control; do [ ! -e /dev/$name ] || cp -a /dev/$name .; done
      mknod -m 600 standin c 1 3; mknod -m 600 other c 1 3; mknod -m 600 disk b 7 250; ln -s standin link
      mkdir below; mknod -m 600 below/standin c 1 3
      mknod -m 600 nvidia)" + std::to_string(first_) +
                               R"( c 1 3; mknod -m 600 nvidia)" + std::to_string(second_) +
                               R"( c 1 3
      mknod -m 600 nvidiactl c 1 3; mknod -m 600 nvidia-uvm c 1 3
      mount --bind "$1/dev" /dev; shift; cd /; exec "$@")";
    std::vector<std::string> out = {"unshare", "--mount", "sh", "-c", script, "sh", folder()};
    out.insert(out.end(), command.begin(), command.end());
    return out;
  }
  Ran exec_with(const std::vector<std::string>& arguments) { return run(with_devices(exec_command(arguments))); }
  std::string first() const { return std::to_string(first_); }
  std::string second() const { return std::to_string(second_); }

 private:
  unsigned first_ = 0, second_ = 0;
};
INSTANTIATE_TEST_SUITE_P(By, DeviceTest, testing::Values(Starter::kRoot), starter_name);

TEST_P(DeviceTest, AreThereAsGranted) {
  const Ran ran = exec_with({"--device", "/dev/standin:rw", "--device", "/dev/below/standin", "--", "sh", "-c",
                             "stat -c '%n %a %u %g %t:%T' /dev/standin /dev/below/standin; cat /dev/standin "
                             "/dev/below/standin; echo x > /dev/standin && echo written"});
  EXPECT_EQ(ran.out, "/dev/standin 660 65534 1000 1:3\n/dev/below/standin 440 65534 1000 1:3\nwritten\n") << ran.err;
}

TEST_P(DeviceTest, ThoseToReadAreNotWritten) {
  for (const char* user : {"1000", "0"}) {
    const Ran ran = exec_with({"--user", user, "--device", "/dev/standin", "--", "sh", "-c",
                               "cat /dev/standin && echo x > /dev/standin || chmod 600 /dev/standin; "
                               "echo x > /dev/standin && echo written"});
    EXPECT_THAT(ran.out, Not(HasSubstr("written"))) << user;
    EXPECT_THAT(ran.err, HasSubstr("Permission denied")) << user;
  }
}

TEST_P(DeviceTest, ThereAreNoOthers) {
  const Ran ran = exec_with({"--device", "/dev/standin", "--", "ls", "/dev"});
  EXPECT_EQ(ran.out, "fd\nfull\nnull\nrandom\nshm\nstandin\nstderr\nstdin\nstdout\nurandom\nzero\n");
  const Ran none = exec_with({"--", "sh", "-c", "ls /dev; mknod /tmp/disk b 7 250; cat /dev/nvidia" + first()});
  EXPECT_THAT(none.out, Not(HasSubstr("standin")));
  EXPECT_THAT(none.err, AllOf(HasSubstr("/tmp/disk: Operation not permitted"), HasSubstr("No such file")));
}

// A node that the slice comes by in another way is none that it may open.
TEST_P(DeviceTest, NodesOnMountsAreNotOpened) {
  const std::string data = own_folder("data");
  ASSERT_EQ(run({"mknod", "-m", "666", data + "/node", "c", "1", "3"}).code, 0);
  const Ran ran = exec_with({"--device", "/dev/standin", "--mount", data + ":/data", "--", "cat", "/data/node"});
  if (ran.err.find("cannot map users") != std::string::npos) GTEST_SKIP() << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("Permission denied"));
}

TEST_P(DeviceTest, WhatIsNoDeviceIsRefused) {
  for (const char* path : {"/dev/none", "/dev/link", "/dev/below", "/dev/shm/x"}) {
    const Ran ran = exec_with({"--device", path, "--", "true"});
    EXPECT_TRUE(ran.code == 125 || ran.code == 2) << path << ran.err;
    EXPECT_THAT(ran.err, AnyOf(HasSubstr("this host has no such device"), HasSubstr("made by Runink"))) << path;
  }
}

TEST_P(DeviceTest, OfAGpuThereIsExactlyThatOne) {
  const Ran ran = exec_with({"--gpu", "device=" + second(), "--", "sh", "-c",
                             "ls /dev | grep nvidia | LC_ALL=C sort; env | grep VISIBLE | sort; cat /dev/nvidia* && "
                             "echo x > /dev/nvidiactl && "
                             "echo opened"});
  EXPECT_EQ(ran.out, "nvidia-uvm\nnvidia" + second() +
                         "\nnvidiactl\nCUDA_VISIBLE_DEVICES=0\nNVIDIA_VISIBLE_DEVICES=" + second() + "\nopened\n")
      << ran.err;
  const Ran both =
      exec_with({"--gpu", "2", "--env", "CUDA_VISIBLE_DEVICES=1", "--", "sh", "-c", "env | grep VISIBLE | sort"});
  EXPECT_EQ(both.out, "CUDA_VISIBLE_DEVICES=1\nNVIDIA_VISIBLE_DEVICES=" + first() + "," + second() + "\n") << both.err;
}

TEST_P(DeviceTest, AGpuIsGivenToOneSliceAtATime) {
  std::vector<std::string> holder = with_devices(exec_command({"--gpu", "1", "--", "sh", "-c", "echo up; cat"}));
  Running running = begin_command(holder);
  char bytes[3];
  ASSERT_EQ(*os::read_full(running.out, bytes, 3), 3u);
  const Ran other = exec_with({"--gpu", "1", "--", "sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES"});
  EXPECT_EQ(other.out, second() + "\n") << other.err;
  const Ran two = exec_with({"--gpu", "2", "--", "true"});
  EXPECT_EQ(two.code, 125);
  EXPECT_THAT(two.err, HasSubstr("start a slice with 2 GPUs: 1 of this host's 2 GPUs is free"));
  const Ran named = exec_with({"--gpu", "device=" + first(), "--", "true"});
  EXPECT_EQ(named.code, 125);
  EXPECT_THAT(named.err, HasSubstr("another slice has it"));
  // However it ends, they are free again.
  ::kill(running.child.pid(), SIGKILL);
  ASSERT_TRUE(running.child.wait(60'000'000).ok());
  while (*os::read_some(running.out, bytes, 1) != 0) {
  }
  Ran again;
  for (int tries = 0; tries < 100 && again.code != 0; ++tries) again = exec_with({"--gpu", "2", "--", "true"});
  EXPECT_EQ(again.code, 0) << again.err;
}

TEST_P(DeviceTest, MoreGpusThanThereAre) {
  EXPECT_THAT(exec_with({"--gpu", "3", "--", "true"}).err, HasSubstr("2 of this host's 2 GPUs are free"));
  EXPECT_THAT(exec_with({"--gpu", "device=239", "--", "true"}).err, HasSubstr("this host has no /dev/nvidia239"));
  EXPECT_EQ(exec_with({"--gpu", "some", "--", "true"}).code, 2);
}

TEST_P(DeviceTest, AreExplained) {
  const Ran ran = exec_with({"--explain", "--device", "/dev/disk:rw", "--gpu", "1", "--", "true"});
  EXPECT_THAT(ran.out, HasSubstr("open /dev/disk, a block device 7:250; make a node of it that the slice may read "
                                 "and write"));
  EXPECT_THAT(ran.out,
              HasSubstr("open no devices but those that every slice has, and /dev/disk, /dev/nvidia" + first()));
  EXPECT_THAT(ran.out, HasSubstr("take GPU " + first() + ", which no other slice has then"));
}

class DeviceOfUserTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, DeviceOfUserTest, testing::Values(Starter::kUser), starter_name);

TEST_P(DeviceOfUserTest, AreRefused) {
  const Ran ran = exec({"--device", "/dev/kvm", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("start a slice with devices: that takes root"));
}

}  // namespace
}  // namespace runink::sandbox
