// What RocksDB reads and writes, sealed: a file system for it (rocksdb/file_system.h) in which every file's content
// goes through sealed_file.h. Names, folders, links and locks are those of the machine's file system; sizes are of
// plain content.
//
// Tables (.sst, .blob) are sealed in blocks, so that a point read opens one or two of them; logs, manifests and all
// small files in frames. RocksDB's LOG, which quotes keys, is not written at all; LOCK is an empty file and stays
// plain. Files may be renamed and hard-linked (checkpoints), since a path is nowhere associated. What random access
// files cannot do here: memory mapping, direct I/O, writing in place; RocksDB does none of it as rocks_store.cc sets it
// up.
//
// This header needs nothing of RocksDB's.
#pragma once

#include <memory>
#include <string_view>

#include "control/barn/rocks/sealed_file.h"
#include "platform/crypto/seal.h"

namespace rocksdb {
class FileSystem;
}

namespace runink::barn {

// How a file of this name (with or without folders) is sealed.
Layout layout_of(std::string_view name);

// The key is copied. The file system is thread-safe, as RocksDB demands.
std::shared_ptr<rocksdb::FileSystem> sealed_file_system(const crypto::SealingKey& key);

}  // namespace runink::barn
