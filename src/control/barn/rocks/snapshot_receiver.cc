#include "control/barn/rocks/snapshot_receiver.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "control/barn/rocks/rocks_store.h"
#include "control/barn/rocks/sealed_file_system.h"
#include "control/barn/rocks/snapshot_writer.h"
#include "platform/os/file.h"

namespace runink::barn {

namespace {

constexpr std::string_view kPart = ".part";  // being received
constexpr std::string_view kOld = ".old";    // what an earlier transfer left of it, while it is copied

Status wrong_content(std::string text) {
  return Status(Code::kDataLoss, std::move(text)).with_kind("barn.snapshot.damaged");
}

}  // namespace

SnapshotReceiver::SnapshotReceiver(ReceiverOptions options, SnapshotManifest manifest)
    : options_(std::move(options)),
      manifest_(std::move(manifest)),
      folder_(os::join_path(options_.root, std::string(kIncomingPrefix) + manifest_.id())),
      there_(manifest_.files.size()),
      current_(static_cast<uint32_t>(manifest_.files.size())) {}

std::string SnapshotReceiver::path(std::string_view name) const { return os::join_path(folder_, name); }

Result<std::unique_ptr<SnapshotReceiver>> SnapshotReceiver::begin(ReceiverOptions options, SnapshotManifest manifest) {
  RUNINK_CHECK(options.position_of != nullptr);
  std::unique_ptr<SnapshotReceiver> receiver(new SnapshotReceiver(std::move(options), std::move(manifest)));
  Status prepared = receiver->prepare();
  if (!prepared.ok()) {
    return std::move(prepared).with_context(fmt::format("take up snapshot {}", receiver->manifest_.id()));
  }
  return receiver;
}

Status SnapshotReceiver::prepare() {
  RUNINK_RETURN_IF_ERROR(remove_stale_folders());
  RUNINK_RETURN_IF_ERROR(step("make the folder"));
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder_, 0700));
  for (size_t i = 0; i < manifest_.files.size(); ++i) {
    there_[i] = RUNINK_TRY(there_already(manifest_.files[i]));
    if (there_[i]) found_ += manifest_.files[i].size;
  }
  return next_file();
}

// Of other snapshots, which nobody will go on with: the leader has a newer one.
Status SnapshotReceiver::remove_stale_folders() {
  for (const std::string& name : RUNINK_TRY(os::list_directory(options_.root))) {
    if (!name.starts_with(kIncomingPrefix) || os::join_path(options_.root, name) == folder_) continue;
    RUNINK_RETURN_IF_ERROR(step("remove another snapshot's folder"));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(os::join_path(options_.root, name)));
  }
  return Status();
}

// In the folder under its name, or in a snapshot of our own. Whatever it is called, its content must have the hash.
Result<bool> SnapshotReceiver::there_already(const SnapshotFile& file) {
  const auto same = [&](const std::string& candidate) {
    const Result<FileDigest> digest = digest_file(candidate, options_.key);
    return digest.ok() && digest->size == file.size && digest->hash == file.hash;
  };
  const std::string target = path(file.name);
  if (os::exists(target)) {
    if (same(target)) return true;
    RUNINK_RETURN_IF_ERROR(step("remove a damaged file"));
    RUNINK_RETURN_IF_ERROR(os::remove_file(target));
  }
  for (const std::string& own : options_.own_snapshots) {
    const Result<SnapshotManifest> manifest = read_manifest(own, options_.key);
    if (!manifest.ok()) continue;  // of no use here; whoever serves it will say so
    for (const SnapshotFile& candidate : manifest->files) {
      const std::string from = os::join_path(own, candidate.name);
      // Tables only: the layout of a file goes with its kind, and the small ones are not worth a link.
      if (candidate.hash != file.hash || candidate.size != file.size ||
          layout_of(candidate.name) != layout_of(file.name) || layout_of(file.name) != Layout::kBlocks || !same(from)) {
        continue;
      }
      RUNINK_RETURN_IF_ERROR(step("link a file of our own"));
      if (::link(from.c_str(), target.c_str()) != 0)
        return from_errno(errno, fmt::format("link {} to {}", from, target));
      return true;
    }
  }
  return false;
}

// Turns to the first file that is not there, and takes up what an earlier transfer left of it.
Status SnapshotReceiver::next_file() {
  writer_.reset();
  while (true) {
    const auto at = std::find(there_.begin(), there_.end(), false);
    current_ = static_cast<uint32_t>(at - there_.begin());
    if (at == there_.end()) return Status();
    RUNINK_RETURN_IF_ERROR(start_file());
    if (writer_->size() < manifest_.files[current_].size) return Status();
    RUNINK_RETURN_IF_ERROR(end_file());
  }
}

Status SnapshotReceiver::start_file() {
  const std::string& name = manifest_.files[current_].name;
  const std::string part = path(name + std::string(kPart)), old = path(name + std::string(kOld));
  // Both are there where copying was interrupted: the old one is then the more complete.
  if (!os::exists(old) && os::exists(part)) {
    RUNINK_RETURN_IF_ERROR(step("set a part aside"));
    RUNINK_RETURN_IF_ERROR(os::rename_file(part, old));
  }
  RUNINK_RETURN_IF_ERROR(step("begin a file"));
  writer_ = RUNINK_TRY(FileWriter::create(part, layout_of(name), key()));
  hash_.reset();
  if (!os::exists(old)) return Status();
  RUNINK_RETURN_IF_ERROR(salvage(old));
  RUNINK_RETURN_IF_ERROR(step("remove the old part"));
  return os::remove_file(old);
}

// Copies the whole chunks of an interrupted file: it cannot be written on, since its last block may be torn, and the
// hash needs all of it in any case. What cannot be read ends it; if it is wrong the hash of the whole will tell.
Status SnapshotReceiver::salvage(const std::string& from) {
  const SnapshotFile& file = manifest_.files[current_];
  const auto reader = FileReader::open(from, key(), FileReader::Expect::kUnfinished);
  if (!reader.ok()) return Status();
  std::string chunk;
  while (writer_->size() < file.size) {
    chunk.resize(std::min<uint64_t>(kSnapshotChunkBytes, file.size - writer_->size()));
    const Result<size_t> size = (*reader)->read_at(writer_->size(), chunk.data(), chunk.size());
    if (!size.ok() || *size < chunk.size()) return Status();
    RUNINK_RETURN_IF_ERROR(step("copy a chunk"));
    RUNINK_RETURN_IF_ERROR(writer_->append(chunk));
    hash_.update(chunk);
    found_ += chunk.size();
  }
  return Status();
}

std::optional<SnapshotReceiver::Wanted> SnapshotReceiver::wanted() const {
  if (current_ == manifest_.files.size()) return std::nullopt;
  const uint64_t at = writer_->size(), left = manifest_.files[current_].size - at;
  return Wanted{current_, at, static_cast<uint32_t>(std::min<uint64_t>(left, kSnapshotChunkBytes))};
}

std::vector<SnapshotReceiver::Wanted> SnapshotReceiver::upcoming(size_t most) const {
  std::vector<Wanted> places;
  uint64_t at = writer_ ? writer_->size() : 0;
  for (uint32_t number = current_; number < manifest_.files.size(); ++number, at = 0) {
    if (there_[number]) continue;
    const SnapshotFile& file = manifest_.files[number];
    // Of a file with a part it is not known yet where it goes on.
    const auto left = [&](std::string_view what) { return os::exists(path(file.name + std::string(what))); };
    if (number != current_ && (left(kPart) || left(kOld))) break;
    for (; at < file.size && places.size() < most; at += kSnapshotChunkBytes) {
      places.push_back({number, at, static_cast<uint32_t>(std::min<uint64_t>(file.size - at, kSnapshotChunkBytes))});
    }
    if (places.size() >= most) break;
  }
  return places;
}

Status SnapshotReceiver::accept(const Wanted& place, std::string_view bytes) {
  if (wanted() != place || bytes.size() != place.size) {
    return invalid_argument("{} bytes from {} on of file {} came, which were not asked for", bytes.size(), place.offset,
                            place.file);
  }
  RUNINK_RETURN_IF_ERROR(step("write a chunk"));
  RUNINK_RETURN_IF_ERROR(writer_->append(bytes));
  hash_.update(bytes);
  received_ += bytes.size();
  if (writer_->size() < manifest_.files[current_].size) return Status();
  RUNINK_RETURN_IF_ERROR(end_file());
  return next_file();
}

Status SnapshotReceiver::end_file() {
  const SnapshotFile& file = manifest_.files[current_];
  const std::string part = path(file.name + std::string(kPart));
  if (hash_.finish() != file.hash) {
    RUNINK_RETURN_IF_ERROR(step("remove a wrong file"));
    writer_.reset();
    RUNINK_RETURN_IF_ERROR(os::remove_file(part));
    RUNINK_RETURN_IF_ERROR(start_file());
    return wrong_content(fmt::format("file {} of snapshot {} came with another content than its manifest says",
                                     file.name, manifest_.id()));
  }
  RUNINK_RETURN_IF_ERROR(step("sync a file"));
  RUNINK_RETURN_IF_ERROR(writer_->sync());
  RUNINK_RETURN_IF_ERROR(writer_->close());
  RUNINK_RETURN_IF_ERROR(step("name a file"));
  RUNINK_RETURN_IF_ERROR(os::rename_file(part, path(file.name)));
  there_[current_] = true;
  return Status();
}

Result<std::string> SnapshotReceiver::finish() {
  if (wanted()) return failed_precondition("snapshot {} is not whole yet", manifest_.id());
  // Nothing but what the manifest names: leftovers of an earlier attempt must not get into the state.
  for (const std::string& name : RUNINK_TRY(os::list_directory(folder_))) {
    const auto named = [&](const SnapshotFile& file) { return file.name == name; };
    if (std::any_of(manifest_.files.begin(), manifest_.files.end(), named)) continue;
    RUNINK_RETURN_IF_ERROR(step("remove a leftover"));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(path(name)));
  }
  RUNINK_RETURN_IF_ERROR(step("sync the folder"));
  RUNINK_RETURN_IF_ERROR(os::sync_folder(folder_));
  const auto position = [&]() -> Result<Position> {
    RocksOptions options;
    options.folder = folder_;
    options.key = options_.key;
    options.cache_bytes = 4 << 20;
    options.read_only = true;
    const auto store = RUNINK_TRY(RocksStore::open(options));
    return options_.position_of(*store);
  }();
  if (position.ok() && *position == manifest_.position) return folder_;
  if (!position.ok() && position.status().code() != Code::kDataLoss) return position.status();
  std::string what = position.ok()
                         ? fmt::format("it holds index {} of term {} with digest {:016x}{:016x}", position->index,
                                       position->term, position->digest.high, position->digest.low)
                         : position.status().to_string();
  RUNINK_RETURN_IF_ERROR(step("remove a snapshot that is none"));
  RUNINK_RETURN_IF_ERROR(os::remove_tree(folder_));
  return wrong_content(fmt::format("snapshot {} is not the state at index {} of term {} that it is said to be: {}",
                                   manifest_.id(), manifest_.position.index, manifest_.position.term, what));
}

}  // namespace runink::barn
