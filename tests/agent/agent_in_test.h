// `runi agent` as tests call it: a copy of the program that every user may execute, a folder for its socket and state,
// and callers of it.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::agent {

enum class By { kRoot, kUser };
std::string by_name(const testing::TestParamInfo<By>& info);

// One object of `runi slice list -o json`.
struct Listed {
  std::string id, herd, state, reason, user, start, command, result;
  int64_t pid = 0;
  int exit_code = -1, signal = 0;
  double cpu_seconds = -1;
  std::vector<std::string> limits_hit;
};

struct Ran {
  int code = -1;  // exit code; -1: it was ended by a signal
  std::string out, err;
};

// Run once for an agent of root, and once for one of an ordinary user; each is skipped where this host cannot do it.
class AgentTest : public testing::TestWithParam<By> {
 protected:
  static constexpr unsigned kUser = 12345;      // who runs the other agent; need not exist
  static constexpr unsigned kStranger = 12346;  // somebody else

  void SetUp() override;
  void TearDown() override;

  std::string folder() const { return folder_.path(); }
  std::string socket() const { return folder() + "/run/agent.sock"; }
  std::string state() const { return folder() + "/state"; }
  bool by_root() const { return GetParam() == By::kRoot; }

  // Starts the agent, and waits until it serves callers.
  void start(std::vector<std::string> flags = {});
  // As it is killed by accident.
  void kill_agent();
  // SIGTERM; its exit code.
  int stop_agent();
  os::Child& agent() { return agent_; }
  std::string agent_log() const;

  // `runi WORDS…` as the agent's own user, or somebody else; --agent is put behind the second word ("exec", "slice
  // list").
  Ran runi(std::vector<std::string> words, std::optional<unsigned> user = std::nullopt, const std::string& input = "");
  std::vector<std::string> command(std::vector<std::string> words, std::optional<unsigned> user) const;
  Ran run(std::vector<std::string> words, const std::string& input = "");
  // Started, with its output to be read from `out`.
  struct Running {
    os::Child child;
    os::Fd out;
  };
  Running begin(std::vector<std::string> words, std::optional<unsigned> user = std::nullopt);
  static std::string line(const Running& running);  // the next one; "" at the end
  static bool all_gone(const Running& running);     // waits until nobody has its output any more; a minute

  // The id of a detached slice.
  std::string detach(std::vector<std::string> words);
  std::string write(const std::string& path, const std::string& text, unsigned mode = 0644);

  // All that the agent has, or what this user sees of it.
  std::vector<Listed> list(std::optional<unsigned> user = std::nullopt);
  std::optional<Listed> listed(const std::string& id);
  // Waits until it holds, and fails after a minute.
  void wait_until(const char* what, const std::function<bool()>& holds);
  Listed wait_for_end(const std::string& id);
  pid_t launcher_pid();
  std::vector<std::string> log_lines(const std::string& id);  // what it wrote to standard output

 private:
  std::vector<std::string> as(std::vector<std::string> words, unsigned user) const;

  os::TempFolder folder_;
  os::Child agent_;
  int starts_ = 0;
};

}  // namespace runink::agent
