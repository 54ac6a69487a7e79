#include "control/barn/rocks/sealed_file.h"

#include <algorithm>
#include <cstring>

#include "base/little_endian.h"
#include "base/check.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::barn {

namespace {

constexpr std::string_view kMagic = "RNKSEAL\n";
constexpr uint16_t kFormat = 1;
constexpr size_t kSealedBlock = kBlockBytes + crypto::kSealOverhead;
constexpr size_t kReadBlocks = 16;         // read at once
constexpr size_t kWriteBytes = 256 << 10;  // gathered before they are written

// Header: magic 8 | format 2 | layout 2 | block size 4 | file id 16 | key id 8 | zeros 16 | SHA-256 of it, the first 8.
constexpr size_t kFormatAt = 8, kLayoutAt = 10, kBlockSizeAt = 12, kIdAt = 16, kKeyIdAt = 32, kSumAt = 56;

std::string_view view(const FileId& id) { return {reinterpret_cast<const char*>(id.data()), id.size()}; }

std::array<char, kHeaderBytes> encode_header(Layout layout, const FileId& id, const crypto::KeyId& key_id) {
  std::array<char, kHeaderBytes> header{};
  std::memcpy(header.data(), kMagic.data(), kMagic.size());
  store_little_endian<uint16_t>(header.data() + kFormatAt, kFormat);
  store_little_endian<uint16_t>(header.data() + kLayoutAt, static_cast<uint16_t>(layout));
  store_little_endian<uint32_t>(header.data() + kBlockSizeAt, layout == Layout::kBlocks ? kBlockBytes : kFrameBytes);
  std::memcpy(header.data() + kIdAt, id.data(), id.size());
  std::memcpy(header.data() + kKeyIdAt, key_id.data(), key_id.size());
  const crypto::Digest256 sum = crypto::sha256({header.data(), kSumAt});
  std::memcpy(header.data() + kSumAt, sum.data(), kHeaderBytes - kSumAt);
  return header;
}

// What is associated with a piece: everything that makes it this piece of this file.
struct Associated {
  std::array<char, 32> bytes{};
  Associated(Layout layout, const FileId& id, uint64_t offset, bool last) {
    store_little_endian<uint16_t>(bytes.data(), kFormat);
    bytes[2] = static_cast<char>(layout);
    bytes[3] = last ? 1 : 0;
    std::memcpy(bytes.data() + 8, id.data(), id.size());
    store_little_endian<uint64_t>(bytes.data() + 24, offset);
  }
  operator std::string_view() const { return {bytes.data(), bytes.size()}; }
};

// A guard against damage by chance of the length before a frame, so that it is not taken for a torn end. What protects
// against a hand is the tag. Finalizer of MurmurHash3 (A. Appleby, public domain) over id, offset and length.
uint32_t length_check(const FileId& id, uint64_t offset, uint32_t length) {
  uint64_t words[2];
  std::memcpy(words, id.data(), sizeof words);
  uint64_t hash = words[0] ^ (words[1] * 0x9E3779B97F4A7C15u);
  for (const uint64_t word : {offset, uint64_t{length}}) {
    hash ^= word;
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDu;
    hash = (hash ^ hash >> 33) * 0xC4CEB9FE1A85EC53u;
    hash ^= hash >> 33;
  }
  return static_cast<uint32_t>(hash);
}

Status damaged(const std::string& path, uint64_t offset, std::string_view what) {
  return data_loss("{}: {} (at byte {} of its content)", path, what, offset);
}

}  // namespace

Result<std::optional<SealedHeader>> read_sealed_header(const os::Fd& fd) {
  std::array<char, kHeaderBytes> bytes;
  const size_t size = RUNINK_TRY(os::pread_full(fd, bytes.data(), bytes.size(), 0));
  if (size < kHeaderBytes || std::string_view(bytes.data(), kMagic.size()) != kMagic) {
    return std::optional<SealedHeader>();
  }
  const crypto::Digest256 sum = crypto::sha256({bytes.data(), kSumAt});
  if (std::memcmp(sum.data(), bytes.data() + kSumAt, kHeaderBytes - kSumAt) != 0) {
    return data_loss("{}: its header is damaged", fd.path());
  }
  const auto format = load_little_endian<uint16_t>(bytes.data() + kFormatAt);
  const auto layout = load_little_endian<uint16_t>(bytes.data() + kLayoutAt);
  const auto block = load_little_endian<uint32_t>(bytes.data() + kBlockSizeAt);
  if (format != kFormat || layout < 1 || layout > 2 || block != (layout == 1 ? kBlockBytes : kFrameBytes)) {
    return unimplemented(
        "{} is sealed in format {}, layout {}, with blocks of {} bytes, which this program does not know", fd.path(),
        format, layout, block);
  }
  SealedHeader header;
  header.layout = static_cast<Layout>(layout);
  std::memcpy(header.id.data(), bytes.data() + kIdAt, header.id.size());
  std::memcpy(header.key_id.data(), bytes.data() + kKeyIdAt, header.key_id.size());
  return std::optional(header);
}

// ---- Writing

Result<std::unique_ptr<FileWriter>> FileWriter::create(const std::string& path, Layout layout,
                                                       const crypto::SealingKey* key) {
  RUNINK_RETURN_IF_ERROR(os::remove_file(path));
  os::Fd fd = RUNINK_TRY(os::open_file(path, os::OpenMode::kCreateNew, 0600));
  std::unique_ptr<FileWriter> writer(new FileWriter(std::move(fd), layout));
  if (key != nullptr) writer->start(*key);
  return writer;
}

void FileWriter::start(const crypto::SealingKey& key) {
  id_ = crypto::random_array<sizeof(FileId)>();
  key_ = key.derive(kFilePurpose, view(id_));
  const auto header = encode_header(layout_, id_, key.id());
  buffer_.assign(header.data(), header.size());
}

Result<std::unique_ptr<FileWriter>> FileWriter::reopen(const std::string& path, const crypto::SealingKey* key) {
  std::unique_ptr<FileReader> reader = RUNINK_TRY(FileReader::open(path, key));
  const uint64_t end = RUNINK_TRY(reader->physical_end());
  const uint64_t size = RUNINK_TRY(reader->size());
  os::Fd fd = RUNINK_TRY(os::open_file(path, os::OpenMode::kReadWrite, 0600));
  std::unique_ptr<FileWriter> writer(new FileWriter(std::move(fd), Layout::kFrames));
  RUNINK_RETURN_IF_ERROR(os::truncate_file(writer->fd_, end));
  writer->size_ = size;
  writer->physical_ = end;
  if (key == nullptr) return writer;
  const std::optional<SealedHeader> header = RUNINK_TRY(read_sealed_header(writer->fd_));
  if (!header) {  // nothing of it is left
    writer->start(*key);
    return writer;
  }
  writer->id_ = header->id;
  writer->key_ = key->derive(kFilePurpose, view(header->id));
  return writer;
}

FileWriter::~FileWriter() = default;

Status FileWriter::latch(Status status) {
  if (!status.ok() && failed_.ok()) failed_ = status;
  return status;
}

Status FileWriter::write_out() {
  if (buffer_.empty()) return Status();
  RUNINK_RETURN_IF_ERROR(latch(os::pwrite_all(fd_, buffer_, physical_)));
  physical_ += buffer_.size();
  buffer_.clear();
  return Status();
}

Status FileWriter::append(std::string_view bytes) {
  if (!failed_.ok()) return failed_;
  if (bytes.empty()) return Status();
  if (!key_) {
    RUNINK_RETURN_IF_ERROR(latch(os::pwrite_all(fd_, bytes, physical_)));
    physical_ += bytes.size();
    size_ += bytes.size();
    return Status();
  }
  return layout_ == Layout::kBlocks ? append_blocks(bytes) : append_frames(bytes);
}

void FileWriter::seal_block(std::string_view plain, bool last) {
  const uint64_t offset = size_ - tail_.size();
  const size_t begin = buffer_.size();
  buffer_.resize(begin + plain.size() + crypto::kSealOverhead);
  key_->seal(plain, Associated(layout_, id_, offset, last), buffer_.data() + begin);
}

// tail_ holds 0 < n <= kBlockBytes bytes after the first append: a full block is sealed only once a byte after it is
// known, since the last one is sealed otherwise.
Status FileWriter::append_blocks(std::string_view bytes) {
  last_written_ = false;
  while (!bytes.empty()) {
    if (tail_.size() == kBlockBytes) {
      seal_block(tail_, false);
      tail_.clear();
      if (buffer_.size() >= kWriteBytes) RUNINK_RETURN_IF_ERROR(write_out());
    }
    const size_t taken = std::min(bytes.size(), kBlockBytes - tail_.size());
    tail_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    size_ += taken;
  }
  return Status();
}

// Writes the last block where it belongs and goes back before it: whatever is appended begins there.
Status FileWriter::write_last_block() {
  if (last_written_) return Status();  // close() must not touch what sync() has brought to disk
  RUNINK_RETURN_IF_ERROR(write_out());
  const uint64_t at = physical_;
  seal_block(tail_, true);
  RUNINK_RETURN_IF_ERROR(write_out());
  physical_ = at;
  last_written_ = true;
  return Status();
}

Status FileWriter::append_frames(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view plain = bytes.substr(0, kFrameBytes);
    const size_t begin = buffer_.size();
    buffer_.resize(begin + kFrameHeaderBytes + plain.size() + crypto::kSealOverhead);
    char* to = buffer_.data() + begin;
    const auto length = static_cast<uint32_t>(plain.size());
    store_little_endian<uint32_t>(to, length);
    store_little_endian<uint32_t>(to + 4, length_check(id_, size_, length));
    key_->seal(plain, Associated(layout_, id_, size_, false), to + kFrameHeaderBytes);
    bytes.remove_prefix(plain.size());
    size_ += plain.size();
    if (buffer_.size() >= kWriteBytes) RUNINK_RETURN_IF_ERROR(write_out());
  }
  return write_out();
}

Status FileWriter::sync() {
  if (!failed_.ok()) return failed_;
  if (key_) RUNINK_RETURN_IF_ERROR(layout_ == Layout::kBlocks ? write_last_block() : write_out());
  return latch(os::sync_data(fd_));
}

Status FileWriter::close() {
  if (!fd_.valid()) return failed_;
  if (failed_.ok() && key_ && layout_ == Layout::kBlocks) (void)write_last_block();
  const Status closed = fd_.close();
  if (failed_.ok()) failed_ = closed;
  if (!failed_.ok()) return failed_;
  failed_ = failed_precondition("write to a file that has been closed");
  return Status();
}

// ---- Reading

uint64_t FileReader::Frame::next() const {
  return length == 0 ? physical : physical + kFrameHeaderBytes + length + crypto::kSealOverhead;
}

Result<std::unique_ptr<FileReader>> FileReader::open(const std::string& path, const crypto::SealingKey* key,
                                                     Expect expect) {
  os::Fd fd = RUNINK_TRY(os::open_file(path));
  std::unique_ptr<FileReader> reader(new FileReader(std::move(fd)));
  reader->unfinished_ = expect == Expect::kUnfinished;
  if (key == nullptr) {
    reader->plain_ = true;
    const std::optional<SealedHeader> header = RUNINK_TRY(read_sealed_header(reader->fd_));
    if (header) {
      return failed_precondition("{} is sealed with key {}, and no key is given", path,
                                 crypto::key_id_text(header->key_id))
          .with_kind("key.missing");
    }
    return reader;
  }
  reader->given_ = *key;
  const bool there = RUNINK_TRY(reader->take_header(*key));
  reader->in_blocks_ = there && reader->layout_ == Layout::kBlocks;
  if (reader->in_blocks_) RUNINK_RETURN_IF_ERROR(reader->measure_blocks(expect));
  return reader;
}

// False: the file is shorter than a header. That is how one looks to which nothing was written (or reached the disk).
Result<bool> FileReader::take_header(const crypto::SealingKey& key) const {
  const std::optional<SealedHeader> header = RUNINK_TRY(read_sealed_header(fd_));
  if (!header) {
    std::array<char, kHeaderBytes> first;
    const size_t size = RUNINK_TRY(os::pread_full(fd_, first.data(), first.size(), 0));
    const std::string_view start(first.data(), std::min(size, kMagic.size()));
    // A crash can leave a file with a part of its header, or long and with its first page unwritten.
    const bool zeros = std::all_of(first.begin(), first.begin() + size, [](char c) { return c == 0; });
    if (size < kHeaderBytes && (zeros || start == kMagic.substr(0, start.size()))) return false;
    if (zeros) return data_loss("{}: its header is missing, there are zeros in its place", fd_.path());
    return failed_precondition("{} is not sealed, and a key is given (id {})", fd_.path(),
                               crypto::key_id_text(key.id()))
        .with_kind("key.unsealed")
        .with_hint("a store is sealed from its beginning or not at all");
  }
  if (header->key_id != key.id()) {
    return failed_precondition("{} is sealed with key {}; the key given is {}", fd_.path(),
                               crypto::key_id_text(header->key_id), crypto::key_id_text(key.id()))
        .with_kind("key.wrong")
        .with_hint("give the key file that this folder was made with");
  }
  id_ = header->id;
  layout_ = header->layout;
  key_ = key.derive(kFilePurpose, view(id_));
  given_.reset();
  return true;
}

Status FileReader::measure_blocks(Expect expect) {
  const os::FileInfo info = RUNINK_TRY(os::file_info(fd_));
  const uint64_t body = info.size - kHeaderBytes;
  blocks_ = body / kSealedBlock;
  const uint64_t rest = body % kSealedBlock;
  size_ = blocks_ * kBlockBytes;
  if (expect == Expect::kUnfinished) return Status();
  if (rest == 0 && blocks_ > 0) return Status();
  if (rest < crypto::kSealOverhead) return damaged(fd_.path(), size_, "it was cut");
  ++blocks_;
  size_ += rest - crypto::kSealOverhead;
  return Status();
}

Result<size_t> FileReader::read_at(uint64_t offset, char* out, size_t size) const {
  if (size == 0) return size_t{0};
  if (plain_) return os::pread_full(fd_, out, size, offset);
  if (in_blocks_) return read_blocks(offset, out, size);
  return read_frames(offset, out, size);
}

Status FileReader::open_block(uint64_t block, std::string_view sealed, char* out) const {
  const uint64_t offset = block * kBlockBytes;
  const bool last = block + 1 == blocks_;
  if (key_->open(sealed, Associated(Layout::kBlocks, id_, offset, last && !unfinished_), out)) return Status();
  // The other way tells what happened, and is right for the last block of an unfinished file that had been synced.
  if (last && key_->open(sealed, Associated(Layout::kBlocks, id_, offset, unfinished_), out)) {
    if (unfinished_) return Status();
    std::memset(out, 0, sealed.size() - crypto::kSealOverhead);
    return damaged(fd_.path(), offset, "it was cut: its last block is not marked as the last");
  }
  return damaged(fd_.path(), offset, fmt::format("block {} is damaged or belongs elsewhere", block));
}

Result<size_t> FileReader::read_blocks(uint64_t offset, char* out, size_t size) const {
  if (offset >= size_) return size_t{0};
  size = std::min<uint64_t>(size, size_ - offset);
  thread_local std::string sealed;
  thread_local std::array<char, kBlockBytes> scratch;
  sealed.resize(kReadBlocks * kSealedBlock);
  size_t done = 0;
  while (done < size) {
    const uint64_t first = (offset + done) / kBlockBytes, end = (offset + size - 1) / kBlockBytes + 1;
    const size_t count = std::min<uint64_t>(end - first, kReadBlocks);
    const uint64_t content = std::min(size_, (first + count) * kBlockBytes) - first * kBlockBytes;
    const size_t wanted = content + count * crypto::kSealOverhead;
    const size_t got = RUNINK_TRY(os::pread_full(fd_, sealed.data(), wanted, kHeaderBytes + first * kSealedBlock));
    if (got != wanted) return damaged(fd_.path(), first * kBlockBytes, "it became shorter while it was open");
    for (size_t i = 0; i < count; ++i) {
      const size_t plain = std::min<uint64_t>(kBlockBytes, content - i * kBlockBytes);
      const std::string_view piece(sealed.data() + i * kSealedBlock, plain + crypto::kSealOverhead);
      const size_t skip = (offset + done) % kBlockBytes, taken = std::min(plain - skip, size - done);
      if (taken == plain) {
        RUNINK_RETURN_IF_ERROR(open_block(first + i, piece, out + done));
      } else {
        RUNINK_RETURN_IF_ERROR(open_block(first + i, piece, scratch.data()));
        std::memcpy(out + done, scratch.data() + skip, taken);
      }
      done += taken;
    }
  }
  return done;
}

// mutex_ held. False: there is no header yet, hence no content.
Result<bool> FileReader::ready_for_frames() const {
  if (key_) return true;
  const crypto::SealingKey given = *given_;
  if (!RUNINK_TRY(take_header(given))) return false;
  if (layout_ == Layout::kFrames) return true;
  return failed_precondition("{} was opened before anything was written to it", fd_.path());
}

// The frame whose header stands at `physical` and whose content begins at `offset`; nothing at the end.
Result<std::optional<FileReader::Frame>> FileReader::frame_at(uint64_t physical, uint64_t offset) const {
  const uint64_t end = RUNINK_TRY(os::file_info(fd_)).size;
  if (end < physical + kFrameHeaderBytes) return std::optional<Frame>();
  std::array<char, kFrameHeaderBytes> header;
  if (RUNINK_TRY(os::pread_full(fd_, header.data(), header.size(), physical)) != header.size()) {
    return std::optional<Frame>();
  }
  const auto length = load_little_endian<uint32_t>(header.data()), check = load_little_endian<uint32_t>(header.data() + 4);
  if (length == 0 && check == 0) {
    std::array<char, 4096> rest;
    for (uint64_t at = physical; at < end;) {
      const size_t got = RUNINK_TRY(os::pread_full(fd_, rest.data(), rest.size(), at));
      if (got == 0) break;
      if (!std::all_of(rest.begin(), rest.begin() + got, [](char c) { return c == 0; })) {
        return damaged(fd_.path(), offset, "a piece is missing in its midst");
      }
      at += got;
    }
    return std::optional<Frame>();
  }
  if (length == 0 || length > kFrameBytes || check != length_check(id_, offset, length)) {
    return damaged(fd_.path(), offset, "the length of a piece is damaged");
  }
  const Frame frame{physical, offset, length};
  if (end < frame.next()) return std::optional<Frame>();
  return std::optional(frame);
}

Status FileReader::open_frame(const Frame& frame) const {
  thread_local std::string sealed;
  sealed.resize(frame.length + crypto::kSealOverhead);
  const size_t got = RUNINK_TRY(os::pread_full(fd_, sealed.data(), sealed.size(), frame.physical + kFrameHeaderBytes));
  cursor_ = Frame();
  frame_bytes_.resize(frame.length);
  if (got != sealed.size() ||
      !key_->open(sealed, Associated(Layout::kFrames, id_, frame.offset, false), frame_bytes_.data())) {
    return damaged(fd_.path(), frame.offset, "a piece is damaged or belongs elsewhere");
  }
  cursor_ = frame;
  return Status();
}

Result<size_t> FileReader::read_frames(uint64_t offset, char* out, size_t size) const {
  const std::lock_guard lock(mutex_);
  if (!RUNINK_TRY(ready_for_frames())) return size_t{0};
  size_t done = 0;
  // From the frame at hand, or from the beginning where that is behind the place asked for.
  Frame frame = cursor_.offset <= offset ? cursor_ : Frame();
  while (done < size) {
    const uint64_t wanted = offset + done;
    if (frame.length > 0 && wanted < frame.offset + frame.length) {
      if (cursor_.length == 0 || cursor_.offset != frame.offset) RUNINK_RETURN_IF_ERROR(open_frame(frame));
      const size_t skip = wanted - frame.offset, taken = std::min<uint64_t>(frame.length - skip, size - done);
      std::memcpy(out + done, frame_bytes_.data() + skip, taken);
      done += taken;
      continue;
    }
    const std::optional<Frame> next = RUNINK_TRY(frame_at(frame.next(), frame.offset + frame.length));
    if (!next) break;
    frame = *next;
  }
  return done;
}

// mutex_ held.
Result<FileReader::Frame> FileReader::last_frame() const {
  Frame frame = cursor_;
  while (true) {
    const std::optional<Frame> next = RUNINK_TRY(frame_at(frame.next(), frame.offset + frame.length));
    if (!next) return frame;
    frame = *next;
  }
}

Result<uint64_t> FileReader::size() const {
  if (plain_) return RUNINK_TRY(os::file_info(fd_)).size;
  if (in_blocks_) return size_;
  const std::lock_guard lock(mutex_);
  if (!RUNINK_TRY(ready_for_frames())) return uint64_t{0};
  const Frame last = RUNINK_TRY(last_frame());
  return last.offset + last.length;
}

Result<uint64_t> FileReader::physical_end() const {
  if (plain_) return RUNINK_TRY(os::file_info(fd_)).size;
  if (in_blocks_) return unimplemented("append to {}, which is sealed in blocks", fd_.path());
  const std::lock_guard lock(mutex_);
  if (!RUNINK_TRY(ready_for_frames())) return uint64_t{0};
  return RUNINK_TRY(last_frame()).next();
}

}  // namespace runink::barn
