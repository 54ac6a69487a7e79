#include "data/connectors/csv_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "base/nearest.h"
#include "base/text.h"
#include "data/connectors/reader_columns.h"

namespace runink::connectors {

using columnar::kBatchRows;
using columnar::TypeId;

std::optional<CsvFault> split_csv_record(std::string_view record, const CsvDialect& d, bool lone_cr,
                                         std::string& scratch, std::vector<CsvCell>* cells) {
  cells->clear();
  scratch.clear();
  scratch.reserve(record.size() + 64);  // so that views into it stay
  const char* const begin = record.data();
  const char* const end = begin + record.size();
  const char escape = d.escape != 0 && d.escape != d.quote ? d.escape : 0;
  const auto blank = [&](char c) { return (c == ' ' || c == '\t') && c != d.delimiter; };
  const auto fault = [&](Undecodable reason, const char* at) {
    return CsvFault{reason, static_cast<size_t>(at - begin)};
  };
  const char* p = begin;
  while (true) {
    CsvCell cell;
    const char* q = p;
    if (d.trim) {
      while (q < end && blank(*q)) ++q;
    }
    if (d.quote != 0 && q < end && *q == d.quote) {
      const char* const opened = q++;
      cell.quoted = true;
      const char* plain = q;
      const size_t kept = scratch.size();
      bool pieces = false, closed = false;
      while (q < end) {
        if (escape != 0 && *q == escape && q + 1 < end) {
          scratch.append(plain, q);
          pieces = true;
          plain = q + 1;
          q += 2;
        } else if (*q != d.quote) {
          ++q;
        } else if (escape == 0 && q + 1 < end && q[1] == d.quote) {
          scratch.append(plain, q + 1);
          pieces = true;
          q += 2;
          plain = q;
        } else {
          closed = true;
          break;
        }
      }
      if (!closed) return fault(Undecodable::kUnterminatedQuote, opened);
      cell.raw = {opened + 1, static_cast<size_t>(q - opened - 1)};
      if (pieces) {
        scratch.append(plain, q);
        cell.text = std::string_view(scratch).substr(kept);
      } else {
        cell.text = {plain, static_cast<size_t>(q - plain)};
      }
      ++q;
      if (d.trim) {
        while (q < end && blank(*q)) ++q;
      }
      if (q < end && *q != d.delimiter) return fault(Undecodable::kSyntax, q);
    } else {
      q = p;
      while (q < end && *q != d.delimiter) {
        if (*q == '\0') return fault(Undecodable::kControlCharacter, q);
        if (*q == '\r' && !lone_cr) return fault(Undecodable::kLoneCarriageReturn, q);
        ++q;
      }
      cell.text = {p, static_cast<size_t>(q - p)};
      if (d.trim) {
        while (!cell.text.empty() && blank(cell.text.front())) cell.text.remove_prefix(1);
        while (!cell.text.empty() && blank(cell.text.back())) cell.text.remove_suffix(1);
      }
      cell.raw = cell.text;
    }
    cells->push_back(cell);
    if (q == end) return std::nullopt;
    p = q + 1;
  }
}

Result<std::unique_ptr<CsvReader>> CsvReader::make(const ReaderOptions& options, const hot::Loops* loops) {
  RUNINK_RETURN_IF_ERROR(validate(options.csv));
  if (options.csv.header && options.files == nullptr)
    return internal_error("a CSV reader needs the files of its source");
  ReaderColumns columns = RUNINK_TRY(reader_columns(options));
  return std::unique_ptr<CsvReader>(new CsvReader(options, std::move(columns.schema), std::move(columns.codecs),
                                                  loops == nullptr ? &hot::loops() : loops));
}

CsvReader::CsvReader(const ReaderOptions& options, columnar::SchemaPtr schema, std::vector<FieldCodec> codecs,
                     const hot::Loops* loops)
    : options_(options),
      schema_(std::move(schema)),
      codecs_(std::move(codecs)),
      rows_(schema_, &codecs_, options.origin, true),
      walker_(codecs_, options.open, options.schema->size(), &rows_, &drift_),
      loops_(loops) {
  context_.self = this;
  context_.columns = rows_.hot_columns();
  context_.row_limit = kBatchRows;
  context_.delimiter = options.csv.delimiter;
  context_.quote = options.csv.quote;
  context_.comment = options.csv.comment;
  context_.grow = [](void* self, uint32_t column, size_t size) {
    static_cast<CsvReader*>(self)->rows_.grow_text(column, size);
  };
  context_.null = [](void* self, uint32_t column, int64_t row) {
    static_cast<CsvReader*>(self)->rows_.set_null(column, row);
  };
  context_.general = [](void* self, int32_t column, const char* p) -> const char* {
    return static_cast<CsvReader*>(self)->hot_cell(column, p);
  };
}

Result<const CsvReader::Mapping*> CsvReader::mapping_of(uint32_t source) {
  const auto found = mappings_.find(source);
  if (found != mappings_.end()) return &found->second;
  Mapping mapping;
  const size_t fields = options_.schema->size();
  if (options_.csv.header) {
    mapping = RUNINK_TRY(map_header(options_.files->file(source)));
  } else {
    for (size_t i = 0; i < fields; ++i) mapping.columns.push_back(static_cast<int32_t>(i));
    mapping.names.resize(fields);
    mapping.open.resize(fields);
    mapping.verbatim = true;
  }
  if (options_.files != nullptr) mapping.lone_cr = options_.files->file(source).lone_cr;
  const CsvDialect& d = options_.csv;
  mapping.hot =
      d.null_text.empty() && !d.trim && d.escape == 0 && !mapping.lone_cr && !mapping.any_open;
  if (options_.open && !mapping.any_open) mapping.missing.push_back(static_cast<int32_t>(fields));
  constexpr size_t kMostKept = 1024;
  if (mappings_.size() >= kMostKept) mappings_.clear();
  return &mappings_.emplace(source, std::move(mapping)).first->second;
}

Status CsvReader::named_twice(const SourceFile& file, size_t cell, std::string_view name) const {
  if (options_.holds_pii) {
    return invalid_argument("{}: the CSV header names a column twice, the second time in cell {}", file.name, cell + 1);
  }
  return invalid_argument("{}: the CSV header names column \"{}\" twice", file.name, escape_control(name));
}

Result<CsvReader::Mapping> CsvReader::map_header(const SourceFile& file) {
  Mapping mapping;
  const size_t fields = options_.schema->size();
  std::string_view header = file.header;
  while (!header.empty() && (header.back() == '\n' || header.back() == '\r')) header.remove_suffix(1);
  const auto fault = split_csv_record(header, options_.csv, file.lone_cr, scratch_, &cells_);
  if (fault || !simdjson::validate_utf8(header.data(), header.size())) {
    return invalid_argument("{}: the CSV header cannot be read: {}", file.name,
                            fault ? undecodable_name(fault->reason) : "it is not UTF-8");
  }
  std::vector<bool> seen(fields);
  bool ordered = cells_.size() == fields;
  const bool names_any = std::any_of(cells_.begin(), cells_.end(),
                                     [&](const CsvCell& cell) { return options_.schema->index_of(trim(cell.text)) >= 0; });
  for (size_t i = 0; i < cells_.size(); ++i) {
    const std::string_view name = trim(cells_[i].text);
    const int index = options_.schema->index_of(name);
    mapping.columns.push_back(index);
    mapping.names.emplace_back();
    mapping.open.push_back(false);
    ordered = ordered && index == static_cast<int>(i);
    if (index < 0) {
      for (size_t j = 0; options_.open && j < i; ++j) {
        if (mapping.columns[j] >= 0 || mapping.names[j] != name) continue;
        return named_twice(file, i, name);
      }
      if (options_.open && !columnar::is_inside_own(*options_.schema, name)) {
        mapping.open.back() = mapping.any_open = true;
      } else {
        mapping.drift.push_back(drift_.id_of(names_any || !options_.holds_pii ? std::string(name) : fmt::format("column {}", i + 1)));
      }
      mapping.names.back() = std::string(name);
      continue;
    }
    if (seen[static_cast<size_t>(index)]) {
      return named_twice(file, i, name);
    }
    seen[static_cast<size_t>(index)] = true;
  }
  std::vector<std::string> absent;
  for (size_t i = 0; i < fields; ++i) {
    if (seen[i]) continue;
    mapping.missing.push_back(static_cast<int32_t>(i));
    if (codecs_[i].options.required && !codecs_[i].options.default_value) absent.push_back(codecs_[i].field.name);
  }
  if (!absent.empty()) {
    std::vector<std::string> unknown;
    for (const std::string& name : mapping.names) {
      if (!name.empty()) unknown.push_back(name);
    }
    const auto near = nearest(absent[0], unknown);
    std::string hint = options_.holds_pii
                           ? fmt::format("the first record must name the columns; {} of its {} cells name one of the contract",
                                         cells_.size() - unknown.size(), cells_.size())
                       : near.empty()
                           ? "the header is: " + escape_control(header.substr(0, 200))
                           : fmt::format("is column \"{}\" meant? Then rename one of them", escape_control(near[0]));
    return invalid_argument("{}: the CSV header lacks {} {}", file.name,
                            absent.size() == 1 ? "the required column" : "the required columns", join(absent, ", "))
        .with_hint(std::move(hint));
  }
  mapping.verbatim = ordered;
  return mapping;
}

void CsvReader::begin_batch(const ChunkPtr& chunk) {
  rows_.start(chunk);
  const auto arrays = rows_.origin_arrays();
  context_.origin_offset = arrays.offset;
  context_.origin_length = arrays.length;
  context_.origin_line = arrays.line;
  context_.origin_verbatim = arrays.verbatim;
  context_.row = 0;
}

Status CsvReader::flush(const ChunkPtr& chunk, const BatchCallback& callback, ChunkReport& report, bool more) {
  if (rows_.row() > 0) {
    report.rows += static_cast<uint64_t>(rows_.row());
    RUNINK_RETURN_IF_ERROR(callback(rows_.finish()));
    if (more) begin_batch(chunk);
  }
  return Status();
}

namespace {
uint32_t count_breaks(std::string_view text, bool lone_cr) {
  auto count = static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n'));
  if (lone_cr) {
    for (size_t i = 0; i < text.size(); ++i) count += text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n');
  }
  return count;
}
}  // namespace

Result<ChunkReport> CsvReader::parse(const ChunkPtr& chunk, const BatchCallback& callback) {
  ChunkReport report;
  const Mapping& mapping = *RUNINK_TRY(mapping_of(chunk->source));
  const char* const base = chunk->bytes.data();
  const char* const end = base + chunk->bytes.size();
  context_.base = base;
  context_.end = end;
  context_.p = base;
  context_.line = 0;
  if (options_.csv.header) {
    const uint64_t data = options_.files->file(chunk->source).data_position;
    if (chunk->position < data) {
      const size_t header = std::min(static_cast<size_t>(data - chunk->position), chunk->bytes.size());
      context_.line = count_breaks(chunk->bytes.substr(0, header), mapping.lone_cr);
      context_.p = base + header;
    }
  }
  const bool all_utf8 =
      loops_->is_ascii(base, chunk->bytes.size()) || simdjson::validate_utf8(base, chunk->bytes.size());
  context_.cell_columns = mapping.columns.data();
  context_.column_count = static_cast<uint32_t>(mapping.columns.size());
  context_.verbatim = mapping.verbatim;
  const char quote = options_.csv.quote;
  context_.has_quotes = quote != 0 && std::memchr(base, quote, chunk->bytes.size()) != nullptr;
  begin_batch(chunk);
  while (context_.p < end) {
    if (rows_.full()) RUNINK_RETURN_IF_ERROR(flush(chunk, callback, report, true));
    if (mapping.hot && all_utf8) {
      const int64_t first = rows_.row();
      context_.row = first;
      const hot::Stop stop = loops_->csv(context_);
      rows_.set_row(context_.row);
      if (stop == hot::Stop::kMiss) rows_.restart_row();
      if (context_.row > first) {
        for (const uint32_t id : mapping.drift) drift_.count(id, static_cast<uint64_t>(context_.row - first));
        const int64_t last = context_.row;
        fill_missing(mapping, first, last);
      }
      if (stop != hot::Stop::kMiss) continue;
    }
    general_record(mapping, !all_utf8, report);
  }
  RUNINK_RETURN_IF_ERROR(flush(chunk, callback, report, false));
  report.records += report.rows;
  report.drift = drift_.take();
  chunk->line_count = context_.line;
  return report;
}

void CsvReader::fill_missing(const Mapping& mapping, int64_t first, int64_t last) {
  for (const int32_t column : mapping.missing) {
    const auto index = static_cast<size_t>(column);
    const auto& otherwise = codecs_[index].options.default_value;
    for (int64_t row = first; row < last; ++row) {
      rows_.set_row(row);
      if (otherwise) {
        rows_.set_value(index, *otherwise);
      } else {
        rows_.set_null(index);
      }
    }
  }
  rows_.set_row(last);
}

void CsvReader::general_record(const Mapping& mapping, bool check_utf8, ChunkReport& report) {
  const char* const begin = context_.p;
  const std::string_view rest(begin, static_cast<size_t>(context_.end - begin));
  const CsvRecord found = next_csv_record(rest, options_.csv, mapping.lone_cr);
  const std::string_view whole = rest.substr(0, found.length + found.break_length);
  std::string_view record = rest.substr(0, found.length);
  // A CR that the end of the file left without its LF.
  if (found.break_length == 0 && !found.open_quote && !record.empty() && record.back() == '\r') record.remove_suffix(1);
  const uint32_t line = context_.line;
  context_.line += count_breaks(whole, mapping.lone_cr);
  context_.p = begin + whole.size();

  const bool comment = options_.csv.comment != 0 && !record.empty() && record[0] == options_.csv.comment;
  const bool blank = mapping.columns.size() > 1 && record.find_first_not_of(" \t\r") == std::string_view::npos;
  if (comment || blank) {
    ++report.blank;
    return;
  }
  rows_.restart_row();
  std::optional<UndecodableRecord> bad;
  if (found.open_quote) {
    bad.emplace();
    bad->reason = Undecodable::kUnterminatedQuote;
    bad->at = static_cast<uint32_t>(found.quote_at);
  } else if (check_utf8 && !simdjson::validate_utf8(record.data(), record.size())) {
    bad.emplace();
    bad->reason = Undecodable::kInvalidUtf8;
    while (bad->at < record.size() && simdjson::validate_utf8(record.data(), bad->at + 1)) ++bad->at;
  } else {
    bad = convert(mapping, record);
  }
  const auto offset = static_cast<uint32_t>(begin - context_.base);
  if (bad) {
    rows_.restart_row();
    bad->offset = offset;
    bad->length = static_cast<uint32_t>(record.size());
    bad->line = line;
    report.undecodable.push_back(*bad);
    ++report.records;
    return;
  }
  for (const uint32_t id : mapping.drift) drift_.count(id);
  rows_.commit_row(offset, static_cast<uint32_t>(record.size()), line, mapping.verbatim && !coerced_ && !odd_quote_);
  context_.row = rows_.row();
}

Result<Reread> CsvReader::reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) {
  Reread out;
  const Mapping& mapping = *RUNINK_TRY(mapping_of(chunk->source));
  begin_batch(chunk);
  for (const UndecodableRecord& record : bad) {
    Reread::Record& found = out.records.emplace_back();
    if (record.field < 0) {
      found.errors.push_back(record);
      continue;
    }
    rows_.restart_row();
    (void)convert(mapping, chunk->bytes.substr(record.offset, record.length), &found);
    for (UndecodableRecord& error : found.errors) {
      error.offset = record.offset;
      error.length = record.length;
      error.line = record.line;
    }
    found.row = rows_.row();
    rows_.commit_row(record.offset, record.length, record.line, false);
  }
  if (rows_.row() > 0) out.rows = rows_.finish();
  return out;
}

std::optional<UndecodableRecord> CsvReader::convert(const Mapping& mapping, std::string_view record,
                                                    Reread::Record* found) {
  UndecodableRecord bad;
  if (const auto fault = split_csv_record(record, options_.csv, mapping.lone_cr, scratch_, &cells_)) {
    bad.reason = fault->reason;
    bad.at = static_cast<uint32_t>(fault->at);
    bad.cell = static_cast<uint32_t>(std::min(record.find(options_.csv.delimiter, fault->at), record.size()) - fault->at);
    return bad;
  }
  if (cells_.size() != mapping.columns.size()) {
    bad.reason = Undecodable::kColumnCount;
    bad.at = static_cast<uint32_t>(cells_.size());
    return bad;
  }
  coerced_ = odd_quote_ = false;
  extra_.clear();
  for (size_t i = 0; i < cells_.size(); ++i) {
    // Such a cell can be read, and RFC 4180 does not allow it to be written so.
    odd_quote_ = odd_quote_ || (!cells_[i].quoted && options_.csv.quote != 0 &&
                                cells_[i].text.find(options_.csv.quote) != std::string_view::npos);
    const int32_t column = mapping.columns[i];
    if (column < 0) {
      if (!mapping.open[i]) continue;
      extra_ += extra_.empty() ? "{" : ",";
      append_json_quoted(extra_, mapping.names[i]);
      extra_ += ':';
      if (!cells_[i].quoted && (cells_[i].text.empty() || cells_[i].text == options_.csv.null_text)) {
        extra_ += "null";
      } else {
        append_json_quoted(extra_, cells_[i].text);
      }
      continue;
    }
    if (const auto reason = convert_cell(cells_[i], static_cast<size_t>(column))) {
      bad.reason = *reason;
      bad.field = column;
      bad.at = static_cast<uint32_t>(cells_[i].raw.data() - record.data());
      bad.cell = static_cast<uint32_t>(cells_[i].raw.size());
      if (found == nullptr) return bad;
      found->errors.push_back(bad);
      found->unread.push_back(column);
      rows_.set_null(static_cast<size_t>(column));
    }
  }
  const int64_t row = rows_.row();
  fill_missing(mapping, row, row + 1);
  rows_.set_row(row);
  if (mapping.any_open) {
    extra_ += '}';
    rows_.set_text(options_.schema->size(), extra_);
  }
  return std::nullopt;
}

std::optional<Undecodable> CsvReader::convert_cell(const CsvCell& cell, size_t column) {
  const FieldCodec& codec = codecs_[column];
  if (!cell.quoted && (cell.text.empty() || (!options_.csv.null_text.empty() && cell.text == options_.csv.null_text))) {
    if (codec.options.default_value) {
      coerced_ = true;
      rows_.set_value(column, *codec.options.default_value);
    } else {
      rows_.set_null(column);
    }
    return std::nullopt;
  }
  JsonWalker::Failure failure;
  switch (codec.id) {
    case TypeId::kString:
      rows_.set_text(column, cell.text);
      return std::nullopt;
    case TypeId::kJson:
      if (!walker_.is_json(cell.text, &failure)) return Undecodable::kBadText;
      rows_.set_text(column, cell.text);
      return std::nullopt;
    case TypeId::kList:
    case TypeId::kStruct:
      if (!walker_.cell(cell.text, column, &failure)) return failure.reason;
      return std::nullopt;
    default: {
      auto bad = scalar_from_text(codec, cell.text, &scalar_, &coerced_);
      if (bad) {
        const bool plain = codec.id == TypeId::kBool || codec.field.type.is_numeric();
        if (*bad == Undecodable::kBadText && plain) bad = Undecodable::kWrongType;
        return bad;
      }
      rows_.set_scalar(column, scalar_);
      return std::nullopt;
    }
  }
}

// A cell of a type that the hot loop does not know, or an odd text of one that it does.
const char* CsvReader::hot_cell(int32_t column, const char* p) {
  const char quote = options_.csv.quote, delimiter = options_.csv.delimiter;
  const char* const end = context_.end;
  rows_.set_row(context_.row);
  CsvCell cell;
  const char* stop;
  if (quote != 0 && *p == quote) {
    const auto* closing = static_cast<const char*>(std::memchr(p + 1, quote, static_cast<size_t>(end - p - 1)));
    if (closing == nullptr || closing[1] == quote) return nullptr;
    cell.quoted = true;
    cell.text = {p + 1, static_cast<size_t>(closing - p - 1)};
    if (std::memchr(cell.text.data(), '\n', cell.text.size()) != nullptr) return nullptr;  // lines are to be counted
    if (std::memchr(cell.text.data(), '\0', cell.text.size()) != nullptr) return nullptr;
    stop = closing + 1;
  } else {
    stop = p;
    while (stop < end && *stop != delimiter && *stop != '\n' && *stop != '\r') {
      if (*stop == '\0' || (*stop == quote && quote != 0)) return nullptr;
      ++stop;
    }
    cell.text = {p, static_cast<size_t>(stop - p)};
  }
  coerced_ = false;
  if (convert_cell(cell, static_cast<size_t>(column)) || coerced_) return nullptr;
  return stop;
}

}  // namespace runink::connectors
