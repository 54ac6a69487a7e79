// No output but the dead letters ever holds a value of a pii field: whole runs, and then a look into every file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/text.h"
#include "client/local/history.h"
#include "client/local/project_in_test.h"
#include "data/columnar/builder.h"
#include "data/columnar/ipc.h"
#include "data/ledger/dead_letters.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"

namespace runink::local {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kContract =
    "contract C { int64 n [[range(0, 10)]]; string ssn [[pii, length(1, 9), mask(\"last4\")]]; string x; }\n";

class Privacy : public ::testing::Test {
 protected:
  void SetUp() override {
    os::ignore_broken_pipes();
    p_.write("contracts/c.contract", kContract);
    p_.write("data/in.ndjson",
             "{\"n\":1,\"ssn\":\"SECRETA\",\"x\":\"a\"}\n{\"n\":99,\"ssn\":\"SECRET-TOO-LONG\",\"x\":\"b\"}\n"
             "{\"n\":3,\"ssn\":\"SECRETC\",\"x\":\"c\"}\n");
  }

  // Runs it, and looks at all that is said and kept of it.
  RunOutcome run(const std::string& feature, bool reveal = false) {
    p_.write("features/f.dsl", feature);
    RunOptions options;
    options.feature = "features/f.dsl";
    options.threads = 1;
    options.reveal = reveal;
    options.on_note = [&](const std::string& note) { said_ += note + "\n"; };
    options.on_scenario = [&](const ledger::RunRecord& r, const auto&) {
      for (const auto& reason : r.reject_reasons) said_ += reason.message + "\n";
    };
    auto outcome = run_feature(p_.project(), options);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string() << join(outcome.status().details(), "\n");
    if (!outcome.ok()) return {};
    const Status& status = outcome->status;
    said_ += status.to_string() + "\n" + join(status.details(), "\n") + "\n" + status.hint() + "\n";
    EXPECT_THAT(said_, Not(HasSubstr("SECRET")));
    look_into_the_ledger();
    return std::move(*outcome);
  }

  void look_into_the_ledger() {
    for (const auto& entry : fs::recursive_directory_iterator(p_.root() + "/.runink")) {
      if (!entry.is_regular_file()) continue;
      const std::string path = entry.path().string().substr(p_.root().size() + 1);
      if (path.starts_with(".runink/spool/")) continue;  // rows between scenarios; gone once all are done
      if (path.starts_with(".runink/dead-letters/")) {
        EXPECT_EQ(os::file_info(entry.path())->permissions & 0777u, 0600u) << path;
      } else {
        EXPECT_THAT(p_.read(path), Not(HasSubstr("SECRET"))) << path;
      }
    }
  }

  std::vector<ledger::DeadLetter> letters() const {
    std::vector<ledger::DeadLetter> out;
    const Status status = ledger::DeadLetterStore(p_.root() + "/.runink").for_each({}, [&](const ledger::DeadLetter& letter) {
      out.push_back(letter);
      return true;
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return out;
  }
  std::string shown(const ledger::DeadLetter& letter, bool reveal = false) const { return LetterMasker(p_.project(), reveal).shown(letter); }
  // What is kept beside the letters.
  std::string words() const {
    std::string out;
    for (const auto& entry : fs::recursive_directory_iterator(p_.root() + "/.runink/dead-letters")) {
      if (entry.path().extension() == ".stderr") out += p_.read(entry.path().string().substr(p_.root().size() + 1));
    }
    return out;
  }

  TestProject p_;
  std::string said_;
};

std::string feature(const std::string& steps, const std::string& source = "@source(\"data/in.ndjson\")") {
  return "Feature: F\n  Scenario: S\n    " + source + " @contract(\"contracts/c.contract\")\n    Given rows arrive\n" + steps +
         "    Then valid records are written to \"out/o.ndjson\"\n";
}
const std::string kCheck = "    When records are checked against the contract\n";

// ---- what a run with --reveal keeps ------------------------------------------------------------------------------------

TEST_F(Privacy, WhatARunWithRevealKeepsIsMaskedAllTheSame) {
  const RunOutcome done = run(feature(kCheck + "    And field \"y\" is set to upper(ssn)\n    @checkpoint\n    And field \"z\" is set to n + 1\n"), true);
  EXPECT_TRUE(done.status.ok());
  EXPECT_THAT(p_.read("out/o.ndjson"), HasSubstr("\"ssn\":\"SECRETA\""));
  ASSERT_EQ(done.scenarios.size(), 1u);
  EXPECT_TRUE(done.scenarios[0].revealed_pii);
  EXPECT_THAT(p_.read(".runink/runs/" + done.scenarios[0].id + "/run.json"), HasSubstr("\"revealed_pii\": true"));
  EXPECT_THAT(p_.read(".runink/runs/" + done.scenarios[0].id + "/lineage.ndjson"), Not(HasSubstr("\"masking\":true")));
  std::string samples;
  for (const auto& entry : fs::directory_iterator(p_.root() + "/.runink/runs/" + done.scenarios[0].id + "/samples")) {
    samples += p_.read(entry.path().string().substr(p_.root().size() + 1));
  }
  EXPECT_THAT(samples, AllOf(HasSubstr("\"ssn\":\"***RETA\""), HasSubstr("\"y\":\"****\"")))
      << "the field by its own mask, what was computed from it wholly";
  ASSERT_EQ(letters().size(), 1u);
  EXPECT_THAT(shown(letters()[0]), Not(HasSubstr("SECRET")));
  EXPECT_THAT(shown(letters()[0], true), HasSubstr("SECRET-TOO-LONG"));
  const auto kept = letters();
  for (const auto& rule : kept[0].rules) EXPECT_THAT(rule.message, Not(HasSubstr("SECRET")));
}

// ---- what programs say --------------------------------------------------------------------------------------------------

// A step that says all it is sent, on every way it has.
std::string step(const std::string& body) {
  return "import json, os, sys\nreport = os.fdopen(3, 'w')\nfor number, line in enumerate(sys.stdin):\n  r = json.loads(line)\n"
         "  sys.stderr.write('saw ' + line)\n" + body;
}
const std::string kExec = "    @exec(\"python3 steps/s.py\")\n    When records are scored\n";

TEST_F(Privacy, ReasonsOfAStepThatIsSentPiiAreForTheLetterAlone) {
  p_.write("steps/s.py", step("  print(json.dumps({'record': number, 'action': 'reject' if number != 1 else 'drop', 'reason': 'bad ' + r['ssn']}), file=report)\n"));
  const RunOutcome done = run(feature(kExec));
  ASSERT_TRUE(done.status.ok()) << said_;
  std::map<std::string, uint64_t> dropped;
  for (const auto& op : done.scenarios.at(0).operators) dropped.insert(op.dropped.begin(), op.dropped.end());
  EXPECT_EQ(dropped, (std::map<std::string, uint64_t>{{"dropped by the step", 1}}));
  EXPECT_THAT(said_, HasSubstr("refused by the step"));
  ASSERT_EQ(letters().size(), 2u);
  EXPECT_EQ(letters()[0].rules.at(0).message, "refused by the step");
  EXPECT_EQ(letters()[0].rules.at(0).words, "bad SECRETA");
}

TEST_F(Privacy, ReasonsOfAStepThatIsSentNoneAreShown) {
  p_.write("steps/s.py", step("  print(json.dumps({'record': number, 'action': 'reject' if number != 1 else 'drop', 'reason': 'bad ' + r['x']}), file=report)\n"));
  const RunOutcome done = run(feature("    When field ssn is dropped\n" + kExec));
  ASSERT_TRUE(done.status.ok()) << said_;
  std::map<std::string, uint64_t> dropped;
  for (const auto& op : done.scenarios.at(0).operators) dropped.insert(op.dropped.begin(), op.dropped.end());
  EXPECT_EQ(dropped, (std::map<std::string, uint64_t>{{"bad b", 1}}));
  EXPECT_EQ(letters().at(0).rules.at(0).message, "bad a");
  EXPECT_EQ(letters().at(0).rules.at(0).words, "");
}

TEST_F(Privacy, WhatAFailingStepSaidIsKeptForItsOwnerOnly) {
  p_.write("steps/s.py", step("  sys.exit(3)\n"));
  EXPECT_FALSE(run(feature(kExec)).status.ok());
  EXPECT_THAT(said_, AllOf(HasSubstr("failed: exit code 3"), HasSubstr("it may hold personal data, and is in "), HasSubstr("/dead-letters/")));
  EXPECT_THAT(words(), HasSubstr("saw {\"n\":1,\"ssn\":\"SECRETA\""));
}

TEST_F(Privacy, WhatAFailingStepSaidOfOtherDataIsShown) {
  p_.write("steps/s.py", step("  sys.exit(3)\n"));
  EXPECT_FALSE(run(feature("    When field ssn is dropped\n" + kExec)).status.ok());
  EXPECT_THAT(said_, HasSubstr("stderr of \"python3\": saw {\"n\":1,\"x\":\"a\"}"));
}

TEST_F(Privacy, WhatAStepAddsToAnOpenFlowIsNotWritten) {
  p_.write("contracts/c.contract", "[[open]] contract C { int64 n; string ssn [[pii]]; }\n");
  p_.write("steps/s.py", step("  r['copy'] = r[r['ssn']] = r['x'] = r['ssn']\n  print(json.dumps(r))\n"));
  const std::string broken = "    And field \"y\" is set to 1 / (n - 3)\n";
  const RunOutcome done = run(feature("    @checkpoint\n" + kExec + broken));
  ASSERT_TRUE(done.status.ok()) << said_;
  EXPECT_EQ(p_.read("out/o.ndjson"), "{\"n\":1,\"ssn\":\"****\",\"y\":-0.5}\n{\"n\":99,\"ssn\":\"****\",\"y\":0.010416666666666666}\n");
  ASSERT_EQ(letters().size(), 1u);
  EXPECT_THAT(letters()[0].record, HasSubstr("\"copy\":\"SECRETC\""));
  EXPECT_EQ(shown(letters()[0]), "{\"n\":3,\"ssn\":\"****\",\"****\":\"****\",\"****\":\"****\",\"****\":\"****\"}");
  // A step that is sent none may add what it likes.
  p_.write("steps/s.py", step("  r['copy'] = r['x']\n  print(json.dumps(r))\n"));
  EXPECT_TRUE(run(feature("    When field ssn is dropped\n" + kExec)).status.ok());
  EXPECT_THAT(p_.read("out/o.ndjson"), HasSubstr("{\"n\":1,\"x\":\"a\",\"copy\":\"a\"}\n"));
}

TEST_F(Privacy, AFlatNameOfAMemberIsNoOpenField) {
  p_.write("contracts/c.contract", "struct A { string city [[pii]]; } [[open]] contract C { int64 n; A home; }\n");
  p_.write("data/in.ndjson", "{\"n\":1,\"home.city\":\"SECRET\",\"home.flat\":\"SECRET\",\"x\":2}\n");
  EXPECT_TRUE(run(feature(kCheck)).status.ok());
  EXPECT_EQ(p_.read("out/o.ndjson"), "{\"n\":1,\"home\":{\"city\":null},\"x\":2}\n");
}

TEST_F(Privacy, RubbishOfAStepIsNotShown) {
  p_.write("steps/s.py", step("  print('rubbish ' + r['ssn'], file=report)\n"));
  EXPECT_FALSE(run(feature(kExec)).status.ok());
  EXPECT_THAT(said_, HasSubstr("line 1 on descriptor 3 is not"));
  said_.clear();
  p_.write("steps/s.py", step("  print('rubbish ' + r['ssn'])\n"));
  EXPECT_FALSE(run(feature(kExec)).status.ok());
  EXPECT_THAT(said_, HasSubstr("wrote what is not a record of its output: line 1"));
}

TEST_F(Privacy, ProgramsThatGiveOrTakePiiAreNotQuotedEither) {
  EXPECT_FALSE(run(feature("", "@source(exec=\"sh -c 'cat data/in.ndjson >&2; exit 2'\", format=\"ndjson\")")).status.ok());
  EXPECT_THAT(said_, HasSubstr("it may hold personal data, and is in "));
  EXPECT_THAT(words(), HasSubstr("SECRETA"));
  const std::string sink = "Feature: F\n  Scenario: S\n    @source(\"data/in.ndjson\") @contract(\"contracts/c.contract\")\n    Given rows arrive\n"
                           "    @sink(exec=\"sh -c 'cat >&2; exit 2'\", format=\"ndjson\")\n    Then records are written\n";
  said_.clear();
  EXPECT_FALSE(run(sink, true).status.ok());
  EXPECT_THAT(said_, HasSubstr("it may hold personal data, and is in "));
  said_.clear();
  EXPECT_FALSE(run(sink).status.ok());
  EXPECT_THAT(said_, HasSubstr("\"ssn\":\"***RETA\"")) << "what is masked may be said";
}

// ---- messages -----------------------------------------------------------------------------------------------------------

TEST_F(Privacy, MessagesOfUnreadableRecordsShowNothingOfNeighbours) {
  p_.write("data/in.csv", "n,ssn,x\n\"\",SECRETA,y\n1z,SECRETB,y\n\"1\"2,SECRETC,y\n1,SECRETD\n");
  run(feature(kCheck, "@source(\"data/in.csv\")"));
  EXPECT_THAT(said_, HasSubstr("data/in.csv:2: field n: an empty text is no int64"));
  ASSERT_EQ(letters().size(), 4u);
  for (const auto& letter : letters()) EXPECT_THAT(letter.rules.at(0).message, Not(HasSubstr("SECRET")));
  said_.clear();
  p_.write("data/in.ndjson", "{\"n\":x\"ssn\":\"SECRETH\"}\n{\"n\":[\"SECRETI\"]}\n{\"n\":1 \"SECRETJ\"}\n\"SECRETK\"\n{\"n\":\"SECRET");
  run(feature(kCheck));
  EXPECT_THAT(said_, HasSubstr("field n: not well formed (byte 5)"));
}

TEST_F(Privacy, MessagesShowNothingBehindAValueOrOfAMemberOfItsStruct) {
  p_.write("contracts/c.contract", "struct A { int32 no; string street [[pii]]; } struct B { int32 x; } contract C { int64 n; string ssn [[pii]]; A home; B at; }\n");
  p_.write("data/in.ndjson",
           "{\"n\":true\"ssn\":\"SECRETA\"}\n{\"home\":\"SECRET street 7\"}\n{\"home\":{\"no\":\"x\"}}\n{\"at\":\"y\"}\n{\"n\":1,\"x\":7777,\"n\":\"z\"}\n");
  run(feature(kCheck));
  std::string words;
  for (const auto& letter : letters()) {
    for (const auto& rule : letter.rules) words += rule.message + "\n";
  }
  EXPECT_EQ(words,
            "field n: true is no int64 (byte 5)\nnot well formed (byte 9)\nfield home: the value is no struct (byte 8)\n"
            "field home.no: \"x\" is no int32 (byte 14)\nfield at: \"y\" is no struct (byte 6)\n"
            "field n: the field is there twice (byte 20)\n");
}

TEST_F(Privacy, ArrowValuesThatDoNotFitAreDeadLettersAndNotShown) {
  p_.write("contracts/c.contract", "contract C { int64 n [[required, range(0, 10)]]; timestamp t [[pii]]; string ssn [[pii]]; float64 f [[required]]; }\n");
  const columnar::Batch rows = columnar::make_batch(
      {{"n", columnar::TypeId::kInt64}, {"t", columnar::TypeId::kTimestamp}, {"ssn", columnar::TypeId::kString}, {"f", columnar::TypeId::kFloat64}},
      {{int64_t{1}, int64_t{0}, "a", 1.5}, {int64_t{99}, int64_t{253402300800000777}, "SECRET\xFF", 1.5}, {int64_t{3}, int64_t{0}, "SECRET", std::nan("")}});
  p_.write("data/in.arrow", *columnar::ipc_encode(rows.schema, {rows}));
  const RunOutcome done = run(feature(kCheck, "@source(\"data/in.arrow\")"));
  ASSERT_TRUE(done.status.ok()) << said_;
  EXPECT_EQ(p_.read("out/o.ndjson"), "{\"n\":1,\"t\":\"****\",\"ssn\":\"****\",\"f\":1.5}\n");
  EXPECT_THAT(said_, AllOf(HasSubstr("field t: the value does not fit timestamp"), HasSubstr("field f: NaN is no float64"), Not(HasSubstr("253402"))));
  const auto kept = letters();
  ASSERT_EQ(kept.size(), 2u);
  std::vector<std::string> rules;
  for (const auto& rule : kept[0].rules) rules.push_back(rule.rule + ": " + rule.message);
  EXPECT_THAT(rules, ElementsAre("t.type: field t: the value does not fit timestamp", "ssn.type: field ssn: bytes that are not UTF-8", HasSubstr("n.range: ")));
  EXPECT_EQ(kept[0].record, "{\"n\":99,\"t\":253402300800000777,\"ssn\":{\"base64\":\"U0VDUkVU/w==\"},\"f\":1.5}");
  EXPECT_EQ(shown(kept[0]), "{\"n\":99,\"t\":\"****\",\"ssn\":\"****\",\"f\":1.5}");
}

TEST_F(Privacy, AFieldThatHoldsWhatWasMadeOfAnotherIsNotQuoted) {
  p_.write("contracts/c.contract", "contract C { int64 n; string ssn [[pii]]; string x [[length(1, 3)]]; check short: length(x) < 3; }\n");
  run(feature("    When field \"x\" is set to ssn\n" + kCheck));
  ASSERT_EQ(letters().size(), 3u);
  EXPECT_THAT(letters()[0].rules.at(0).message, HasSubstr("it is ****"));
  EXPECT_THAT(letters()[0].rules.at(1).message, HasSubstr("x is ****"));
}

TEST_F(Privacy, AFileWithoutItsHeaderIsNotQuoted) {
  p_.write("contracts/c.contract", "contract C { int64 n [[required]]; string ssn [[pii]]; string x; }\n");
  p_.write("data/in.csv", "1,SECRETA,y\n2,SECRETB,z\n");
  p_.write("features/f.dsl", feature(kCheck, "@source(\"data/in.csv\")"));
  EXPECT_FALSE(run(feature(kCheck, "@source(\"data/in.csv\")")).status.ok());
  EXPECT_THAT(said_, HasSubstr("the CSV header lacks the required column n"));
  p_.write("contracts/c.contract", kContract);
  const RunOutcome done = run(feature(kCheck, "@source(\"data/in.csv\")"));
  EXPECT_EQ(done.scenarios.at(0).drift, (std::map<std::string, uint64_t>{{"column 1", 1}, {"column 2", 1}, {"column 3", 1}}));
}

// ---- letters, shown -----------------------------------------------------------------------------------------------------

TEST_F(Privacy, LettersOfAScenarioWithoutACheckAreMaskedToo) {
  p_.write("data/in.ndjson", "{\"n\":\"one\",\"ssn\":\"SECRETA\",\"x\":\"a\"}\n");
  run(feature("    When field \"y\" is set to n + 1\n"));
  ASSERT_EQ(letters().size(), 1u);
  EXPECT_EQ(shown(letters()[0]), "{\"n\":\"one\",\"ssn\":\"***RETA\",\"x\":\"a\"}");
}

TEST_F(Privacy, RowsThatWereComputedAreMaskedByTheFieldsTheyComeFrom) {
  run(feature("    When records are grouped by upper(ssn) as who, computing:\n      | ssn | max(ssn + \"!\") |\n      | n | max(n) |\n"
              "    And field \"y\" is set to 1 / (n - n)\n"));
  ASSERT_EQ(letters().size(), 3u);
  EXPECT_THAT(letters()[0].record, HasSubstr("SECRETA"));
  EXPECT_EQ(letters()[0].source, "");
  EXPECT_THAT(letters()[0].pii, ElementsAre("ssn", "who"));
  EXPECT_EQ(shown(letters()[0]), "{\"who\":\"****\",\"ssn\":\"****\",\"n\":1}");
  EXPECT_THAT(shown(letters()[0], true), HasSubstr("SECRETA"));
}

TEST_F(Privacy, CellsAreShownOnlyWhereTheirColumnsAreCertain) {
  p_.write("data/in.csv", "n,ssn,x\n99,SECRETA,y\n");
  run(feature(kCheck, "@source(\"data/in.csv\")"));
  ASSERT_EQ(letters().size(), 1u);
  const ledger::DeadLetter letter = letters()[0];
  EXPECT_EQ(shown(letter), "99,\"***RETA\",y");
  p_.write("data/in.csv", "ssn,n,x\n99,SECRETA,y\n");
  fs::last_write_time(p_.root() + "/data/in.csv", fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_THAT(shown(letter), AllOf(HasSubstr("**** (masked wholly: "), Not(HasSubstr("SECRET"))));
}

TEST_F(Privacy, CellsOfOtherDialectsAndChangedFilesAreMaskedWholly) {
  const std::string semicolons = "@source(\"data/in.csv\", delimiter=\";\")";
  p_.write("data/in.csv", "n;ssn;x\n99;SECRETA;y\n");
  run(feature(kCheck, semicolons));
  const std::string headless = "@source(\"data/other.csv\", header=false)";
  p_.write("data/other.csv", "99,SECRETA,y\n98,SECRETB,y\n");
  run(feature(kCheck, headless));
  p_.write("data/gone.csv", "n,ssn,x\n99,SECRETA,y\n");
  run(feature(kCheck, "@source(\"data/gone.csv\")"));
  p_.write("data/gone.csv", "ssn,x,n,more\nSECRETA,y,99,1\n");
  ASSERT_EQ(letters().size(), 4u);
  for (const auto& letter : letters()) EXPECT_THAT(shown(letter), AllOf(HasSubstr("**** (masked wholly: "), Not(HasSubstr("SECRET")))) << letter.source;
}

}  // namespace
}  // namespace runink::local
