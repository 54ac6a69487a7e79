#include "control/barn/rocks/sealed_file_system.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <mutex>

#include "control/barn/rocks/rocks_status.h"

namespace runink::barn {

namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// Takes what is said and forgets it: informational lines quote the keys at the borders of files.
class SilentLogger : public rocksdb::Logger {
 public:
  SilentLogger() : rocksdb::Logger(rocksdb::InfoLogLevel::NUM_INFO_LOG_LEVELS) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

IOStatus read_into(const FileReader& reader, uint64_t offset, size_t size, Slice* result, char* scratch) {
  const Result<size_t> read = reader.read_at(offset, scratch, size);
  *result = Slice(scratch, read.ok() ? *read : 0);
  return to_rocks(read.status());
}

class RandomFile : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomFile(std::unique_ptr<FileReader> reader) : reader_(std::move(reader)) {}
  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_into(*reader_, offset, size, result, scratch);
  }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }

 private:
  std::unique_ptr<FileReader> reader_;
};

class SequentialFile : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<FileReader> reader) : reader_(std::move(reader)) {}
  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const IOStatus status = read_into(*reader_, at_, size, result, scratch);
    at_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t count) override {
    at_ += count;
    return IOStatus::OK();
  }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }

 private:
  std::unique_ptr<FileReader> reader_;
  uint64_t at_ = 0;
};

// RocksDB syncs a log from one thread while another appends, if told that it may.
class WritableFile : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<FileWriter> writer, const FileOptions& options)
      : rocksdb::FSWritableFile(options), writer_(std::move(writer)) {}

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(mutex_);
    return to_rocks(writer_->append({data.data(), data.size()}));
  }
  // Nothing goes on after it; it serves to cut space reserved beyond the end, of which there is none.
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(mutex_);
    if (size == writer_->size()) return IOStatus::OK();
    return IOStatus::NotSupported("a sealed file cannot be made shorter");
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(mutex_);
    return to_rocks(writer_->close());
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(mutex_);
    return to_rocks(writer_->sync());
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    const std::lock_guard lock(mutex_);
    return writer_->size();
  }
  IOStatus InvalidateCache(size_t, size_t) override { return IOStatus::OK(); }

 private:
  std::mutex mutex_;
  std::unique_ptr<FileWriter> writer_;
};

class SealedFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit SealedFileSystem(const crypto::SealingKey& key)
      : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()), key_(key) {}

  const char* Name() const override { return "RuninkSealedFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* file, IODebugContext*) override {
    return open<SequentialFile>(path, file);
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext*) override {
    return open<RandomFile>(path, file);
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext*) override {
    return give(FileWriter::create(path, layout_of(path), &key_), options, file);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions& options,
                              std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    if (target()->FileExists(path, IOOptions(), debug).IsNotFound()) return NewWritableFile(path, options, file, debug);
    return give(FileWriter::reopen(path, &key_), options, file);
  }
  // Not the wrapper's, which would write the old file on in plain: renames, then begins a new one.
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* debug) override {
    return rocksdb::FileSystem::ReuseWritableFile(path, old_path, options, file, debug);
  }
  IOStatus NewRandomRWFile(const std::string& path, const FileOptions&, std::unique_ptr<rocksdb::FSRandomRWFile>*,
                           IODebugContext*) override {
    return IOStatus::NotSupported("write in place, in sealed files", path);
  }
  IOStatus NewMemoryMappedFileBuffer(const std::string& path,
                                     std::unique_ptr<rocksdb::MemoryMappedFileBuffer>*) override {
    return IOStatus::NotSupported("map a sealed file", path);
  }
  IOStatus Truncate(const std::string& path, size_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("make a sealed file shorter", path);
  }

  IOStatus GetFileSize(const std::string& path, const IOOptions& options, uint64_t* size,
                       IODebugContext* debug) override {
    bool folder = false;
    if (target()->IsDirectory(path, options, &folder, debug).ok() && folder) {
      return target()->GetFileSize(path, options, size, debug);
    }
    const auto reader = FileReader::open(path, &key_);
    if (!reader.ok()) return to_rocks(reader.status());
    const Result<uint64_t> plain = (*reader)->size();
    *size = plain.ok() ? *plain : 0;
    return to_rocks(plain.status());
  }
  // Not the wrapper's, which would tell the sizes of the sealed files.
  IOStatus GetChildrenFileAttributes(const std::string& folder, const IOOptions& options,
                                     std::vector<rocksdb::FileAttributes>* result, IODebugContext* debug) override {
    return rocksdb::FileSystem::GetChildrenFileAttributes(folder, options, result, debug);
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* logger,
                     IODebugContext*) override {
    *logger = std::make_shared<SilentLogger>();
    return IOStatus::OK();
  }

 private:
  template <typename Ours, typename Theirs>
  IOStatus open(const std::string& path, std::unique_ptr<Theirs>* file) {
    file->reset();
    auto reader = FileReader::open(path, &key_);
    if (!reader.ok()) return to_rocks(reader.status());
    *file = std::make_unique<Ours>(std::move(*reader));
    return IOStatus::OK();
  }
  IOStatus give(Result<std::unique_ptr<FileWriter>> writer, const FileOptions& options,
                std::unique_ptr<rocksdb::FSWritableFile>* file) {
    file->reset();
    if (!writer.ok()) return to_rocks(writer.status());
    *file = std::make_unique<WritableFile>(std::move(*writer), options);
    return IOStatus::OK();
  }

  const crypto::SealingKey key_;
};

}  // namespace

Layout layout_of(std::string_view name) {
  return name.ends_with(".sst") || name.ends_with(".blob") ? Layout::kBlocks : Layout::kFrames;
}

std::shared_ptr<rocksdb::FileSystem> sealed_file_system(const crypto::SealingKey& key) {
  return std::make_shared<SealedFileSystem>(key);
}

}  // namespace runink::barn
