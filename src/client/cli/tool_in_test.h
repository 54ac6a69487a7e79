// Running a shell tool from a test, in a folder that the test removes.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/check.h"
#include "platform/os/temp.h"

namespace runink::cli {

inline bool has_tool(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

// Standard output of a command line of /bin/sh.
inline std::string output_of(const std::string& command_line) {
  std::FILE* pipe = popen(command_line.c_str(), "r");
  RUNINK_CHECK(pipe != nullptr);
  std::string out;
  char buffer[4096];
  for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, count);
  pclose(pipe);
  return out;
}

class TestFolder {
 public:
  TestFolder() : folder_(std::move(os::TempFolder::create("", "runink-cli-test-")).value()) {}
  std::string file(const std::string& name) const { return folder_.file(name); }
  const std::string& path() const { return folder_.path(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(file(name)) << text; }

 private:
  os::TempFolder folder_;
};

}  // namespace runink::cli
