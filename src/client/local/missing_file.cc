#include "client/local/missing_file.h"

#include "base/nearest.h"
#include "base/text.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr size_t kMostNames = 5;

// As a user of the project would write it.
std::string from_project(const std::string& path, const std::string& root) {
  return path.starts_with(root + "/") ? path.substr(root.size() + 1) : path == root ? "the project's folder" : path;
}

}  // namespace

Status missing_file(const std::string& name, const std::string& path, const std::string& root) {
  Status status = not_found("there is no {}", escape_control(name));
  if (os::link_info(path).ok()) return std::move(status).with_hint("it is a symbolic link to a file that is not there");
  const std::string folder = os::folder_of(path);
  const std::string shown = escape_control(from_project(folder, root));
  const auto listed = os::list_directory(folder);
  if (!listed.ok()) {
    return std::move(status).with_hint(fmt::format("there is no {} either; paths begin at the project's folder, {}", shown, root));
  }
  std::vector<std::string> names;
  for (const std::string& one : *listed) {
    if (!one.starts_with('.')) names.push_back(one);
  }
  const auto near = nearest(os::file_name_of(path), names);
  if (!near.empty()) {
    return std::move(status).with_hint(
        fmt::format("did you mean {}?", escape_control(from_project(os::join_path(folder, near[0]), root))));
  }
  if (names.empty()) return std::move(status).with_hint(fmt::format("{} is empty", shown));
  const size_t all = names.size();
  if (all > kMostNames) names.resize(kMostNames);
  return std::move(status).with_hint(fmt::format("{} holds {}{}", shown, escape_control(join(names, ", ")),
                                                 all > kMostNames ? fmt::format(" and {} more", all - kMostNames) : ""));
}

}  // namespace runink::local
