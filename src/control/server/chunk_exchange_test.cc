// Chunks on three real members in one process.
#include "control/server/chunk_exchange.h"

#include <gmock/gmock.h>

#include "control/server/members_in_test.h"

namespace runink::server {
namespace {

using barn::ChunkReference;

template <typename T>
T value_or(Result<T> result, T otherwise) {
  return result.ok() ? std::move(*result) : std::move(otherwise);
}

class ChunksOfMembers : public Members {
 protected:
  void change_options(BarnOptions& options) override {
    options.integrity.compare_nanos = 1'000'000'000;
    options.chunks = chunks_;
    options.chunks.has_room = [this, id = options.identity.node] { return !full_.contains(id); };
  }
  // As large as asked for, and different for each seed.
  static std::string content(size_t size, uint64_t seed) {
    std::string out(size, '\0');
    uint64_t x = seed * 0x9E3779B97F4A7C15 + 1;
    for (char& c : out) {
      x ^= x << 13, x ^= x >> 7, x ^= x << 17;
      c = static_cast<char>(x);
    }
    return out;
  }
  Result<ChunkReference> store(raft::NodeId id, const std::string& bytes) {
    std::optional<Result<ChunkReference>> out;
    servers_[id]->chunks().put(bytes, [&](Result<ChunkReference> stored) { out = std::move(stored); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(internal_error("no answer"));
  }
  Result<std::string> load(raft::NodeId id, const ChunkReference& reference) {
    std::optional<Result<std::string>> out;
    servers_[id]->chunks().get(reference, [&](Result<std::string> bytes) { out = std::move(bytes); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(internal_error("no answer"));
  }
  void refer(const std::string& key, const ChunkReference& reference) {
    const std::string value = encode(reference);
    barn::Command command;
    command.body = barn::Put{.key = key, .value = value, .chunk = true};
    const auto answer = execute(command);
    ASSERT_TRUE(answer && answer->ok());
  }
  bool has(raft::NodeId id, const ChunkReference& reference) {
    return servers_[id]->chunks().store().get(reference.hash).ok();
  }
  std::string file_of(raft::NodeId id, const ChunkReference& reference) {
    const std::string name = crypto::hex(reference.hash);
    return folder_of(id) + "/chunks/" + name.substr(0, 2) + "/" + name;
  }
  bool everywhere(const ChunkReference& reference) {
    return std::all_of(servers_.begin(), servers_.end(), [&](auto& s) { return has(s.first, reference); });
  }

  ChunkOptions chunks_;
  std::set<raft::NodeId> full_;  // whose disks are
};

TEST_F(ChunksOfMembers, APutIsOnAMajorityAndEveryMemberGivesItWhateverItsSize) {
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  uint64_t seed = 0;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{1} << 20) + 1, barn::kChunkBytes}) {
    const std::string bytes = content(size, ++seed);
    const auto reference = store(2, bytes);
    ASSERT_TRUE(reference.ok()) << reference.status().to_string();
    EXPECT_EQ(reference->size, size);
    EXPECT_EQ(reference->hash, crypto::sha256(bytes));
    int holders = 0;
    for (raft::NodeId id = 1; id <= 3; ++id) holders += has(id, *reference);
    EXPECT_GE(holders, 2) << size;
    for (raft::NodeId id = 1; id <= 3; ++id)
      EXPECT_EQ(value_or<std::string>(load(id, *reference), "none"), bytes) << id << " " << size;
    // Again: it is there already.
    EXPECT_EQ(value_or(store(3, bytes), ChunkReference{}), *reference);
  }
  EXPECT_EQ(store(1, std::string(barn::kChunkBytes + 1, 'x')).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(load(1, {crypto::sha256("nobody has this"), 15}).status().code(), Code::kNotFound);
}

TEST_F(ChunksOfMembers, TheAnswerWaitsForAMajority) {
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  servers_.erase(2);
  servers_.erase(3);
  const std::string bytes = content(3 << 20, 1);
  std::optional<Result<ChunkReference>> stored;
  servers_[1]->chunks().put(bytes, [&](Result<ChunkReference> result) { stored = std::move(result); });
  const ChunkReference reference{crypto::sha256(bytes), bytes.size()};
  ASSERT_TRUE(until([&] { return has(1, reference); }));
  // It stays so while the others are away: for as long as it takes to notice that nobody answers, some times over.
  for (int i = 0; i < 100; ++i) loop_->turn(5'000'000);
  EXPECT_FALSE(stored.has_value());
  start(2);
  ASSERT_TRUE(until([&] { return stored.has_value(); }));
  EXPECT_TRUE(stored->ok()) << stored->status().to_string();
  EXPECT_TRUE(has(2, reference));
}

TEST_F(ChunksOfMembers, APutThatReachesNoMajorityInTimeSaysSo) {
  chunks_.put_nanos = 200'000'000;
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  servers_.erase(2);
  servers_.erase(3);
  const auto stored = store(1, "some bytes");
  EXPECT_EQ(stored.status().code(), Code::kUnavailable);
  EXPECT_EQ(stored.status().kind(), "barn.chunk.no_majority");
  EXPECT_EQ(servers_[1]->chunks().status().puts_failed, 1u);
}

TEST_F(ChunksOfMembers, ALostFolderOfAnyMemberIsFilledAgain) {
  chunks_.sweep_first_nanos = 0;
  chunks_.sweep_nanos = 100'000'000;
  found(3);
  const std::string large = content(2'500'000, 1);
  const auto first = store(1, large), second = store(2, "a small one");
  ASSERT_TRUE(first.ok() && second.ok());
  refer("large", *first);
  refer("small", *second);
  for (raft::NodeId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(until([&] { return everywhere(*first) && everywhere(*second); })) << id;
    servers_.erase(id);
    ASSERT_TRUE(os::remove_tree(folder_of(id) + "/chunks").ok());
    start(id);
    EXPECT_FALSE(has(id, *first));
    EXPECT_EQ(value_or<std::string>(load(id, *first), "none"), large);
    ASSERT_TRUE(until([&] { return has(id, *second); }));  // nobody asked for it
    // The leader may not have been through with putting them once more when this one was stopped, and then does it now.
    const auto come = [&] {
      const ChunkStatus now = servers_[id]->chunks().status();
      return now.fetched + now.taken;
    };
    ASSERT_TRUE(until([&] { return come() >= 2; }));
  }
}

TEST_F(ChunksOfMembers, AGetWaitsForMembersThatCannotBeAsked) {
  chunks_.retry_nanos = 20'000'000;
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  const std::string bytes = content(1'200'000, 1);
  const auto reference = store(1, bytes);
  ASSERT_TRUE(reference.ok());
  ASSERT_TRUE(until([&] { return everywhere(*reference); }));
  for (raft::NodeId id = 1; id <= 3; ++id) servers_.erase(id);
  for (const raft::NodeId id : {2, 3}) ASSERT_TRUE(os::remove_tree(folder_of(id) + "/chunks").ok());
  start(3);
  std::optional<Result<std::string>> got;
  servers_[3]->chunks().get(*reference, [&](Result<std::string> result) { got = std::move(result); });
  const auto turns = [&](int count) {
    for (int i = 0; i < count; ++i) loop_->turn(5'000'000);
  };
  turns(50);  // its address is not known
  EXPECT_FALSE(got.has_value());
  start(1);
  servers_.erase(1);
  turns(50);  // nobody is there
  EXPECT_FALSE(got.has_value());
  start(2);  // this one does not have it
  turns(50);
  EXPECT_FALSE(got.has_value());
  start(1);
  ASSERT_TRUE(until([&] { return got.has_value(); }));
  ASSERT_TRUE(got->ok()) << got->status().to_string();
  EXPECT_EQ(**got, bytes);
  EXPECT_TRUE(has(3, *reference));
}

TEST_F(ChunksOfMembers, WhatSomebodyMayHaveWhoCannotBeAskedIsNotCalledUnknown) {
  chunks_.retry_nanos = 20'000'000;
  chunks_.get_nanos = chunks_.place_nanos = 200'000'000;
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  const ChunkReference reference{crypto::sha256("only one has this"), 17};
  // As soon as all are connected.
  ASSERT_TRUE(until([&] { return load(follower_id(), reference).status().code() == Code::kNotFound; }));
  servers_.erase(follower_id());
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  EXPECT_EQ(load(leader_id(), reference).status().kind(), "barn.chunk.unreachable");
  // Nothing was proposed, and that is what the answer says.
  const std::string value = encode(reference);
  barn::Command command;
  command.body = barn::Put{.key = "key", .value = value, .chunk = true};
  std::optional<Status> answer;
  ASSERT_TRUE(until([&] {
    if (leader() == nullptr) return false;
    answer.reset();
    leader()->replica().execute(command, [&](const Result<barn::Answer>& said) { answer = said.status(); });
    return until([&] { return answer.has_value(); }) && answer->kind() != "barn.not_leader";
  }));
  EXPECT_EQ(answer->code(), Code::kUnavailable);
  EXPECT_EQ(answer->kind(), "barn.chunk.unreachable");
}

TEST_F(ChunksOfMembers, ADamagedChunkIsRepaired) {
  chunks_.sweep_first_nanos = 0;
  chunks_.sweep_nanos = 100'000'000;
  sealed_ = true;
  found(3);
  const std::string bytes = content(1'500'000, 1);
  const auto reference = store(1, bytes);
  ASSERT_TRUE(reference.ok());
  refer("key", *reference);
  ASSERT_TRUE(until([&] { return everywhere(*reference); }));
  for (raft::NodeId id = 1; id <= 3; ++id) {
    const os::Fd file = *os::open_file(file_of(id, *reference), os::OpenMode::kReadWrite);
    ASSERT_TRUE(os::pwrite_all(file, "damage", 700'000).ok());
    EXPECT_EQ(servers_[id]->chunks().store().get(reference->hash).status().code(), Code::kDataLoss);
    ASSERT_TRUE(until([&] { return has(id, *reference); }));
    ASSERT_TRUE(until([&] { return servers_[id]->chunks().status().repaired == 1; }));
  }
}

TEST_F(ChunksOfMembers, AReferenceIsNotProposedBeforeItsChunkIsOnAMajority) {
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  const auto propose = [this](const std::vector<ChunkReference>& references) {
    std::vector<std::string> values;
    for (const ChunkReference& reference : references) values.push_back(encode(reference));
    barn::Txn txn;
    for (size_t i = 0; i < values.size(); ++i)
      txn.then_ops.push_back(barn::Put{.key = i == 0 ? "a" : "b", .value = values[i], .chunk = true});
    std::optional<Status> out;
    leader()->replica().execute({0, {}, std::move(txn)}, [&](const Result<barn::Answer>& a) { out = a.status(); });
    EXPECT_TRUE(until([&] { return out.has_value(); }));
    return out.value_or(Status());
  };
  const auto stored = store(leader_id(), "this was put");
  ASSERT_TRUE(stored.ok());
  const ChunkReference unknown{crypto::sha256("this was not"), 12};
  EXPECT_EQ(propose({*stored, unknown}).kind(), "barn.chunk.unknown");
  EXPECT_EQ(propose({{stored->hash, stored->size + 1}}).kind(), "barn.chunk.unknown");
  EXPECT_TRUE(propose({*stored}).ok());
  // One that only a follower has: it is on a majority before the answer.
  auto& only = const_cast<barn::ChunkStore&>(servers_[follower_id()]->chunks().store());
  const std::string bytes = content(1'200'000, 4);
  ASSERT_TRUE(only.put(bytes).ok());
  const ChunkReference lonely{crypto::sha256(bytes), bytes.size()};
  EXPECT_TRUE(propose({lonely, *stored}).ok());
  EXPECT_TRUE(has(leader_id(), lonely));
}

TEST_F(ChunksOfMembers, WhoAppliesAReferenceWithoutHavingTheChunkFetchesIt) {
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  servers_.erase(3);
  const auto reference = store(1, content(1'100'000, 5));
  ASSERT_TRUE(reference.ok());
  refer("key", *reference);
  start(3);
  EXPECT_FALSE(has(3, *reference));
  ASSERT_TRUE(until([&] { return has(3, *reference); }));
  ASSERT_TRUE(until([&] { return servers_[3]->chunks().status().missing == 0; }));
}

TEST_F(ChunksOfMembers, OnlyWhatNothingRefersToIsRemoved) {
  chunks_.sweep_first_nanos = 0;
  chunks_.sweep_nanos = 100'000'000;
  found(3);
  const auto kept = store(1, content(1'100'000, 1)), unused = store(1, "nothing refers to this"),
             replaced = store(1, "a key refers to this no more"), in_txn = store(1, "of a transaction");
  ASSERT_TRUE(kept.ok() && unused.ok() && replaced.ok() && in_txn.ok());
  refer("kept", *kept);
  refer("replaced", *replaced);
  put("replaced", "a plain value");
  const std::string value = encode(*in_txn);
  barn::Command command;
  command.body = barn::Txn{{}, {barn::Put{.key = "in-txn", .value = value, .chunk = true}}, {}};
  ASSERT_TRUE(execute(command));
  ASSERT_TRUE(
      until([&] { return everywhere(*kept) && everywhere(*unused) && everywhere(*replaced) && everywhere(*in_txn); }));
  // While they are pinned nothing goes.
  const auto sweeps = [this] {
    uint64_t least = UINT64_MAX;
    for (auto& [id, server] : servers_) least = std::min(least, server->chunks().status().sweeps);
    return least;
  };
  const uint64_t before = sweeps();
  ASSERT_TRUE(until([&] { return sweeps() >= before + 2; }));
  EXPECT_TRUE(everywhere(*unused));
  // Nor soon after a start, which ends the pins.
  const auto start_again = [this] {
    for (raft::NodeId id = 1; id <= 3; ++id) servers_.erase(id);
    for (raft::NodeId id = 1; id <= 3; ++id) start(id);
    ASSERT_TRUE(until([this] { return same_everywhere(); }));
  };
  start_again();
  const uint64_t young = sweeps();
  ASSERT_TRUE(until([&] { return sweeps() >= young + 2; }));
  EXPECT_TRUE(everywhere(*unused));
  // But when time has passed.
  chunks_.pin_nanos = 0;
  start_again();
  ASSERT_TRUE(until([&] {
    return std::all_of(servers_.begin(), servers_.end(),
                       [](auto& s) { return s.second->chunks().status().removed >= 2; });
  }));
  const uint64_t after = sweeps();
  ASSERT_TRUE(until([&] { return sweeps() >= after + 2; }));
  for (auto& [id, server] : servers_) {
    EXPECT_EQ(server->chunks().status().removed, 2u) << id;
    EXPECT_FALSE(has(id, *unused));
    EXPECT_FALSE(has(id, *replaced));
    EXPECT_TRUE(has(id, *kept));
    EXPECT_TRUE(has(id, *in_txn));
    EXPECT_EQ(server->chunks().status().fetched, 0u);
  }
}

TEST_F(ChunksOfMembers, AFullDiskTakesNone) {
  chunks_.put_nanos = 500'000'000;
  chunks_.retry_nanos = 20'000'000;
  found(3);
  ASSERT_TRUE(until([this] { return leader() != nullptr; }));
  const raft::NodeId putter = leader_id(), full = follower_id(), third = 6 - putter - full;
  full_ = {full};
  EXPECT_EQ(store(full, "here").status().code(), Code::kResourceExhausted);
  EXPECT_EQ(store(full, "here").status().kind(), "barn.no_space");
  const std::string bytes = content(1'200'000, 1);
  const auto stored = store(putter, bytes);
  ASSERT_TRUE(stored.ok()) << stored.status().to_string();  // with the third
  // It has none, and gives it all the same.
  EXPECT_EQ(value_or<std::string>(load(full, *stored), "none"), bytes);
  EXPECT_EQ(servers_[full]->chunks().status().stored, 0u);
  full_ = {full, third};
  EXPECT_EQ(store(putter, "there").status().kind(), "barn.chunk.no_majority");
  // With room it fetches what it lacks.
  refer("key", *stored);
  ASSERT_TRUE(until([&] { return servers_[full]->chunks().status().missing == 1; }));
  EXPECT_FALSE(has(full, *stored));
  full_ = {};
  ASSERT_TRUE(until([&] { return servers_[full]->chunks().status().stored == 1; }));
  EXPECT_TRUE(has(full, *stored));
  EXPECT_GT(servers_[full]->chunks().status().stored_bytes, 1'200'000u);
}

// What a peer may send: anything.
TEST_F(ChunksOfMembers, PiecesThatAreNoneAreRefused) {
  found(1);
  ChunkExchange& chunks = servers_[1]->chunks();
  const auto say = [&](raft::BulkKind kind, const std::string& name, uint64_t size, uint64_t offset,
                       const std::string& body) {
    raft::BulkRequest request;
    request.kind = kind;
    request.name = name;
    request.index = size;
    request.offset = offset;
    request.body = body;
    request.size = 100;
    auto out = std::make_shared<std::optional<Code>>();
    auto mutex = std::make_shared<std::mutex>();
    chunks.answer(2, request, [=](const Result<std::string>& answer) {
      const std::lock_guard lock(*mutex);
      *out = answer.status().code();
    });
    EXPECT_TRUE(until([&] {
      const std::lock_guard lock(*mutex);
      return out->has_value();
    }));
    return **out;
  };
  const std::string name = crypto::sha256_hex("abcdef");
  const auto put = raft::BulkKind::kPut;
  EXPECT_EQ(say(put, "../../etc", 6, 0, "abcdef"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, std::string(64, 'G'), 6, 0, "abcdef"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, barn::kChunkBytes + 1, 0, "abcdef"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 0, ""), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 3, "def"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 0, "abcdefg"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 0, "abc"), Code::kOk);
  EXPECT_EQ(say(put, name, 6, 2, "def"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 0, "abc"), Code::kOk);
  EXPECT_EQ(say(put, name, 6, 3, "deX"), Code::kInvalidArgument);
  EXPECT_EQ(say(put, name, 6, 0, "abc"), Code::kOk);
  EXPECT_EQ(say(put, name, 6, 3, "def"), Code::kOk);
  EXPECT_EQ(value_or<std::string>(chunks.store().get(crypto::sha256("abcdef")), "none"), "abcdef");
  EXPECT_EQ(chunks.store().list()->size(), 1u);
  EXPECT_EQ(say(raft::BulkKind::kGet, "x", 0, 0, ""), Code::kInvalidArgument);
  EXPECT_EQ(say(raft::BulkKind::kGet, name, 0, 7, ""), Code::kInvalidArgument);
  EXPECT_EQ(say(raft::BulkKind::kGet, name, 0, 2, ""), Code::kOk);
  EXPECT_EQ(say(raft::BulkKind::kGet, crypto::sha256_hex("none"), 0, 0, ""), Code::kNotFound);
}

}  // namespace
}  // namespace runink::server
