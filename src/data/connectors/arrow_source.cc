#include "data/connectors/arrow_source.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/ipc.h"
#include "data/columnar/kernels.h"
#include "data/columnar/value.h"
#include "data/connectors/error_tail.h"
#include "data/connectors/field_codec.h"
#include "data/connectors/ndjson_writer.h"
#include "data/connectors/raw_input.h"
#include "data/connectors/record_writer.h"
#include "platform/os/file.h"

namespace runink::connectors {

using columnar::Batch;
using columnar::Column;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

namespace {

// Struct columns laid open: name and column of every leaf.
void flatten(const std::string& name, const DataType& type, std::vector<std::pair<std::string, DataType>>* out) {
  if (type.id() != TypeId::kStruct) {
    out->emplace_back(name, type);
    return;
  }
  for (const auto& field : type.fields()) flatten(name + "." + field.name, field.type, out);
}
void flatten(const Column& column, const columnar::BufferPtr& outer, int64_t rows, std::vector<Column>* out) {
  Column copy = column;
  copy.validity = columnar::and_validity(column.validity, outer, rows);
  if (column.type.id() != TypeId::kStruct) {
    out->push_back(std::move(copy));
    return;
  }
  for (const Column& child : column.children) flatten(child, copy.validity, rows, out);
}

bool can_cast(const DataType& from, const DataType& to, bool coerce) {
  if (from == to || from.id() == TypeId::kNull) return true;
  if (from.is_integer() && to.is_integer()) return true;
  if (to.id() == TypeId::kFloat64) return from.id() == TypeId::kFloat32 || from.is_integer();
  if (to.id() == TypeId::kDecimal) {
    if (from.id() == TypeId::kDecimal) {
      return from.scale() <= to.scale() && from.precision() - from.scale() <= to.precision() - to.scale();
    }
    constexpr int kDigits[] = {0, 3, 5, 0, 10, 0, 0, 0, 20};
    return from.is_integer() && kDigits[from.width()] <= to.precision() - to.scale();
  }
  if (from.id() == TypeId::kString) {
    const bool text_like = to.id() == TypeId::kEnum || to.id() == TypeId::kUuid || to.id() == TypeId::kJson;
    return text_like || (coerce && to.id() != TypeId::kList && to.id() != TypeId::kStruct);
  }
  if (from.id() == TypeId::kEnum) return to.id() == TypeId::kString || to.id() == TypeId::kEnum;
  if (from.id() == TypeId::kJson) return to.id() == TypeId::kString;
  if (from.id() == TypeId::kDate) return to.id() == TypeId::kTimestamp;
  if (from.id() == TypeId::kList && to.id() == TypeId::kList) return can_cast(from.element(), to.element(), coerce);
  return false;
}

bool fits_integer(columnar::int128 number, const DataType& type) {
  const int bits = type.width() * 8;
  const columnar::int128 one = 1;
  if (type.is_signed_integer()) return number >= -(one << (bits - 1)) && number < one << (bits - 1);
  return number >= 0 && number < one << bits;
}

// Calls `f` with a value of the integer type.
template <typename F>
void with_integer(TypeId id, F f) {
  switch (id) {
    case TypeId::kInt8:
      return f(int8_t{});
    case TypeId::kInt16:
      return f(int16_t{});
    case TypeId::kInt32:
      return f(int32_t{});
    case TypeId::kInt64:
      return f(int64_t{});
    case TypeId::kUInt8:
      return f(uint8_t{});
    case TypeId::kUInt16:
      return f(uint16_t{});
    case TypeId::kUInt32:
      return f(uint32_t{});
    default:
      return f(uint64_t{});
  }
}

// Integers of another width, the commonest difference there is. Where a value does not fit, `fits` is set to 0.
Column cast_integers(const Column& from, const DataType& to, std::vector<uint8_t>* fits) {
  Column out = columnar::make_fixed_column(to, from.length);
  out.validity = from.validity;
  with_integer(from.type.id(), [&](auto source) {
    with_integer(to.id(), [&](auto target) {
      const auto* in = from.data<decltype(source)>();
      auto* made = out.mutable_data<decltype(target)>();
      for (int64_t row = 0; row < from.length; ++row) {
        made[row] = static_cast<decltype(target)>(in[row]);
        if (!std::in_range<decltype(target)>(in[row]) && from.is_valid(row)) (*fits)[static_cast<size_t>(row)] = 0;
      }
    });
  });
  return out;
}

// One value; nothing if it does not fit.
std::optional<Value> cast_value(const Value& value, const DataType& from, const FieldCodec& codec) {
  const DataType& to = codec.field.type;
  if (value.is_null() || from == to) return value;
  if (from.is_integer()) {
    columnar::int128 number = 0;
    if (const auto* s = std::get_if<int64_t>(&value.data)) number = *s;
    if (const auto* u = std::get_if<uint64_t>(&value.data)) number = static_cast<columnar::int128>(*u);
    if (to.id() == TypeId::kFloat64) {
      const auto real = static_cast<double>(number);
      if (static_cast<columnar::int128>(real) != number) return std::nullopt;
      return Value(real);
    }
    if (to.is_integer() && !fits_integer(number, to)) return std::nullopt;
    if (to.id() == TypeId::kDecimal) {
      for (int i = 0; i < to.scale(); ++i) number *= 10;
      return Value(number);
    }
    if (to.is_signed_integer()) return Value(static_cast<int64_t>(number));
    return Value(static_cast<uint64_t>(number));
  }
  if (from.id() == TypeId::kFloat32) return value;
  if (from.id() == TypeId::kDecimal) {
    auto number = std::get<columnar::int128>(value.data);
    for (int i = from.scale(); i < to.scale(); ++i) number *= 10;
    return Value(number);
  }
  if (from.id() == TypeId::kDate) return Value(std::get<int64_t>(value.data) * 86'400'000'000);
  if (from.id() == TypeId::kJson) return value;
  std::string text;
  if (from.id() == TypeId::kEnum) {
    text = from.labels()[static_cast<size_t>(std::get<int64_t>(value.data))];
    if (to.id() == TypeId::kString) return Value(text);
  } else {
    text = std::get<std::string>(value.data);
  }
  if (to.id() == TypeId::kJson) {
    if (!columnar::is_valid_json(text)) return std::nullopt;
    return Value(std::move(text));
  }
  Scalar scalar;
  bool coerced = false;
  if (scalar_from_text(codec, text, &scalar, &coerced)) return std::nullopt;
  switch (to.id()) {
    case TypeId::kBool:
      return Value(scalar.boolean);
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32:
      return Value(static_cast<uint64_t>(scalar.integer));
    case TypeId::kUInt64:
      return Value(scalar.unsigned_integer);
    case TypeId::kFloat32:
      return Value(static_cast<double>(scalar.real32));
    case TypeId::kFloat64:
      return Value(scalar.real);
    case TypeId::kDecimal:
      return Value(scalar.decimal);
    case TypeId::kUuid:
      return Value(std::string(reinterpret_cast<const char*>(scalar.uuid), 16));
    case TypeId::kBytes:
      return Value(scalar.bytes);
    default:
      return Value(scalar.integer);
  }
}

class Reader : public ArrowSource {
 public:
  using Opener = std::function<Result<std::unique_ptr<ByteSource>>(const std::string&)>;
  Reader(std::vector<std::string> names, Opener opener, const ReaderOptions& options,
         std::shared_ptr<SourceFiles> files, uint64_t raw_size, const StopFlag* stop)
      : options_(options),
        names_(std::move(names)),
        opener_(std::move(opener)),
        files_(std::move(files)),
        raw_size_(raw_size),
        stop_(stop) {
    for (const auto& name : names_) indices_.push_back(files_->add(name));
    schema_ = options_.schema;
    if (options_.open) {
      std::vector<columnar::Field> fields = schema_->fields();
      fields.push_back({std::string(kOpenColumn), TypeId::kJson, true, "", ""});
      schema_ = std::make_shared<const columnar::Schema>(std::move(fields));
    }
  }
  Status open_first() { return names_.empty() ? Status() : open_next(); }

  uint64_t raw_bytes() const override { return raw_done_.load(std::memory_order_relaxed); }
  uint64_t raw_size() const override { return raw_size_; }

  Result<std::optional<ArrowPiece>> next() override {
    while (true) {
      if (stop_ != nullptr && stop_->requested()) return interrupted();
      if (!ipc_) {
        if (file_ >= names_.size()) return std::optional<ArrowPiece>();
        RUNINK_RETURN_IF_ERROR(open_next());
      }
      std::optional<Batch> batch = RUNINK_TRY_CONTEXT(ipc_->next(&misfits_), "read " + names_[file_]);
      if (batch) return std::optional<ArrowPiece>(RUNINK_TRY(convert(*batch)));
      ipc_.reset();
      current_.reset();
      ++file_;
    }
  }

 private:
  static constexpr int32_t kOpen = -1, kUnused = -2;
  // The fields that have no value, by row; with what stands there if it did not even fit a column. kOpen: one that the
  // contract does not name and passes on.
  using BadRows = std::map<size_t, std::map<int32_t, const columnar::IpcMisfits::Entry*>>;
  struct Match {
    int leaf = -1;
    bool cast = false;
  };

  Status open_next() {
    current_ = RUNINK_TRY(opener_(names_[file_]));
    raw_before_ = raw_done_.load(std::memory_order_relaxed);
    records_ = 0;
    ipc_.emplace([this](char* into, size_t size) -> Result<size_t> {
      auto got = current_->read(into, size);
      raw_done_.store(raw_before_ + current_->raw_bytes(), std::memory_order_relaxed);
      return got;
    });
    const auto schema = RUNINK_TRY_CONTEXT(ipc_->schema(), "read " + names_[file_]);
    return match(*schema);
  }

  Status match(const columnar::Schema& found) {
    leaves_.clear();
    record_writer_.reset();
    for (const auto& field : found.fields()) {
      // A struct is one column where the contract has it so (a list's element never is).
      flatten(field.name, field.type, &leaves_);
    }
    matches_.assign(options_.schema->size(), Match());
    codecs_.clear();
    std::vector<std::string> names;
    for (const auto& leaf : leaves_) names.push_back(leaf.first);
    std::vector<bool> used(leaves_.size());
    field_of_leaf_.assign(leaves_.size(), kUnused);
    for (size_t i = 0; i < matches_.size(); ++i) {
      const auto& field = options_.schema->field(i);
      const FieldOptions options = i < options_.fields.size() ? options_.fields[i] : FieldOptions();
      codecs_.push_back(RUNINK_TRY(FieldCodec::make(field, options)));
      const auto at = std::find(names.begin(), names.end(), field.name);
      if (at == names.end()) {
        if (options.required && !options.default_value) {
          const auto near = nearest(field.name, names);
          Status status =
              invalid_argument("{}: the Arrow schema lacks the required column {}", names_[file_], field.name);
          return near.empty() ? std::move(status)
                              : std::move(status).with_hint(fmt::format("is \"{}\" meant?", near[0]));
        }
        continue;
      }
      const auto leaf = static_cast<size_t>(at - names.begin());
      const DataType& type = leaves_[leaf].second;
      if (!can_cast(type, field.type, options.coerce)) {
        return invalid_argument("{}: column {} is {} in the Arrow schema and {} in the contract", names_[file_],
                                field.name, type.to_string(), field.type.to_string())
            .with_hint("only casts that lose nothing are made: between integers, to float64, from text to enum, uuid or json");
      }
      used[leaf] = true;
      field_of_leaf_[leaf] = static_cast<int32_t>(i);
      matches_[i] = {static_cast<int>(leaf), !(type == field.type)};
    }
    return leave_over(names, used);
  }

  // What becomes of the columns that the contract does not name.
  Status leave_over(const std::vector<std::string>& names, const std::vector<bool>& used) {
    drift_.clear();
    open_leaves_.clear();
    std::vector<columnar::Field> open_fields;
    for (size_t i = 0; i < leaves_.size(); ++i) {
      if (used[i]) continue;
      if (options_.open && !columnar::is_inside_own(*options_.schema, names[i])) {
        open_leaves_.push_back(i);
        field_of_leaf_[i] = kOpen;
        open_fields.push_back({names[i], leaves_[i].second, true, "", ""});
      } else if (drift_.size() < kMaxDriftNames) {
        drift_.push_back(names[i]);
      }
    }
    std::sort(drift_.begin(), drift_.end());
    if (open_fields.empty()) return Status();
    WriterOptions writer;
    writer.schema = open_schema_ = std::make_shared<const columnar::Schema>(std::move(open_fields));
    RUNINK_RETURN_IF_ERROR(NdjsonWriter::check_names(*open_schema_));
    open_writer_ = RUNINK_TRY(NdjsonWriter::make(writer));
    return Status();
  }

  // All columns of the file. Values that do not fit stand there as IpcMisfits::json() has them; a list of which an element
  // does not, as {"list":[…],"element":…}, which is no list either.
  Result<std::string> record_text(const Batch& read, int64_t row) {
    Batch one = columnar::slice(read, row, 1);
    std::vector<uint32_t> changed;
    for (const auto* misfit : misfits_of(row)) {
      if (!changed.empty() && changed.back() == misfit->column) continue;
      changed.push_back(misfit->column);
      Column& column = one.columns[misfit->column];
      std::string json = misfits_.json(*misfit);
      if (misfit->in_list) {
        std::string list;
        columnar::append_value_json(column.type, columnar::value_at(column, 0), list);
        json = fmt::format("{{\"list\":{},\"element\":{}}}", list, json);
      }
      column = columnar::make_column(TypeId::kJson, {Value(std::move(json))});
    }
    if (!record_writer_ || changed != record_changed_) {
      std::vector<columnar::Field> fields = read.schema->fields();
      for (const uint32_t column : changed) {
        fields[column] = {fields[column].name, TypeId::kJson, true, "", ""};
      }
      record_schema_ = std::make_shared<const columnar::Schema>(std::move(fields));
      WriterOptions writer;
      writer.schema = record_schema_;
      record_writer_ = RUNINK_TRY(NdjsonWriter::make(writer));
      record_changed_ = changed;
    }
    one.schema = record_schema_;
    record_text_.resize(0);
    RUNINK_RETURN_IF_ERROR(record_writer_->append_rows(one, 0, 1, record_text_));
    return std::string(record_text_.view().substr(0, record_text_.size() - 1));
  }

  // What of a row did not fit, by column.
  std::vector<const columnar::IpcMisfits::Entry*> misfits_of(int64_t row) const {
    const auto before = [](const columnar::IpcMisfits::Entry& e, int64_t r) { return e.row < r; };
    std::vector<const columnar::IpcMisfits::Entry*> out;
    auto e = std::lower_bound(misfits_.entries.begin(), misfits_.entries.end(), row, before);
    for (; e != misfits_.entries.end() && e->row == row; ++e) out.push_back(&*e);
    return out;
  }
  static Undecodable reason_of(columnar::IpcMisfits::Why why) {
    switch (why) {
      case columnar::IpcMisfits::Why::kNotUtf8:
        return Undecodable::kInvalidUtf8;
      case columnar::IpcMisfits::Why::kTooFine:
        return Undecodable::kTooFine;
      case columnar::IpcMisfits::Why::kOutOfRange:
        return Undecodable::kOutOfRange;
      case columnar::IpcMisfits::Why::kNotFinite:
        return Undecodable::kWrongType;
      default:
        return Undecodable::kBadText;
    }
  }

  // The columns that the contract does not name, as one JSON object per row.
  Result<Column> open_column(const std::vector<Column>& leaves, int64_t rows) {
    if (open_leaves_.empty()) return columnar::make_null_column(TypeId::kJson, rows);
    Batch open;
    open.schema = open_schema_;
    open.rows = rows;
    for (const size_t i : open_leaves_) open.columns.push_back(leaves[i]);
    columnar::ColumnBuilder builder(TypeId::kJson, rows);
    columnar::Buffer text;
    for (int64_t row = 0; row < rows; ++row) {
      text.resize(0);
      RUNINK_RETURN_IF_ERROR(open_writer_->append_rows(open, row, row + 1, text));
      builder.append(text.view().substr(0, text.size() - 1));
    }
    return builder.finish();
  }

  Result<ArrowPiece> convert(const Batch& batch) {
    ArrowPiece piece;
    std::vector<Column> leaves;
    for (const Column& column : batch.columns) flatten(column, nullptr, batch.rows, &leaves);
    Batch out;
    out.schema = schema_;
    out.rows = batch.rows;
    std::vector<uint8_t> keep(static_cast<size_t>(batch.rows), 1);
    BadRows bad_rows;
    for (const auto& misfit : misfits_.entries) {
      const int32_t field = field_of_leaf_[misfit.column];
      if (field == kUnused) continue;
      const auto r = static_cast<size_t>(misfit.row);
      keep[r] = 0;
      bad_rows[r].emplace(field, &misfit);
    }
    for (size_t i = 0; i < matches_.size(); ++i) {
      const FieldCodec& codec = codecs_[i];
      const auto& otherwise = codec.options.default_value;
      if (matches_[i].leaf < 0) {
        out.columns.push_back(otherwise
                                  ? columnar::make_column(codec.field.type, std::vector<Value>(keep.size(), *otherwise))
                                  : columnar::make_null_column(codec.field.type, batch.rows));
        continue;
      }
      const Column& leaf = leaves[static_cast<size_t>(matches_[i].leaf)];
      if (!matches_[i].cast && !(otherwise && leaf.may_have_nulls())) {
        out.columns.push_back(leaf);
        continue;
      }
      if (!otherwise && leaf.type.is_integer() && codec.field.type.is_integer()) {
        std::vector<uint8_t> fits(keep.size(), 1);
        out.columns.push_back(cast_integers(leaf, codec.field.type, &fits));
        for (size_t r = 0; r < fits.size(); ++r) {
          if (fits[r] == 0) bad_rows[r].emplace(static_cast<int32_t>(i), nullptr);
          keep[r] = keep[r] & fits[r];
        }
        continue;
      }
      columnar::ColumnBuilder builder(codec.field.type, batch.rows);
      for (int64_t row = 0; row < batch.rows; ++row) {
        std::optional<Value> value = cast_one(columnar::value_at(leaf, row), leaf.type, codec);
        if (!value) {
          const auto r = static_cast<size_t>(row);
          keep[r] = 0;
          bad_rows[r].emplace(static_cast<int32_t>(i), nullptr);
          builder.append_null();
        } else if (value->is_null() && otherwise) {
          builder.append_value(*otherwise);
        } else {
          builder.append_value(*value);
        }
      }
      out.columns.push_back(builder.finish());
    }
    if (options_.open) out.columns.push_back(RUNINK_TRY(open_column(leaves, batch.rows)));
    RUNINK_RETURN_IF_ERROR(report(batch, leaves, out, keep, bad_rows, &piece));
    return piece;
  }

  static std::optional<Value> cast_one(const Value& value, const DataType& from, const FieldCodec& codec) {
    if (from.id() == TypeId::kList && !value.is_null() && !(from == codec.field.type)) {
      auto made =
          FieldCodec::make(columnar::Field{"element", codec.field.type.element(), true, "", ""}, FieldOptions());
      if (!made.ok()) return std::nullopt;
      std::vector<Value> elements;
      for (const Value& element : std::get<std::vector<Value>>(value.data)) {
        auto one = cast_one(element, from.element(), made.value());
        if (!one) return std::nullopt;
        elements.push_back(std::move(*one));
      }
      return Value(std::move(elements));
    }
    return cast_value(value, from, codec);
  }

  Status report(const Batch& read, const std::vector<Column>& leaves, Batch& out, const std::vector<uint8_t>& keep,
                const BadRows& bad_rows, ArrowPiece* piece) {
    ChunkReport& report = piece->report;
    report.records = static_cast<uint64_t>(read.rows);
    for (int64_t row = 0; row < read.rows; ++row) {
      const auto r = static_cast<size_t>(row);
      if (keep[r]) continue;
      UndecodableRecord bad;
      bad.offset = bad.line = static_cast<uint32_t>(row);
      ArrowPiece::Undecodable text;
      text.record = RUNINK_TRY(record_text(read, row));
      Reread::Record& again = piece->again.records.emplace_back();
      again.row = static_cast<int64_t>(piece->again.records.size()) - 1;
      for (const auto& [field, misfit] : bad_rows.at(r)) {
        std::string& value = text.values.emplace_back();
        bad.field = field;
        bad.cell = UndecodableRecord::kNotACell;
        if (misfit != nullptr) {
          bad.reason = reason_of(misfit->why);
          value = misfits_.json(*misfit);
          if (misfit->why == columnar::IpcMisfits::Why::kNotFinite) value = value.substr(1, value.size() - 2);
          if (field == kOpen) value = fmt::format("{} of {}", value, leaves_[misfit->column].first);
          bad.cell = static_cast<uint32_t>(value.size());
        } else {
          const Column& leaf = leaves[static_cast<size_t>(matches_[static_cast<size_t>(field)].leaf)];
          bad.reason = leaf.type.is_integer() ? Undecodable::kOutOfRange : Undecodable::kBadText;
          columnar::append_value_json(leaf.type, columnar::value_at(leaf, row), value);
        }
        again.errors.push_back(bad);
        if (field >= 0) {
          again.unread.push_back(field);
        } else {
          again.row = -1;  // as a record whose text is broken
          again.unread.clear();
          break;
        }
      }
      report.undecodable.push_back(again.errors[0]);
      piece->undecodable.push_back(std::move(text));
    }
    if (!piece->again.records.empty()) {
      std::vector<uint8_t> set_aside(keep.size());
      for (size_t r = 0; r < keep.size(); ++r) set_aside[r] = keep[r] == 0;
      piece->again.rows = columnar::filter(out, set_aside.data());
    }
    report.rows = report.records - report.undecodable.size();
    for (const std::string& name : drift_) report.drift.emplace_back(name, report.records);
    piece->chunk = next_chunk(read.rows);
    if (report.rows == 0) return Status();
    if (options_.origin) out.origin = origin_of(piece->chunk, read.rows);
    piece->batch = report.undecodable.empty() ? std::move(out) : columnar::filter(out, keep.data());
    return Status();
  }

  // A chunk of one byte per record: so an offset is a record's number. The bytes mean nothing.
  ChunkPtr next_chunk(int64_t rows) {
    static const std::string kBytes(static_cast<size_t>(columnar::kBatchRows) + columnar::Buffer::kPadding, ' ');
    RUNINK_CHECK(rows <= columnar::kBatchRows);
    auto chunk = std::make_shared<InputChunk>();
    chunk->source = indices_[file_];
    chunk->sequence = sequence_++;
    chunk->position = records_;
    chunk->bytes = std::string_view(kBytes).substr(0, static_cast<size_t>(rows));
    chunk->first_line = records_ + 1;
    chunk->line_count = static_cast<uint64_t>(rows);
    records_ += static_cast<uint64_t>(rows);
    return chunk;
  }
  static columnar::RowOriginPtr origin_of(const ChunkPtr& chunk, int64_t rows) {
    auto origin = std::make_shared<columnar::RowOrigin>();
    origin->chunk = chunk;
    origin->offset.resize(static_cast<size_t>(rows));
    std::iota(origin->offset.begin(), origin->offset.end(), 0u);
    origin->line = origin->offset;
    origin->length.resize(static_cast<size_t>(rows));
    return origin;
  }

  ReaderOptions options_;
  std::vector<std::string> names_;
  std::vector<uint32_t> indices_;
  Opener opener_;
  std::shared_ptr<SourceFiles> files_;
  const uint64_t raw_size_;
  const StopFlag* stop_;
  std::unique_ptr<ByteSource> current_;
  std::optional<columnar::IpcReader> ipc_;
  size_t file_ = 0;
  std::vector<std::pair<std::string, DataType>> leaves_;
  std::vector<Match> matches_;
  std::vector<FieldCodec> codecs_;
  std::vector<std::string> drift_;
  columnar::SchemaPtr schema_;       // of the batches
  std::vector<size_t> open_leaves_;  // that go into the open column, with their schema and writer
  columnar::SchemaPtr open_schema_;
  std::unique_ptr<NdjsonWriter> open_writer_;
  std::unique_ptr<NdjsonWriter> record_writer_;  // of the file's schema
  columnar::SchemaPtr record_schema_;
  std::vector<uint32_t> record_changed_;  // its columns that are JSON here, since a value did not fit
  columnar::Buffer record_text_;
  columnar::IpcMisfits misfits_;          // of the batch being read
  std::vector<int32_t> field_of_leaf_;
  uint64_t sequence_ = 0, records_ = 0, raw_before_ = 0;
  std::atomic<uint64_t> raw_done_{0};
};

}  // namespace

Result<std::unique_ptr<ArrowSource>> open_arrow_source(const Locator& locator, const ReaderOptions& options,
                                                       std::shared_ptr<SourceFiles> files, const StopFlag* stop) {
  std::vector<std::string> names =
      locator.inputs ? locator.inputs->names() : RUNINK_TRY(expand(locator));
  const Compression compression = locator.compression;
  Reader::Opener opener;
  uint64_t size = 0;
  if (locator.inputs) {
    size = locator.inputs->raw_size();
    opener = [=, inputs = locator.inputs](const std::string& name) -> Result<std::unique_ptr<ByteSource>> {
      return make_byte_source(RUNINK_TRY(inputs->open(name, stop)), compression);
    };
  } else if (locator.kind == LocatorKind::kPath) {
    for (const auto& name : names) {
      const auto info = os::file_info(name);
      if (info.ok()) size += info.value().size;
    }
    opener = [=](const std::string& path) { return open_file_source(path, compression, stop); };
  } else if (locator.kind == LocatorKind::kStandard) {
    names = {"-"};
    opener = [=](const std::string&) { return open_standard_input(compression, stop); };
  } else {
    names = {locator.text};
    opener = [=, command = locator.command, folder = locator.working_directory,
              words = locator.words](const std::string&) {
      return open_program(command, folder, compression, stop, words);
    };
  }
  auto reader = std::make_unique<Reader>(std::move(names), std::move(opener), options, std::move(files), size, stop);
  RUNINK_RETURN_IF_ERROR(reader->open_first());
  return std::unique_ptr<ArrowSource>(std::move(reader));
}

std::unique_ptr<ArrowSource> make_memory_arrow_source(std::string name, std::unique_ptr<ByteSource> bytes,
                                                      const ReaderOptions& options,
                                                      std::shared_ptr<SourceFiles> files) {
  const uint64_t size = bytes->raw_size();
  auto held = std::make_shared<std::unique_ptr<ByteSource>>(std::move(bytes));
  return std::make_unique<Reader>(
      std::vector<std::string>{std::move(name)},
      [held](const std::string&) -> Result<std::unique_ptr<ByteSource>> { return std::move(*held); }, options,
      std::move(files), size, nullptr);
}

}  // namespace runink::connectors
