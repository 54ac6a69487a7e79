#include "data/contract/checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/columnar/builder.h"
#include "data/contract/parse.h"

namespace runink::contract {
namespace {

using columnar::Value;
using testing::ElementsAre;
using testing::HasSubstr;

struct Checked {
  std::shared_ptr<const ContractChecker> checker;
  columnar::Batch batch;
  CheckResult result;
  std::vector<std::string> broken;  // "row rule"
};

Checked run(const std::string& text, const std::vector<std::vector<Value>>& rows) {
  Checked checked;
  auto contract = parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << contract.status().to_string();
  if (!contract.ok()) return checked;
  auto made = ContractChecker::create(*contract);
  EXPECT_TRUE(made.ok()) << made.status().to_string();
  checked.checker = *made;
  columnar::BatchBuilder builder((*contract)->schema);
  for (const auto& row : rows) builder.append_row(row);
  checked.batch = builder.finish();
  CheckScratch scratch;
  const Status status = checked.checker->check(checked.batch, {}, scratch, checked.result);
  EXPECT_TRUE(status.ok()) << status.to_string();
  for (const auto& failure : checked.result.failures) {
    checked.broken.push_back(std::to_string(failure.row) + " " +
                             (*contract)->rules[static_cast<size_t>(failure.rule)].name);
  }
  // The same scratch and result again give the same.
  CheckResult again;
  EXPECT_TRUE(checked.checker->check(checked.batch, {}, scratch, again).ok());
  EXPECT_EQ(again.failures, checked.result.failures);
  EXPECT_EQ(again.failed, checked.result.failed);
  return checked;
}

TEST(Checker, NamesEveryRuleThatARowBreaks) {
  const auto checked =
      run("contract C { int32 delay [[required, range(-10, 10)]]; string origin [[pattern(\"[A-Z]{3}\"), length(3)]];"
          " string to; enum(x, y) e; check differ: origin != to; check small: delay * delay < 50; }",
          {{5, "ABC", "XYZ", 0},
           {99, "abcd", "abcd", Value()},
           {Value(), "ABC", "ABC", 1},
           {-10, Value(), "ABC", 0},
           {8, "ABC", "Q", 1}});
  EXPECT_THAT(checked.result.failed, ElementsAre(0, 1, 1, 1, 1));
  EXPECT_EQ(checked.result.failed_rows, 4);
  EXPECT_THAT(checked.broken,
              ElementsAre("1 delay.range", "1 origin.length", "1 origin.pattern", "1 check differ", "1 check small",
                          "2 delay.required", "2 check differ", "3 check small", "4 check small"));
}

TEST(Checker, AGoodBatchHasNoFailures) {
  const auto checked =
      run("contract C { int64 a [[min(0)]]; check c: a >= 0; }", {{int64_t{1}}, {int64_t{2}}, {Value()}});
  EXPECT_THAT(checked.result.failed, ElementsAre(0, 0, 0));
  EXPECT_TRUE(checked.result.failures.empty());
}

TEST(Checker, AnExpressionErrorBreaksTheCheck) {
  const auto checked =
      run("contract C { int64 a; check c: a * 1000000000000 > 0; }", {{int64_t{1}}, {int64_t{1} << 62}, {int64_t{0}}});
  EXPECT_THAT(checked.broken, ElementsAre("1 check c", "2 check c"));
  ASSERT_EQ(checked.result.errors.size(), 1u);
  EXPECT_THAT(checked.checker->message(checked.batch, checked.result.failures[0], {}, &checked.result),
              testing::AllOf(HasSubstr("check c could not be computed: "), HasSubstr("overflow")));
  EXPECT_THAT(checked.checker->message(checked.batch, checked.result.failures[1], {}, &checked.result),
              HasSubstr("a is 0"))
      << "this one is false, and says of what";
}

TEST(Checker, TheReasonOfEachRowAndCheckIsItsOwn) {
  const auto checked =
      run("contract C { int64 a; string s [[pii]]; check x: 10 / a > 1; check y: div(10, a - 1) > 0;"
          " check z: cast(s as int32) > 0; }",
          {{int64_t{0}, "1"}, {int64_t{1}, "no"}, {int64_t{2}, "2"}, {int64_t{0}, "3"}});
  EXPECT_THAT(checked.broken,
              ElementsAre("0 check x", "0 check y", "1 check y", "1 check z", "3 check x", "3 check y"));
  const auto message = [&](size_t i) {
    return checked.checker->message(checked.batch, checked.result.failures[i], {}, &checked.result);
  };
  EXPECT_EQ(message(0), "check x could not be computed: 10 / a: division by zero");
  EXPECT_THAT(message(1), HasSubstr("check y must hold"));
  EXPECT_THAT(message(2), HasSubstr("check y could not be computed: div(10, a - 1): division by zero"));
  EXPECT_EQ(message(3), "check z could not be computed") << "s is protected";
  EXPECT_EQ(message(4), message(0));
}

TEST(Checker, LooksIntoListsOfStructs) {
  const std::string text =
      "contract C { list<struct { string who [[required, pattern(\"[a-z]+\")]]; struct { int32 age [[max(150)]]; } "
      "more;"
      " list<int32> n [[length(1, 2)]]; }> people [[length(*, 2)]]; }";
  const auto person = [](Value who, Value age, std::vector<Value> n) {
    return Value(std::vector<Value>{who, Value(std::vector<Value>{age}), Value(n)});
  };
  const auto list = [](std::vector<Value> people) { return Value(std::move(people)); };
  const auto checked =
      run(text, {{list({person("ann", 30, {1})})},
                 {list({person("ann", 30, {1}), person("Bob", 200, {})})},
                 {list({})},
                 {Value()},
                 {list({person(Value(), 1, {1}), person("x", Value(), {1, 2}), person("y", 1, {1, 2, 3})})}});
  EXPECT_THAT(checked.broken, ElementsAre("1 people.who.pattern", "1 people.more.age.max", "1 people.n.length",
                                          "4 people.length", "4 people.who.required", "4 people.n.length"));
}

TEST(Checker, MessagesTellTheValueAndMaskIt) {
  const auto checked =
      run("contract C { int32 delay [[range(-10, 10)]]; string pass [[pii, access(\"hr\"), mask(\"last4\"), "
          "pattern(\"[A-Z]\\d{8}\")]];"
          " string note [[length(1)]]; check c: pass != note; }",
          {{
               99,
               "K12345",
               "\x1b[31mred",
           },
           {1, "x", "x"}});
  const Reader nobody, hr{{"hr"}, false}, reveal{{}, true};
  ASSERT_EQ(checked.broken.size(), 5u);
  const auto message = [&](size_t i, const Reader& reader) {
    return checked.checker->message(checked.batch, checked.result.failures[i], reader);
  };
  EXPECT_EQ(message(0, nobody), "delay must lie between -10 and 10; it is 99");
  EXPECT_THAT(message(1, nobody), testing::AllOf(HasSubstr("2345"), testing::Not(HasSubstr("K1"))));
  EXPECT_THAT(message(1, hr), HasSubstr("\"K12345\""));
  EXPECT_THAT(message(1, reveal), HasSubstr("\"K12345\""));
  EXPECT_THAT(message(2, nobody), testing::Not(HasSubstr("\x1b")));
  EXPECT_EQ(checked.broken[4], "1 check c");
  EXPECT_THAT(message(4, nobody),
              testing::AllOf(HasSubstr("pass != note"), HasSubstr("pass is \"*"), HasSubstr("note is \"x\"")));
}

TEST(Checker, RefusesABatchThatDoesNotFit) {
  const auto contract = parse_contract_text("contract C { int32 a; int32 b; }");
  const auto checker = ContractChecker::create(*contract);
  CheckScratch scratch;
  CheckResult result;
  columnar::Batch batch = columnar::make_batch({{"a", columnar::TypeId::kInt32}}, {{1}});
  EXPECT_EQ((*checker)->check(batch, {}, scratch, result).code(), Code::kInternal);
}

TEST(Checker, OneScratchServesSeveralCheckers) {
  const auto a = run("contract A { int32 x [[min(1)]]; check c: x < 5; }", {{0}, {9}});
  const auto b = run("contract B { int32 x; check c: x > 5; check d: x > 6; }", {{6}});
  CheckScratch scratch;
  CheckResult result;
  ASSERT_TRUE(a.checker->check(a.batch, {}, scratch, result).ok());
  EXPECT_EQ(result.failures, a.result.failures);
  ASSERT_TRUE(b.checker->check(b.batch, {}, scratch, result).ok());
  EXPECT_EQ(result.failures, b.result.failures);
}

}  // namespace
}  // namespace runink::contract
