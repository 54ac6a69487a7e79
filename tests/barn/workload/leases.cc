// Locks under leases: a key that is put, with a lease, where it is not there. Never two holders at a time, tokens of
// leases never repeat, and the indexes at which a lock is taken grow.
//
// Somebody holds a lock from when he is told so until he lets go of it, or until the last moment at which his lease
// still said that it was held. All clocks are this process's.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "work.h"

namespace runink::workload {
namespace {

namespace v1 = runink::barn::v1;

constexpr const char* kName = "leases";
constexpr size_t kThreads = 4, kLocks = 2;
constexpr int64_t kMillisecond = 1'000'000;

struct Held {
  size_t lock = 0;
  uint64_t holder = 0;
  testing::Time from = 0, until = 0;
  uint64_t index = 0;
  uint64_t token = 0;
};

std::string describe(const Held& held) {
  return fmt::format("lock {} client {} [{}, {}] taken at {} under {}", held.lock, held.holder, held.from, held.until,
                     held.index, held.token);
}

class Leases final : public Work {
 public:
  explicit Leases(Context context) : context_(std::move(context)) {}
  const char* name() const override { return kName; }
  size_t own_threads() const override { return kThreads; }

  void step(Worker& worker) override {
    const int64_t ttl_micros = 400'000 + static_cast<int64_t>(worker.below(1'500'000));
    const auto lease = worker.client->hold_lease(ttl_micros, [](const Status&) {});
    context_.report.count(kName, outcome_of(lease.status()));
    if (!lease.ok()) {
      (void)context_.pace.sleep(50 * kMillisecond);
      return;
    }
    note_token((*lease)->token());
    const size_t lock = worker.below(kLocks);
    for (int tries = 0; tries < 10 && (*lease)->held() && !context_.pace.stopped(); ++tries) {
      Held held;
      held.lock = lock;
      held.holder = worker.number;
      held.token = (*lease)->token().index();
      if (take(worker, (*lease)->token(), &held)) {
        hold(worker, **lease, &held);
        let_go(worker, (*lease)->token(), held);
        return;
      }
      (void)context_.pace.sleep(static_cast<int64_t>(20 + worker.below(80)) * kMillisecond);
    }
    end_lease(worker, (*lease)->token());
  }

  void finish(Worker&) override {
    std::vector<std::string> lines;
    std::sort(all_.begin(), all_.end(),
              [](const Held& a, const Held& b) { return std::tie(a.lock, a.index) < std::tie(b.lock, b.index); });
    for (const Held& held : all_) lines.push_back(describe(held));
    const std::string where = context_.report.history(kName, 1, lines);
    for (size_t i = 1; i < all_.size(); ++i) {
      const Held &before = all_[i - 1], &after = all_[i];
      if (before.lock != after.lock) continue;
      if (before.index == after.index)
        context_.report.violation(kName, "one index was given twice:\n" + describe(before) + "\n" + describe(after),
                                  where);
      // Taken later by the Barn's count, and held before the other one had let go.
      if (after.from < before.until)
        context_.report.violation(kName, "two holders at a time:\n" + describe(before) + "\n" + describe(after), where);
    }
    context_.report.count(kName, "held", all_.size());
  }

 private:
  std::string key(size_t lock) const { return fmt::format("{}l/{}", context_.run, lock); }

  void note_token(const v1::Token& token) {
    const std::lock_guard lock(mutex_);
    if (!tokens_.emplace(token.incarnation(), token.index()).second)
      context_.report.violation(kName, fmt::format("lease {}.{} was granted twice", token.incarnation(), token.index()),
                                "tokens");
  }

  bool take(Worker& worker, const v1::Token& token, Held* held) {
    v1::TxnRequest request;
    request.add_compares()->set_key(key(held->lock));  // is not there
    v1::TxnOp::Put& put = *request.add_then_ops()->mutable_put();
    put.set_key(key(held->lock));
    put.set_value(fmt::to_string(worker.number));
    *put.mutable_lease() = token;
    const auto done = worker.client->txn(std::move(request));
    if (!done.ok() || !done->succeeded()) return false;
    held->from = now();
    held->index = done->index();
    return true;
  }

  void hold(Worker& worker, const sdk::Lease& lease, Held* held) {
    held->until = held->from;
    // Some hold on until the lease is lost, or the work ends.
    const int64_t for_nanos =
        worker.below(12) == 0 ? 8'000 * kMillisecond : static_cast<int64_t>(worker.below(600)) * kMillisecond;
    const testing::Time end = held->from + for_nanos;
    while (true) {
      const testing::Time at = now();
      if (!lease.held()) {
        context_.report.count(kName, "lost");
        return;
      }
      held->until = at;
      if (at > end || !context_.pace.sleep(5 * kMillisecond)) return;
    }
  }

  void let_go(Worker& worker, const v1::Token& token, const Held& held) {
    {
      const std::lock_guard lock(mutex_);
      all_.push_back(held);
    }
    switch (worker.below(3)) {
      case 0: {  // the key alone, if it is still this one's
        v1::TxnRequest request;
        v1::Compare& compare = *request.add_compares();
        compare.set_key(key(held.lock));
        compare.set_target(v1::Compare::CREATE_INDEX);
        compare.set_number(held.index);
        request.add_then_ops()->mutable_delete_()->set_key(key(held.lock));
        (void)worker.client->txn(std::move(request));
        break;
      }
      case 1:
        end_lease(worker, token);
        break;
      default:
        context_.report.count(kName, "left_to_expire");
        break;
    }
  }

  static void end_lease(Worker& worker, const v1::Token& token) {
    v1::RevokeLeaseRequest request;
    *request.mutable_lease() = token;
    (void)worker.client->revoke_lease(std::move(request));
  }

  Context context_;
  std::mutex mutex_;
  std::set<std::pair<uint64_t, uint64_t>> tokens_;  // under mutex_
  std::vector<Held> all_;                           // under mutex_
};

}  // namespace

std::unique_ptr<Work> make_leases(Context context) { return std::make_unique<Leases>(std::move(context)); }

}  // namespace runink::workload
