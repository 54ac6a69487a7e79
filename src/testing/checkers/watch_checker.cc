#include "testing/checkers/watch_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/text.h"

namespace runink::testing {
namespace {

constexpr size_t kMostFaults = 16;
using Promise = WatchFault::Promise;

std::string shown(const Change& c) {
  return fmt::format("revision {} {}{}", c.revision, json_quote(c.key.substr(0, 40)),
                     c.value ? " = " + json_quote(c.value->substr(0, 40)) : " deleted");
}

bool wanted(const WatchRequest& request, const Change& c) {
  return c.revision >= request.from_revision && c.key >= request.first &&
         (request.behind.empty() || c.key < request.behind) && (c.value ? request.puts : request.deletes);
}

class OneWatch {
 public:
  OneWatch(const std::vector<Change>& log, const std::vector<Watch>& watches, size_t number,
           std::vector<WatchFault>* faults)
      : watches_(watches), watch_(watches[number]), number_(number), faults_(faults) {
    for (const Change& c : log) {
      if (wanted(watch_.request, c)) expected_.push_back(&c);
    }
  }

  void run() {
    check_resumption();
    for (const WatchMessage& message : watch_.messages) {
      if (ended_) fault(Promise::kReliable, "a message came after the watch had been ended");
      look_at(message);
    }
    if (watch_.complete_through) {
      for (size_t i = next_; i < expected_.size() && expected_[i]->revision <= *watch_.complete_through && !ended_;
           ++i) {
        if (!came_.contains(i)) fault(Promise::kReliable, shown(*expected_[i]) + " never came");
      }
    }
  }

  // The last revision that a watch was told of, by a change or a bookmark.
  static uint64_t told(const Watch& watch) {
    uint64_t last = watch.request.from_revision - 1;
    for (const WatchMessage& m : watch.messages) {
      for (const Change& c : m.changes) last = std::max(last, c.revision);
      if (m.bookmark) last = std::max(last, *m.bookmark);
    }
    return last;
  }

 private:
  void fault(Promise promise, std::string text) {
    if (++found_ <= kMostFaults) faults_->push_back({promise, number_, fmt::format("watch {}: {}", number_, text)});
  }

  void check_resumption() {
    if (!watch_.resumes) return;
    RUNINK_CHECK(*watch_.resumes < watches_.size());
    const uint64_t last = told(watches_[*watch_.resumes]);
    if (watch_.request.from_revision != last + 1) {
      fault(Promise::kResumable,
            fmt::format("it began at revision {}, its predecessor was told of {}", watch_.request.from_revision, last));
    }
  }

  void look_at(const WatchMessage& message) {
    if (!message.changes.empty() && last_revision_ != 0 && message.changes.front().revision == last_revision_) {
      fault(Promise::kAtomic, fmt::format("revision {} came in two messages", last_revision_));
    }
    for (const Change& c : message.changes) look_at(c);
    check_whole(message);
    if (message.bookmark) look_at_bookmark(*message.bookmark);
    if (message.compacted) {
      ended_ = true;
      // Nothing stands in the way of going on unless what is still to come is among what is gone.
      const uint64_t needed = std::max(watch_.request.from_revision, std::max(last_revision_, bookmark_) + 1);
      if (needed > *message.compacted) {
        fault(Promise::kResumable,
              fmt::format("it ended because revisions up to {} are gone, what it needed begins at {}",
                          *message.compacted, needed));
      }
    }
  }

  void look_at(const Change& c) {
    if (c.revision < last_revision_) {
      fault(Promise::kOrdered, fmt::format("{} came after revision {}", shown(c), last_revision_));
    } else if (c.revision <= bookmark_) {
      fault(Promise::kBookmarkable, fmt::format("{} came after the bookmark of {}", shown(c), bookmark_));
    }
    last_revision_ = std::max(last_revision_, c.revision);
    if (!wanted(watch_.request, c)) return fault(Promise::kFiltered, shown(c) + " was not asked for");
    const auto end = expected_.cend();
    const auto same =
        std::find_if(lower(c.revision), end, [&](const Change* e) { return e->revision > c.revision || *e == c; });
    if (same == end || !(**same == c)) return fault(Promise::kFiltered, shown(c) + " never happened");
    const auto at = static_cast<size_t>(same - expected_.cbegin());
    if (!came_.insert(at).second) return fault(Promise::kUnique, shown(c) + " came twice");
    // Within a revision any order will do. Of one that was torn apart the message's own check has told.
    for (; next_ < at && expected_[next_]->revision < c.revision; ++next_) {
      if (came_.contains(next_) || torn_.contains(expected_[next_]->revision)) continue;
      fault(Promise::kReliable, shown(*expected_[next_]) + " was left out before " + shown(c));
    }
  }

  // After a message: each revision that it speaks of is here whole.
  void check_whole(const WatchMessage& message) {
    for (const Change& c : message.changes) {
      for (auto e = lower(c.revision); e != expected_.cend() && (*e)->revision == c.revision; ++e) {
        if (came_.contains(static_cast<size_t>(e - expected_.cbegin())) || !torn_.insert(c.revision).second) continue;
        fault(Promise::kAtomic, fmt::format("a message had some of revision {} and not {}", c.revision, shown(**e)));
      }
    }
  }

  void look_at_bookmark(uint64_t revision) {
    for (; next_ < expected_.size() && expected_[next_]->revision <= revision; ++next_) {
      if (!came_.contains(next_))
        fault(Promise::kBookmarkable,
              fmt::format("{} had not come when the bookmark of {} did", shown(*expected_[next_]), revision));
    }
    if (revision < last_revision_)
      fault(Promise::kBookmarkable, fmt::format("the bookmark of {} came after revision {}", revision, last_revision_));
    bookmark_ = std::max(bookmark_, revision);
  }

  std::vector<const Change*>::const_iterator lower(uint64_t revision) const {
    return std::lower_bound(expected_.begin(), expected_.end(), revision,
                            [](const Change* e, uint64_t r) { return e->revision < r; });
  }

  const std::vector<Watch>& watches_;
  const Watch& watch_;
  size_t number_;
  std::vector<WatchFault>* faults_;
  std::vector<const Change*> expected_;
  std::set<size_t> came_;    // of expected_
  std::set<uint64_t> torn_;  // revisions that did not come whole
  size_t next_ = 0;          // all of expected_ before this one were looked for
  uint64_t last_revision_ = 0, bookmark_ = 0;
  size_t found_ = 0;
  bool ended_ = false;
};

}  // namespace

const char* name(Promise promise) {
  static constexpr const char* kNames[] = {"ordered",   "unique",       "reliable", "atomic",
                                           "resumable", "bookmarkable", "filtered"};
  return kNames[static_cast<size_t>(promise)];
}

std::vector<WatchFault> check_watches(const std::vector<Change>& log, const std::vector<Watch>& watches) {
  RUNINK_CHECK(
      std::is_sorted(log.begin(), log.end(), [](const Change& a, const Change& b) { return a.revision < b.revision; }));
  std::vector<WatchFault> faults;
  for (size_t i = 0; i < watches.size(); ++i) OneWatch(log, watches, i, &faults).run();
  return faults;
}

}  // namespace runink::testing
