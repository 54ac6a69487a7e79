#include "control/barn/command.h"

#include <gtest/gtest.h>

#include "control/barn/answer.h"
#include "control/barn/coding.h"

namespace runink::barn {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

// One of each, with every field set to something.
std::vector<Command> samples() {
  Put put{"key\0x"sv, "value", {2, 9}, false, false, true};
  Put chunk{"c", "0123456789012345678901234567890123456789", {}, true, true, false};
  Txn txn;
  txn.compares = {{CompareTarget::kExists, CompareIs::kNotEqual, "a", 1, {}, {}},
                  {CompareTarget::kVersion, CompareIs::kGreater, "a", 77, {}, {}},
                  {CompareTarget::kValue, CompareIs::kLess, "b", 0, "v", {}},
                  {CompareTarget::kLease, CompareIs::kEqual, "c", 0, {}, {3, 4}}};
  txn.then_ops = {TxnGet{"g"}, TxnRange{"a", "z", 10, true}, put, Delete{"d", true}, DeleteRange{"a", "", 5}};
  txn.else_ops = {TxnGet{"e"}};
  Limits limits;
  limits.sessions = 12;
  std::vector<Command> out;
  for (Body body :
       std::vector<Body>{put, chunk, Delete{"d", true}, DeleteRange{"a", "b", 3}, txn, LeaseGrant{5'000'000},
                         LeaseKeepAlive{{1, 2}}, LeaseRevoke{{1, 3}}, LeaseExpire{{{{1, 4}, 5}, {{6, 7}, 8}}},
                         SessionRegister{}, SessionClose{{1, 2}}, SessionExpire{{{{1, 4}, 5}}}, Compact{900},
                         Settings{limits}, AlarmChange{AlarmKind::kReadOnly, 3, true}, ScrubMark{17}}) {
    out.push_back({1'700'000'000'000'000, std::nullopt, body});
    out.push_back({-1, SessionMark{{1, 20}, 300, 299}, body});
  }
  return out;
}

TEST(Command, IsReadAsItWasWritten) {
  size_t kinds = 0;
  for (const Command& command : samples()) {
    const std::string bytes = encode_command(command);
    const Result<Command> read = decode_command(bytes);
    ASSERT_TRUE(read.ok()) << read.status().to_string();
    EXPECT_EQ(read->unix_micros, command.unix_micros);
    EXPECT_EQ(read->mark.has_value(), command.mark.has_value());
    EXPECT_EQ(read->body.index(), command.body.index());
    EXPECT_EQ(encode_command(*read), bytes);
    kinds = std::max(kinds, command.body.index() + 1);
  }
  EXPECT_EQ(kinds, std::variant_size_v<Body>);
  const std::string bytes = encode_command(samples()[1]);  // with a mark
  const Command read = *decode_command(bytes);
  EXPECT_EQ(read.mark->session, (SessionId{1, 20}));
  EXPECT_EQ(read.mark->sequence, 300u);
  EXPECT_EQ(read.mark->lowest_unanswered, 299u);
  const Put& put = std::get<Put>(read.body);
  EXPECT_EQ(put.key, "key\0x"sv);
  EXPECT_EQ(put.value, "value");
  EXPECT_EQ(put.lease, (LeaseId{2, 9}));
  EXPECT_TRUE(put.want_previous);
  EXPECT_FALSE(put.keep_lease);
}

TEST(Command, CutAnywhereIsRefused) {
  for (const Command& command : samples()) {
    const std::string bytes = encode_command(command);
    for (size_t n = 0; n < bytes.size(); ++n) {
      const Result<Command> read = decode_command(std::string_view(bytes).substr(0, n));
      ASSERT_FALSE(read.ok()) << n << " of " << bytes.size();
      EXPECT_EQ(read.status().kind(), "barn.command.damaged");
      EXPECT_EQ(read.status().code(), Code::kDataLoss);
    }
    EXPECT_EQ(decode_command(bytes + "x").status().kind(), "barn.command.damaged");
  }
}

TEST(Command, UnknownVersionsTypesAndFlagsAreToldFromDamage) {
  std::string bytes = encode_command({1, std::nullopt, Delete{"d", false}});
  std::string newer = bytes;
  newer[0] = 2;
  EXPECT_EQ(decode_command(newer).status().kind(), "barn.command.unknown");
  EXPECT_EQ(decode_command(newer).status().code(), Code::kUnimplemented);
  EXPECT_NE(decode_command(newer).status().hint(), "");
  std::string type = bytes;
  type[1] = 16;
  EXPECT_EQ(decode_command(type).status().kind(), "barn.command.unknown");
  type[1] = 0;
  EXPECT_EQ(decode_command(type).status().kind(), "barn.command.unknown");
  std::string flags = bytes;
  flags[2] = 4;
  EXPECT_EQ(decode_command(flags).status().kind(), "barn.command.unknown");
}

TEST(Command, CountsThatCannotBeTrueAllocateNothing) {
  std::string bytes = encode_command({1, std::nullopt, Txn{}});
  bytes.resize(bytes.size() - 3);
  std::string txn = bytes;
  append_varint(txn, uint64_t{1} << 40);  // comparisons
  EXPECT_FALSE(decode_command(txn + "abcdef").ok());
  std::string lapses = encode_command({1, std::nullopt, LeaseExpire{}});
  lapses.pop_back();
  append_varint(lapses, UINT64_MAX);
  EXPECT_FALSE(decode_command(lapses).ok());
  const std::string big(kRequestBytesCeiling, 'v');
  EXPECT_FALSE(decode_command(encode_command({1, std::nullopt, Put{"k", big, {}, false, false, false}})).ok());
}

TEST(Command, IsCheckedBeforeItIsProposed) {
  const Limits limits;
  const auto check = [&](Body body, size_t bytes = 100) {
    return check_command({1, std::nullopt, std::move(body)}, bytes, limits);
  };
  EXPECT_TRUE(check(Put{"k", "v", {}, false, false, false}).ok());
  EXPECT_EQ(check(Put{"k", "v", {}, false, false, false}, limits.request_bytes + 1).kind(), "barn.request_too_large");
  EXPECT_FALSE(check(Put{"", "v", {}, false, false, false}).ok());
  EXPECT_FALSE(check(Put{"k", "v", {1, 1}, true, false, false}).ok());
  EXPECT_FALSE(check(Put{"k", "v", {}, false, true, false}).ok());
  const std::string long_key(kKeyBytesMax + 1, 'k');
  EXPECT_FALSE(check(Delete{long_key, false}).ok());
  EXPECT_TRUE(check(Delete{std::string_view(long_key).substr(1), false}).ok());
  EXPECT_FALSE(check(DeleteRange{"b", "a", 0}).ok());
  EXPECT_TRUE(check(DeleteRange{"b", "", 0}).ok());
  EXPECT_FALSE(check(LeaseGrant{0}).ok());
  Txn txn;
  txn.else_ops = {Delete{"", false}};
  EXPECT_FALSE(check(txn).ok());
  Limits bad;
  bad.request_bytes = 2 << 20;
  EXPECT_FALSE(check(Settings{bad}).ok());
  EXPECT_FALSE(check_command({1, SessionMark{{1, 1}, 0, 0}, Delete{"d", false}}, 10, limits).ok());
  EXPECT_FALSE(check_command({1, SessionMark{{1, 1}, 3, 4}, Delete{"d", false}}, 10, limits).ok());
}

TEST(Command, WhatCouldNotBeReadBackNeverReachesTheLog) {
  const Limits limits;
  for (const Command& command : samples()) EXPECT_EQ(*prepare_command(command, limits), encode_command(command));
  Txn txn;
  txn.compares = {{static_cast<CompareTarget>(9), CompareIs::kEqual, "a", 1, {}, {}}};
  EXPECT_EQ(prepare_command({1, std::nullopt, txn}, limits).status().code(), Code::kInvalidArgument);
  txn.compares = {{CompareTarget::kExists, CompareIs::kLess, "a", 1, {}, {}}};
  EXPECT_FALSE(prepare_command({1, std::nullopt, txn}, limits).ok());
  EXPECT_FALSE(prepare_command({1, std::nullopt, AlarmChange{static_cast<AlarmKind>(7), 1, true}}, limits).ok());
  EXPECT_FALSE(prepare_command({1, std::nullopt, Delete{"", false}}, limits).ok());
  // An incarnation without an index is no lease, however it is written.
  const std::string bytes = *prepare_command({1, std::nullopt, LeaseKeepAlive{{7, 0}}}, limits);
  EXPECT_EQ(std::get<LeaseKeepAlive>(decode_command(bytes)->body).lease, LeaseId());
}

TEST(Answer, IsReadAsItWasWritten) {
  Answer answer;
  answer.index = 300;
  answer.succeeded = false;
  answer.token = {2, 300};
  OpAnswer op;
  op.items = {{"k", "v\0w"s, 1, 300, 7, {1, 5}, true}, {"l", "", 2, 2, 1, {}, false}};
  op.deleted = 3;
  op.more = true;
  answer.ops = {OpAnswer{}, op};
  std::string bytes;
  append_answer(bytes, answer);
  EXPECT_EQ(*decode_answer(bytes), answer);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(decode_answer(std::string_view(bytes).substr(0, n)).ok()) << n;
}

TEST(Answer, EveryRefusalHasWordsAndAKindOfItsOwn) {
  std::set<std::string> kinds;
  for (int refusal = 1; refusal <= static_cast<int>(Refusal::kTxnTooLong); ++refusal) {
    Answer answer;
    answer.refusal = static_cast<Refusal>(refusal);
    answer.detail = 41;
    const Status status = to_status(answer);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.kind(), "barn.refused") << refusal;
    EXPECT_TRUE(status.kind().starts_with("barn."));
    kinds.insert(status.kind());
    std::string bytes;
    append_answer(bytes, answer);
    EXPECT_EQ(*decode_answer(bytes), answer);
  }
  EXPECT_EQ(kinds.size(), static_cast<size_t>(Refusal::kTxnTooLong) - 1);  // two speak of a bad key
  EXPECT_TRUE(to_status(Answer()).ok());
}

}  // namespace
}  // namespace runink::barn
