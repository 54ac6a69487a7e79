#include "client/local/placed_error.h"

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr uint32_t kAnnotationLines = 8;  // how far above its sentence an annotation is looked for

// Where `words` stand: in the line itself, or in what belongs to it above.
Span span_of(const SourceText& text, const Location& place, std::string_view words) {
  const uint32_t first = place.line > kAnnotationLines ? place.line - kAnnotationLines : 1;
  for (uint32_t line = place.line; !words.empty() && line >= first; --line) {
    const size_t at = text.line(line).find(words);
    if (at != std::string_view::npos) return {text.line_start(line) + at, words.size()};
    const bool above = line == place.line || trim(text.line(line)).starts_with('@');
    if (!above) break;
  }
  const std::string_view line = text.line(place.line);
  const size_t before = code_point_slice(line, 0, place.column > 0 ? place.column - 1 : 0).size();
  return {text.line_start(place.line) + before, trim(line.substr(before)).size()};
}

}  // namespace

Status at_place(Status status, const Location& place, const std::string& project_root, std::string_view words) {
  if (status.ok() || place.line == 0 || status.message().starts_with(place.file + ":")) return status;
  auto read = os::read_file(project_root + "/" + place.file);
  if (!read.ok()) return status;
  const SourceText text(place.file, std::move(*read));
  if (place.line > text.line_count()) return status;
  Diagnostics diagnostics;
  Diagnostic& d = diagnostics.error(text, span_of(text, place, words), status.kind(), status.message());
  if (!status.hint().empty()) d.help.push_back(status.hint());
  Status placed(status.code(), fmt::format("{}: {}", d.location.to_string(), d.message));
  placed = std::move(placed).with_kind(status.kind()).with_detail(d.render());
  for (const std::string& detail : status.details()) placed = std::move(placed).with_detail(detail);
  for (const std::string& context : status.context()) placed = std::move(placed).with_context(context);
  return placed;
}

}  // namespace runink::local
