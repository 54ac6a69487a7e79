// Groups that do not fit in memory come to the same as those that do, and to what a map of vectors says.
#include "data/engine/group_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "data/columnar/builder.h"
#include "data/columnar/value.h"
#include "data/expr/check.h"
#include "platform/os/temp.h"

namespace runink::engine {
namespace {

using columnar::TypeId;
using columnar::Value;

const SchemaPtr& rows_schema() {
  static const SchemaPtr s = std::make_shared<columnar::Schema>(std::vector<columnar::Field>{
      {"key", TypeId::kString, true, "", ""}, {"number", TypeId::kInt64, true, "", ""}, {"text", TypeId::kString, true, "", ""}});
  return s;
}

expr::ExprPtr parse(const std::string& text, SourceTextPtr* source, Diagnostics& diagnostics) {
  *source = std::make_shared<const SourceText>("test", text);
  return expr::parse(*source, {0, text.size()}, diagnostics);
}

plan::Group group_of(bool keys, const std::vector<std::string>& aggregates) {
  plan::Group out;
  Diagnostics diagnostics;
  SourceTextPtr source;
  std::vector<expr::GroupKey> group_keys;
  if (keys) {
    const auto tree = parse("key", &source, diagnostics);
    out.keys.push_back({"key", expr::check(tree, source, expr::Scope(rows_schema()), diagnostics)});
    group_keys.push_back({"key", TypeId::kString, true});
  }
  for (const auto& text : aggregates) {
    const auto tree = parse(text, &source, diagnostics);
    const auto checked = expr::check_aggregate(tree, source, expr::Scope(rows_schema()), group_keys, diagnostics);
    EXPECT_EQ(checked.aggregates.size(), 1u) << diagnostics.render();
    out.aggregates.push_back(checked.aggregates.at(0));
  }
  return out;
}

struct Row {
  std::string key;
  std::optional<int64_t> number;
  std::optional<std::string> text;
};

// `skew`: the part of the rows that belong to one key.
std::vector<Row> random_rows(size_t count, size_t keys, double skew, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Row> rows(count);
  for (auto& row : rows) {
    const bool heavy = static_cast<double>(random() % 1000) < skew * 1000;
    row.key = heavy ? "heavy" : fmt::format("key {}", random() % keys);
    if (random() % 10 != 0) row.number = static_cast<int64_t>(random() % 5000) - 2500;
    if (random() % 7 != 0) row.text = std::string(random() % 20, static_cast<char>('a' + random() % 26));
  }
  return rows;
}

GroupInput input_of(const std::vector<Row>& rows, size_t first, size_t count, const plan::Group& group) {
  columnar::ColumnBuilder key(TypeId::kString), number(TypeId::kInt64), text(TypeId::kString);
  GroupInput in;
  for (size_t i = first; i < first + count; ++i) {
    key.append_text(rows[i].key);
    rows[i].number ? number.append_int64(*rows[i].number) : number.append_null();
    rows[i].text ? text.append_text(*rows[i].text) : text.append_null();
    in.ordinals.push_back(i);
  }
  in.rows = static_cast<int64_t>(count);
  if (!group.keys.empty()) in.keys.push_back(key.finish());
  const columnar::Column numbers = number.finish(), texts = text.finish();
  for (const auto& a : group.aggregates) {
    if (!a.argument.valid()) {
      in.arguments.emplace_back();
    } else {
      in.arguments.push_back(a.argument.type().id() == TypeId::kInt64 ? numbers : texts);
    }
  }
  return in;
}

// One group's line: key, number of rows, ordinal of the first, then results as text.
using Lines = std::map<std::string, std::string>;

std::string quantile(std::vector<double> values, double fraction) {
  if (values.empty()) return "null";
  std::sort(values.begin(), values.end());
  const double place = fraction * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(place);
  double result = values[low];
  const double part = place - static_cast<double>(low);
  if (part > 0) result += (values[low + 1] - result) * part;
  return fmt::format("{}", result);
}

Lines expected(const std::vector<Row>& rows, bool keys, bool lists) {
  struct Group {
    size_t rows = 0, first = SIZE_MAX;
    std::vector<double> numbers;
    std::set<std::string> texts;
    int64_t sum = 0;
    std::string list;
  };
  std::map<std::string, Group> groups;
  for (size_t i = 0; i < rows.size(); ++i) {
    Group& g = groups[keys ? rows[i].key : ""];
    ++g.rows;
    g.first = std::min(g.first, i);
    if (rows[i].number) {
      g.numbers.push_back(static_cast<double>(*rows[i].number));
      g.sum += *rows[i].number;
    }
    if (rows[i].text) {
      g.texts.insert(*rows[i].text);
      g.list += *rows[i].text + ",";
    }
  }
  Lines out;
  for (const auto& [key, g] : groups) {
    out[key] = fmt::format("{} {} {} {} {} {}", g.rows, g.first, quantile(g.numbers, 0.9), g.texts.size(),
                           g.numbers.empty() ? "null" : fmt::format("{}", g.sum), quantile(g.numbers, 0.5));
    if (lists) out[key] += " " + g.list;
  }
  return out;
}

std::string shown(const columnar::Column& column, int64_t row) {
  if (column.is_null(row)) return "null";
  switch (column.type.id()) {
    case TypeId::kFloat64: return fmt::format("{}", column.data<double>()[row]);
    case TypeId::kInt64: return fmt::format("{}", column.data<int64_t>()[row]);
    case TypeId::kUInt64: return fmt::format("{}", column.data<uint64_t>()[row]);
    default: break;
  }
  std::string out;
  for (int32_t i = column.offset_data()[row]; i < column.offset_data()[row + 1]; ++i) out += std::string(column.children[0].text(i)) + ",";
  return out;
}

struct Outcome {
  Lines lines;
  uint64_t spilled = 0;
  Status status;
};

Outcome run(const std::vector<Row>& rows, const plan::Group& group, size_t tables, uint64_t memory, bool lists) {
  Outcome outcome;
  auto folder = os::TempFolder::create("");
  EXPECT_TRUE(folder.ok());
  const GroupShape shape(group, folder->path(), nullptr);
  std::vector<std::unique_ptr<GroupTable>> all;
  for (size_t t = 0; t < tables; ++t) all.push_back(std::make_unique<GroupTable>(shape, memory / tables, 0));
  std::mt19937_64 random(5);
  const auto work = [&]() -> Status {
    for (size_t at = 0; at < rows.size();) {
      const size_t count = std::min<size_t>(1 + random() % 900, rows.size() - at);
      RUNINK_RETURN_IF_ERROR(all[random() % tables]->add(input_of(rows, at, count, group)));
      at += count;
    }
    all[0]->set_memory(memory);
    for (size_t t = 1; t < tables; ++t) RUNINK_RETURN_IF_ERROR(all[0]->merge(*all[t]));
    RUNINK_RETURN_IF_ERROR(all[0]->finish([&](Batch b) -> Status {
      const size_t results = group.keys.size();
      const auto* ordinals = ordinals_of(b);
      for (int64_t r = 0; r < b.rows; ++r) {
        const std::string key = group.keys.empty() ? "" : std::string(b.columns[0].text(r));
        std::string line = fmt::format("{} {}", shown(b.columns[b.columns.size() - 3], r), ordinals[r]);
        for (size_t a = 0; a < group.aggregates.size(); ++a) line += " " + shown(b.columns[results + a], r);
        const auto& error = b.columns[b.columns.size() - 2];
        if (error.is_valid(r)) line += fmt::format(" ! {}", error.text(r));
        EXPECT_TRUE(outcome.lines.emplace(key, line).second) << "the group " << key << " came twice";
      }
      return {};
    }));
    outcome.spilled = all[0]->spilled_bytes();
    return {};
  };
  outcome.status = work();
  return outcome;
}

struct Input {
  const char* what;
  size_t rows, keys;
  double skew;
};

class Groups : public testing::TestWithParam<Input> {};

TEST_P(Groups, AreTheSameWhateverTheMemory) {
  const auto rows = random_rows(GetParam().rows, GetParam().keys, GetParam().skew, 11);
  for (const bool keys : {true, false}) {
    for (const bool lists : {false, true}) {
      std::vector<std::string> aggregates = {"quantile(number, 0.9)", "distinct_count(text)", "sum(number)", "median(number)"};
      if (lists) aggregates.push_back("list(text)");
      const plan::Group group = group_of(keys, aggregates);
      const Lines wanted = expected(rows, keys, lists);
      for (const size_t tables : {size_t{1}, size_t{3}}) {
        if (lists && tables > 1) continue;  // the order of values counts, so there is one table
        for (const uint64_t memory : {uint64_t{256} << 20, uint64_t{2} << 20, uint64_t{1} << 20, uint64_t{400} << 10}) {
          const Outcome got = run(rows, group, tables, memory, lists);
          const std::string what = fmt::format("{}, keys {}, lists {}, {} tables, {} bytes", GetParam().what, keys, lists, tables, memory);
          if (lists && !got.status.ok()) {
            // A list is one value and must fit.
            EXPECT_EQ(got.status.code(), Code::kResourceExhausted) << what;
            EXPECT_NE(got.status.to_string().find("the list of one group"), std::string::npos) << got.status.to_string();
            EXPECT_LE(memory, uint64_t{2} << 20) << what;
            continue;
          }
          ASSERT_TRUE(got.status.ok()) << what << ": " << got.status.to_string();
          EXPECT_EQ(got.lines.size(), wanted.size()) << what;
          EXPECT_TRUE(got.lines == wanted) << what;
          if (memory <= (uint64_t{400} << 10)) EXPECT_GT(got.spilled, 0u) << what;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Groups,
                         testing::Values(Input{"few keys", 60'000, 5, 0}, Input{"many keys", 60'000, 20'000, 0},
                                         Input{"one heavy key among many", 60'000, 8'000, 0.5}),
                         [](const auto& info) { return fmt::format("Case{}", info.index); });

TEST(GroupTable, ASumThatDoesNotFitIsTheErrorOfItsGroup) {
  auto rows = random_rows(60'000, 8'000, 0, 11);
  rows[100].key = rows[40'000].key = "large";
  rows[100].number = rows[40'000].number = INT64_MAX;
  // Alone, beside values that are set aside by key, and beside values that are sorted.
  for (const std::vector<std::string>& aggregates :
       {std::vector<std::string>{"sum(number)", "count()"}, {"quantile(number, 0.9)", "sum(number)"}}) {
    const plan::Group group = group_of(true, aggregates);
    for (const size_t tables : {size_t{1}, size_t{3}}) {
      for (const uint64_t memory : {uint64_t{256} << 20, uint64_t{1} << 20, uint64_t{400} << 10}) {
        const Outcome got = run(rows, group, tables, memory, false);
        ASSERT_TRUE(got.status.ok()) << got.status.to_string();
        size_t wrong = 0;
        for (const auto& [key, line] : got.lines) wrong += line.find('!') != std::string::npos;
        EXPECT_EQ(wrong, 1u) << memory;
        EXPECT_NE(got.lines.at("large").find("! sum(number): the sum is outside int64"), std::string::npos)
            << got.lines.at("large");
      }
    }
  }
  const plan::Group whole = group_of(false, {"sum(number)", "quantile(number, 0.9)"});
  for (const uint64_t memory : {uint64_t{256} << 20, uint64_t{400} << 10}) {
    const Outcome got = run(rows, whole, 1, memory, false);
    ASSERT_TRUE(got.status.ok()) << got.status.to_string();
    EXPECT_NE(got.lines.at("").find("! sum(number)"), std::string::npos) << got.lines.at("");
  }
}

TEST(GroupTable, NoRowsAreOneGroupWithoutKeys) {
  const plan::Group group = group_of(false, {"quantile(number, 0.9)", "distinct_count(text)", "count()"});
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const GroupShape shape(group, folder->path(), nullptr);
  GroupTable table(shape, 1 << 20, 0);
  GroupInput none;
  none.arguments.resize(3);
  none.ordinals = {0};
  ASSERT_TRUE(table.add(none).ok());
  int64_t groups = 0;
  ASSERT_TRUE(table.finish([&](Batch b) {
    groups += b.rows;
    EXPECT_EQ(shown(b.columns[0], 0), "null");
    EXPECT_EQ(shown(b.columns[1], 0), "0");
    EXPECT_EQ(shown(b.columns[2], 0), "0");
    return Status();
  }).ok());
  EXPECT_EQ(groups, 1);
}

}  // namespace
}  // namespace runink::engine
