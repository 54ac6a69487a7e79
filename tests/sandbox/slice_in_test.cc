#include "slice_in_test.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "platform/os/file.h"
#include "tests/host_in_test.h"
#include "worker/sandbox/spawner.h"

namespace runink::sandbox {
namespace {

namespace fs = std::filesystem;
using tests::can_make_user_namespaces;
using tests::is_on_path;
using tests::must_open;

constexpr unsigned kUser = 12345;  // who need not exist

std::vector<std::string> as_user(std::vector<std::string> command) {
  if (::geteuid() != 0) return command;
  const std::string id = std::to_string(kUser);
  std::vector<std::string> out = {"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups"};
  out.insert(out.end(), command.begin(), command.end());
  return out;
}

// A link where both lie on one file system: a copy would be tens of megabytes for each test.
void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  fs::create_hard_link(from, to, failed);
  if (failed) fs::copy_file(from, to);
}

}  // namespace

pid_t child_of(pid_t process) {
  const std::string number = std::to_string(process);
  const auto children = os::read_file("/proc/" + number + "/task/" + number + "/children");
  if (!children.ok()) return 0;
  for (const std::string_view child : split(trim(*children), ' ')) {
    const auto name = os::read_file(fmt::format("/proc/{}/comm", child));
    if (name.ok() && trim(*name) != kSpawnerName) return static_cast<pid_t>(std::atoi(std::string(child).c_str()));
  }
  return 0;
}

std::string starter_name(const testing::TestParamInfo<Starter>& info) {
  return info.param == Starter::kRoot ? "Root" : "User";
}

void SliceTest::SetUp() {
  if (by_root() && ::geteuid() != 0) GTEST_SKIP() << "needs root";
  if (!by_root() && ::geteuid() == 0 && !is_on_path("setpriv")) GTEST_SKIP() << "needs setpriv, to be another user";
  if (!can_make_user_namespaces(by_root() ? std::nullopt : std::optional(kUser)))
    GTEST_SKIP() << "this host lets this user make no user namespaces";
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok()) << folder.status().to_string();
  folder_ = std::move(*folder);
  ::chmod(folder_.path().c_str(), 0755);
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  link_or_copy(here / RUNI_PROGRAM, folder_.path() + "/runi");
  fs::create_directory(folder_.path() + "/attacks");
  for (const auto& entry : fs::directory_iterator(here)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("attack_") && entry.is_regular_file())
      link_or_copy(entry, folder_.path() + "/attacks/" + name);
  }
}

std::string SliceTest::own_folder(const std::string& name) {
  const std::string path = folder() + "/" + name;
  fs::create_directory(path);
  if (::geteuid() == 0) {
    EXPECT_EQ(::chown(path.c_str(), kUser, kUser), 0);
  }
  return path;
}

std::string SliceTest::write(const std::string& path, const std::string& text, unsigned mode) {
  EXPECT_TRUE(os::write_file_atomic(path, text).ok());
  EXPECT_EQ(::chmod(path.c_str(), mode), 0);
  return path;
}

std::vector<std::string> SliceTest::exec_command(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {folder() + "/runi", "exec", "--quiet"});
  return as_starter(std::move(arguments));
}

std::vector<std::string> SliceTest::as_starter(std::vector<std::string> command) const {
  return by_root() ? command : as_user(std::move(command));
}

Ran SliceTest::run(std::vector<std::string> command, const std::string& input,
                   const std::vector<std::pair<int, int>>& more) {
  const std::string in = write(folder() + "/in", input);
  const os::Fd reads = must_open(in, os::OpenMode::kRead);
  const os::Fd out = must_open(folder() + "/out", os::OpenMode::kTruncate);
  const os::Fd err = must_open(folder() + "/err", os::OpenMode::kTruncate);
  os::SpawnOptions options;
  options.argv = std::move(command);
  options.standard_input = reads.get();
  options.standard_output = out.get();
  options.standard_error = err.get();
  options.descriptors = more;
  Ran ran;
  auto child = os::Child::spawn(options);
  EXPECT_TRUE(child.ok()) << child.status().to_string();
  if (!child.ok()) return ran;
  const auto ended = child->wait(60'000'000);
  EXPECT_TRUE(ended.ok() && *ended) << "still running after a minute";
  if (ended.ok() && *ended && (*ended)->exited) ran.code = (*ended)->code;
  ran.out = *os::read_file(folder() + "/out");
  ran.err = *os::read_file(folder() + "/err");
  return ran;
}

Ran SliceTest::exec(std::vector<std::string> arguments, const std::string& input) {
  return run(exec_command(std::move(arguments)), input);
}

Ran SliceTest::outside(std::vector<std::string> command) { return run(as_user(std::move(command))); }

SliceTest::Running SliceTest::begin(std::vector<std::string> arguments) {
  return begin_command(exec_command(std::move(arguments)));
}

std::vector<std::string> SliceTest::loud_exec_command(std::vector<std::string> arguments) const {
  std::vector<std::string> command = exec_command(std::move(arguments));
  command.erase(std::find(command.begin(), command.end(), "--quiet"));
  return command;
}

SliceTest::Running SliceTest::begin_command(std::vector<std::string> command) {
  auto out = os::make_pipe("out"), in = os::make_pipe("in");
  os::SpawnOptions options;
  options.argv = std::move(command);
  options.standard_input = in->read.get();
  options.standard_output = out->write.get();
  options.standard_error = out->write.get();
  auto child = os::Child::spawn(options);
  EXPECT_TRUE(child.ok()) << child.status().to_string();
  return {child.ok() ? std::move(*child) : os::Child(), std::move(out->read), std::move(in->write)};
}

}  // namespace runink::sandbox
