#include "testing/checkers/history.h"

#include <fmt/format.h>

#include "base/text.h"

namespace runink::testing {
namespace {

constexpr size_t kShown = 40;  // bytes of a value

std::string shown(const std::optional<std::string>& value) {
  if (!value) return "nothing";
  if (value->size() <= kShown) return json_quote(*value);
  return json_quote(value->substr(0, kShown)) + fmt::format("... ({} bytes)", value->size());
}

std::string what(const Operation& o) {
  const std::string key = shown(o.key);
  const char* outcome = o.open() ? "outcome unknown" : o.took_place ? "done" : "refused";
  switch (o.kind) {
    case OperationKind::kRead:
      return fmt::format("read {} -> {}", key, o.open() ? "unknown" : shown(o.result));
    case OperationKind::kWrite:
      return fmt::format("write {} = {}{}", key, shown(o.argument), o.open() ? ", outcome unknown" : "");
    case OperationKind::kCompareAndSet:
      return fmt::format("compare-and-set {} from {} to {}, {}", key, shown(o.expected), shown(o.argument), outcome);
    case OperationKind::kDelete:
      return fmt::format("delete {}, {}", key, outcome);
    case OperationKind::kAcquire:
      if (o.open() || !o.took_place) return fmt::format("acquire {}, {}", key, outcome);
      return fmt::format("acquire {}, token {}", key, o.token);
    case OperationKind::kRelease:
      return fmt::format("release {} with token {}, {}", key, o.token, outcome);
    case OperationKind::kExpire:
      return fmt::format("the lease of {} with token {} may end", key, o.token);
    case OperationKind::kUse:
      return fmt::format("use {} with token {}, {}", key, o.token, outcome);
  }
  return "an unknown operation";
}

}  // namespace

std::string describe(const Operation& operation) {
  const std::string end = operation.open() ? "open" : fmt::format("{}", operation.end);
  return fmt::format("client {} [{}, {}] {}", operation.client, operation.start, end, what(operation));
}

}  // namespace runink::testing
