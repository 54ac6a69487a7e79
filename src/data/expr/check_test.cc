// The checker's other answers: places in a larger file, scopes of several inputs, joins, taint, the registry, bounds.
#include "data/expr/check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/expr/aggregate.h"
#include "data/expr/mask.h"
#include "data/expr/part_masks.h"
#include "data/expr/registry.h"
#include "data/expr/test_records.h"

namespace runink::expr {
namespace {

using columnar::DataType;
using columnar::Field;
using columnar::Schema;
using columnar::TypeId;

columnar::SchemaPtr make_schema(std::vector<Field> fields) { return std::make_shared<const Schema>(std::move(fields)); }

TypedExpr compile(const std::string& text, const Scope& scope, Diagnostics& diagnostics,
                  const CheckOptions& options = {}, const ParseOptions& parse_options = {}) {
  const auto source = source_of(text);
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics, parse_options);
  return tree ? check(tree, source, scope, diagnostics, options) : TypedExpr();
}

TEST(Parse, PointsIntoTheLargerFile) {
  const auto source =
      std::make_shared<SourceText>("features/clean.dsl", "Feature: x\n  And field \"late\" is set to delai > 15\n");
  const size_t begin = source->text().find("delai");
  Diagnostics diagnostics;
  const ExprPtr tree = parse(source, {begin, 10}, diagnostics);
  ASSERT_NE(tree, nullptr);
  EXPECT_FALSE(check(tree, source, test_scope(), diagnostics).valid());
  ASSERT_EQ(diagnostics.list().size(), 1u);
  EXPECT_EQ(diagnostics.list()[0].location.to_string(), "features/clean.dsl:2:30");
  EXPECT_NE(diagnostics.render().find("And field \"late\" is set to delai > 15"), std::string::npos);
}

TEST(Parse, PrefixStopsWhereTheContractGoesOn) {
  const std::string text =
      "check a: origin != destination; // comment\nquality f: max(date) > now() - 2d [[severity(\"warn\")]];";
  const auto source = source_of(text);
  ParseOptions options;
  options.comments = true;
  Diagnostics diagnostics;
  size_t end = 0;
  ExprPtr tree = parse_prefix(source, {9, text.size() - 9}, diagnostics, &end, options);
  ASSERT_NE(tree, nullptr);
  EXPECT_EQ(to_text(*tree), "origin != destination");
  EXPECT_EQ(text[end], ';');
  const size_t second = text.find("max");
  tree = parse_prefix(source, {second, text.size() - second}, diagnostics, &end, options);
  ASSERT_NE(tree, nullptr);
  EXPECT_EQ(to_text(*tree), "max(date) > now() - 2d");
  EXPECT_EQ(text.substr(end, 2), "[[");
  EXPECT_TRUE(diagnostics.empty());
}

TEST(Parse, PrefixReportsWhatIsNoContractEither) {
  const std::string text = "origin != destination and and x;";
  Diagnostics diagnostics;
  size_t end = 0;
  EXPECT_EQ(parse_prefix(source_of(text), {0, text.size()}, diagnostics, &end), nullptr);
  EXPECT_EQ(diagnostics.error_count(), 1u);
  const std::string like = "origin like \"S%\";";
  Diagnostics more;
  EXPECT_EQ(parse_prefix(source_of(like), {0, like.size()}, more, &end), nullptr);
  EXPECT_NE(more.render().find("matches"), std::string::npos);
}

TEST(Parse, CommentsOnlyWhereTheyBelong) {
  ParseOptions options;
  options.comments = true;
  Diagnostics diagnostics;
  EXPECT_TRUE(compile("n /* of */ + 1 // one\n + 2", test_scope(), diagnostics, {}, options).valid())
      << diagnostics.render();
  EXPECT_FALSE(compile("n /* of + 1", test_scope(), diagnostics, {}, options).valid());
  EXPECT_NE(diagnostics.render().find("not closed"), std::string::npos);
}

TEST(Parse, SingleEqualsInJoins) {
  ParseOptions options;
  options.single_equals = true;
  Diagnostics diagnostics;
  const TypedExpr typed = compile("origin = destination", test_scope(), diagnostics, {}, options);
  ASSERT_TRUE(typed.valid());
  EXPECT_EQ(typed.text(), "origin == destination");
}

TEST(Parse, TableCellsKeepTheirPlaces) {
  const std::string text = "matches(code, \"a\\|b\") and nosuch";
  ParseOptions options;
  options.table_cell = true;
  Diagnostics diagnostics;
  EXPECT_FALSE(compile(text, test_scope(), diagnostics, {}, options).valid());
  ASSERT_EQ(diagnostics.list().size(), 1u);
  EXPECT_EQ(diagnostics.list()[0].location.column, text.find("nosuch") + 1);
}

TEST(Parse, DepthAndSizeAreBounded) {
  const auto fails = [](const std::string& text, const char* with) {
    Diagnostics diagnostics;
    EXPECT_EQ(parse(source_of(text), {0, text.size()}, diagnostics), nullptr);
    EXPECT_NE(diagnostics.render().find(with), std::string::npos) << diagnostics.render().substr(0, 300);
  };
  fails(std::string(50000, '('), "nested more than 200 deep");
  fails(std::string(60000, '-') + "1", "nested more than 200 deep");
  std::string nots, chain = "1", calls, cases;
  for (int i = 0; i < 10000; ++i) nots += "not ";
  for (int i = 0; i < 10000; ++i) chain += "+1";
  for (int i = 0; i < 5000; ++i) calls += "abs(";
  for (int i = 0; i < 3000; ++i) cases += "case when ";
  fails(nots + "late", "nested more than 200 deep");
  fails(chain, "more than 1000 operations on top of each other");
  fails(calls + "1", "nested more than 200 deep");
  fails(cases + "1", "nested more than 200 deep");
  fails(std::string(70000, ' ') + "1", "at most 65536 bytes");
  // Chains of `and` and members of `in` are one node each.
  std::string many = "n in (0", ands = "late";
  for (int i = 0; i < 2000; ++i) many += ", " + std::to_string(i);
  for (int i = 0; i < 2000; ++i) ands += " and late";
  Diagnostics diagnostics;
  EXPECT_TRUE(compile(many + ")", test_scope(), diagnostics).valid());
  EXPECT_TRUE(compile(ands, test_scope(), diagnostics).valid());
  // Sums and products are chains of their own, which nobody would call nested.
  std::string sum = "n";
  for (int i = 0; i < 990; ++i) sum += i % 3 == 0 ? " - n" : " + n * 1";
  const TypedExpr typed = compile(sum, test_scope(), diagnostics);
  EXPECT_TRUE(typed.valid()) << diagnostics.render().substr(0, 300);
  EXPECT_EQ(typed.text(), sum);
}

TEST(Parse, Types) {
  for (const char* text : {"int32", "decimal(12,2)", "list<string>", "enum(a, b)",
                           "enum(economy, business, first, \"N/A\")", "list<list<decimal(3,1)>>"}) {
    const auto type = parse_type(text);
    ASSERT_TRUE(type.ok()) << text << type.status().to_string();
    EXPECT_EQ(type->to_string(), text);
  }
  EXPECT_EQ(parse_type("integr").status().hint(),
            "types are bool, int8 … int64, uint8 … uint64, float32, float64, decimal(p,s), string, bytes, "
            "date, time, timestamp, duration, uuid, json, list<…>, enum(…)");
  EXPECT_EQ(parse_type("varchar").status().hint(), "write string");
  EXPECT_EQ(parse_type("sting").status().hint(), "did you mean `string`?");
  EXPECT_FALSE(parse_type("int32 x").ok());
  EXPECT_FALSE(parse_type("enum(a, a)").ok());
  EXPECT_FALSE(parse_type("list<int32").ok());
  EXPECT_FALSE(parse_type("").ok());
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "list<";
  EXPECT_FALSE(parse_type(deep).ok());
}

Scope join_scope() {
  Scope scope(make_schema({{"origin", TypeId::kString},
                           {"delay", TypeId::kInt32},
                           {"day", TypeId::kDate},
                           {"airports.name", TypeId::kInt32}}));
  scope.add("airports", make_schema({{"iata", TypeId::kString},
                                     {"name", TypeId::kString},
                                     {"delay", TypeId::kInt64},
                                     {"since", TypeId::kTimestamp}}));
  scope.add("carriers", make_schema({{"code", TypeId::kString}, {"name", TypeId::kString}}));
  return scope;
}

TEST(Check, NamesInSeveralInputs) {
  const Scope scope = join_scope();
  const auto column = [&](const std::string& text) {
    Diagnostics diagnostics;
    const TypedExpr typed = compile(text, scope, diagnostics);
    return typed.valid() ? typed.column_if_plain() : -2;
  };
  EXPECT_EQ(column("origin"), 0);
  EXPECT_EQ(column("delay"), 1) << "the records themselves come first";
  EXPECT_EQ(column("airports.delay"), 6);
  EXPECT_EQ(column("iata"), 4);
  EXPECT_EQ(column("airports.name"), 3) << "a whole name of the first input";
  EXPECT_EQ(column("carriers.name"), 9);
  EXPECT_EQ(column("code"), 8);
  Diagnostics diagnostics;
  EXPECT_FALSE(compile("name", scope, diagnostics).valid());
  EXPECT_EQ(diagnostics.list()[0].code, "expr.ambiguous_field");
  EXPECT_EQ(diagnostics.list()[0].help[0], "write airports.name or carriers.name");
  Diagnostics unknown;
  EXPECT_FALSE(compile("airports.iatta", scope, unknown).valid());
  EXPECT_EQ(unknown.list()[0].help[0], "did you mean `airports.iata`?");
}

TEST(Check, JoinConditionsFallIntoKeysAndARest) {
  const Scope scope = join_scope();
  Diagnostics diagnostics;
  ParseOptions options;
  options.single_equals = true;
  const TypedExpr typed = compile("origin = airports.iata and airports.since = day and delay > airports.delay", scope,
                                  diagnostics, {}, options);
  ASSERT_TRUE(typed.valid()) << diagnostics.render();
  const JoinCondition join = split_join_condition(typed, 4);
  ASSERT_EQ(join.pairs.size(), 2u);
  EXPECT_EQ(join.pairs[0].left.column_if_plain(), 0);
  EXPECT_EQ(join.pairs[0].right.column_if_plain(), 0) << "counted in the right side's own columns";
  EXPECT_EQ(join.pairs[1].left.type(), DataType(TypeId::kTimestamp)) << "the date is widened";
  EXPECT_EQ(join.pairs[1].right.type(), DataType(TypeId::kTimestamp));
  EXPECT_EQ(join.pairs[1].left.columns(), std::vector<int>{2});
  EXPECT_EQ(join.pairs[1].right.columns(), std::vector<int>{3});
  ASSERT_TRUE(join.residual.valid());
  EXPECT_EQ(join.residual.text(), "delay > airports.delay");
  EXPECT_EQ(join.residual.columns(), (std::vector<int>{1, 6}));

  const TypedExpr one = compile("delay == airports.delay", scope, diagnostics);
  const JoinCondition widened = split_join_condition(one, 4);
  ASSERT_EQ(widened.pairs.size(), 1u);
  EXPECT_EQ(widened.pairs[0].left.type(), DataType(TypeId::kInt64));
  EXPECT_FALSE(widened.residual.valid());

  const TypedExpr computed =
      compile("lower(iata) == lower(origin) and (delay > 1 or iata == origin) and delay < 9", scope, diagnostics);
  const JoinCondition rest = split_join_condition(computed, 4);
  ASSERT_EQ(rest.pairs.size(), 1u);
  EXPECT_EQ(rest.pairs[0].left.text(), "lower(origin)");
  EXPECT_EQ(rest.residual.text(), "(delay > 1 or iata == origin) and delay < 9");

  EXPECT_TRUE(split_join_condition(compile("delay > airports.delay", scope, diagnostics), 4).pairs.empty());
}

TEST(Check, ShiftedAndPlainReferencesEvaluate) {
  const auto& records = test_records();
  Diagnostics diagnostics;
  const TypedExpr typed = compile("n + delay", test_scope(), diagnostics);
  const TypedExpr shifted = shift_columns(typed, 3);
  EXPECT_EQ(shifted.columns(), (std::vector<int>{3, 6}));
  std::vector<columnar::Column> columns(3, columnar::make_null_column(TypeId::kInt32, records.rows));
  columns.insert(columns.end(), records.columns.begin(), records.columns.end());
  Evaluator evaluator(shifted);
  std::vector<RowError> errors;
  const auto result = evaluator.evaluate(columns, records.rows, test_context(), errors);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(show(*result, 0), "17");
  const TypedExpr reference = column_reference(*records.schema, records.schema->index_of("odd name"));
  EXPECT_EQ(reference.text(), "`odd name`");
  EXPECT_TRUE(reference.nullable());
  const TypedExpr five = constant(TypeId::kInt64, columnar::Value(int64_t{5}));
  EXPECT_EQ(std::get<int64_t>(evaluate_constant(five, test_context())->data), 5);
}

TEST(Check, FiltersMustBeBool) {
  CheckOptions options;
  options.must_be_bool_for = "a filter";
  Diagnostics diagnostics;
  EXPECT_TRUE(compile("late", test_scope(), diagnostics, options).valid());
  EXPECT_TRUE(compile("null", test_scope(), diagnostics, options).valid());
  EXPECT_FALSE(compile("delay", test_scope(), diagnostics, options).valid());
  EXPECT_EQ(diagnostics.list()[0].message, "a filter must be true or false, and this is an int32");
  CheckOptions no_now;
  no_now.allow_now = false;
  Diagnostics more;
  EXPECT_FALSE(compile("date > now()", test_scope(), more, no_now).valid());
}

TEST(Check, FilterKeepsOnlyTrue) {
  Diagnostics diagnostics;
  Evaluator evaluator(compile("10 / n > 1 or late", test_scope(), diagnostics));
  std::vector<RowError> errors;
  std::vector<uint8_t> keep(3, 9);
  ASSERT_TRUE(evaluate_filter(evaluator, test_records(), test_context(), keep.data(), errors).ok());
  EXPECT_EQ(keep, (std::vector<uint8_t>{1, 0, 0}));
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].row, 1);
}

TEST(Check, WhatAnExpressionUses) {
  Diagnostics diagnostics;
  const TypedExpr typed = compile("if(late, tokenise(origin), string(now()))", test_scope(), diagnostics);
  ASSERT_TRUE(typed.valid()) << diagnostics.render();
  EXPECT_TRUE(typed.uses_now());
  EXPECT_TRUE(typed.needs_key());
  EXPECT_FALSE(typed.is_constant());
  EXPECT_TRUE(compile("1 + 2 * 3", test_scope(), diagnostics).is_constant());
  Evaluator evaluator(typed);
  std::vector<RowError> errors;
  EvalContext without_key;
  const auto result = evaluator.evaluate(test_records(), without_key, errors);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), Code::kFailedPrecondition);
}

// mask(origin + repeat("x", 200), "first9") would show all of a short value.
TEST(Check, AMaskThatShowsAPartProtectsOnlyTheFieldItself) {
  const auto& schema = *test_records().schema;
  const int origin = schema.index_of("origin"), city = schema.index_of("billing.city"), date = schema.index_of("date");
  const auto typed = [&](const std::string& text) {
    Diagnostics diagnostics;
    TypedExpr out = compile(text, test_scope(), diagnostics);
    EXPECT_TRUE(out.valid()) << text << diagnostics.render();
    return out;
  };
  const auto taint_of = [&](const std::string& text) { return taint(typed(text), {origin, city, date}); };
  const auto nothing = std::vector<int>();
  EXPECT_EQ(taint_of("mask(origin, \"first2\")"), nothing);
  EXPECT_EQ(taint_of("upper(mask(origin, \"last2\")) + \"x\""), nothing);
  EXPECT_EQ(taint_of("mask(date, \"first4\")"), nothing) << "its text is the field itself";
  EXPECT_EQ(taint_of("mask(cast(date as string), \"first4\")"), nothing);
  EXPECT_EQ(taint_of("mask(origin + repeat(\"x\", 200), \"first9\")"), std::vector<int>{origin});
  EXPECT_EQ(taint_of("mask(substring(origin, 2, 2) + \"xxxx\", \"first2\")"), std::vector<int>{origin});
  EXPECT_EQ(taint_of("mask(repeat(\"x\", length(origin)), \"length\")"), std::vector<int>{origin});
  EXPECT_EQ(taint_of("mask(if(delay > 3, origin, billing.city), \"last4\")"), (std::vector<int>{origin, city}));
  EXPECT_EQ(taint_of("mask(origin + \"@\" + billing.city, \"email\")"), (std::vector<int>{origin, city}));
  EXPECT_EQ(taint_of("mask(origin + repeat(\"x\", 200), \"all\")"), nothing);
  EXPECT_EQ(taint_of("mask(mask(origin + \"xx\", \"first9\"))"), nothing);
  EXPECT_EQ(part_masks(typed("mask(origin, \"first2\") + mask(origin + billing.city, \"last2\")")).fields, std::vector<int>{origin});
  EXPECT_EQ(part_masks(typed("mask(origin, \"first2\") + mask(origin + billing.city, \"last2\")")).computed,
            (std::vector<int>{origin, city}));
  EXPECT_EQ(part_masks(typed("mask(origin) + hash(mask(origin + code, \"first2\"))")).computed, nothing);
}

TEST(Check, TaintGoesThroughEverythingButProtection) {
  const auto& schema = *test_records().schema;
  const int origin = schema.index_of("origin"), city = schema.index_of("billing.city");
  const auto of = [&](const std::string& text) {
    Diagnostics diagnostics;
    const TypedExpr typed = compile(text, test_scope(), diagnostics);
    EXPECT_TRUE(typed.valid()) << text << diagnostics.render();
    return taint(typed, {origin, city});
  };
  EXPECT_EQ(of("origin"), std::vector<int>{origin});
  EXPECT_EQ(of("lower(origin) + billing.city"), (std::vector<int>{origin, city}));
  EXPECT_EQ(of("length(origin)"), std::vector<int>{origin});
  EXPECT_EQ(of("origin is null"), std::vector<int>{origin});
  EXPECT_EQ(of("if(origin == \"x\", 1, 2)"), std::vector<int>{origin});
  EXPECT_EQ(of("mask(origin)"), std::vector<int>());
  EXPECT_EQ(of("mask(lower(origin)) + code"), std::vector<int>());
  EXPECT_EQ(of("hash(origin) + tokenise(billing.city)"), std::vector<int>());
  EXPECT_EQ(of("hash(origin) + billing.city"), std::vector<int>{city});
  EXPECT_EQ(of("sha256(origin)"), std::vector<int>{origin}) << "a plain digest can be guessed";
  EXPECT_EQ(of("delay + 1"), std::vector<int>());
  EXPECT_EQ(of("origin in (\"a\", \"b\")"), std::vector<int>{origin});
  EXPECT_EQ(of("matches(origin, \"[A-Z]+\")"), std::vector<int>{origin});
}

TEST(Registry, EveryFunctionIsDescribed) {
  ASSERT_GT(functions().size(), 90u);
  for (const auto& f : functions()) {
    EXPECT_FALSE(f.signatures.empty()) << f.name;
    EXPECT_FALSE(f.help.empty()) << f.name;
    EXPECT_NE(f.example.find(f.name), std::string::npos) << f.name;
    EXPECT_EQ(find_function(f.name), &f);
    for (const auto& signature : f.signatures) EXPECT_TRUE(signature.starts_with(f.name + "(")) << signature;
    Diagnostics diagnostics;
    EXPECT_NE(parse(source_of(f.example), {0, f.example.size()}, diagnostics), nullptr)
        << f.example << diagnostics.render();
  }
  EXPECT_EQ(find_function("nosuch"), nullptr);
  EXPECT_EQ(function_names().size(), functions().size());
}

TEST(Registry, TheGuideListsThem) {
  const std::string path = "../../../docs/guide/expressions.md";
  std::ifstream in(path);
  ASSERT_TRUE(in.good()) << path;
  std::stringstream whole;
  whole << in.rdbuf();
  const std::string text = whole.str();
  const size_t begin = text.find('\n', text.find("<!-- functions: begin")) + 1;
  const size_t end = text.find("<!-- functions: end -->");
  ASSERT_NE(end, std::string::npos);
  if (std::getenv("RUNINK_REWRITE") != nullptr) {
    std::ofstream(path) << text.substr(0, begin) << functions_as_markdown() << "\n" << text.substr(end);
    return;
  }
  EXPECT_EQ(text.substr(begin, end - begin), functions_as_markdown() + "\n") << "run with RUNINK_REWRITE=1";
}

TEST(Mask, Methods) {
  const auto masked = [](const char* method, const char* value) {
    const auto parsed = MaskMethod::parse(method);
    EXPECT_TRUE(parsed.ok()) << method;
    return parsed.ok() ? parsed->apply(value) : "";
  };
  EXPECT_EQ(masked("all", "X1234567"), "****");
  EXPECT_EQ(masked("last4", "X1234567"), "****4567");
  EXPECT_EQ(masked("last4", "4567"), "****");
  EXPECT_EQ(masked("first1", "Zürich"), "Z*****");
  EXPECT_EQ(masked("last2", "Zürich"), "****ch");
  EXPECT_EQ(masked("length", "漢字"), "**");
  EXPECT_EQ(masked("email", "jane@example.org"), "j***@example.org");
  EXPECT_EQ(masked("email", "@example.org"), "****");
  for (const char* wrong : {"", "last", "last0", "last65", "last999", "lastx", "middle"})
    EXPECT_FALSE(MaskMethod::parse(wrong).ok()) << wrong;
}

TEST(Mask, KeyedForms) {
  EXPECT_EQ(keyed_hash("key", "value").size(), 64u);
  EXPECT_NE(keyed_hash("key", "value"), keyed_hash("other", "value"));
  EXPECT_EQ(keyed_token("key", "value"), keyed_token("key", "value"));
  EXPECT_NE(keyed_token("key", "value"), keyed_token("key", "valuf"));
  EXPECT_EQ(keyed_token("key", "value").size(), 30u);
  EXPECT_TRUE(keyed_token("key", "value").starts_with("tok_"));
}

}  // namespace
}  // namespace runink::expr
