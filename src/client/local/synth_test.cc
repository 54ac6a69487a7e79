#include "client/local/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "client/local/project_in_test.h"
#include "client/local/synth_breaks.h"
#include "data/contract/parse.h"
#include "data/ledger/dead_letters.h"

namespace runink::local {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// Every type and every kind of rule.
constexpr const char* kEverything = R"(struct Leg { string carrier [[required, pattern("[A-Z]{2}")]]; int32 minutes [[range(10, 900)]]; }
contract Everything {
  string        id         [[required, unique, pattern("E-[0-9]{6}")]];
  uuid          trace      [[required, unique]];
  string        region     [[key, one_of("north", "south")]];
  int64         number     [[key, min(1)]];
  bool          active     [[required]];
  int8          small      [[range(-5, 5)]];
  uint16        port       [[min(1024)]];
  float64       score      [[required, range(0, 1)]];
  float32       weight     [[max(250)]];
  decimal(12,2) price      [[required, min(0), max(99999.99)]];
  decimal(12,2) total      [[required]];
  int32         quantity   [[required, range(1, 20)]];
  string        name       [[required, length(3, 40), pii]];
  string        email      [[pii("email"), mask("email")]];
  string        city       [[length(1, 30)]];
  bytes         digest     [[length(16)]];
  date          born       [[format("%d.%m.%Y"), min("1950-01-01"), max("2005-12-31")]];
  time          opens      [[format("%H:%M")]];
  timestamp     ordered    [[required, format("%Y/%m/%d %H:%M"), zone("Europe/Berlin")]];
  timestamp     shipped;
  duration      took       [[max("P2D")]];
  enum(economy, business, first, "N/A") cabin [[required]];
  list<string>  tags       [[length(0, 3)]];
  list<Leg>     legs;
  json          extra;
  struct { string street; string zip [[pattern("[0-9]{5}")]]; } address;
  check total_adds_up: total == price * quantity;
  check first_is_dear: cabin != "first" or price > 100;
  check active_small: not active or small is null or small >= 0;
}
)";

contract::ContractPtr parse(const std::string& text) {
  auto contract = contract::parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << contract.status().to_string() << (contract.ok() || contract.status().details().empty() ? "" : "\n" + contract.status().details()[0]);
  return contract.ok() ? *contract : nullptr;
}

struct Made {
  std::string text, labels;
  SynthReport report;
  Status status;
};
Made make(const contract::ContractPtr& contract, const SynthOptions& options) {
  Made made;
  auto report = synthesise(
      contract, options,
      [&](std::string_view bytes) {
        made.text += bytes;
        return Status();
      },
      [&](std::string_view line) {
        made.labels += line;
        return Status();
      },
      {});
  if (report.ok()) made.report = std::move(*report);
  else made.status = report.status();
  return made;
}

TEST(Synth, TheSameSeedGivesTheSameBytes) {
  const auto contract = parse(kEverything);
  ASSERT_TRUE(contract);
  SynthOptions options;
  options.records = 3000;
  options.invalid = 0.05;
  const Made first = make(contract, options), second = make(contract, options);
  ASSERT_TRUE(first.status.ok()) << first.status.to_string();
  EXPECT_EQ(first.text, second.text);
  EXPECT_EQ(first.labels, second.labels);
  options.seed = 2;
  EXPECT_NE(make(contract, options).text, first.text);
}

// Every labelled record becomes a dead letter with that rule, and no other record does.
void expect_rules_fire(const std::string& format, const std::set<std::string>& cannot) {
  TestProject p;
  p.write("contracts/e.contract", kEverything);
  const auto contract = parse(kEverything);
  ASSERT_TRUE(contract);
  SynthOptions options;
  options.records = 6000;
  options.invalid = 0.1;
  if (format == "csv") options.format = connectors::DataFormat::kCsv;
  const Made made = make(contract, options);
  ASSERT_TRUE(made.status.ok()) << made.status.to_string();
  EXPECT_EQ(made.report.records, 6000u);
  std::set<std::string> never(made.report.never_broken.begin(), made.report.never_broken.end());
  EXPECT_EQ(never, cannot);
  for (const auto& rule : contract->rules) {
    EXPECT_TRUE(never.contains(rule.name) || made.report.by_rule.contains(rule.name)) << rule.name;
  }
  p.write("data/e." + format, made.text);
  p.write("features/e.dsl", "Feature: E\n  Scenario: Check\n    @source(\"data/e." + format +
                                "\")\n    @contract(\"contracts/e.contract\")\n    Given records arrive\n"
                                "    When records are checked against the contract\n    @sink(\"out/e.ndjson\")\n    Then valid records are written\n");
  const RunOutcome outcome = p.run("features/e.dsl");
  ASSERT_EQ(outcome.scenarios.size(), 1u);
  EXPECT_EQ(outcome.scenarios[0].records_in, 6000u);

  const int64_t header = format == "csv" ? 1 : 0;
  std::map<int64_t, std::string> labels;
  for (const auto line : split(made.labels, '\n')) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line);
    labels[json["record"].get<int64_t>() + header] = json["rule"].get<std::string>();
  }
  EXPECT_EQ(labels.size(), made.report.broken);
  std::set<int64_t> rejected;
  ledger::DeadLetterStore store(p.root() + "/.runink");
  ASSERT_TRUE(store.for_each({}, [&](const ledger::DeadLetter& letter) {
    rejected.insert(letter.line);
    std::vector<std::string> rules;
    std::string messages;
    for (const auto& rule : letter.rules) {
      rules.push_back(rule.rule);
      messages += rule.message + "; ";
    }
    const auto label = labels.find(letter.line);
    if (label == labels.end()) ADD_FAILURE() << "line " << letter.line << " is good and was rejected: " << messages << "\n" << letter.record;
    else EXPECT_THAT(rules, Contains(label->second)) << "line " << letter.line << ": " << messages << "\n" << letter.record;
    return !testing::Test::HasFailure();
  }).ok());
  for (const auto& [line, rule] : labels) {
    EXPECT_TRUE(rejected.contains(line)) << "line " << line << " breaks " << rule << " and was not rejected";
  }
}

TEST(Synth, EveryRuleFiresInNdjsonAndNoGoodRecordIsRejected) { expect_rules_fire("ndjson", {"extra.type"}); }
TEST(Synth, EveryRuleFiresInCsvAndNoGoodRecordIsRejected) {
  expect_rules_fire("csv", {"id.type", "region.type", "name.type", "email.type", "city.type", "address.street.type", "address.zip.type"});
}

TEST(Synth, ValuesLookLikeWhatTheyAreCalled) {
  const auto contract = parse("contract P { string first_name [[required]]; string email [[required]]; string city [[required]]; "
                              "int32 age [[required]]; string origin [[required, pattern(\"[A-Z]{3}\")]]; }");
  SynthOptions options;
  options.records = 200;
  const Made made = make(contract, options);
  for (const auto line : split(made.text, '\n')) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line);
    EXPECT_THAT(json["email"].get<std::string>(), HasSubstr("@example."));
    EXPECT_LE(json["age"].get<int>(), 99);
    EXPECT_GE(json["age"].get<int>(), 0);
  }
  EXPECT_THAT(made.text, HasSubstr("\"origin\":\"ATL\""));
}

TEST(Synth, UniqueFieldsNeedRoom) {
  const auto contract = parse("contract U { string id [[required, unique, pattern(\"[0-9]{2}\")]]; }");
  SynthOptions options;
  options.records = 100;
  const Made full = make(contract, options);
  ASSERT_TRUE(full.status.ok()) << full.status.to_string();
  std::set<std::string_view> different;
  for (const auto line : split(full.text, '\n')) different.insert(line);
  EXPECT_EQ(different.size(), 101u);  // and the empty one at the end
  options.records = 101;
  EXPECT_THAT(make(contract, options).status.to_string(), HasSubstr("id can be told apart in 100 ways only"));
}

TEST(Synth, ACheckThatNobodyKeepsIsNamed) {
  const auto contract = parse("contract C { int64 a [[required]]; check never: a != a; }");
  SynthOptions options;
  options.records = 10;
  EXPECT_THAT(make(contract, options).status.to_string(), HasSubstr("check never"));
}

TEST(Synth, NoRecordsAndManyRecords) {
  const auto contract = parse("contract N { int64 a [[required]]; }");
  SynthOptions options;
  options.records = 0;
  EXPECT_EQ(make(contract, options).text, "");
  options.records = 10'001;
  const Made made = make(contract, options);
  EXPECT_EQ(std::count(made.text.begin(), made.text.end(), '\n'), 10'001);
}

TEST(Synth, JoinedKeysComeFromTheFileJoinedWith) {
  TestProject p;
  p.write("contracts/order.contract", "contract Order { string id [[required, unique]]; string shop [[required, pattern(\"[A-Z]{4}\")]]; }");
  p.write("contracts/shop.contract", "contract Shop { string code [[required, unique, pattern(\"[A-Z]{4}\")]]; string city [[required]]; }");
  p.write("features/o.dsl", R"(Feature: O
  Scenario: Join
    @source("data/orders.ndjson")
    @contract("contracts/order.contract")
    Given orders arrive
    When records are joined with "data/shops.csv" with contract "contracts/shop.contract" on shop = shops.code
    @sink("out/o.ndjson")
    Then the result is written
)");
  Diagnostics diagnostics;
  auto plan = p.project().compile("features/o.dsl", {}, &diagnostics);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  auto files = plan_synthesis(p.project(), *plan);
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->files.size(), 2u);
  EXPECT_THAT(files->files[0].path, HasSubstr("shops.csv"));
  EXPECT_EQ(files->files[0].format, connectors::DataFormat::kCsv);
  ASSERT_EQ(files->files[1].keys.size(), 1u);
  SynthOptions options;
  options.records = 50;
  options.keep = {files->files[1].keys[0].other_column};
  const Made shops = make(files->files[0].contract, options);
  options.keep.clear();
  options.draw[files->files[1].keys[0].column] = shops.report.kept.at(0);
  const Made orders = make(files->files[1].contract, options);
  for (const auto line : split(orders.text, '\n')) {
    if (line.empty()) continue;
    EXPECT_THAT(shops.report.kept.at(0), Contains(columnar::Value(nlohmann::json::parse(line)["shop"].get<std::string>())));
  }
}

TEST(Synth, FindsAValueInJsonText) {
  const std::string json = R"({"a":"x,\"}","b":{"c":[{"d":1},{"d":2}],"e":null},"f":-1.5})";
  const auto at = [&](std::vector<std::string> path) {
    const Span span = find_json_value(json, path);
    return json.substr(span.offset, span.length);
  };
  EXPECT_EQ(at({"a"}), R"("x,\"}")");
  EXPECT_EQ(at({"b", "c", "[0]", "d"}), "1");
  EXPECT_EQ(at({"b", "e"}), "null");
  EXPECT_EQ(at({"f"}), "-1.5");
  EXPECT_EQ(find_json_value(json, {"g"}).length, 0u);
  EXPECT_EQ(find_json_value(json, {"b", "e", "x"}).length, 0u);
}

}  // namespace
}  // namespace runink::local
