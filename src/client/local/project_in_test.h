// A small project in a folder that the test removes; in memory where that is possible, as runs sync what they keep.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "client/local/project.h"
#include "client/local/runner.h"
#include "platform/os/temp.h"

namespace runink::local {

class TestProject {
 public:
  TestProject() : folder_(std::move(os::TempFolder::create(std::filesystem::exists("/dev/shm") ? "/dev/shm" : "", "runink-local-test-")).value()) {
    write("runink.toml", "name = \"case\"\n");
    project_.emplace(Project::find(root()).value());
  }
  const std::string& root() const { return folder_.path(); }
  const Project& project() const { return *project_; }

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = root() + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full, std::ios::binary) << text;
  }
  std::string read(const std::string& path) const {
    std::ifstream in(root() + "/" + path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  bool exists(const std::string& path) const { return std::filesystem::exists(root() + "/" + path); }

  // Runs the feature; fails the test where that does not succeed.
  RunOutcome run(const std::string& feature) const {
    RunOptions options;
    options.feature = feature;
    options.threads = 1;
    auto outcome = run_feature(project(), options);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string() << (outcome.ok() ? "" : outcome.status().details().empty() ? "" : outcome.status().details()[0]);
    if (!outcome.ok()) return {};
    EXPECT_TRUE(outcome->status.ok()) << outcome->status.to_string();
    return std::move(*outcome);
  }

 private:
  os::TempFolder folder_;
  std::optional<Project> project_;
};

}  // namespace runink::local
