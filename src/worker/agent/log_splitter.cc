#include "worker/agent/log_splitter.h"

#include "worker/agent/log_record.h"

namespace runink::agent {
namespace {

std::string_view without_return(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// How much of `text`, at most kMostLineBytes, can be cut off without cutting through a code point.
size_t piece_of(std::string_view text) {
  size_t size = kMostLineBytes;
  for (int back = 0; back < 3 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80; ++back) --size;
  // What is not UTF-8 is cut anywhere.
  return (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80 ? kMostLineBytes : size;
}

}  // namespace

void LineSplitter::feed(std::string_view bytes, const Take& take) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (held_.empty() && end != std::string_view::npos && part.size() <= kMostLineBytes) {
      take(without_return(part), false);  // the usual case, without a copy
    } else {
      // A piece at a time, so that no more is held than one of them and what came at once.
      held_ += part;
      while (held_.size() > kMostLineBytes) {
        const size_t size = piece_of(held_);
        take(std::string_view(held_).substr(0, size), true);
        held_.erase(0, size);
      }
      if (end == std::string_view::npos) return;
      take(without_return(held_), false);
      held_.clear();
    }
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::finish(const Take& take) {
  if (held_.empty()) return;
  take(without_return(held_), false);
  held_.clear();
}

}  // namespace runink::agent
