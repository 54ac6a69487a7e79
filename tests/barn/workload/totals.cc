// Sets: each element is a key of its own; what was acknowledged is there, also at the end. Counters: puts to one key,
// whose version counts them; a put that is repeated because its answer was lost counts once.
#include "testing/checkers/totals.h"

#include <fmt/format.h>

#include "work.h"

namespace runink::workload {
namespace {

constexpr size_t kElements = 400, kPuts = 300, kCounters = 3;

struct SetEpoch {
  explicit SetEpoch(uint64_t epoch) : number(epoch) {}
  const uint64_t number;
  std::mutex mutex;
  std::vector<testing::SetAdd> adds;    // under mutex
  std::vector<testing::SetRead> reads;  // under mutex
};

class Sets final : public Work {
 public:
  explicit Sets(Context context)
      : context_(std::move(context)),
        epochs_(
            kElements, [](uint64_t number) { return std::make_unique<SetEpoch>(number); },
            [this](SetEpoch& epoch, Worker& worker) { close(epoch, worker); }) {}
  const char* name() const override { return "sets"; }

  void step(Worker& worker) override {
    epochs_.use(worker, [&](SetEpoch& epoch) {
      if (worker.below(50) == 0) {
        testing::SetRead read;
        const Outcome outcome = list(epoch, worker, &read);
        context_.report.count(name(), outcome);
        const std::lock_guard lock(epoch.mutex);
        if (outcome == Outcome::kDone) epoch.reads.push_back(std::move(read));
        return;
      }
      testing::SetAdd add;
      add.element = static_cast<int64_t>(++elements_);
      add.start = now();
      const Outcome outcome = worker.store->write(prefix(epoch) + fmt::format("{:010}", add.element), "1");
      if (outcome == Outcome::kDone) {
        add.end = now();
        context_.report.acknowledged(add.start, add.end);
      }
      add.refused = outcome == Outcome::kRefused;
      context_.report.count(name(), outcome);
      const std::lock_guard lock(epoch.mutex);
      epoch.adds.push_back(add);
    });
  }

  void finish(Worker& worker) override {
    epochs_.finish(worker);
    std::map<std::string, std::string> there;
    if (!read_at_last(context_, name(),
                      [&] { return worker.store->list(context_.run + "s/", context_.run + "s0", &there); })) {
      return;
    }
    uint64_t lost = 0;
    for (const std::string& key : acknowledged_) lost += there.contains(key) ? 0 : 1;
    context_.report.count(name(), "present_at_end", acknowledged_.size() - lost);
    if (lost == 0) return;
    context_.report.lost(lost);
    context_.report.violation(name(), fmt::format("{} acknowledged elements are missing at the end", lost),
                              "last readings");
  }

 private:
  std::string prefix(const SetEpoch& epoch) const { return fmt::format("{}s/{:06}/", context_.run, epoch.number); }

  Outcome list(const SetEpoch& epoch, Worker& worker, testing::SetRead* read) {
    std::map<std::string, std::string> there;
    const std::string from = prefix(epoch);
    read->start = now();
    const Outcome outcome = worker.store->list(from, from + "~", &there);
    read->end = now();
    for (const auto& [key, value] : there) read->elements.push_back(std::stoll(key.substr(from.size())));
    return outcome;
  }

  void close(SetEpoch& epoch, Worker& worker) {
    testing::SetRead last;
    const auto read = [&] {
      last = {};
      return list(epoch, worker, &last);
    };
    if (read_at_last(context_, name(), read)) epoch.reads.push_back(std::move(last));
    std::vector<std::string> lines;
    for (const testing::SetAdd& add : epoch.adds) {
      const char* const outcome = add.refused ? "refused" : add.end == testing::kOpen ? "unknown" : "added";
      lines.push_back(
          fmt::format("add {} [{}, {}] {}", add.element, add.start, add.end == testing::kOpen ? 0 : add.end, outcome));
    }
    for (const testing::SetRead& each : epoch.reads)
      lines.push_back(fmt::format("read [{}, {}] {}", each.start, each.end, fmt::join(each.elements, ",")));
    const std::string where = context_.report.history(name(), epoch.number, lines);
    context_.report.count(name(), "epochs");
    for (const std::string& fault : testing::check_set(epoch.adds, epoch.reads))
      context_.report.violation(name(), fault, where);
    const std::lock_guard lock(mutex_);
    for (const testing::SetAdd& add : epoch.adds) {
      if (add.end != testing::kOpen) acknowledged_.push_back(prefix(epoch) + fmt::format("{:010}", add.element));
    }
  }

  Context context_;
  std::atomic<uint64_t> elements_{0};
  std::mutex mutex_;
  std::vector<std::string> acknowledged_;  // under mutex_
  Epochs<SetEpoch> epochs_;
};

struct CounterEpoch {
  explicit CounterEpoch(uint64_t epoch) : number(epoch) {}
  const uint64_t number;
  std::mutex mutex;
  std::vector<testing::CounterAdd> adds[kCounters];    // under mutex
  std::vector<testing::CounterRead> reads[kCounters];  // under mutex
};

class Counters final : public Work {
 public:
  explicit Counters(Context context)
      : context_(std::move(context)),
        epochs_(
            kPuts, [](uint64_t number) { return std::make_unique<CounterEpoch>(number); },
            [this](CounterEpoch& epoch, Worker& worker) { close(epoch, worker); }) {}
  const char* name() const override { return "counters"; }

  void step(Worker& worker) override {
    epochs_.use(worker, [&](CounterEpoch& epoch) {
      const size_t n = worker.below(kCounters);
      if (worker.below(8) == 0) {
        (void)read(epoch, n, worker);
        return;
      }
      testing::CounterAdd add;
      add.start = now();
      const Outcome outcome = worker.store->write(key(epoch, n), fmt::to_string(worker.number));
      context_.report.count(name(), outcome);
      if (outcome == Outcome::kRefused) return;
      if (outcome == Outcome::kDone) {
        add.end = now();
        context_.report.acknowledged(add.start, add.end);
      }
      const std::lock_guard lock(epoch.mutex);
      epoch.adds[n].push_back(add);
    });
  }

  void finish(Worker& worker) override { epochs_.finish(worker); }

 private:
  std::string key(const CounterEpoch& epoch, size_t n) const {
    return fmt::format("{}c/{:06}/{}", context_.run, epoch.number, n);
  }

  Outcome read(CounterEpoch& epoch, size_t n, Worker& worker) {
    testing::CounterRead read;
    std::vector<Versioned> seen;
    read.start = now();
    const Outcome outcome = worker.store->read({key(epoch, n)}, &seen);
    read.end = now();
    if (outcome != Outcome::kDone) return outcome;
    read.value = static_cast<int64_t>(seen[0].version);
    const std::lock_guard lock(epoch.mutex);
    epoch.reads[n].push_back(read);
    return outcome;
  }

  void close(CounterEpoch& epoch, Worker& worker) {
    for (size_t n = 0; n < kCounters; ++n) {
      (void)read_at_last(context_, name(), [&] { return read(epoch, n, worker); });
      std::vector<std::string> lines;
      for (const testing::CounterAdd& add : epoch.adds[n])
        lines.push_back(fmt::format("put {} [{}, {}]", n, add.start, add.end == testing::kOpen ? 0 : add.end));
      for (const testing::CounterRead& each : epoch.reads[n])
        lines.push_back(fmt::format("version {} [{}, {}] = {}", n, each.start, each.end, each.value));
      const std::string where = context_.report.history(name(), epoch.number, lines);
      for (const std::string& fault : testing::check_counter(epoch.adds[n], epoch.reads[n]))
        context_.report.violation(name(), key(epoch, n) + ": " + fault, where);
    }
    context_.report.count(name(), "epochs");
  }

  Context context_;
  Epochs<CounterEpoch> epochs_;
};

}  // namespace

std::unique_ptr<Work> make_sets(Context context) { return std::make_unique<Sets>(std::move(context)); }
std::unique_ptr<Work> make_counters(Context context) { return std::make_unique<Counters>(std::move(context)); }

}  // namespace runink::workload
