#include "testing/sim/watchers.h"

#include <fmt/format.h>

#include <algorithm>

namespace runink::testing {

Watchers::Watchers(NodeContext& context, std::vector<raft::NodeId>* members) : context_(context), members_(members) {
  const auto add = [&](std::string first, std::string behind, bool puts, bool deletes) {
    Watcher w;
    w.request.first = std::move(first);
    w.request.behind = std::move(behind);
    w.request.puts = puts;
    w.request.deletes = deletes;
    watchers_.push_back(std::move(w));
  };
  add("", "", true, true);
  add("key-2", std::string("key-2\0", 6), true, true);  // one key
  add("list-", "list.", true, false);                   // a prefix
  add("key-1", "key-4", false, true);                   // a range
}

void Watchers::start() {
  for (size_t i = 0; i < watchers_.size(); ++i) later(i);
}

void Watchers::later(size_t watcher) {
  Random& random = context_.world.random;
  // Some sleep for so long that what they need is forgotten meanwhile.
  const Micros pause = random.chance(0.02) ? random.between(2'000'000, 12'000'000) : random.between(5'000, 250'000);
  context_.world.after(pause, [this, watcher] {
    if (stopped_) return;
    ask(watcher);
    later(watcher);
  });
}

bool Watchers::registered(const Watcher& w, Node& node) const {
  return w.node == node.id() && w.life == node.life() && w.generation == node.replica().state_generation();
}

void Watchers::ask(size_t watcher) {
  Watcher& w = watchers_[watcher];
  Random& random = context_.world.random;
  if (w.node == 0) w.node = (*members_)[random.below(members_->size())];
  Node* const node = context_.find(w.node);
  if (node == nullptr || !node->serves()) {
    if (random.chance(0.5)) w.node = 0;  // elsewhere
    w.id = 0;
    return;
  }
  if (w.id != 0 && !registered(w, *node)) {
    if (w.life == node->life()) ++totals_.snapshots;  // another state has come under it
    w.id = 0;
  }
  if (w.id == 0 && !open(w, *node)) return;
  while (poll(w, *node) && random.chance(0.7)) {
  }
  if (w.id != 0 && random.chance(0.03)) {  // now and then it goes by itself
    node->replica().hub().cancel(w.id);
    w.id = 0;
    w.node = 0;
  }
}

// Begins a watch at this member: behind what it was told, or from now.
bool Watchers::open(Watcher& w, Node& node) {
  const bool resumes = w.current != kNone && w.resumes;
  Watch watch;
  watch.request = w.request;
  watch.request.from_revision = resumes ? w.told + 1 : node.replica().position().index + 1;
  if (resumes) {
    watch.resumes = w.current;
    ++totals_.resumed;
  }
  w.current = history_.size();
  w.resumes = true;
  w.told = watch.request.from_revision - 1;
  history_.push_back(std::move(watch));

  barn::WatchRequest request;
  request.range = {w.request.first, w.request.behind};
  request.from = history_.back().request.from_revision;
  request.puts = w.request.puts;
  request.deletes = w.request.deletes;
  // What it was told is known to be committed, whatever this member has of it.
  const auto id = node.replica().hub().watch(request, w.told);
  if (!id.ok()) {
    gone(w, id.status(), node);
    return false;
  }
  w.id = *id;
  w.life = node.life();
  w.generation = node.replica().state_generation();
  return true;
}

// True: there may be more at once.
bool Watchers::poll(Watcher& w, Node& node) {
  const size_t most = static_cast<size_t>(context_.world.random.between(1, 4096));
  auto got = node.replica().hub().poll(w.id, most);
  if (!got.ok()) {
    gone(w, got.status(), node);
    return false;
  }
  WatchMessage message;
  for (const auto& at : got->changes) {
    for (const barn::WatchEvent& event : at.events) {
      const bool put = event.kind == barn::EventKind::kPut;
      message.changes.push_back({at.index, event.item.key, put ? std::optional(event.item.value) : std::nullopt});
    }
    w.told = std::max<uint64_t>(w.told, at.index);
  }
  totals_.changes += message.changes.size();
  if (got->through > w.told || (got->through != 0 && !message.changes.empty())) {
    message.bookmark = got->through;
    w.told = std::max<uint64_t>(w.told, got->through);
    ++totals_.bookmarks;
  }
  if (!message.changes.empty() || message.bookmark) history_[w.current].messages.push_back(std::move(message));
  return got->more;
}

void Watchers::gone(Watcher& w, const Status& status, Node& node) {
  w.id = 0;
  if (status.kind() == "barn.watch.compacted") {
    WatchMessage end;
    end.compacted = node.replica().hub().oldest() - 1;
    history_[w.current].messages.push_back(std::move(end));
    w.resumes = false;
    w.node = 0;
    ++totals_.compacted;
  } else {
    context_.oracle.fail(
        fmt::format("a watch at node {} from index {} on ended: {}", node.id(), w.told + 1, status.to_string()));
  }
}

void Watchers::finish(raft::Index last) {
  for (size_t i = 0; i < watchers_.size(); ++i) {
    Watcher& w = watchers_[i];
    // At somebody who has everything.
    for (const raft::NodeId id : *members_) {
      Node* const node = context_.find(id);
      if (node == nullptr || !node->serves() || node->replica().position().index != last) continue;
      if (w.id != 0 && !registered(w, *node)) w.id = 0;
      w.node = id;
      if (w.id == 0 && !open(w, *node) && !open(w, *node)) break;  // compacted, then from now
      while (w.id != 0 && poll(w, *node)) {
      }
      if (w.id != 0) history_[w.current].complete_through = last;
      break;
    }
  }
}

}  // namespace runink::testing
