// C++ steps from source to answers: contracts to headers, the compiler, runi-slice, a run. Needs a C++ compiler.
#include "client/local/compile_steps.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "client/local/step_sources.h"
#include "client/local/step_test.h"
#include "data/columnar/builder.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "platform/os/temp.h"

namespace runink::local {
namespace {

using columnar::Value;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kContract = R"(
struct Leg { string carrier [[required]]; int32 miles; }
[[version("1.2.0")]]
contract Flight {
  int32 delay [[required]];
  string origin;
  enum(economy, "N/A") cabin;
  decimal(12,2) fare;
  list<string> tags;
  list<Leg> legs;
  uuid id;
  bool late [[required]];
  timestamp `when`;
}
)";

// Several steps in one file, as compiling is what takes time.
constexpr const char* kSteps = R"cpp(
#include <runink/step/step.h>

#include <cstdlib>
#include <stdexcept>

#include "flight.h"

using contracts::Flight;
using runink::step::Context;

RUNINK_STEP("Score", Flight, Flight)
(const Flight::Batch& in, Flight::Builder& out, Context& context) {
  std::printf("this goes to standard error\n");
  const auto delay = in.column(&Flight::delay);
  const auto origin = in.column(&Flight::origin);
  for (std::size_t row = 0; row < in.size(); ++row) {
    if (delay[row] < 0) {
      out.reject(row, "early \"bird\"");
    } else if (!origin[row]) {
      out.drop(row, "nowhere");
    } else {
      Flight flight = in[row];
      flight.delay *= 2;
      flight.late = flight.delay > 15;
      flight.origin->append("!");
      if (!flight.legs.has_value()) flight.legs.emplace();
      flight.legs->push_back({"ZZ", std::nullopt});
      out.answer(row, flight);
    }
  }
}

RUNINK_STEP("Throws", Flight, Flight)
(const Flight::Batch&, Flight::Builder&, Context& context) {
  context.log("a word before");
  throw std::runtime_error("no model for " + std::string(context.step()));
}

RUNINK_STEP("Crashes", Flight, Flight)
(const Flight::Batch&, Flight::Builder&, Context&) { std::abort(); }

RUNINK_STEP("Forgets", Flight, Flight)
(const Flight::Batch& in, Flight::Builder& out, Context&) { out.answer(0, in[0]); }

RUNINK_STEP("Repeats", Flight, Flight)
(const Flight::Batch& in, Flight::Builder& out, Context&) {
  out.answer(0, in[0]);
  out.drop(0, "changed my mind");
}

RUNINK_STEP("Outside", Flight, Flight)
(const Flight::Batch& in, Flight::Builder& out, Context&) { out.reject(in.size(), "who?"); }

RUNINK_STEP("BadText", Flight, Flight)
(const Flight::Batch& in, Flight::Builder& out, Context&) {
  for (std::size_t row = 0; row < in.size(); ++row) {
    Flight flight = in[row];
    flight.origin = "\xFF";
    out.answer(row, flight);
  }
}
)cpp";

struct TestProject {
  os::TempFolder folder;
  CompileStepsOptions options;

  static std::unique_ptr<TestProject> make() {
    auto created = os::TempFolder::create("");
    if (!created.ok()) return nullptr;
    auto project = std::make_unique<TestProject>();
    project->folder = std::move(*created);
    project->write("contracts/flight.contract", kContract);
    project->options.project_root = project->folder.path();
    project->options.sdk_include = RUNINK_STEP_SDK;
    project->options.runi_slice = RUNINK_SLICE_PROGRAM;
    return project;
  }
  void write(const std::string& path, std::string_view text) {
    (void)os::make_directories(os::folder_of(folder.file(path)));
    ASSERT_TRUE(os::write_file_atomic(folder.file(path), text).ok());
  }
  // What the compiler and runi-slice said goes to a file.
  Result<std::vector<StepFile>> compile(std::string* said = nullptr) {
    const os::Fd file(::open(folder.file("said").c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), "said");
    options.diagnostics = file.get();
    auto out = compile_steps(options);
    if (said != nullptr) *said = *os::read_file(folder.file("said"));
    return out;
  }
};

class CompileSteps : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    os::ignore_broken_pipes();
    ::setenv("CXXFLAGS", "-O0 -g0", 1);
    ::unsetenv("CXX");
  }
  void SetUp() override {
    if (std::system("c++ --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no C++ compiler";
    project_ = TestProject::make();
    ASSERT_NE(project_, nullptr);
  }

  StepRun run(const std::string& name, const std::vector<std::vector<Value>>& rows) {
    const auto contract = contract::parse_contract_text(*os::read_file(project_->folder.file("contracts/flight.contract")));
    EXPECT_TRUE(contract.ok());
    plan::Operator op;
    op.name = name;
    op.schema = (*contract)->schema;
    plan::Program program;
    program.name = program.cpp_step = name;
    program.format = "arrow";
    program.library = ".runink/steps/" + name + ".so";
    op.parameters = program;
    StepOptions step;
    step.project_root = project_->folder.path();
    step.runi_slice = RUNINK_SLICE_PROGRAM;
    columnar::BatchBuilder builder(op.schema);
    for (const auto& row : rows) builder.append_row(row);
    std::vector<columnar::Batch> sent;
    if (!rows.empty()) sent.push_back(builder.finish());
    return run_step_process(op, op.schema, step, sent);
  }

  std::unique_ptr<TestProject> project_;
};

std::vector<Value> flight(int64_t delay, Value origin) {
  const Value leg(std::vector<Value>{Value("UA"), Value(int64_t{700})});
  return {Value(delay),
          std::move(origin),
          Value(int64_t{1}),
          Value(columnar::int128{12345}),
          Value(std::vector<Value>{Value("a"), Value("bc")}),
          Value(std::vector<Value>{leg}),
          Value(std::string("0123456789abcdef")),
          Value(false),
          Value()};
}

TEST_F(CompileSteps, FromSourceToAnswers) {
  project_->write("steps/scores.cpp", kSteps);
  std::string said;
  auto built = project_->compile(&said);
  ASSERT_TRUE(built.ok()) << built.status().to_string() << "\n" << said;
  ASSERT_EQ(built->size(), 1u);
  EXPECT_THAT((*built)[0].steps, ElementsAre("Score", "Throws", "Crashes", "Forgets", "Repeats", "Outside", "BadText"));
  EXPECT_EQ(said, "") << "the headers must compile without a warning";
  EXPECT_TRUE(os::exists(project_->folder.file(".runink/steps/include/flight.h")));

  const StepRun scored = run("Score", {flight(10, Value("SFO")), flight(-1, Value("OAK")), flight(3, Value()), flight(4, Value("SJC"))});
  ASSERT_TRUE(scored.status.ok()) << scored.text();
  ASSERT_EQ(scored.rows(), 2);
  const columnar::Batch& batch = scored.answers[0];
  std::vector<Value> wanted = flight(20, Value("SFO!"));
  wanted[5] = Value(std::vector<Value>{Value(std::vector<Value>{Value("UA"), Value(int64_t{700})}),
                                       Value(std::vector<Value>{Value("ZZ"), Value()})});
  wanted[7] = Value(true);
  for (size_t c = 0; c < wanted.size(); ++c) EXPECT_EQ(columnar::value_at(batch.columns[c], 0), wanted[c]) << "column " << c;
  ASSERT_EQ(scored.refusals.size(), 2u);
  EXPECT_EQ(scored.refusals[0].record, 1u);
  EXPECT_EQ(scored.refusals[0].reason, "early \"bird\"");
  EXPECT_EQ(scored.refusals[1].record, 2u);
  EXPECT_TRUE(scored.refusals[1].dropped);
  EXPECT_TRUE(run("Score", {}).status.ok());

  const std::vector<std::vector<Value>> two = {flight(1, Value("SFO")), flight(2, Value("SFO"))};
  EXPECT_THAT(run("Throws", two).text(), AllOf(HasSubstr("exit code 1"), HasSubstr("records 0 to 1"), HasSubstr("no model for Throws"),
                                               HasSubstr("a word before")));
  EXPECT_THAT(run("Crashes", two).text(), AllOf(HasSubstr("SIGABRT"), HasSubstr("step \"Crashes\" crashed in records 0 to 1")));
  EXPECT_THAT(run("Forgets", two).text(), HasSubstr("record 1 (row 1 of its batch) was neither answered, rejected nor dropped"));
  EXPECT_THAT(run("Repeats", two).text(), HasSubstr("was settled twice"));
  EXPECT_THAT(run("Outside", two).text(), HasSubstr("row 2 is not one of the batch, which has 2"));
  EXPECT_THAT(run("BadText", two).text(), HasSubstr("answer 0 of the batch: origin is not UTF-8"));

  // Nothing changed: nothing to do. Anything changed: stale until built.
  built = project_->compile();
  ASSERT_TRUE(built.ok());
  EXPECT_TRUE((*built)[0].was_current);
  EXPECT_EQ((*built)[0].steps.size(), 7u);
  project_->write("steps/more.h", "// a header\n");
  EXPECT_THAT(run("Score", two).text(), HasSubstr("was built before steps/scores.cpp (or a header below steps/) was changed"));

  // Links of steps that are gone go too.
  ASSERT_TRUE(os::remove_file(project_->folder.file("steps/scores.cpp")).ok());
  EXPECT_THAT(run("Score", two).text(), HasSubstr("no longer there"));
  ASSERT_TRUE(project_->compile().ok());
  EXPECT_FALSE(os::exists(project_->folder.file(".runink/steps/Score.so")));
  EXPECT_THAT(run("Score", two).text(), AllOf(HasSubstr("is not built"), HasSubstr("runi compile")));
}

TEST_F(CompileSteps, WhatDoesNotCompile) {
  project_->write("steps/wrong.cpp", "#include <runink/step/step.h>\nint x = nonsense;\n");
  project_->write("steps/empty.cpp", "int nothing_here;\n");
  std::string said;
  const auto built = project_->compile(&said);
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.status().to_string(), "2 of 2 files in steps/ were not built");
  EXPECT_THAT(said, AllOf(HasSubstr("steps/wrong.cpp:2:9: error: "), HasSubstr("holds no steps")));
  EXPECT_FALSE(os::exists(project_->folder.file(".runink/steps/lib/wrong.so")));
}

TEST_F(CompileSteps, AnotherInterfaceVersion) {
  project_->write("steps/old.cpp",
                  "#include <runink/step/abi.h>\n"
                  "extern \"C\" __attribute__((visibility(\"default\"))) const runink_step_library* runink_step_library_of_this_object() {\n"
                  "  static const runink_step_library library = {99, 0, nullptr};\n  return &library;\n}\n");
  std::string said;
  EXPECT_FALSE(project_->compile(&said).ok());
  EXPECT_THAT(said, HasSubstr("was built for version 99 of the step interface, and this runi-slice speaks version 1"));
}

TEST_F(CompileSteps, NoCompiler) {
  project_->write("steps/a.cpp", "");
  ::setenv("CXX", "no-such-compiler -x", 1);
  const auto built = project_->compile();
  ::unsetenv("CXX");
  ASSERT_FALSE(built.ok());
  EXPECT_THAT(built.status().to_string(), HasSubstr("there is no C++ compiler: no-such-compiler -x"));
  EXPECT_THAT(built.status().hint(), HasSubstr("CXX"));
}

TEST_F(CompileSteps, NamesThatMeanNothing) {
  project_->write("steps/scores.cpp", kSteps);
  project_->options.only = {"Scores"};
  const auto built = project_->compile();
  ASSERT_FALSE(built.ok());
  EXPECT_THAT(built.status().hint(), HasSubstr("core"));  // the step Score, or the file scores.cpp
}

TEST_F(CompileSteps, AContractWithErrors) {
  project_->write("contracts/bad.contract", "contract Bad { int33 x; }");
  project_->write("steps/scores.cpp", kSteps);
  const auto built = project_->compile();
  ASSERT_FALSE(built.ok());
  EXPECT_THAT(built.status().to_string(), HasSubstr("contracts/bad.contract:1:"));
}

TEST_F(CompileSteps, NothingToDo) {
  const auto built = project_->compile();
  ASSERT_TRUE(built.ok()) << built.status().to_string();
  EXPECT_TRUE(built->empty());
}

TEST(StepNames, InText) {
  EXPECT_THAT(step_names_in_text("RUNINK_STEP(\"A\", B, C)\n( RUNINK_STEP ( \n \"D-1\" , X\nRUNINK_STEP(E) RUNINK_STEP \"F\" RUNINK_STEP(\"G\n\""),
              ElementsAre("A", "D-1"));
  EXPECT_THAT(step_names_in_text("RUNINK_STEP("), ElementsAre());
}

TEST_F(CompileSteps, KnownNames) {
  project_->write("steps/scores.cpp", kSteps);
  EXPECT_THAT(known_step_names(project_->folder.path()), ElementsAre("BadText", "Crashes", "Forgets", "Outside", "Repeats", "Score", "Throws"));
}

}  // namespace
}  // namespace runink::local
