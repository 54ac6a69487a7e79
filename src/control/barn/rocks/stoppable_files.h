// Files for RocksDB whose reading ends when somebody asks for that, since what reads a table from its beginning to its
// end cannot be told to stop otherwise.
#pragma once

#include <rocksdb/file_system.h>

#include <memory>

#include "base/stop.h"

namespace runink::barn {

// As `files`, but once `stop` is requested every read of a file opened for random access is Aborted. `stop` must
// outlive what is opened.
std::shared_ptr<rocksdb::FileSystem> stoppable_files(std::shared_ptr<rocksdb::FileSystem> files, const StopFlag* stop);

}  // namespace runink::barn
