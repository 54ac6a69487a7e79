#include "model/slice_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SliceDevices, RefusesWhatIsNotToBeGiven) {
  struct {
    std::vector<SliceDevice> devices;
    SliceGpus gpus;
    const char* says;
  } const cases[] = {
      {{{"/srv/disk"}}, {}, "not a path below /dev"},
      {{{"/dev"}}, {}, "not a path below /dev"},
      {{{"/dev/../srv/x"}}, {}, "not a path below /dev"},
      {{{"/dev/null"}}, {}, "made by Runink"},
      {{{"/dev/pts/0"}}, {}, "made by Runink"},
      {{{"/dev/tty"}}, {}, "not given a terminal of the host"},
      {{{"/dev/mem"}}, {}, "the whole host"},
      {{{"/dev/kvm"}, {"/dev/kvm", true}}, {}, "given twice"},
      {{{"/dev/dri"}, {"/dev/dri/card0"}}, {}, "given twice"},
      {{}, {.count = 1, .numbers = {0}}, "not both"},
      {{}, {.count = 65}, "at most 64"},
      {{}, {.numbers = {1, 1}}, "each is named once"},
      {{}, {.numbers = {240}}, "0 to 239"},
  };
  for (const auto& c : cases) {
    const Status status = validate_devices(c.devices, c.gpus);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << c.says;
    EXPECT_THAT(status.to_string(), HasSubstr(c.says));
  }
  EXPECT_TRUE(validate_devices({{"/dev/kvm", true}, {"/dev/dri/card0"}}, {.numbers = {0, 2}}).ok());
}

TEST(SliceDevices, ReadsDevices) {
  EXPECT_EQ(parse_device("/dev/kvm:rw")->path, "/dev/kvm");
  EXPECT_TRUE(parse_device("/dev/kvm:rw")->writable);
  EXPECT_FALSE(parse_device("/dev/kvm:r")->writable);
  EXPECT_FALSE(parse_device("/dev/kvm")->writable);
  EXPECT_EQ(parse_device("/dev/bus/usb:w")->path, "/dev/bus/usb:w");  // a name may hold a colon
  for (const char* bad : {"", ":r", "kvm"}) EXPECT_FALSE(parse_device(bad).ok()) << bad;
}

TEST(SliceDevices, ReadsGpus) {
  EXPECT_EQ(parse_gpus("2")->count, 2u);
  EXPECT_THAT(parse_gpus("device=2,0")->numbers, ElementsAre(0, 2));
  for (const char* bad : {"", "0", "-1", "65", "all", "device=", "device=x", "0,1"}) {
    EXPECT_FALSE(parse_gpus(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace runink::model
