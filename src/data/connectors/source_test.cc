#include "data/connectors/source.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "data/connectors/reading_for_test.h"
#include "data/connectors/record_writer.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::connectors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string packed(Compression compression, const std::string& text) {
  columnar::Buffer out;
  EXPECT_TRUE(compress(compression, text, out).ok());
  return std::string(out.view());
}

Result<std::string> drain(Result<std::unique_ptr<ByteSource>> opened, size_t piece = 1000) {
  auto source = RUNINK_TRY(std::move(opened));
  std::string out, buffer(piece, '\0');
  while (true) {
    const size_t got = RUNINK_TRY(source->read(buffer.data(), buffer.size()));
    out.append(buffer, 0, got);
    if (got < buffer.size()) return out;
  }
}

class Files : public testing::Test {
 protected:
  void SetUp() override { folder_ = os::TempFolder::create("").value(); }
  std::string file(const std::string& name, const std::string& content) {
    EXPECT_TRUE(os::write_file_atomic(folder_.file(name), content).ok());
    return folder_.file(name);
  }
  Locator locator(const std::string& text, const std::string& format = "") {
    LocatorOptions options;
    options.project_root = folder_.path();
    options.format = format;
    return parse_source_locator(text, options).value();
  }
  std::vector<std::string> chunks(const Locator& at, size_t bytes = 64) {
    ChunkOptions options;
    options.chunk_bytes = bytes;
    options.format = at.format;
    auto files = std::make_shared<SourceFiles>();
    auto source = open_chunk_source(at, options, files);
    if (!source.ok()) return {"error: " + source.status().to_string()};
    std::vector<std::string> out;
    while (true) {
      auto chunk = source.value()->next();
      if (!chunk.ok()) {
        out.push_back("error: " + chunk.status().to_string());
        return out;
      }
      if (*chunk == nullptr) return out;
      out.push_back(std::to_string((*chunk)->source) + "@" + std::to_string((*chunk)->position) + ":" +
                    std::string((*chunk)->bytes));
    }
  }
  os::TempFolder folder_;
};

TEST_F(Files, PlainGzipAndZstdGiveTheSameBytes) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  EXPECT_EQ(drain(open_file_source(file("a", text), Compression::kNone)).value(), text);
  for (const Compression compression : {Compression::kGzip, Compression::kZstd}) {
    const std::string whole = packed(compression, text);
    EXPECT_EQ(drain(open_file_source(file("b", whole), compression)).value(), text);
    // Several members or frames, also empty ones.
    const std::string parts =
        packed(compression, text.substr(0, 1000)) + packed(compression, "") + packed(compression, text.substr(1000));
    EXPECT_EQ(drain(open_file_source(file("c", parts), compression)).value(), text);
    EXPECT_EQ(drain(open_file_source(file("c", parts), compression), 7).value(), text);
    // Cut anywhere.
    for (const size_t size : {size_t{1}, size_t{5}, size_t{20}, whole.size() / 2, whole.size() - 1}) {
      const auto got = drain(open_file_source(file("d", whole.substr(0, size)), compression));
      ASSERT_FALSE(got.ok()) << size;
      EXPECT_EQ(got.status().code(), Code::kDataLoss) << size;
      EXPECT_THAT(got.status().to_string(), HasSubstr("ends in the middle"));
    }
    EXPECT_THAT(drain(open_file_source(file("e", "plain text, for sure"), compression)).status().to_string(),
                HasSubstr("holds no"));
    std::string damaged = whole;
    damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x55);
    EXPECT_FALSE(drain(open_file_source(file("f", damaged), compression)).ok());
    EXPECT_FALSE(drain(open_file_source(file("g", whole + "rubbish"), compression)).ok());
    EXPECT_EQ(drain(open_file_source(file("h", ""), compression)).value(), "");
    EXPECT_EQ(drain(make_memory_source(parts, compression, 3)).value(), text);
  }
}

TEST_F(Files, MissingFolderAndForbiddenFilesAreNamed) {
  const std::string missing = folder_.file("none.ndjson");
  Status status = open_file_source(missing, Compression::kNone).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.to_string(), HasSubstr(missing));
  status = open_file_source(folder_.path(), Compression::kNone).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_THAT(status.to_string(), HasSubstr("directory"));
  if (::geteuid() == 0) GTEST_SKIP() << "root may read any file";
  const std::string secret = file("secret", "x");
  ::chmod(secret.c_str(), 0);
  EXPECT_EQ(open_file_source(secret, Compression::kNone).status().code(), Code::kPermissionDenied);
}

TEST_F(Files, AFileThatGrowsShrinksOrChangesWhileReadIsAnError) {
  const auto read_with = [&](const std::function<void(const std::string&)>& change) {
    const std::string path = file("x", std::string(100000, 'x'));
    auto source = open_file_source(path, Compression::kNone).value();
    std::string buffer(50000, '\0');
    EXPECT_EQ(source->read(buffer.data(), buffer.size()).value(), buffer.size());
    change(path);
    Result<size_t> got = source->read(buffer.data(), buffer.size());
    while (got.ok() && *got > 0) got = source->read(buffer.data(), buffer.size());
    return got.status();
  };
  const auto append = [](const std::string& path) {
    const auto fd = os::open_file(path, os::OpenMode::kAppend).value();
    EXPECT_TRUE(os::write_all(fd, "more").ok());
  };
  EXPECT_TRUE(read_with([](const std::string&) {}).ok());
  Status grew = read_with(append);
  EXPECT_EQ(grew.code(), Code::kDataLoss);
  EXPECT_THAT(grew.to_string(), HasSubstr("grew while it was read"));
  Status shrank = read_with([](const std::string& path) { EXPECT_EQ(::truncate(path.c_str(), 60000), 0); });
  EXPECT_EQ(shrank.code(), Code::kDataLoss);
  EXPECT_THAT(shrank.to_string(), HasSubstr("shrank while it was read"));
  Status rewritten = read_with([](const std::string& path) {
    const auto fd = os::open_file(path, os::OpenMode::kReadWrite).value();
    EXPECT_TRUE(os::pwrite_all(fd, "y", 0).ok());
    const timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
    EXPECT_EQ(::futimens(fd.get(), times), 0);
  });
  EXPECT_EQ(rewritten.code(), Code::kDataLoss);
}

TEST_F(Files, ChunksEndAtRecordsAndNeverSpanFiles) {
  file("b.ndjson", "{\"b\":1}\n{\"b\":2}");
  file("a.ndjson", "{\"a\":1}\n");
  file("c.ndjson", "");
  const std::vector<std::string> expected = {"0@0:{\"a\":1}\n", "1@0:{\"b\":1}\n{\"b\":2}"};
  EXPECT_EQ(chunks(locator("*.ndjson")), expected);
  EXPECT_THAT(chunks(locator("no*.ndjson")), ElementsAre(HasSubstr("no file matches")));
}

TEST_F(Files, ChunksAreTheSameForAnyNumberOfThreads) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "{\"n\":" + std::to_string(i * 37) + "}\n";
  const Locator at = locator(file("n.ndjson", text));
  const std::vector<std::string> serial = chunks(at, 4096);
  ChunkOptions options;
  options.chunk_bytes = 4096;
  auto source = open_chunk_source(at, options, std::make_shared<SourceFiles>()).value();
  std::mutex mutex;
  std::vector<std::string> parallel(serial.size());
  std::vector<std::thread> workers;
  for (int t = 0; t < 4; ++t) {
    workers.emplace_back([&] {
      while (true) {
        auto chunk = source->next();
        if (!chunk.ok() || *chunk == nullptr) return;
        const std::lock_guard lock(mutex);
        parallel.at((*chunk)->sequence) =
            "0@" + std::to_string((*chunk)->position) + ":" + std::string((*chunk)->bytes);
      }
    });
  }
  for (auto& worker : workers) worker.join();
  EXPECT_EQ(parallel, serial);
  EXPECT_EQ(source->raw_bytes(), text.size());
  EXPECT_EQ(source->raw_size(), text.size());
}

TEST_F(Files, BuffersOfChunksAreUsedAgain) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "{\"n\":1}\n";
  auto source = open_chunk_source(locator(file("n.ndjson", text)), ChunkOptions{.chunk_bytes = 4096},
                                  std::make_shared<SourceFiles>())
                    .value();
  std::set<const void*> places;
  size_t count = 0;
  while (true) {
    auto chunk = source->next().value();
    if (chunk == nullptr) break;
    places.insert(chunk->bytes.data());
    ++count;
  }
  EXPECT_GT(count, 100u);
  EXPECT_LT(places.size(), 5u);
}

TEST_F(Files, CompressedTextUnderAPlainNameIsSaid) {
  EXPECT_THAT(chunks(locator(file("x.ndjson", packed(Compression::kGzip, "{}\n")))),
              ElementsAre(HasSubstr("compressed with gzip")));
}

TEST_F(Files, Programs) {
  LocatorOptions options;
  options.project_root = folder_.path();
  options.format = "ndjson";
  const auto from = [&](const std::string& command) {
    options.exec = command;
    return chunks(parse_source_locator("", options).value());
  };
  EXPECT_THAT(from("printf '{\"a\":1}\\n{\"a\":2}\\n'"), ElementsAre("0@0:{\"a\":1}\n{\"a\":2}\n"));
  EXPECT_THAT(from("true"), ElementsAre());
  file("data.txt", "{\"here\":1}\n");
  EXPECT_THAT(from("cat data.txt"), ElementsAre("0@0:{\"here\":1}\n"));
  EXPECT_THAT(from("no-such-program-anywhere"), ElementsAre(HasSubstr("no-such-program-anywhere")));

  options.exec = "sh -c 'echo {}; echo first >&2; echo last words >&2; exit 3'";
  auto source =
      open_chunk_source(parse_source_locator("", options).value(), ChunkOptions(), std::make_shared<SourceFiles>())
          .value();
  Status failed = source->next().status();
  EXPECT_THAT(failed.to_string(), HasSubstr("exit code 3"));
  EXPECT_EQ(failed.kind(), "source.program");
  EXPECT_THAT(failed.details(), testing::Contains("last words"));
  EXPECT_FALSE(source->next().ok());  // and stays so

  // More errors than a pipe holds, and output after them.
  options.exec = "sh -c 'head -c 300000 /dev/zero | tr \"\\\\0\" x >&2; echo {}'";
  EXPECT_THAT(chunks(parse_source_locator("", options).value()), ElementsAre("0@0:{}\n"));
}

TEST_F(Files, AStopEndsAWaitForAProgram) {
  LocatorOptions options;
  options.project_root = folder_.path();
  options.format = "ndjson";
  options.exec = "cat";  // reads nothing that ever comes: its input is /dev/null, so it ends
  StopFlag stop;
  ChunkOptions chunking;
  chunking.stop = &stop;
  stop.request();
  auto source =
      open_chunk_source(parse_source_locator("", options).value(), chunking, std::make_shared<SourceFiles>()).value();
  EXPECT_EQ(source->next().status().kind(), "run.interrupted");
}

TEST_F(Files, PipesAreReadToTheirEnd) {
  const std::string path = folder_.file("pipe.ndjson");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] {
    const auto fd = os::open_file(path, os::OpenMode::kAppend).value();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(os::write_all(fd, "{\"i\":" + std::to_string(i) + "}\n").ok());
  });
  std::string all;
  for (const std::string& chunk : chunks(locator("pipe.ndjson"))) all += chunk.substr(chunk.find(':') + 1);
  writer.join();
  EXPECT_THAT(all, testing::EndsWith("{\"i\":99}\n"));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 100);
}

TEST_F(Files, AFifoThatNobodyWritesCanBeStopped) {
  const std::string path = folder_.file("pipe.ndjson");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  StopFlag stop;
  auto source = open_file_source(path, Compression::kNone, &stop);  // opening does not wait
  ASSERT_TRUE(source.ok()) << source.status().to_string();
  stop.request();
  char c;
  EXPECT_EQ((*source)->read(&c, 1).status().kind(), "run.interrupted");
}

}  // namespace
}  // namespace runink::connectors
