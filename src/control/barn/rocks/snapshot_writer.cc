#include "control/barn/rocks/snapshot_writer.h"

#include <algorithm>

#include "platform/os/file.h"

namespace runink::barn {

namespace {

const crypto::SealingKey* pointer(const std::optional<crypto::SealingKey>& key) { return key ? &*key : nullptr; }

// The hash that an earlier snapshot gives for this very file.
const SnapshotFile* known(const EarlierSnapshot* earlier, const std::string& name, const std::string& path) {
  if (earlier == nullptr) return nullptr;
  const auto& files = earlier->manifest.files;
  const auto at =
      std::lower_bound(files.begin(), files.end(), name,
                       [](const SnapshotFile& file, const std::string& wanted) { return file.name < wanted; });
  if (at == files.end() || at->name != name) return nullptr;
  return os::same_file(path, os::join_path(earlier->folder, name)) ? &*at : nullptr;
}

}  // namespace

Result<FileDigest> digest_file(const std::string& path, const std::optional<crypto::SealingKey>& key,
                               const StopFlag* stop) {
  const auto reader = RUNINK_TRY(FileReader::open(path, pointer(key)));
  std::string chunk(kSnapshotChunkBytes, '\0');
  crypto::Sha256 hash;
  FileDigest digest;
  while (true) {
    if (stop != nullptr && stop->requested()) return cancelled("asked to stop while reading {}", path);
    const size_t size = RUNINK_TRY(reader->read_at(digest.size, chunk.data(), chunk.size()));
    hash.update(std::string_view(chunk).substr(0, size));
    digest.size += size;
    if (size < chunk.size()) break;
  }
  digest.hash = hash.finish();
  return digest;
}

Result<SnapshotManifest> describe_checkpoint(const std::string& folder, const Position& position,
                                             std::string_view membership, const std::optional<crypto::SealingKey>& key,
                                             const EarlierSnapshot* earlier, const StopFlag* stop) {
  if (membership.size() > kMembershipBytes) {
    return resource_exhausted("a membership of {} bytes does not go into a snapshot", membership.size());
  }
  SnapshotManifest manifest;
  manifest.position = position;
  manifest.membership = membership;
  for (const std::string& name : RUNINK_TRY(os::list_directory(folder))) {  // sorted
    if (name == kManifestName || name == "LOCK") continue;
    const std::string path = os::join_path(folder, name);
    SnapshotFile file{name, 0, {}};
    if (const SnapshotFile* same = known(earlier, name, path)) {
      file = *same;
    } else {
      const FileDigest digest = RUNINK_TRY_CONTEXT(digest_file(path, key, stop), "describe a snapshot");
      file.size = digest.size;
      file.hash = digest.hash;
    }
    manifest.files.push_back(std::move(file));
  }
  if (manifest.files.size() > kSnapshotFiles) {
    return resource_exhausted("a snapshot of {} files; {} are the most", manifest.files.size(), kSnapshotFiles);
  }
  RUNINK_RETURN_IF_ERROR(write_manifest(folder, manifest, key));
  return manifest;
}

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(const std::string& folder,
                                                             const std::optional<crypto::SealingKey>& key) {
  std::unique_ptr<SnapshotReader> reader(new SnapshotReader(folder, key));
  reader->manifest_ = RUNINK_TRY(read_manifest(folder, key));
  return reader;
}

Status SnapshotReader::read(uint32_t file, uint64_t offset, uint32_t size, std::string* bytes) {
  if (file >= manifest_.files.size() || size > kSnapshotChunkBytes || offset > manifest_.files[file].size ||
      size > manifest_.files[file].size - offset) {
    return out_of_range("{} bytes from {} on of file {} are not in snapshot {}", size, offset, file, manifest_.id());
  }
  if (reader_ == nullptr || open_file_ != file) {
    reader_.reset();
    reader_ = RUNINK_TRY(FileReader::open(os::join_path(folder_, manifest_.files[file].name), pointer(key_)));
    open_file_ = file;
  }
  bytes->resize(size);
  const size_t got = RUNINK_TRY(reader_->read_at(offset, bytes->data(), size));
  if (got != size) return data_loss("{} is shorter than its snapshot says", reader_->path());
  return Status();
}

}  // namespace runink::barn
