#include "worker/wire/codec.h"

namespace runink::wire {

std::string_view Decoder::take(size_t bytes) {
  if (failed_ || rest_.size() < bytes) {
    failed_ = true;
    return {};
  }
  const std::string_view out = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return out;
}

uint32_t Decoder::take_count(size_t most) {
  uint32_t count = 0;
  one(count);
  if (count <= most && count <= rest_.size()) return count;
  fail();
  return 0;
}

void Decoder::one(std::string& text) { text = take(take_count(kMostText)); }
void Decoder::one(std::string_view& text) { text = take(take_count(kMostText)); }

void Decoder::one(Status& status) {
  uint8_t code = 0;
  std::string message, kind, hint;
  std::vector<std::string> context, details;
  (*this)(code, message, kind, hint, context, details);
  if (code > static_cast<uint8_t>(Code::kUnauthenticated)) fail();
  status = Status();
  if (failed_ || code == 0) return;
  status = Status(static_cast<Code>(code), std::move(message));
  if (!kind.empty()) status = std::move(status).with_kind(std::move(kind));
  if (!hint.empty()) status = std::move(status).with_hint(std::move(hint));
  for (std::string& line : context) status = std::move(status).with_context(std::move(line));
  for (std::string& line : details) status = std::move(status).with_detail(std::move(line));
}

Status Decoder::finish(std::string_view what) const {
  if (failed_) return data_loss("{} cannot be read: it was cut or changed", what);
  if (!rest_.empty()) return data_loss("{} cannot be read: {} bytes follow it", what, rest_.size());
  return {};
}

}  // namespace runink::wire
