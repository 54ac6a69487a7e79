// Any bytes as a command: decoding never reads beyond them, what is decoded is written back to bytes that mean the
// same, and a machine that applies it answers, or stops saying why; two machines do so alike. Bytes of stored and sent
// formats that are decoded elsewhere (answers, events, dumps) take their turn.
#include <cstdint>
#include <cstdlib>

#include "control/barn/dump.h"
#include "control/barn/memory_store.h"
#include "control/barn/state_machine.h"

namespace {

using namespace runink;
using namespace runink::barn;

void must(bool condition) {
  if (!condition) std::abort();
}

struct Replica {
  MemoryStore store;
  std::unique_ptr<StateMachine> machine;
  Replica() { machine = std::move(*StateMachine::open(&store)); }

  Result<Applied> apply(std::string bytes) {
    const raft::Entry entry{machine->position().index + 1, 1, raft::EntryKind::kCommand,
                            std::make_shared<const std::string>(std::move(bytes))};
    return machine->apply({&entry, 1});
  }
};

void apply_everywhere(std::string_view bytes) {
  Replica a, b;
  for (Replica* replica : {&a, &b}) {
    must(replica->apply(encode_command({1, {}, LeaseGrant{1'000'000}})).ok());
    must(replica->apply(encode_command({2, {}, SessionRegister{}})).ok());
    must(replica->apply(encode_command({3, {}, Put{"k", "v", {1, 1}, false, false, false}})).ok());
  }
  const Result<Applied> one = a.apply(std::string(bytes)), two = b.apply(std::string(bytes));
  must(one.ok() == two.ok());
  if (!one.ok()) {
    must(one.status().kind().starts_with("barn.command."));
    return;
  }
  must(one->position == two->position && one->entries[0].answer == two->entries[0].answer);
  // What was written is read again.
  const Result<std::unique_ptr<StateMachine>> again = StateMachine::open(&a.store);
  must(again.ok() && (*again)->position() == a.machine->position() &&
       (*again)->state_bytes() == a.machine->state_bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<Command> command = decode_command(bytes);
  if (command.ok()) {
    (void)check_command(*command, size, Limits());
    const std::string again = encode_command(*command);
    const Result<Command> reread = decode_command(again);
    must(reread.ok() && encode_command(*reread) == again);
  }
  apply_everywhere(bytes);
  if (const auto answer = decode_answer(bytes); answer.ok()) {
    std::string again;
    append_answer(again, *answer);
    must(*decode_answer(again) == *answer);
    (void)to_status(*answer);
  }
  (void)for_each_event(bytes, [](const Event&) {});
  StringSource source(bytes);
  (void)verify_dump(source);
  return 0;
}
