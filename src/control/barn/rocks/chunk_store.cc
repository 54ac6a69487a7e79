#include "control/barn/rocks/chunk_store.h"

#include <cstring>

#include "base/little_endian.h"
#include "base/text.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::barn {

namespace {

// File: magic 8 | key id 8 (zeros: plain) | size u32 | content, sealed or not.
constexpr std::string_view kMagic = "RNKCHNK1";
constexpr size_t kKeyIdAt = 8, kSizeAt = 16, kHeadBytes = 20;
constexpr uint64_t kFileBytes = kHeadBytes + kChunkBytes + crypto::kSealOverhead;
constexpr std::string_view kTemporary = ".tmp-", kKeyFile = "key-id";

std::string_view view(const ChunkHash& hash) { return {reinterpret_cast<const char*>(hash.data()), hash.size()}; }

std::string head_of(const crypto::KeyId& id, size_t size) {
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(id.data()), id.size());
  append_little_endian(head, static_cast<uint32_t>(size));  // kChunkBytes at most
  return head;
}

// All of the head and the hash: a sealed content is this chunk's and of this size.
std::string associated_of(std::string_view head, const ChunkHash& hash) { return std::string(head).append(view(hash)); }

std::optional<ChunkHash> hash_of_name(std::string_view name) {
  ChunkHash hash;
  if (name.size() != 2 * hash.size()) return std::nullopt;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    hash[i / 2] = static_cast<uint8_t>(i % 2 == 0 ? digit << 4 : hash[i / 2] | digit);
  }
  return hash;
}

Status damaged(const std::string& path, std::string_view what) {
  return data_loss("chunk {}: {}", path, what)
      .with_kind("barn.chunk.damaged")
      .with_hint("its content is to be taken from another member");
}

}  // namespace

// One thread at a time changes one chunk's file; different chunks do not wait for each other.
class ChunkStore::Claim {
 public:
  Claim(ChunkStore* store, const ChunkHash& hash) : store_(store), hash_(hash) {
    std::unique_lock lock(store_->mutex_);
    store_->released_.wait(lock, [&] { return store_->claimed_.count(hash_) == 0; });
    store_->claimed_.insert(hash_);
  }
  ~Claim() {
    {
      const std::lock_guard lock(store_->mutex_);
      store_->claimed_.erase(hash_);
    }
    store_->released_.notify_all();
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;

 private:
  ChunkStore* store_;
  const ChunkHash hash_;
};

Result<std::unique_ptr<ChunkStore>> ChunkStore::open(const std::string& folder, std::optional<crypto::SealingKey> key) {
  std::string path = RUNINK_TRY(os::absolute_path(folder));
  std::unique_ptr<ChunkStore> store(new ChunkStore(std::move(path), std::move(key)));
  RUNINK_RETURN_IF_ERROR(os::make_directories(store->folder_, 0700));
  RUNINK_RETURN_IF_ERROR(store->lock());
  Status key_is_ours = store->check_key();
  if (key_is_ours.code() == Code::kNotFound)
    key_is_ours = os::write_file_atomic(os::join_path(store->folder_, kKeyFile), store->key_text() + "\n", 0600);
  RUNINK_RETURN_IF_ERROR(key_is_ours);
  RUNINK_RETURN_IF_ERROR(store->remove_leftovers());
  RUNINK_RETURN_IF_ERROR(os::sync_folder(store->folder_));  // folders in it that were made, but not synced
  RUNINK_RETURN_IF_ERROR(store->recount());
  return store;
}

Result<std::unique_ptr<const ChunkStore>> ChunkStore::open_to_read(const std::string& folder,
                                                                   std::optional<crypto::SealingKey> key) {
  std::string path = RUNINK_TRY(os::absolute_path(folder));
  std::unique_ptr<ChunkStore> store(new ChunkStore(std::move(path), std::move(key)));
  if (!os::exists(store->folder_)) return not_found("there are no chunks in {}", store->folder_);
  RUNINK_RETURN_IF_ERROR(store->lock());
  const Status key_is_ours = store->check_key();
  // Without its file each chunk still says which key it is sealed with.
  if (!key_is_ours.ok() && key_is_ours.code() != Code::kNotFound) return key_is_ours;
  return std::unique_ptr<const ChunkStore>(std::move(store));
}

Status ChunkStore::lock() {
  lock_ = RUNINK_TRY(os::FileLock::try_acquire(os::join_path(folder_, "lock"), "the chunk store"));
  return Status();
}

std::string ChunkStore::key_text() const { return key_ ? crypto::key_id_text(key_->id()) : "none"; }

// A file of its own says which key the chunks are sealed with, so that another one is told from damage. kNotFound: it
// is not there.
Status ChunkStore::check_key() const {
  const std::string ours = key_text();
  Result<std::string> found = os::read_file(os::join_path(folder_, kKeyFile), 4096);
  if (!found.ok()) return found.status();
  if (found->ends_with('\n')) found->pop_back();
  if (*found == ours) return Status();
  if (!key_)
    return failed_precondition("the chunks in {} are sealed with key {}, and no key is given", folder_,
                               escape_control(*found))
        .with_kind("key.missing");
  if (*found == "none")
    return failed_precondition("the chunks in {} are not sealed, and a key is given (id {})", folder_, ours)
        .with_kind("key.unsealed");
  return failed_precondition("the chunks in {} are sealed with key {}; the key given is {}", folder_,
                             escape_control(*found), ours)
      .with_kind("key.wrong");
}

// What a put() was writing when its process ended.
Status ChunkStore::remove_leftovers() {
  for (const std::string& name : RUNINK_TRY(os::list_directory(folder_))) {
    if (!name.starts_with(kTemporary)) continue;
    RUNINK_RETURN_IF_ERROR(os::remove_file(os::join_path(folder_, name)));
  }
  return Status();
}

Status ChunkStore::recount() {
  const std::vector<ChunkInfo> chunks = RUNINK_TRY(list());
  uint64_t bytes = 0;
  for (const ChunkInfo& chunk : chunks) bytes += chunk.stored_bytes;
  chunks_ = chunks.size();
  bytes_ = bytes;
  return Status();
}

std::string ChunkStore::path_of(const ChunkHash& hash) const {
  const std::string name = crypto::hex(hash);
  return folder_ + "/" + name.substr(0, 2) + "/" + name;
}

bool ChunkStore::pinned(const ChunkHash& hash) const { return pins_.count(hash) > 0; }

void ChunkStore::unpin(const ChunkHash& hash) {
  const std::lock_guard lock(mutex_);
  const auto pin = pins_.find(hash);
  if (pin != pins_.end() && --pin->second == 0) pins_.erase(pin);
}

Result<ChunkHash> ChunkStore::put(std::string_view bytes) {
  if (bytes.size() > kChunkBytes) {
    return invalid_argument("a chunk of {} bytes; {} are the most", bytes.size(), kChunkBytes);
  }
  const ChunkHash hash = crypto::sha256(bytes);
  const std::string path = path_of(hash);
  const Claim claim(this, hash);
  const Result<std::string> there = get(hash);
  if (!there.ok()) {
    const Code code = there.status().code();
    if (code != Code::kNotFound && code != Code::kDataLoss) return there.status();
    RUNINK_RETURN_IF_ERROR(write(path, hash, bytes));
  } else {
    // Its content was synced before it had its name; the name may come of a put that ended in between.
    RUNINK_RETURN_IF_ERROR(os::sync_folder(os::folder_of(path)));
  }
  const std::lock_guard lock(mutex_);
  ++pins_[hash];
  return hash;
}

Status ChunkStore::write(const std::string& path, const ChunkHash& hash, std::string_view bytes) {
  const std::string folder = os::folder_of(path);
  if (!os::exists(folder)) {
    RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
    RUNINK_RETURN_IF_ERROR(os::sync_folder(folder_));
  }
  std::string file = head_of(key_ ? key_->id() : crypto::KeyId{}, bytes.size());
  if (key_) {
    const std::string associated = associated_of(file, hash);
    file.resize(kHeadBytes + bytes.size() + crypto::kSealOverhead);
    key_->seal(bytes, associated, file.data() + kHeadBytes);
  } else {
    file.append(bytes);
  }
  const Result<os::FileInfo> replaced = os::file_info(path);  // one that is damaged
  const std::string temporary = folder_ + "/" + std::string(kTemporary) + crypto::random_hex(16);
  const auto put_there = [&]() -> Status {
    os::Fd fd = RUNINK_TRY(os::open_file(temporary, os::OpenMode::kCreateNew, 0600));
    RUNINK_RETURN_IF_ERROR(os::write_all(fd, file));
    RUNINK_RETURN_IF_ERROR(os::sync_data(fd));
    RUNINK_RETURN_IF_ERROR(fd.close());
    RUNINK_RETURN_IF_ERROR(os::rename_file(temporary, path));
    return os::sync_folder(folder);
  };
  Status written = put_there();
  if (written.ok()) {
    bytes_ += file.size() - (replaced.ok() ? replaced->size : 0);
    if (!replaced.ok()) ++chunks_;
    return written;
  }
  (void)os::remove_file(temporary);
  return std::move(written).with_context("store a chunk");
}

Result<std::string> ChunkStore::get(const ChunkHash& hash) const {
  const std::string path = path_of(hash);
  std::string file = RUNINK_TRY([&]() -> Result<std::string> {
    Result<std::string> read = os::read_file(path, kFileBytes);
    if (read.status().code() == Code::kResourceExhausted) return damaged(path, "it is larger than a chunk can be");
    return read;
  }());
  if (file.size() < kHeadBytes || std::string_view(file).substr(0, kMagic.size()) != kMagic) {
    return damaged(path, "it does not begin as one");
  }
  crypto::KeyId id;
  std::memcpy(id.data(), file.data() + kKeyIdAt, id.size());
  const crypto::KeyId ours = key_ ? key_->id() : crypto::KeyId{};
  const std::string_view head = std::string_view(file).substr(0, kHeadBytes);
  const size_t size = load_little_endian<uint32_t>(file.data() + kSizeAt);
  if (file.size() != kHeadBytes + size + (id == crypto::KeyId{} ? 0 : crypto::kSealOverhead)) {
    return damaged(path, "it was cut, or its size is damaged");
  }
  if (id != ours) return damaged(path, "the key id in it is not this store's");  // which open() has compared
  std::string bytes(size, '\0');
  if (key_) {
    if (!key_->open(std::string_view(file).substr(kHeadBytes), associated_of(head, hash), bytes.data())) {
      return damaged(path, "it is damaged or belongs elsewhere");
    }
  } else {
    bytes.assign(file, kHeadBytes);
  }
  if (crypto::sha256(bytes) != hash) return damaged(path, "its content is another than its name says");
  return bytes;
}

Result<bool> ChunkStore::has(const ChunkHash& hash) const {
  const Result<os::FileInfo> info = os::file_info(path_of(hash));
  if (info.ok()) return true;
  if (info.status().code() == Code::kNotFound) return false;
  return info.status();
}

Result<std::vector<ChunkInfo>> ChunkStore::list() const {
  std::vector<ChunkInfo> chunks;
  for (const std::string& folder : RUNINK_TRY(os::list_directory(folder_))) {
    if (folder.size() != 2) continue;
    for (const std::string& name : RUNINK_TRY(os::list_directory(os::join_path(folder_, folder)))) {
      const std::optional<ChunkHash> hash = hash_of_name(name);
      if (!hash || !name.starts_with(folder)) continue;
      const Result<os::FileInfo> info = os::file_info(path_of(*hash));
      if (info.ok()) chunks.push_back({*hash, info->size});  // else removed meanwhile
    }
  }
  return chunks;
}

Result<bool> ChunkStore::remove(const ChunkHash& hash) {
  const Claim claim(this, hash);
  {
    const std::lock_guard lock(mutex_);
    if (pinned(hash)) return failed_precondition("chunk {} is in use", crypto::hex(hash));
  }
  if (!RUNINK_TRY(has(hash))) return false;
  RUNINK_RETURN_IF_ERROR(remove_file(hash));
  return true;
}

Status ChunkStore::remove_file(const ChunkHash& hash) {
  const os::FileInfo info = RUNINK_TRY(os::file_info(path_of(hash)));
  RUNINK_RETURN_IF_ERROR(os::remove_file(path_of(hash)));
  --chunks_;
  bytes_ -= info.size;
  return Status();
}

Result<ChunkStore::Collected> ChunkStore::collect(const std::function<bool(const ChunkHash&)>& is_root) {
  Collected collected;
  for (const ChunkInfo& chunk : RUNINK_TRY(list())) {
    const bool root = is_root(chunk.hash);
    const Claim claim(this, chunk.hash);
    bool keep = root;
    {
      const std::lock_guard lock(mutex_);
      keep = keep || pinned(chunk.hash);
    }
    if (keep) {
      ++collected.kept;
      continue;
    }
    RUNINK_RETURN_IF_ERROR(remove_file(chunk.hash));
    ++collected.removed;
    collected.removed_bytes += chunk.stored_bytes;
  }
  return collected;
}

}  // namespace runink::barn
