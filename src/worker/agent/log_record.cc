#include "worker/agent/log_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/text.h"

namespace runink::agent {
namespace {

std::optional<LogStream> stream_of(std::string_view name) {
  for (const LogStream stream : {LogStream::kOutput, LogStream::kError, LogStream::kRunink}) {
    if (stream_name(stream) == name) return stream;
  }
  return std::nullopt;
}

}  // namespace

std::string_view stream_name(LogStream stream) {
  switch (stream) {
    case LogStream::kOutput:
      return "stdout";
    case LogStream::kError:
      return "stderr";
    case LogStream::kRunink:
      break;
  }
  return "runink";
}

std::string log_line_json(const LogOrigin& origin, const LogLine& line) {
  std::string out = "{\"time\":\"" + format_utc(line.unix_micros) + "\",\"slice\":";
  append_json_quoted(out, origin.slice);
  out += ",\"herd\":";
  append_json_quoted(out, origin.herd);
  out += ",\"stream\":\"";
  out += stream_name(line.stream);
  out += "\",\"line\":";
  append_json_quoted(out, line.text);
  if (line.continues) out += ",\"continues\":true";
  if (line.dropped_lines > 0) {
    out += fmt::format(",\"dropped_lines\":{},\"dropped_bytes\":{}", line.dropped_lines, line.dropped_bytes);
  }
  out += "}\n";
  return out;
}

std::optional<LogLine> parse_log_line(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  const auto text = [&](const char* key) -> const std::string* {
    const auto found = parsed.find(key);
    return found == parsed.end() ? nullptr : found->get_ptr<const std::string*>();
  };
  const auto number = [&](const char* key) -> uint64_t {
    const auto found = parsed.find(key);
    const auto* value = found == parsed.end() ? nullptr : found->get_ptr<const nlohmann::json::number_unsigned_t*>();
    return value == nullptr ? 0 : *value;
  };
  const std::string* time = text("time");
  const std::string* stream = text("stream");
  const std::string* content = text("line");
  if (time == nullptr || stream == nullptr || content == nullptr) return std::nullopt;
  const std::optional<LogStream> known = stream_of(*stream);
  LogLine line;
  if (!known || !parse_utc(*time, &line.unix_micros)) return std::nullopt;
  line.stream = *known;
  line.text = *content;
  const auto continues = parsed.find("continues");
  line.continues = continues != parsed.end() && continues->is_boolean() && continues->get<bool>();
  line.dropped_lines = number("dropped_lines");
  line.dropped_bytes = number("dropped_bytes");
  return line;
}

}  // namespace runink::agent
