// What anybody may send to the port of metrics: however the bytes are cut, the same is understood, and no more than the
// limit is taken for a head. (Of what is wrong, another fault may be found first, or the same a byte later.)
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "base/check.h"
#include "platform/http/request_head.h"

namespace runink::http {
namespace {

constexpr size_t kMost = 512;

// What a connection makes of it, with so many bytes coming at a time.
std::tuple<bool, int, std::string, bool, bool, size_t> understood(std::string_view bytes, size_t at_a_time) {
  RequestHead head(kMost);
  std::string held;
  size_t taken = 0, given = 0;
  while (given < bytes.size() && !head.done() && head.refusal() == 0) {
    const std::string_view next = bytes.substr(given, at_a_time);
    given += next.size();
    held += next;
    const size_t now = head.feed(held);
    RUNINK_CHECK(now <= held.size());
    held.erase(0, now);
    taken += now;
  }
  const bool well = head.done() && head.refusal() == 0;
  RUNINK_CHECK(!well || (!head.path().empty() && head.path()[0] == '/' && taken <= kMost + at_a_time));
  return {head.done(),
          head.refusal(),
          well ? head.path() : std::string(),
          well && head.head_only(),
          well && head.keep_alive(),
          well ? taken : 0};
}

}  // namespace
}  // namespace runink::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using runink::http::understood;
  const std::string_view bytes(reinterpret_cast<const char*>(data), std::min<size_t>(size, 4096));
  const auto whole = understood(bytes, 4096);
  // Beyond the limit it depends on what has come whether the head is too large or wrong.
  if (bytes.size() < runink::http::kMost) {
    for (const size_t at_a_time : {1, 7}) {
      const auto cut = understood(bytes, at_a_time);
      const auto well = [](const auto& one) { return std::get<0>(one) && std::get<1>(one) == 0; };
      RUNINK_CHECK(cut == whole || (!well(cut) && !well(whole)));
    }
  } else {
    (void)understood(bytes, 100);
  }
  return 0;
}
