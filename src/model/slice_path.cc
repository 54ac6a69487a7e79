#include "model/slice_path.h"

#include <string_view>

#include "base/text.h"

namespace runink::model {

bool is_plain_absolute(const std::string& path) {
  if (path == "/") return true;
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string::npos || path.size() >= 4096) return false;
  const std::string_view rest = std::string_view(path).substr(1);
  for (const std::string_view part : split(rest, '/')) {
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
  }
  return true;
}

bool is_within(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace runink::model
