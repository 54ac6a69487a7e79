// Listings: one table of typed cells, six forms, so that all commands agree.
//
//   table  aligned columns for people; columns marked `wide` are left out; long cells are cut at the terminal's width
//   wide   all columns, nothing cut
//   json   one array of objects, keys are Column::key, typed values; stable: keys are only ever added
//   yaml   the same as YAML
//   csv    RFC 4180 with a header line of keys
//   name   the first column only, one per line: for scripts
//
// Text in cells may hold anything: control bytes are escaped in table, wide and name, and as \u009b in JSON and YAML. CSV
// has no escape for them: it is exact, but for a terminal. Bytes that are not UTF-8 become U+FFFD in JSON and YAML.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "client/cli/console.h"
#include "client/cli/text_width.h"

namespace runink::cli {

enum class OutputForm { kTable, kWide, kJson, kYaml, kCsv, kName };

// The six words, in the order above.
const std::vector<std::string>& output_form_names();
Result<OutputForm> parse_output_form(std::string_view word);

// A value and, where people should see it otherwise ("1.2 MB", "3 min ago"), the text for table and wide.
class Cell {
 public:
  struct Json {
    std::string text;
  };  // a JSON value already written, for nested things in json and yaml
  using Value = std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Json>;

  Cell() = default;                                               // no value: empty, null in JSON
  Cell(bool value) : value_(value) {}                             // NOLINT: implicit by design
  Cell(int value) : value_(static_cast<int64_t>(value)) {}        // NOLINT
  Cell(int64_t value) : value_(value) {}                          // NOLINT
  Cell(uint64_t value) : value_(value) {}                         // NOLINT
  Cell(uint32_t value) : value_(static_cast<uint64_t>(value)) {}  // NOLINT
  Cell(double value) : value_(value) {}                           // NOLINT
  Cell(std::string value) : value_(std::move(value)) {}           // NOLINT
  Cell(std::string_view value) : value_(std::string(value)) {}    // NOLINT
  Cell(const char* value) : value_(std::string(value)) {}         // NOLINT

  static Cell json(std::string text) {
    Cell c;
    c.value_ = Json{std::move(text)};
    return c;
  }
  static Cell bytes(uint64_t count);                        // 1.2 MB for people, the number for programs
  static Cell count(uint64_t count);                        // 1,234,567
  static Cell seconds(double seconds);                      // 12.3 s
  static Cell percent(double share);                        // 2.5 %
  static Cell time(int64_t unix_micros);                    // 2026-03-01T10:00:00Z in every form; 0 is no value
  static Cell list(const std::vector<std::string>& texts);  // "a, b" for people, an array for programs

  Cell&& shown_as(std::string text) && {
    shown_ = std::move(text);
    has_shown_ = true;
    return std::move(*this);
  }
  Cell&& styled(Style style) && {
    style_ = style;
    return std::move(*this);
  }

  const Value& value() const { return value_; }
  Style style() const { return style_; }
  bool numeric() const;
  std::string for_people() const;    // control bytes escaped, no colour
  std::string for_programs() const;  // plain text of the value, for csv
  void append_json(std::string& out) const;

 private:
  Value value_;
  std::string shown_;
  bool has_shown_ = false;
  Style style_ = Style::kPlain;
};

struct Column {
  std::string key;     // "rows_in": JSON key and CSV header
  std::string title;   // "IN": heading for people
  bool wide = false;   // only in `wide` (and in the forms for programs)
  bool right = false;  // align right; numbers are so by themselves
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns.
  void add(std::vector<Cell> cells);
  const std::vector<Column>& columns() const { return columns_; }
  const std::vector<std::vector<Cell>>& rows() const { return rows_; }
  // Said to people instead of an empty table ("no runs yet; start one with: runi run FEATURE").
  void set_empty_note(std::string note) { empty_note_ = std::move(note); }
  const std::string& empty_note() const { return empty_note_; }

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
  std::string empty_note_;
};

// The whole listing as text. `width`: columns of the terminal, 0 for no limit; `colour` only matters to table and wide.
std::string render_text(const Table& table, OutputForm form, int width, bool colour);
Status render(const Table& table, OutputForm form, Console& console);

// One thing rather than a list: fields below each other for people, one object for programs. csv and name are a row.
struct Field {
  std::string key, title;
  Cell cell;
};
std::string render_fields_text(const std::vector<Field>& fields, OutputForm form, int width, bool colour);
Status render_fields(const std::vector<Field>& fields, OutputForm form, Console& console);

}  // namespace runink::cli
