// Watchers, while keys are put, deleted and put several at a time: the seven promises of etcd's watches.
//
// The log of what has happened is what writers were told, index by index. A write whose answer never came belongs to it
// if some watcher saw it: then it took place, whole, at that index.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "testing/checkers/watch_checker.h"
#include "work.h"

namespace runink::workload {
namespace {

namespace v1 = runink::barn::v1;

constexpr const char* kName = "watches";
constexpr size_t kKeys = 12, kWrites = 500, kWatches = 3;
constexpr uint64_t kResumeOneIn = 60;
constexpr uint64_t kAnything = ~uint64_t{0};

using Changes = std::vector<testing::Change>;  // of one write; revisions are set when they are known

// One watch and what it was told. Its callbacks come on the client's thread.
class Watcher {
 public:
  Watcher(sdk::BarnClient& client, const std::string& from, const std::string& to, uint64_t from_index,
          uint64_t incarnation) {
    record_.request.first = from;
    record_.request.behind = to;
    record_.request.from_revision = from_index;
    v1::WatchRequest request;
    request.set_from(from);
    request.set_to(to);
    request.set_from_index(from_index);
    request.set_incarnation(incarnation);
    sdk::WatchHandlers handlers;
    handlers.on_begin = [this, from_index](uint64_t index, uint64_t heard) {
      const std::lock_guard lock(mutex_);
      begun_ = true;
      incarnation_ = heard;
      if (from_index == 0) record_.request.from_revision = index + 1;
    };
    handlers.on_changes = [this](const v1::WatchResponse& response) { note(response); };
    handlers.on_end = [this](const Status& why) {
      const std::lock_guard lock(mutex_);
      end_ = why;
    };
    watch_ = client.watch(std::move(request), std::move(handlers));
  }
  ~Watcher() { watch_.reset(); }

  void stop() { watch_.reset(); }
  bool begun() {
    const std::lock_guard lock(mutex_);
    return begun_ && end_.ok();
  }
  uint64_t incarnation() {
    const std::lock_guard lock(mutex_);
    return incarnation_;
  }
  Status end() {
    const std::lock_guard lock(mutex_);
    return end_;
  }
  uint64_t told() {
    const std::lock_guard lock(mutex_);
    uint64_t last = record_.request.from_revision - 1;
    for (const testing::WatchMessage& message : record_.messages) {
      for (const testing::Change& change : message.changes) last = std::max(last, change.revision);
      if (message.bookmark) last = std::max(last, *message.bookmark);
    }
    return last;
  }
  testing::Watch record() {
    const std::lock_guard lock(mutex_);
    return record_;
  }

 private:
  void note(const v1::WatchResponse& response) {
    testing::WatchMessage message;
    for (const auto& at : response.changes()) {
      for (const v1::WatchEvent& event : at.events()) {
        testing::Change change;
        change.revision = at.index();
        change.key = event.item().key();
        if (!event.deleted()) change.value = event.item().value();
        message.changes.push_back(std::move(change));
      }
    }
    if (response.through() != 0) message.bookmark = response.through();
    const std::lock_guard lock(mutex_);
    record_.messages.push_back(std::move(message));
  }

  std::mutex mutex_;
  testing::Watch record_;  // under mutex_, and the rest
  bool begun_ = false;
  uint64_t incarnation_ = 0;
  Status end_;
  std::unique_ptr<sdk::Watch> watch_;  // not under it: its end waits for callbacks
};

struct Epoch {
  explicit Epoch(uint64_t epoch) : number(epoch) {}
  const uint64_t number;
  std::mutex mutex;  // all of the rest
  Changes log;
  std::vector<Changes> unknown;
  std::vector<std::unique_ptr<Watcher>> watchers;
  std::vector<std::optional<size_t>> resumes;  // of each watcher
  std::vector<size_t> current;                 // who is the last one of each line of watches
};

class Watches final : public Work {
 public:
  explicit Watches(Context context)
      : context_(std::move(context)),
        epochs_(
            kWrites, [](uint64_t number) { return std::make_unique<Epoch>(number); },
            [this](Epoch& epoch, Worker& worker) { close(epoch, worker); }) {}
  const char* name() const override { return kName; }

  void step(Worker& worker) override {
    epochs_.use(worker, [&](Epoch& epoch) {
      begin_watches(epoch, worker);
      if (worker.below(kResumeOneIn) == 0) resume_one(epoch, worker);
      write(epoch, worker);
    });
  }
  void finish(Worker& worker) override { epochs_.finish(worker); }

 private:
  std::string prefix(const Epoch& epoch) const { return fmt::format("{}w/{:06}/", context_.run, epoch.number); }

  void add_watcher(Epoch& epoch, Worker& worker, std::optional<size_t> resumes, uint64_t from, uint64_t incarnation) {
    epoch.watchers.push_back(
        std::make_unique<Watcher>(*worker.client, prefix(epoch), prefix(epoch) + "~", from, incarnation));
    epoch.resumes.push_back(resumes);
  }

  void begin_watches(Epoch& epoch, Worker& worker) {
    const std::lock_guard lock(epoch.mutex);
    if (!epoch.watchers.empty()) return;
    for (size_t i = 0; i < kWatches; ++i) {
      add_watcher(epoch, worker, std::nullopt, 0, 0);
      epoch.current.push_back(i);
    }
  }

  // One is broken off, and another goes on behind what it was told.
  void resume_one(Epoch& epoch, Worker& worker) {
    const std::lock_guard lock(epoch.mutex);
    size_t& current = epoch.current[worker.below(epoch.current.size())];
    Watcher& old = *epoch.watchers[current];
    if (!old.begun()) return;
    old.stop();
    add_watcher(epoch, worker, current, old.told() + 1, old.incarnation());
    current = epoch.watchers.size() - 1;
    context_.report.count(kName, "resumed");
  }

  void write(Epoch& epoch, Worker& worker) {
    v1::TxnRequest request;
    Changes changes;
    const uint64_t dice = worker.below(10);
    const size_t several = dice < 2 ? 3 : 1;
    const size_t first = worker.below(kKeys);
    for (size_t i = 0; i < several; ++i) {
      testing::Change change;
      change.key = fmt::format("{}{:02}", prefix(epoch), (first + i) % kKeys);
      v1::TxnOp& op = *request.add_then_ops();
      if (dice >= 8) {
        op.mutable_delete_()->set_key(change.key);
      } else {
        change.value = fmt::format("{}.{}", worker.number, ++values_);
        op.mutable_put()->set_key(change.key);
        op.mutable_put()->set_value(*change.value);
      }
      changes.push_back(std::move(change));
    }
    const testing::Time start = now();
    const auto done = worker.client->txn(std::move(request));
    const Outcome outcome = outcome_of(done.status());
    context_.report.count(kName, outcome);
    const std::lock_guard lock(epoch.mutex);
    if (outcome == Outcome::kUnknown) epoch.unknown.push_back(std::move(changes));
    if (outcome != Outcome::kDone) return;
    context_.report.acknowledged(start, now());
    for (size_t i = 0; i < changes.size(); ++i) {
      if (!changes[i].value && done->ops(static_cast<int>(i)).deleted() == 0) continue;  // nothing was there
      changes[i].revision = done->index();
      epoch.log.push_back(std::move(changes[i]));
    }
  }

  // A last change, which ends the wait for all before it. Its index, 0: patience has ended.
  uint64_t put_last(Epoch& epoch, Worker& worker) {
    do {
      testing::Change last{0, prefix(epoch) + "end", fmt::format("end {}", ++values_)};
      v1::PutRequest request;
      request.set_key(last.key);
      request.set_value(*last.value);
      const auto done = worker.client->put(std::move(request));
      if (outcome_of(done.status()) == Outcome::kUnknown) epoch.unknown.push_back({last});
      if (!done.ok()) continue;
      last.revision = done->index();
      epoch.log.push_back(std::move(last));
      return done->index();
    } while (context_.patience.sleep(200'000'000));
    return 0;
  }

  bool wait_for(Watcher& watcher, uint64_t index) {
    while (watcher.told() < index) {
      if (!watcher.end().ok()) return false;
      if (!context_.patience.sleep(20'000'000)) return false;
    }
    return true;
  }

  void close(Epoch& epoch, Worker& worker) {
    const std::lock_guard lock(epoch.mutex);
    const uint64_t last = put_last(epoch, worker);
    if (last == 0) return context_.report.unchecked(kName, "the last write of an epoch was not accepted");
    // One more that begins with all that has happened here: it comes, or the past is said to be compacted.
    const uint64_t first = std::min_element(epoch.log.begin(), epoch.log.end(), [](const auto& a, const auto& b) {
                             return a.revision < b.revision;
                           })->revision;
    const uint64_t incarnation = epoch.watchers.empty() ? 0 : epoch.watchers[epoch.current[0]]->incarnation();
    add_watcher(epoch, worker, std::nullopt, first, incarnation);
    epoch.current.push_back(epoch.watchers.size() - 1);

    std::vector<testing::Watch> records(epoch.watchers.size());
    std::vector<std::string> silent;
    for (const size_t i : epoch.current) {
      Watcher& watcher = *epoch.watchers[i];
      const bool all = wait_for(watcher, last);
      records[i].complete_through = all ? std::optional<uint64_t>(last) : std::nullopt;
      if (all) continue;
      if (watcher.end().kind() == "barn.watch.compacted") {
        context_.report.count(kName, "compacted");
      } else {
        silent.push_back(fmt::format("watch {} was told of {} and not of {}: {}", i, watcher.told(), last,
                                     watcher.end().ok() ? "it goes on" : watcher.end().to_string()));
      }
    }
    for (size_t i = 0; i < epoch.watchers.size(); ++i) {
      epoch.watchers[i]->stop();
      testing::Watch record = epoch.watchers[i]->record();
      record.complete_through = records[i].complete_through;
      record.resumes = epoch.resumes[i];
      if (!epoch.watchers[i]->end().ok()) record.messages.push_back({{}, std::nullopt, kAnything});
      records[i] = std::move(record);
    }
    const Changes log = whole_log(epoch, records);
    const std::string where = context_.report.history(kName, epoch.number, lines_of(log, records));
    context_.report.count(kName, "epochs");
    context_.report.count(kName, "watches", records.size());
    for (const std::string& text : silent) context_.report.violation(kName, text, where);
    for (const testing::WatchFault& fault : testing::check_watches(log, records))
      context_.report.violation(kName, fmt::format("{}: {}", testing::name(fault.promise), fault.text), where);
  }

  // What writers were told of, and of the rest what somebody saw.
  static Changes whole_log(const Epoch& epoch, const std::vector<testing::Watch>& watches) {
    const auto less = [](const testing::Change& a, const testing::Change& b) {
      return std::tie(a.revision, a.key, a.value) < std::tie(b.revision, b.key, b.value);
    };
    Changes log = epoch.log;
    std::set<testing::Change, decltype(less)> known(log.begin(), log.end(), less);
    std::vector<Changes> unknown = epoch.unknown;
    for (const testing::Watch& watch : watches) {
      for (const testing::WatchMessage& message : watch.messages) {
        for (const testing::Change& seen : message.changes) {
          if (known.contains(seen)) continue;
          for (auto each = unknown.begin(); each != unknown.end(); ++each) {
            const bool same = std::any_of(each->begin(), each->end(), [&](const testing::Change& change) {
              return change.key == seen.key && change.value == seen.value;
            });
            if (!same) continue;
            for (testing::Change change : *each) {
              change.revision = seen.revision;
              if (known.insert(change).second) log.push_back(std::move(change));
            }
            unknown.erase(each);
            break;
          }
        }
      }
    }
    std::sort(log.begin(), log.end(), less);
    return log;
  }

  static std::vector<std::string> lines_of(const Changes& log, const std::vector<testing::Watch>& watches) {
    std::vector<std::string> out;
    for (const testing::Change& change : log)
      out.push_back(fmt::format("log {} {} = {}", change.revision, change.key, change.value.value_or("(deleted)")));
    for (size_t i = 0; i < watches.size(); ++i) {
      const testing::Watch& watch = watches[i];
      out.push_back(fmt::format("watch {} from {} resumes {}", i, watch.request.from_revision,
                                watch.resumes ? fmt::to_string(*watch.resumes) : "nothing"));
      for (const testing::WatchMessage& message : watch.messages) {
        std::string line = fmt::format("watch {} told", i);
        for (const testing::Change& change : message.changes)
          line += fmt::format(" {}:{}={}", change.revision, change.key, change.value.value_or("(deleted)"));
        if (message.bookmark) line += fmt::format(" through {}", *message.bookmark);
        if (message.compacted) line += " ended";
        out.push_back(std::move(line));
      }
    }
    return out;
  }

  Context context_;
  std::atomic<uint64_t> values_{0};
  Epochs<Epoch> epochs_;
};

}  // namespace

std::unique_ptr<Work> make_watches(Context context) { return std::make_unique<Watches>(std::move(context)); }

}  // namespace runink::workload
