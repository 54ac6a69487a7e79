// `runi exec` as tests call it: a copy of the program that every user may execute, started by root or by a user.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::sandbox {

enum class Starter { kRoot, kUser };
std::string starter_name(const testing::TestParamInfo<Starter>& info);

struct Ran {
  int code = -1;  // exit code of `runi exec`; -1: it was ended by a signal
  std::string out, err;
};

// The first of a process's children, but of a launcher's not the one that makes its slices; 0 where it has none.
pid_t child_of(pid_t process);

// A test that is run once for root and once for a user who is not; each is skipped where this host cannot do it.
class SliceTest : public testing::TestWithParam<Starter> {
 protected:
  void SetUp() override;

  // A folder that both may enter, with runi and the attack programs in it; removed in the end.
  std::string folder() const { return folder_.path(); }
  // A folder in it that belongs to whom slices act as on mounts: not to root.
  std::string own_folder(const std::string& name);
  std::string write(const std::string& path, const std::string& text, unsigned mode = 0644);

  // The whole command line of `runi exec ARGUMENTS…`, as the starter types it.
  std::vector<std::string> exec_command(std::vector<std::string> arguments) const;
  Ran exec(std::vector<std::string> arguments, const std::string& input = "");
  // Started, with its output to be read from `out`.
  struct Running {
    os::Child child;
    os::Fd out, in;
  };
  Running begin(std::vector<std::string> arguments);
  Running begin_command(std::vector<std::string> command);
  // As exec_command(), but with what runi says about limits.
  std::vector<std::string> loud_exec_command(std::vector<std::string> arguments) const;
  // The same outside of a slice, as an ordinary user.
  Ran outside(std::vector<std::string> command);

  Ran run(std::vector<std::string> command, const std::string& input = "",
          const std::vector<std::pair<int, int>>& more = {});
  bool by_root() const { return GetParam() == Starter::kRoot; }
  // Any command as this starter types it.
  std::vector<std::string> as_starter(std::vector<std::string> command) const;

 private:
  os::TempFolder folder_;
};

}  // namespace runink::sandbox
