#include "data/connectors/csv_writer.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/connectors/csv_border.h"
#include "data/connectors/open_members.h"

namespace runink::connectors {

using columnar::TypeId;

Result<std::unique_ptr<CsvWriter>> CsvWriter::make(const WriterOptions& options) {
  RUNINK_RETURN_IF_ERROR(validate(options.csv));
  auto writer = std::unique_ptr<CsvWriter>(new CsvWriter());
  for (const auto& field : options.schema->fields()) writer->fields_.push_back(RUNINK_TRY(WriteField::make(field)));
  writer->csv_ = options.csv;
  writer->verbatim_prefix_ = std::min(options.verbatim_prefix_columns, options.schema->size());
  writer->open_field_ = columnar::open_column(*options.schema);
  if (writer->open_field_ >= 0) {
    writer->verbatim_prefix_ = 0;  // a record's text says nothing of columns that other files have
    for (const auto& field : options.schema->fields()) writer->open_cell_[field.name] = -1;
    for (const auto& name : options.open_names) {
      if (!writer->open_cell_.try_emplace(name, static_cast<int>(writer->open_names_.size())).second) continue;
      writer->open_names_.push_back(name);
    }
  }
  for (const char c : {options.csv.delimiter, options.csv.quote, options.csv.escape, '\n', '\r'}) {
    if (c != 0) writer->special_[static_cast<unsigned char>(c)] = true;
  }
  writer->special_[0] = true;  // readers take NUL inside quotes only: outside it is most often no text file
  // Numbers, dates and words hold none of what needs quotes.
  writer->plain_digits_ = writer->csv_.null_text.empty() && writer->csv_.comment == 0;
  for (int c = 0; c < 256; ++c) {
    const bool used = std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.' || c == ':' || c == ' ';
    if (used && writer->special_[c]) writer->plain_digits_ = false;
  }
  return writer;
}

bool CsvWriter::needs_quotes(std::string_view text, bool first_cell) const {
  if (text.empty()) return true;  // an empty cell would be null
  // A reader may skip spaces around cells, and lines of nothing else.
  if (text.front() == ' ' || text.back() == ' ' || text.front() == '\t' || text.back() == '\t') return true;
  if (text == csv_.null_text || (first_cell && csv_.comment != 0 && text.front() == csv_.comment)) return true;
  unsigned found = 0;
  for (const char c : text) found |= special_[static_cast<unsigned char>(c)];
  return found != 0;
}

Status CsvWriter::write_text(std::string_view text, size_t cell, OutCursor& out) {
  out.ensure(2 * text.size() + 2);
  if (!needs_quotes(text, cell == 0)) {
    out.put(text);
    return Status();
  }
  if (csv_.quote == 0) {
    const bool harmful =
        std::any_of(text.begin(), text.end(), [&](char c) { return special_[static_cast<unsigned char>(c)]; });
    if (harmful) {
      return invalid_argument("field {}: a text with a delimiter or line break cannot be written as CSV without quotes",
                              cell < fields_.size() ? fields_[cell].field.name : "names")
          .with_hint("give the sink a quote character");
    }
    out.put(text);
    return Status();
  }
  out.put(csv_.quote);
  for (const char c : text) {
    if (c == csv_.quote || (csv_.escape != 0 && c == csv_.escape)) out.put(csv_.escape != 0 ? csv_.escape : csv_.quote);
    out.put(c);
  }
  out.put(csv_.quote);
  return Status();
}

Status CsvWriter::write_value(size_t cell, int64_t row, OutCursor& out) {
  const WriteField& f = fields_[cell];
  if (f.is_null(row)) {
    out.ensure(csv_.null_text.size());
    out.put(csv_.null_text);
    return Status();
  }
  switch (f.field.type.id()) {
    case TypeId::kString:
    case TypeId::kJson:
      return write_text(f.text_at(row), cell, out);
    case TypeId::kEnum:
      return write_text(f.labels_plain[static_cast<size_t>(f.value<int32_t>(row))], cell, out);
    case TypeId::kBytes:
      scratch_.clear();
      columnar::append_base64(scratch_, f.text_at(row));
      return write_text(scratch_, cell, out);
    case TypeId::kList:
    case TypeId::kStruct:
      scratch_.clear();
      f.text->append_json(*f.column, row, scratch_);
      return write_text(scratch_, cell, out);
    case TypeId::kNull:
      return Status();
    case TypeId::kBool:
      if (plain_digits_) {
        static constexpr char kWords[2][16] = {"false", "true"};
        const bool value = f.values[row] != 0;
        out.ensure(16);
        out.put_small({kWords[value], value ? 4u : 5u});
        return Status();
      }
      [[fallthrough]];
    default: {
      out.ensure(scalar_room(f));
      char* const begin = out.at();
      if (!write_scalar(f, row, out)) {
        out.ensure(csv_.null_text.size());
        out.put(csv_.null_text);
        return Status();
      }
      // Digits and colons need quotes only in odd dialects, formats may hold anything.
      const std::string_view written(begin, static_cast<size_t>(out.at() - begin));
      const bool plain = plain_digits_ && f.text->format() == nullptr;
      if (!plain && __builtin_expect(needs_quotes(written, cell == 0), 0)) {
        scratch_ = written;
        out.move_to(begin);
        return write_text(scratch_, cell, out);
      }
      return Status();
    }
  }
}

Status CsvWriter::write_open(int64_t row, OutCursor& out) {
  open_values_.assign(open_names_.size(), {});
  const WriteField& open = fields_[static_cast<size_t>(open_field_)];
  OpenMembers members(open.is_null(row) ? std::string_view() : open.text_at(row));
  for (OpenMember member; members.next(&member);) {
    const std::string_view name = plain_text(member.key, &scratch_);
    const auto at = open_cell_.find(name);
    if (at == open_cell_.end()) {
      return failed_precondition("the field \"{}\", which the contract does not name, has no column in this CSV file",
                                 escape_control(name));
    }
    if (at->second >= 0) open_values_[static_cast<size_t>(at->second)] = member.value;
  }
  bool first = fields_.size() == 1;
  for (const std::string_view value : open_values_) {
    out.ensure(2 + csv_.null_text.size());
    if (!first) out.put(csv_.delimiter);
    first = false;
    if (value.empty() || value == "null") {
      out.put(csv_.null_text);
      continue;
    }
    const bool text = value.front() == '"';
    const std::string_view shown = text ? plain_text(value.substr(1, value.size() - 2), &scratch_) : value;
    RUNINK_RETURN_IF_ERROR(write_text(shown, static_cast<size_t>(open_field_) + 1, out));
  }
  return Status();
}

Status CsvWriter::begin(columnar::Buffer& buffer) {
  if (!csv_.header) return Status();
  OutCursor out(buffer);
  size_t cell = 0;
  const auto name_cell = [&](const std::string& name) {
    out.ensure(2);
    if (cell > 0) out.put(csv_.delimiter);
    return write_text(name, cell++, out);
  };
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (static_cast<int32_t>(i) != open_field_) RUNINK_RETURN_IF_ERROR(name_cell(fields_[i].field.name));
  }
  for (const std::string& name : open_names_) RUNINK_RETURN_IF_ERROR(name_cell(name));
  out.ensure(2);
  line_break(out);
  return Status();
}

Status CsvWriter::append(const columnar::Batch& batch, columnar::Buffer& buffer) {
  if (batch.columns.size() != fields_.size()) {
    return internal_error("a batch of {} columns came to a writer of {}", batch.columns.size(), fields_.size());
  }
  for (size_t i = 0; i < fields_.size(); ++i) fields_[i].attach(batch.columns[i]);
  const columnar::RowOrigin* origin = batch.origin.get();
  const bool raw = verbatim_prefix_ > 0 && origin != nullptr && !origin->verbatim.empty();
  const bool padded = raw && origin->chunk != nullptr;
  OutCursor out(buffer);
  for (int64_t row = 0; row < batch.rows; ++row) {
    size_t cell = 0;
    if (raw && origin->verbatim[static_cast<size_t>(row)]) {
      const std::string_view text = origin->bytes(row);
      out.ensure(text.size());
      if (padded) {
        out.put_padded_record(text);
      } else {
        out.put(text);
      }
      cell = verbatim_prefix_;
    }
    for (; cell < fields_.size(); ++cell) {
      if (static_cast<int32_t>(cell) == open_field_) continue;
      out.ensure(2);
      if (cell > 0) out.put(csv_.delimiter);
      RUNINK_RETURN_IF_ERROR(write_value(cell, row, out));
    }
    if (open_field_ >= 0) RUNINK_RETURN_IF_ERROR(write_open(row, out));
    out.ensure(2);
    line_break(out);
  }
  return Status();
}

}  // namespace runink::connectors
