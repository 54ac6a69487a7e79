#include "data/connectors/locator.h"

#include <algorithm>
#include <optional>

#include "base/nearest.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/shell_words.h"

namespace runink::connectors {

std::string_view format_name(DataFormat format) {
  switch (format) {
    case DataFormat::kNdjson:
      return "ndjson";
    case DataFormat::kCsv:
      return "csv";
    case DataFormat::kArrow:
      return "arrow";
  }
  return "unknown";
}

std::string_view compression_name(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "none";
    case Compression::kGzip:
      return "gzip";
    case Compression::kZstd:
      return "zstd";
  }
  return "unknown";
}

namespace {

struct FormatWord {
  std::string_view word;
  DataFormat format;
  char delimiter;
};
constexpr FormatWord kFormatWords[] = {
    {"ndjson", DataFormat::kNdjson, ','}, {"jsonl", DataFormat::kNdjson, ','}, {"json", DataFormat::kNdjson, ','},
    {"csv", DataFormat::kCsv, ','},       {"tsv", DataFormat::kCsv, '\t'},     {"arrow", DataFormat::kArrow, ','},
    {"arrows", DataFormat::kArrow, ','},  {"ipc", DataFormat::kArrow, ','},
};
const FormatWord* find_format(std::string_view word) {
  for (const FormatWord& known : kFormatWords) {
    if (equals_ignore_case(known.word, word)) return &known;
  }
  return nullptr;
}

std::optional<Compression> find_compression(std::string_view word) {
  if (word == "none") return Compression::kNone;
  if (word == "gzip" || word == "gz") return Compression::kGzip;
  if (word == "zstd" || word == "zst") return Compression::kZstd;
  return std::nullopt;
}

// "data/x.csv.gz" → "csv", "gz"
struct Extensions {
  std::string format, compression;
};
Extensions extensions_of(std::string_view path) {
  Extensions out;
  std::string name = os::file_name_of(path);
  const auto take = [&]() -> std::string {
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos || dot == 0) return "";
    std::string extension = to_lower_ascii(std::string_view(name).substr(dot + 1));
    name.resize(dot);
    return extension;
  };
  std::string last = take();
  if (last == "gz" || last == "zst") {
    out.compression = std::move(last);
    last = take();
  }
  out.format = std::move(last);
  return out;
}

constexpr const char* kFormatHint = "formats are ndjson (jsonl, json), csv, tsv and arrow";

Status choose_format(Locator& locator, const LocatorOptions& options) {
  Extensions extensions;
  if (locator.kind == LocatorKind::kPath) extensions = extensions_of(locator.path);
  if (!options.compression.empty()) {
    const auto found = find_compression(options.compression);
    if (!found) {
      return invalid_argument("\"{}\" is no compression", options.compression).with_hint("say none, gzip or zstd");
    }
    locator.compression = *found;
  } else if (!extensions.compression.empty()) {
    locator.compression = *find_compression(extensions.compression);
  }
  const std::string& word = options.format.empty() ? extensions.format : options.format;
  if (const FormatWord* found = find_format(word)) {
    locator.format = found->format;
    locator.delimiter = found->delimiter;
    return Status();
  }
  if (!options.format.empty()) {
    std::vector<std::string> words;
    for (const FormatWord& known : kFormatWords) words.emplace_back(known.word);
    const std::vector<std::string> near = nearest(options.format, words);
    return invalid_argument("\"{}\" is no data format", options.format)
        .with_hint(near.empty() ? kFormatHint : fmt::format("did you mean \"{}\"? {}", near[0], kFormatHint));
  }
  if (locator.kind == LocatorKind::kPath && word.empty()) {
    return invalid_argument("{} has no extension that tells its format", locator.text)
        .with_hint("add format=\"ndjson\", \"csv\", \"tsv\" or \"arrow\"");
  }
  if (locator.kind == LocatorKind::kPath) {
    return invalid_argument("{}: files named .{} have no known format", locator.text, word)
        .with_hint("add format=\"ndjson\", \"csv\", \"tsv\" or \"arrow\"");
  }
  return invalid_argument("{} needs a format", locator.kind == LocatorKind::kStandard ? "\"-\"" : "a program")
      .with_hint("add format=\"ndjson\", \"csv\", \"tsv\" or \"arrow\"");
}

// "https" of "https://…"; empty if the text is no URL.
std::string_view scheme_of(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || colon == 0) return {};
  for (const char c : text.substr(0, colon)) {
    const bool fits =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!fits) return {};
  }
  return text.substr(0, colon);
}

Result<Locator> parse(std::string_view text, const LocatorOptions& options, bool source) {
  Locator out;
  const char* const what = source ? "source" : "sink";
  if (!options.exec.empty()) {
    if (!text.empty()) {
      return invalid_argument("a {} is either a path or a program, but both \"{}\" and exec=\"{}\" are given", what,
                              text, options.exec);
    }
    out.kind = LocatorKind::kProgram;
    out.text = options.exec;
    out.working_directory = options.project_root;
    out.command = RUNINK_TRY_CONTEXT(os::split_command(options.exec), fmt::format("the program of a {}", what));
    if (out.command.empty()) return invalid_argument("the program of a {} is empty", what);
    RUNINK_RETURN_IF_ERROR(choose_format(out, options));
    return out;
  }
  if (text.empty())
    return invalid_argument("the {} is empty", what).with_hint("give a path, \"-\", or exec=\"program …\"");
  if (text.find('\0') != std::string_view::npos) return invalid_argument("the path of a {} holds a NUL byte", what);
  out.text = std::string(text);
  if (text == "-") {
    out.kind = LocatorKind::kStandard;
    RUNINK_RETURN_IF_ERROR(choose_format(out, options));
    return out;
  }
  std::string_view path = text;
  const std::string_view scheme = scheme_of(text);
  if (!scheme.empty()) {
    if (!equals_ignore_case(scheme, "file")) {
      return invalid_argument("{}: there is no connector for {}://", text, scheme)
          .with_hint("a path, file:///path, \"-\" or exec=\"…\" can be used");
    }
    path.remove_prefix(scheme.size() + 3);
    if (path.empty() || path[0] != '/') {
      const std::string_view host = path.substr(0, path.find('/'));
      return invalid_argument("{}: \"{}\" stands where a host would, and files of other hosts cannot be reached", text,
                              host)
          .with_hint(fmt::format("for a path in the project write \"{}\", for an absolute one file:///{}", path, path));
    }
  }
  if (path.back() == '/') return invalid_argument("{} names a directory, not a file", text);
  out.is_glob = source && scheme.empty() && os::has_glob_characters(path) &&
                !os::exists(os::join_path(options.project_root, path));
  out.path = os::join_path(options.project_root, path);
  if (options.project_root == "." && !os::is_absolute(path)) out.path = std::string(path);
  RUNINK_RETURN_IF_ERROR(choose_format(out, options));
  return out;
}

}  // namespace

Result<Locator> parse_source_locator(std::string_view text, const LocatorOptions& options) {
  return parse(text, options, true);
}
Result<Locator> parse_sink_locator(std::string_view text, const LocatorOptions& options) {
  return parse(text, options, false);
}

Result<std::vector<std::string>> expand(const Locator& locator) {
  if (locator.kind != LocatorKind::kPath) return std::vector<std::string>{""};
  if (!locator.is_glob) return std::vector<std::string>{locator.path};
  std::vector<std::string> paths = RUNINK_TRY(os::glob(locator.path));
  std::vector<std::string> files;
  for (std::string& path : paths) {
    const auto info = os::file_info(path);
    if (!info.ok() || !info.value().folder()) files.push_back(std::move(path));
  }
  if (files.empty()) {
    return not_found("no file matches {}", locator.text).with_hint("the pattern is taken from the project folder");
  }
  return files;
}

}  // namespace runink::connectors
