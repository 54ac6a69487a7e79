#include "control/cluster/records.h"

#include <gtest/gtest.h>

#include "control/barn/command.h"
#include "control/barn/memory_store.h"

namespace runink::cluster {
namespace {

class RecordsTest : public testing::Test {
 protected:
  void put(const std::string& key, const std::string& value) {
    barn::Command command;
    command.body = barn::Put{.key = key, .value = value};
    raft::Entry entry;
    entry.index = ++index_;
    entry.term = 1;
    entry.kind = raft::EntryKind::kCommand;
    entry.data = std::make_shared<const std::string>(encode_command(command));
    ASSERT_TRUE(machine_->apply(std::span(&entry, 1)).ok());
  }
  barn::MemoryStore store_;
  std::unique_ptr<barn::StateMachine> machine_ = std::move(*barn::StateMachine::open(&store_));
  barn::Index index_ = 0;
};

TEST_F(RecordsTest, AllKeysAreTheSystemsAndSortByNode) {
  for (const std::string& key : {cluster_key(), authority_key(), member_key(1), token_key("ab")})
    EXPECT_TRUE(is_system_key(key));
  EXPECT_FALSE(is_system_key("a"));
  EXPECT_FALSE(is_system_key("\x01"));
  EXPECT_TRUE(is_system_key(""));
  EXPECT_LT(member_key(9), member_key(10));
  EXPECT_TRUE(member_range().contains(member_key(UINT64_MAX)));
  EXPECT_FALSE(member_range().contains(token_key("ab")));
}

TEST_F(RecordsTest, WhatWasPutIsFound) {
  ASSERT_TRUE(find_member(*machine_, 7).ok());
  EXPECT_FALSE(find_member(*machine_, 7)->has_value());
  v1::MemberRecord record;
  record.set_node(7);
  record.mutable_addresses()->set_api("host:1");
  put(member_key(7), record.SerializeAsString());
  record.set_node(12);
  put(member_key(12), record.SerializeAsString());
  const auto found = find_member(*machine_, 7);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->record.addresses().api(), "host:1");
  EXPECT_EQ((*found)->modified, 1u);
  const auto all = all_members(*machine_);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->size(), 2u);
  EXPECT_EQ(all->at(12).modified, 2u);

  v1::TokenRecord token;
  token.set_node(9);
  put(token_key("00ff"), token.SerializeAsString());
  EXPECT_EQ(all_tokens(*machine_)->at("00ff").record.node(), 9u);
}

TEST_F(RecordsTest, DamageIsNamed) {
  put(member_key(7), "\xff\xff\xff");
  EXPECT_EQ(find_member(*machine_, 7).status().code(), Code::kDataLoss);
  EXPECT_EQ(all_members(*machine_).status().code(), Code::kDataLoss);
}

}  // namespace
}  // namespace runink::cluster
