#include "control/barn/rocks/rocks_status.h"

#include <rocksdb/io_status.h>
#include <rocksdb/status.h>

namespace runink::barn {

namespace {

// RocksDB carries nothing but a text through its layers; kinds that a caller reacts to travel in it, in brackets.
constexpr std::string_view kKinds[] = {"key.wrong", "key.unsealed", "key.missing"};

std::string_view kind_in(std::string_view text) {
  for (const std::string_view kind : kKinds) {
    const size_t at = text.find(kind);
    if (at != std::string_view::npos && at > 0 && text[at - 1] == '[') return kind;
  }
  return {};
}

}  // namespace

Status from_rocks(const rocksdb::Status& status, std::string_view attempted) {
  if (status.ok()) return Status();
  const std::string text = status.ToString();
  Code code = Code::kUnavailable;
  const std::string_view kind = kind_in(text);
  if (!kind.empty()) {
    code = Code::kFailedPrecondition;
  } else if (status.IsCorruption() || status.IsPathNotFound()) {
    code = Code::kDataLoss;
  } else if (status.IsNoSpace() || status.IsMemoryLimit() || status.subcode() == rocksdb::Status::kSpaceLimit) {
    code = Code::kResourceExhausted;
  } else if (status.IsNotFound()) {
    code = Code::kNotFound;
  } else if (status.IsNotSupported()) {
    code = Code::kUnimplemented;
  } else if (status.IsInvalidArgument()) {
    code = Code::kInvalidArgument;
  }
  Status ours = Status(code, text).with_context(std::string(attempted));
  return kind.empty() ? ours : std::move(ours).with_kind(std::string(kind));
}

rocksdb::IOStatus to_rocks(const Status& status) {
  if (status.ok()) return rocksdb::IOStatus::OK();
  std::string text = status.to_string();
  if (!status.kind().empty()) text += " [" + status.kind() + "]";
  switch (status.code()) {
    case Code::kDataLoss:
      return rocksdb::IOStatus::Corruption(text);
    case Code::kNotFound:
      return rocksdb::IOStatus::PathNotFound(text);
    case Code::kResourceExhausted:
      return rocksdb::IOStatus::NoSpace(text);
    case Code::kUnimplemented:
      return rocksdb::IOStatus::NotSupported(text);
    case Code::kFailedPrecondition:
      return rocksdb::IOStatus::InvalidArgument(text);
    default:
      return rocksdb::IOStatus::IOError(text);
  }
}

}  // namespace runink::barn
