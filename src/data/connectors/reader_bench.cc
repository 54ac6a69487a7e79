// Measures the readers and writers alone, in memory, on generated flight records: nanoseconds per record and thread.
// Not part of the tests; build target reader_bench. Usage: reader_bench [records] [rounds]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "data/connectors/hot.h"
#include "data/connectors/ndjson_reader.h"
#include "data/connectors/record_reader.h"

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
    out.ndjson.append(line, static_cast<size_t>(std::snprintf(line, sizeof line,
        "{\"date\":\"2001/%02d/%02d %02d:%02d\",\"delay\":%d,\"distance\":%d,\"origin\":\"%s\",\"destination\":\"%s\"}\n",
        month, day, hour, minute, delay, distance, origin, destination)));
    out.csv.append(line, static_cast<size_t>(std::snprintf(line, sizeof line, "2001/%02d/%02d %02d:%02d,%d,%d,%s,%s\n",
        month, day, hour, minute, delay, distance, origin, destination)));
  }
  return out;
}

double best_of(int rounds, const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
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
    const double seconds = best_of(rounds, [&] {
      rows = 0;
      for (const auto& chunk : chunks) {
        auto report = reader->parse(chunk, [](columnar::Batch&&) { return Status(); });
        rows += report.value().rows;
      }
    });
    std::printf("ndjson parse %-7s %6.1f ns/record  %.2f GB/s (%zu rows)\n", levels[i]->name, seconds / n * 1e9,
                static_cast<double>(flights.ndjson.size()) / seconds / 1e9, static_cast<size_t>(rows));
  }
  return 0;
}
