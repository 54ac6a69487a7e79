#include "client/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "base/check.h"
#include "base/nearest.h"
#include "base/text.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

std::string iso_time(int64_t unix_micros) {
  int64_t seconds = unix_micros / 1'000'000, micros = unix_micros % 1'000'000;
  if (micros < 0) {
    micros += 1'000'000;
    --seconds;
  }
  std::time_t time = seconds;
  std::tm fields{};
  gmtime_r(&time, &fields);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", fields.tm_year + 1900, fields.tm_mon + 1,
                                 fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec);
  return text + "Z";
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return fmt::format("{}", value);
}

std::string csv_field(const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell.value())) return "";
  std::string text = cell.for_programs();
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

// Escape codes around a text already padded; the style of each cell, dim headings.
std::string paint(Style style, const std::string& text, bool colour) {
  if (!colour || style == Style::kPlain) return text;
  static constexpr const char* kCodes[] = {"", "1", "2", "31", "32", "33", "34", "36"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(style)], text);
}

// JSON in which DEL and the C1 control characters are escaped as well: JSON allows them in a text, terminals obey them.
void append_without_controls(std::string_view json, std::string& out) {
  for (size_t i = 0; i < json.size(); ++i) {
    const auto c = static_cast<uint8_t>(json[i]);
    if (c == 0x7F) {
      out += "\\u007f";
    } else if (c == 0xC2 && i + 1 < json.size() && static_cast<uint8_t>(json[i + 1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<uint8_t>(json[++i]));
    } else {
      out += json[i];
    }
  }
}

// CSV has no escape for control bytes; who asks for it on a terminal only wants to look.
void print_listing(const std::string& text, OutputForm form, Console& console) {
  const bool raw = form == OutputForm::kCsv && console.out_is_terminal();
  console.out(raw ? os::terminal_text(text) : text);
}

constexpr int kGap = 2;        // spaces between columns
constexpr int kNarrowest = 8;  // columns are not cut below this
constexpr int kLongestId = 32;

// Cuts the widest columns first until the row fits.
void fit_widths(std::vector<int>* widths, const std::vector<bool>& may_cut, int width) {
  auto total = [&] {
    int sum = kGap * (static_cast<int>(widths->size()) - 1);
    for (int w : *widths) sum += w;
    return sum;
  };
  while (total() > width) {
    int widest = -1;
    for (size_t i = 0; i < widths->size(); ++i) {
      if (!may_cut[i] || (*widths)[i] <= kNarrowest) continue;
      if (widest < 0 || (*widths)[i] > (*widths)[static_cast<size_t>(widest)]) widest = static_cast<int>(i);
    }
    if (widest < 0) return;
    --(*widths)[static_cast<size_t>(widest)];
  }
}

std::string render_columns(const Table& table, bool wide, int width, bool colour) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < table.columns().size(); ++i) {
    if (wide || !table.columns()[i].wide) shown.push_back(i);
  }
  std::vector<int> widths;
  std::vector<bool> right, may_cut;
  std::vector<std::vector<std::string>> texts(table.rows().size());
  for (size_t i : shown) {
    const Column& column = table.columns()[i];
    int widest = display_width(column.title);
    bool numeric = !table.rows().empty();
    for (size_t r = 0; r < table.rows().size(); ++r) {
      const Cell& cell = table.rows()[r][i];
      texts[r].push_back(cell.for_people());
      widest = std::max(widest, display_width(texts[r].back()));
      numeric &= cell.numeric() || std::holds_alternative<std::monostate>(cell.value());
    }
    widths.push_back(widest);
    right.push_back(column.right || numeric);
    // What `-o name` prints is what the next command is given: an id that was cut is of no use there.
    const bool id = i == 0 && widest <= kLongestId;
    may_cut.push_back(!numeric && !id);
  }
  if (!wide && width > 0) fit_widths(&widths, may_cut, width);

  std::string out;
  auto line = [&](auto&& text_of, auto&& style_of) {
    std::string row;
    for (size_t c = 0; c < shown.size(); ++c) {
      if (c) row += std::string(kGap, ' ');
      std::string text = wide || width <= 0 ? std::string(text_of(c)) : cut_to_width(text_of(c), widths[c]);
      bool last = c + 1 == shown.size();
      std::string padded = last && !right[c] ? text : pad_to_width(text, widths[c], right[c]);
      row += paint(style_of(c), padded, colour);
    }
    while (!row.empty() && row.back() == ' ') row.pop_back();
    out += row + "\n";
  };
  line([&](size_t c) { return table.columns()[shown[c]].title; }, [](size_t) { return Style::kDim; });
  for (size_t r = 0; r < table.rows().size(); ++r) {
    line([&](size_t c) { return texts[r][c]; }, [&](size_t c) { return table.rows()[r][shown[c]].style(); });
  }
  return out;
}

void append_object(const std::vector<Column>& columns, const std::vector<Cell>& cells, std::string& out) {
  out += '{';
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i) out += ',';
    append_json_quoted(out, columns[i].key);
    out += ':';
    cells[i].append_json(out);
  }
  out += '}';
}

void append_yaml_fields(const std::vector<Column>& columns, const std::vector<Cell>& cells, std::string_view first,
                        std::string_view rest, std::string& out) {
  for (size_t i = 0; i < columns.size(); ++i) {
    out += i ? rest : first;
    out += columns[i].key;
    out += ": ";
    cells[i].append_json(out);  // a JSON value is a YAML value
    out += '\n';
  }
}

std::string csv_line(const std::vector<Cell>& cells) {
  std::string out;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i) out += ',';
    out += csv_field(cells[i]);
  }
  return out + "\n";
}

std::string csv_header(const std::vector<Column>& columns) {
  std::vector<Cell> cells;
  for (const Column& column : columns) cells.emplace_back(column.key);
  return csv_line(cells);
}

}  // namespace

const std::vector<std::string>& output_form_names() {
  static const std::vector<std::string> names = {"table", "wide", "json", "yaml", "csv", "name"};
  return names;
}

Result<OutputForm> parse_output_form(std::string_view word) {
  const std::vector<std::string>& names = output_form_names();
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == word) return static_cast<OutputForm>(i);
  }
  return invalid_argument("{} is not a form of output: {}", json_quote(word), join(names, ", "));
}

Cell Cell::bytes(uint64_t count) { return Cell(count).shown_as(human_bytes(count)); }
Cell Cell::count(uint64_t count) { return Cell(count).shown_as(human_count(count)); }
Cell Cell::seconds(double seconds) { return Cell(seconds).shown_as(human_duration(seconds)); }
Cell Cell::percent(double share) { return Cell(share).shown_as(fmt::format("{:.3g} %", share * 100)); }
Cell Cell::time(int64_t unix_micros) { return unix_micros == 0 ? Cell() : Cell(iso_time(unix_micros)); }

Cell Cell::list(const std::vector<std::string>& texts) {
  std::string json = "[";
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i) json += ',';
    append_json_quoted(json, texts[i]);
  }
  return Cell::json(json + "]").shown_as(join(texts, ", "));
}

bool Cell::numeric() const {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_) ||
         std::holds_alternative<double>(value_);
}

std::string Cell::for_programs() const {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(uint64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return number_text(value); }
    std::string operator()(const std::string& value) const { return value; }
    std::string operator()(const Json& value) const { return value.text; }
  };
  return std::visit(Visitor{}, value_);
}

std::string Cell::for_people() const {
  if (has_shown_) return escape_control(shown_);
  if (const bool* flag = std::get_if<bool>(&value_)) return *flag ? "yes" : "no";
  if (const double* number = std::get_if<double>(&value_)) return fmt::format("{:.6g}", *number);
  return escape_control(for_programs());
}

void Cell::append_json(std::string& out) const {
  if (std::holds_alternative<std::monostate>(value_)) {
    out += "null";
  } else if (const std::string* text = std::get_if<std::string>(&value_)) {
    std::string quoted;
    append_json_quoted(quoted, *text);
    append_without_controls(quoted, out);
  } else if (const Json* json = std::get_if<Json>(&value_)) {
    append_without_controls(json->text, out);
  } else if (const double* number = std::get_if<double>(&value_); number && !std::isfinite(*number)) {
    out += "null";
  } else {
    out += for_programs();
  }
}

void Table::add(std::vector<Cell> cells) {
  RUNINK_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string render_text(const Table& table, OutputForm form, int width, bool colour) {
  std::string out;
  switch (form) {
    case OutputForm::kTable:
    case OutputForm::kWide:
      if (table.rows().empty() && !table.empty_note().empty()) return "";  // the note goes to standard error
      return render_columns(table, form == OutputForm::kWide, width, colour);
    case OutputForm::kJson:
      out = "[";
      for (size_t r = 0; r < table.rows().size(); ++r) {
        out += r ? ",\n " : "\n ";
        append_object(table.columns(), table.rows()[r], out);
      }
      return out + (table.rows().empty() ? "]\n" : "\n]\n");
    case OutputForm::kYaml:
      if (table.rows().empty()) return "[]\n";
      for (const auto& row : table.rows()) append_yaml_fields(table.columns(), row, "- ", "  ", out);
      return out;
    case OutputForm::kCsv:
      out = csv_header(table.columns());
      for (const auto& row : table.rows()) out += csv_line(row);
      return out;
    case OutputForm::kName:
      for (const auto& row : table.rows()) out += escape_control(row[0].for_programs()) + "\n";
      return out;
  }
  return out;
}

Status render(const Table& table, OutputForm form, Console& console) {
  print_listing(render_text(table, form, console.out_is_terminal() ? console.out_width() : 0, console.out_colour()), form,
                console);
  bool for_people = form == OutputForm::kTable || form == OutputForm::kWide;
  if (table.rows().empty() && for_people && !table.empty_note().empty()) console.say(table.empty_note());
  return console.flush();
}

std::string render_fields_text(const std::vector<Field>& fields, OutputForm form, int width, bool colour) {
  std::vector<Column> columns;
  std::vector<Cell> cells;
  for (const Field& field : fields) {
    columns.push_back({field.key, field.title});
    cells.push_back(field.cell);
  }
  std::string out;
  switch (form) {
    case OutputForm::kTable:
    case OutputForm::kWide: {
      int title_width = 0;
      for (const Field& field : fields) title_width = std::max(title_width, display_width(field.title) + 1);
      for (const Field& field : fields) {
        std::string text = field.cell.for_people();
        if (form == OutputForm::kTable && width > title_width + kGap)
          text = cut_to_width(text, width - title_width - kGap);
        out += paint(Style::kDim, pad_to_width(field.title + ":", title_width), colour) + std::string(kGap, ' ');
        out += paint(field.cell.style(), text, colour) + "\n";
      }
      return out;
    }
    case OutputForm::kJson:
      append_object(columns, cells, out);
      return out + "\n";
    case OutputForm::kYaml:
      append_yaml_fields(columns, cells, "", "", out);
      return out;
    case OutputForm::kCsv:
      return csv_header(columns) + csv_line(cells);
    case OutputForm::kName:
      return cells.empty() ? "" : escape_control(cells[0].for_programs()) + "\n";
  }
  return out;
}

Status render_fields(const std::vector<Field>& fields, OutputForm form, Console& console) {
  print_listing(
      render_fields_text(fields, form, console.out_is_terminal() ? console.out_width() : 0, console.out_colour()), form,
      console);
  return console.flush();
}

}  // namespace runink::cli
