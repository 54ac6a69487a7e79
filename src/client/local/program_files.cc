#include "client/local/program_files.h"

#include <algorithm>
#include <set>

#include "client/local/local_io.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

constexpr std::string_view kBetweenWords = " \t\r\n=;|&<>()\"'`,:{}";  // of a shell or an option inside one word
constexpr std::string_view kStepFolder = "steps/";

bool below(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() + 1 && path.starts_with(folder) && path[folder.size()] == '/';
}

class Finder {
 public:
  explicit Finder(const std::string& root) : root_(root) {
    auto real = os::canonical_path(root);
    real_root_ = real.ok() ? std::move(*real) : root;
  }
  Finder(const plan::Plan& plan, const std::string& root) : Finder(root) {
    for (const auto& scenario : plan.scenarios) {
      for (const auto& op : scenario.operators) note_output(op);
    }
  }
  void look_into(const std::vector<std::string>& command) {
    for (const std::string& word : command) {
      add(word);
      for (size_t at = 0; at < word.size();) {
        const size_t end = std::min(word.find_first_of(kBetweenWords, at), word.size());
        if (end - at < word.size()) add(word.substr(at, end - at));
        at = end + 1;
      }
    }
  }
  void add_library(const std::string& path) {
    if (os::exists(os::join_path(root_, path))) found_.insert(path);
  }
  std::vector<std::string> found() const { return {found_.begin(), found_.end()}; }

 private:
  void note_output(const plan::Operator& op) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || !sink->exec.empty() || sink->locator.empty() || sink->locator == "-") return;
    const auto locator = sink_locator(*sink, root_);
    if (!locator.ok()) return;
    auto folder = os::absolute_path(os::folder_of(locator->path));
    if (folder.ok() && *folder != real_root_) output_folders_.push_back(std::move(*folder));
  }
  void add(const std::string& name) {
    if (name.empty() || name.find('\0') != std::string::npos) return;
    const auto path = os::canonical_path(os::join_path(root_, name));
    if (!path.ok() || !below(*path, real_root_)) return;
    const auto info = os::file_info(*path);
    if (!info.ok() || !info->regular()) return;
    std::string relative = path->substr(real_root_.size() + 1);
    if (relative.starts_with(".runink/")) return;
    const bool written = std::any_of(output_folders_.begin(), output_folders_.end(),
                                     [&](const auto& folder) { return below(*path, folder); });
    if (!written || relative.starts_with(kStepFolder)) found_.insert(std::move(relative));
  }

  std::string root_, real_root_;
  std::vector<std::string> output_folders_;
  std::set<std::string> found_;
};

}  // namespace

std::vector<std::string> program_files(const plan::Plan& plan, const std::string& root) {
  Finder finder(plan, root);
  for (const auto& scenario : plan.scenarios) {
    for (const auto& op : scenario.operators) {
      if (const auto* source = std::get_if<plan::Source>(&op.parameters)) finder.look_into(source->exec);
      if (const auto* sink = std::get_if<plan::Sink>(&op.parameters)) finder.look_into(sink->exec);
      const auto* step = std::get_if<plan::Program>(&op.parameters);
      if (step == nullptr) continue;
      finder.look_into(step->argv);
      if (!step->library.empty()) finder.add_library(step->library);
    }
  }
  return finder.found();
}

std::vector<std::string> files_of_command(const std::vector<std::string>& command, const std::string& root) {
  Finder finder(root);
  finder.look_into(command);
  return finder.found();
}

}  // namespace runink::local
