// Transactions that read some lists and append to some: strict serializability (Elle). A list is a key, its value the
// elements with commas between.
//
// A transaction reads all its lists as of one moment, and then writes on condition that none has changed; so it takes
// effect within the second call, and that is its time.
#include <fmt/format.h>

#include <charconv>

#include "testing/checkers/list_append.h"
#include "work.h"

namespace runink::workload {
namespace {

using testing::ListOperation;
using testing::Transaction;

constexpr const char* kName = "appends";
constexpr size_t kLists = 6, kTransactions = 600, kMostLists = 3;

std::vector<int64_t> parse(const std::optional<std::string>& value) {
  std::vector<int64_t> out;
  if (!value) return out;
  const char* at = value->data();
  const char* const end = at + value->size();
  while (at < end) {
    int64_t element = -1;  // what cannot be read was never appended
    const auto parsed = std::from_chars(at, end, element);
    out.push_back(element);
    if (parsed.ptr == at) break;
    at = parsed.ptr + 1;
  }
  return out;
}

std::string describe(const Transaction& t) {
  static constexpr const char* kOutcomes[] = {"committed", "aborted", "unknown"};
  std::string out = fmt::format("client {} [{}, {}] {}", t.client, t.start, t.end == testing::kOpen ? 0 : t.end,
                                kOutcomes[static_cast<size_t>(t.outcome)]);
  for (const ListOperation& o : t.operations) {
    out += o.kind == ListOperation::Kind::kAppend ? fmt::format(" append {} {}", o.list, o.element)
                                                  : fmt::format(" read {} [{}]", o.list, fmt::join(o.elements, ","));
  }
  return out;
}

struct Epoch {
  explicit Epoch(uint64_t epoch) : number(epoch) {}
  const uint64_t number;
  std::mutex mutex;
  std::vector<Transaction> history;  // under mutex
};

class Appends final : public Work {
 public:
  explicit Appends(Context context)
      : context_(std::move(context)),
        epochs_(
            kTransactions, [](uint64_t number) { return std::make_unique<Epoch>(number); },
            [this](Epoch& epoch, Worker& worker) { close(epoch, worker); }) {}
  const char* name() const override { return kName; }

  void step(Worker& worker) override {
    epochs_.use(worker, [&](Epoch& epoch) { transact(epoch, worker); });
  }

  void finish(Worker& worker) override {
    epochs_.finish(worker);
    std::map<std::string, std::string> there;
    if (!read_at_last(context_, kName,
                      [&] { return worker.store->list(context_.run + "a/", context_.run + "a0", &there); })) {
      return;
    }
    for (const auto& [key, left] : left_) {
      const std::string& value = there[key];
      if (value.compare(0, left.value.size(), left.value) == 0 && (left.open || value == left.value)) continue;
      context_.report.lost(1);
      context_.report.violation(
          kName, fmt::format("list {} was [{}] when it was left, and is [{}] at the end", key, left.value, value),
          "last readings");
    }
  }

 private:
  std::string key(const Epoch& epoch, uint64_t list) const {
    return fmt::format("{}a/{:06}/{}", context_.run, epoch.number, list);
  }

  void transact(Epoch& epoch, Worker& worker) {
    std::vector<uint64_t> lists;
    const size_t wanted = 1 + worker.below(kMostLists);
    for (uint64_t list = worker.below(kLists); lists.size() < wanted; list = (list + 1 + worker.below(2)) % kLists) {
      if (std::find(lists.begin(), lists.end(), list) == lists.end()) lists.push_back(list);
    }
    std::vector<std::string> keys;
    for (const uint64_t list : lists) keys.push_back(key(epoch, list));
    Transaction t;
    t.client = worker.number;
    t.start = now();
    std::vector<Versioned> seen;
    if (const Outcome read = worker.store->read(keys, &seen); read != Outcome::kDone)
      return context_.report.count(kName, read);
    for (size_t i = 0; i < lists.size(); ++i) t.operations.push_back(reading(lists[i], seen[i]));
    const Outcome outcome = worker.below(4) == 0 ? Outcome::kDone : append(worker, lists, keys, seen, &t);
    if (outcome == Outcome::kDone) t.end = now();
    context_.report.count(kName, outcome);
    const std::lock_guard lock(epoch.mutex);
    epoch.history.push_back(std::move(t));
  }

  // To some of the lists, on condition that all are as they were read.
  Outcome append(Worker& worker, const std::vector<uint64_t>& lists, const std::vector<std::string>& keys,
                 const std::vector<Versioned>& seen, Transaction* t) {
    std::vector<Change> changes;
    for (size_t i = 0; i < lists.size(); ++i) {
      Change change{keys[i], "", seen[i].revision, i > 0 && worker.below(2) == 0};
      if (!change.only_check) {
        const auto element = static_cast<int64_t>(++elements_);
        change.value = seen[i].value ? fmt::format("{},{}", *seen[i].value, element) : fmt::to_string(element);
        t->operations.push_back({ListOperation::Kind::kAppend, lists[i], element, {}});
      }
      changes.push_back(std::move(change));
    }
    t->start = now();
    bool took_place = false;
    const Outcome outcome = worker.store->change_if(changes, &took_place);
    t->outcome = outcome == Outcome::kUnknown              ? Transaction::Outcome::kUnknown
                 : outcome == Outcome::kDone && took_place ? Transaction::Outcome::kCommitted
                                                           : Transaction::Outcome::kAborted;
    if (t->outcome == Transaction::Outcome::kCommitted) {
      context_.report.count(kName, "committed");
      context_.report.acknowledged(t->start, now());
    }
    return outcome;
  }

  static ListOperation reading(uint64_t list, const Versioned& seen) {
    return {ListOperation::Kind::kRead, list, 0, parse(seen.value)};
  }

  void close(Epoch& epoch, Worker& worker) {
    std::vector<std::string> keys;
    for (uint64_t list = 0; list < kLists; ++list) keys.push_back(key(epoch, list));
    Transaction last;
    last.client = worker.number;
    std::vector<Versioned> seen;
    const auto read = [&] {
      last.start = now();
      return worker.store->read(keys, &seen);
    };
    if (read_at_last(context_, kName, read)) {
      last.end = now();
      for (uint64_t list = 0; list < kLists; ++list) last.operations.push_back(reading(list, seen[list]));
      const bool open = std::any_of(epoch.history.begin(), epoch.history.end(),
                                    [](const Transaction& t) { return t.outcome == Transaction::Outcome::kUnknown; });
      const std::lock_guard lock(mutex_);
      for (size_t i = 0; i < keys.size(); ++i) left_[keys[i]] = {seen[i].value.value_or(""), open};
    }
    if (!last.operations.empty()) epoch.history.push_back(std::move(last));
    std::vector<std::string> lines;
    for (const Transaction& t : epoch.history) lines.push_back(describe(t));
    const std::string where = context_.report.history(kName, epoch.number, lines);
    context_.report.count(kName, "epochs");
    for (const testing::Anomaly& anomaly : testing::check_list_append(epoch.history))
      context_.report.violation(kName, testing::name(anomaly) + ": " + anomaly.text, where);
  }

  struct Left {
    std::string value;
    bool open = false;  // an append whose answer never came may still be added
  };
  Context context_;
  std::atomic<uint64_t> elements_{0};
  std::mutex mutex_;
  std::map<std::string, Left> left_;  // under mutex_
  Epochs<Epoch> epochs_;
};

}  // namespace

std::unique_ptr<Work> make_appends(Context context) { return std::make_unique<Appends>(std::move(context)); }

}  // namespace runink::workload
