// What a key holds that refers to a chunk: 32 bytes SHA-256, then 8 bytes size, little endian.
#pragma once

#include "base/status.h"
#include "runink/barn/v1/key_value.pb.h"

namespace runink::sdk {

namespace v1 = runink::barn::v1;

// For PutRequest.value, with `chunk` set there.
std::string chunk_value(const v1::PutChunkResponse& stored);
// Of an item with `chunk`, for get_chunk(). kInvalidArgument: it refers to none.
Result<v1::GetChunkRequest> chunk_of(const v1::KeyValuePair& item);

}  // namespace runink::sdk
