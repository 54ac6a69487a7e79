#include "control/barn/rocks/stoppable_files.h"

#include <utility>

namespace runink::barn {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

IOStatus stopped() { return IOStatus::Aborted("reading was stopped"); }

class StoppableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  StoppableFile(std::unique_ptr<rocksdb::FSRandomAccessFile> file, const StopFlag* stop)
      : rocksdb::FSRandomAccessFileOwnerWrapper(std::move(file)), stop_(stop) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions& options, rocksdb::Slice* result, char* buffer,
                IODebugContext* debug) const override {
    return stop_->requested() ? stopped() : target()->Read(offset, size, options, result, buffer, debug);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* debug) override {
    return stop_->requested() ? stopped() : target()->MultiRead(requests, count, options, debug);
  }

 private:
  const StopFlag* const stop_;
};

class StoppableFiles final : public rocksdb::FileSystemWrapper {
 public:
  StoppableFiles(std::shared_ptr<rocksdb::FileSystem> files, const StopFlag* stop)
      : rocksdb::FileSystemWrapper(std::move(files)), stop_(stop) {}

  const char* Name() const override { return "RuninkStoppableFiles"; }

  IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* file, IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSRandomAccessFile> opened;
    IOStatus status = target()->NewRandomAccessFile(path, options, &opened, debug);
    if (status.ok()) *file = std::make_unique<StoppableFile>(std::move(opened), stop_);
    return status;
  }

 private:
  const StopFlag* const stop_;
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> stoppable_files(std::shared_ptr<rocksdb::FileSystem> files, const StopFlag* stop) {
  return std::make_shared<StoppableFiles>(std::move(files), stop);
}

}  // namespace runink::barn
