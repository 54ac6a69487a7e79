#include "data/contract/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/contract/canonical.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::contract {
namespace {

using testing::HasSubstr;

ContractPtr make(const std::string& version, const std::string& fields, const std::string& name = "Flight") {
  auto contract = parse_contract_text("[[version(\"" + version + "\")]] contract " + name + " { " + fields + " }");
  EXPECT_TRUE(contract.ok()) << contract.status().to_string();
  return *contract;
}

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() : folder_(std::move(*os::TempFolder::create(""))), history_(folder_.path()) {}
  void write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(os::make_directories(os::folder_of(folder_.file(path))).ok());
    ASSERT_TRUE(os::write_file_atomic(folder_.file(path), text).ok());
  }
  os::TempFolder folder_;
  History history_;
};

TEST_F(HistoryTest, KeepsCanonicalTextByVersion) {
  EXPECT_TRUE(history_.versions("Flight")->empty());
  EXPECT_EQ(history_.load_highest("Flight").status().code(), Code::kNotFound);
  const auto first = history_.release(*make("1.0.0", "int32 a;"));
  ASSERT_TRUE(first.ok()) << first.status().to_string();
  EXPECT_EQ(first->path, folder_.path() + "/contracts/history/Flight/1.0.0.contract");
  EXPECT_FALSE(first->previous);
  EXPECT_EQ(*os::read_file(first->path), canonical_text(*make("1.0.0", "int32 a;")));

  const auto second = history_.release(*make("1.10.0", "int32 a; int32 b;"));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->previous->to_string(), "1.0.0");
  EXPECT_EQ(second->diff.changes.size(), 1u);
  ASSERT_TRUE(history_.release(*make("1.9.0", "int32 a; int32 b;")).status().code() == Code::kFailedPrecondition);
  ASSERT_EQ(history_.versions("Flight")->size(), 2u);
  EXPECT_EQ((*history_.load_highest("Flight"))->version_text(), "1.10.0");
  EXPECT_THAT(*history_.names(), testing::ElementsAre("Flight"));
}

TEST_F(HistoryTest, AReleaseThatIsNotThereNamesThoseThatAre) {
  ASSERT_TRUE(history_.release(*make("1.0.0", "int32 a;")).ok());
  ASSERT_TRUE(history_.release(*make("1.1.0", "int32 a; int32 b;")).ok());
  Version version;
  ASSERT_TRUE(Version::parse("1.2.1", &version));
  const Status none = history_.load("Flight", version).status();
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_EQ(none.message(), "contract Flight has no release 1.2.1");
  EXPECT_EQ(none.hint(), "released are 1.0.0, 1.1.0");
  EXPECT_EQ(history_.load("Fligth", version).status().hint(), "did you mean Flight?");
}

TEST_F(HistoryTest, AReleaseIsNeverChanged) {
  ASSERT_TRUE(history_.release(*make("1.0.0", "int32 a;")).ok());
  const auto again = history_.release(*make("1.0.0", "int32   a; /* the same */"));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->already_there);
  const auto other = history_.release(*make("1.0.0", "int64 a;"));
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.status().code(), Code::kAlreadyExists);
  EXPECT_EQ(other.status().hint(), "set version(\"2.0.0\")");
  EXPECT_EQ(other.status().details().size(), 1u);
}

TEST_F(HistoryTest, RefusesAStepThatIsTooSmall) {
  ASSERT_TRUE(history_.release(*make("1.0.0", "int32 a;")).ok());
  const auto status = history_.release(*make("1.1.0", "int64 a;")).status();
  EXPECT_EQ(status.kind(), "contract.bump");
  EXPECT_EQ(history_.versions("Flight")->size(), 1u);
  EXPECT_TRUE(history_.release(*make("2.0.0", "int64 a;")).ok());
  EXPECT_EQ(history_.release(**parse_contract_text("contract Flight { int64 a; }")).status().code(),
            Code::kFailedPrecondition);
}

TEST_F(HistoryTest, NoticesFilesThatDoNotBelong) {
  ASSERT_TRUE(history_.release(*make("1.0.0", "int32 a;")).ok());
  write("contracts/history/Flight/2.0.0.contract", "[[version(\"1.5.0\")]] contract Flight { int32 a; }");
  EXPECT_EQ(history_.load_highest("Flight").status().code(), Code::kDataLoss);
  write("contracts/history/Flight/latest.contract", "contract Flight { int32 a; }");
  EXPECT_THAT(history_.versions("Flight").status().to_string(), HasSubstr("latest.contract"));
}

TEST_F(HistoryTest, NamesCannotLeaveTheFolder) {
  EXPECT_EQ(history_.versions("../x").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(history_.load("..", {1, 0, 0}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(history_.release(*make("1.0.0", "int32 a;", "`a/b`")).status().code(), Code::kInvalidArgument);
}

TEST_F(HistoryTest, CatalogListsAllContracts) {
  write("contracts/b.contract",
        "[[version(\"1.0.0\"), owner(\"o\"), classification(\"internal\"), tags(\"t\")]] contract B {"
        " int32 a [[required, glossary(\"Term\")]]; list<struct { string m [[pii]]; }> l; string p [[pii]]; check c: a "
        "> 0; }");
  write("contracts/deep/two.contract", "contract A { int32 a; } contract C { int32 a; }");
  write("contracts/broken.contract", "contract X { strng a; }");
  write("contracts/structs.contract", "struct S { string a; }");
  ASSERT_TRUE(history_.release(*make("1.0.0", "int32 a;", "B")).ok());
  const auto listed = catalog(folder_.path());
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 4u);
  EXPECT_THAT((*listed)[0].error, HasSubstr("there is no type strng"));
  EXPECT_EQ((*listed)[1].path, "contracts/deep/two.contract#A");
  const auto& b = (*listed)[2];
  EXPECT_EQ(b.name, "B");
  EXPECT_EQ(b.version, "1.0.0");
  EXPECT_EQ(b.released, "1.0.0");
  EXPECT_EQ(b.owner, "o");
  EXPECT_THAT(b.pii_fields, testing::ElementsAre("l.m", "p"));
  EXPECT_EQ(b.rules, 2u);
  EXPECT_EQ(b.rules, count_rules(*make("1.0.0", "int32 a;", "B")) + 2) << "one way of counting, without types";
  ASSERT_EQ(b.glossary.size(), 1u);
  EXPECT_EQ((*listed)[3].version, "unversioned");
  EXPECT_TRUE(catalog(folder_.file("nowhere"))->empty());
}

}  // namespace
}  // namespace runink::contract
