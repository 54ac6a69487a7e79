// Registers: reads, writes and compare-and-sets of single keys; linearizability of each.
#include <fmt/format.h>

#include <optional>
#include <set>

#include "testing/checkers/linearizability.h"
#include "work.h"

namespace runink::workload {
namespace {

using testing::Operation;
using testing::OperationKind;

constexpr const char* kName = "registers";
constexpr size_t kKeys = 10, kOperations = 1000;
constexpr uint64_t kConfigurations = 4'000'000;

struct Epoch {
  explicit Epoch(uint64_t epoch) : number(epoch), last_seen(kKeys) {}
  const uint64_t number;
  std::mutex mutex;
  testing::History history;                           // under mutex
  std::vector<std::optional<std::string>> last_seen;  // under mutex: by anybody, for compare-and-set
};

class Registers final : public Work {
 public:
  explicit Registers(Context context)
      : context_(std::move(context)),
        epochs_(
            kOperations, [](uint64_t number) { return std::make_unique<Epoch>(number); },
            [this](Epoch& epoch, Worker& worker) { close(epoch, worker); }) {}
  const char* name() const override { return kName; }

  void step(Worker& worker) override {
    epochs_.use(worker, [&](Epoch& epoch) { operate(epoch, worker); });
  }

  void finish(Worker& worker) override {
    epochs_.finish(worker);
    std::map<std::string, std::string> there;
    const std::string from = context_.run + "r/";
    if (!read_at_last(context_, kName, [&] { return worker.store->list(from, context_.run + "r0", &there); })) return;
    for (const auto& [key, allowed] : left_) {
      const auto found = there.find(key);
      const std::optional<std::string> value =
          found == there.end() ? std::optional<std::string>() : std::optional<std::string>(found->second);
      if (allowed.contains(value)) continue;
      context_.report.lost(1);
      context_.report.violation(kName,
                                fmt::format("{} was {} when it was left, and is {} at the end", key,
                                            allowed.begin()->value_or("nothing"), value.value_or("nothing")),
                                "last readings");
    }
  }

 private:
  std::string key(const Epoch& epoch, size_t n) const {
    return fmt::format("{}r/{:06}/{}", context_.run, epoch.number, n);
  }

  void operate(Epoch& epoch, Worker& worker) {
    const size_t n = worker.below(kKeys);
    Operation operation;
    operation.client = worker.number;
    operation.key = key(epoch, n);
    const uint64_t dice = worker.below(10);
    operation.kind = dice < 4 ? OperationKind::kRead : dice < 7 ? OperationKind::kWrite : OperationKind::kCompareAndSet;
    if (operation.kind != OperationKind::kRead) operation.argument = fmt::format("{}.{}", worker.number, ++values_);
    if (operation.kind == OperationKind::kCompareAndSet) {
      const std::lock_guard lock(epoch.mutex);
      operation.expected = epoch.last_seen[n];
    }
    operation.start = now();
    const Outcome outcome = carry_out(worker, &operation);
    const testing::Time end = now();
    context_.report.count(kName, outcome);
    const bool reads = operation.kind == OperationKind::kRead;
    if (outcome == Outcome::kRefused || (reads && outcome != Outcome::kDone)) return;
    if (outcome == Outcome::kDone) {
      operation.end = end;
      if (!reads) context_.report.acknowledged(operation.start, end);
    }
    const std::lock_guard lock(epoch.mutex);
    if (reads) {
      epoch.last_seen[n] = operation.result;
    } else if (outcome == Outcome::kDone && operation.took_place) {
      epoch.last_seen[n] = operation.argument;
    }
    epoch.history.push_back(std::move(operation));
  }

  static Outcome carry_out(Worker& worker, Operation* operation) {
    Store& store = *worker.store;
    if (operation->kind == OperationKind::kWrite) return store.write(operation->key, *operation->argument);
    if (operation->kind == OperationKind::kCompareAndSet) {
      return store.compare_and_set(operation->key, operation->expected, *operation->argument, &operation->took_place);
    }
    std::vector<Versioned> seen;
    const Outcome outcome = store.read({operation->key}, &seen);
    if (outcome == Outcome::kDone) operation->result = seen[0].value;
    return outcome;
  }

  void close(Epoch& epoch, Worker& worker) {
    for (size_t n = 0; n < kKeys; ++n) {
      Operation last;
      last.client = worker.number;
      last.key = key(epoch, n);
      const auto read = [&] {
        last.start = now();
        return carry_out(worker, &last);
      };
      if (!read_at_last(context_, kName, read)) continue;
      last.end = now();
      remember(epoch, last);
      epoch.history.push_back(last);
    }
    std::vector<std::string> lines;
    for (const Operation& operation : epoch.history) lines.push_back(testing::describe(operation));
    const std::string where = context_.report.history(kName, epoch.number, lines);
    const testing::Verdict verdict = testing::check_registers(epoch.history, {kConfigurations});
    context_.report.count(kName, "epochs");
    if (verdict.outcome == testing::Verdict::Outcome::kBad) {
      context_.report.violation(kName, verdict.key + " is not linearizable:\n" + verdict.explanation, where);
    } else if (!verdict.good()) {
      context_.report.count(kName, "undecided");
    }
  }

  // What the key may be from now on: what was read, or what a write makes of it whose answer never came.
  void remember(const Epoch& epoch, const Operation& last) {
    std::set<std::optional<std::string>> allowed = {last.result};
    for (const Operation& operation : epoch.history) {
      if (operation.open() && operation.key == last.key) allowed.insert(operation.argument);
    }
    const std::lock_guard lock(mutex_);
    left_[last.key] = std::move(allowed);
  }

  Context context_;
  std::atomic<uint64_t> values_{0};
  std::mutex mutex_;
  std::map<std::string, std::set<std::optional<std::string>>> left_;  // under mutex_
  Epochs<Epoch> epochs_;
};

}  // namespace

std::unique_ptr<Work> make_registers(Context context) { return std::make_unique<Registers>(std::move(context)); }

}  // namespace runink::workload
