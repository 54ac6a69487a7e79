// What the tests of the Barn share: a state machine over a MemoryStore, and entries made of commands.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/barn/memory_store.h"
#include "control/barn/state_machine.h"
#include "control/barn/tables.h"

namespace runink::barn::test {

inline raft::Entry entry_of(Index index, const Command& command, Term term = 1) {
  return {index, term, raft::EntryKind::kCommand, std::make_shared<const std::string>(encode_command(command))};
}

// All that a store holds below the state machine's bound, readable where it differs.
inline std::vector<std::pair<std::string, std::string>> contents(const StateReader& store) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto at = store.iterate("", tables::kEnd);
  for (; at->valid(); at->next()) out.emplace_back(at->key(), at->value());
  EXPECT_TRUE(at->status().ok());
  return out;
}

struct Harness {
  MemoryStore store;
  std::unique_ptr<StateMachine> machine;
  Applied last;
  int64_t now = 1'000'000;

  explicit Harness(MachineOptions options = {}) { reopen(options); }
  void reopen(MachineOptions options = {}) {
    machine.reset();
    auto opened = StateMachine::open(&store, options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    machine = std::move(*opened);
  }
  Index next() const { return machine->position().index + 1; }

  Result<Applied> apply(std::vector<raft::Entry> entries) { return machine->apply(entries); }
  // One command, applied; the answer.
  Answer run(Body body, std::optional<SessionMark> mark = {}) {
    Command command;
    command.unix_micros = now++;
    command.mark = mark;
    command.body = std::move(body);
    Result<Applied> applied = apply({entry_of(next(), command)});
    EXPECT_TRUE(applied.ok()) << applied.status().to_string();
    if (!applied.ok()) return {};
    last = std::move(*applied);
    EXPECT_EQ(last.entries.size(), 1u);
    return last.entries[0].answer;
  }
  Answer put(std::string_view key, std::string_view value, LeaseId lease = {}) {
    Put put;
    put.key = key;
    put.value = value;
    put.lease = lease;
    return run(put);
  }
  Answer remove(std::string_view key) { return run(Delete{key, false}); }
  std::optional<KeyValue> get(std::string_view key) {
    auto got = machine->get(key);
    EXPECT_TRUE(got.ok()) << got.status().to_string();
    return got.ok() ? *got : std::nullopt;
  }
  std::string value(std::string_view key) {
    const auto got = get(key);
    return got ? got->value : "(none)";
  }
  // "put a=1 delete b" of the newest apply.
  std::string events() {
    std::string out;
    for (const auto& record : last.events->records) {
      const Status status = for_each_event(last.events->record(record), [&](const Event& event) {
        out += out.empty() ? "" : " ";
        out += event.kind == EventKind::kPut ? "put " : "delete ";
        out += event.key;
        if (event.kind == EventKind::kPut) out.append("=").append(event.value);
      });
      EXPECT_TRUE(status.ok());
    }
    return out;
  }
};

inline SessionMark mark(SessionId session, uint64_t sequence, uint64_t lowest = 0) {
  return {session, sequence, lowest};
}

}  // namespace runink::barn::test
