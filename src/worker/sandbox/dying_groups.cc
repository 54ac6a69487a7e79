#include "worker/sandbox/dying_groups.h"

#include <utility>

namespace runink::sandbox {
namespace {

constexpr int64_t kRetryNanos = 20'000'000;

}  // namespace

void DyingGroups::add(std::string name) {
  if (!name.empty()) waiting_.push_front({.name = std::move(name)});
}

int DyingGroups::millis_to_wait(int64_t now_nanos) const {
  if (waiting_.empty()) return -1;
  const int64_t left = waiting_.front().not_before - now_nanos;
  return left <= 0 ? 0 : static_cast<int>((left + 999'999) / 1'000'000);
}

void DyingGroups::remove_one(int64_t now_nanos) {
  if (waiting_.empty() || waiting_.front().not_before > now_nanos) return;
  Waiting one = std::move(waiting_.front());
  waiting_.pop_front();
  if (groups_->remove(one.name)) return;
  one.not_before = now_nanos + kRetryNanos;
  waiting_.push_back(std::move(one));
}

}  // namespace runink::sandbox
