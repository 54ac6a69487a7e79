// The commands, from the argument vector to what is printed, in a project that `runi init` made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/cli/captured_console.h"
#include "client/cli/commands.h"
#include "client/cli/doctor.h"
#include "client/cli/exit_code.h"
#include "client/cli/program.h"
#include "platform/os/temp.h"

namespace runink::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Said {
  int code;
  std::string out, err;
};

class Commands : public ::testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::current_path();
    folder_ = std::move(os::TempFolder::create("", "runink-commands-")).value();
    fs::current_path(folder_.path());
  }
  void TearDown() override { fs::current_path(home_); }

  Said runi(const std::vector<std::string>& arguments) {
    CapturedConsole captured;
    int code = run_program(command_tree(), arguments, captured.console());
    return {code, captured.out(), captured.err()};
  }
  void make_project() {
    ASSERT_EQ(runi({"init", "shop"}).code, 0);
    fs::current_path("shop");
  }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void write(const std::string& path, const std::string& text) {
    if (auto folder = fs::path(path).parent_path(); !folder.empty()) fs::create_directories(folder);
    std::ofstream(path) << text;
  }
  static void replace(const std::string& path, const std::string& from, const std::string& to) {
    std::string text = read(path);
    size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << path << " has no " << from;
    write(path, text.replace(at, from.size(), to));
  }

 private:
  fs::path home_;
  os::TempFolder folder_;
};

TEST_F(Commands, InitMakesAProjectOnce) {
  Said said = runi({"init", "shop"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.out, "cd shop && runi run features/orders.dsl\n");
  Said again = runi({"init", "shop"});
  EXPECT_EQ(again.code, kExitConflict);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
  EXPECT_EQ(runi({"init", "a b"}).code, kExitUsage);
}

TEST_F(Commands, OutsideOfAProject) {
  Said said = runi({"plan", "x.dsl"});
  EXPECT_EQ(said.code, kExitNotFound);
  EXPECT_THAT(said.err, HasSubstr("runi init"));
  EXPECT_EQ(runi({"-C", "nowhere", "doctor"}).code, kExitNotFound);
}

TEST_F(Commands, ContractsAreCheckedHashedAndReleased) {
  make_project();
  EXPECT_THAT(runi({"contract", "check"}).out, AllOf(HasSubstr("Order"), HasSubstr("0.1.0")));
  Said hash = runi({"contract", "hash", "-o", "name", "contracts/order.contract"});
  EXPECT_EQ(hash.out.size(), 65u);

  EXPECT_EQ(runi({"contract", "diff", "contracts/order.contract"}).code, kExitNotFound);
  EXPECT_EQ(runi({"contract", "release", "contracts/order.contract"}).code, 0);
  EXPECT_TRUE(fs::exists("contracts/history/Order/0.1.0.contract"));
  EXPECT_THAT(runi({"contract", "history", "Order"}).out, HasSubstr("0.1.0"));
  EXPECT_THAT(runi({"contract", "diff", "contracts/order.contract"}).err, HasSubstr("no difference"));
  EXPECT_EQ(runi({"contract", "hash", "-o", "name", "Order@0.1.0"}).out, hash.out);

  replace("contracts/order.contract", "range(1, 100)", "range(1, 10)");
  Said diff = runi({"contract", "diff", "contracts/order.contract"});
  EXPECT_THAT(diff.out, HasSubstr("breaks writers"));
  EXPECT_EQ(diff.code, kExitFailed);
  EXPECT_NE(runi({"contract", "release", "contracts/order.contract"}).code, 0);
  EXPECT_EQ(runi({"contract", "history", "Ordre"}).code, kExitNotFound);
}

TEST_F(Commands, AWrongContractIsShownWithItsPlace) {
  make_project();
  replace("contracts/order.contract", "timestamp ", "timestmap ");
  Said said = runi({"contract", "check"});
  EXPECT_EQ(said.code, kExitFailed);
  EXPECT_THAT(said.err, AllOf(HasSubstr("contracts/order.contract:5:3: error:"), HasSubstr("timestamp")));
}

TEST_F(Commands, ContractsComeFromAndGoToOtherForms) {
  make_project();
  EXPECT_THAT(
      runi({"contract", "infer", "data/orders.ndjson", "-n", "Sample"}).out,
      AllOf(HasSubstr("contract Sample {"), HasSubstr("Left out: 1 more that could not be read, the first at line 8")));
  EXPECT_THAT(runi({"contract", "gen", "contracts/order.contract"}).out, HasSubstr("struct Order"));
  EXPECT_EQ(runi({"contract", "export", "contracts/order.contract", "-O", "order.yaml"}).code, 0);
  EXPECT_EQ(runi({"contract", "export", "contracts/order.contract", "-O", "order.yaml"}).code, kExitConflict);
  Said back = runi({"contract", "import", "order.yaml", "-O", "again.contract"});
  EXPECT_EQ(back.code, 0) << back.err;
  EXPECT_EQ(runi({"contract", "hash", "-o", "name", "again.contract"}).out,
            runi({"contract", "hash", "-o", "name", "contracts/order.contract"}).out);
  EXPECT_THAT(runi({"contract", "catalog", "-o", "json"}).out, HasSubstr("\"pii\":[\"customer\"]"));
  Said redacted = runi({"contract", "redact", "contracts/order.contract", "data/orders.ndjson"});
  EXPECT_THAT(redacted.out, AllOf(HasSubstr("O-0001"), Not(HasSubstr("Ada Quist"))));
}

TEST_F(Commands, DriftOfDataHasItsExitCode) {
  make_project();
  write("data/new.ndjson", "{\"id\":\"O-1\",\"surprise\":1}\n");
  Said said = runi({"contract", "diff", "contracts/order.contract", "data/new.ndjson"});
  EXPECT_EQ(said.code, kExitDataWrong);
  EXPECT_THAT(said.out, HasSubstr("surprise"));
}

TEST_F(Commands, DataFitsAContractOnlyIfTheCheckSaysSo) {
  const std::string head = "[[version(\"1.0.0\")]] contract T {\n";
  const struct {
    const char *rules, *fits, *refused, *word, *drift;  // how check and diff name what is wrong
  } kCases[] = {
      {"duration u [[max(\"PT5S\")]];", "{\"u\":\"PT4S\"}", "{\"u\":\"PT9S\"}", "u.max", "u.max"},
      {"int32 a; int32 b; check order: a < b;", "{\"a\":1,\"b\":2}", "{\"a\":3,\"b\":2}", "check order", "check order"},
      {"timestamp d [[min(\"2000-01-01T00:00:00Z\")]];", "{\"d\":\"2001-01-01T00:00:00Z\"}", "{\"d\":\"1980-01-01T00:00:00Z\"}",
       "d.min", "d: values go from"},
      {"int32 n; quality some: max(n) < 5;", "{\"n\":1}", "{\"n\":7}", "quality some", "quality some"},
      {"list<int32> l [[length(1, 2)]];", "{\"l\":[1]}", "{\"l\":[]}", "l.length", "l: lengths"},
  };
  for (const auto& c : kCases) {
    write("t.contract", head + c.rules + "\n}\n");
    write("fits.ndjson", std::string(c.fits) + "\n");
    write("refused.ndjson", std::string(c.fits) + "\n" + c.refused + "\n");
    for (const auto& command : {std::vector<std::string>{"contract", "diff", "t.contract"}, {"contract", "check", "t.contract", "-d"}}) {
      auto with = command;
      with.push_back("fits.ndjson");
      Said said = runi(with);
      EXPECT_EQ(said.code, 0) << c.rules << said.out << said.err;
      with.back() = "refused.ndjson";
      said = runi(with);
      EXPECT_EQ(said.code, kExitDataWrong) << c.rules << said.out << said.err;
      EXPECT_THAT(said.out, HasSubstr(command[1] == "diff" ? c.drift : c.word));
    }
  }
  // A name that does not tell the form.
  write("t.contract", head + "int32 n; }\n");
  write("data.txt", "n\n1\nx\n");
  Said said = runi({"contract", "diff", "t.contract", "data.txt"});
  EXPECT_EQ(said.code, kExitDataWrong) << said.err;
  EXPECT_THAT(said.out, HasSubstr("n: ")) << said.err;
}

TEST_F(Commands, ABreakingChangeAsksForAMajorVersionBetweenAnyTwo) {
  write("a.contract", "[[version(\"1.0.0\")]] contract T { int32 n [[max(9)]]; }\n");
  write("b.contract", "[[version(\"1.1.0\")]] contract T { int32 n [[max(5)]]; }\n");
  write("c.contract", "[[version(\"2.0.0\")]] contract T { int32 n [[max(5)]]; }\n");
  Said said = runi({"contract", "diff", "a.contract", "b.contract"});
  EXPECT_EQ(said.code, kExitFailed);
  EXPECT_THAT(said.out, HasSubstr("breaks writers"));
  EXPECT_THAT(said.err, HasSubstr("the changes ask for a major version"));
  EXPECT_EQ(runi({"contract", "diff", "a.contract", "c.contract"}).code, 0);
  EXPECT_EQ(runi({"contract", "diff", "b.contract", "b.contract"}).code, 0);
}

TEST_F(Commands, RulesAreCountedInOneWay) {
  make_project();
  Said catalog = runi({"contract", "catalog", "-o", "json"}), check = runi({"contract", "check", "-o", "json"});
  const auto count = [](const std::string& json) {
    const size_t at = json.find("\"rules\":");
    return at == std::string::npos ? std::string() : json.substr(at, json.find(',', at) - at);
  };
  EXPECT_NE(count(catalog.out), "");
  EXPECT_EQ(count(catalog.out), count(check.out));
}

TEST_F(Commands, RecordsOfAFileAreCheckedWithoutARun) {
  make_project();
  Said said = runi({"contract", "check", "contracts/order.contract", "--data", "data/orders.ndjson"});
  EXPECT_EQ(said.code, kExitDataWrong) << said.err;
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("items.range"), HasSubstr("customer.required"), HasSubstr("quality mostly_paid")));
  EXPECT_THAT(said.err, HasSubstr("12 records: 8 valid, 4 rejected"));
  EXPECT_FALSE(fs::exists(".runink"));
  write("data/good.ndjson", read("data/orders.ndjson").substr(0, read("data/orders.ndjson").find('\n') + 1));
  EXPECT_EQ(runi({"contract", "check", "contracts/order.contract", "--data", "data/good.ndjson"}).code, 0);
  EXPECT_EQ(runi({"contract", "check", "contracts/order.contract", "--data", "data/none.ndjson"}).code, kExitNotFound);
  EXPECT_EQ(runi({"contract", "check", "--data", "data/orders.ndjson"}).code, kExitUsage);
}

TEST_F(Commands, FmtLintAndSteps) {
  make_project();
  EXPECT_EQ(runi({"fmt", "--check"}).code, 0) << "the files of a new project are formatted";
  replace("features/orders.dsl", "  Scenario: Clean orders", "Scenario: Clean orders");
  EXPECT_EQ(runi({"fmt", "--check"}).code, kExitFailed);
  EXPECT_EQ(runi({"fmt"}).out, "features/orders.dsl\n");
  EXPECT_EQ(runi({"fmt"}).out, "");
  Said clean = runi({"lint"});
  EXPECT_EQ(clean.code, 0) << clean.out;
  EXPECT_THAT(clean.err, HasSubstr("0 errors")) << clean.out;
  replace("features/orders.dsl", "are checked against", "are cheked against");
  Said wrong = runi({"lint"});
  EXPECT_EQ(wrong.code, kExitFailed);
  EXPECT_THAT(wrong.out, HasSubstr("records are checked against the contract"));
  EXPECT_THAT(runi({"steps", "join"}).out, HasSubstr("join.left"));
  EXPECT_THAT(runi({"steps", "join.left"}).out, HasSubstr("Ways to say it:"));
  EXPECT_EQ(runi({"steps", "teleport"}).code, kExitNotFound);
}

TEST_F(Commands, PlanAndDiffByMeaning) {
  make_project();
  Said plan = runi({"plan", "features/orders.dsl"});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_THAT(plan.out, AllOf(HasSubstr("Clean orders"), HasSubstr("Orders by state")));
  EXPECT_THAT(runi({"plan", "features/orders.dsl", "-o", "dot"}).out, HasSubstr("digraph"));
  EXPECT_THAT(runi({"plan", "features/orders.dsl", "-o", "json"}).out, HasSubstr("\"format\""));
  fs::copy_file("features/orders.dsl", "features/other.dsl");
  replace("features/other.dsl", "Which orders are worth how much?", "What is what worth?");
  EXPECT_EQ(runi({"diff", "features/orders.dsl", "features/other.dsl"}).code, 0);
  replace("features/other.dsl", "| orders | count()    |\n", "");
  EXPECT_THAT(runi({"diff", "features/orders.dsl", "features/other.dsl"}).out, HasSubstr("breaks readers"));
}

TEST_F(Commands, ANewProjectHasATestThatPasses) {
  make_project();
  Said said = runi({"test"});
  EXPECT_EQ(said.code, 0) << said.out << said.err;
  EXPECT_THAT(said.out + said.err, HasSubstr("1 passed, 0 failed"));
  replace("features/orders.dsl", "total / items", "total / items + 1");
  said = runi({"test"});
  EXPECT_EQ(said.code, kExitDataWrong);
  EXPECT_EQ(runi({"test", "--update"}).code, 0);
  EXPECT_EQ(runi({"test"}).code, 0);
}

TEST_F(Commands, PlanSaysWhatChangedSinceTheRunBefore) {
  make_project();
  EXPECT_THAT(runi({"plan", "features/orders.dsl"}).out, Not(HasSubstr("since the plan before")));
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  EXPECT_THAT(runi({"plan", "features/orders.dsl"}).out,
              HasSubstr("since the plan before\n  no difference in meaning\n"));
  replace("features/orders.dsl", "total / items", "total / items + 1");
  EXPECT_THAT(runi({"plan", "features/orders.dsl"}).out, HasSubstr("since the plan before\n  scenario \"Clean orders\"\n"));
}

TEST_F(Commands, RunsTakePlaceHereOnly) {
  make_project();
  write("runink.toml", "name = \"shop\"\ncontext = \"cluster7\"\n");
  const Said said = runi({"run", "features/orders.dsl"});
  EXPECT_EQ(said.code, kExitUnreachable);
  EXPECT_THAT(said.err, AllOf(HasSubstr("no cluster is known here yet"), HasSubstr("--context local")));
  EXPECT_FALSE(fs::exists(".runink"));
  EXPECT_THAT(runi({"doctor"}).out, HasSubstr("cluster7"));
  EXPECT_EQ(runi({"run", "features/orders.dsl", "--context", "local"}).code, 0);
  EXPECT_EQ(runi({"dlq", "replay"}).code, kExitUnreachable);
}

TEST_F(Commands, LimitsOfFlagsAndSettingsAgree) {
  make_project();
  for (const auto& [flag, value, setting] : {std::tuple{"--memory", "1023Ki", "memory_budget = \"1023Ki\""},
                                             std::tuple{"--threads", "0", "threads = 0"},
                                             std::tuple{"--threads", "1025", "threads = 1025"}}) {
    write("runink.toml", "");
    EXPECT_EQ(runi({"run", "features/orders.dsl", flag, value}).code, kExitUsage) << flag;
    write("runink.toml", std::string("[engine]\n") + setting + "\n");
    EXPECT_EQ(runi({"run", "features/orders.dsl"}).code, kExitFailed) << setting;
  }
  write("runink.toml", "[engine]\nmemory_budget = \"1Mi\"\nthreads = 1\n");
  EXPECT_EQ(runi({"run", "features/orders.dsl", "--memory", "1Mi", "--threads", "1"}).code, 0);
}

TEST_F(Commands, DoctorTellsOfStateThatOthersCanRead) {
  make_project();
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  EXPECT_THAT(runi({"doctor", "-o", "json"}).out, Not(HasSubstr("\"bad\"")));
  const fs::path letters = fs::directory_iterator(fs::directory_iterator(".runink/dead-letters")->path())->path();
  fs::permissions(letters, fs::perms::group_read, fs::perm_options::add);
  const Said said = runi({"doctor", "-o", "json"});
  EXPECT_EQ(said.code, kExitFailed);
  EXPECT_THAT(said.out, AllOf(HasSubstr(letters.filename().string()), HasSubstr("has mode 640")));
  fs::permissions(letters, fs::perms::group_read, fs::perm_options::remove);
  fs::remove(".runink/key");
  EXPECT_THAT(runi({"doctor", "-o", "json"}).out, HasSubstr("key is gone"));
}

TEST_F(Commands, ALongReasonIsCutInTheSummaryAndWholeInTheRecord) {
  make_project();
  const std::string reason(8000, 'r');
  replace("features/orders.dsl", "is set to total / items",
          "is set to total / items\n     And records where items < 2 are dropped as \"" + reason + "\"");
  const Said said = runi({"run", "features/orders.dsl"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.err, AllOf(HasSubstr("dropped"), HasSubstr("rrr…\n"), Not(HasSubstr(std::string(300, 'r')))));
  EXPECT_THAT(runi({"status", "last", "-o", "json"}).out, HasSubstr(reason));
}

TEST_F(Commands, LineageShowsColumnsWhenAsked) {
  make_project();
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  EXPECT_THAT(runi({"lineage"}).out, Not(HasSubstr("per_item")));
  EXPECT_THAT(runi({"lineage", "-c"}).out,
              AllOf(HasSubstr("per_item"), HasSubstr("data/orders.ndjson:total"), HasSubstr("data/orders.ndjson:items")));
}

TEST_F(Commands, ARunAndWhatItLeaves) {
  make_project();
  EXPECT_EQ(runi({"runs"}).code, kExitNotFound) << "nothing has run";
  Said run = runi({"run", "features/orders.dsl"});
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.out, "") << "standard output is for sinks";
  EXPECT_THAT(run.err, AllOf(HasSubstr("12 in, 8 valid, 4 rejected"), HasSubstr("out/by_state.csv"),
                             HasSubstr("2 scenarios, 12 records read, 12 written, 4 rejected in "),
                             HasSubstr("runi dlq list")));
  EXPECT_THAT(read("out/by_state.csv"), HasSubstr("paid"));
  EXPECT_THAT(read("out/orders.ndjson"), AllOf(HasSubstr("O-0001"), Not(HasSubstr("Ada Quist"))));

  EXPECT_THAT(runi({"runs", "-o", "json"}).out, HasSubstr("\"state\":\"succeeded\""));
  EXPECT_THAT(runi({"runs", "--scenarios", "-o", "csv"}).out, HasSubstr("Clean orders"));
  EXPECT_THAT(runi({"status"}).out, HasSubstr("shop"));
  EXPECT_THAT(runi({"status", "last"}).out, AllOf(HasSubstr("Scenario: Clean orders"), HasSubstr("BALANCE")));
  EXPECT_THAT(runi({"logs"}).out, HasSubstr("Clean orders"));
  EXPECT_THAT(runi({"quality"}).out, HasSubstr("at least 5 records are processed"));
  EXPECT_THAT(runi({"lineage"}).out, HasSubstr("data/orders.ndjson"));
  EXPECT_THAT(runi({"lineage", "-o", "svg"}).out, HasSubstr("<svg"));
  EXPECT_THAT(runi({"lineage", "-o", "events"}).out, HasSubstr("\"eventType\":\"COMPLETE\""));
  EXPECT_THAT(runi({"lineage", "query", "out/by_state.csv:value", "-d", "up"}).out, HasSubstr("total"));
  EXPECT_THAT(runi({"__complete", "runs"}).out, HasSubstr("last\n"));
  EXPECT_THAT(runi({"__complete", "scenarios"}).out, HasSubstr("Clean orders\n"));
  EXPECT_THAT(runi({"gc", "--dry-run"}).err, HasSubstr("nothing to remove"));
  EXPECT_EQ(runi({"status", "nonsense"}).code, kExitNotFound);
}

TEST_F(Commands, DeadLettersAreMasked) {
  make_project();
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  Said list = runi({"dlq", "list", "last", "-o", "csv"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("items.range"), HasSubstr("customer.required")));
  EXPECT_THAT(runi({"dlq", "list", "last", "--by-rule"}).out, HasSubstr("items.range"));
  Said names = runi({"dlq", "list", "last", "--rule", "items.range", "-o", "name"});
  const std::string id = names.out.substr(0, names.out.find('\n'));
  Said shown = runi({"dlq", "show", id});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("O-0006"), HasSubstr("900"), Not(HasSubstr("Esi Mensah"))));
}

TEST_F(Commands, AFailedAssertionPublishesNothing) {
  make_project();
  replace("features/orders.dsl", "fewer than 50%", "fewer than 1%");
  Said run = runi({"run", "features/orders.dsl"});
  EXPECT_EQ(run.code, kExitDataWrong) << run.err;
  EXPECT_FALSE(fs::exists("out/orders.ndjson"));
  EXPECT_THAT(runi({"quality"}).out, HasSubstr("fails"));
  EXPECT_THAT(runi({"dlq", "list", "-o", "name"}).out, Not(::testing::IsEmpty()));
}

TEST_F(Commands, ShowPrintsWhatAStepGave) {
  make_project();
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  Said list = runi({"show", "last"});
  EXPECT_THAT(list.out, HasSubstr("STEP"));
  EXPECT_EQ(runi({"show", "last", "nonsense"}).code, kExitNotFound);
}

TEST_F(Commands, DoctorLooksAtTheStateFolder) {
  make_project();
  EXPECT_EQ(runi({"doctor"}).code, 0);
  ASSERT_EQ(runi({"run", "features/orders.dsl"}).code, 0);
  fs::permissions(".runink", fs::perms::all);
  Said said = runi({"doctor"});
  EXPECT_EQ(said.code, kExitFailed);
  EXPECT_THAT(said.out, HasSubstr("chmod 700"));
}

std::vector<DoctorFinding> made_up_checks() {
  return {{"limit memory", DoctorVerdict::kGood, "it bites", ""},
          {"clock", DoctorVerdict::kNote, "slow", "wind it up"},
          {"networks", DoctorVerdict::kBad, "no \x1b[31mcable", "plug one in"}};
}

TEST_F(Commands, DoctorSaysWhatSlicesCanBeHeldTo) {
  make_project();
  offer_slice_checks(made_up_checks);
  const Said said = runi({"doctor"});
  const Said json = runi({"doctor", "-o", "json"});
  const Said without = runi({"doctor", "--no-slices"});
  offer_slice_checks(nullptr);
  EXPECT_EQ(said.code, kExitFailed);
  EXPECT_THAT(said.out, HasSubstr("limit memory"));
  EXPECT_THAT(said.out, HasSubstr("wind it up"));
  EXPECT_THAT(said.out, Not(HasSubstr("\x1b[31m")));
  EXPECT_THAT(json.out, HasSubstr(R"("check":"networks","verdict":"bad")"));
  EXPECT_EQ(without.code, 0);
  EXPECT_THAT(without.out, Not(HasSubstr("networks")));
}

}  // namespace
}  // namespace runink::cli
