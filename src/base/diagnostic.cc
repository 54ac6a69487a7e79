#include "base/diagnostic.h"

#include <algorithm>

#include "base/text.h"

namespace runink {

SourceText::SourceText(std::string path, std::string text) : path_(std::move(path)), text_(std::move(text)) {
  line_starts_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') line_starts_.push_back(i + 1);
  }
}

SourceText::Position SourceText::position(size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  const auto line = static_cast<uint32_t>(next - line_starts_.begin());
  const size_t start = line_starts_[line - 1];
  return {line, static_cast<uint32_t>(count_code_points({text_.data() + start, offset - start})) + 1};
}

size_t SourceText::line_start(uint32_t number) const {
  if (number == 0) return 0;
  return number <= line_starts_.size() ? line_starts_[number - 1] : text_.size();
}

std::string_view SourceText::line(uint32_t number) const {
  if (number == 0 || number > line_starts_.size()) return {};
  const size_t start = line_starts_[number - 1];
  size_t end = number < line_starts_.size() ? line_starts_[number] - 1 : text_.size();
  if (end > start && text_[end - 1] == '\r') --end;
  return {text_.data() + start, end - start};
}

std::string Location::to_string() const {
  if (line == 0) return file;
  return fmt::format("{}:{}:{}", file, line, column);
}

Location locate(const SourceText& text, Span span) {
  const auto position = text.position(span.offset);
  return {text.path(), position.line, position.column};
}

std::string Diagnostic::render() const {
  static constexpr std::string_view kWords[] = {"error", "warning", "hint"};
  std::string out = fmt::format("{}: {}: {}", escape_control(location.to_string()), kWords[static_cast<int>(severity)],
                                escape_control(message));
  if (location.line != 0 && !line_text.empty()) {
    // A very long line is shown around the column, never whole.
    constexpr uint32_t kWindow = 160;
    std::string_view shown = line_text;
    uint32_t column = std::max(1u, location.column);
    if (count_code_points(shown) > kWindow) {
      const uint32_t skip = column > kWindow / 2 ? column - kWindow / 2 : 0;
      shown = code_point_slice(shown, skip, kWindow);
      column -= skip;
    }
    const std::string number = std::to_string(location.line);
    out += fmt::format("\n  {:>4} | {}", number, escape_control(shown, /*keep_tab=*/true));
    std::string pad;
    size_t seen = 1;
    for (size_t i = 0; i < shown.size() && seen < column; ++i) {
      if ((shown[i] & 0xC0) == 0x80) continue;
      pad += shown[i] == '\t' ? '\t' : ' ';
      ++seen;
    }
    out += fmt::format("\n  {:>4} | {}^", "", pad);
    const size_t rest = count_code_points(shown) + 1 - std::min<size_t>(count_code_points(shown) + 1, column);
    const size_t tail = std::min<size_t>(underline > 0 ? underline - 1 : 0, rest > 0 ? rest - 1 : 0);
    out.append(tail, '~');
  }
  for (const auto& line : help) out += "\n  help: " + escape_control(line);
  return out;
}

Diagnostic& Diagnostics::add(Severity severity, const SourceText& text, Span span, std::string code,
                             std::string message) {
  Diagnostic d;
  d.severity = severity;
  d.code = std::move(code);
  d.location = locate(text, span);
  d.message = std::move(message);
  d.line_text = std::string(text.line(d.location.line));
  const size_t end = std::min(span.offset + span.length, text.text().size());
  if (end > span.offset) {
    std::string_view covered(text.text().data() + span.offset, end - span.offset);
    covered = covered.substr(0, covered.find('\n'));
    d.underline = static_cast<uint32_t>(count_code_points(covered));
  }
  list_.push_back(std::move(d));
  return list_.back();
}
Diagnostic& Diagnostics::error(const SourceText& text, Span span, std::string code, std::string message) {
  return add(Severity::kError, text, span, std::move(code), std::move(message));
}
Diagnostic& Diagnostics::warning(const SourceText& text, Span span, std::string code, std::string message) {
  return add(Severity::kWarning, text, span, std::move(code), std::move(message));
}
Diagnostic& Diagnostics::hint(const SourceText& text, Span span, std::string code, std::string message) {
  return add(Severity::kHint, text, span, std::move(code), std::move(message));
}
void Diagnostics::append(Diagnostics other) {
  for (auto& d : other.list_) list_.push_back(std::move(d));
}
size_t Diagnostics::error_count() const {
  return static_cast<size_t>(
      std::count_if(list_.begin(), list_.end(), [](const auto& d) { return d.severity == Severity::kError; }));
}
bool Diagnostics::has_errors() const { return error_count() > 0; }
std::string Diagnostics::render() const {
  std::string out;
  for (const auto& d : list_) out += d.render() + "\n";
  return out;
}
Status Diagnostics::to_status() const {
  if (!has_errors()) return {};
  Status status;
  for (const auto& d : list_) {
    if (status.ok() && d.severity == Severity::kError) {
      status = invalid_argument("{}: {}", d.location.to_string(), d.message);
      status = std::move(status).with_kind(d.code);
    }
  }
  for (const auto& d : list_) status = std::move(status).with_detail(d.render());
  return status;
}

}  // namespace runink
