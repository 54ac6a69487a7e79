#include "control/barn/rocks/snapshot_manifest.h"

#include <algorithm>
#include <cstring>

#include "base/little_endian.h"
#include "base/check.h"
#include "base/text.h"
#include "control/barn/rocks/sealed_file.h"
#include "platform/os/file.h"

namespace runink::barn {

namespace {

constexpr std::string_view kMagic = "RNKSNAP\n";
constexpr uint8_t kVersion = 1;
constexpr size_t kHashBytes = sizeof(crypto::Digest256);
constexpr size_t kNameBytes = 64;
constexpr size_t kLeastFileBytes = 1 + 1 + 8 + kHashBytes;

std::string_view view(const crypto::Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Reads from the front; after the first thing that is not there everything is zero and ok() is false.
class Input {
 public:
  explicit Input(std::string_view bytes) : left_(bytes) {}
  template <typename Int>
  Int number() {
    const std::string_view from = bytes(sizeof(Int));
    return from.empty() ? Int{0} : load_little_endian<Int>(from.data());
  }
  std::string_view bytes(size_t size) {
    if (size > left_.size()) ok_ = false;
    if (!ok_) return {};
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }
  bool ok() const { return ok_; }
  size_t left() const { return left_.size(); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

bool good_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytes || name.front() == '.' || name == kManifestName) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

Status damaged(std::string_view what) { return data_loss("the manifest of a snapshot is damaged: {}", what); }

}  // namespace

uint64_t SnapshotManifest::bytes() const {
  uint64_t sum = 0;
  for (const SnapshotFile& file : files) sum += file.size;
  return sum;
}

std::string SnapshotManifest::id() const { return crypto::sha256_hex(encode_manifest(*this)).substr(0, 32); }

std::string encode_manifest(const SnapshotManifest& manifest) {
  RUNINK_CHECK(manifest.membership.size() <= kMembershipBytes && manifest.files.size() <= kSnapshotFiles);
  std::string out(kMagic);
  append_little_endian<uint8_t>(out, kVersion);
  append_little_endian<uint64_t>(out, manifest.position.index);
  append_little_endian<uint64_t>(out, manifest.position.term);
  append_little_endian<uint64_t>(out, manifest.position.digest.high);
  append_little_endian<uint64_t>(out, manifest.position.digest.low);
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(manifest.membership.size()));
  out += manifest.membership;
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(manifest.files.size()));
  for (const SnapshotFile& file : manifest.files) {
    RUNINK_CHECK(good_name(file.name));
    append_little_endian<uint8_t>(out, static_cast<uint8_t>(file.name.size()));
    out += file.name;
    append_little_endian<uint64_t>(out, file.size);
    out += view(file.hash);
  }
  out += view(crypto::sha256(out));
  return out;
}

Result<SnapshotManifest> decode_manifest(std::string_view bytes) {
  if (bytes.size() > kManifestBytes) return damaged(fmt::format("{} bytes are more than it may have", bytes.size()));
  if (bytes.size() < kMagic.size() + 1 + kHashBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return damaged("it does not begin as one");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - kHashBytes);
  if (view(crypto::sha256(body)) != bytes.substr(body.size())) return damaged("its checksum does not fit");
  Input in(body.substr(kMagic.size()));
  if (const auto version = in.number<uint8_t>(); version != kVersion) {
    return unimplemented("a snapshot of version {} was offered; this program knows version {}", version, kVersion);
  }
  SnapshotManifest manifest;
  manifest.position.index = in.number<uint64_t>();
  manifest.position.term = in.number<uint64_t>();
  manifest.position.digest.high = in.number<uint64_t>();
  manifest.position.digest.low = in.number<uint64_t>();
  const auto membership = in.number<uint32_t>();
  if (membership > kMembershipBytes) return damaged("its membership is larger than one can be");
  manifest.membership = in.bytes(membership);
  const auto count = in.number<uint32_t>();
  if (count > kSnapshotFiles || count > in.left() / kLeastFileBytes)
    return damaged("it names more files than it has bytes for");
  manifest.files.reserve(count);
  uint64_t total = 0;
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    SnapshotFile file;
    file.name = in.bytes(in.number<uint8_t>());
    file.size = in.number<uint64_t>();
    const std::string_view hash = in.bytes(kHashBytes);
    if (!in.ok()) break;
    std::memcpy(file.hash.data(), hash.data(), hash.size());
    if (!good_name(file.name)) return damaged(fmt::format("a file is called \"{}\"", escape_control(file.name)));
    if (!manifest.files.empty() && manifest.files.back().name >= file.name)
      return damaged("its files are not in order");
    if (file.size > (uint64_t{1} << 62) - total) return damaged("its files are larger than can be");
    total += file.size;
    manifest.files.push_back(std::move(file));
  }
  if (!in.ok() || in.left() != 0) return damaged("it ends too early or too late");
  return manifest;
}

Status write_manifest(const std::string& folder, const SnapshotManifest& manifest,
                      const std::optional<crypto::SealingKey>& key) {
  const std::string path = os::join_path(folder, kManifestName), temporary = path + ".tmp";
  auto writer = RUNINK_TRY(FileWriter::create(temporary, Layout::kFrames, key ? &*key : nullptr));
  RUNINK_RETURN_IF_ERROR(writer->append(encode_manifest(manifest)));
  RUNINK_RETURN_IF_ERROR(writer->sync());
  RUNINK_RETURN_IF_ERROR(writer->close());
  RUNINK_RETURN_IF_ERROR(os::rename_file(temporary, path));
  return os::sync_folder(folder);
}

Result<SnapshotManifest> read_manifest(const std::string& folder, const std::optional<crypto::SealingKey>& key) {
  const std::string path = os::join_path(folder, kManifestName);
  const auto reader = RUNINK_TRY(FileReader::open(path, key ? &*key : nullptr));
  const uint64_t size = RUNINK_TRY(reader->size());
  if (size > kManifestBytes) return damaged(fmt::format("{} has {} bytes", path, size));
  std::string bytes(size, '\0');
  bytes.resize(RUNINK_TRY(reader->read_at(0, bytes.data(), bytes.size())));
  return RUNINK_TRY_CONTEXT(decode_manifest(bytes), fmt::format("read {}", path));
}

}  // namespace runink::barn
