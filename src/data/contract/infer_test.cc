#include "data/contract/infer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::contract {
namespace {

using columnar::TypeId;
using testing::HasSubstr;
using testing::Not;

const ColumnProfile& column(const DataProfile& profile, const std::string& name) {
  for (const auto& one : profile.columns) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no column " << name;
  static const ColumnProfile none;
  return none;
}

TEST(Infer, FindsTheNarrowestTypes) {
  Inferrer inferrer;
  for (int i = 0; i < 40; ++i) {
    const std::string line = fmt::format(
        R"({{"small":{},"large":{},"huge":18446744073709551{:03},"real":{}.5,"flag":{},"day":"2001-01-{:02}","at":"2001-01-{:02}T10:00:00Z",)"
        R"("us":"{:02}/17/2001","time":"10:{:02}","id":"0e37df36-f698-11e6-8dd4-cb9ced3df9{:02x}","kind":"{}","code":"A{:02}","text":"text {}",)"
        R"("nest":{{"a":{},"b":null}},"list":[1,2,{}],"people":[{{"name":"n{}","age":{}}}],"mixed":{},"maybe":{}}})",
        i, 5000000000 + i, i, i, i % 2 ? "true" : "false", i % 28 + 1, i % 28 + 1, i % 12 + 1, i % 60, i,
        i % 3 ? "red" : "blue", i, i * i, i, i, i, i, i % 2 ? "1" : "\"x\"", i % 2 ? "null" : "1");
    ASSERT_TRUE(inferrer.add_json(line).ok()) << line;
  }
  const auto profile = inferrer.profile();
  const auto type = [&](const char* name) { return column(profile, name).type.to_string(); };
  EXPECT_EQ(type("small"), "int32");
  EXPECT_EQ(type("large"), "int64");
  EXPECT_EQ(type("huge"), "uint64");
  EXPECT_EQ(type("real"), "float64");
  EXPECT_EQ(type("flag"), "bool");
  EXPECT_EQ(type("day"), "date");
  EXPECT_EQ(type("at"), "timestamp");
  EXPECT_EQ(type("us"), "date");
  EXPECT_EQ(column(profile, "us").format, "%m/%d/%Y");
  EXPECT_EQ(type("time"), "time");
  EXPECT_EQ(type("id"), "uuid");
  EXPECT_EQ(type("kind"), "enum(blue, red)");
  EXPECT_EQ(type("code"), "string");
  EXPECT_EQ(column(profile, "code").pattern, "[A-Z][0-9]{2}");
  EXPECT_EQ(type("text"), "string");
  EXPECT_EQ(type("nest.a"), "int32");
  EXPECT_EQ(column(profile, "nest.b").nulls, 40u);
  EXPECT_EQ(type("list"), "list<int32>");
  EXPECT_EQ(column(profile, "people").type.element().fields().size(), 2u);
  EXPECT_EQ(type("mixed"), "json");
  EXPECT_EQ(column(profile, "maybe").nulls, 20u);
  EXPECT_EQ(*column(profile, "small").min, "0");
  EXPECT_EQ(*column(profile, "small").max, "39");

  const std::string text = inferrer.contract_text();
  const auto contract = parse_contract_text(text);
  ASSERT_TRUE(contract.ok()) << text << contract.status().to_string();
  EXPECT_THAT(text, HasSubstr("int32 small [[required]];  // seen: 0 to 39"));
  EXPECT_THAT(text, HasSubstr("int32 maybe;"));
  EXPECT_THAT(text, HasSubstr("date us [[required, format(\"%m/%d/%Y\")]]"));
}

TEST(Infer, ReadsNumbersInTablesAsNumbers) {
  Inferrer inferrer;
  const std::vector<std::string> names = {"id", "price", "zip", "ratio", "big", "yes", "empty"};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(inferrer
                    .add_cells(names, {std::to_string(i), fmt::format("{}.25", i), fmt::format("0{}", i),
                                       fmt::format("{}.{}", i, i * 111), "99999999999999999999",
                                       i % 2 ? "TRUE" : "false", std::nullopt})
                    .ok());
  }
  const auto profile = inferrer.profile();
  const auto type = [&](const char* name) { return column(profile, name).type.to_string(); };
  EXPECT_EQ(type("id"), "int32");
  EXPECT_EQ(type("price"), "decimal(12,2)");
  EXPECT_EQ(type("zip"), "string") << "a leading zero makes a code";
  EXPECT_EQ(type("ratio"), "float64");
  EXPECT_EQ(type("big"), "float64");
  EXPECT_EQ(type("yes"), "bool");
  EXPECT_EQ(column(profile, "empty").nulls, 10u);
  EXPECT_TRUE(parse_contract_text(inferrer.contract_text()).ok());
}

TEST(Infer, SuspectsPersonalDataAndShowsNoneOfIt) {
  Inferrer inferrer;
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(inferrer
                    .add_json(fmt::format(
                        R"({{"contact":"user{}@example.org","customerPhone":"555 01{:02}","card":"4111111111111111",)"
                        R"("ssn":"078-05-11{:02}","birthDate":"1980-01-{:02}","number":{}}})",
                        i, i, i, i % 28 + 1, i))
                    .ok());
  }
  const std::string text = inferrer.contract_text();
  ASSERT_TRUE(parse_contract_text(text).ok()) << text;
  EXPECT_THAT(text, HasSubstr("string contact [[required, pii(\"email\"), mask(\"email\")]]"));
  EXPECT_THAT(text, HasSubstr("string customerPhone [[required, pii(\"phone\"), mask(\"last4\")]]"));
  EXPECT_THAT(text, HasSubstr("string card [[required, pii(\"card\"), mask(\"last4\")]]"));
  EXPECT_THAT(text, HasSubstr("pii(\"ssn\")"));
  EXPECT_THAT(text, HasSubstr("date birthDate [[required, pii(\"birth date\")]]"));
  for (const char* secret : {"example.org", "4111", "078-", "1980", "555"}) EXPECT_THAT(text, Not(HasSubstr(secret)));
  for (const auto& one : inferrer.profile().columns) {
    if (one.name == "number") continue;
    EXPECT_TRUE(one.distinct.empty() && !one.min) << one.name;
  }
}

TEST(Infer, CopesWithNamesThatAContractCannotHold) {
  Inferrer inferrer;
  ASSERT_TRUE(
      inferrer.add_json(R"({"a.b":1,"":2,"with `tick`":3,"First name":4,"a":{"b":5},"new\nline":6,"struct":7,"ü":8})")
          .ok());
  const std::string text = inferrer.contract_text();
  const auto contract = parse_contract_text(text);
  ASSERT_TRUE(contract.ok()) << text << contract.status().to_string();
  EXPECT_GE((*contract)->column_of("First name"), 0);
  EXPECT_GE((*contract)->column_of("a.b"), 0);
  EXPECT_GE((*contract)->column_of("struct"), 0);
}

TEST(Infer, RefusesWhatIsNoRecord) {
  Inferrer inferrer;
  EXPECT_EQ(inferrer.add_json("[1]").code(), Code::kInvalidArgument);
  EXPECT_EQ(inferrer.add_json("{\"a\":").code(), Code::kInvalidArgument);
  EXPECT_EQ(inferrer.records(), 0u);
  EXPECT_TRUE(inferrer.profile().columns.empty());
  EXPECT_TRUE(parse_contract_text(inferrer.contract_text()).ok());
  std::string deep = "{\"a\":", end = "}";
  for (int i = 0; i < 5000; ++i) {
    deep += "{\"a\":";
    end += "}";
  }
  EXPECT_TRUE(inferrer.add_json(deep + "1" + end).ok());
  EXPECT_TRUE(parse_contract_text(inferrer.contract_text()).ok()) << inferrer.contract_text();
}

TEST(Infer, IsBoundedInFields) {
  Inferrer inferrer;
  Status status;
  for (int i = 0; i < 5000 && status.ok(); ++i) status = inferrer.add_json(fmt::format("{{\"f{}\":1}}", i));
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
}

TEST(InferFiles, ReadsNdjsonAndTables) {
  const auto folder = os::TempFolder::create("");
  const auto write = [&](const char* name, const std::string& text) {
    EXPECT_TRUE(os::write_file_atomic(folder->file(name), text).ok());
    return folder->file(name);
  };
  const auto json = write("a.ndjson", "{\"a\":1}\r\n\n{\"a\":2}");
  auto profile = profile_file(json);
  ASSERT_TRUE(profile.ok()) << profile.status().to_string();
  EXPECT_EQ(profile->records, 2u);
  EXPECT_TRUE(profile->complete);
  InferOptions one;
  one.max_records = 1;
  EXPECT_FALSE(profile_file(json, SampleForm::kGuess, one)->complete);

  const auto table = write("b.csv", "\xEF\xBB\xBFid,\"two\nlines\"\r\n1,\"x,\"\"y\"\"\"\r\n2,\"\"\r\n");
  profile = profile_file(table);
  ASSERT_TRUE(profile.ok()) << profile.status().to_string();
  EXPECT_EQ(profile->records, 2u);
  EXPECT_EQ(profile->columns[0].type.id(), TypeId::kInt32);
  EXPECT_EQ(profile->columns[1].name, "two\nlines");
  EXPECT_EQ(profile->columns[1].empty_text, 1u);
  EXPECT_EQ(profile_file(write("c.tsv", "a\tb\n1\t2\n"))->columns.size(), 2u);
  EXPECT_EQ(profile_file(write("guess", "{\"a\":1}\n"))->columns.size(), 1u);

  EXPECT_THAT(profile_file(write("d.json", "[{\"a\":1}]")).status().hint(), HasSubstr("jq"));
  EXPECT_THAT(profile_file(write("e.csv", "a,b\n1,2,3\n")).status().to_string(), HasSubstr("3 cells"));
  EXPECT_THAT(profile_file(write("f.csv", "a,b\n1,\"2\n")).status().to_string(), HasSubstr("quotes"));
  EXPECT_FALSE(profile_file(write("g.csv", "")).ok());
  EXPECT_EQ(profile_file(folder->file("none.csv")).status().code(), Code::kNotFound);
  EXPECT_FALSE(infer_contract(write("h.ndjson", ""), SampleForm::kGuess, {}).ok());
  const auto text = infer_contract(json, SampleForm::kGuess, {});
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(parse_contract_text(*text).ok());
}

}  // namespace
}  // namespace runink::contract
