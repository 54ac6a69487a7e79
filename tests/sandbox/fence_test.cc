// Landlock around slices: what it holds where mounts do not, and that programs do not notice it otherwise.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "platform/os/file.h"
#include "slice_in_test.h"
#include "worker/sandbox/landlock.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class FenceTest : public SliceTest {
 protected:
  // `command` with a file as one of its streams, such as "< FILE".
  std::vector<std::string> with_stream(const char* redirection, const std::string& file,
                                       std::vector<std::string> command) const {
    std::vector<std::string> out = {"sh", "-c", std::string("file=$1; shift; exec \"$@\" ") + redirection, "sh", file};
    out.insert(out.end(), command.begin(), command.end());
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(By, FenceTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

// The file lies on the host, where it may be written: only by what descriptor it came would say otherwise.
TEST_P(FenceTest, AStreamToReadIsNotOpenedToWrite) {
  if (landlock_abi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  const std::string file = write(own_folder("data") + "/file", "as it was\n", 0666);
  const std::string overwrite = "cat; echo changed > /dev/stdin";
  const Ran held = run(with_stream("< \"$file\"", file, exec_command({"--", "sh", "-c", overwrite})));
  EXPECT_EQ(held.out, "as it was\n");
  EXPECT_THAT(held.err, HasSubstr("Permission denied"));
  EXPECT_EQ(*os::read_file(file), "as it was\n");
  const Ran outside_of_it = run(with_stream("< \"$file\"", file, {"sh", "-c", overwrite}));
  EXPECT_EQ(outside_of_it.code, 0) << outside_of_it.err;
  EXPECT_EQ(*os::read_file(file), "changed\n") << "else there was nothing to hold";
}

TEST_P(FenceTest, AStreamToWriteIsNotOpenedToRead) {
  if (landlock_abi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  const std::string file = write(own_folder("data") + "/file", "private\n", 0666);
  const std::string read = "cat < /dev/stdout >&2";
  const Ran held = run(with_stream(">> \"$file\"", file, exec_command({"--", "sh", "-c", read})));
  EXPECT_THAT(held.err, HasSubstr("Permission denied"));
  EXPECT_EQ(run(with_stream(">> \"$file\"", file, {"sh", "-c", read})).err, "private\n");
}

// As scripts do.
TEST_P(FenceTest, StreamsAreOpenedAgainAsTheyAre) {
  const std::string file = write(own_folder("data") + "/file", "in\n", 0666);
  EXPECT_EQ(run(with_stream("> \"$file\"", file, exec_command({"--", "sh", "-c", "echo out > /dev/stdout"}))).err, "");
  EXPECT_EQ(*os::read_file(file), "out\n");
  EXPECT_EQ(run(with_stream("< \"$file\"", file, exec_command({"--", "cat", "/dev/stdin"}))).out, "out\n");
  // Pipes.
  const std::string piped =
      "echo through | " + folder() + "/runi exec --quiet -- sh -c 'cat < /dev/stdin > /dev/stdout' | cat";
  EXPECT_EQ(run(as_starter({"sh", "-c", piped})).out, by_root() ? "" : "through\n")
      << "a pipe is its maker's, and root's slice is somebody else";
}

// clang-format off
constexpr const char* kFilesInPython = R"py(
import os, socket, sqlite3, subprocess, tempfile
base = sqlite3.connect("/tmp/base"); base.execute("create table t (x)"); base.commit()
server = socket.socket(socket.AF_UNIX); server.bind("/tmp/socket"); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect("/tmp/socket")
other = socket.socket(socket.AF_UNIX); other.bind("\0abstract"); other.listen()
client = socket.socket(socket.AF_UNIX); client.connect("\0abstract")
tcp = socket.socket(); tcp.bind(("127.0.0.1", 0)); tcp.listen()
client = socket.socket(); client.connect(tcp.getsockname())
with tempfile.TemporaryFile() as file: file.write(b"x")
memory = os.memfd_create("m"); os.write(memory, b"x"); open(f"/proc/self/fd/{memory}", "rb+").close()
child = subprocess.Popen(["sleep", "600"]); child.terminate(); child.wait()
)py";
// clang-format on

TEST_P(FenceTest, WhatProgramsDoWithFilesGoesOn) {
  const std::string data = own_folder("data"), files = own_folder("files");
  write(files + "/files.py", kFilesInPython);
  const Ran ran = exec({"--mount", data + ":/data:rw", "--mount", files + ":/files", "--", "bash", "-ec", R"sh(
    for place in /tmp /dev/shm /data; do
      cd $place
      mkdir -p a b/c; echo x > a/f; mv a/f b/c/g; ln b/c/g b/h; ln -s b/h l; cat l > /dev/null
      mkfifo p; echo through > p & cat p > /dev/null; wait
      truncate -s 100 b/h; : > b/h; echo more >> b/h; chmod 700 b; touch b/h; rm -r a b l p
      exec 9> lock; flock -n 9; exec 9>&-; rm lock
    done
    cd /tmp
    echo name > /proc/self/comm
    cat <<< "here" > /dev/null
    cp /bin/true copy; ./copy
    python3 /files/files.py
    echo all of it)sh"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "all of it\n") << ran.err;
}

TEST_P(FenceTest, CompilersAndRuntimesWork) {
  const Ran found =
      exec({"--", "sh", "-c", "command -v gcc > /dev/null && echo gcc; command -v node > /dev/null && echo node"});
  if (found.out.find("gcc") != std::string::npos) {
    const Ran ran =
        exec({"--workdir", "/tmp", "--", "sh", "-ec",
              "echo 'int puts(const char*); int main() { return puts(\"compiled\") < 0; }' > a.c; gcc a.c; ./a.out"});
    EXPECT_EQ(ran.out, "compiled\n") << ran.err;
  }
  if (found.out.find("node") != std::string::npos) {
    const Ran ran = exec(
        {"--workdir", "/tmp", "--", "node", "-e",
         "const fs = require('fs'); fs.writeFileSync('a', 'node\\n'); process.stdout.write(fs.readFileSync('a'))"});
    EXPECT_EQ(ran.out, "node\n") << ran.err;
  }
}

}  // namespace
}  // namespace runink::sandbox
