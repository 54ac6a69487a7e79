#include "client/sdk/chunk_value.h"

#include "base/little_endian.h"

namespace runink::sdk {

namespace {

constexpr size_t kHashBytes = 32, kValueBytes = kHashBytes + sizeof(uint64_t);

}  // namespace

std::string chunk_value(const v1::PutChunkResponse& stored) {
  std::string out = stored.hash();
  append_little_endian(out, uint64_t{stored.size()});
  return out;
}

Result<v1::GetChunkRequest> chunk_of(const v1::KeyValuePair& item) {
  const std::string& value = item.value();
  if (!item.chunk() || value.size() != kValueBytes)
    return invalid_argument("the value is no reference to a chunk, but {} bytes", value.size());
  v1::GetChunkRequest out;
  out.set_hash(value.substr(0, kHashBytes));
  out.set_size(load_little_endian<uint64_t>(value.data() + kHashBytes));
  return out;
}

}  // namespace runink::sdk
