// Glob patterns of file.h: a small matcher of one component, and a walk that opens only the folders a pattern needs.
#include <algorithm>

#include "platform/os/file.h"

namespace runink::os {

namespace {

constexpr int kMaxGlobDepth = 128;  // folders inside each other under `**`

// Matches the set at pattern[*at] == '[' against c and moves *at behind the set. A set without its end is a plain '['.
bool match_set(std::string_view pattern, size_t* at, char c) {
  size_t i = *at + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size() && (pattern[i] != ']' || first); first = false) {
    const auto low = static_cast<unsigned char>(pattern[i]);
    auto high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      high = static_cast<unsigned char>(pattern[i + 2]);
      i += 2;
    }
    ++i;
    const auto byte = static_cast<unsigned char>(c);
    found |= low <= byte && byte <= high;
  }
  if (i >= pattern.size()) {
    ++*at;
    return c == '[';
  }
  *at = i + 1;
  return found != negated;
}

// One character (a whole code point for `?`) at a time; `*` remembers where to come back to, so the time is at most the
// product of the lengths.
bool match_component(std::string_view pattern, std::string_view name) {
  if (!name.empty() && name[0] == '.' && (pattern.empty() || pattern[0] != '.')) return false;
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, resume = 0;
  const auto next = [&](size_t i) {
    ++i;
    while (i < name.size() && (name[i] & 0xC0) == 0x80) ++i;
    return i;
  };
  while (n < name.size()) {
    if (p < pattern.size()) {
      if (pattern[p] == '*') {
        star = ++p;
        resume = n;
        continue;
      }
      if (pattern[p] == '?') {
        ++p;
        n = next(n);
        continue;
      }
      if (pattern[p] == '[') {
        size_t after = p;
        if (match_set(pattern, &after, name[n])) {
          p = after;
          ++n;
          continue;
        }
      } else if (pattern[p] == name[n]) {
        ++p, ++n;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star;
    n = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = path.find('/', begin);
    if (end == std::string_view::npos) end = path.size();
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool match_components(const std::vector<std::string_view>& pattern, size_t p, const std::vector<std::string_view>& path,
                      size_t n) {
  // Dynamic over (p, n) from the end: at most a few dozen components each.
  std::vector<std::vector<char>> ok(pattern.size() + 1, std::vector<char>(path.size() + 1, 0));
  ok[pattern.size()][path.size()] = 1;
  for (size_t i = pattern.size(); i-- > p;) {
    for (size_t j = path.size() + 1; j-- > n;) {
      if (pattern[i] == "**") {
        ok[i][j] = ok[i + 1][j] || (j < path.size() && path[j][0] != '.' && ok[i][j + 1]);
      } else {
        ok[i][j] = j < path.size() && ok[i + 1][j + 1] && match_component(pattern[i], path[j]);
      }
    }
  }
  return ok[p][n];
}

struct Walk {
  std::vector<std::string_view> pattern;
  size_t limit;
  std::vector<std::string> found;

  Status add(const std::string& path) {
    if (found.size() >= limit) return resource_exhausted("the pattern matches more than {} files", limit);
    found.push_back(path);
    return {};
  }

  // `base` exists and is where pattern[at] begins; empty: the working directory.
  Status visit(const std::string& base, size_t at, int depth) {
    if (at == pattern.size()) return add(base);
    if (depth > kMaxGlobDepth) return resource_exhausted("more than {} folders inside each other", kMaxGlobDepth);
    const std::string_view part = pattern[at];
    const auto child = [&](std::string_view name) {
      return base.empty() ? std::string(name) : join_path(base, name);
    };
    if (part != "**" && !has_glob_characters(part)) {
      const std::string path = child(part);
      const auto info = link_info(path);
      if (!info.ok()) return info.status().code() == Code::kNotFound ? Status() : info.status();
      return visit(path, at + 1, depth + 1);
    }
    auto names = list_directory(base.empty() ? "." : base);
    if (!names.ok()) {
      // A component before this one named a file, not a folder: no match.
      return names.status().code() == Code::kNotFound ? Status() : std::move(names).status();
    }
    if (part == "**") {
      RUNINK_RETURN_IF_ERROR(at + 1 == pattern.size() ? Status() : visit(base, at + 1, depth + 1));
      for (const std::string& name : *names) {
        if (name[0] == '.') continue;
        const std::string path = child(name);
        const auto info = link_info(path);
        if (!info.ok()) continue;  // gone meanwhile
        if (info->folder()) RUNINK_RETURN_IF_ERROR(visit(path, at, depth + 1));
        else if (at + 1 == pattern.size()) RUNINK_RETURN_IF_ERROR(add(path));
      }
      return {};
    }
    for (const std::string& name : *names) {
      if (!match_component(part, name)) continue;
      const std::string path = child(name);
      if (at + 1 < pattern.size()) {
        const auto info = file_info(path);
        if (!info.ok() || !info->folder()) continue;
      }
      RUNINK_RETURN_IF_ERROR(visit(path, at + 1, depth + 1));
    }
    return {};
  }
};

}  // namespace

bool has_glob_characters(std::string_view path) { return path.find_first_of("*?[") != std::string_view::npos; }

bool glob_match(std::string_view pattern, std::string_view path) {
  if (is_absolute(pattern) != is_absolute(path)) return false;
  return match_components(components(pattern), 0, components(path), 0);
}

Result<std::vector<std::string>> glob(const std::string& pattern, size_t limit) {
  if (!has_glob_characters(pattern)) {
    if (exists(pattern)) return std::vector<std::string>{pattern};
    return std::vector<std::string>{};
  }
  Walk walk{components(pattern), limit, {}};
  Status status = walk.visit(is_absolute(pattern) ? "/" : "", 0, 0);
  if (!status.ok()) return std::move(status).with_context(fmt::format("find files matching {}", pattern));
  std::sort(walk.found.begin(), walk.found.end());
  // `a/**/**/b` reaches the same file by more than one way.
  walk.found.erase(std::unique(walk.found.begin(), walk.found.end()), walk.found.end());
  return std::move(walk.found);
}

}  // namespace runink::os
