#include "client/local/golden_strays.h"

#include <algorithm>
#include <set>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/compile.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr const char* kFolders[] = {"input", "expected", "steps", "steps-out"};
constexpr const char* kFiles[] = {"rejected.ndjson", "case.toml"};
constexpr const char* kData[] = {"input", "expected"};  // with any extension; input2 and on where a step has several
constexpr const char* kForPeople[] = {".md", ".txt"};

bool is_data(const std::string& name) {
  std::string stem = name.substr(0, name.find('.'));
  while (!stem.empty() && stem.back() >= '0' && stem.back() <= '9') stem.pop_back();
  return name.find('.') != std::string::npos && std::find(std::begin(kData), std::end(kData), stem) != std::end(kData);
}

bool is_known(const std::string& name, bool folder) {
  if (name.starts_with('.')) return true;
  if (folder) return std::find(std::begin(kFolders), std::end(kFolders), name) != std::end(kFolders);
  return is_data(name) || std::find(std::begin(kFiles), std::end(kFiles), name) != std::end(kFiles) ||
         std::any_of(std::begin(kForPeople), std::end(kForPeople), [&](const char* end) { return name.ends_with(end); });
}

std::string stray_sentence(const std::string& path) {
  std::vector<std::string> known(std::begin(kFolders), std::end(kFolders));
  known.insert(known.end(), std::begin(kFiles), std::end(kFiles));
  for (const char* name : kData) known.push_back(std::string(name) + ".ndjson");
  const auto near = nearest(os::file_name_of(path), known);
  return escape_control(path) + " is no part of a golden case" +
         (near.empty() ? "; docs/guide/testing.md names the parts" : fmt::format("; did you mean {}?", near[0]));
}

bool is_folder(const std::string& path) {
  const auto info = os::file_info(path);
  return info.ok() && info->folder();
}

}  // namespace

std::vector<std::string> stray_files(const std::string& root, const std::vector<GoldenCase>& cases) {
  std::vector<std::string> out;
  std::set<std::string> folders;
  for (const GoldenCase& golden : cases) {
    folders.insert(golden.folder);
    // The folder of several cases holds files of none.
    if (golden.step.empty()) folders.insert(dsl::golden_folder(golden.feature, golden.scenario));
  }
  for (const std::string& folder : folders) {
    const auto names = os::list_directory(root + "/" + folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const std::string path = folder + "/" + name;
      const bool is_dir = is_folder(root + "/" + path);
      if (is_known(name, is_dir) || (is_dir && folders.contains(path))) continue;
      out.push_back(stray_sentence(path));
    }
  }
  return out;
}

std::vector<std::string> stray_folders(const std::string& root, const std::vector<std::string>& features,
                                       const std::vector<GoldenCase>& cases) {
  std::vector<std::string> out;
  const auto names = os::list_directory(root + "/golden");
  if (!names.ok()) return out;
  std::set<std::string> known;
  for (const std::string& feature : features) known.insert(os::folder_of(dsl::golden_folder(feature, "x")));
  for (const std::string& name : *names) {
    const std::string path = "golden/" + name;
    const bool of_a_case = std::any_of(cases.begin(), cases.end(), [&](const GoldenCase& golden) {
      return golden.folder == path || golden.folder.starts_with(path + "/");
    });
    if (of_a_case || known.contains(path) || is_known(name, false)) continue;
    std::vector<std::string> bases;
    for (const std::string& base : known) bases.push_back(base);
    const auto near = nearest(path, bases);
    out.push_back(escape_control(path) + " belongs to no feature" +
                  (near.empty() ? "" : fmt::format("; did you mean {}?", escape_control(near[0]))));
  }
  return out;
}

}  // namespace runink::local
