// For tests and fuzz targets: reads a whole text through source and reader and keeps everything that came out.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/check.h"
#include "data/connectors/csv_reader.h"
#include "data/connectors/ndjson_reader.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "data/connectors/source.h"

namespace runink::connectors {

struct ReadBack {
  std::vector<std::string> rows;  // as JSON
  std::vector<std::string> raw;   // their original bytes
  std::vector<bool> verbatim;
  std::vector<uint64_t> lines, positions;
  struct Bad {
    std::string reason, field, bytes, message;
    uint64_t line, position;
    bool operator==(const Bad&) const = default;
  };
  std::vector<Bad> bad;
  std::vector<std::string> again;  // of each bad record: "reason field, … | the row without those fields"
  std::map<std::string, uint64_t> drift;
  uint64_t records = 0, blank = 0;
  std::string error;  // of the source or reader
  std::vector<columnar::Batch> batches;

  bool same_data(const ReadBack& other) const {
    return rows == other.rows && raw == other.raw && verbatim == other.verbatim && lines == other.lines &&
           positions == other.positions && bad == other.bad && again == other.again && drift == other.drift && records == other.records &&
           blank == other.blank && error == other.error;
  }
};

// A set of loops that never takes a record: everything goes through the general code.
inline const hot::Loops& no_loops() {
  static const hot::Loops loops{"none",
                                [](hot::Context&) { return hot::Stop::kMiss; },
                                [](hot::Context&) { return hot::Stop::kMiss; },
                                [](const char*, size_t, char, char) { return SIZE_MAX; },
                                hot::kLoopsSse.find_json_special,
                                [](const char*, size_t) { return false; }};
  return loops;
}

inline std::string reread_shown(const Reread& all, const Reread::Record& record, const columnar::Schema& schema) {
  std::string out;
  for (const auto& error : record.errors) {
    out += out.empty() ? "" : ", ";
    out += undecodable_name(error.reason);
    if (error.field >= 0) out += " " + schema.field(static_cast<size_t>(error.field)).name;
  }
  if (record.row < 0) return out;
  out += " | ";
  RUNINK_CHECK(append_json_record(all.rows, record.row, out).ok());
  return out;
}

inline ReadBack read_back(const std::string& text, ReaderOptions options, size_t chunk_bytes = 1 << 19,
                          const hot::Loops* loops = nullptr, size_t max_record_bytes = size_t{128} << 20) {
  ReadBack out;
  auto files = std::make_shared<SourceFiles>();
  ChunkOptions chunking;
  chunking.format = options.format;
  chunking.csv = options.csv;
  chunking.chunk_bytes = chunk_bytes;
  chunking.max_record_bytes = max_record_bytes;
  auto source = make_memory_chunk_source("test", make_memory_source(text), chunking, files);
  options.files = files;
  std::unique_ptr<RecordReader> reader;
  uint64_t next_line = 1;
  while (true) {
    auto chunk = source->next();
    if (!chunk.ok()) {
      out.error = chunk.status().to_string();
      return out;
    }
    if (*chunk == nullptr) return out;
    const columnar::InputChunk& c = **chunk;
    if (!reader) {
      if (options.format == DataFormat::kCsv) {
        auto made = CsvReader::make(options, loops);
        if (!made.ok()) {
          out.error = made.status().to_string();
          return out;
        }
        reader = std::move(made).value();
      } else {
        auto made = NdjsonReader::make(options, loops);
        if (!made.ok()) {
          out.error = made.status().to_string();
          return out;
        }
        reader = std::move(made).value();
      }
    }
    if (c.first_line == 0) c.first_line = next_line;
    auto report = reader->parse(*chunk, [&](columnar::Batch&& batch) {
      for (int64_t row = 0; row < batch.rows; ++row) {
        std::string json;
        RUNINK_RETURN_IF_ERROR(append_json_record(batch, row, json));
        out.rows.push_back(json);
        if (batch.origin) {
          out.raw.emplace_back(batch.origin->bytes(row));
          out.verbatim.push_back(batch.origin->verbatim[static_cast<size_t>(row)] != 0);
          out.lines.push_back(batch.origin->line_number(row));
          out.positions.push_back(batch.origin->position(row));
        }
      }
      out.batches.push_back(std::move(batch));
      return Status();
    });
    if (!report.ok()) {
      out.error = report.status().to_string();
      return out;
    }
    out.records += report->records;
    out.blank += report->blank;
    for (const auto& [name, count] : report->drift) out.drift[name] += count;
    for (const UndecodableRecord& bad : report->undecodable) {
      const std::string_view bytes = c.bytes.substr(bad.offset, bad.length);
      out.bad.push_back({std::string(undecodable_name(bad.reason)),
                         bad.field < 0 ? "" : options.schema->field(static_cast<size_t>(bad.field)).name,
                         std::string(bytes), describe(bad, *options.schema, bytes), c.first_line + bad.line,
                         c.position + bad.offset});
    }
    const std::span<const UndecodableRecord> bad = report->undecodable;
    for (size_t at = 0; at < bad.size(); at += columnar::kBatchRows) {
      const auto part = bad.subspan(at, std::min<size_t>(columnar::kBatchRows, bad.size() - at));
      auto again = reader->reread(*chunk, part);
      RUNINK_CHECK(again.ok() && again->records.size() == part.size());
      for (size_t i = 0; i < part.size(); ++i) {
        const Reread::Record& record = again->records[i];
        RUNINK_CHECK(!record.errors.empty());
        const UndecodableRecord& first = record.errors[0];
        RUNINK_CHECK(first.reason == part[i].reason && first.field == part[i].field && first.at == part[i].at);
        out.again.push_back(reread_shown(*again, record, *options.schema));
      }
    }
    next_line = c.first_line + c.line_count;
  }
}

inline columnar::Field make_field(const std::string& name, columnar::DataType type, const std::string& format = "",
                                  const std::string& zone = "") {
  columnar::Field field;
  field.name = name;
  field.type = std::move(type);
  field.format = format;
  field.zone = zone;
  return field;
}
inline ReaderOptions reader_options(std::vector<columnar::Field> fields, DataFormat format = DataFormat::kNdjson) {
  ReaderOptions options;
  options.format = format;
  options.schema = std::make_shared<const columnar::Schema>(std::move(fields));
  options.fields.resize(options.schema->size());
  return options;
}
inline ReaderOptions flight_options(DataFormat format = DataFormat::kNdjson) {
  using columnar::TypeId;
  return reader_options({make_field("date", TypeId::kTimestamp, "%Y/%m/%d %H:%M"), make_field("delay", TypeId::kInt32),
                         make_field("distance", TypeId::kInt32), make_field("origin", TypeId::kString),
                         make_field("destination", TypeId::kString)},
                        format);
}

}  // namespace runink::connectors
