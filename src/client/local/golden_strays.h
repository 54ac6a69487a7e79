// What lies in golden/ and belongs to nothing: a misspelt folder or file would otherwise test nothing in silence.
#pragma once

#include <string>
#include <vector>

#include "client/local/golden_case.h"

namespace runink::local {

// Files and folders of these cases' folders that no case has, as sentences.
std::vector<std::string> stray_files(const std::string& project_root, const std::vector<GoldenCase>& cases);

// Entries of golden/ itself that belong to none of these features (paths from the project root) nor to these cases.
std::vector<std::string> stray_folders(const std::string& project_root, const std::vector<std::string>& features,
                                       const std::vector<GoldenCase>& cases);

}  // namespace runink::local
