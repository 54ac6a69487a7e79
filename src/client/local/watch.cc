#include "client/local/watch.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "platform/os/file.h"

namespace runink::local {

namespace {

constexpr auto kPause = std::chrono::milliseconds(300);

std::string absolute_path(const std::string& locator, const std::string& root) {
  return locator.starts_with("file://") ? locator.substr(7) : os::join_path(root, locator);
}

}  // namespace

Watch::Watch(const Project& project, const std::string& feature) {
  const std::string& root = project.root();
  patterns_ = {root + "/runink.toml"};
  for (const char* folder : {"/features", "/contracts", "/steps", "/.runink/steps"}) {
    patterns_.push_back(root + folder + "/*");
    patterns_.push_back(root + folder + "/**/*");
  }
  Diagnostics ignored;
  Result<plan::Plan> plan = project.compile(feature, {.strict = false, .allow_unenforced = true}, &ignored);
  if (plan.ok()) {
    for (const auto& scenario : plan->scenarios) {
      for (const auto& op : scenario.operators) {
        const auto* source = std::get_if<plan::Source>(&op.parameters);
        const auto* sink = std::get_if<plan::Sink>(&op.parameters);
        if (source != nullptr && source->exec.empty() && source->locator != "-") {
          patterns_.push_back(absolute_path(source->locator, root));
        }
        if (sink != nullptr && sink->exec.empty() && sink->locator != "-" && !sink->locator.empty()) {
          written_.push_back(os::normalize_path(absolute_path(sink->locator, root)));
        }
      }
    }
  }
  files_ = files_now();
}

std::map<std::string, Watch::Stamp> Watch::files_now() const {
  std::map<std::string, Stamp> out;
  for (const auto& pattern : patterns_) {
    const Result<std::vector<std::string>> found = os::glob(pattern);
    if (!found.ok()) continue;
    for (const auto& file : *found) {
      if (std::find(written_.begin(), written_.end(), os::normalize_path(file)) != written_.end()) continue;
      const Result<os::FileInfo> info = os::file_info(file);
      if (info.ok() && info->regular()) out[file] = {info->size, info->inode, info->modified_nanos};
    }
  }
  return out;
}

bool Watch::changed() const { return files_now() != files_; }

bool Watch::wait_for_change(const StopFlag& stop) const {
  while (!stop.requested()) {
    if (changed()) return true;
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

}  // namespace runink::local
