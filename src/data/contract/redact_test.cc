#include "data/contract/redact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/columnar/builder.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::contract {
namespace {

using columnar::TypeId;
using columnar::Value;
using testing::HasSubstr;
using testing::Not;

ContractPtr make(const std::string& text) {
  auto contract = parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << contract.status().to_string();
  return *contract;
}

constexpr const char* kPeople =
    "contract P { int32 id; string name [[pii]]; string card [[pii, mask(\"last4\"), access(\"billing\")]]; date born "
    "[[pii, mask(\"year\")]];"
    " int64 phone [[pii, mask(\"null\")]]; string home.city; string home.street [[pii]]; list<struct { string mail "
    "[[pii]]; }> contacts;"
    " string note [[mask(\"first2\")]]; string salary [[access(\"hr\")]]; }";

TEST(Masks, AreReadAndNamed) {
  for (const char* word : {"all", "first3", "last4", "email", "length", "hash", "tokenise", "null", "year"}) {
    const auto mask = parse_mask(word);
    ASSERT_TRUE(mask.ok()) << word;
    EXPECT_EQ(mask_name(*mask), word);
  }
  EXPECT_FALSE(parse_mask("").ok());
  EXPECT_FALSE(parse_mask("last").ok());
  EXPECT_FALSE(parse_mask("last0").ok());
  EXPECT_FALSE(parse_mask("last65").ok());
  EXPECT_FALSE(parse_mask("last4x").ok());
  EXPECT_EQ(parse_mask("emial").status().hint(), "did you mean email?");
}

TEST(Masks, HideTheValue) {
  const MaskKey key{"secret"};
  const auto masked = [&](const char* method, const char* text) { return mask_text(*parse_mask(method), text, key); };
  EXPECT_EQ(masked("last4", "4111111111111111"), "************1111");
  EXPECT_THAT(masked("last4", "1234"), Not(HasSubstr("1")));
  EXPECT_THAT(masked("all", "secret"), Not(HasSubstr("s")));
  EXPECT_THAT(masked("email", "ann@example.org"),
              testing::AllOf(testing::StartsWith("a*"), testing::EndsWith("@example.org")));
  EXPECT_EQ(masked("year", "1980-05-17"), "1980");
  EXPECT_THAT(masked("year", "born 1980"), Not(HasSubstr("1980")));
  EXPECT_EQ(masked("hash", "x"), masked("hash", "x"));
  EXPECT_NE(masked("hash", "x"), masked("hash", "y"));
  EXPECT_NE(masked("hash", "x"), mask_text(*parse_mask("hash"), "x", {"other"}));
  EXPECT_EQ(mask_text(*parse_mask("hash"), "x", {}), mask_text(Mask{}, "x", {}))
      << "without a key a hash could be guessed";
}

TEST(Masks, ApplyToReadersWithoutTheRole) {
  const auto contract = make(kPeople);
  const auto& fields = contract->fields;
  EXPECT_FALSE(mask_of(fields[0]));
  EXPECT_EQ(mask_of(fields[1])->method, MaskMethod::kAll);
  EXPECT_FALSE(mask_for(fields[2], {{"billing"}, false}));
  EXPECT_TRUE(mask_for(fields[2], {{"other"}, false}));
  EXPECT_FALSE(mask_for(fields[1], {{}, true}));
  EXPECT_TRUE(mask_for(fields[1], {{"billing"}, false})) << "no role may see a field that names none";
  EXPECT_EQ(mask_of(fields[7])->method, MaskMethod::kAll) << "a member of the list is pii";
  EXPECT_EQ(mask_of(fields[8])->method, MaskMethod::kFirst);
  EXPECT_EQ(mask_of(fields[9])->method, MaskMethod::kAll);
  EXPECT_TRUE(fields[7].holds_pii());
}

TEST(Columns, AreMaskedWholly) {
  const auto contract = make(kPeople);
  const auto redaction = redaction_for(*contract, {});
  columnar::BatchBuilder builder(contract->schema);
  const Value contacts(std::vector<Value>{Value(std::vector<Value>{Value("c@example.org")})});
  builder.append_row({1, "Ann Alias", "4111222233334444", 3789, int64_t{4912345}, "Oslo", "Karl Johans gate", contacts,
                      "secret", "90000"});
  builder.append_row({2, Value(), Value(), Value(), Value(), Value(), Value(), Value(), Value(), Value()});
  const auto batch = redact_batch(builder.finish(), redaction, {"key"});
  std::string all;
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    EXPECT_EQ(batch.columns[i].type, batch.schema->field(i).type) << i;
    for (int64_t row = 0; row < 2; ++row) {
      all += columnar::value_to_display(batch.columns[i].type, columnar::value_at(batch.columns[i], row)) + "\n";
    }
    EXPECT_EQ(batch.columns[i].is_null(1), i != 0);
  }
  for (const char* secret : {"Ann", "41112", "3333", "05-17", "4912345", "Karl", "c@example.org", "cret", "90000"}) {
    EXPECT_THAT(all, Not(HasSubstr(secret)));
  }
  EXPECT_THAT(all, HasSubstr("Oslo"));
  EXPECT_THAT(all, HasSubstr("************4444"));
  EXPECT_THAT(all, HasSubstr("1980"));
  EXPECT_TRUE(batch.columns[4].is_null(0));
  EXPECT_EQ(batch.columns[4].type.id(), TypeId::kInt64);
}

TEST(Columns, NothingIsDoneWithoutProtectedFields) {
  const auto contract = make("contract C { int32 a; }");
  EXPECT_TRUE(redaction_for(*contract, {}).columns.empty());
  EXPECT_EQ(redaction_for(*contract, {}).schema, contract->schema);
  EXPECT_TRUE(redaction_for(*make(kPeople), {{}, true}).columns.empty());
}

TEST(Columns, KeepThoseThatAnOpenContractPassesThrough) {
  const auto contract = make("[[open]] contract C { string a [[pii]]; }");
  const auto batch = columnar::make_batch({{"a", TypeId::kString}, {"more", TypeId::kInt32}}, {{"secret", 5}});
  const auto masked = redact_batch(batch, redaction_for(*contract, {}), {});
  ASSERT_EQ(masked.schema->size(), 2u);
  EXPECT_EQ(masked.schema->field(1).name, "more");
  EXPECT_NE(masked.columns[0].text(0), "secret");
}

TEST(Records, OfJsonKeepEveryOtherByte) {
  const auto contract = make(kPeople);
  const RecordRedactor redactor(*contract, {}, {"key"});
  EXPECT_EQ(
      redactor.json(R"( {"id" : 1.50, "name":"Ann","home":{"city":"Oslo", "street":"K"},"extra":[1,{"a":null}]} )"),
      R"( {"id" : 1.50, "name":"****","home":{"city":"Oslo", "street":"****"},"extra":[1,{"a":null}]} )");
  EXPECT_EQ(redactor.json(R"({"phone":4912345,"card":"4111222233334444","name":null})"),
            R"({"phone":null,"card":"************4444","name":null})");
}

TEST(Records, OfJsonCannotHideAValueInAnotherPlace) {
  const auto contract = make(kPeople);
  const RecordRedactor redactor(*contract, {}, {});
  for (const char* record :
       {R"({"name":"SECRET"})", R"({"na\u006de":"SECRET"})", R"({"name":["SECRET"]})", R"({"name":{"x":"SECRET"}})",
        R"({"home":"SECRET"})", R"({"home":["SECRET"]})", R"({"home.street":"SECRET"})",
        R"({"home":{"street":{"x":"SECRET"}}})", R"({"name":"x","name":"SECRET"})",
        R"({"contacts":[{"mail":"SECRET"}]})", R"({"name":"SECRET")", R"(["SECRET"])", R"({"name":SECRET})", "SECRET",
        R"({"a":1}{"name":"SECRET"})", R"({"name":"SECRET"}trailing)"}) {
    EXPECT_THAT(redactor.json(record), Not(HasSubstr("SECRET"))) << record;
  }
  std::string deep = "{\"name\":";
  for (int i = 0; i < 100000; ++i) deep += "[";
  EXPECT_THAT(redactor.json(deep + "\"SECRET\""), Not(HasSubstr("SECRET")));
}

TEST(Records, HideWhatIsUnknownInsideWhatIsMaskedAsAWhole) {
  const auto contract = make(
      "struct G { int32 x; string y [[mask(\"last4\")]]; } struct Q { string street; G geo; } struct H { int32 no; string street [[pii]]; } "
      "contract P { int32 id; Q home [[pii]]; H work; string ssn [[pii]]; }");
  const RecordRedactor redactor(*contract, {}, {});
  for (const char* record :
       {R"({"home":{"street":"a","flat":"SECRET"}})", R"({"home":{"flat":{"a":["SECRET"]}}})", R"({"home":{"geo":{"z":"SECRET"}}})",
        R"({"home.flat":"SECRET"})", R"({"home":{"geo.z":"SECRET"}})", R"({"home":{"":"SECRET"}})", R"({"ssn.first":"SECRET"})"}) {
    EXPECT_THAT(redactor.json(record), Not(HasSubstr("SECRET"))) << record;
  }
  EXPECT_EQ(redactor.json(R"({"home":{"geo":{"x":1,"y":"12345678"}},"work":{"no":1,"floor":"2","street":"S"},"more":{"z":"3"}})"),
            R"({"home":{"geo":{"x":"****","y":"****5678"}},"work":{"no":1,"floor":"2","street":"****"},"more":{"z":"3"}})");
  EXPECT_EQ(redactor.csv("1,2,3,4,5", {"id", "home.flat", "work.floor", "work", "home"}), "1,\"****\",3,\"****\",\"****\"");
  RecordRedactor open(*contract, {}, {});
  open.mask_wholly({"id", "*"});
  EXPECT_EQ(open.json(R"({"id":1,"work":{"no":1,"floor":"SECRET"},"copy":"SECRET","more":{"z":"SECRET"}})"),
            R"({"id":"****","work":{"no":1,"****":"****"},"****":"****","****":"****"})");
  EXPECT_EQ(open.csv("1,2,3", {"id", "copy", "work.no"}), "\"****\",\"****\",3");
  const RecordRedactor revealing(*contract, {{}, true}, {});
  EXPECT_EQ(revealing.json(R"({"home":{"flat":"x"}})"), R"({"home":{"flat":"x"}})");
}

TEST(Records, OfTables) {
  const auto contract = make(kPeople);
  const RecordRedactor redactor(*contract, {}, {});
  const std::vector<std::string> names = {"id", "name", "home.city"};
  EXPECT_EQ(redactor.csv("1,Ann,\"Os\"\"lo\"", names), "1,\"****\",\"Os\"\"lo\"");
  EXPECT_EQ(redactor.csv("1,,x", names), "1,,x");
  EXPECT_THAT(redactor.csv("1,x,SECRET,y", names), Not(HasSubstr("SECRET"))) << "a shifted row";
  EXPECT_THAT(redactor.csv("1,\"SECRET", names), Not(HasSubstr("SECRET")));
}

// A cell whose column is not known may be any field: a header in another dialect or spelling, or none at all.
TEST(Files, WithoutASureHeaderAreNotRedacted) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const auto contract = make("contract C { int64 id; string name [[pii]]; string x; }");
  uint64_t records = 0;
  for (const char* text : {"id;name;x\n1;SECRET;y\n", "1,SECRET,y\n2,SECRET,z\n", "id,Name,x\n1,SECRET,y\n", "'id','name','x'\n1,SECRET,y\n"}) {
    ASSERT_TRUE(os::write_file_atomic(folder->file("in.csv"), text).ok());
    std::string out;
    const auto write = [&](std::string_view bytes) {
      out += bytes;
      return Status();
    };
    const Status status = redact_records(*contract, folder->file("in.csv"), {}, {}, write, &records);
    EXPECT_EQ(status.code(), Code::kFailedPrecondition) << text;
    EXPECT_THAT(status.to_string(), testing::AllOf(HasSubstr("does not name name, which is to be masked"), Not(HasSubstr("SECRET"))));
    EXPECT_EQ(out, "");
  }
  for (const char* text : {"id,x\n1,y\n", "id,name,x,more\n1,,y,z\n"}) {
    ASSERT_TRUE(os::write_file_atomic(folder->file("in.csv"), text).ok());
    EXPECT_TRUE(redact_file(*contract, folder->file("in.csv"), folder->file("out.csv"), {}, {}, &records).ok()) << text;
    EXPECT_EQ(*os::read_file(folder->file("out.csv")), text);
  }
}

TEST(Files, AreRedactedRecordByRecord) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const auto contract = make(kPeople);
  ASSERT_TRUE(
      os::write_file_atomic(folder->file("in.ndjson"), "{\"id\":1,\"name\":\"Ann\"}\n\n{\"id\":2,\"name\":\"Bob\"}\r\n")
          .ok());
  uint64_t records = 0;
  ASSERT_TRUE(redact_file(*contract, folder->file("in.ndjson"), folder->file("out.ndjson"), {}, {}, &records).ok());
  EXPECT_EQ(records, 2u);
  EXPECT_EQ(*os::read_file(folder->file("out.ndjson")), "{\"id\":1,\"name\":\"****\"}\n{\"id\":2,\"name\":\"****\"}\n");
  ASSERT_TRUE(os::write_file_atomic(folder->file("in.csv"), "\xEF\xBB\xBFid,name\n1,\"An\nn\"\n2,Bob\n").ok());
  ASSERT_TRUE(redact_file(*contract, folder->file("in.csv"), folder->file("out.csv"), {}, {}, &records).ok());
  EXPECT_EQ(*os::read_file(folder->file("out.csv")), "id,name\n1,\"****\"\n2,\"****\"\n");
  EXPECT_EQ(redact_file(*contract, folder->file("none.csv"), folder->file("out2.csv"), {}, {}, &records).code(),
            Code::kNotFound);
}

}  // namespace
}  // namespace runink::contract
