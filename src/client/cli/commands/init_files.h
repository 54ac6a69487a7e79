// The files of a new project.
#pragma once

#include <string>
#include <vector>

namespace runink::cli {

struct ProjectFile {
  std::string path, text;
  std::string says;  // what it is, a few words
};
std::vector<ProjectFile> new_project_files(const std::string& name);

}  // namespace runink::cli
