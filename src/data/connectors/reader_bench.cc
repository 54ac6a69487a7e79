// Measures the readers and writers alone, in memory, on generated flight records: nanoseconds per record and thread.
// Not part of the tests; build target reader_bench. Usage: reader_bench [records] [rounds] [folder]
// With a folder (on tmpfs), also the whole way of a clean scenario's bytes, file to file, for several sizes of chunk.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "data/connectors/csv_reader.h"
#include "data/connectors/file_sink.h"
#include "data/connectors/hot.h"
#include "data/connectors/ndjson_reader.h"
#include "data/connectors/record_reader.h"
#include "data/connectors/record_writer.h"
#include "platform/os/file.h"

using namespace runink;
using namespace runink::connectors;
using columnar::DataType;
using columnar::Field;
using columnar::TypeId;

namespace {

struct Flights {
  std::string ndjson, csv = "date,delay,distance,origin,destination\n";
};

Flights generate(size_t count) {
  std::mt19937_64 random(7);
  Flights out;
  char line[256];
  for (size_t i = 0; i < count; ++i) {
    const int month = 1 + static_cast<int>(random() % 12), day = 1 + static_cast<int>(random() % 28);
    const int hour = static_cast<int>(random() % 24), minute = static_cast<int>(random() % 60);
    const int delay = static_cast<int>(random() % 160) - 30;
    const int distance = 60 + static_cast<int>((random() % 1000) * (random() % 3));
    char origin[4], destination[4];
    for (int k = 0; k < 3; ++k) {
      origin[k] = static_cast<char>('A' + random() % 26);
      destination[k] = static_cast<char>('A' + random() % 26);
    }
    origin[3] = destination[3] = 0;
    out.ndjson.append(line, static_cast<size_t>(std::snprintf(
                                line, sizeof line,
                                "{\"date\":\"2001/%02d/%02d "
                                "%02d:%02d\",\"delay\":%d,\"distance\":%d,\"origin\":\"%s\",\"destination\":\"%s\"}\n",
                                month, day, hour, minute, delay, distance, origin, destination)));
    out.csv.append(
        line, static_cast<size_t>(std::snprintf(line, sizeof line, "2001/%02d/%02d %02d:%02d,%d,%d,%s,%s\n", month, day,
                                                hour, minute, delay, distance, origin, destination)));
  }
  return out;
}

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Sum over the pieces of each one's best processor time in so many rounds: steady on a machine with other work.
double best_of(int rounds, size_t pieces, const std::function<void(size_t)>& work) {
  std::vector<double> best(pieces, 1e9);
  for (int i = 0; i < rounds; ++i) {
    for (size_t k = 0; k < pieces; ++k) {
      const double begin = cpu_seconds();
      work(k);
      best[k] = std::min(best[k], cpu_seconds() - begin);
    }
  }
  double total = 0;
  for (const double one : best) total += one;
  return total;
}

std::vector<ChunkPtr> cut(const std::string& text, size_t chunk_bytes) {
  std::vector<ChunkPtr> chunks;
  size_t at = 0;
  while (at < text.size()) {
    size_t stop = std::min(text.size(), at + chunk_bytes);
    stop = text.rfind('\n', stop - 1) + 1;
    auto chunk = std::make_shared<columnar::InputChunk>();
    auto owner = std::make_shared<std::string>(text.substr(at, stop - at));
    const size_t size = owner->size();
    owner->resize(size + 64);
    chunk->bytes = std::string_view(owner->data(), size);
    chunk->owner = owner;
    chunks.push_back(chunk);
    at = stop;
  }
  return chunks;
}

// Reading, parsing, deriving, writing: processor time of one thread per record, by stage.
void whole_way(const std::string& folder, const std::string& text, double n, int rounds, const ReaderOptions& options,
               const std::function<columnar::Batch(columnar::Batch&&)>& derive, const columnar::SchemaPtr& schema) {
  const std::string from = folder + "/reader_bench.ndjson", to = folder + "/reader_bench.out.ndjson";
  if (!os::write_file_atomic(from, text).ok()) return;
  for (const size_t chunk_kib : {128u, 256u, 512u, 1024u}) {
    double best_read = 1e9, best_parse = 1e9, best_format = 1e9, best_write = 1e9;
    for (int round = 0; round < rounds; ++round) {
      double parse = 0, format = 0, write = 0, read = 0;
      ChunkOptions chunking;
      chunking.chunk_bytes = chunk_kib << 10;
      auto source =
          open_chunk_source(parse_source_locator(from, {}).value(), chunking, std::make_shared<SourceFiles>()).value();
      auto reader = make_record_reader(options).value();
      WriterOptions writing;
      writing.schema = schema;
      writing.verbatim_prefix_columns = 5;
      auto writer = make_record_writer(writing).value();
      auto sink = open_output(parse_sink_locator(to, {}).value(), {}).value();
      columnar::Buffer out;
      std::vector<columnar::Batch> batches;
      while (true) {
        double at = cpu_seconds();
        const auto lap = [&](double* stage) {
          const double now = cpu_seconds();
          *stage += now - at;
          at = now;
        };
        ChunkPtr chunk = source->next().value();
        lap(&read);
        if (chunk == nullptr) break;
        batches.clear();
        (void)reader->parse(chunk, [&](columnar::Batch&& batch) {
          batches.push_back(std::move(batch));
          return Status();
        });
        lap(&parse);
        for (auto& batch : batches) batch = derive(std::move(batch));
        at = cpu_seconds();
        for (auto& batch : batches) (void)writer->append(batch, out);
        lap(&format);
        (void)sink->write(out.view());
        out.resize(0);
        lap(&write);
      }
      (void)sink->finish(false);
      sink->discard();
      best_read = std::min(best_read, read);
      best_parse = std::min(best_parse, parse);
      best_format = std::min(best_format, format);
      best_write = std::min(best_write, write);
    }
    std::printf("file to file, chunks of %4zu KiB: read %5.1f  parse %5.1f  format %5.1f  write %5.1f ns/record\n",
                chunk_kib, best_read / n * 1e9, best_parse / n * 1e9, best_format / n * 1e9, best_write / n * 1e9);
  }
  (void)os::remove_file(from);
}

}  // namespace

int main(int argc, char** argv) {
  const size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 300000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 10;
  const Flights flights = generate(count);
  const double n = static_cast<double>(count);
  std::vector<Field> fields;
  const auto add = [&](const char* name, DataType type, const char* format = "") {
    Field f;
    f.name = name;
    f.type = type;
    f.format = format;
    fields.push_back(f);
  };
  add("date", TypeId::kTimestamp, "%Y/%m/%d %H:%M");
  add("delay", TypeId::kInt32);
  add("distance", TypeId::kInt32);
  add("origin", TypeId::kString);
  add("destination", TypeId::kString);
  ReaderOptions options;
  options.schema = std::make_shared<const columnar::Schema>(fields);
  const auto chunks = cut(flights.ndjson, 512 << 10);
  const hot::Loops* levels[3];
  const size_t level_count = hot::all_loops(levels, 3);
  for (size_t i = 0; i < level_count; ++i) {
    auto reader = NdjsonReader::make(options, levels[i]).value();
    uint64_t rows = 0;
    const double seconds = best_of(rounds, chunks.size(), [&](size_t k) {
      rows += reader->parse(chunks[k], [](columnar::Batch&&) { return Status(); }).value().rows;
    });
    std::printf("ndjson parse %-7s %6.1f ns/record  %.2f GB/s (%zu rows)\n", levels[i]->name, seconds / n * 1e9,
                static_cast<double>(flights.ndjson.size()) / seconds / 1e9,
                static_cast<size_t>(rows / static_cast<uint64_t>(rounds)));
  }
  const auto csv_chunks = cut(flights.csv, 512 << 10);
  auto files = std::make_shared<SourceFiles>();
  files->add("flights.csv");
  files->mutable_file(0).header = flights.csv.substr(0, flights.csv.find('\n') + 1);
  files->mutable_file(0).data_position = files->file(0).header.size();
  for (size_t i = 1; i < csv_chunks.size(); ++i) const_cast<columnar::InputChunk&>(*csv_chunks[i]).position = i << 19;
  ReaderOptions csv_options = options;
  csv_options.format = DataFormat::kCsv;
  csv_options.files = files;
  for (size_t i = 0; i < level_count; ++i) {
    auto reader = CsvReader::make(csv_options, levels[i]).value();
    uint64_t rows = 0;
    const double seconds = best_of(rounds, csv_chunks.size(), [&](size_t k) {
      rows += reader->parse(csv_chunks[k], [](columnar::Batch&&) { return Status(); }).value().rows;
    });
    std::printf("csv parse    %-7s %6.1f ns/record  %.2f GB/s (%zu rows)\n", levels[i]->name, seconds / n * 1e9,
                static_cast<double>(flights.csv.size()) / seconds / 1e9,
                static_cast<size_t>(rows / static_cast<uint64_t>(rounds)));
  }

  // Writers: the batches of the readers with two more columns, as a clean scenario makes them.
  std::vector<Field> wide = fields;
  {
    Field route, late;
    route.name = "route";
    route.type = TypeId::kString;
    late.name = "late";
    late.type = TypeId::kBool;
    wide.push_back(route);
    wide.push_back(late);
  }
  const auto schema = std::make_shared<const columnar::Schema>(wide);
  const auto derive = [&](columnar::Batch&& batch) {
    columnar::ColumnBuilder route(TypeId::kString, batch.rows);
    for (int64_t row = 0; row < batch.rows; ++row) {
      route.append_text(std::string(batch.columns[3].text(row)) + "-" + std::string(batch.columns[4].text(row)));
    }
    auto late = columnar::make_fixed_column(TypeId::kBool, batch.rows);
    for (int64_t row = 0; row < batch.rows; ++row) {
      late.mutable_data<uint8_t>()[row] = batch.columns[1].data<int32_t>()[row] > 15;
    }
    batch.schema = schema;
    batch.columns.push_back(route.finish());
    batch.columns.push_back(late);
    return std::move(batch);
  };
  for (const DataFormat format : {DataFormat::kNdjson, DataFormat::kCsv}) {
    std::vector<columnar::Batch> batches;
    auto reader = make_record_reader(format == DataFormat::kCsv ? csv_options : options).value();
    for (const auto& chunk : format == DataFormat::kCsv ? csv_chunks : chunks) {
      (void)reader->parse(chunk, [&](columnar::Batch&& batch) {
        batches.push_back(derive(std::move(batch)));
        return Status();
      });
    }
    for (const size_t prefix : {size_t{5}, size_t{0}}) {
      WriterOptions write;
      write.format = format;
      write.schema = schema;
      write.verbatim_prefix_columns = prefix;
      auto writer = make_record_writer(write).value();
      columnar::Buffer out;
      size_t bytes = 0;
      const double seconds = best_of(rounds, batches.size(), [&](size_t k) {
        if (out.size() > (1 << 19)) out.resize(0);
        const size_t before = out.size();
        (void)writer->append(batches[k], out);
        bytes += out.size() - before;
      });
      std::printf("%-6s write %-9s %5.1f ns/record  %.2f GB/s\n", std::string(format_name(format)).c_str(),
                  prefix > 0 ? "verbatim" : "formatted", seconds / n * 1e9,
                  static_cast<double>(bytes) / rounds / seconds / 1e9);
    }
  }
  if (argc > 3) whole_way(argv[3], flights.ndjson, n, rounds, options, derive, schema);
  return 0;
}
