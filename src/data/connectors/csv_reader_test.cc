#include "data/connectors/csv_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/connectors/reading_for_test.h"

namespace runink::connectors {
namespace {

using columnar::DataType;
using columnar::TypeId;
using columnar::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ReadBack read_all(const std::string& text, const ReaderOptions& options) {
  const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
  const hot::Loops* levels[3];
  const size_t count = hot::all_loops(levels, 3);
  for (size_t i = 0; i < count; ++i) {
    const ReadBack hot = read_back(text, options, 1 << 19, levels[i]);
    EXPECT_TRUE(hot.same_data(general)) << levels[i]->name << " differs from the general code on\n"
                                        << text.substr(0, 2000);
  }
  // Wherever chunks are cut, the same comes out.
  for (const size_t chunk : {size_t{1}, size_t{7}, size_t{64}, size_t{100}}) {
    const ReadBack cut = read_back(text, options, chunk);
    EXPECT_TRUE(cut.same_data(general)) << "chunks of " << chunk << " differ on\n" << text.substr(0, 2000);
  }
  return general;
}

ReaderOptions three() {
  return reader_options(
      {make_field("a", TypeId::kInt32), make_field("b", TypeId::kString), make_field("c", TypeId::kFloat64)},
      DataFormat::kCsv);
}

TEST(CsvReader, ReadsRecordsByHeader) {
  const ReadBack got = read_all("a,b,c\n1,x,1.5\n-2,yy,2\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"x","c":1.5})", R"({"a":-2,"b":"yy","c":2.0})"));
  EXPECT_THAT(got.verbatim, ElementsAre(true, true));
  EXPECT_THAT(got.lines, ElementsAre(2, 3));
  EXPECT_THAT(got.positions, ElementsAre(6, 14));
  EXPECT_THAT(got.raw, ElementsAre("1,x,1.5", "-2,yy,2"));
}

std::string message_of(const std::string& text, ReaderOptions options) {
  const ReadBack got = read_back(text, options);
  return got.bad.size() == 1 ? got.bad[0].message : got.error.empty() ? fmt::format("{} bad records", got.bad.size()) : got.error;
}

// Whatever stands beside it may be of a field that is not to be shown.
TEST(CsvReader, MessagesShowTheWrongCellAndNothingBeside) {
  EXPECT_EQ(message_of("a,b,c\n\"\",SECRET,1\n", three()), "field a: an empty text is no int32 (byte 1)");
  EXPECT_EQ(message_of("a,b,c\n1x,SECRET,1\n", three()), "field a: 1x is no int32 (byte 0)");
  EXPECT_EQ(message_of("a,b,c\n\"1 \"\"x\"\"\",SECRET,1\n", three()), "field a: 1 \"\"x\"\" is no int32 (byte 1)");
  EXPECT_EQ(message_of("b,a,c\nSECRET,\"1,\n2\",1\n", three()), "field a: 1,\\n2 is no int32 (byte 8)");
  EXPECT_EQ(message_of("b,c,a\nSECRET,1,x y\n", three()), "field a: x y is no int32 (byte 9)");
  EXPECT_EQ(message_of("a,b,c\n" + std::string(39, '1') + "\xc3\xa9\xc3\xa9,SECRET,1\n", three()),
            "field a: " + std::string(39, '1') + "… is no int32 (byte 0)") << "no half of a character";
  EXPECT_EQ(message_of("a,b,c\n\"1\" x,SECRET,1\n", three()), "not well formed at  x (byte 3)");
  ReaderOptions other = three();
  other.csv.delimiter = ';';
  EXPECT_EQ(message_of("a;b;c\n1x;SECRET;1\n", other), "field a: 1x is no int32 (byte 0)");
  EXPECT_EQ(message_of("a;b;c\n\"\"x;SECRET;1\n", other), "not well formed at x (byte 2)");
  other.csv.delimiter = '\t';
  EXPECT_EQ(message_of("a\tb\tc\n\"\"\tSECRET\t1\n", other), "field a: an empty text is no int32 (byte 1)");
}

// Where a file has no header, its first record is taken for one.
TEST(CsvReader, MessagesShowNothingOfAHeaderWhereThereIsPii) {
  ReaderOptions options = three();
  options.fields[0].required = true;
  options.holds_pii = true;
  const auto error_of = [&](const std::string& text) {
    const auto files = std::make_shared<SourceFiles>();
    ChunkOptions chunks;
    chunks.format = DataFormat::kCsv;
    auto source = make_memory_chunk_source("x", make_memory_source(text), chunks, files);
    options.files = files;
    auto chunk = source->next().value();
    const Status status = CsvReader::make(options).value()->parse(chunk, [](columnar::Batch&&) { return Status(); }).status();
    return status.to_string() + "\n" + status.hint();
  };
  EXPECT_THAT(error_of("1,SECRET,x\n2,y,z\n"), testing::AllOf(HasSubstr("lacks the required column a"), testing::Not(HasSubstr("SECRET"))));
  EXPECT_THAT(error_of("1,aa,SECRET\n2,y,z\n"), testing::Not(HasSubstr("\"aa\"")));
  EXPECT_THAT(error_of("a,b,b\n1,x,2\n"), HasSubstr("names a column twice, the second time in cell 3"));
}

TEST(CsvReader, OtherColumnOrderUnknownAndMissingColumns) {
  const ReadBack got = read_all("b,extra,a\nx,9,1\n\"y\",,2\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"x","c":null})", R"({"a":2,"b":"y","c":null})"));
  EXPECT_THAT(got.verbatim, ElementsAre(false, false));
  EXPECT_EQ(got.drift, (std::map<std::string, uint64_t>{{"extra", 2}}));
  ReaderOptions options = three();
  options.fields[2].required = true;
  EXPECT_THAT(read_back("a,b,cc\n1,x,2\n", options).error, HasSubstr("lacks the required column c"));
  EXPECT_THAT(read_back("a,b,a\n1,x,2\n", options).error, HasSubstr("names column \"a\" twice"));
}

TEST(CsvReader, OpenContractsKeepUnknownColumns) {
  ReaderOptions options = three();
  options.open = true;
  EXPECT_THAT(read_all("a,x,b,c\n1,q\"q,b,2\n1,,b,2\n", options).rows,
              ElementsAre(R"({"a":1,"b":"b","c":2.0,"x":"q\"q"})", R"({"a":1,"b":"b","c":2.0,"x":null})"));
  EXPECT_THAT(read_all("a,b,c\n1,b,2\n1,b,2\n", options).rows,
              ElementsAre(R"({"a":1,"b":"b","c":2.0})", R"({"a":1,"b":"b","c":2.0})"));
}

TEST(CsvReader, OpenContractsTakeNoNameThatIsInsideAStructOfTheirOwn) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt32), make_field("at.city", TypeId::kString)}, DataFormat::kCsv);
  options.open = true;
  const ReadBack got = read_all("a,at.zip,at.city,b,at\n1,2,x,3,4\n", options);
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"at":{"city":"x"},"b":"3"})"));
  EXPECT_EQ(got.drift, (std::map<std::string, uint64_t>{{"at", 1}, {"at.zip", 1}}));
  EXPECT_THAT(read_all("a,at.zip\n1,2\n", options).rows, ElementsAre(R"({"a":1,"at":{"city":null}})"));
}

TEST(CsvReader, OpenColumnsAreNoDriftAndStandOnce) {
  ReaderOptions options = three();
  options.open = true;
  EXPECT_TRUE(read_all("a,x,b,c\n1,q,b,2\n", options).drift.empty());
  EXPECT_THAT(read_back("a,x,b,x,c\n1,q,b,r,2\n", options).error, HasSubstr("names column \"x\" twice"));
}

TEST(CsvReader, QuotesInsideUnquotedCellsAreNotVerbatim) {
  const ReadBack got = read_all("a,b,c\n1,x\"y,2\n1,\"x\"\"y\",2\n1,xy,2\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"x\"y","c":2.0})", R"({"a":1,"b":"x\"y","c":2.0})", R"({"a":1,"b":"xy","c":2.0})"));
  EXPECT_THAT(got.verbatim, ElementsAre(false, true, true));
  // A type that the hot loop leaves to other code.
  const ReaderOptions json = reader_options({make_field("j", TypeId::kJson), make_field("b", TypeId::kBytes)}, DataFormat::kCsv);
  EXPECT_THAT(read_all("j,b\n{\"a\":1},\n\"{\"\"a\"\":1}\",\n{},\n", json).verbatim, ElementsAre(false, true, true));
}

TEST(CsvReader, NullsAndEmptyTexts) {
  const ReadBack got = read_all("a,b,c\n,,\n1,\"\",\n1,\"\",\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":null,"b":null,"c":null})", R"({"a":1,"b":"","c":null})",
                                    R"({"a":1,"b":"","c":null})"));
  ReaderOptions options = three();
  options.csv.null_text = "NA";
  EXPECT_THAT(read_all("a,b,c\nNA,NA,NA\n1,\"NA\",2\n", options).rows,
              ElementsAre(R"({"a":null,"b":null,"c":null})", R"({"a":1,"b":"NA","c":2.0})"));
  options = three();
  options.fields[0].default_value = Value(int64_t{9});
  const ReadBack with_default = read_all("a,b,c\n,x,1\n2,x,1\n", options);
  EXPECT_THAT(with_default.rows, ElementsAre(R"({"a":9,"b":"x","c":1.0})", R"({"a":2,"b":"x","c":1.0})"));
  EXPECT_THAT(with_default.verbatim, ElementsAre(false, true));
}

TEST(CsvReader, Quotes) {
  const ReadBack got = read_all(
      "a,b,c\n1,\"x,y\",1\n\"2\",\"say "
      "\"\"hi\"\"\",2\n3,\"two\nlines\",3\n4,\"two\r\nlines\",4\n5,stray\"quote,5\n6,\"\"\"\",6\n",
      three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"x,y","c":1.0})", R"({"a":2,"b":"say \"hi\"","c":2.0})",
                                    R"({"a":3,"b":"two\nlines","c":3.0})", R"({"a":4,"b":"two\r\nlines","c":4.0})",
                                    R"({"a":5,"b":"stray\"quote","c":5.0})", R"({"a":6,"b":"\"","c":6.0})"));
  EXPECT_THAT(got.lines, ElementsAre(2, 3, 4, 6, 8, 9));
  EXPECT_EQ(read_all("a,b,c\n1,\"x\"y,2\n", three()).bad.at(0).reason, "syntax");
}

TEST(CsvReader, StrayQuotesDoNotOpen) {
  const ReadBack got = read_all("a,b,c\n1,5\" pipe,1\n2,6\" pipe,2\n3,x,3\n4,\"q\",4\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"5\" pipe","c":1.0})", R"({"a":2,"b":"6\" pipe","c":2.0})",
                                    R"({"a":3,"b":"x","c":3.0})", R"({"a":4,"b":"q","c":4.0})"));
}

TEST(CsvReader, AnUnterminatedQuoteTakesTheRestAndLosesNothing) {
  const ReadBack got = read_all("a,b,c\n1,x,1\n2,\"open,2\n3,x,3\n", three());
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"b":"x","c":1.0})"));
  ASSERT_EQ(got.bad.size(), 1u);
  EXPECT_EQ(got.bad[0].reason, "unterminated_quote");
  EXPECT_EQ(got.bad[0].bytes, "2,\"open,2\n3,x,3\n");
  EXPECT_EQ(got.bad[0].line, 3u);
  EXPECT_THAT(got.bad[0].message, HasSubstr("byte 2"));
}

TEST(CsvReader, RaggedRows) {
  const ReadBack got = read_all("a,b,c\n1,x\n1,x,2\n1,x,2,3\n1,x,2,\n", three());
  EXPECT_EQ(got.rows.size(), 1u);
  ASSERT_EQ(got.bad.size(), 3u);
  for (const auto& bad : got.bad) EXPECT_EQ(bad.reason, "column_count");
  EXPECT_THAT(got.bad[0].message, HasSubstr("2 cells"));
}

TEST(CsvReader, LineEnds) {
  const std::vector<std::string> expected = {R"({"a":1,"b":"x","c":1.0})", R"({"a":2,"b":"y","c":2.0})"};
  EXPECT_EQ(read_all("a,b,c\r\n1,x,1\r\n2,y,2\r\n", three()).rows, expected);
  EXPECT_EQ(read_all("a,b,c\r\n1,x,1\r\n2,y,2", three()).rows, expected);
  const ReadBack old_mac = read_all("a,b,c\r1,x,1\r2,y,2\r", three());
  EXPECT_EQ(old_mac.rows, expected);
  EXPECT_THAT(old_mac.lines, ElementsAre(2, 3));
  EXPECT_EQ(read_all("a,b,c\n1,x,1\n\n2,y,2\n\n", three()).rows, expected);
  const ReadBack lone = read_all("a,b,c\n1,x,1\n2,y\rz,2\n", three());
  EXPECT_EQ(lone.rows.size(), 1u);
  ASSERT_EQ(lone.bad.size(), 1u);
  EXPECT_EQ(lone.bad[0].reason, "lone_carriage_return");
}

TEST(CsvReader, OddBytes) {
  // JSON has \u0000, and what is written of it is read again.
  EXPECT_EQ(read_all(std::string("a,b,c\n1,\"x\0y\",2\n", 16), three()).rows.at(0), R"({"a":1,"b":"x\u0000y","c":2.0})");
  EXPECT_EQ(read_all(std::string("a,b,c\n1,x\0y,2\n", 14), three()).bad.at(0).reason, "control_character");
  EXPECT_EQ(read_all("a,b,c\n1,\xFF,2\n1,x,2\n", three()).bad.at(0).reason, "invalid_utf8");
  EXPECT_EQ(read_all("a,b,c\n1,x\ty,2\n", three()).rows.at(0), R"({"a":1,"b":"x\ty","c":2.0})");
  EXPECT_EQ(read_all("\xEF\xBB\xBF"
                     "a,b,c\n1,é,2\n",
                     three())
                .rows.at(0),
            "{\"a\":1,\"b\":\"é\",\"c\":2.0}");
}

TEST(CsvReader, ValuesOutsideTheirType) {
  const auto reason = [](const std::string& cell) {
    const ReadBack got = read_all("a,b,c\n" + cell + ",x,1\n", three());
    return got.bad.empty() ? got.rows.at(0) : got.bad[0].reason + ":" + got.bad[0].field;
  };
  EXPECT_EQ(reason("abc"), "wrong_type:a");
  EXPECT_EQ(reason("3000000000"), "out_of_range:a");
  EXPECT_EQ(reason("1.0"), "wrong_type:a");
  EXPECT_EQ(reason("007"), R"({"a":7,"b":"x","c":1.0})");
  EXPECT_EQ(reason(" 1"), "wrong_type:a");
  EXPECT_EQ(reason("-0"), R"({"a":0,"b":"x","c":1.0})");
  EXPECT_EQ(read_all("a,b,c\n1,x,1e400\n", three()).bad.at(0).reason, "out_of_range");
}

TEST(CsvReader, Dialects) {
  ReaderOptions options = three();
  options.csv.delimiter = '\t';
  EXPECT_THAT(read_all("a\tb\tc\n1\tx,y\t2\n\t\"t\tt\"\t2\n", options).rows,
              ElementsAre(R"({"a":1,"b":"x,y","c":2.0})", R"({"a":null,"b":"t\tt","c":2.0})"));
  options = three();
  options.csv.delimiter = ';';
  options.csv.quote = '\'';
  EXPECT_THAT(read_all("a;b;c\n1;'x;''y\n';2\n", options).rows, ElementsAre("{\"a\":1,\"b\":\"x;'y\\n\",\"c\":2.0}"));
  options = three();
  options.csv.escape = '\\';
  EXPECT_THAT(read_all("a,b,c\n1,\"x\\\"y\\\\\n\",2\n", options).rows,
              ElementsAre("{\"a\":1,\"b\":\"x\\\"y\\\\\\n\",\"c\":2.0}"));
  options = three();
  options.csv.comment = '#';
  const ReadBack commented = read_all("# \"one\na,b,c\n#two\n1,#x,2\n", options);
  EXPECT_THAT(commented.rows, ElementsAre(R"({"a":1,"b":"#x","c":2.0})"));
  EXPECT_EQ(commented.blank, 1u);
  EXPECT_THAT(commented.lines, ElementsAre(4));
  options = three();
  options.csv.header = false;
  EXPECT_THAT(read_all("1,x,2\n", options).rows, ElementsAre(R"({"a":1,"b":"x","c":2.0})"));
  options = three();
  options.csv.trim = true;
  EXPECT_THAT(read_all("a, b ,c\n 1 , x y ,2 \n1,  \" q \" ,2\n", options).rows,
              ElementsAre(R"({"a":1,"b":"x y","c":2.0})", R"({"a":1,"b":" q ","c":2.0})"));
  options = three();
  options.csv.quote = 0;
  EXPECT_THAT(read_all("a,b,c\n1,\"x,2\n", options).rows, ElementsAre(R"({"a":1,"b":"\"x","c":2.0})"));
  options = three();
  options.csv.quote = ',';
  EXPECT_FALSE(make_record_reader(options).ok());
}

TEST(CsvReader, OneColumnKeepsItsEmptyLines) {
  const ReaderOptions options = reader_options({make_field("a", TypeId::kString)}, DataFormat::kCsv);
  EXPECT_THAT(read_all("a\nx\n\n\"\"\n", options).rows, ElementsAre(R"({"a":"x"})", R"({"a":null})", R"({"a":""})"));
}

TEST(CsvReader, EmptyFilesAndHeadersAlone) {
  EXPECT_THAT(read_all("", three()).rows, IsEmpty());
  EXPECT_THAT(read_all("a,b,c\n", three()).rows, IsEmpty());
  EXPECT_THAT(read_all("a,b,c", three()).rows, IsEmpty());
  EXPECT_EQ(read_all("a,b,c\n", three()).records, 0u);
}

TEST(CsvReader, EveryTypeFromText) {
  const ReaderOptions options = reader_options(
      {make_field("t", TypeId::kTimestamp, "%Y/%m/%d %H:%M"), make_field("d", DataType::decimal(8, 2)),
       make_field("u", TypeId::kUuid), make_field("l", DataType::list(TypeId::kInt32)), make_field("j", TypeId::kJson),
       make_field("e", DataType::enumeration({"x", "y"})), make_field("f", TypeId::kBool)},
      DataFormat::kCsv);
  const std::string line =
      "2001/01/10 18:20,12.5,123e4567-e89b-12d3-a456-426614174000,\"[1, 2]\",\"{\"\"a\"\":1}\",y,true\n";
  const std::string expected =
      R"({"t":"2001/01/10 18:20","d":12.50,"u":"123e4567-e89b-12d3-a456-426614174000","l":[1,2],"j":{"a":1},"e":"y","f":true})";
  const ReadBack got = read_all("t,d,u,l,j,e,f\n" + line + line + "x,1,1,1,1,1,1\n", options);
  EXPECT_THAT(got.rows, ElementsAre(expected, expected));
  EXPECT_EQ(got.bad.at(0).field, "t");
}

TEST(CsvReader, LongCellsAndManyRows) {
  std::string text = "a,b,c\n";
  std::vector<std::string> expected;
  for (int i = 0; i < 6000; ++i) {
    const std::string cell(static_cast<size_t>(i % 70), 'x');
    const bool quoted = i % 3 == 0;
    text += std::to_string(i) + "," + (quoted ? "\"" + cell + "\"" : cell) + ",0.25\n";
    expected.push_back("{\"a\":" + std::to_string(i) +
                       ",\"b\":" + (cell.empty() && !quoted ? "null" : "\"" + cell + "\"") + ",\"c\":0.25}");
  }
  EXPECT_EQ(read_all(text, three()).rows, expected);
}

TEST(CsvReader, ReadsOnBehindCellsThatAreNotOfTheirType) {
  const ReaderOptions options =
      reader_options({make_field("a", TypeId::kInt32), make_field("b", TypeId::kInt8), make_field("l", DataType::list(TypeId::kInt32)),
                      make_field("c", TypeId::kString)},
                     DataFormat::kCsv);
  const std::string text = "c,a,b,l,new\nx,1,2,[3],n\nx,q,300,[3,n\n,7,\"\",\"[1,\"\"y\"\"]\",n\n\"q\"\"\",y,3,[,\nx,1\n";
  for (const size_t chunk : {size_t{1} << 19, size_t{70}}) {
    const ReadBack got = read_back(text, options, chunk);
    EXPECT_THAT(got.again, ElementsAre(R"(wrong_type a, out_of_range b, truncated l | {"a":null,"b":null,"l":null,"c":"x"})",
                                       R"(wrong_type b, wrong_type l | {"a":7,"b":null,"l":null,"c":null})",
                                       R"(wrong_type a, truncated l | {"a":null,"b":3,"l":null,"c":"q\""})", "column_count"));
    EXPECT_EQ(got.rows.size(), 1u);
  }
}

}  // namespace
}  // namespace runink::connectors
