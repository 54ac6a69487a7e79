// What members say to each other, as bytes: hello, messages of Raft, bulk requests and answers. Numbers as in
// net/bytes.h.
//
// Decoders take what a peer sends: no size or count is believed beyond the bytes that are there, and what is not
// exactly a message is refused whole. What decodes also makes sense in itself: entries follow each other without gaps,
// their terms do not fall and are not beyond the message's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "control/raft/core/message.h"
#include "control/raft/transport/frame.h"
#include "control/raft/transport/transport.h"

namespace runink::raft {

// Terms and indexes beyond are refused: counting up takes no cluster there, and one that followed a broken member so far
// would come to the end of the numbers.
inline constexpr uint64_t kMaxTermOrIndex = uint64_t{1} << 62;
// In one message. A core makes at most max_message_bytes / Entry::kOverheadBytes of them, 32 Ki by default.
inline constexpr size_t kMaxEntries = 1 << 16;

// Whether it fits into a frame.
bool fits(const Message& message);
// Appends it. Entries must be those that follow message.index, as a core's always are.
void encode(const Message& message, std::string& out);
Result<Message> decode_message(std::string_view payload);

enum class ChannelKind : uint8_t { kControl = 1, kBulk = 2 };

// Who speaks is in the certificate; the hello says what for, and to whom the speaker believes to speak.
struct Hello {
  uint8_t oldest = 1, newest = 1;  // versions of this protocol that the speaker knows
  ChannelKind kind = ChannelKind::kControl;
  NodeId from = 0, to = 0;
  bool operator==(const Hello&) const = default;
};
inline constexpr size_t kMaxHelloBytes = 256;
void encode(const Hello& hello, std::string& out);
Result<Hello> decode_hello(std::string_view payload);

// `id` pairs request and answer on one connection.
bool fits(const BulkRequest& request);
void encode(uint64_t id, const BulkRequest& request, std::string& out);
struct NumberedBulkRequest {
  uint64_t id = 0;
  BulkRequest request;
};
Result<NumberedBulkRequest> decode_bulk_request(std::string_view payload);

void encode(uint64_t id, const Result<std::string>& answer, std::string& out);
struct NumberedBulkAnswer {
  uint64_t id = 0;
  Result<std::string> answer;
};
Result<NumberedBulkAnswer> decode_bulk_answer(std::string_view payload);

}  // namespace runink::raft
