// Between RocksDB's statuses and ours. What RocksDB says is kept word for word, so that a file that our own layer
// refused is named to whoever reads the error.
#pragma once

#include <string_view>

#include "base/status.h"

namespace rocksdb {
class Status;
class IOStatus;
}  // namespace rocksdb

namespace runink::barn {

// kDataLoss for corruption and for a file that should be there and is not, kResourceExhausted for a full disk,
// kNotFound for a key, kFailedPrecondition for a refused encryption key, else kUnavailable. OK stays OK.
Status from_rocks(const rocksdb::Status& status, std::string_view attempted);

// The text carries the kind, so that from_rocks() can give it back.
rocksdb::IOStatus to_rocks(const Status& status);

}  // namespace runink::barn
