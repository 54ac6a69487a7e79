#include "data/plan/locator.h"

#include "base/nearest.h"
#include "base/text.h"

namespace runink::plan {
namespace {

struct Extension {
  std::string_view name, format;
  char delimiter;
};
constexpr Extension kFormats[] = {{"ndjson", "ndjson", ','}, {"jsonl", "ndjson", ','}, {"json", "ndjson", ','},
                                  {"csv", "csv", ','},       {"tsv", "csv", '\t'},     {"arrow", "arrow", ','},
                                  {"arrows", "arrow", ','},  {"ipc", "arrow", ','}};

// Cuts "x.ndjson" into "x" and "ndjson"; a leading dot is part of the name.
bool cut_extension(std::string_view* name, std::string_view* extension) {
  const size_t dot = name->rfind('.');
  if (dot == std::string_view::npos || dot == 0) return false;
  *extension = name->substr(dot + 1);
  *name = name->substr(0, dot);
  return true;
}

void read_name(LocatorFacts* facts) {
  std::string_view name = facts->path;
  const size_t slash = name.rfind('/');
  if (slash != std::string_view::npos) name = name.substr(slash + 1);
  std::string_view rest = name, extension;
  if (cut_extension(&rest, &extension)) {
    const std::string lower = to_lower_ascii(extension);
    if (lower == "gz" || lower == "gzip") facts->compression = "gzip";
    if (lower == "zst" || lower == "zstd") facts->compression = "zstd";
    if (!facts->compression.empty()) {
      name = rest;
      if (!cut_extension(&rest, &extension)) rest = name, extension = {};
    }
    const std::string format = to_lower_ascii(extension);
    for (const auto& f : kFormats) {
      if (f.name != format) continue;
      facts->format = f.format;
      facts->delimiter = f.delimiter;
      name = rest;
    }
  }
  facts->stem = std::string(name);
}

// The scheme of "s3://x", or empty.
std::string_view scheme_of(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return {};
  const std::string_view scheme = text.substr(0, colon);
  for (const char c : scheme) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '+' && c != '-' && c != '.') return {};
  }
  return scheme;
}

}  // namespace

Result<LocatorFacts> locator_facts(std::string_view text) {
  LocatorFacts facts;
  if (text.empty())
    return invalid_argument("the path is empty")
        .with_hint("write a path from the project root, or - for standard input or output");
  if (text.find('\0') != std::string_view::npos) return invalid_argument("the path holds a NUL byte");
  if (text == "-") {
    facts.kind = LocatorFacts::Kind::kStandard;
    return facts;
  }
  const std::string_view scheme = scheme_of(text);
  std::string_view path = text;
  if (equals_ignore_case(scheme, "file")) {
    path = text.substr(scheme.size() + 3);
    if (path.empty() || path[0] != '/') {
      const std::string_view host = path.substr(0, path.find('/'));
      return invalid_argument("`{}` names the host `{}`", text, host)
          .with_hint(
              "a file of this machine has three slashes: file:///absolute/path; a path from the project root "
              "has no file: at all");
    }
  } else if (!scheme.empty()) {
    return invalid_argument("nothing here reads or writes `{}://`", scheme)
        .with_hint("a source or sink is a path, file:///absolute, - or a program: exec=\"…\"");
  }
  facts.path = normal_path("", path);
  facts.absolute = facts.path[0] == '/';
  facts.glob = facts.path.find_first_of("*?[") != std::string::npos;
  read_name(&facts);
  return facts;
}

Result<std::string> canonical_format(std::string_view word) {
  const std::string lower = to_lower_ascii(word);
  std::vector<std::string> names;
  for (const auto& f : kFormats) {
    if (f.name == lower) return std::string(f.format);
    names.emplace_back(f.name);
  }
  Status status = invalid_argument("unknown format `{}`", word);
  const auto near = nearest(word, names);
  if (!near.empty()) return std::move(status).with_hint("did you mean \"" + near[0] + "\"?");
  return std::move(status).with_hint("formats are ndjson, csv, tsv and arrow");
}

Result<std::string> canonical_compression(std::string_view word) {
  const std::string lower = to_lower_ascii(word);
  if (lower == "none" || lower.empty()) return std::string();
  if (lower == "gzip" || lower == "gz") return std::string("gzip");
  if (lower == "zstd" || lower == "zst") return std::string("zstd");
  return invalid_argument("unknown compression `{}`", word).with_hint("compressions are none, gzip and zstd");
}

std::string normal_path(std::string_view root, std::string_view path) {
  std::string joined(path);
  if (!root.empty() && (path.empty() || path[0] != '/')) joined = std::string(root) + "/" + joined;
  const bool absolute = !joined.empty() && joined[0] == '/';
  std::vector<std::string_view> parts;
  for (const auto part : split(joined, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == ".." && !parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (part == ".." && absolute)
      continue;
    else
      parts.push_back(part);
  }
  std::string out = absolute ? "/" : "";
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += '/';
    out += parts[i];
  }
  return out.empty() ? "." : out;
}

namespace {

// Whether `c` is in the class that starts at pattern[0] == '['; `used` is its length, 0 when it is not a class.
bool class_matches(std::string_view pattern, char c, size_t* used) {
  size_t i = 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  bool found = false;
  const size_t first = i;
  for (; i < pattern.size() && (pattern[i] != ']' || i == first); ++i) {
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == c;
    }
  }
  *used = i < pattern.size() ? i + 1 : 0;
  return found != negated && c != '/';
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view path) {
  // Greedy with one point of return per star: linear in the product of the lengths at worst.
  size_t p = 0, s = 0, star = std::string_view::npos, resume = 0;
  while (s < path.size()) {
    size_t used = 0;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = s;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '[' && (class_matches(pattern.substr(p), path[s], &used) || used == 0)) {
      if (used != 0) {
        p += used, ++s;
        continue;
      }
      if (path[s] == '[') {  // an open bracket that is no class
        ++p, ++s;
        continue;
      }
    } else if (p < pattern.size() && pattern[p] != '[' &&
               ((pattern[p] == '?' && path[s] != '/') || pattern[p] == path[s])) {
      ++p, ++s;
      continue;
    }
    if (star == std::string_view::npos || path[resume] == '/') return false;
    p = star + 1;
    s = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace runink::plan
