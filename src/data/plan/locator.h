// What can be told from a locator without touching a file: kind, format, compression, stem, whether two are one file.
// The compiler and the connectors share these rules.
//
//   "data/x.ndjson.gz"   a path from the project root, or absolute       "data/2024-*.csv"   a glob (sources only)
//   "file:///srv/x.csv"  an absolute path                                "-"                 standard input or output
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::plan {

struct LocatorFacts {
  enum class Kind { kPath, kStandard } kind = Kind::kPath;
  std::string path;  // kPath: without file://, `.` and doubled slashes removed
  bool absolute = false;
  bool glob = false;        // holds * ? or [
  std::string format;       // "ndjson", "csv", "arrow"; empty when the name does not tell
  std::string compression;  // "", "gzip", "zstd"
  char delimiter = ',';     // tab for .tsv
  std::string stem;         // "x" of data/x.ndjson.gz
};

// kInvalidArgument with a hint: empty text, NUL, file://host/… (names the host), another scheme (names it).
Result<LocatorFacts> locator_facts(std::string_view text);

// "ndjson" for "ndjson", "jsonl", "json"; "csv" for "csv", "tsv"; "arrow" for "arrow", "arrows", "ipc".
// kInvalidArgument names the nearest.
Result<std::string> canonical_format(std::string_view word);
// "" for "none", "gzip" for "gz", "zstd" for "zst".
Result<std::string> canonical_compression(std::string_view word);

// The path with `.`, `..` and doubled slashes resolved as text, joined with `root` when relative. Symbolic links are
// not followed: whoever opens the file compares inodes as well.
std::string normal_path(std::string_view root, std::string_view path);
// Whether a glob pattern (* ? […], * does not match /) matches a path.
bool glob_matches(std::string_view pattern, std::string_view path);

}  // namespace runink::plan
