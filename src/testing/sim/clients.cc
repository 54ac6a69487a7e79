#include "testing/sim/clients.h"

#include <algorithm>

namespace runink::testing {

Clients::Clients(NodeContext& context, ClientOptions options, std::vector<raft::NodeId>* members)
    : context_(context), options_(options), members_(members), clients_(options.clients) {
  for (size_t i = 0; i < clients_.size(); ++i) clients_[i].id = i + 1;
}

void Clients::start() {
  for (size_t i = 0; i < clients_.size(); ++i) next(i);
}

void Clients::next(size_t client) {
  context_.world.after(context_.world.random.between(options_.think_min, options_.think_max), [this, client] {
    if (stopped_) return;
    Random& random = context_.world.random;
    Client& c = clients_[client];
    auto task = std::make_shared<Task>();
    task->registers = c.session.none();
    Operation& o = task->operation;
    o.client = c.id;
    o.key = "key-" + std::to_string(random.below(options_.keys));
    const uint64_t kind = random.below(10);
    o.kind = kind < 4   ? OperationKind::kRead
             : kind < 7 ? OperationKind::kWrite
             : kind < 9 ? OperationKind::kCompareAndSet
                        : OperationKind::kDelete;
    if (o.kind == OperationKind::kWrite || o.kind == OperationKind::kCompareAndSet)
      o.argument = "v" + std::to_string(++values_);
    if (o.kind == OperationKind::kCompareAndSet) {
      const auto seen = c.seen.find(o.key);
      if (seen != c.seen.end()) o.expected = seen->second;
    }
    begin(client, std::move(task));
  });
}

void Clients::read_all() {
  for (size_t k = 0; k < options_.keys; ++k) {
    clients_.push_back({});
    clients_.back().id = clients_.size();
    auto task = std::make_shared<Task>();
    task->operation.client = clients_.back().id;
    task->operation.key = "key-" + std::to_string(k);
    task->forever = true;
    begin(clients_.size() - 1, std::move(task));
  }
}

void Clients::begin(size_t client, TaskPtr task) {
  ++busy_;
  ++totals_.operations;
  task->operation.start = context_.world.now();
  task->give_up = context_.world.now() + options_.deadline;
  if (!task->registers && task->operation.kind != OperationKind::kRead) {
    task->mark = {clients_[client].session, ++clients_[client].sequence, clients_[client].sequence};
  }
  attempt(client, task);
}

barn::Command Clients::command_of(const Task& task) const {
  barn::Command command;
  if (task.registers) {
    command.body = barn::SessionRegister{};
    return command;
  }
  const Operation& o = task.operation;
  command.mark = task.mark;
  switch (o.kind) {
    case OperationKind::kWrite:
      command.body = barn::Put{.key = o.key, .value = *o.argument};
      break;
    case OperationKind::kDelete:
      command.body = barn::Delete{.key = o.key};
      break;
    default: {
      barn::Txn txn;
      barn::Compare compare{.key = o.key};
      if (o.expected) {
        compare.target = barn::CompareTarget::kValue;
        compare.value = *o.expected;
      } else {
        compare.number = 0;
      }
      txn.compares.push_back(compare);
      txn.then_ops.push_back(barn::Put{.key = o.key, .value = *o.argument});
      command.body = std::move(txn);
    }
  }
  return command;
}

void Clients::attempt(size_t client, const TaskPtr& task) {
  if (task->over) return;
  if (!task->forever && context_.world.now() >= task->give_up) return finish(client, task, false, task->maybe_done);
  ++totals_.tries;
  const uint64_t number = ++task->attempt;
  Client& c = clients_[client];
  if (c.believed == 0) c.believed = (*members_)[context_.world.random.below(members_->size())];
  const raft::NodeId target = c.believed;
  // No answer in time: whether it was done is not known.
  context_.world.after(options_.try_for, [this, client, task, number] {
    if (task->over || task->attempt != number) return;
    again(client, task, true);
  });
  context_.world.after(context_.network.delay(), [this, client, task, number, target] {
    if (task->over || task->attempt != number) return;
    Node* const node = context_.find(target);
    if (node == nullptr || !node->up()) return again(client, task, true);
    if (node->paused()) return;  // the connection stands; nothing comes back
    ask(client, task, *node, number);
    node->turn();
  });
}

void Clients::ask(size_t client, const TaskPtr& task, Node& node, uint64_t number) {
  const raft::NodeId id = node.id();
  const auto reply = [this, client, task, number](Result<barn::Answer> got, std::optional<std::string> value) {
    auto shared = std::make_shared<Result<barn::Answer>>(std::move(got));
    context_.world.after(context_.network.delay(), [this, client, task, number, shared, value] {
      answer(client, task, number, std::move(*shared), value);
    });
  };
  if (!task->registers && task->operation.kind == OperationKind::kRead) {
    node.replica().read([this, reply, task, id](const Status& status) {
      if (!status.ok()) return reply(status, {});
      const auto found = context_.find(id)->replica().machine().get(task->operation.key);
      if (!found.ok()) return reply(found.status(), {});
      std::optional<std::string> value;
      if (found.value()) value = (*found)->value;
      reply(barn::Answer{}, std::move(value));
    });
    return;
  }
  task->maybe_done = true;
  node.replica().execute(command_of(*task), [reply](Result<barn::Answer> got) { reply(std::move(got), {}); });
}

void Clients::answer(size_t client, const TaskPtr& task, uint64_t number, Result<barn::Answer> got,
                     std::optional<std::string> value) {
  if (task->over || task->attempt != number) return;
  Client& c = clients_[client];
  if (!got.ok()) {
    const Status status = std::move(got).status();
    if (status.kind() == "barn.not_leader" && !status.details().empty()) {
      c.believed = std::stoull(status.details()[0]);
      return again(client, task, false);
    }
    return again(client, task, true);
  }
  if (task->registers) {
    if (!got->ok()) return again(client, task, true);
    c.session = got->token;
    task->registers = false;
    task->maybe_done = false;
    if (task->operation.kind != OperationKind::kRead) task->mark = {c.session, ++c.sequence, c.sequence};
    return attempt(client, task);
  }
  if (task->operation.kind == OperationKind::kRead) {
    task->operation.result = value;
    if (value) {
      c.seen[task->operation.key] = *value;
    } else {
      c.seen.erase(task->operation.key);
    }
    return finish(client, task, true, true);
  }
  if (got->refusal == barn::Refusal::kSessionUnknown || got->refusal == barn::Refusal::kSessionForgotten) {
    c.session = {};
    return finish(client, task, false, true);
  }
  if (!got->ok()) return finish(client, task, true, false);
  if (task->operation.kind == OperationKind::kCompareAndSet) task->operation.took_place = got->succeeded;
  if (task->operation.kind == OperationKind::kDelete)
    task->operation.took_place = !got->ops.empty() && got->ops[0].deleted > 0;
  finish(client, task, true, true);
}

void Clients::again(size_t client, const TaskPtr& task, bool elsewhere) {
  if (elsewhere) clients_[client].believed = 0;
  ++task->attempt;  // an answer that still comes is not waited for
  context_.world.after(context_.world.random.between(1'000, 50'000), [this, client, task] { attempt(client, task); });
}

void Clients::finish(size_t client, const TaskPtr& task, bool known, bool effect) {
  task->over = true;
  --busy_;
  Operation& o = task->operation;
  const bool reads = o.kind == OperationKind::kRead;
  if (reads) {
    ++totals_.reads;
  } else {
    ++totals_.writes;
  }
  if (known && effect) {
    ++totals_.answered;
    o.end = context_.world.now();
    history_.push_back(o);
  } else if (!known && effect && !reads && !task->registers) {
    ++totals_.open;
    history_.push_back(o);
  } else {
    ++totals_.refused;
  }
  if (!stopped_ && client < options_.clients) next(client);
}

}  // namespace runink::testing
