#include "model/slice_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::model {
namespace {

using ::testing::HasSubstr;

SliceSpec good() {
  SliceSpec spec;
  spec.argv = {"true"};
  return spec;
}

struct Case {
  const char* name;
  void (*break_it)(SliceSpec*);
  Code code;
  const char* says;
};

const Case kCases[] = {
    {"no_program", [](SliceSpec* s) { s->argv.clear(); }, Code::kInvalidArgument, "no program is named"},
    {"empty_program", [](SliceSpec* s) { s->argv = {""}; }, Code::kInvalidArgument, "no program is named"},
    {"nul",
     [](SliceSpec* s) {
       s->argv = {"a", std::string("b\0c", 3)};
     },
     Code::kInvalidArgument, "argument 1 holds"},
    {"env_name",
     [](SliceSpec* s) {
       s->environment = {{"A=B", "c"}};
     },
     Code::kInvalidArgument, "is not a name"},
    {"env_twice",
     [](SliceSpec* s) {
       s->environment = {{"A", "1"}, {"A", "2"}};
     },
     Code::kInvalidArgument, "set twice"},
    {"relative_source",
     [](SliceSpec* s) {
       s->mounts = {{"data", "/data"}};
     },
     Code::kInvalidArgument, "\"data\" is not a plain absolute path"},
    {"dots",
     [](SliceSpec* s) {
       s->mounts = {{"/srv/../etc", "/data"}};
     },
     Code::kInvalidArgument, "no \"..\""},
    {"dots_in_target",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/data/../proc"}};
     },
     Code::kInvalidArgument, "not a plain absolute path"},
    {"over_proc",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/proc/sys"}};
     },
     Code::kInvalidArgument, "/proc of a slice"},
    {"over_dev",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/dev"}};
     },
     Code::kInvalidArgument, "/dev of a slice"},
    {"over_etc",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/etc/passwd"}};
     },
     Code::kInvalidArgument, "/etc of a slice"},
    {"over_root",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/"}};
     },
     Code::kInvalidArgument, "hide a folder"},
    {"whole_host",
     [](SliceSpec* s) {
       s->mounts = {{"/", "/host"}};
     },
     Code::kInvalidArgument, "the whole host"},
    {"host_proc",
     [](SliceSpec* s) {
       s->mounts = {{"/proc/1", "/p"}};
     },
     Code::kInvalidArgument, "nothing of the host"},
    {"over_sys",
     [](SliceSpec* s) {
       s->mounts = {{"/srv", "/sys"}};
     },
     Code::kInvalidArgument, "/sys of a slice"},
    {"nested",
     [](SliceSpec* s) {
       s->mounts = {{"/a", "/data/x"}, {"/b", "/data"}};
     },
     Code::kInvalidArgument, "one hides the other"},
    {"secret_name",
     [](SliceSpec* s) {
       s->secrets = {{"../etc", "x"}};
     },
     Code::kInvalidArgument, "not a name"},
    {"secret_twice",
     [](SliceSpec* s) {
       s->secrets = {{"a", "x"}, {"a", "y"}};
     },
     Code::kInvalidArgument, "given twice"},
    {"secret_large",
     [](SliceSpec* s) {
       s->secrets = {{"a", std::string(kMostSecretBytes + 1, 'x')}};
     },
     Code::kInvalidArgument, "at most"},
    {"workdir", [](SliceSpec* s) { s->working_directory = "data"; }, Code::kInvalidArgument, "working directory"},
    {"user", [](SliceSpec* s) { s->user = kSliceIds; }, Code::kInvalidArgument, "0 to 65535"},
    {"host_name", [](SliceSpec* s) { s->host_name = "a b"; }, Code::kInvalidArgument, "host name"},
    {"time", [](SliceSpec* s) { s->time_limit_micros = -1; }, Code::kInvalidArgument, "negative"},
    {"scratch", [](SliceSpec* s) { s->scratch_bytes = 1; }, Code::kInvalidArgument, "scratch"},
    {"cpus", [](SliceSpec* s) { s->resources.cpus = 0.001; }, Code::kInvalidArgument, "least is 0.01"},
    {"memory", [](SliceSpec* s) { s->resources.memory_bytes = 1; }, Code::kInvalidArgument, "least is 1 MiB"},
    {"pids", [](SliceSpec* s) { s->resources.processes = 1; }, Code::kInvalidArgument, "least is 2"},
    {"resources", [](SliceSpec* s) { s->resources.cpu_weight = 0; }, Code::kInvalidArgument, "weight of 0"},
    {"device", [](SliceSpec* s) { s->devices = {{"/dev/mem"}}; }, Code::kInvalidArgument, "the whole host"},
    {"as_root",
     [](SliceSpec* s) {
       s->act_as = {7, 0};
     },
     Code::kInvalidArgument, "does not act as root"},
    {"as_nobody_at_all",
     [](SliceSpec* s) {
       s->act_as = {~0u, 7};
     },
     Code::kInvalidArgument, "ids are 1 to 4294967294"},
    {"scratch", [](SliceSpec* s) { s->scratch_bytes = 1; }, Code::kInvalidArgument, "the least is 65536"},
    {"large_scratch", [](SliceSpec* s) { s->scratch_bytes = ~0ull; }, Code::kInvalidArgument, "the most is"},
    {"small_disk",
     [](SliceSpec* s) {
       s->scratch_folder = "/var/tmp";
       s->scratch_bytes = 1u << 20;
     },
     Code::kInvalidArgument, "the least is 16777216 on disk"},
    {"relative_scratch", [](SliceSpec* s) { s->scratch_folder = "tmp"; }, Code::kInvalidArgument, "plain absolute"},
    {"network",
     [](SliceSpec* s) {
       s->network.endpoints = {{"db", 0, SliceProtocol::kTcp, {}}};
     },
     Code::kInvalidArgument, "1 to 65535"},
    {"own_name",
     [](SliceSpec* s) {
       s->host_name = "db";
       s->network.endpoints = {{"db", 5432, SliceProtocol::kTcp, {}}};
     },
     Code::kInvalidArgument, "the slice itself"},
};

TEST(SliceSpec, AcceptsWhatIsGood) {
  SliceSpec spec = good();
  spec.mounts = {{"/srv/a", "/data/a"}, {"/srv/b", "/data/b", true}, {"/x", "/run/x"}};
  spec.secrets = {{"db.password", "x"}};
  EXPECT_TRUE(validate(spec).ok()) << validate(spec).to_string();
}

TEST(SliceSpec, RefusesAndSaysWhy) {
  for (const Case& c : kCases) {
    SliceSpec spec = good();
    c.break_it(&spec);
    const Status status = validate(spec);
    EXPECT_EQ(status.code(), c.code) << c.name;
    EXPECT_THAT(status.to_string() + " / " + status.hint(), HasSubstr(c.says)) << c.name;
  }
}

TEST(SliceSpec, ReadsMounts) {
  const auto mount = parse_mount("./data//x/:/data/:rw", "/home/u");
  ASSERT_TRUE(mount.ok());
  EXPECT_EQ(mount->source, "/home/u/data/x");
  EXPECT_EQ(mount->target, "/data");
  EXPECT_TRUE(mount->writable);
  EXPECT_FALSE(parse_mount("/a:/b", "/")->writable);
  EXPECT_FALSE(parse_mount("/a:/b:ro", "/")->writable);
  for (const char* bad : {"", "/a", ":/b", "/a:", "/a:/b:rx", "/a:/b:rw:x"}) {
    EXPECT_EQ(parse_mount(bad, "/").status().code(), Code::kInvalidArgument) << bad;
  }
  // ".." is kept for validate() to refuse.
  EXPECT_EQ(parse_mount("../x:/b", "/home/u")->source, "/home/u/../x");
}

TEST(SliceSpec, ReadsUsers) {
  EXPECT_EQ(*parse_user("7"), std::make_pair(7u, 7u));
  EXPECT_EQ(*parse_user("7:9"), std::make_pair(7u, 9u));
  for (const char* bad : {"", "alice", "-1", "65536", "1:", "1:2:3", "1 "}) EXPECT_FALSE(parse_user(bad).ok()) << bad;
}

TEST(SliceSpec, ReadsIdentities) {
  EXPECT_EQ(*parse_identity("7"), (SliceIdentity{7, 7}));
  EXPECT_EQ(*parse_identity("70000:9"), (SliceIdentity{70000, 9}));
  for (const char* bad : {"", "0", "7:0", "alice", "-1", "1:", "1:2:3", "4294967296"}) {
    EXPECT_FALSE(parse_identity(bad).ok()) << bad;
  }
}

TEST(SliceSpec, DefaultEnvironmentDoesNotReplace) {
  SliceSpec spec = good();
  spec.environment = {{"PATH", "/opt"}};
  add_default_environment(&spec);
  EXPECT_EQ(spec.environment.size(), 3u);
  EXPECT_EQ(spec.environment[0].second, "/opt");
}

TEST(SliceSpec, PathsWithin) {
  EXPECT_TRUE(is_within("/a/b", "/a"));
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_FALSE(is_within("/ab", "/a"));
}

}  // namespace
}  // namespace runink::model
