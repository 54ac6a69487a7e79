#include "data/contract/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/columnar/builder.h"
#include "data/contract/checker.h"
#include "data/contract/parse.h"

namespace runink::contract {
namespace {

using columnar::Value;
using testing::HasSubstr;

ContractPtr make(const std::string& text) {
  auto contract = parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << text << "\n" << contract.status().to_string();
  return contract.ok() ? *contract : nullptr;
}

ContractDiff diff(const std::string& before, const std::string& after) {
  return diff_contracts(*make("contract C { " + before + " }"), *make("contract C { " + after + " }"));
}

// The one change there must be: "kind: impact".
std::string only(const std::string& before, const std::string& after) {
  const auto changes = diff(before, after).changes;
  std::string out;
  for (const auto& change : changes) {
    EXPECT_FALSE(change.sentence.empty());
    out += (out.empty() ? "" : "; ") + change.kind + ": " + std::string(impact_text(change.impact));
  }
  return out;
}

TEST(Diff, SaysWhomEachChangeBreaks) {
  EXPECT_EQ(only("int32 a;", "int32 a;"), "");
  EXPECT_EQ(only("int32 a; int32 b;", "int32 a;"), "field.removed: breaks readers");
  EXPECT_EQ(only("int32 a;", "int32 a; int32 b;"), "field.added: compatible");
  EXPECT_EQ(only("int32 a;", "int32 a; int32 b [[required]];"), "field.added: breaks writers");
  EXPECT_EQ(only("int32 a;", "int32 a; int32 b [[required, default(1)]];"), "field.added: compatible");
  EXPECT_EQ(only("int32 a;", "int64 a;"), "type.changed: breaks readers");
  EXPECT_EQ(only("int64 a;", "int32 a;"), "type.changed: breaks readers and writers");
  EXPECT_EQ(only("uint32 a;", "int64 a;"), "type.changed: breaks readers");
  EXPECT_EQ(only("int64 a;", "decimal(20, 1) a;"), "type.changed: breaks readers");
  EXPECT_EQ(only("int64 a;", "decimal(18, 0) a;"), "type.changed: breaks readers and writers");
  EXPECT_EQ(only("date a;", "string a;"), "type.changed: breaks readers");
  EXPECT_EQ(only("string a;", "int32 a;"), "type.changed: breaks readers and writers");
  EXPECT_EQ(only("int32 a [[range(0, 5)]];", "int64 a [[range(0, 3)]];"),
            "type.changed: breaks readers; rules.changed: breaks readers and writers");
  EXPECT_EQ(only("int32 a;", "int32 a [[required]];"), "required.added: breaks writers");
  EXPECT_EQ(only("int32 a [[required]];", "int32 a;"), "required.removed: breaks readers");
  EXPECT_EQ(only("int32 a;", "int32 a [[default(3)]];"), "default.added: compatible");
  EXPECT_EQ(only("int32 a [[required]];", "int32 a [[default(3)]];"), "default.added: compatible");
  EXPECT_EQ(only("int32 a [[default(3)]];", "int32 a;"), "required.removed: breaks readers");
  EXPECT_EQ(only("int32 a [[default(3)]];", "int32 a [[required]];"), "required.added: breaks writers");
  EXPECT_EQ(only("int32 a [[default(3)]];", "int32 a [[default(4)]];"), "default.changed: compatible");
  EXPECT_EQ(only("int32 a [[range(0, 9)]];", "int32 a [[range(0, 5)]];"), "range.tightened: breaks writers");
  EXPECT_EQ(only("int32 a [[range(0, 9)]];", "int32 a [[min(0)]];"), "range.loosened: breaks readers");
  EXPECT_EQ(only("int32 a [[range(0, 9)]];", "int32 a [[range(1, 10)]];"), "range.changed: breaks readers and writers");
  EXPECT_EQ(only("string a [[length(1, 5)]];", "string a [[length(1, 6)]];"), "length.loosened: breaks readers");
  EXPECT_EQ(only("string a;", "string a [[length(1, 6)]];"), "length.tightened: breaks writers");
  EXPECT_EQ(only("string a;", "string a [[pattern(\"x\")]];"), "pattern.added: breaks writers");
  EXPECT_EQ(only("string a [[pattern(\"x\")]];", "string a;"), "pattern.removed: breaks readers");
  EXPECT_EQ(only("string a [[pattern(\"x\")]];", "string a [[pattern(\"y\")]];"),
            "pattern.changed: breaks readers and writers");
  EXPECT_EQ(only("string a [[one_of(\"x\", \"y\")]];", "string a [[one_of(\"y\", \"x\")]];"), "");
  EXPECT_EQ(only("string a [[one_of(\"x\", \"y\")]];", "string a [[one_of(\"x\")]];"),
            "one_of.tightened: breaks writers");
  EXPECT_EQ(only("string a [[one_of(\"x\")]];", "string a;"), "one_of.loosened: breaks readers");
  EXPECT_EQ(only("enum(x, y) a;", "enum(x, y, z) a;"), "enum.value_added: breaks readers");
  EXPECT_EQ(only("enum(x, y) a;", "enum(x) a;"), "enum.value_removed: breaks writers");
  EXPECT_EQ(only("enum(x, y) a;", "enum(y, x) a;"), "enum.reordered: compatible");
  EXPECT_EQ(only("int32 a;", "int32 a [[unique]];"), "unique.added: breaks writers");
  EXPECT_EQ(only("int32 a [[unique]];", "int32 a;"), "unique.removed: breaks readers");
  EXPECT_EQ(only("int32 a [[coerce]];", "int32 a;"), "coerce.removed: breaks writers");
  EXPECT_EQ(only("date a;", "date a [[format(\"%d.%m.%Y\")]];"), "format.changed: breaks readers and writers");
  EXPECT_EQ(only("timestamp a;", "timestamp a [[zone(\"Europe/Berlin\")]];"),
            "zone.changed: breaks readers and writers");
  EXPECT_EQ(only("string a;", "string a [[pii]];"), "pii.added: breaks readers");
  EXPECT_EQ(only("string a [[pii]];", "string a;"), "pii.removed: compatible");
  EXPECT_EQ(only("string a [[pii, access(\"x\")]];", "string a [[pii, access(\"x\", \"y\")]];"),
            "access.changed: compatible");
  EXPECT_EQ(only("string a [[pii, access(\"x\")]];", "string a [[pii]];"), "access.changed: breaks readers");
  EXPECT_EQ(only("string a [[pii]];", "string a [[pii, mask(\"hash\")]];"), "mask.changed: breaks readers");
  EXPECT_EQ(only("string a;", "string a [[description(\"x\"), tags(\"y\")]];"),
            "description.changed: no effect; tags.changed: no effect");
  EXPECT_EQ(only("int32 a; int32 b;", "int32 b; int32 a;"), "fields.reordered: compatible");
  EXPECT_EQ(only("int32 a;", "int32 a; check c: a > 1;"), "check.added: breaks writers");
  EXPECT_EQ(only("int32 a; check c: a > 1;", "int32 a; check c: a > 2;"), "check.changed: breaks readers and writers");
  EXPECT_EQ(only("int32 a; check c: a > 1;", "int32 a;"), "check.removed: breaks readers");
  EXPECT_EQ(only("int32 a;", "int32 a; quality q: count() > 1;"), "quality.added: breaks writers");
  EXPECT_EQ(only("int32 a;", "int32 a; quality q: count() > 1 [[severity(\"warn\")]];"), "quality.added: compatible");
  EXPECT_EQ(only("int32 a; quality q: count() > 1;", "int32 a; quality q: count() > 1 [[severity(\"warn\")]];"),
            "quality.severity_changed: breaks readers");
  EXPECT_EQ(only("list<struct { int32 x; }> a;", "list<struct { int32 x [[required]]; int32 y; }> a;"),
            "required.added: breaks writers; field.added: compatible");
  EXPECT_EQ(only("list<struct { int32 x; }> a;", "list<struct { int64 x; }> a;"), "type.changed: breaks readers");
}

TEST(Diff, ContractWideChanges) {
  const auto before = make("[[classification(\"internal\"), owner(\"a\")]] contract C { int32 a; }");
  const auto after = make("[[classification(\"public\"), owner(\"b\"), open]] contract D { int32 a; }");
  const auto changes = diff_contracts(*before, *after);
  EXPECT_EQ(changes.changes.size(), 4u);
  EXPECT_EQ(changes.required(), Bump::kMinor);
  EXPECT_TRUE(diff_contracts(*after, *before).breaks_readers());  // open removed
}

TEST(Bumps, MustBeAtLeastWhatTheChangesAsk) {
  const auto at = [](const std::string& version, const std::string& fields) {
    return make("[[version(\"" + version + "\")]] contract C { " + fields + " }");
  };
  const auto check = [&](const std::string& from, const std::string& a, const std::string& to, const std::string& b) {
    const auto before = at(from, a), after = at(to, b);
    return check_bump(*before, *after, diff_contracts(*before, *after));
  };
  EXPECT_TRUE(check("1.2.3", "int32 a;", "2.0.0", "int64 a;").ok());
  EXPECT_TRUE(check("1.2.3", "int32 a;", "1.3.0", "int32 a; int32 b;").ok());
  EXPECT_TRUE(check("1.2.3", "int32 a;", "1.2.4", "int32 a [[unit(\"m\")]];").ok());
  EXPECT_TRUE(check("1.2.3", "int32 a;", "1.2.3", "int32 a;").ok());
  const auto status = check("1.2.3", "int32 a;", "1.3.0", "int64 a;");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.kind(), "contract.bump");
  EXPECT_EQ(status.hint(), "set version(\"2.0.0\")");
  ASSERT_EQ(status.details().size(), 1u);
  EXPECT_THAT(status.details()[0], HasSubstr("breaks readers"));
  EXPECT_EQ(check("1.2.3", "int32 a;", "1.2.4", "int32 a; int32 b;").hint(), "set version(\"1.3.0\")");
  EXPECT_FALSE(check("1.2.3", "int32 a;", "1.2.3", "int32 a; int32 b;").ok());
  EXPECT_FALSE(check("2.0.0", "int32 a;", "1.9.0", "int64 a;").ok());
  EXPECT_EQ(bump_between({1, 2, 3}, {1, 2, 4}), Bump::kPatch);
  EXPECT_EQ(bump_between({1, 2, 3}, {1, 3, 0}), Bump::kMinor);
  EXPECT_EQ(bump_between({1, 2, 3}, {2, 0, 0}), Bump::kMajor);
  EXPECT_EQ(bump_between({1, 2, 3}, {1, 2, 3}), Bump::kNone);
}

TEST(Versions, AreThreeNumbers) {
  Version version;
  EXPECT_TRUE(Version::parse("1.20.3", &version));
  EXPECT_EQ(version, (Version{1, 20, 3}));
  for (const char* bad :
       {"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "1..3", "-1.2.3", "1.2.99999999999", "1.2.3 "}) {
    EXPECT_FALSE(Version::parse(bad, &version)) << bad;
  }
}

// The claims against brute force: all pairs of small contracts over one column, decided by trying every value on both.
struct Small {
  std::string field;
};

// Whether a value passes the contract; nullopt stands for a record without the field.
bool accepts(const ContractChecker& checker, const std::optional<Value>& value) {
  const auto& contract = checker.contract();
  Value given = value.value_or(Value());
  if (given.is_null() && contract.fields[0].default_value) given = *contract.fields[0].default_value;
  columnar::ColumnBuilder builder(contract.fields[0].type);
  if (given.is_null()) {
    builder.append_null();
  } else {
    builder.append_value(given);
  }
  columnar::Batch batch;
  batch.schema = contract.schema;
  batch.rows = 1;
  batch.columns.push_back(builder.finish());
  CheckScratch scratch;
  CheckResult result;
  EXPECT_TRUE(checker.check(batch, {}, scratch, result).ok());
  return result.failed_rows == 0;
}

void compare_all(const std::vector<std::string>& fields, const std::vector<std::optional<Value>>& values) {
  struct Entry {
    ContractPtr contract;
    std::vector<bool> accepted;
    bool makes_null = false;  // a reader of valid data may meet null
  };
  std::vector<Entry> entries;
  for (const auto& field : fields) {
    Entry entry;
    entry.contract = make("contract C { " + field + " }");
    ASSERT_NE(entry.contract, nullptr);
    const auto checker = ContractChecker::create(entry.contract);
    ASSERT_TRUE(checker.ok());
    for (const auto& value : values) entry.accepted.push_back(accepts(**checker, value));
    entry.makes_null = entry.contract->schema->field(0).nullable;
    entries.push_back(std::move(entry));
  }
  int pairs = 0, breaking = 0;
  for (const auto& before : entries) {
    for (const auto& after : entries) {
      // Writers: something the old contract took is refused. Readers: something comes out that could not before; a null
      // that a default replaces does not come out.
      bool readers = after.makes_null && !before.makes_null, writers = false;
      for (size_t i = 0; i < values.size(); ++i) {
        const bool is_null = !values[i] || values[i]->is_null();
        writers = writers || (before.accepted[i] && !after.accepted[i]);
        if (!is_null) readers = readers || (after.accepted[i] && !before.accepted[i]);
      }
      const auto claimed = diff_contracts(*before.contract, *after.contract);
      const std::string where = before.contract->fields[0].name + ": " + std::to_string(&before - entries.data()) +
                                " to " + std::to_string(&after - entries.data());
      EXPECT_EQ(claimed.breaks_readers(), readers) << where;
      EXPECT_EQ(claimed.breaks_writers(), writers) << where;
      ++pairs;
      breaking += readers || writers;
    }
  }
  EXPECT_GT(pairs, 50);
  EXPECT_GT(breaking, pairs / 4);
}

TEST(DiffAgainstBruteForce, Integers) {
  std::vector<std::string> fields;
  for (const char* presence : {"", "required", "default(2)", "required, default(2)"}) {
    for (const char* rule : {"", "range(1, 3)", "min(1)", "max(3)", "range(2, 4)", "range(2, 2)", "one_of(1, 2, 3)",
                             "one_of(2)", "one_of(2, 5)"}) {
      std::string list = presence;
      if (*rule != '\0') list += (list.empty() ? "" : ", ") + std::string(rule);
      fields.push_back("int8 a" + (list.empty() ? "" : " [[" + list + "]]") + ";");
    }
  }
  std::vector<std::optional<Value>> values = {std::nullopt, Value()};
  for (int64_t i = -128; i <= 127; ++i) values.push_back(Value(i));
  // `one_of` beside `range` allows the same values; the diff compares rule by rule, so such pairs are left to the next
  // test.
  std::vector<std::string> ranges, lists;
  for (const auto& field : fields) (field.find("one_of") == std::string::npos ? ranges : lists).push_back(field);
  compare_all(ranges, values);
  lists.push_back("int8 a;");
  compare_all(lists, values);
}

TEST(DiffAgainstBruteForce, Text) {
  std::vector<std::string> fields;
  for (const char* rule : {"", "length(1, 2)", "length(2)", "length(*, 1)", "length(2, *)", "length(0, 2)"}) {
    for (const char* presence : {"", "required"}) {
      std::string list = presence;
      if (*rule != '\0') list += (list.empty() ? "" : ", ") + std::string(rule);
      fields.push_back("string a" + (list.empty() ? "" : " [[" + list + "]]") + ";");
    }
  }
  compare_all(fields,
              {std::nullopt, Value(), Value(""), Value("x"), Value("xy"), Value("äß"), Value("xyz"), Value("wxyz")});
}

// Two columns, each absent, nullable, required or with a default: every pair of such contracts, decided by every record
// in which each column is missing or there.
TEST(DiffAgainstBruteForce, Presence) {
  enum class Form { kAbsent, kNullable, kRequired, kDefault };
  struct Two {
    Form form[2];
    ContractPtr contract;
  };
  std::vector<Two> contracts;
  const char* attributes[] = {"", "", " [[required]]", " [[default(7)]]"};
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < 4; ++b) {
      std::string text = "contract C { int32 always; ";
      if (a > 0) text += std::string("int32 a") + attributes[a] + "; ";
      if (b > 0) text += std::string("int32 b") + attributes[b] + "; ";
      contracts.push_back({{static_cast<Form>(a), static_cast<Form>(b)}, make(text + "}")});
    }
  }
  // What a reader gets of a column: nothing, null, or a value.
  enum class Got { kNothing, kNull, kValue };
  const auto read = [](const Two& two, int column, bool there) {
    if (two.form[column] == Form::kAbsent) return Got::kNothing;
    return there || two.form[column] == Form::kDefault ? Got::kValue : Got::kNull;
  };
  const auto takes = [](const Two& two, const bool* there) {
    for (int column = 0; column < 2; ++column) {
      if (two.form[column] == Form::kRequired && !there[column]) return false;
    }
    return true;
  };
  for (const auto& before : contracts) {
    for (const auto& after : contracts) {
      bool readers = false, writers = false;
      for (int record = 0; record < 4; ++record) {
        const bool there[2] = {(record & 1) != 0, (record & 2) != 0};
        writers = writers || (takes(before, there) && !takes(after, there));
        if (!takes(after, there)) continue;
        for (int column = 0; column < 2; ++column) {
          if (before.form[column] == Form::kAbsent) continue;
          const Got got = read(after, column, there[column]);
          readers = readers || got == Got::kNothing || (got == Got::kNull && before.form[column] != Form::kNullable);
        }
      }
      const auto claimed = diff_contracts(*before.contract, *after.contract);
      const std::string where = before.contract->schema->to_string() + " to " + after.contract->schema->to_string();
      EXPECT_EQ(claimed.breaks_readers(), readers) << where;
      EXPECT_EQ(claimed.breaks_writers(), writers) << where;
    }
  }
}

TEST(Drift, NothingOfAPiiFieldIsTold) {
  const auto contract = make("contract C { string name [[pii, length(1, 3)]]; int32 age [[pii, range(0, 9)]]; int8 n [[pii]]; }");
  Inferrer inferrer;
  ASSERT_TRUE(inferrer.add_json(R"({"name":"of-17-characters.","age":77,"n":777})").ok());
  const auto found = drift_of(*contract, inferrer.profile());
  ASSERT_EQ(found.size(), 4u);
  for (const auto& drift : found) {
    EXPECT_TRUE(drift.error);
    EXPECT_EQ(drift.found, "****") << drift.sentence;
    EXPECT_THAT(drift.sentence, testing::Not(testing::AnyOf(HasSubstr("17"), HasSubstr("77"), HasSubstr("characters"))));
  }
}

TEST(Drift, NamesThatMayBeARecordAreNotTold) {
  const auto told = [](const char* text, std::vector<std::string> header) {
    Inferrer inferrer;
    EXPECT_TRUE(inferrer.add_cells(header, {"8", "Joe"}).ok());
    std::string out;
    for (const auto& drift : drift_of(*make(text), inferrer.profile())) out += drift.field + "|" + drift.sentence + "\n";
    return out;
  };
  const std::string hidden = told("contract C { int32 id; string name [[pii]]; }", {"7", "Jane SECRET"});
  EXPECT_THAT(hidden, HasSubstr("column 2|column 2: the first record names no field of the contract here"));
  EXPECT_THAT(hidden, testing::Not(HasSubstr("Jane")));
  EXPECT_THAT(told("contract C { int32 id; string name; }", {"7", "Jane"}), HasSubstr("Jane: the contract does not name it"));
  EXPECT_THAT(told("contract C { int32 id; string name [[pii]]; }", {"id", "Name"}), HasSubstr("Name: the contract does not name it"));
}

TEST(Drift, FindsWhatTheDataDoesOtherwise) {
  const auto contract = make(
      "contract C { int32 id [[required, range(0, 100)]]; string code [[pattern(\"[A-Z]{3}\")]]; enum(a, b) kind; date "
      "day; "
      "string mail [[pii]]; int32 gone [[required]]; int8 small; list<int32> list [[length(0, 1)]]; float64 number; }");
  Inferrer inferrer;
  for (
      const char* line :
      {R"({"id":5,"code":"ABC","kind":"a","day":"2001-01-10","mail":"a@b.org","small":5,"list":[1],"number":1,"extra":1})",
       R"({"id":500,"code":"abc","kind":"c","day":"10.01.2001","mail":7,"small":300,"list":[1,2],"number":"x","extra":2})",
       R"({"code":"ABC"})"}) {
    ASSERT_TRUE(inferrer.add_json(line).ok());
  }
  std::string seen;
  for (const auto& drift : drift_of(*contract, inferrer.profile())) {
    seen += drift.kind + " " + drift.field + (drift.error ? "!\n" : "\n");
    EXPECT_THAT(drift.sentence, testing::Not(HasSubstr("a@b.org")));
  }
  EXPECT_EQ(seen,
            "null.found id!\nvalue.out_of_range id!\npattern.broken code!\nvalue.unknown kind!\ntype.mismatch "
            "day!\ntype.mismatch mail!\n"
            "field.missing gone!\ntype.mismatch small!\nvalue.out_of_range small!\nlength.broken list!\ntype.mismatch "
            "number!\n"
            "field.unknown extra\n");
}

}  // namespace
}  // namespace runink::contract
