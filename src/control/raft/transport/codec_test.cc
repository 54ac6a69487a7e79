#include "control/raft/transport/codec.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

#include "control/raft/transport/messages_in_test.h"
#include "platform/net/bytes.h"

namespace runink::raft {
namespace {

std::string encoded(const Message& message) {
  std::string out;
  encode(message, out);
  return out;
}

TEST(CodecTest, MessagesComeBack) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    const Message message = random_message(random);
    ASSERT_TRUE(fits(message));
    const std::string bytes = encoded(message);
    const Result<Message> back = decode_message(bytes);
    ASSERT_TRUE(back.ok()) << back.status().to_string();
    ASSERT_TRUE(same(message, *back));
  }
}

TEST(CodecTest, NothingDiffersFromEmptyData) {
  Message message = append_message(1, 2, 10, 2, 0);
  message.entries[1].data = nullptr;
  const Result<Message> back = decode_message(encoded(message));
  ASSERT_TRUE(back.ok());
  ASSERT_NE(back->entries[0].data, nullptr);
  EXPECT_EQ(*back->entries[0].data, "");
  EXPECT_EQ(back->entries[1].data, nullptr);
}

TEST(CodecTest, CutsAndBytesBehindAreRefused) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string bytes = encoded(random_message(random));
    for (size_t cut = 0; cut < bytes.size(); cut += 1 + random() % 5) {
      EXPECT_FALSE(decode_message(std::string_view(bytes).substr(0, cut)).ok());
    }
    EXPECT_FALSE(decode_message(bytes + '\0').ok());
  }
}

// What decodes has one spelling, and makes sense.
TEST(CodecTest, WhatIsReadFromDamageIsStillAMessage) {
  std::mt19937_64 random(3);
  int read = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = encoded(random_message(random));
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    const Result<Message> back = decode_message(bytes);
    if (!back.ok()) continue;
    ++read;
    ASSERT_EQ(encoded(*back), bytes);
    Term term = back->log_term;
    for (size_t j = 0; j < back->entries.size(); ++j) {
      ASSERT_EQ(back->entries[j].index, back->index + 1 + j);
      ASSERT_GE(back->entries[j].term, term);
      term = back->entries[j].term;
      ASSERT_LE(term, back->term);
    }
  }
  EXPECT_GT(read, 100);
}

// The head of an append up to where its entries begin.
std::string append_head(Index index, Term term, Term log_term) {
  std::string out = {static_cast<char>(MessageKind::kAppend), 16};
  for (uint64_t field : {uint64_t{1}, uint64_t{2}, term, index, log_term, uint64_t{0}, uint64_t{0}, uint64_t{0},
                         uint64_t{0}, uint64_t{0}, uint64_t{0}}) {
    net::put_number(out, field);
  }
  return out;
}

TEST(CodecTest, CountsAreNotBelieved) {
  // "50 million entries" in a few bytes, and with as many as a frame has.
  for (const size_t behind : {size_t{0}, size_t{100}, kMaxFrameBytes - 100}) {
    std::string bytes = append_head(1, 5, 5);
    net::put_number(bytes, 50'000'000);
    bytes.append(behind, '\0');
    EXPECT_FALSE(decode_message(bytes).ok());
  }
  std::string most = append_head(1, 5, 5);
  net::put_number(most, kMaxEntries);
  most.append(kMaxEntries * 2, '\0');
  EXPECT_TRUE(decode_message(most).ok());
  std::string more = append_head(1, 5, 5);
  net::put_number(more, kMaxEntries + 1);
  more.append(kMaxEntries * 2 + 2, '\0');
  EXPECT_FALSE(decode_message(more).ok());
  std::string none = append_head(1, 5, 5);
  net::put_number(none, 0);
  EXPECT_FALSE(decode_message(none).ok());
}

TEST(CodecTest, IndexesAndTermsStayInTheirRange) {
  const auto one = [](std::string head, uint64_t rise) {
    net::put_number(head, 1);
    net::put_byte(head, 1);
    net::put_number(head, rise);
    return decode_message(head).ok();
  };
  EXPECT_TRUE(one(append_head(kMaxTermOrIndex, kMaxTermOrIndex, 5), 0));
  EXPECT_FALSE(one(append_head(kMaxTermOrIndex + 1, 5, 5), 0));
  EXPECT_FALSE(one(append_head(1, kMaxTermOrIndex + 1, 5), 0));
  EXPECT_FALSE(one(append_head(UINT64_MAX, UINT64_MAX, UINT64_MAX), 0));
  EXPECT_TRUE(one(append_head(1, 5, 3), 2));
  EXPECT_FALSE(one(append_head(1, 5, 3), 3));
  EXPECT_FALSE(one(append_head(1, UINT64_MAX, 3), UINT64_MAX));
}

TEST(CodecTest, FieldsOfOtherKindsAreRefused) {
  Message message = append_message(1, 2, 10, 1, 10);
  std::string bytes = encoded(message);
  bytes[0] = static_cast<char>(MessageKind::kHeartbeat);
  EXPECT_FALSE(decode_message(bytes).ok());
  for (const int kind : {0, 11, 255}) {
    bytes = encoded(heartbeat(1, 2, 3));
    bytes[0] = static_cast<char>(kind);
    EXPECT_FALSE(decode_message(bytes).ok());
  }
  EXPECT_FALSE(decode_message(encoded(heartbeat(0, 2, 3))).ok());
  EXPECT_FALSE(decode_message(encoded(heartbeat(1, 0, 3))).ok());
}

TEST(CodecTest, WhatDoesNotFitIsKnownBefore) {
  EXPECT_TRUE(fits(append_message(1, 2, 1, kMaxEntries, 0)));
  EXPECT_FALSE(fits(append_message(1, 2, 1, kMaxEntries + 1, 0)));
  EXPECT_FALSE(fits(append_message(1, 2, 1, 1, kMaxFrameBytes)));
  const Message large = append_message(1, 2, 1, 4, kMaxFrameBytes / 4 - 4096);
  ASSERT_TRUE(fits(large));
  EXPECT_LE(encoded(large).size(), kMaxFrameBytes);
}

TEST(CodecTest, HellosComeBackAndLaterOnesMaySayMore) {
  const Hello hello{1, 1, ChannelKind::kBulk, 3, UINT64_MAX};
  std::string bytes;
  encode(hello, bytes);
  EXPECT_EQ(*decode_hello(bytes), hello);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_hello(bytes.substr(0, cut)).ok());
  EXPECT_FALSE(decode_hello(bytes + "more").ok());
  bytes[1] = 2;
  EXPECT_TRUE(decode_hello(bytes + "more").ok());
  bytes[0] = 3;
  EXPECT_FALSE(decode_hello(bytes).ok());
  bytes[0] = 1;
  bytes[2] = 9;
  EXPECT_FALSE(decode_hello(bytes).ok());
}

TEST(CodecTest, BulkComesBack) {
  const BulkRequest request{BulkKind::kChunk, 10, 3, "000012.sst", 1 << 30, kMaxChunkBytes, std::string("\0x", 2)};
  std::string bytes;
  encode(77, request, bytes);
  const auto back = decode_bulk_request(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->id, 77u);
  EXPECT_EQ(back->request, request);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_bulk_request(bytes.substr(0, cut)).ok());
  BulkRequest large = request;
  large.size = kMaxChunkBytes + 1;
  EXPECT_FALSE(fits(large));
  large = request;
  large.name.assign(256, 'a');
  EXPECT_FALSE(fits(large));

  for (const Result<std::string>& answer : {Result<std::string>(std::string("bytes\0", 6)), Result<std::string>(""),
                                            Result<std::string>(not_found("no such file"))}) {
    std::string text;
    encode(5, answer, text);
    const auto decoded = decode_bulk_answer(text);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->id, 5u);
    EXPECT_EQ(decoded->answer.ok(), answer.ok());
    if (answer.ok()) {
      EXPECT_EQ(*decoded->answer, *answer);
    } else {
      EXPECT_EQ(decoded->answer.status().code(), Code::kNotFound);
    }
    EXPECT_FALSE(decode_bulk_answer(text + "x").ok());
  }
  std::string too_large;
  encode(5, Result<std::string>(std::string(kMaxManifestBytes + 1, 'x')), too_large);
  EXPECT_EQ(decode_bulk_answer(too_large)->answer.status().code(), Code::kInternal);
}

// ---- Frames

std::string framed(FrameType type, std::string_view payload) {
  std::string out;
  const size_t begin = begin_frame(out, type);
  out.append(payload);
  end_frame(out, begin);
  return out;
}

// Feeds `bytes` in pieces; what came out, as text.
std::string cut_into_frames(FrameReader& reader, std::string_view bytes, const std::function<size_t()>& piece) {
  std::string out;
  while (!bytes.empty()) {
    const std::span<char> room = reader.room();
    const size_t size = std::min({piece(), bytes.size(), room.size()});
    std::memcpy(room.data(), bytes.data(), size);
    reader.add(size);
    bytes.remove_prefix(size);
    Frame frame;
    while (true) {
      const Result<bool> found = reader.next(&frame);
      if (!found.ok()) return out + "refused";
      if (!*found) break;
      out += fmt::format("{}:{};", static_cast<int>(frame.type), frame.payload);
    }
  }
  return out;
}

TEST(FrameTest, CutAnywhereTheyAreTheSame) {
  std::string bytes, expected;
  std::mt19937_64 random(4);
  for (int i = 0; i < 50; ++i) {
    const std::string payload(random() % (i % 10 == 0 ? 50'000 : 40), static_cast<char>('a' + i % 26));
    const auto type = static_cast<FrameType>(1 + random() % 6);
    bytes += framed(type, payload);
    expected += fmt::format("{}:{};", static_cast<int>(type), payload);
  }
  FrameReader whole, single, ragged;
  EXPECT_EQ(cut_into_frames(whole, bytes, [] { return SIZE_MAX; }), expected);
  EXPECT_EQ(cut_into_frames(single, bytes, [] { return size_t{1}; }), expected);
  EXPECT_EQ(cut_into_frames(ragged, bytes, [&] { return 1 + random() % 3000; }), expected);
}

TEST(FrameTest, WhatIsNoFrameIsRefusedAtItsHeader) {
  const auto refused = [](std::string_view header) {
    FrameReader reader;
    return cut_into_frames(reader, header, [] { return SIZE_MAX; }) == "refused";
  };
  EXPECT_FALSE(refused(std::string_view("\0\0\x80\0\x04\x01", 6)));  // 8 MiB
  EXPECT_TRUE(refused(std::string_view("\x01\0\x80\0\x04\x01", 6)));
  EXPECT_TRUE(refused("\xff\xff\xff\xff\x04\x01"));
  EXPECT_TRUE(refused(std::string_view("\x01\0\0\0\x00\x01", 6)));
  EXPECT_TRUE(refused(std::string_view("\x01\0\0\0\x07\x01", 6)));
  EXPECT_TRUE(refused(std::string_view("\x01\0\0\0\x04\x00", 6)));
  EXPECT_TRUE(refused(std::string_view("\x01\0\0\0\x04\x02", 6)));
}

TEST(FrameTest, MemoryIsOnlyHeldForWhatHasCome) {
  FrameReader reader;
  (void)cut_into_frames(reader, std::string_view("\0\0\x80\0\x04\x01zzzz", 10), [] { return SIZE_MAX; });
  EXPECT_LE(reader.capacity(), 64u << 10);
  FrameReader large;
  const std::string payload(5 << 20, 'x');
  EXPECT_EQ(cut_into_frames(large, framed(FrameType::kMessage, payload), [] { return size_t{16} << 10; }).size(),
            payload.size() + 3);
  EXPECT_LE(large.capacity(), 16u << 20);
  (void)large.room();
  EXPECT_LE(large.capacity(), 64u << 10);
}

}  // namespace
}  // namespace runink::raft
