#include "client/cli/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "client/cli/captured_console.h"

namespace runink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Table sample() {
  Table table({{"run", "RUN"},
               {"state", "STATE"},
               {"rows_in", "IN"},
               {"bytes", "BYTES", true},
               {"ok", "OK"},
               {"note", "NOTE"}});
  table.add({"r-1", Cell("done").styled(Style::kGreen), Cell::count(1234567), Cell::bytes(2500000), true, "a, \"b\""});
  table.add({"r-2", "failed", Cell::count(12), Cell(), false, Cell("")});
  return table;
}

TEST(Output, TableAlignsAndLeavesWideColumnsOut) {
  EXPECT_EQ(render_text(sample(), OutputForm::kTable, 0, false),
            "RUN  STATE          IN  OK   NOTE\n"
            "r-1  done    1,234,567  yes  a, \"b\"\n"
            "r-2  failed         12  no\n");
}

TEST(Output, WideHasAllColumns) {
  EXPECT_EQ(render_text(sample(), OutputForm::kWide, 20, false),
            "RUN  STATE          IN    BYTES  OK   NOTE\n"
            "r-1  done    1,234,567  2.50 MB  yes  a, \"b\"\n"
            "r-2  failed         12           no\n");
}

TEST(Output, JsonIsTyped) {
  EXPECT_EQ(render_text(sample(), OutputForm::kJson, 0, false),
            "[\n"
            " {\"run\":\"r-1\",\"state\":\"done\",\"rows_in\":1234567,\"bytes\":2500000,\"ok\":true,\"note\":\"a, "
            "\\\"b\\\"\"},\n"
            " {\"run\":\"r-2\",\"state\":\"failed\",\"rows_in\":12,\"bytes\":null,\"ok\":false,\"note\":\"\"}\n"
            "]\n");
}

TEST(Output, YamlIsTyped) {
  EXPECT_THAT(render_text(sample(), OutputForm::kYaml, 0, false),
              HasSubstr("- run: \"r-2\"\n  state: \"failed\"\n  rows_in: 12\n  bytes: null\n  ok: false\n"));
}

TEST(Output, CsvQuotesAndTellsEmptyFromNothing) {
  EXPECT_EQ(render_text(sample(), OutputForm::kCsv, 0, false),
            "run,state,rows_in,bytes,ok,note\n"
            "r-1,done,1234567,2500000,true,\"a, \"\"b\"\"\"\n"
            "r-2,failed,12,,false,\"\"\n");
}

TEST(Output, NameIsTheFirstColumn) { EXPECT_EQ(render_text(sample(), OutputForm::kName, 0, false), "r-1\nr-2\n"); }

TEST(Output, EmptyListings) {
  Table table({Column{"a", "A"}});
  EXPECT_EQ(render_text(table, OutputForm::kTable, 0, false), "A\n");
  EXPECT_EQ(render_text(table, OutputForm::kJson, 0, false), "[]\n");
  EXPECT_EQ(render_text(table, OutputForm::kYaml, 0, false), "[]\n");
  EXPECT_EQ(render_text(table, OutputForm::kCsv, 0, false), "a\n");
  EXPECT_EQ(render_text(table, OutputForm::kName, 0, false), "");
  table.set_empty_note("no runs yet");
  CapturedConsole captured;
  ASSERT_TRUE(render(table, OutputForm::kTable, captured.console()).ok());
  EXPECT_EQ(captured.out(), "");
  EXPECT_EQ(captured.err(), "no runs yet\n");
}

TEST(Output, ControlBytesNeverReachATerminal) {
  Table table({Column{"a", "A"}});
  table.add({"\x1b[31mred\x07\n"});
  for (OutputForm form :
       {OutputForm::kTable, OutputForm::kWide, OutputForm::kJson, OutputForm::kYaml, OutputForm::kName}) {
    EXPECT_THAT(render_text(table, form, 80, false), Not(HasSubstr("\x1b"))) << static_cast<int>(form);
  }
}

TEST(Output, NumbersWithoutAJsonFormAreNull) {
  Table table({{"a", "A"}, {"b", "B"}});
  table.add({std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()});
  EXPECT_EQ(render_text(table, OutputForm::kJson, 0, false), "[\n {\"a\":null,\"b\":null}\n]\n");
}

TEST(Output, NarrowTerminalsCutTheWidestColumn) {
  Table table({{"a", "A"}, {"b", "B"}});
  table.add({"short", "a very long text that does not fit"});
  EXPECT_EQ(render_text(table, OutputForm::kTable, 20, false), "A      B\nshort  a very long …\n");
  EXPECT_THAT(render_text(table, OutputForm::kWide, 20, false), HasSubstr("does not fit"));
}

TEST(Output, NarrowTerminalsKeepTheIdWhole) {
  Table table({{"id", "RUN"}, {"feature", "FEATURE"}, {"in", "IN"}});
  table.add({"0199f92f04b7", "features/orders.dsl", 3});
  EXPECT_EQ(render_text(table, OutputForm::kTable, 20, false), "RUN           FEATURE   IN\n0199f92f04b7  feature…   3\n");
}

TEST(Output, ColourOnlyWhenAsked) {
  EXPECT_THAT(render_text(sample(), OutputForm::kTable, 0, true), HasSubstr("\x1b[32mdone  \x1b[0m"));
  EXPECT_THAT(render_text(sample(), OutputForm::kJson, 0, true), Not(HasSubstr("\x1b")));
}

// JSON allows C1 and DEL in a text, and YAML takes them as they are; terminals obey them.
TEST(Output, NoControlCharactersInAnyForm) {
  Table table({{"text", "TEXT"}, {"list", "LIST"}});
  const std::string text = "a\x1b[2J\xc2\x9b" "2Jb\x7f\xc3\xa9";
  table.add({text, Cell::list({text})});
  for (const OutputForm form : {OutputForm::kTable, OutputForm::kWide, OutputForm::kJson, OutputForm::kYaml, OutputForm::kName}) {
    const std::string out = render_text(table, form, 0, false);
    EXPECT_EQ(out.find_first_of("\x1b\x7f"), std::string::npos) << out;
    EXPECT_EQ(out.find("\xc2\x9b"), std::string::npos) << out;
    EXPECT_THAT(out, HasSubstr("\xc3\xa9"));
  }
  EXPECT_THAT(render_text(table, OutputForm::kJson, 0, false), HasSubstr("\"text\":\"a\\u001b[2J\\u009b2Jb\\u007f\xc3\xa9\""));
  EXPECT_THAT(render_text(table, OutputForm::kYaml, 0, false), HasSubstr("list: [\"a\\u001b[2J\\u009b2Jb\\u007f\xc3\xa9\"]"));
}

TEST(Output, Fields) {
  std::vector<Field> fields = {{"run", "run", "r-1"}, {"rows", "records in", Cell::count(1200)}};
  EXPECT_EQ(render_fields_text(fields, OutputForm::kTable, 0, false), "run:         r-1\nrecords in:  1,200\n");
  EXPECT_EQ(render_fields_text(fields, OutputForm::kJson, 0, false), "{\"run\":\"r-1\",\"rows\":1200}\n");
  EXPECT_EQ(render_fields_text(fields, OutputForm::kYaml, 0, false), "run: \"r-1\"\nrows: 1200\n");
  EXPECT_EQ(render_fields_text(fields, OutputForm::kCsv, 0, false), "run,rows\nr-1,1200\n");
}

TEST(Output, CellsForPeople) {
  EXPECT_EQ(Cell::percent(0.0251).for_people(), "2.51 %");
  EXPECT_EQ(Cell::time(1'772'359'200'000'000).for_people(), "2026-03-01T10:00:00Z");
  EXPECT_EQ(Cell::time(-1).for_people(), "1969-12-31T23:59:59Z");
  EXPECT_EQ(Cell::time(0).for_people(), "");
  EXPECT_EQ(Cell::list({"a", "b\""}).for_people(), "a, b\"");
  EXPECT_EQ(Cell::list({"a", "b\""}).for_programs(), "[\"a\",\"b\\\"\"]");
}

TEST(TextWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("né"), 2);
  EXPECT_EQ(display_width("日本"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width("\xff"), 1);
  EXPECT_EQ(cut_to_width("日本語", 5), "日本…");
  EXPECT_EQ(cut_to_width("日本語", 4), "日…");
  EXPECT_EQ(cut_to_width("abc", 3), "abc");
  EXPECT_EQ(pad_to_width("日", 4, true), "  日");
}

TEST(TextWidth, Wraps) {
  EXPECT_EQ(wrap_text("one two three", 9, 2), "  one two\n  three\n");
  EXPECT_EQ(wrap_text("para\n\n  code  stays\n", 20, 0), "para\n\n  code  stays\n\n");
}

}  // namespace
}  // namespace runink::cli
