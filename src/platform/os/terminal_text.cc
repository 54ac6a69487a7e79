#include "platform/os/terminal_text.h"

#include <fmt/format.h>

#include "base/text.h"

namespace runink::os {

namespace {

// How many bytes the first byte says the character has; 0 where none begins so.
size_t length_by_lead(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
}

// Whether the bytes may be the beginning of a character that is not there whole.
bool is_cut_short(std::string_view bytes, size_t length) {
  if (length == 0 || bytes.size() >= length) return false;
  for (const char c : bytes.substr(1)) {
    if ((static_cast<uint8_t>(c) & 0xC0) != 0x80) return false;
  }
  return true;
}

}  // namespace

std::string TerminalText::next(std::string_view bytes) { return take(bytes, false); }
std::string TerminalText::rest() { return take({}, true); }

std::string TerminalText::take(std::string_view bytes, bool last) {
  const std::string all = waiting_ + std::string(bytes);
  waiting_.clear();
  std::string out;
  out.reserve(all.size());
  std::string_view left = all;
  while (!left.empty()) {
    const auto lead = static_cast<uint8_t>(left[0]);
    const size_t length = length_by_lead(lead);
    // A carriage return is part of a line break where a line feed follows.
    if (!last && (is_cut_short(left, length) || left == "\r")) {
      waiting_ = left;
      break;
    }
    if (length == 0 || left.size() < length || !is_valid_utf8(left.substr(0, length))) {
      out += fmt::format("\\x{:02x}", lead);
      left.remove_prefix(1);
      continue;
    }
    const bool line_break = lead == '\r' && left.size() > 1 && left[1] == '\n';
    if (length == 1 && (lead < 0x20 || lead == 0x7F) && lead != '\n' && lead != '\t' && !line_break) {
      out += fmt::format("\\u{:04x}", lead);
    } else if (lead == 0xC2 && static_cast<uint8_t>(left[1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<uint8_t>(left[1]));
    } else {
      out += left.substr(0, length);
    }
    left.remove_prefix(length);
  }
  return out;
}

std::string terminal_text(std::string_view bytes) {
  TerminalText text;
  std::string out = text.next(bytes);
  return out + text.rest();
}

}  // namespace runink::os
