#include "control/barn/dump.h"

#include <random>

#include "control/barn/harness_test.h"
#include "control/barn/watch.h"

namespace runink::barn {
namespace {

using test::contents;
using test::Harness;
using test::mark;

void fill(Harness& h, int keys = 50) {
  const LeaseId lease = h.run(LeaseGrant{10'000'000}).token;
  const SessionId session = h.run(SessionRegister{}).token;
  for (int i = 0; i < keys; ++i)
    h.put("k" + std::to_string(i), std::string(static_cast<size_t>(i % 200) * 7, 'v'), i % 5 == 0 ? lease : LeaseId());
  h.run(Delete{"k7", false}, mark(session, 1));
  h.run(Compact{10});
  h.run(AlarmChange{AlarmKind::kReadOnly, 0, true});
}

std::string dump(const StateStore& store) {
  std::string out;
  const auto info = export_dump(*store.view(), [&](std::string_view bytes) {
    out += bytes;
    return Status();
  });
  EXPECT_TRUE(info.ok()) << info.status().to_string();
  return out;
}

TEST(Dump, IsACopyOfEverything) {
  Harness h;
  fill(h, 3000);
  const std::string bytes = dump(h.store);
  EXPECT_EQ(bytes, dump(h.store));
  StringSource source(bytes);
  const DumpInfo info = *verify_dump(source);
  EXPECT_EQ(info.position, h.machine->position());
  EXPECT_EQ(info.incarnation, 1u);
  EXPECT_EQ(info.records, contents(h.store).size());
  ASSERT_TRUE(source.rewind().ok());
  MemoryStore copy;
  ASSERT_TRUE(import_dump(source, copy).ok());
  EXPECT_EQ(contents(copy), contents(h.store));
  const auto machine = std::move(*StateMachine::open(&copy));
  EXPECT_EQ(machine->position(), h.machine->position());
  EXPECT_EQ(machine->state_bytes(), h.machine->state_bytes());
  EXPECT_EQ(machine->sessions().size(), 1u);
  // Both go on alike.
  const raft::Entry next = test::entry_of(h.next(), {99, {}, Delete{"k8", false}});
  EXPECT_EQ(machine->apply({&next, 1})->position, h.apply({next})->position);
}

TEST(Dump, IsConsistentWhileWritingGoesOn) {
  Harness h;
  fill(h);
  const auto before = contents(h.store);
  const auto view = h.store.view();
  h.run(AlarmChange{AlarmKind::kReadOnly, 0, false});
  std::string bytes;
  ASSERT_TRUE(export_dump(*view, [&](std::string_view piece) {
                bytes += piece;
                h.put("k1", std::to_string(bytes.size()));
                return Status();
              }).ok());
  StringSource source(bytes);
  MemoryStore copy;
  ASSERT_TRUE(import_dump(source, copy).ok());
  EXPECT_EQ(contents(copy), before);
}

TEST(Dump, CutOrDamagedAnywhereIsRefusedAndChangesNothing) {
  Harness h;
  fill(h, 8);
  const std::string bytes = dump(h.store);
  const auto refuse = [](const std::string& broken) {
    StringSource source(broken);
    MemoryStore store;
    const Status status = import_dump(source, store).status();
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(contents(store).empty());
    return status;
  };
  for (size_t n = 0; n < bytes.size(); ++n) {
    ASSERT_EQ(refuse(bytes.substr(0, n)).kind(), "barn.dump.damaged") << n;
  }
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string broken = bytes;
    broken[n] = static_cast<char>(broken[n] ^ (1 << (n % 8)));
    ASSERT_FALSE(refuse(broken).ok()) << n;
  }
  EXPECT_EQ(refuse(bytes + "x").kind(), "barn.dump.damaged");
  EXPECT_EQ(refuse(bytes + bytes).kind(), "barn.dump.damaged");
  std::string newer = bytes;
  newer[8] = 2;
  EXPECT_EQ(refuse(newer).code(), Code::kUnimplemented);
}

// A source whose bytes change between the two readings.
class Changing : public StringSource {
 public:
  Changing(std::string_view first, std::string_view second) : StringSource(first), second_(second) {}
  Status rewind() override {
    StringSource::operator=(StringSource(second_));
    return {};
  }

 private:
  std::string_view second_;
};

TEST(Dump, OneThatChangesWhileItIsReadLeavesNothingBehind) {
  Harness h;
  fill(h, 6000);
  const std::string bytes = dump(h.store);
  ASSERT_GT(bytes.size(), 3u << 20);  // several writes
  std::string broken = bytes;
  broken[bytes.size() - 100] = static_cast<char>(broken[bytes.size() - 100] ^ 1);
  Changing source(bytes, broken);
  MemoryStore store;
  EXPECT_EQ(import_dump(source, store).status().kind(), "barn.dump.damaged");
  EXPECT_TRUE(contents(store).empty());
}

TEST(Dump, IsNotReadOverSomethingElse) {
  Harness h;
  fill(h);
  const std::string bytes = dump(h.store);
  StringSource source(bytes);
  const auto before = contents(h.store);
  EXPECT_EQ(import_dump(source, h.store).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(contents(h.store), before);
  MemoryStore empty;
  EXPECT_EQ(export_dump(*empty.view(), [](std::string_view) { return Status(); }).status().code(),
            Code::kFailedPrecondition);
}

TEST(Restore, RaisesTheIncarnationSoThatNoTokenRepeats) {
  Harness h;
  h.run(AlarmChange{AlarmKind::kReadOnly, 0, true});
  h.run(AlarmChange{AlarmKind::kReadOnly, 0, false});
  const LeaseId before = h.run(LeaseGrant{10'000'000}).token;
  h.run(SessionRegister{});
  h.put("lock", "mine", before);
  const std::string bytes = dump(h.store);
  const Index at = h.machine->position().index;
  const LeaseId lost = h.run(LeaseGrant{10'000'000}).token;  // after the backup, in the old cluster

  StringSource source(bytes);
  Harness restored;
  restored.machine.reset();
  MemoryStore refused;
  EXPECT_EQ(import_dump(source, refused, {.incarnation = 1}).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(contents(refused).empty());
  ASSERT_TRUE(source.rewind().ok());
  ASSERT_TRUE(import_dump(source, restored.store, {.incarnation = 1000}).ok());
  restored.reopen();
  EXPECT_EQ(restored.machine->position().index, at);
  EXPECT_EQ(restored.machine->incarnation(), 1000u);
  EXPECT_EQ(restored.machine->beginnings(), (std::vector<Beginning>{{1, 0}, {1000, at}}));
  EXPECT_TRUE(restored.machine->sessions().empty());
  EXPECT_EQ(restored.get("lock")->lease, before);  // until it expires
  EXPECT_TRUE(restored.run(LeaseKeepAlive{before}).ok());
  const LeaseId fresh = restored.run(LeaseGrant{10'000'000}).token;
  EXPECT_GT(fresh, before);
  EXPECT_GT(fresh, lost);
  const SessionId session = restored.run(SessionRegister{}).token;
  EXPECT_EQ(session.incarnation, 1000u);
  // And once more.
  const std::string second = dump(restored.store);
  StringSource again(second);
  MemoryStore third;
  ASSERT_TRUE(import_dump(again, third, {.incarnation = 2000}).ok());
  EXPECT_EQ((*StateMachine::open(&third))->beginnings().size(), 3u);
}

TEST(Restore, WatchersOfALostFutureAreTold) {
  Harness h;
  for (int i = 1; i <= 5; ++i) h.put("k", std::to_string(i));
  const std::string bytes = dump(h.store);
  StringSource source(bytes);
  Harness restored;
  restored.machine.reset();
  ASSERT_TRUE(import_dump(source, restored.store, {.incarnation = 9}).ok());
  restored.reopen();
  for (int i = 6; i <= 12; ++i) restored.put("k", "new" + std::to_string(i));
  WatchHub hub(restored.machine.get());
  WatchRequest request;
  request.from = 8;  // the old cluster went on to index 7, and this one is at 12
  request.incarnation = 1;
  EXPECT_EQ(hub.watch(request, 0).status().kind(), "barn.watch.lost_future");
  request.from = 6;  // exactly what comes after the backup
  EXPECT_TRUE(hub.watch(request, 0).ok());
  request.from = 8;
  request.incarnation = 9;
  EXPECT_TRUE(hub.watch(request, 0).ok());
  request.incarnation = 10;
  EXPECT_FALSE(hub.watch(request, 0).ok());
}

}  // namespace
}  // namespace runink::barn
