// ByteSources: plain, gzip and zstd over a RawInput.
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "data/connectors/raw_input.h"

namespace runink::connectors {

namespace {

constexpr size_t kInputBytes = size_t{256} << 10;

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<RawInput> raw) : raw_(std::move(raw)) {}
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t got = RUNINK_TRY(raw_->read(buffer, size));
    taken_.fetch_add(got, std::memory_order_relaxed);
    return got;
  }
  Result<size_t> read_until_pause(char* buffer, size_t size, bool* paused) override {
    const size_t got = RUNINK_TRY(raw_->read_until_pause(buffer, size, paused));
    taken_.fetch_add(got, std::memory_order_relaxed);
    return got;
  }
  uint64_t raw_bytes() const override { return taken_.load(std::memory_order_relaxed); }
  uint64_t raw_size() const override { return raw_->size(); }

 private:
  std::unique_ptr<RawInput> raw_;
  std::atomic<uint64_t> taken_{0};
};

// The part of a decompressor that feeds it.
class Compressed : public ByteSource {
 public:
  explicit Compressed(std::unique_ptr<RawInput> raw) : raw_(std::move(raw)), input_(kInputBytes) {}
  uint64_t raw_bytes() const override { return taken_.load(std::memory_order_relaxed); }
  uint64_t raw_size() const override { return raw_->size(); }

 protected:
  // More input if all is used; false at its end.
  Result<bool> refill() {
    if (begin_ < end_) return true;
    const size_t got = RUNINK_TRY(raw_->read(input_.data(), input_.size()));
    taken_.fetch_add(got, std::memory_order_relaxed);
    begin_ = 0;
    end_ = got;
    return got > 0;
  }
  Status truncated(const char* kind) const {
    return data_loss("{} ends in the middle of its {} data", raw_->name(), kind)
        .with_hint("the file is cut off: write or copy it again");
  }
  Status other_kind(const char* kind) const {
    return invalid_argument("{} holds no {} data", raw_->name(), kind)
        .with_hint("say compression=\"none\" if it is not compressed");
  }

  std::unique_ptr<RawInput> raw_;
  std::vector<char> input_;
  size_t begin_ = 0, end_ = 0;
  std::atomic<uint64_t> taken_{0};
};

class GzipSource : public Compressed {
 public:
  explicit GzipSource(std::unique_ptr<RawInput> raw) : Compressed(std::move(raw)) {}
  ~GzipSource() override {
    if (ready_) inflateEnd(&stream_);
  }
  Result<size_t> read(char* buffer, size_t size) override {
    size_t filled = 0;
    while (filled < size) {
      if (!RUNINK_TRY(refill())) {
        if (inside_) return truncated("gzip");
        break;
      }
      if (!inside_) {
        // Between members: zero bytes pad some files.
        if (members_ > 0 && input_[begin_] == 0) {
          ++begin_;
          continue;
        }
        if (static_cast<unsigned char>(input_[begin_]) != 0x1F) {
          if (members_ == 0) return other_kind("gzip");
          return data_loss("{} has bytes after its gzip data that are no gzip data", raw_->name());
        }
        constexpr int kGzipWindow = 15 + 16;
        const int result = ready_ ? inflateReset(&stream_) : inflateInit2(&stream_, kGzipWindow);
        if (result != Z_OK) return internal_error("gzip could not be set up");
        ready_ = inside_ = true;
      }
      stream_.next_in = reinterpret_cast<Bytef*>(input_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(end_ - begin_);
      const size_t room = std::min<size_t>(size - filled, size_t{1} << 30);
      stream_.next_out = reinterpret_cast<Bytef*>(buffer + filled);
      stream_.avail_out = static_cast<uInt>(room);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      begin_ = end_ - stream_.avail_in;
      filled += room - stream_.avail_out;
      if (result == Z_STREAM_END) {
        inside_ = false;
        ++members_;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        if (members_ == 0 && stream_.total_out == 0 && stream_.total_in < 10) return other_kind("gzip");
        return data_loss("{} holds damaged gzip data: {}", raw_->name(),
                         stream_.msg != nullptr ? stream_.msg : "unknown");
      }
    }
    return filled;
  }

 private:
  z_stream stream_{};
  bool ready_ = false, inside_ = false;
  uint64_t members_ = 0;
};

class ZstdSource : public Compressed {
 public:
  explicit ZstdSource(std::unique_ptr<RawInput> raw) : Compressed(std::move(raw)), context_(ZSTD_createDCtx()) {}
  ~ZstdSource() override { ZSTD_freeDCtx(context_); }
  Result<size_t> read(char* buffer, size_t size) override {
    ZSTD_outBuffer out{buffer, size, 0};
    while (out.pos < size) {
      if (!RUNINK_TRY(refill()) && !pending_output_) {
        if (inside_) return truncated("zstd");
        break;
      }
      ZSTD_inBuffer in{input_.data() + begin_, end_ - begin_, 0};
      const size_t before = out.pos;
      const size_t result = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(result)) {
        if (!any_ && ZSTD_getErrorCode(result) == ZSTD_error_prefix_unknown) return other_kind("zstd");
        return data_loss("{} holds damaged zstd data: {}", raw_->name(), ZSTD_getErrorName(result));
      }
      begin_ += in.pos;
      any_ = true;
      inside_ = result != 0;
      pending_output_ = inside_ && out.pos == size;  // it may hold back more than there was room for
      if (in.pos == 0 && out.pos == before && begin_ == end_) pending_output_ = false;
    }
    return out.pos;
  }

 private:
  ZSTD_DCtx* context_;
  bool inside_ = false, any_ = false, pending_output_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> make_byte_source(std::unique_ptr<RawInput> raw, Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<GzipSource>(std::move(raw));
    case Compression::kZstd:
      return std::make_unique<ZstdSource>(std::move(raw));
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSource>(std::move(raw));
}

Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path, Compression compression,
                                                     const StopFlag* stop) {
  return make_byte_source(RUNINK_TRY(open_raw_file(path, stop)), compression);
}

namespace {

// An input of which some bytes have been looked at.
class PeekedInput final : public RawInput {
 public:
  PeekedInput(std::unique_ptr<RawInput> rest, std::string first) : rest_(std::move(rest)), first_(std::move(first)) {
    name_ = rest_->name();
  }
  Result<size_t> read(char* buffer, size_t size) override {
    const size_t early = std::min(size, first_.size() - at_);
    std::memcpy(buffer, first_.data() + at_, early);
    at_ += early;
    return early + RUNINK_TRY(rest_->read(buffer + early, size - early));
  }
  uint64_t size() const override { return rest_->size(); }

 private:
  std::unique_ptr<RawInput> rest_;
  std::string first_;
  size_t at_ = 0;
};

Result<std::unique_ptr<RawInput>> open_raw_standard_input(const StopFlag* stop) {
  const int copy = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return from_errno(errno, "read standard input");
  return open_raw_descriptor(os::Fd(copy, "standard input"), "standard input", stop);
}

}  // namespace

Result<std::unique_ptr<ByteSource>> open_standard_input(Compression compression, const StopFlag* stop) {
  return make_byte_source(RUNINK_TRY(open_raw_standard_input(stop)), compression);
}

Result<std::unique_ptr<ByteSource>> open_unpacked(const std::string& path, const StopFlag* stop) {
  auto raw = path == "-" ? open_raw_standard_input(stop) : open_raw_file(path, stop);
  if (!raw.ok()) return std::move(raw).status();
  std::string first(4, '\0');
  first.resize(RUNINK_TRY((*raw)->read(first.data(), first.size())));
  const Compression compression = detect_compression(first);
  return make_byte_source(std::make_unique<PeekedInput>(std::move(*raw), std::move(first)), compression);
}

Result<std::unique_ptr<ByteSource>> open_program(const std::vector<std::string>& command,
                                                 const std::string& working_directory, Compression compression,
                                                 const StopFlag* stop, const ProgramWords& words) {
  return make_byte_source(RUNINK_TRY(open_raw_program(command, working_directory, stop, words)), compression);
}

std::unique_ptr<ByteSource> make_memory_source(std::string bytes, Compression compression, size_t piece) {
  return make_byte_source(make_raw_memory(std::move(bytes), piece), compression);
}

Compression detect_compression(std::string_view first) {
  const auto starts = [&](std::string_view magic) { return first.substr(0, magic.size()) == magic; };
  if (starts("\x1F\x8B")) return Compression::kGzip;
  if (starts("\x28\xB5\x2F\xFD")) return Compression::kZstd;
  return Compression::kNone;
}

}  // namespace runink::connectors
