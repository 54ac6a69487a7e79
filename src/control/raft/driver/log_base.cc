#include "control/raft/driver/log_base.h"

#include "base/little_endian.h"
#include "platform/crypto/crc32c.h"

namespace runink::raft {
namespace {

constexpr std::string_view kMagic = "RNKBASE1";
constexpr const char* kName = "log-base";
constexpr const char* kNewName = "log-base.new";
constexpr size_t kHeadBytes = 8 + 3 * 8;
constexpr size_t kBlock = 4096;
constexpr size_t kBytesMax = 64 << 10;  // far more than the members that membership.h admits need

}  // namespace

std::string encode(const LogBase& base) {
  const std::string membership = base.membership.voters.empty() ? std::string() : encode(base.membership);
  std::string out(kMagic);
  append_little_endian<uint64_t>(out, base.index);
  append_little_endian<uint64_t>(out, base.term);
  append_little_endian<uint64_t>(out, membership.size());
  out += membership;
  append_little_endian<uint32_t>(out, crypto::crc32c(out));
  return out;
}

Result<LogBase> decode_log_base(std::string_view bytes) {
  if (bytes.size() < kHeadBytes + 4 || !bytes.starts_with(kMagic)) return data_loss("not a log base");
  const uint64_t size = load_little_endian<uint64_t>(bytes.data() + 24);
  if (size > bytes.size() - kHeadBytes - 4) return data_loss("the log base is cut off");
  bytes = bytes.substr(0, kHeadBytes + size + 4);
  if (load_little_endian<uint32_t>(bytes.data() + bytes.size() - 4) !=
      crypto::crc32c(bytes.substr(0, bytes.size() - 4))) {
    return data_loss("the checksum of the log base does not hold");
  }
  LogBase base;
  base.index = load_little_endian<uint64_t>(bytes.data() + 8);
  base.term = load_little_endian<uint64_t>(bytes.data() + 16);
  if (size > 0) base.membership = RUNINK_TRY(decode_membership(bytes.substr(kHeadBytes, size)));
  return base;
}

Status write_log_base(journal::Disk& disk, const LogBase& base) {
  std::unique_ptr<journal::File> file = RUNINK_TRY(disk.create(kNewName));
  std::string bytes = encode(base);
  bytes.resize((bytes.size() + kBlock - 1) / kBlock * kBlock);
  RUNINK_RETURN_IF_ERROR(file->write(0, bytes + bytes));
  RUNINK_RETURN_IF_ERROR(file->sync());
  RUNINK_RETURN_IF_ERROR(disk.rename(kNewName, kName));
  return disk.sync_folder();
}

Result<LogBase> read_log_base(journal::Disk& disk) {
  std::unique_ptr<journal::File> file = RUNINK_TRY(disk.open(kName));
  const std::string bytes = RUNINK_TRY(file->read(0, 2 * kBytesMax));
  auto base = decode_log_base(bytes);
  if (base.ok()) return base;
  auto second = decode_log_base(std::string_view(bytes).substr(bytes.size() / 2));
  if (second.ok()) return second;
  return std::move(base).status().with_context("read " + std::string(kName));
}

}  // namespace runink::raft
