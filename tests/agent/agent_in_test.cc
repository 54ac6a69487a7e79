#include "agent_in_test.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "tests/host_in_test.h"

namespace runink::agent {
namespace {

namespace fs = std::filesystem;
using tests::can_make_user_namespaces;
using tests::is_on_path;
using tests::must_open;

constexpr int64_t kMinute = 60'000'000'000;

void pause_briefly() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

}  // namespace

std::string by_name(const testing::TestParamInfo<By>& info) { return info.param == By::kRoot ? "Root" : "User"; }

void AgentTest::SetUp() {
  if (by_root() && ::geteuid() != 0) GTEST_SKIP() << "needs root";
  if (!by_root() && ::geteuid() == 0 && !is_on_path("setpriv")) GTEST_SKIP() << "needs setpriv, to be another user";
  if (!can_make_user_namespaces(by_root() ? std::nullopt : std::optional(kUser)))
    GTEST_SKIP() << "this host lets this user make no user namespaces";
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok()) << folder.status().to_string();
  folder_ = std::move(*folder);
  ::chmod(folder_.path().c_str(), 0755);
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  fs::copy_file(here / RUNI_PROGRAM, folder_.path() + "/runi");
  for (const char* name : {"/run", "/state"}) {
    fs::create_directory(folder_.path() + name);
    ::chmod((folder_.path() + name).c_str(), name[1] == 'r' ? 0755 : 0700);
    if (!by_root() && ::geteuid() == 0) {
      ASSERT_EQ(::chown((folder_.path() + name).c_str(), kUser, kUser), 0);
    }
  }
}

void AgentTest::TearDown() {
  if (agent_.running()) {
    EXPECT_EQ(stop_agent(), 0) << agent_log();
  }
  // A launcher that has lost its agent waits for the next one.
  if (folder_.path().empty() || !os::exists(socket() + ".launcher")) return;
  start();
  EXPECT_EQ(stop_agent(), 0) << agent_log();
}

std::vector<std::string> AgentTest::as(std::vector<std::string> words, unsigned user) const {
  if (user == ::geteuid()) return words;
  const std::string id = std::to_string(user);
  std::vector<std::string> out = {"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--pdeathsig", "KILL"};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

std::vector<std::string> AgentTest::command(std::vector<std::string> words, std::optional<unsigned> user) const {
  const unsigned own = by_root() || ::geteuid() != 0 ? ::geteuid() : kUser;
  words.insert(words.begin(), folder() + "/runi");
  return as(std::move(words), user.value_or(own));
}

void AgentTest::start(std::vector<std::string> flags) {
  std::vector<std::string> words = {"agent", "--local", "--socket", socket(), "--state", state(), "--log", "json"};
  words.insert(words.end(), flags.begin(), flags.end());
  const os::Fd err = must_open(folder() + "/agent.log", os::OpenMode::kAppend);
  os::SpawnOptions options;
  options.argv = command(std::move(words), std::nullopt);
  options.standard_error = err.get();
  auto child = os::Child::spawn(options);
  ASSERT_TRUE(child.ok()) << child.status().to_string();
  agent_ = std::move(*child);
  ++starts_;
  wait_until("the agent is ready", [this] {
    if (agent_.wait(0)->has_value()) return true;
    const std::string log = agent_log();
    int ready = 0;
    for (size_t at = 0; (at = log.find("\"agent.ready\"", at)) != std::string::npos; ++at) ++ready;
    return ready == starts_;
  });
  ASSERT_FALSE(agent_.wait(0)->has_value()) << agent_log();
}

void AgentTest::kill_agent() {
  ASSERT_EQ(::kill(agent_.pid(), SIGKILL), 0);
  ASSERT_TRUE(agent_.wait(60'000'000)->has_value());
}

int AgentTest::stop_agent() {
  ::kill(agent_.pid(), SIGTERM);
  const auto ended = agent_.wait(60'000'000);
  EXPECT_TRUE(ended.ok() && *ended) << agent_log();
  return ended.ok() && *ended && (*ended)->exited ? (*ended)->code : -1;
}

std::string AgentTest::agent_log() const {
  const auto text = os::read_file(folder() + "/agent.log");
  return text.ok() ? *text : std::string();
}

Ran AgentTest::run(std::vector<std::string> words, const std::string& input) {
  // Several may run at once.
  static std::atomic<int> count{0};
  const std::string name = folder() + "/call" + std::to_string(++count);
  const std::string in = write(name + ".in", input);
  const os::Fd reads = must_open(in, os::OpenMode::kRead);
  const os::Fd out = must_open(name + ".out", os::OpenMode::kTruncate);
  const os::Fd err = must_open(name + ".err", os::OpenMode::kTruncate);
  os::SpawnOptions options;
  options.argv = std::move(words);
  options.standard_input = reads.get();
  options.standard_output = out.get();
  options.standard_error = err.get();
  Ran ran;
  auto child = os::Child::spawn(options);
  EXPECT_TRUE(child.ok()) << child.status().to_string();
  if (!child.ok()) return ran;
  const auto ended = child->wait(60'000'000);
  EXPECT_TRUE(ended.ok() && *ended) << "still running after a minute";
  if (ended.ok() && *ended && (*ended)->exited) ran.code = (*ended)->code;
  ran.out = *os::read_file(name + ".out");
  ran.err = *os::read_file(name + ".err");
  return ran;
}

namespace {

std::vector<std::string> with_agent(std::vector<std::string> words, const std::string& socket) {
  const size_t at = words.front() == "exec" ? 1 : 2;
  words.insert(words.begin() + static_cast<ptrdiff_t>(at), {"--agent", socket});
  return words;
}

}  // namespace

Ran AgentTest::runi(std::vector<std::string> words, std::optional<unsigned> user, const std::string& input) {
  return run(command(with_agent(std::move(words), socket()), user), input);
}

AgentTest::Running AgentTest::begin(std::vector<std::string> words, std::optional<unsigned> user) {
  auto out = os::make_pipe("out");
  os::SpawnOptions options;
  options.argv = command(with_agent(std::move(words), socket()), user);
  options.standard_output = out->write.get();
  options.standard_error = out->write.get();
  auto child = os::Child::spawn(options);
  EXPECT_TRUE(child.ok()) << child.status().to_string();
  return {child.ok() ? std::move(*child) : os::Child(), std::move(out->read)};
}

std::string AgentTest::line(const Running& running) {
  std::string text;
  char letter = 0;
  for (;;) {
    const auto n = os::read_some(running.out, &letter, 1);
    if (!n.ok() || *n == 0 || letter == '\n') return text;
    text += letter;
  }
}

bool AgentTest::all_gone(const Running& running) {
  char bytes[256];
  for (;;) {
    struct pollfd waiting = {running.out.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) <= 0) return false;
    const auto n = os::read_some(running.out, bytes, sizeof bytes);
    if (!n.ok()) return false;
    if (*n == 0) return true;
  }
}

std::string AgentTest::detach(std::vector<std::string> words) {
  words.insert(words.begin(), {"exec", "--detach"});
  const Ran ran = runi(std::move(words));
  EXPECT_EQ(ran.code, 0) << ran.err;
  return std::string(trim(ran.out));
}

std::string AgentTest::write(const std::string& path, const std::string& text, unsigned mode) {
  EXPECT_TRUE(os::write_file_atomic(path, text).ok());
  EXPECT_EQ(::chmod(path.c_str(), mode), 0);
  return path;
}

std::vector<Listed> AgentTest::list(std::optional<unsigned> user) {
  const Ran ran = runi({"slice", "list", "--all", "-o", "json"}, user);
  EXPECT_EQ(ran.code, 0) << ran.err;
  std::vector<Listed> out;
  const auto text = [](const nlohmann::json& value) { return value.is_string() ? value.get<std::string>() : ""; };
  for (const auto& one : nlohmann::json::parse(ran.out, nullptr, false)) {
    if (!one.is_object()) continue;
    Listed listed{.id = text(one["id"]),
                  .herd = text(one["herd"]),
                  .state = text(one["state"]),
                  .reason = text(one["reason"]),
                  .user = text(one["user"]),
                  .start = text(one["start"]),
                  .command = text(one["command"]),
                  .result = text(one["result"])};
    if (one["pid"].is_number()) listed.pid = one["pid"].get<int64_t>();
    if (one["exit_code"].is_number()) listed.exit_code = one["exit_code"].get<int>();
    if (one["signal"].is_number()) listed.signal = one["signal"].get<int>();
    if (one["cpu_seconds"].is_number()) listed.cpu_seconds = one["cpu_seconds"].get<double>();
    for (const auto& sentence : one["limits_hit"]) listed.limits_hit.push_back(text(sentence));
    out.push_back(std::move(listed));
  }
  return out;
}

std::optional<Listed> AgentTest::listed(const std::string& id) {
  for (Listed& one : list()) {
    if (one.id == id) return std::move(one);
  }
  return std::nullopt;
}

void AgentTest::wait_until(const char* what, const std::function<bool()>& holds) {
  const int64_t deadline = os::monotonic_nanos() + kMinute;
  while (!holds()) {
    if (os::monotonic_nanos() > deadline) {
      ADD_FAILURE() << "after a minute: not yet that " << what;
      return;
    }
    pause_briefly();
  }
}

Listed AgentTest::wait_for_end(const std::string& id) {
  std::optional<Listed> last;
  wait_until("the slice has ended", [&] {
    last = listed(id);
    return !last || last->state == "ended";
  });
  EXPECT_TRUE(last) << "slice " << id << " is not listed";
  return last.value_or(Listed{});
}

pid_t AgentTest::launcher_pid() {
  const Ran ran = runi({"agent", "status", "-o", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  const std::string key = "\"launcher_pid\":";
  const size_t at = ran.out.find(key);
  EXPECT_NE(at, std::string::npos) << ran.out;
  return at == std::string::npos ? -1 : std::stoi(ran.out.substr(at + key.size()));
}

std::vector<std::string> AgentTest::log_lines(const std::string& id) {
  const Ran ran = runi({"slice", "logs", id});
  EXPECT_EQ(ran.code, 0) << ran.err;
  std::vector<std::string> lines;
  for (const std::string_view text : split(ran.out, '\n')) lines.emplace_back(text);
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

}  // namespace runink::agent
