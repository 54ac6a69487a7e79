// Locators: what a person writes in @source(…) and @sink(…), understood.
//
//   "data/x.ndjson"       a path from the project root (or absolute); a source may have glob characters
//   "file:///srv/x.csv"   an absolute path; `file://host/…` is refused and names the host
//   "-"                   standard input or output
//   exec="dpkg-query …"   a program whose standard output is the source, or whose standard input is the sink
//
// Format and compression follow from the extension (.ndjson .jsonl .json .csv .tsv .arrow .arrows .ipc, then .gz .zst)
// unless they are given. Parsing looks at the file system only to see whether a path with glob characters is a file of
// that very name; expand() lists.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::connectors {

enum class DataFormat : uint8_t { kNdjson, kCsv, kArrow };
enum class Compression : uint8_t { kNone, kGzip, kZstd };

std::string_view format_name(DataFormat format);             // "ndjson", "csv", "arrow"
std::string_view compression_name(Compression compression);  // "none", "gzip", "zstd"

enum class LocatorKind : uint8_t { kPath, kStandard, kProgram };

// What becomes of a program's standard error. One that gives pii fields, or is given them, may say anything of them, and
// nobody can tell such words from others: then none are shown, and they are added to a file that only its owner can read
// (mode 0600), or to none.
struct ProgramWords {
  bool are_private = false;
  std::string file;  // empty: not kept
};

class HandedInputs;

struct Locator {
  LocatorKind kind = LocatorKind::kPath;
  std::string text;                  // as written; for a program its command line
  std::string path;                  // kPath: joined with the project root, may hold glob characters
  bool is_glob = false;              // sources only
  std::vector<std::string> command;  // kProgram: the words
  std::string working_directory;     // kProgram: the project root
  DataFormat format = DataFormat::kNdjson;
  Compression compression = Compression::kNone;
  char delimiter = ',';  // kCsv: tab for .tsv or format="tsv"
  ProgramWords words;    // kProgram; set by the caller
  // Set where this process is handed its inputs instead of opening them: then nothing of the above but format,
  // compression and delimiter counts. Sources only.
  std::shared_ptr<HandedInputs> inputs;
};

struct LocatorOptions {
  std::string project_root = ".";
  std::string exec;         // command line; then the locator's own text must be empty
  std::string format;       // "ndjson" ("jsonl", "json"), "csv", "tsv", "arrow" ("arrows", "ipc"); empty: by extension
  std::string compression;  // "none", "gzip" ("gz"), "zstd" ("zst"); empty: by extension
};

// Errors are kInvalidArgument with a hint: unknown scheme (names it), host in a file URL, unknown format (names the
// nearest), no way to know the format, empty text, NUL in a path, a command that cannot be split into words.
Result<Locator> parse_source_locator(std::string_view text, const LocatorOptions& options);
Result<Locator> parse_sink_locator(std::string_view text, const LocatorOptions& options);

// The files of a path locator, sorted by bytes; the path itself where there is no glob. kNotFound where a glob matches
// nothing. Standard input and programs give one empty name.
Result<std::vector<std::string>> expand(const Locator& locator);

}  // namespace runink::connectors
