#include "client/local/append_target.h"

#include "base/text.h"
#include "data/connectors/csv_header.h"
#include "data/connectors/csv_reader.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

using connectors::DataFormat;

// The cells of the header that the sink would write.
Result<std::vector<std::string>> columns_of(const connectors::WriterOptions& options) {
  connectors::WriterOptions with_header = options;
  with_header.csv.header = true;
  auto writer = RUNINK_TRY(connectors::make_record_writer(with_header));
  columnar::Buffer header;
  RUNINK_RETURN_IF_ERROR(writer->begin(header));
  std::vector<connectors::CsvCell> cells;
  std::string scratch;
  std::string_view line = header.view();
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  std::vector<std::string> out;
  if (connectors::split_csv_record(line, options.csv, false, scratch, &cells)) return out;
  for (const auto& cell : cells) out.emplace_back(trim(cell.text));
  return out;
}

std::string listed(const std::vector<std::string>& names) { return escape_control(join(names, ", ")); }

Status same_columns(const std::string& path, const std::vector<std::string>& there, const connectors::WriterOptions& writer) {
  const std::vector<std::string> wanted = RUNINK_TRY(columns_of(writer));
  Status status;
  if (!writer.csv.header) {
    if (there.size() == wanted.size()) return status;
    status = failed_precondition("{}: its records have {} cells, and those to be added have {}", path, there.size(),
                                 wanted.size());
  } else {
    if (there == wanted) return status;
    status = failed_precondition("{}: its columns are {}, and the records to be added have {}", path, listed(there),
                                 listed(wanted));
  }
  const bool other_delimiter = there.size() == 1 && wanted.size() > 1;
  return std::move(status)
      .with_kind("sink.columns")
      .with_hint(other_delimiter ? "has it another delimiter? @sink(…, delimiter=\";\") says which"
                                 : "write to another file, or the whole of this one again: mode=\"replace\"");
}

}  // namespace

Result<AppendTarget> look_at_append_target(const connectors::Locator& locator, const connectors::WriterOptions& writer) {
  AppendTarget out;
  const auto info = os::file_info(locator.path);
  if (!info.ok() || info->size == 0) return out;
  if (locator.format == DataFormat::kArrow) {
    return failed_precondition("{}: records cannot be added to an Arrow stream", locator.text)
        .with_hint("write the whole of it again: mode=\"replace\"");
  }
  out.has_records = true;
  if (locator.format == DataFormat::kCsv) {
    const auto there = RUNINK_TRY(connectors::read_csv_header(locator.path, locator.compression, writer.csv));
    out.has_records = !there.empty();
    if (out.has_records) RUNINK_RETURN_IF_ERROR(same_columns(locator.text, there, writer));
  }
  if (locator.format != DataFormat::kCsv) {
    if (RUNINK_TRY(connectors::lacks_final_line_break(locator.path, locator.compression))) out.before = "\n";
    return out;
  }
  const auto ending = RUNINK_TRY(connectors::read_csv_ending(locator.path, locator.compression, writer.csv));
  if (ending.open_quote) {
    return failed_precondition("{}: its last record ends inside quotes, which began in line {}; whatever is added would "
                               "become a part of it",
                               locator.text, ending.open_line)
        .with_kind("sink.open_quote")
        .with_hint("it was cut off; correct or remove that record, or write the whole file again: mode=\"replace\"");
  }
  if (ending.any_break) out.crlf = ending.crlf;
  if (!ending.final_break) out.before = out.crlf.value_or(writer.csv.crlf) ? "\r\n" : "\n";
  return out;
}

}  // namespace runink::local
