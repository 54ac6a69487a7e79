// ChunkSource over text files, standard input and programs: reads ahead of the workers by nothing, cuts at record
// borders.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>

#include "data/connectors/csv_border.h"
#include "data/connectors/raw_input.h"
#include "data/connectors/source.h"
#include "platform/os/file.h"

namespace runink::connectors {

uint32_t SourceFiles::add(std::string name) {
  const std::lock_guard lock(mutex_);
  files_.push_back(std::make_unique<SourceFile>());
  files_.back()->name = std::move(name);
  return static_cast<uint32_t>(files_.size() - 1);
}
const SourceFile& SourceFiles::file(uint32_t source) const {
  const std::lock_guard lock(mutex_);
  RUNINK_CHECK(source < files_.size());
  return *files_[source];
}
SourceFile& SourceFiles::mutable_file(uint32_t source) {
  const std::lock_guard lock(mutex_);
  RUNINK_CHECK(source < files_.size());
  return *files_[source];
}
size_t SourceFiles::size() const {
  const std::lock_guard lock(mutex_);
  return files_.size();
}

namespace {

using columnar::Buffer;

// Buffers of chunks that are gone, for the next ones. Outlives the source while chunks live.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(size_t keep_bytes) : keep_bytes_(keep_bytes) {}
  std::shared_ptr<Buffer> take() {
    std::unique_ptr<Buffer> buffer;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        buffer = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!buffer) buffer = std::make_unique<Buffer>();
    return {buffer.release(), [pool = shared_from_this()](Buffer* done) { pool->give_back(done); }};
  }

 private:
  static constexpr size_t kKeep = 16;
  void give_back(Buffer* done) {
    std::unique_ptr<Buffer> buffer(done);
    if (buffer->capacity() > keep_bytes_) return;  // a huge record; memory stays flat
    buffer->resize(0);
    const std::lock_guard lock(mutex_);
    if (free_.size() < kKeep) free_.push_back(std::move(buffer));
  }
  const size_t keep_bytes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Buffer>> free_;
};

uint64_t total_size(const std::vector<std::string>& paths) {
  uint64_t total = 0;
  for (const std::string& path : paths) {
    const auto info = os::file_info(path);
    if (!info.ok() || !info.value().regular()) return 0;
    total += info.value().size;
  }
  return total;
}

// Opens the sources one after the other.
using Opener = std::function<Result<std::unique_ptr<ByteSource>>(const std::string& name)>;

class TextChunkSource : public ChunkSource {
 public:
  TextChunkSource(std::vector<std::string> names, Opener opener, uint64_t raw_size, const ChunkOptions& options,
                  std::shared_ptr<SourceFiles> files)
      : options_(options),
        opener_(std::move(opener)),
        names_(std::move(names)),
        raw_size_(raw_size),
        files_(std::move(files)),
        pool_(std::make_shared<BufferPool>(4 * options.chunk_bytes)) {
    for (const std::string& name : names_) indices_.push_back(files_->add(name));
  }

  Status open_first() {
    const std::lock_guard lock(mutex_);
    return names_.empty() ? Status() : open_next();
  }
  void set_first(std::unique_ptr<ByteSource> first) {
    current_ = std::move(first);
    begin_file();
  }

  Result<ChunkPtr> next() override {
    const std::lock_guard lock(mutex_);
    if (!failed_.ok()) return failed_;
    auto chunk = produce();
    if (!chunk.ok()) failed_ = chunk.status();
    return chunk;
  }
  uint64_t raw_bytes() const override { return raw_done_.load(std::memory_order_relaxed); }
  uint64_t raw_size() const override { return raw_size_; }
  uint64_t decoded_bytes() const override { return decoded_.load(std::memory_order_relaxed); }

 private:
  Status open_next() {
    current_ = RUNINK_TRY(opener_(names_[file_]));
    begin_file();
    return Status();
  }
  void begin_file() {
    position_ = 0;
    at_end_ = false;
    first_chunk_ = true;
    header_found_ = !(options_.format == DataFormat::kCsv && options_.csv.header);
    line_ends_known_ = lone_cr_ = false;
    carry_.resize(0);
    raw_before_ = raw_done_.load(std::memory_order_relaxed);
  }
  void end_file() {
    current_.reset();
    ++file_;
  }

  Result<ChunkPtr> produce() {
    while (true) {
      if (options_.stop != nullptr && options_.stop->requested()) {
        return cancelled("reading was interrupted").with_kind("run.interrupted");
      }
      if (!current_) {
        if (file_ >= names_.size()) return ChunkPtr();
        RUNINK_RETURN_IF_ERROR(open_next());
      }
      ChunkPtr chunk = RUNINK_TRY(cut());
      if (chunk) return chunk;
      end_file();
    }
  }

  // Reads until `buffer` holds `wanted` bytes, the file ends, or its writer pauses.
  Status fill(Buffer& buffer, size_t wanted) {
    const size_t have = buffer.size();
    if (at_end_ || have >= wanted) return Status();
    buffer.resize(wanted);
    bool paused = false;
    auto got =
        current_->read_until_pause(reinterpret_cast<char*>(buffer.data()) + have, wanted - have, &paused);
    buffer.resize(have + (got.ok() ? got.value() : 0));
    raw_done_.store(raw_before_ + current_->raw_bytes(), std::memory_order_relaxed);
    if (!got.ok()) return std::move(got).status();
    decoded_.fetch_add(got.value(), std::memory_order_relaxed);
    if (have + got.value() < wanted) at_end_ = !paused;
    return Status();
  }

  static constexpr size_t kLongestMark = 4;  // bytes that tell an encoding or a compression

  // The next chunk of the current file; null at its end.
  Result<ChunkPtr> cut() {
    auto buffer = pool_->take();
    buffer->reserve(options_.chunk_bytes + 64);
    buffer->append(carry_.data(), carry_.size());
    carry_.resize(0);
    size_t wanted = std::max(options_.chunk_bytes, kLongestMark);
    size_t skipped = 0;  // byte order mark
    size_t border = 0, searched = 0;
    while (true) {
      RUNINK_RETURN_IF_ERROR(fill(*buffer, wanted));
      std::string_view text = buffer->view();
      if (first_chunk_ && text.size() < kLongestMark && !at_end_) continue;  // its writer paused very early
      if (first_chunk_ && searched == 0) skipped = RUNINK_TRY(check_beginning(text));
      text.remove_prefix(skipped);
      border = RUNINK_TRY(find_border(text, searched));
      if (border > 0 || at_end_) break;
      searched = text.size();
      if (text.size() >= options_.max_record_bytes) {
        return resource_exhausted("{}: the record at byte {} is longer than {} bytes", name(), position_ + skipped,
                                  options_.max_record_bytes)
            .with_kind("source.record_too_long")
            .with_hint("is a line break or a closing quote missing? Otherwise raise max_record below [engine] in runink.toml");
      }
      if (buffer->size() < wanted) continue;  // the writer paused inside a record
      // Not much further than the record goes.
      wanted = std::min(wanted + std::max(options_.chunk_bytes, wanted / 8), skipped + options_.max_record_bytes);
    }
    const std::string_view text = buffer->view().substr(skipped);
    if (text.empty()) return ChunkPtr();
    if (at_end_) {
      border = text.size();  // what follows the last line break is a record too
    } else {
      carry_.append(text.data() + border, text.size() - border);
    }
    // What vector loads may see past the end is always the same, not what an earlier chunk left there.
    std::memset(buffer->data() + skipped + border, 0, columnar::Buffer::kPadding);
    auto chunk = std::make_shared<InputChunk>();
    chunk->source = indices_[file_];
    chunk->sequence = sequence_++;
    chunk->position = position_ + skipped;
    chunk->bytes = text.substr(0, border);
    chunk->first_line = first_chunk_ ? 1 : 0;
    buffer->resize(skipped + border);
    chunk->owner = std::move(buffer);
    position_ += skipped + border;
    first_chunk_ = false;
    return ChunkPtr(std::move(chunk));
  }

  // Length of the byte order mark, after refusing what is no UTF-8 text.
  Result<size_t> check_beginning(std::string_view text) {
    const auto starts = [&](std::string_view magic) { return text.substr(0, magic.size()) == magic; };
    const auto encoding = [&](const char* kind) {
      return invalid_argument("{} is {} text, which Runink does not read", name(), kind)
          .with_hint("convert it first: iconv -f UTF-16 -t UTF-8");
    };
    using namespace std::string_view_literals;
    size_t skipped = 0;
    if (starts("\xEF\xBB\xBF")) skipped = 3;
    if (starts("\xFF\xFE\0\0"sv) || starts("\0\0\xFE\xFF"sv)) return encoding("UTF-32");
    if (starts("\xFF\xFE") || starts("\xFE\xFF")) return encoding("UTF-16");
    const Compression found = detect_compression(text);
    if (found != Compression::kNone) {
      return invalid_argument("{} is compressed with {}", name(), compression_name(found))
          .with_hint(fmt::format("name it with {}, or say compression=\"{}\"",
                                 found == Compression::kGzip ? ".gz" : ".zst", compression_name(found)));
    }
    files_->mutable_file(indices_[file_]).data_position = skipped;
    return skipped;
  }

  // End of the last complete record. For the first chunk of a CSV file with a header there is none before the header.
  Result<size_t> find_border(std::string_view text, size_t searched) {
    if (options_.format == DataFormat::kNdjson) {
      const void* at = memrchr(text.data() + searched, '\n', text.size() - searched);
      return at == nullptr ? size_t{0} : static_cast<size_t>(static_cast<const char*>(at) - text.data()) + 1;
    }
    if (!line_ends_known_) {
      const auto lone_cr = uses_lone_cr(text, options_.csv, at_end_);
      if (!lone_cr) return size_t{0};
      files_->mutable_file(indices_[file_]).lone_cr = lone_cr_ = *lone_cr;
      line_ends_known_ = true;
    }
    if (!header_found_ && !find_header(text)) return size_t{0};
    size_t border = last_csv_border(text, options_.csv, lone_cr_);
    // A CR at the end may be half of CR LF.
    if (border == text.size() && lone_cr_ && !at_end_ && border > 0 && text[border - 1] == '\r') {
      border = last_csv_border(text.substr(0, border - 1), options_.csv, lone_cr_);
    }
    return border;
  }

  bool find_header(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
      const CsvRecord record = next_csv_record(text.substr(at), options_.csv, lone_cr_);
      if (record.break_length == 0 && !at_end_) return false;
      const std::string_view line = text.substr(at, record.length);
      const size_t whole = record.length + record.break_length;
      const bool comment = options_.csv.comment != 0 && !line.empty() && line[0] == options_.csv.comment;
      at += whole;
      if (comment || line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      SourceFile& file = files_->mutable_file(indices_[file_]);
      file.header.assign(text.data() + at - whole, whole);
      file.data_position += at;
      header_found_ = true;
      return true;
    }
    return false;
  }

  const std::string& name() const { return names_[file_]; }

  const ChunkOptions options_;
  Opener opener_;
  std::vector<std::string> names_;
  std::vector<uint32_t> indices_;
  const uint64_t raw_size_;
  std::shared_ptr<SourceFiles> files_;
  std::shared_ptr<BufferPool> pool_;

  std::mutex mutex_;  // all below but the counters
  Status failed_;
  std::unique_ptr<ByteSource> current_;
  size_t file_ = 0;
  Buffer carry_;
  uint64_t position_ = 0, sequence_ = 0, raw_before_ = 0;
  bool at_end_ = false, first_chunk_ = true, header_found_ = true;
  bool line_ends_known_ = false, lone_cr_ = false;
  std::atomic<uint64_t> raw_done_{0}, decoded_{0};
};

Status check(const ChunkOptions& options) {
  constexpr size_t kMost = size_t{1} << 30;  // offsets of rows have 32 bits
  if (options.max_record_bytes == 0 || options.max_record_bytes > kMost || options.chunk_bytes == 0 ||
      options.chunk_bytes > kMost) {
    return invalid_argument("chunk and record sizes must be between 1 byte and 1 GiB");
  }
  if (options.format == DataFormat::kArrow) return internal_error("Arrow sources are not cut into text chunks");
  return options.format == DataFormat::kCsv ? validate(options.csv) : Status();
}

}  // namespace

Result<std::unique_ptr<ChunkSource>> open_chunk_source(const Locator& locator, const ChunkOptions& options,
                                                       std::shared_ptr<SourceFiles> files) {
  RUNINK_RETURN_IF_ERROR(check(options));
  const Compression compression = locator.compression;
  const StopFlag* const stop = options.stop;
  if (locator.inputs) {
    auto handed = [=, inputs = locator.inputs](const std::string& name) -> Result<std::unique_ptr<ByteSource>> {
      return make_byte_source(RUNINK_TRY(inputs->open(name, stop)), compression);
    };
    auto source = std::make_unique<TextChunkSource>(locator.inputs->names(), std::move(handed),
                                                    locator.inputs->raw_size(), options, std::move(files));
    RUNINK_RETURN_IF_ERROR(source->open_first());
    return std::unique_ptr<ChunkSource>(std::move(source));
  }
  std::vector<std::string> names = RUNINK_TRY(expand(locator));
  uint64_t raw_size = 0;
  Opener opener;
  switch (locator.kind) {
    case LocatorKind::kPath:
      raw_size = total_size(names);
      opener = [=](const std::string& path) { return open_file_source(path, compression, stop); };
      break;
    case LocatorKind::kStandard:
      names = {"-"};
      opener = [=](const std::string&) { return open_standard_input(compression, stop); };
      break;
    case LocatorKind::kProgram:
      names = {locator.text};
      opener = [=, command = locator.command, folder = locator.working_directory,
                words = locator.words](const std::string&) {
        return open_program(command, folder, compression, stop, words);
      };
      break;
  }
  auto source =
      std::make_unique<TextChunkSource>(std::move(names), std::move(opener), raw_size, options, std::move(files));
  RUNINK_RETURN_IF_ERROR(source->open_first());
  return std::unique_ptr<ChunkSource>(std::move(source));
}

std::unique_ptr<ChunkSource> make_memory_chunk_source(std::string name, std::unique_ptr<ByteSource> bytes,
                                                      const ChunkOptions& options, std::shared_ptr<SourceFiles> files) {
  RUNINK_CHECK(check(options).ok());
  const uint64_t size = bytes->raw_size();
  auto source = std::make_unique<TextChunkSource>(std::vector<std::string>{std::move(name)}, Opener(), size, options,
                                                  std::move(files));
  source->set_first(std::move(bytes));
  return source;
}

}  // namespace runink::connectors
