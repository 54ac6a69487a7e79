#include "testing/sim/lists.h"

#include <fmt/format.h>

#include <charconv>

namespace runink::testing {
namespace {

std::vector<int64_t> elements_of(const std::string& value) {
  std::vector<int64_t> out;
  const char* at = value.data();
  const char* const end = at + value.size();
  while (at < end) {
    int64_t element = -1;  // of what is no number: nobody has appended it
    const auto read = std::from_chars(at, end, element);
    out.push_back(element);
    at = read.ptr < end && *read.ptr == ' ' ? read.ptr + 1 : end;
  }
  return out;
}

}  // namespace

std::string ListClients::key_of(uint64_t list) { return "list-" + std::to_string(list); }

ListClients::ListClients(NodeContext& context, ListOptions options, std::vector<raft::NodeId>* members)
    : context_(context), options_(options), members_(members), clients_(options.clients) {
  for (size_t i = 0; i < clients_.size(); ++i) clients_[i].id = i + 1;
}

void ListClients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) next(i);
}

void ListClients::next(size_t client) {
  if (stopped_) return;
  context_.world.after(context_.world.random.between(options_.think_min, options_.think_max), [this, client] {
    if (!stopped_) begin(client);
  });
}

void ListClients::begin(size_t client) {
  Random& random = context_.world.random;
  auto task = std::make_shared<Task>();
  task->transaction.client = clients_[client].id;
  task->transaction.start = context_.world.now();
  task->writes = random.chance(0.7);
  // The lists move on, so that none becomes long.
  const uint64_t first = appended_ / options_.elements_per_list;
  const size_t count = 1 + random.below(2);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t list = first + random.below(options_.lists);
    if (i == 1 && list == task->seen[0].list) break;
    task->seen.push_back({list, 0, {}});
  }
  context_.world.after(options_.wait, [this, client, task] {
    if (!task->over) {
      clients_[client].believed = 0;
      finish(client, task, Transaction::Outcome::kUnknown, task->sent);
    }
  });
  read(client, task);
}

// The member to ask, if it can be spoken to.
Node* ListClients::reach(size_t client) {
  raft::NodeId& believed = clients_[client].believed;
  if (believed == 0) believed = (*members_)[context_.world.random.below(members_->size())];
  Node* const node = context_.find(believed);
  if (node == nullptr || !node->up()) {
    believed = 0;
    return nullptr;
  }
  return node->paused() ? nullptr : node;
}

void ListClients::trouble(size_t client, const Status& status) {
  const bool knows = status.kind() == "barn.not_leader" && !status.details().empty();
  clients_[client].believed = knows ? std::stoull(status.details()[0]) : 0;
}

void ListClients::read(size_t client, const TaskPtr& task) {
  context_.world.after(context_.network.delay(), [this, client, task] {
    if (task->over) return;
    Node* const node = reach(client);
    if (node == nullptr) return finish(client, task, Transaction::Outcome::kAborted, false);
    const raft::NodeId id = node->id();
    node->replica().read([this, client, task, id](const Status& status) {
      Status got = status;
      auto seen = task->seen;
      for (Seen& list : seen) {
        if (!got.ok()) break;
        const auto found = context_.find(id)->replica().machine().get(key_of(list.list));
        if (!found.ok()) {
          got = found.status();
        } else if (found.value()) {
          list.modified = (*found)->modify_index;
          list.value = (*found)->value;
        }
      }
      context_.world.after(context_.network.delay(), [this, client, task, got, seen = std::move(seen)] {
        if (task->over) return;
        if (!got.ok()) {
          trouble(client, got);
          return finish(client, task, Transaction::Outcome::kAborted, false);
        }
        task->seen = seen;
        for (const Seen& list : seen) {
          task->transaction.operations.push_back({ListOperation::Kind::kRead, list.list, 0, elements_of(list.value)});
        }
        if (!task->writes) {
          ++totals_.read_only;
          return finish(client, task, Transaction::Outcome::kCommitted, true);
        }
        write(client, task);
      });
    });
    node->turn();
  });
}

void ListClients::write(size_t client, const TaskPtr& task) {
  context_.world.after(context_.network.delay(), [this, client, task] {
    if (task->over) return;
    Node* const node = reach(client);
    if (node == nullptr) return finish(client, task, Transaction::Outcome::kAborted, false);
    std::vector<std::string> keys, values;
    for (const Seen& list : task->seen) {
      const auto element = static_cast<int64_t>(++appended_);
      keys.push_back(key_of(list.list));
      values.push_back(list.value + (list.value.empty() ? "" : " ") + std::to_string(element));
      task->transaction.operations.push_back({ListOperation::Kind::kAppend, list.list, element, {}});
    }
    barn::Txn txn;
    for (size_t i = 0; i < keys.size(); ++i) {
      barn::Compare same{.key = keys[i]};
      same.target = barn::CompareTarget::kModifyIndex;
      same.number = task->seen[i].modified;
      txn.compares.push_back(same);
      txn.then_ops.push_back(barn::Put{.key = keys[i], .value = values[i]});
    }
    barn::Command command;
    command.body = std::move(txn);
    task->sent = true;
    node->replica().execute(std::move(command), [this, client, task](Result<barn::Answer> got) {
      auto shared = std::make_shared<Result<barn::Answer>>(std::move(got));
      context_.world.after(context_.network.delay(), [this, client, task, shared] {
        if (task->over) return;
        if (shared->ok()) {
          const bool made = (*shared)->ok() && (*shared)->succeeded;
          return finish(client, task, made ? Transaction::Outcome::kCommitted : Transaction::Outcome::kAborted, true);
        }
        const Status status = std::move(*shared).status();
        const bool unknown = status.kind() == "barn.unknown";
        trouble(client, status);
        finish(client, task, unknown ? Transaction::Outcome::kUnknown : Transaction::Outcome::kAborted, true);
      });
    });
    node->turn();
  });
}

void ListClients::finish(size_t client, const TaskPtr& task, Transaction::Outcome outcome, bool recorded) {
  task->over = true;
  if (recorded) {
    Transaction& t = task->transaction;
    t.outcome = outcome;
    if (outcome != Transaction::Outcome::kUnknown) t.end = context_.world.now();
    if (task->writes) {
      totals_.committed += outcome == Transaction::Outcome::kCommitted;
      totals_.aborted += outcome == Transaction::Outcome::kAborted;
      totals_.unknown += outcome == Transaction::Outcome::kUnknown;
    }
    history_.push_back(std::move(t));
  }
  next(client);
}

}  // namespace runink::testing
