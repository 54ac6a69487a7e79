// Sinks that add to files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "client/local/project_in_test.h"
#include "data/connectors/record_writer.h"

namespace runink::local {
namespace {

using connectors::Compression;
using ::testing::HasSubstr;

std::string packed(std::string_view text, Compression compression) {
  columnar::Buffer out;
  EXPECT_TRUE(connectors::compress(compression, text, out).ok());
  return std::string(out.view());
}

class AppendTest : public ::testing::Test {
 protected:
  AppendTest() {
    p_.write("contracts/t.contract", "contract T { int64 i [[required, max(5)]]; string s; }");
    p_.write("data/t.ndjson", "{\"i\":1,\"s\":\"a\"}\n{\"i\":9,\"s\":\"b\"}\n");
  }
  void feature(const std::string& sink, const std::string& rejected = "") {
    p_.write("features/f.dsl",
             "Feature: F\n  Scenario: S\n    Given rows arrive from \"data/t.ndjson\" with contract \"contracts/t.contract\"\n"
             "    When records are checked against the contract\n    @sink(" + sink + ", mode=\"append\")\n"
             "    Then valid records are written\n" +
                 (rejected.empty() ? "" : "    @sink(\"" + rejected + "\", mode=\"append\")\n    And rejected records are written\n"));
  }
  std::string added_to(const std::string& path, const std::string& present, const std::string& more = "") {
    p_.write(path, present);
    feature("\"" + path + "\"" + more);
    p_.run("features/f.dsl");
    return p_.read(path);
  }
  Status refused(const std::string& path, const std::string& present, const std::string& more = "") {
    p_.write(path, present);
    feature("\"" + path + "\"" + more);
    RunOptions options;
    options.feature = "features/f.dsl";
    auto outcome = run_feature(p_.project(), options);
    EXPECT_EQ(p_.read(path), present);
    return outcome.ok() ? outcome->status : outcome.status();
  }
  TestProject p_;
};

TEST_F(AppendTest, ALineThatWasNotEndedIsEnded) {
  EXPECT_EQ(added_to("out/a.ndjson", "{\"i\":0}"), "{\"i\":0}\n{\"i\":1,\"s\":\"a\"}\n");
  EXPECT_EQ(added_to("out/a.ndjson", "{\"i\":0}\n"), "{\"i\":0}\n{\"i\":1,\"s\":\"a\"}\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,x"), "i,s\n0,x\n1,a\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s"), "i,s\n1,a\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s\r\n0,x", ", crlf=true"), "i,s\r\n0,x\r\n1,a\r\n");
  EXPECT_EQ(added_to("out/a.csv", ""), "i,s\n1,a\n");
}

TEST_F(AppendTest, RecordsEndAsThoseThatAreThere) {
  EXPECT_EQ(added_to("out/a.csv", "i,s\r\n0,x\r\n"), "i,s\r\n0,x\r\n1,a\r\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,x\n", ", crlf=true"), "i,s\n0,x\n1,a\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s\r\n0,x"), "i,s\r\n0,x\r\n1,a\r\n");
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,\"x\r\ny\"\n"), "i,s\n0,\"x\r\ny\"\n1,a\n");
  // Half of a CR LF.
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,x\r"), "i,s\n0,x\r\n1,a\n");
  EXPECT_EQ(added_to("out/a.ndjson", "{\"i\":0}\r"), "{\"i\":0}\r\n{\"i\":1,\"s\":\"a\"}\n");
}

TEST_F(AppendTest, ARecordThatWouldSwallowWhatIsAddedIsRefused) {
  const Status status = refused("out/a.csv", "i,s\n0,\"x\ny\"\n1,\"broken");
  EXPECT_EQ(status.kind(), "sink.open_quote");
  EXPECT_THAT(status.message(), HasSubstr("its last record ends inside quotes, which began in line 4"));
  EXPECT_EQ(refused("out/a.csv", "i,s\n0,\"broken\n1,x\n").kind(), "sink.open_quote");
  EXPECT_EQ(refused("out/a.csv.gz", packed("i,s\n0,\"broken", Compression::kGzip)).kind(), "sink.open_quote");
  EXPECT_EQ(refused("out/a.csv", "i,s\n0,'broken", ", quote=\"'\"").kind(), "sink.open_quote");
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,x\"y"), "i,s\n0,x\"y\n1,a\n");  // no quote: it does not begin a cell
  EXPECT_EQ(added_to("out/a.csv", "i,s\n0,\"whole\""), "i,s\n0,\"whole\"\n1,a\n");
}

TEST_F(AppendTest, NothingIsAddedWhereThereIsNothingToAdd) {
  p_.write("data/t.ndjson", "{\"i\":9,\"s\":\"b\"}\n");
  EXPECT_EQ(added_to("out/a.ndjson", "{\"i\":0}"), "{\"i\":0}");
}

TEST_F(AppendTest, PackedFilesAreLookedInto) {
  for (const auto& [ending, compression] : {std::pair(".gz", Compression::kGzip), std::pair(".zst", Compression::kZstd)}) {
    const std::string path = std::string("out/a.csv") + ending;
    const std::string out = added_to(path, packed("i,s\n0,x", compression));
    p_.write("data/again.csv" + std::string(ending), out);
    p_.write("features/read.dsl", "Feature: F\n  Scenario: S\n    Given rows arrive from \"data/again.csv" + std::string(ending) +
                                      "\" with contract \"contracts/t.contract\"\n    Then records are written to \"out/read.csv\"\n");
    p_.run("features/read.dsl");
    EXPECT_EQ(p_.read("out/read.csv"), "i,s\n0,x\n1,a\n");
    EXPECT_EQ(refused(path, packed("i,t\n0,x\n", compression)).kind(), "sink.columns");
  }
}

TEST_F(AppendTest, RecordsThatWouldNotFitAreRefused) {
  EXPECT_THAT(refused("out/a.csv", "i,s,z\n0,x,\n").message(), HasSubstr("its columns are i, s, z, and the records to be added have i, s"));
  EXPECT_EQ(refused("out/a.csv", "s,i\nx,0\n").kind(), "sink.columns");
  const Status other = refused("out/a.csv", "i;s\n0;x\n");
  EXPECT_THAT(other.hint() + join(other.details(), "\n"), HasSubstr("another delimiter?"));
  EXPECT_THAT(refused("out/a.csv", "0,x,\n", ", header=false").message(), HasSubstr("have 3 cells, and those to be added have 2"));
  EXPECT_EQ(added_to("out/a.csv", "0,x\n", ", header=false"), "0,x\n1,a\n");
}

TEST_F(AppendTest, LettersAreAddedOnLinesOfTheirOwn) {
  p_.write("out/letters.ndjson", "{\"v\":0}");
  feature("\"out/a.ndjson\"", "out/letters.ndjson");
  p_.run("features/f.dsl");
  EXPECT_TRUE(p_.read("out/letters.ndjson").starts_with("{\"v\":0}\n{\"v\":1,")) << p_.read("out/letters.ndjson");
}

}  // namespace
}  // namespace runink::local
