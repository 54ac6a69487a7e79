#include "data/contract/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"

namespace runink::contract {
namespace {

std::vector<std::string> files(const std::string& pattern) {
  auto found = os::glob(pattern);
  return found.ok() ? *found : std::vector<std::string>();
}

using testing::Contains;
using testing::HasSubstr;

std::vector<ContractPtr> examples() {
  std::vector<ContractPtr> contracts;
  for (const auto& path : files("testdata/good/*.contract")) {
    Diagnostics diagnostics;
    const auto parsed =
        parse_contracts(std::make_shared<SourceText>(path, *os::read_file(path)), file_loader(), diagnostics);
    contracts.insert(contracts.end(), parsed.contracts.begin(), parsed.contracts.end());
  }
  const char* more[] = {
      "contract Order { int32 a.x; int32 b; int32 a.y; }",
      "contract Exact { decimal(38,10) a [[range(0.1, 12345678901234567890.0123456789), default(0.1)]]; uint64 b "
      "[[max(18446744073709551614)]];"
      " float32 c [[min(0.1)]]; int64 d [[range(-9223372036854775807, 9223372036854775806)]]; }",
      "contract Words { string a [[one_of(\"no\", \"1.10\", \"null\", \"\")]]; enum(yes, no, \"2001-01-10\") b; string "
      "c [[pattern(\"a|b\")]];"
      " timestamp d [[format(\"%d.%m.%Y %H:%M\")]]; timestamp e [[zone(\"Asia/Tokyo\")]]; json f [[required]]; bool g "
      "[[required, default(true)]]; }",
  };
  for (const char* text : more) contracts.push_back(*parse_contract_text(text));
  return contracts;
}

TEST(Odcs, RoundTripsWithoutLoss) {
  ASSERT_GE(examples().size(), 7u);
  for (const auto& contract : examples()) {
    const auto out = export_odcs(*contract);
    ASSERT_TRUE(out.ok()) << contract->name;
    const auto back = import_odcs(out->text, "x.yaml");
    ASSERT_TRUE(back.ok()) << contract->name << "\n" << back.status().to_string() << "\n" << out->text;
    EXPECT_EQ(back->text, canonical_text(*contract)) << out->text;
    EXPECT_THAT(back->not_carried, testing::IsEmpty());
    const auto again = parse_contract_text(back->text);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ((*again)->hash, contract->hash);
  }
}

TEST(JsonSchema, RoundTripsWithoutLoss) {
  for (const auto& contract : examples()) {
    const auto out = export_json_schema(*contract);
    ASSERT_TRUE(out.ok()) << contract->name;
    const auto back = import_json_schema(out->text, "x.json");
    ASSERT_TRUE(back.ok()) << contract->name << "\n" << back.status().to_string() << "\n" << out->text;
    EXPECT_EQ(back->text, canonical_text(*contract)) << out->text;
    EXPECT_THAT(back->not_carried, testing::IsEmpty());
    const auto again = parse_contract_text(back->text);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ((*again)->hash, contract->hash);
  }
}

TEST(Exchange, WithoutExtensionsOnlyTheStandardsWordsStand) {
  for (const auto& contract : examples()) {
    const auto schema = export_json_schema(*contract, {false});
    EXPECT_EQ(schema->text.find("x-runink"), std::string::npos);
    EXPECT_TRUE(import_json_schema(schema->text, "x.json").ok()) << schema->text;
    const auto odcs = export_odcs(*contract, {false});
    EXPECT_EQ(odcs->text.find("customProperties"), std::string::npos);
    EXPECT_TRUE(import_odcs(odcs->text, "x.yaml").ok()) << odcs->text;
  }
}

TEST(Exchange, ListsWhatTheOtherCannotSay) {
  const auto contract = *parse_contract_text(
      "contract C { decimal(5,2) a [[coerce, default(1.50)]]; duration d [[max(1h)]]; string s [[pii, mask(\"last4\"), "
      "unique]];"
      " check c: a > 1.0; quality q: count() > 1; }");
  const auto schema = export_json_schema(*contract)->not_carried;
  for (const char* what :
       {"a: JSON Schema cannot say how many digits", "a: JSON Schema cannot say that values of other types",
        "d: JSON Schema cannot say a range of duration", "s: JSON Schema cannot say who may see a value",
        "s: JSON Schema cannot say that values differ", "check c: JSON Schema", "quality q: JSON Schema"}) {
    EXPECT_THAT(schema, Contains(HasSubstr(what)));
  }
  const auto odcs = export_odcs(*contract)->not_carried;
  for (const char* what : {"a: ODCS cannot say the type decimal(5,2)", "a: ODCS cannot say a default",
                           "d: ODCS cannot say a range of duration", "s: ODCS cannot say who sees a value unmasked",
                           "c: the expression is Runink's own"}) {
    EXPECT_THAT(odcs, Contains(HasSubstr(what)));
  }
}

TEST(Exchange, PlainTextListsAllThatIsLost) {
  const auto contract = *parse_contract_text(
      "[[version(\"1.2.0\"), owner(\"o@x.org\"), classification(\"internal\"), tags(\"a\", \"b\"), max_records(500)]]"
      " contract Flight {"
      " int32 delay [[required, min(1), unit(\"minutes\"), glossary(\"lateness\"), lineage(\"the feed\"), "
      "tags(\"t\")]];"
      " string ssn [[pii(\"ssn\"), access(\"hr\"), mask(\"last4\")]]; int64 n [[unique, coerce, default(5)]];"
      " timestamp at [[format(\"%d.%m.%y\"), zone(\"Asia/Tokyo\")]];"
      " list<struct { int8 k [[max(3), unit(\"m\")]]; }> l;"
      " check c: n > 1 [[description(\"d\")]]; quality q: count() > 1 [[severity(\"warn\")]]; }");
  const auto odcs = export_odcs(*contract, {false})->not_carried;
  for (const char* what : {"the contract: max_records(500)", "the contract: classification(\"internal\")",
                           "delay: unit(\"minutes\")", "ssn: mask(\"last4\")", "ssn: access(\"hr\")",
                           "ssn: pii(\"ssn\") comes back as pii", "n: default(5)", "n: coerce", "l.k: unit(\"m\")"}) {
    EXPECT_THAT(odcs, Contains(what)) << join(odcs, "\n");
  }
  const auto schema = export_json_schema(*contract, {false})->not_carried;
  for (const char* what :
       {"the contract: version(\"1.2.0\")", "the contract: owner(\"o@x.org\")", "the contract: tags(\"a\", \"b\")",
        "the contract: max_records(500)", "delay: int32 comes back as int64",
        "delay: min(1) comes back as range(1, 2147483647)", "delay: unit(\"minutes\")", "delay: lineage(\"the feed\")",
        "delay: glossary(\"lateness\")", "delay: tags(\"t\")", "ssn: pii(\"ssn\")", "n: unique",
        "check c: the whole rule", "quality q: the whole rule", "at: zone(\"Asia/Tokyo\")", "l.k: unit(\"m\")"}) {
    EXPECT_THAT(schema, Contains(what)) << join(schema, "\n");
  }
  for (const auto& example : examples()) {
    for (const bool as_odcs : {true, false}) {
      const auto out = as_odcs ? export_odcs(*example, {false}) : export_json_schema(*example, {false});
      const auto back = as_odcs ? import_odcs(out->text, "x") : import_json_schema(out->text, "x");
      ASSERT_TRUE(back.ok());
      const bool same = back->text == canonical_text(*example);
      if (!same) EXPECT_THAT(out->not_carried, testing::Not(testing::IsEmpty())) << example->name;
    }
  }
  const auto plain =
      *parse_contract_text("[[version(\"1.0.0\")]] contract P { int32 a [[required]]; string b [[length(3)]]; }");
  EXPECT_THAT(export_odcs(*plain, {false})->not_carried, testing::IsEmpty()) << "nothing is lost of this one";
}

void expect_text(const std::string& text, const std::string& path) {
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    ASSERT_TRUE(os::write_file_atomic(path, text).ok());
    return;
  }
  const auto expected = os::read_file(path);
  ASSERT_TRUE(expected.ok()) << "run with RUNINK_REWRITE=1 to make it";
  EXPECT_EQ(text, *expected);
}

TEST(Exchange, TextsAreAsExpected) {
  const auto contract = *load_contract("testdata/good/flight.contract", file_loader());
  expect_text(export_odcs(*contract)->text, "testdata/exchange/flight.odcs.yaml");
  expect_text(export_json_schema(*contract)->text, "testdata/exchange/flight.schema.json");
}

std::string with_notes(const Result<Exchanged>& imported) {
  if (!imported.ok()) return imported.status().to_string();
  std::string out = imported->text;
  for (const auto& note : imported->not_carried) out += "// not carried: " + note + "\n";
  return out;
}

// Documents that other tools wrote.
TEST(Import, UnderstandsOthersDocuments) {
  expect_text(with_notes(import_odcs(*os::read_file("testdata/exchange/orders.odcs.yaml"), "orders.odcs.yaml")),
              "testdata/exchange/orders.odcs.expected");
  expect_text(
      with_notes(import_json_schema(*os::read_file("testdata/exchange/person.schema.json"), "person.schema.json")),
      "testdata/exchange/person.schema.expected");
}

TEST(Import, RefusesWhatIsNotOfTheStandard) {
  for (const char* text :
       {"", "[]", "a: b", "kind: DataContract", "kind: DataContract\napiVersion: v2.2.2\nschema: []",
        "kind: DataContract\napiVersion: v3.1.0\nschema: []",
        "kind: DataContract\napiVersion: v3.1.0\nschema: [{name: x}]", "a: [", "a: &x [*x]", "\xff\xfe"}) {
    const auto imported = import_odcs(text, "x.yaml");
    ASSERT_FALSE(imported.ok()) << text;
    EXPECT_EQ(imported.status().code(), Code::kInvalidArgument);
  }
  for (const char* text :
       {"", "[]", "{}", "{\"type\":\"object\"}", "{\"properties\":{}}", "{\"properties\":", "{\"$ref\":\"#\"}",
        "{\"$ref\":\"#/nowhere\"}", "{\"$ref\":\"https://example.org/x\"}", "true"}) {
    const auto imported = import_json_schema(text, "x.json");
    ASSERT_FALSE(imported.ok()) << text;
    EXPECT_EQ(imported.status().code(), Code::kInvalidArgument);
  }
}

TEST(Import, IsBounded) {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"properties\":{\"a\":";
  EXPECT_FALSE(import_json_schema(deep, "x.json").ok());
  EXPECT_FALSE(import_json_schema("{\"x\":" + std::string(100000, '['), "x.json").ok());
  EXPECT_FALSE(import_odcs(std::string(20000, '['), "x.yaml").ok());
  // Each reference doubles what it stands for.
  std::string laughs = "kind: DataContract\napiVersion: v3.1.0\na0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i)
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + ", *a" +
              std::to_string(i - 1) + "]\n";
  EXPECT_FALSE(import_odcs(laughs, "x.yaml").ok());
  // A schema that refers to itself ends as json.
  const auto loop = import_json_schema(
      R"({"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#/$defs/n"},"v":{"type":"integer"}}}}})",
      "x.json");
  ASSERT_TRUE(loop.ok()) << loop.status().to_string();
  EXPECT_THAT(loop->text, HasSubstr("int64 a.v;"));
}

}  // namespace
}  // namespace runink::contract
