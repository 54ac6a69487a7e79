#include "client/local/synth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "base/text.h"
#include "client/local/project_in_test.h"
#include "client/local/synth_breaks.h"
#include "client/local/synth_feature.h"
#include "client/local/synth_output.h"
#include "data/contract/loader.h"
#include "data/contract/parse.h"
#include "data/ledger/dead_letters.h"

namespace runink::local {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Every type and every kind of rule.
constexpr const char* kEverything =
    R"(struct Stop { string code [[required, pattern("[A-Z]{3}")]]; list<string> notes [[length(0, 2)]]; }
struct Leg { string carrier [[required, pattern("[A-Z]{2}")]]; int32 minutes [[range(10, 900)]]; Stop stop; }
contract Everything {
  string        id         [[required, unique, pattern("E-[0-9]{6}")]];
  uuid          trace      [[required, unique]];
  string        region     [[key, one_of("north", "south")]];
  int64         number     [[key, min(1)]];
  bool          active     [[required]];
  int8          small      [[range(-5, 5)]];
  int16         level      [[one_of(1, 2, 3, 500)]];
  uint16        port       [[min(1024)]];
  uint64        huge       [[required, min(18446744073709550000)]];
  float64       score      [[required, range(0, 1)]];
  float32       weight     [[max(250)]];
  decimal(12,2) price      [[required, min(0), max(99999.99)]];
  decimal(12,2) total      [[required]];
  decimal(38,0) wide       [[required]];
  decimal(38,10) deep      [[range(-1.5, 99999999999999999999.25)]];
  int32         quantity   [[required, range(1, 20)]];
  string        name       [[required, length(3, 40), pii]];
  string        email      [[pii("email"), mask("email")]];
  string        city       [[length(1, 30)]];
  string        code       [[required, pattern("[A-Z]+"), length(4, 6)]];
  bytes         digest     [[length(16)]];
  date          born       [[format("%d.%m.%Y"), min("1950-01-01"), max("2005-12-31")]];
  date          seen       [[format("%d/%m/%y")]];
  time          opens      [[format("%H:%M")]];
  timestamp     ordered    [[required, format("%Y/%m/%d %H:%M"), zone("Europe/Berlin")]];
  timestamp     shipped;
  timestamp     paid_on    [[format("%Y-%m-%d"), zone("America/New_York")]];
  duration      took       [[max("P2D")]];
  enum(economy, business, first, "N/A") cabin [[required]];
  list<string>  tags       [[length(1, 3)]];
  list<Leg>     legs;
  json          extra      [[length(0, 200)]];
  int32         kept       [[required, default(7), range(0, 9)]];
  int32         loose      [[coerce]];
  struct { string street; string zip [[pattern("[0-9]{5}")]]; } address;
  check total_adds_up: total == price * quantity;
  check first_is_dear: cabin != "first" or price > 100;
  check active_small: not active or small is null or small >= 0;
  check shipped_later: shipped >= ordered and quantity < 20;
  quality enough: count() >= 10;
}
)";

contract::ContractPtr parse(const std::string& text) {
  auto contract = contract::parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << contract.status().to_string()
                             << (contract.ok() || contract.status().details().empty()
                                     ? ""
                                     : "\n" + contract.status().details()[0]);
  return contract.ok() ? *contract : nullptr;
}

struct Made {
  std::string text, labels;
  SynthReport report;
  Status status;
};
Made make(const contract::ContractPtr& contract, const SynthOptions& options) {
  Made made;
  const auto append_to = [](std::string* out) {
    return [out](std::string_view bytes) {
      *out += bytes;
      return Status();
    };
  };
  auto report = synthesise(contract, options, append_to(&made.text), append_to(&made.labels), {});
  if (report.ok())
    made.report = std::move(*report);
  else
    made.status = report.status();
  return made;
}

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> out;
  for (const auto line : split(text, '\n')) {
    if (!line.empty()) out.push_back(nlohmann::json::parse(line));
  }
  return out;
}

// ---- what the engine says of them
// ----------------------------------------------------------------------------------------

struct Form {
  std::string source;  // what @source says after the path: `, null="NA"`
  std::string end = "ndjson";
  connectors::DataFormat format = connectors::DataFormat::kNdjson;
  connectors::CsvDialect csv;
};
Form csv_form(const std::string& source = "", connectors::CsvDialect dialect = {}) {
  return {source, "csv", connectors::DataFormat::kCsv, dialect};
}
const Form kArrowForm = {"", "arrow", connectors::DataFormat::kArrow, {}};

using Rules = std::multiset<std::string>;

// By line (in Arrow, which has none: in order): the rules of each rejected record.
std::map<int64_t, Rules> rejected_by_engine(const TestProject& p, const std::string& contract, const std::string& text,
                                            const Form& form, uint64_t records) {
  p.write("data/e." + form.end, text);
  p.write("features/e.dsl", "Feature: E\n  Scenario: Check\n    @source(\"data/e." + form.end + "\"" + form.source +
                                ")\n    @contract(\"" + contract +
                                "\")\n    Given records arrive\n"
                                "    When records are checked against the contract\n    @sink(\"out/e.ndjson\")\n"
                                "    Then valid records are written\n");
  RunOptions options;
  options.feature = "features/e.dsl";
  options.threads = 1;
  options.now_micros = SynthOptions().now_micros;
  const auto outcome = run_feature(p.project(), options);
  EXPECT_TRUE(outcome.ok()) << outcome.status().to_string();
  if (!outcome.ok()) return {};
  EXPECT_EQ(outcome->scenarios.size(), 1u);
  // Quality rules of others need not hold.
  EXPECT_TRUE(outcome->status.ok() || outcome->status.kind() == "data.wrong") << outcome->status.to_string();
  if (outcome->scenarios.size() == 1) {
    EXPECT_EQ(outcome->scenarios[0].records_in, records);
  }
  std::map<int64_t, Rules> out;
  ledger::DeadLetterStore store(p.root() + "/.runink");
  EXPECT_TRUE(store
                  .for_each({},
                            [&](const ledger::DeadLetter& letter) {
                              Rules rules;
                              for (const auto& rule : letter.rules) rules.insert(rule.rule);
                              const int64_t at = form.format == connectors::DataFormat::kArrow
                                                     ? static_cast<int64_t>(out.size())
                                                     : letter.line;
                              EXPECT_TRUE(out.emplace(at, std::move(rules)).second)
                                  << "line " << letter.line << " was rejected twice";
                              return true;
                            })
                  .ok());
  return out;
}

std::string shown(const Rules& rules) { return join(std::vector<std::string>(rules.begin(), rules.end()), ", "); }

// Every labelled record is rejected by exactly the rules of its label; no other record is.
void expect_labels_hold(const TestProject& p, const std::string& contract, const Made& made, const Form& form) {
  std::map<int64_t, Rules> labels;
  uint64_t not_alone = 0;
  for (const auto& json : lines_of(made.labels)) {
    Rules rules = {json["rule"].get<std::string>()};
    for (const auto& also : json.value("also", nlohmann::json::array())) rules.insert(also.get<std::string>());
    not_alone += rules.size() > 1;
    const bool arrow = form.format == connectors::DataFormat::kArrow;
    labels.emplace(arrow ? static_cast<int64_t>(labels.size()) : json["line"].get<int64_t>(), std::move(rules));
  }
  EXPECT_EQ(labels.size(), made.report.broken);
  EXPECT_LE(not_alone * 5, labels.size()) << "hardly any record breaks one rule alone";
  const auto rejected = rejected_by_engine(p, contract, made.text, form, made.report.records);
  for (const auto& [line, rules] : rejected) {
    const auto label = labels.find(line);
    ASSERT_TRUE(label != labels.end()) << "line " << line << " is good and was rejected by " << shown(rules);
    ASSERT_EQ(shown(rules), shown(label->second)) << "line " << line;
  }
  for (const auto& [line, rules] : labels) {
    ASSERT_TRUE(rejected.contains(line)) << "line " << line << " breaks " << shown(rules) << " and was not rejected";
  }
}

SynthOptions options_for(const Form& form, double invalid, uint64_t records, uint64_t seed = 1) {
  SynthOptions options;
  options.records = records;
  options.seed = seed;
  options.invalid = invalid;
  options.format = form.format;
  options.csv = form.csv;
  return options;
}

// The labels hold, and every rule of the contract is broken but those given.
void expect_rules_fire(const std::string& contract_text, const Form& form, const std::set<std::string>& cannot,
                       double invalid = 0.1, uint64_t records = 6000, uint64_t seed = 1) {
  TestProject p;
  p.write("contracts/e.contract", contract_text);
  const auto contract = parse(contract_text);
  ASSERT_TRUE(contract);
  const Made made = make(contract, options_for(form, invalid, records, seed));
  ASSERT_TRUE(made.status.ok()) << made.status.to_string();
  EXPECT_EQ(made.report.records, records);
  if (invalid > 0) {
    std::set<std::string> unbroken;
    for (const auto& [rule, why] : made.report.unbroken) {
      unbroken.insert(rule);
      EXPECT_TRUE(cannot.contains(rule)) << rule << ": " << why;
    }
    EXPECT_EQ(unbroken, cannot);
    for (const auto& rule : contract->rules) {
      EXPECT_TRUE(unbroken.contains(rule.name) || made.report.by_rule.contains(rule.name)) << rule.name;
    }
  }
  expect_labels_hold(p, "contracts/e.contract", made, form);
}

// In CSV every cell is a text.
std::set<std::string> text_types(const std::string& contract_text) {
  std::set<std::string> out;
  const auto contract = parse(contract_text);
  for (const auto& rule : contract->rules) {
    if (rule.kind != contract::RuleKind::kType) continue;
    if (contract->fields[static_cast<size_t>(rule.column)].type.id() == columnar::TypeId::kString)
      out.insert(rule.name);
  }
  return out;
}

TEST(SynthRules, EachFiresInNdjson) { expect_rules_fire(kEverything, {}, {"extra.type"}); }
TEST(SynthRules, EachFiresInCsv) { expect_rules_fire(kEverything, csv_form(), text_types(kEverything)); }
TEST(SynthRules, EachFiresInArrow) {
  std::set<std::string> types = {"record"};
  const auto contract = parse(kEverything);
  for (const auto& rule : contract->rules) {
    if (rule.kind == contract::RuleKind::kType) types.insert(rule.name);
  }
  expect_rules_fire(kEverything, kArrowForm, types);
}
TEST(SynthRules, NoneFiresWhereNothingIsBroken) {
  expect_rules_fire(kEverything, {}, {}, 0, 20'000, 5);
  expect_rules_fire(kEverything, csv_form(), {}, 0, 20'000, 6);
  expect_rules_fire(kEverything, kArrowForm, {}, 0, 20'000, 7);
}

TEST(SynthRules, EachFiresInEveryDialect) {
  constexpr const char* kText =
      R"(contract T { string id [[key, pattern("[A-Z#,;'|\"]{4}")]]; string note [[required, length(1, 20)]]; string state;
    timestamp at [[required]]; list<string> tags; int32 n [[range(1, 9)]]; })";
  connectors::CsvDialect d;
  d.null_text = "NV";
  expect_rules_fire(kText, csv_form(R"(, null="NV")", d), text_types(kText));
  d = {};
  d.delimiter = ';';
  d.comment = '#';
  expect_rules_fire(kText, csv_form(R"(, delimiter=";", comment="#")", d), text_types(kText));
  d = {};
  d.delimiter = '|';
  d.quote = '\'';
  d.escape = '\\';
  expect_rules_fire(kText, csv_form(R"(, delimiter="|", quote="'", escape="\\")", d), text_types(kText));
  d = {};
  d.header = false;
  expect_rules_fire(kText, csv_form(", header=false", d), text_types(kText));
}

// Contracts that others wrote: those of the examples, the benchmark and the tests of the language.
TEST(SynthRules, EachOfOtherContractsFires) {
  const std::filesystem::path root = std::filesystem::path(RUNINK_STEP_SDK) / "..";
  int contracts = 0;
  for (const char* folder : {"examples", "bench/project/contracts", "src/data/contract/testdata"}) {
    TestProject p;
    std::filesystem::copy(root / folder, p.root() + "/contracts", std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(p.root() + "/contracts")) {
      const std::string path = std::filesystem::relative(entry.path(), p.root());
      if (!path.ends_with(".contract") || path.find("/bad/") != std::string::npos) continue;
      const std::string text = p.read(path);
      static const std::regex kName("(^|\n|\\]\\])\\s*contract\\s+(\\w+)");
      for (std::sregex_iterator name(text.begin(), text.end(), kName), end; name != end; ++name) {
        const std::string reference = path + "#" + (*name)[2].str();
        if (path.find("/shared/") != std::string::npos) continue;
        SCOPED_TRACE(reference);
        const auto contract = contract::load_contract(p.root() + "/" + reference, contract::file_loader());
        ASSERT_TRUE(contract.ok()) << contract.status().to_string();
        for (const Form& form : {Form(), csv_form(), kArrowForm}) {
          SCOPED_TRACE(form.end);
          const Made made = make(*contract, options_for(form, 0.2, 2000));
          ASSERT_TRUE(made.status.ok()) << made.status.to_string();
          for (const auto& [rule, why] : made.report.unbroken) EXPECT_THAT(why, Not(HasSubstr("too few"))) << rule;
          std::filesystem::remove_all(p.root() + "/.runink");
          expect_labels_hold(p, reference, made, form);
        }
        ++contracts;
      }
    }
  }
  EXPECT_GE(contracts, 10);
}

// One rule across rows and another within it: what repeats the one breaks the other first.
TEST(SynthRules, RulesAcrossRowsThatHoldEachOtherAreTold) {
  expect_rules_fire(
      R"(contract U { string a [[key, one_of("x", "y")]]; int32 b [[key, unique]]; int32 c [[required, range(0, 9)]]; })",
      {}, {"key"}, 0.2, 3000);
}

TEST(SynthRules, ChecksThatTieEverythingTogether) {
  expect_rules_fire(R"(contract C {
    int32 low [[required, range(0, 1000)]]; int32 high [[required, range(0, 1000)]]; int32 middle [[required, range(0, 1000)]];
    date start [[required]]; date until [[required]]; int32 days [[required]];
    enum(none, some) kind [[required]]; string why;
    check ordered: low < middle and middle < high;
    check spans: start <= until;
    check none_has_no_reason: kind != "none" or why is null;
    check some_has_a_reason: kind != "some" or why is not null;
    check sum: days == high - low;
  })",
                    {}, {}, 0.1, 4000);
}

// ---- what they are
// ---------------------------------------------------------------------------------------------------------

TEST(Synth, TheSameSeedGivesTheSameBytes) {
  const auto contract = parse(kEverything);
  ASSERT_TRUE(contract);
  for (const Form& form : {Form(), csv_form(), kArrowForm}) {
    SynthOptions options;
    options.records = 3000;
    options.invalid = 0.05;
    options.format = form.format;
    const Made first = make(contract, options), second = make(contract, options);
    ASSERT_TRUE(first.status.ok()) << first.status.to_string();
    EXPECT_TRUE(first.text == second.text) << form.end;
    EXPECT_TRUE(first.labels == second.labels) << form.end;
    options.seed = 2;
    EXPECT_NE(make(contract, options).text, first.text);
  }
}

// The bytes themselves: a change of them is a change that people see, and belongs into the change log.
TEST(Synth, TheBytesStayTheSameFromVersionToVersion) {
  const auto contract = parse(
      "contract P { int64 id [[key]]; string first_name [[required]]; string email [[required]]; float64 score "
      "[[required]]; "
      "decimal(10,2) price [[required]]; timestamp ordered [[required]]; timestamp shipped [[required]]; }");
  SynthOptions options;
  options.records = 2;
  EXPECT_EQ(
      make(contract, options).text,
      R"({"id":1,"first_name":"Laila","email":"laila.mensah752@example.org","score":560.2893,"price":5.00,"ordered":"2025-12-31T23:59:56Z","shipped":"2025-12-31T23:59:56Z"}
{"id":2,"first_name":"Mateo","email":"mateo.fontana208@example.com","score":252.0485,"price":215.77,"ordered":"2024-08-25T10:39:23Z","shipped":"2024-08-26T06:38:39Z"}
)");
}

TEST(Synth, ValuesLookLikeWhatTheyAreCalled) {
  const auto contract = parse(
      "contract P { string first_name [[required]]; string last_name [[required]]; string email [[required]]; string "
      "city [[required]]; "
      "string country [[required]]; int32 age [[required]]; string origin [[required, pattern(\"[A-Z]{3}\")]]; "
      "timestamp ordered [[required]]; timestamp shipped [[required]]; timestamp delivered [[required]]; date birth "
      "[[required]]; "
      "string iata [[unique, required, pattern(\"[A-Z]{3}\")]]; string order_id [[required]]; }");
  SynthOptions options;
  options.records = 200;
  const Made made = make(contract, options);
  std::map<std::string, std::string> country_of;
  for (const auto& json : lines_of(made.text)) {
    // A person's e-mail address has the person's name; a city lies in one country; what is shipped was ordered before.
    EXPECT_THAT(json["email"].get<std::string>(),
                HasSubstr(to_lower_ascii(json["first_name"].get<std::string>()) + "." +
                          to_lower_ascii(json["last_name"].get<std::string>())));
    EXPECT_THAT(json["email"].get<std::string>(), HasSubstr("@example."));
    EXPECT_EQ(country_of.emplace(json["city"], json["country"]).first->second, json["country"].get<std::string>());
    EXPECT_LE(json["ordered"].get<std::string>(), json["shipped"].get<std::string>());
    EXPECT_LE(json["shipped"].get<std::string>(), json["delivered"].get<std::string>());
    EXPECT_GE(json["ordered"].get<std::string>(), "2024-01-01");
    EXPECT_LE(json["delivered"].get<std::string>(), "2026-01-01T00:00:00Z");
    EXPECT_LE(json["birth"].get<std::string>(), "2008-01-10");
    EXPECT_GE(json["birth"].get<std::string>(), "1935-01-01");
    EXPECT_THAT(json["order_id"].get<std::string>(), HasSubstr("ORD-"));
    EXPECT_LE(json["age"].get<int>(), 99);
    EXPECT_GE(json["age"].get<int>(), 0);
  }
  EXPECT_THAT(made.text, HasSubstr("\"origin\":\"ATL\""));
  EXPECT_EQ(lines_of(made.text)[0]["iata"], "ABQ");
}

TEST(Synth, LimitsOfTheContractAreKept) {
  const auto contract = parse(
      R"(contract L { int32 age [[required, range(150, 160)]]; timestamp ordered [[required, range("1999-01-01T00:00:00Z", "1999-01-31T00:00:00Z")]]; })");
  SynthOptions options;
  options.records = 500;
  const Made made = make(contract, options);
  std::set<std::string> days;
  for (const auto& json : lines_of(made.text)) {
    EXPECT_GE(json["age"].get<int>(), 150);
    days.insert(json["ordered"].get<std::string>().substr(0, 10));
  }
  EXPECT_GE(days.size(), 20u);  // over the whole month
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
  options.fewer_will_do = true;
  EXPECT_EQ(make(contract, options).report.records, 100u);
}

// No value of a field that must not repeat does, of any type; also where clocks are set back and two moments have one
// text.
TEST(Synth, NothingThatIsUniqueRepeats) {
  for (const std::string type :
       {"string", "int32", "uint64", "decimal(12,2)", "float64", "uuid", "bytes", "date", "timestamp", "duration"}) {
    SCOPED_TRACE(type);
    expect_rules_fire("contract U { " + type + " v [[required, unique]]; string pad [[required]]; }", {}, {}, 0, 5000);
  }
  for (const std::string field :
       {R"(timestamp v [[required, unique, format("%d.%m.%Y %H:%M"), zone("Asia/Kathmandu")]])",
        R"(date v [[required, unique, format("%d.%m.%Y")]])", R"(string v [[required, unique, length(3)]])",
        R"(string v [[required, unique, pattern("[a-z]+"), length(5, 9)]])", R"(string email [[required, unique]])",
        R"(string v [[required, unique, pattern("(ab|cd)[0-9]{1,5}x?")]])",
        R"(bytes v [[required, unique, length(2)]])"}) {
    SCOPED_TRACE(field);
    expect_rules_fire("contract U { " + field + "; string pad [[required]]; }", {}, {}, 0, 5000);
  }
  // Hours of two years: among them two autumn nights with an hour that comes twice.
  expect_rules_fire(
      R"(contract U { timestamp v [[required, unique, format("%Y-%m-%d %H"), zone("Europe/Berlin")]]; int8 n; })", {},
      {}, 0, 17'000);
  expect_rules_fire(R"(contract K { enum(a, b, c) x [[key]]; bool y [[key]]; int8 z [[key]]; })", {}, {}, 0, 1500);
}

TEST(Synth, ARuleThatNobodyKeepsIsNamed) {
  SynthOptions options;
  options.records = 10;
  EXPECT_THAT(make(parse("contract C { int64 a [[required]]; check never: a != a; }"), options).status.to_string(),
              HasSubstr("\"check never\""));
  EXPECT_THAT(
      make(parse("contract C { int64 a [[required]]; check odd: a > 100000000000000; }"), options).status.to_string(),
      "OK");
  EXPECT_THAT(make(parse(R"(contract C { string a [[required, pattern("[a-c]{3}"), length(5, 6)]]; })"), options)
                  .status.to_string(),
              HasSubstr("\"a."));
}

// A rule that no value of the type can break is said to be so, and why.
TEST(Synth, RulesThatCannotBeBrokenSayWhy) {
  SynthOptions options;
  options.records = 1000;
  options.invalid = 0.5;
  const Made made =
      make(parse(R"(contract C { int8 a [[required]]; string b [[required, pattern(".*")]]; check always: a == a; })"),
           options);
  ASSERT_TRUE(made.status.ok()) << made.status.to_string();
  EXPECT_THAT(made.report.unbroken.at("b.pattern"), HasSubstr("no value of the field's type breaks it"));
  EXPECT_THAT(made.report.unbroken.at("check always"), HasSubstr("no record was found"));
  options.records = 3;
  EXPECT_THAT(make(parse(kEverything), options).report.unbroken.at("address.zip.pattern"),
              HasSubstr("too few broken records"));
}

TEST(Synth, QualityRulesThatDoNotHoldAreTold) {
  SynthOptions options;
  options.records = 50;
  const Made made = make(parse("contract Q { int64 a [[required, range(0, 9)]]; timestamp at [[required]]; quality "
                               "big: avg(a) > 100; quality some: count() > 49; "
                               "quality fresh: max(at) > now() - 2d; quality apart: distinct_count(a) > 1; }"),
                         options);
  EXPECT_THAT(made.report.notes, Contains(HasSubstr("quality big does not hold")));
  EXPECT_THAT(made.report.notes, Contains(HasSubstr("quality apart was not looked at")));
  EXPECT_THAT(made.report.notes, Contains(HasSubstr("--now 2026-01-01T00:00:00Z")));
  EXPECT_THAT(made.report.notes, Not(Contains(HasSubstr("quality some"))));
  EXPECT_THAT(made.report.notes, Not(Contains(HasSubstr("quality fresh"))));  // the first record is a new one
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

TEST(Synth, LabelsSayWhereAndWhat) {
  const auto contract = parse(
      R"(struct Leg { int32 minutes [[range(10, 900)]]; } contract N { string a [[required, pattern("x\n?y")]]; list<Leg> legs; check c: a != "xy"; })");
  SynthOptions options;
  options.records = 400;
  options.invalid = 0.3;
  options.format = connectors::DataFormat::kCsv;
  options.label_file = "data/n.csv";
  const Made made = make(contract, options);
  const auto lines = split(made.text, '\n');
  int members = 0, checks = 0;
  for (const auto& label : lines_of(made.labels)) {
    EXPECT_EQ(label["file"], "data/n.csv");
    EXPECT_GE(label["line"].get<int64_t>(),
              label["record"].get<int64_t>() + 1);  // the header, and line breaks in quotes
    if (label["rule"] == "a.required") {
      EXPECT_THAT(std::string(lines[label["line"].get<size_t>() - 1]), ::testing::StartsWith(","));
    }
    if (label["rule"] == "legs.minutes.range") members += label["field"] == "legs.minutes";
    if (label["rule"] == "check c") checks += !label.contains("field");
  }
  EXPECT_GT(members, 0);
  EXPECT_GT(checks, 0);
}

TEST(Synth, StopsWhenAsked) {
  StopFlag stop;
  stop.request();
  SynthOptions options;
  options.stop = &stop;
  EXPECT_EQ(make(parse("contract N { int64 a; }"), options).status.kind(), "run.interrupted");
}

TEST(Synth, AFullDiskIsAnError) {
  const auto contract = parse("contract N { int64 a [[required]]; }");
  SynthOptions options;
  options.records = 100'000;
  const auto full = [](std::string_view) { return resource_exhausted("no space left"); };
  EXPECT_THAT(synthesise(contract, options, full, {}, {}).status().to_string(), HasSubstr("no space left"));
}

// ---- features
// --------------------------------------------------------------------------------------------------------------

// Makes the files of a feature in its project, as the command does.
std::map<std::string, SynthReport> make_files(const TestProject& p, const std::string& feature, uint64_t records,
                                              SynthPlan* plan_out = nullptr) {
  Diagnostics diagnostics;
  auto plan = p.project().compile(feature, {}, &diagnostics);
  EXPECT_TRUE(plan.ok()) << plan.status().to_string() << diagnostics.render();
  std::map<std::string, SynthReport> out;
  if (!plan.ok()) return out;
  auto files = plan_synthesis(p.project(), *plan);
  EXPECT_TRUE(files.ok()) << files.status().to_string();
  if (!files.ok()) return out;
  std::vector<SynthReport> reports;
  for (size_t i = 0; i < files->files.size(); ++i) {
    const SynthFile& file = files->files[i];
    SynthOptions options;
    options.seed = i + 1;
    options.records = file.joined_with ? records_to_look_up(records) : records;
    options.fewer_will_do = file.joined_with;
    options.format = file.format;
    options.csv = file.csv;
    options.draw = file.given;
    for (const auto& key : file.keys) {
      for (const auto& kept : reports[key.file].kept) {
        if (kept.columns == key.other_columns) options.draw.push_back({key.columns, kept.rows});
      }
    }
    for (const auto& other : files->files) {
      for (const auto& key : other.keys) {
        if (key.file == i) options.keep.push_back(key.other_columns);
      }
    }
    const Made made = make(file.contract, options);
    EXPECT_TRUE(made.status.ok()) << made.status.to_string();
    p.write(file.name, made.text);
    out[file.name] = made.report;
    reports.push_back(made.report);
  }
  if (plan_out != nullptr) *plan_out = std::move(*files);
  return out;
}

int64_t lines_in(const TestProject& p, const std::string& path) {
  const std::string text = p.read(path);
  return std::count(text.begin(), text.end(), '\n');
}

TEST(SynthFeature, EveryRowFindsWhatItIsJoinedWith) {
  TestProject p;
  p.write("contracts/order.contract",
          "contract Order { string id [[required, unique]]; string shop [[required, pattern(\"[A-Z]{4}\")]]; int32 "
          "line [[required]]; string part [[required]]; }");
  p.write("contracts/shop.contract",
          "contract Shop { string code [[required, unique, pattern(\"[A-Z]{4}\")]]; string city_code [[required]]; }");
  p.write("contracts/city.contract", "contract City { string code [[key]]; string name [[required]]; }");
  p.write("contracts/part.contract",
          "contract Part { string name [[key]]; int32 number [[key]]; decimal(8,2) price [[required]]; }");
  p.write("features/o.dsl", R"(Feature: O
  Scenario: Clean
    @source("data/orders.ndjson")
    @contract("contracts/order.contract")
    Given orders arrive
    When records are checked against the contract
    Then records are passed on

  Scenario: Join
    Given the output of scenario "Clean"
    When records are joined with "data/shops.csv" with contract "contracts/shop.contract" on shop = shops.code
     And records are joined with "data/cities.csv" with contract "contracts/city.contract" on shops.city_code = cities.code
     And records are joined with "data/parts.tsv" with contract "contracts/part.contract" on part = parts.name and line = parts.number
    @sink("out/o.ndjson")
    Then the result is written
)");
  SynthPlan plan;
  const auto reports = make_files(p, "features/o.dsl", 500, &plan);
  ASSERT_EQ(plan.files.size(), 4u);
  EXPECT_EQ(plan.files.back().name, "data/orders.ndjson");
  EXPECT_EQ(reports.at("data/orders.ndjson").records, 500u);
  EXPECT_EQ(reports.at("data/shops.csv").records, 50u);
  const RunOutcome outcome = p.run("features/o.dsl");
  EXPECT_EQ(lines_in(p, "out/o.ndjson"), 500);
}

TEST(SynthFeature, KeysOfAFileThatIsThereAreTakenFromIt) {
  TestProject p;
  p.write("contracts/flight.contract",
          "contract Flight { string origin [[required, pattern(\"[A-Z]{3}\")]]; int32 delay [[required]]; }");
  p.write("data/airports.csv", "iata,city\nXYZ,Nowhere\nABC,Alphabet\n");
  p.write("features/f.dsl", R"(Feature: F
  Scenario: Join
    @source("data/flights-*.ndjson")
    @contract("contracts/flight.contract")
    Given flights arrive
    When records are joined with "data/airports.csv" on origin = airports.iata
    @sink("out/f.ndjson")
    Then the result is written
)");
  SynthPlan plan;
  make_files(p, "features/f.dsl", 100, &plan);
  EXPECT_THAT(plan.left_out, ElementsAre("data/airports.csv: it has no contract"));
  ASSERT_EQ(plan.files.size(), 1u);
  EXPECT_EQ(plan.files[0].name, "data/flights-1.ndjson");
  p.run("features/f.dsl");
  EXPECT_EQ(lines_in(p, "out/f.ndjson"), 100);
}

// Keys that both sides have once each are taken in turn.
TEST(SynthFeature, KeysThatAreUniqueOnBothSides) {
  TestProject p;
  p.write("contracts/a.contract", "contract A { string id [[key, pattern(\"A[0-9]{6}\")]]; int32 x; }");
  p.write("contracts/b.contract", "contract B { string a_id [[key]]; int32 y; }");
  p.write("features/f.dsl", R"(Feature: F
  Scenario: Join
    @source("data/b.ndjson")
    @contract("contracts/b.contract")
    Given rows arrive
    When records are joined with "data/a.ndjson" with contract "contracts/a.contract" on a_id = a.id
    @sink("out/f.ndjson")
    Then the result is written
)");
  const auto reports = make_files(p, "features/f.dsl", 200);
  EXPECT_THAT(reports.at("data/b.ndjson").notes, Contains(HasSubstr("a_id: 20 of the keys to join with")));
  make_files(p, "features/f.dsl", 20);
  p.run("features/f.dsl");
  EXPECT_EQ(lines_in(p, "out/f.ndjson"), 20);
}

// ---- parts
// -----------------------------------------------------------------------------------------------------------------

TEST(SynthOutput, NothingIsLeftOfWhatWasNotFinished) {
  TestProject p;
  const std::string path = p.root() + "/made/x.ndjson";
  {
    auto out = SynthOutput::open(path, connectors::Compression::kNone, false, {});
    ASSERT_TRUE(out.ok());
    ASSERT_TRUE(out->write("half").ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(p.root() + "/made"));
  {
    auto out = SynthOutput::open(path, connectors::Compression::kNone, false, {});
    ASSERT_TRUE(out->write("whole").ok());
    ASSERT_TRUE(out->finish().ok());
  }
  EXPECT_EQ(p.read("made/x.ndjson"), "whole");
  EXPECT_THAT(SynthOutput::open(path, connectors::Compression::kNone, false, {}).status().to_string(),
              HasSubstr("is there already"));
  EXPECT_TRUE(SynthOutput::open(path, connectors::Compression::kNone, true, {}).ok());
}

TEST(SynthOutput, NamesSayTheForm) {
  EXPECT_EQ(synth_form("-", "")->format, connectors::DataFormat::kNdjson);
  EXPECT_EQ(synth_form("-", "tsv")->csv.delimiter, '\t');
  EXPECT_EQ(synth_form("x.csv.gz", "")->format, connectors::DataFormat::kCsv);
  EXPECT_EQ(synth_form("x.csv.gz", "")->compression, connectors::Compression::kGzip);
  EXPECT_EQ(synth_form("x.arrow", "")->format, connectors::DataFormat::kArrow);
  EXPECT_FALSE(synth_form("x.pdf", "").ok());
}

TEST(SynthBreaks, FindsAValueInJsonText) {
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
