#include "client/local/data_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/local/project_in_test.h"
#include "data/columnar/ipc.h"
#include "data/connectors/record_writer.h"
#include "data/connectors/source.h"
#include "data/contract/parse.h"

namespace runink::local {
namespace {

using connectors::Compression;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kRows =
    "{\"id\":1,\"who\":\"Ann Lee\",\"mail\":\"ann@example.org\"}\n{\"id\":2,\"who\":\"Bo\",\"mail\":null}\n";
constexpr const char* kTable = "id,who,mail\n1,Ann Lee,ann@example.org\n2,Bo,\n";

std::string packed(std::string_view text, Compression compression) {
  columnar::Buffer out;
  EXPECT_TRUE(connectors::compress(compression, text, out).ok());
  return std::string(out.view());
}

class DataFileTest : public ::testing::Test {
 protected:
  // The records of kRows as an Arrow stream, by way of a run.
  std::string arrow() {
    p_.write("contracts/c.contract", "contract C { int64 id [[required]]; string who; string mail; }");
    p_.write("in.ndjson", kRows);
    p_.write(
        "features/f.dsl",
        "Feature: F\n  Scenario: S\n    Given rows arrive from \"in.ndjson\" with contract \"contracts/c.contract\"\n"
        "    Then records are written to \"out.arrow\"\n");
    p_.run("features/f.dsl");
    return p_.read("out.arrow");
  }
  DataFile file(const std::string& name, const std::string& bytes, const std::string& format = "") {
    p_.write(name, bytes);
    return {p_.root() + "/" + name, format};
  }
  std::string redacted(const DataFile& data) {
    std::string out;
    auto records = redact_data(*contract_, data, {}, {}, [&](std::string_view text) {
      out += text;
      return Status();
    });
    EXPECT_TRUE(records.ok()) << records.status().to_string();
    EXPECT_EQ(records.ok() ? *records : 0, 2u);
    return out;
  }

  TestProject p_;
  contract::ContractPtr contract_ = *contract::parse_contract_text(
      "contract C { int64 id; string who [[pii, mask(\"first1\")]]; string mail [[pii]]; }");
};

TEST_F(DataFileTest, ContractsAreInferredFromEveryFormInEveryPacking) {
  const std::string from_json = *infer_contract(file("a.ndjson", kRows), {});
  EXPECT_THAT(from_json, HasSubstr("string who"));
  for (const Compression c : {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    const std::string ending = c == Compression::kNone ? "" : c == Compression::kGzip ? ".gz" : ".zst";
    for (const auto& [name, text] :
         {std::pair("x.ndjson", std::string(kRows)), std::pair("x.csv", std::string(kTable)),
          std::pair("x.arrow", arrow()), std::pair("no_ending", std::string(kRows)),
          std::pair("no_ending_table", std::string(kTable)), std::pair("no_ending_arrow", arrow())}) {
      const auto profile = profile_data(file(name + ending, packed(text, c)), {});
      ASSERT_TRUE(profile.ok()) << name << ending << ": " << profile.status().to_string();
      EXPECT_EQ(profile->records, 2u) << name << ending;
      ASSERT_EQ(profile->columns.size(), 3u) << name << ending;
      EXPECT_EQ(profile->columns[0].name, "id");
      EXPECT_TRUE(profile->columns[0].type.is_integer()) << name << ending;
      EXPECT_EQ(profile->columns[2].pii_kind, "email") << name << ending;
      EXPECT_EQ(profile->columns[2].nulls, 1u) << name << ending;
    }
  }
}

TEST_F(DataFileTest, FormatsCanBeSaid) {
  EXPECT_EQ(profile_data(file("a.txt", "a\tb\n1\t2\n", "tsv"), {})->columns.size(), 2u);
  EXPECT_FALSE(profile_data(file("a.txt", "a\tb\n", "xml"), {}).ok());
  EXPECT_EQ(profile_data({p_.root() + "/none.csv", ""}, {}).status().code(), Code::kNotFound);
}

TEST_F(DataFileTest, DamagedPackingIsSaid) {
  std::string cut = packed(std::string(100'000, 'x') + "\n", Compression::kGzip);
  cut.resize(cut.size() / 2);
  EXPECT_EQ(profile_data(file("cut.csv.gz", cut), {}).status().code(), Code::kDataLoss);
}

TEST_F(DataFileTest, PackedTextIsRedactedAsPlainTextIs) {
  const std::string plain = redacted(file("a.ndjson", kRows));
  EXPECT_EQ(plain, "{\"id\":1,\"who\":\"A******\",\"mail\":\"****\"}\n{\"id\":2,\"who\":\"B*\",\"mail\":null}\n");
  EXPECT_EQ(redacted(file("a.ndjson.gz", packed(kRows, Compression::kGzip))), plain);
  EXPECT_EQ(redacted(file("a.ndjson.zst", packed(kRows, Compression::kZstd))), plain);
  EXPECT_EQ(redacted(file("a.csv.zst", packed(kTable, Compression::kZstd))), redacted(file("a.csv", kTable)));
}

TEST_F(DataFileTest, ArrowIsRedactedToArrow) {
  const std::string out = redacted(file("a.arrow.gz", packed(arrow(), Compression::kGzip)));
  EXPECT_THAT(out, Not(HasSubstr("Ann")));
  EXPECT_THAT(out, Not(HasSubstr("ann@")));
  auto batches = columnar::ipc_decode(out);
  ASSERT_TRUE(batches.ok()) << batches.status().to_string();
  ASSERT_EQ(batches->size(), 1u);
  std::string row;
  ASSERT_TRUE(connectors::append_json_record((*batches)[0], 0, row).ok());
  EXPECT_EQ(row, "{\"id\":1,\"who\":\"A******\",\"mail\":\"****\"}");
}

TEST_F(DataFileTest, RedactedFilesAreCompressedAsTheirNamesSay) {
  const DataFile in = file("a.csv", kTable);
  ASSERT_TRUE(redact_data_to(p_.root() + "/b.csv.gz", *contract_, in, {}, {}).ok());
  EXPECT_EQ(connectors::detect_compression(p_.read("b.csv.gz")), Compression::kGzip);
  EXPECT_EQ(profile_data({p_.root() + "/b.csv.gz", ""}, {})->records, 2u);
}

}  // namespace
}  // namespace runink::local
