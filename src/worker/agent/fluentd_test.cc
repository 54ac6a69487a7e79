// MessagePack, and the forwarder against a server made of one thread here, which loses, delays and forgets on request.
// tests/peers has it against somebody else's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "base/clock.h"
#include "platform/os/temp.h"
#include "worker/agent/fluentd_forwarder.h"
#include "worker/agent/fluentd_msgpack.h"

namespace runink::agent {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr int64_t kSecond = 1'000'000'000;

std::string hex_of(void (*put)(std::string&)) {
  std::string out, text;
  put(out);
  for (const char c : out) text += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return text;
}

TEST(MessagePack, IsWrittenAsItsSpecificationSays) {
  using namespace msgpack;
  EXPECT_EQ(hex_of([](std::string& out) { put_bool(out, true); }), "c3");
  EXPECT_EQ(hex_of([](std::string& out) { put_number(out, 127); }), "7f");
  EXPECT_EQ(hex_of([](std::string& out) { put_number(out, 128); }), "cc80");
  EXPECT_EQ(hex_of([](std::string& out) { put_number(out, 256); }), "cd0100");
  EXPECT_EQ(hex_of([](std::string& out) { put_number(out, 65536); }), "ce00010000");
  EXPECT_EQ(hex_of([](std::string& out) { put_number(out, uint64_t{1} << 32); }), "cf0000000100000000");
  EXPECT_EQ(hex_of([](std::string& out) { put_text(out, "abc"); }), "a3616263");
  EXPECT_EQ(hex_of([](std::string& out) { put_text(out, std::string(32, 'a')); }).substr(0, 6), "d92061");
  EXPECT_EQ(hex_of([](std::string& out) { put_text(out, std::string(256, 'a')); }).substr(0, 8), "da010061");
  EXPECT_EQ(hex_of([](std::string& out) { put_text(out, std::string(65536, 'a')); }).substr(0, 12), "db0001000061");
  EXPECT_EQ(hex_of([](std::string& out) { put_text(out, "a\xff"); }), "a461efbfbd");
  EXPECT_EQ(hex_of([](std::string& out) { put_bytes_head(out, 255); }), "c4ff");
  EXPECT_EQ(hex_of([](std::string& out) { put_bytes_head(out, 70'000); }), "c600011170");
  EXPECT_EQ(hex_of([](std::string& out) { put_array_head(out, 3); }), "93");
  EXPECT_EQ(hex_of([](std::string& out) { put_map_head(out, 2); }), "82");
  EXPECT_EQ(hex_of([](std::string& out) { put_event_time(out, 1'700'000'000'000'001); }), "d7006553f100000003e8");
}

TEST(MessagePack, IsReadInParts) {
  std::string bytes;
  msgpack::put_array_head(bytes, 3);
  msgpack::put_text(bytes, "HELO");
  msgpack::put_map_head(bytes, 2);
  msgpack::put_text(bytes, "nonce");
  msgpack::put_bytes_head(bytes, 3);
  bytes += std::string("\0\x01\x02", 3);
  msgpack::put_text(bytes, "keepalive");
  msgpack::put_bool(bytes, true);
  msgpack::put_number(bytes, 70'000);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto part = msgpack::decode(std::string_view(bytes).substr(0, size));
    ASSERT_TRUE(part.ok()) << size;
    EXPECT_FALSE(*part) << size;
  }
  const auto whole = msgpack::decode(bytes + "more");
  ASSERT_TRUE(whole.ok() && whole->has_value());
  EXPECT_EQ((*whole)->size, bytes.size());
  const msgpack::Value& value = (*whole)->value;
  ASSERT_THAT(value.values, SizeIs(3));
  EXPECT_EQ(value.values[0].text, "HELO");
  ASSERT_NE(value.values[1].find("nonce"), nullptr);
  EXPECT_EQ(value.values[1].find("nonce")->text, std::string("\0\x01\x02", 3));
  EXPECT_TRUE(value.values[1].find("keepalive")->truth);
  EXPECT_EQ(value.values[1].find("other"), nullptr);
  EXPECT_EQ(value.values[2].number, 70'000);
  EXPECT_EQ((*msgpack::decode("\xd1\xff\xfe"))->value.number, -2);
}

TEST(MessagePack, WhatIsTooMuchOrNothingIsRefused) {
  EXPECT_FALSE(msgpack::decode("\xc1").ok());
  EXPECT_FALSE(msgpack::decode("\xdb\xff\xff\xff\xff").ok());        // a text of 4 GB
  EXPECT_FALSE(msgpack::decode("\xdd\xff\xff\xff\xff").ok());        // as many values
  EXPECT_FALSE(msgpack::decode(std::string(100'000, '\x91')).ok());  // ever deeper
  EXPECT_FALSE(msgpack::decode("\xdc\x10\x00" + std::string(9000, '\x91')).ok());
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (int i = 0; i < 40; ++i)
      bytes.push_back(static_cast<char>(random() % 3 == 0 ? 0x90 + random() % 80 : random()));
    const auto decoded = msgpack::decode(bytes);
    const size_t size = decoded.ok() && *decoded ? (*decoded)->size : 0;
    EXPECT_LE(size, bytes.size());
  }
}

// One connection at a time; each chunk goes to `judge`, which says whether it is acknowledged, and with what.
class Server {
 public:
  struct Chunk {
    std::string tag, id;
    uint64_t lines = 0;
    std::string entries;
  };
  enum class Answer { kAcknowledge, kNothing, kHangUp, kOther };
  using Judge = std::function<Answer(const Chunk&)>;

  explicit Server(Judge judge) : judge_(std::move(judge)) {
    listener_ = *net::listen_tcp(*net::numeric_address({"127.0.0.1", 0}));
    const net::SocketAddress address = *net::local_address(listener_);
    port_ = ntohs(address.raw.v4.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    stop_ = true;
    thread_.join();
  }
  uint16_t port() const { return port_; }
  std::vector<Chunk> chunks() const {
    const std::lock_guard lock(mutex_);
    return chunks_;
  }

 private:
  void run() {
    while (!stop_) {
      pollfd ready = {listener_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 10) <= 0) continue;
      const os::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "connection");
      if (connection.valid()) serve(connection);
    }
  }
  void serve(const os::Fd& connection) {
    std::string received;
    while (!stop_) {
      pollfd ready = {connection.get(), POLLIN, 0};
      if (::poll(&ready, 1, 10) <= 0) continue;
      char buffer[65536];
      const ssize_t got = ::recv(connection.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return;
      received.append(buffer, static_cast<size_t>(got));
      while (true) {
        const auto decoded = msgpack::decode(received);
        ASSERT_TRUE(decoded.ok()) << decoded.status().to_string();
        if (!*decoded) break;
        const auto& values = (*decoded)->value.values;
        ASSERT_THAT(values, SizeIs(3));
        const Chunk chunk = {values[0].text, values[2].find("chunk")->text,
                             static_cast<uint64_t>(values[2].find("size")->number), values[1].text};
        received.erase(0, (*decoded)->size);
        {
          const std::lock_guard lock(mutex_);
          chunks_.push_back(chunk);
        }
        const Answer answer = judge_(chunk);
        if (answer == Answer::kHangUp) return;
        if (answer == Answer::kNothing) continue;
        std::string reply;
        msgpack::put_map_head(reply, 1);
        msgpack::put_text(reply, "ack");
        msgpack::put_text(reply, answer == Answer::kAcknowledge ? chunk.id : "another");
        (void)!::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      }
    }
  }

  Judge judge_;
  os::Fd listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Chunk> chunks_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

FluentdForwarder::Options options_for(uint16_t port) {
  FluentdForwarder::Options options;
  options.where = {"127.0.0.1", port};
  options.node = "node-1";
  options.flush_nanos = kSecond / 100;
  options.chunk_bytes = 20'000;
  options.first_pause_nanos = kSecond / 100;
  options.longest_pause_nanos = kSecond / 10;
  return options;
}

LogLine line_of(std::string text) {
  LogLine line;
  line.unix_micros = 1'700'000'000'000'000;
  line.text = std::move(text);
  return line;
}

TEST(FluentdForwarder, SendsLinesByHerd) {
  Server server([](const auto&) { return Server::Answer::kAcknowledge; });
  auto forwarder = FluentdForwarder::start(options_for(server.port()));
  ASSERT_TRUE(forwarder.ok());
  (*forwarder)->offer({"s1", "etl"}, line_of("one"));
  (*forwarder)->offer({"s2", "web"}, line_of("two"));
  (*forwarder)->offer({"s1", "etl"}, line_of("three"));
  ASSERT_TRUE((*forwarder)->flush(10 * kSecond));
  std::map<std::string, std::string> by_tag;
  for (const auto& chunk : server.chunks()) by_tag[chunk.tag] += chunk.entries;
  EXPECT_THAT(by_tag["runink.slice.etl"], AllOf(HasSubstr("one"), HasSubstr("three"), HasSubstr("node-1")));
  EXPECT_THAT(by_tag["runink.slice.web"], HasSubstr("two"));
  EXPECT_EQ((*forwarder)->counters().lines_acknowledged, 3u);
  EXPECT_EQ((*forwarder)->counters().buffered_bytes, 0u);
}

TEST(FluentdForwarder, WhatIsNotAcknowledgedIsSentAgain) {
  std::atomic<int> seen{0};
  Server server([&](const auto&) {
    switch (seen++) {
      case 0:
        return Server::Answer::kHangUp;
      case 1:
        return Server::Answer::kOther;
      case 2:
        return Server::Answer::kNothing;
      default:
        return Server::Answer::kAcknowledge;
    }
  });
  auto options = options_for(server.port());
  options.answer_nanos = kSecond / 5;
  auto forwarder = FluentdForwarder::start(options);
  (*forwarder)->offer({"s", "h"}, line_of("precious"));
  ASSERT_TRUE((*forwarder)->flush(20 * kSecond));
  const auto chunks = server.chunks();
  ASSERT_THAT(chunks, SizeIs(4));
  for (const auto& chunk : chunks) {
    EXPECT_EQ(chunk.id, chunks[0].id);
    EXPECT_EQ(chunk.entries, chunks[0].entries);
  }
  const auto counters = (*forwarder)->counters();
  EXPECT_EQ(counters.chunks_sent_again, 3u);
  EXPECT_EQ(counters.lines_acknowledged, 1u);
  EXPECT_EQ(counters.lines_dropped, 0u);
}

TEST(FluentdForwarder, ABufferThatIsFullDropsAndSaysSo) {
  std::atomic<bool> open{false};
  Server server([&](const auto&) { return open ? Server::Answer::kAcknowledge : Server::Answer::kHangUp; });
  auto options = options_for(server.port());
  options.buffer_bytes = 100'000;
  auto forwarder = FluentdForwarder::start(options);
  for (int i = 0; i < 1000; ++i) (*forwarder)->offer({"s", "h"}, line_of(std::string(900, 'x')));
  const uint64_t dropped = (*forwarder)->counters().lines_dropped;
  EXPECT_GT(dropped, 850u);
  EXPECT_LE((*forwarder)->counters().buffered_bytes, options.buffer_bytes);
  open = true;
  ASSERT_TRUE((*forwarder)->flush(20 * kSecond));
  (*forwarder)->offer({"s", "h"}, line_of("after"));
  ASSERT_TRUE((*forwarder)->flush(20 * kSecond));
  EXPECT_THAT(server.chunks().back().entries,
              AllOf(HasSubstr(fmt::format("{} lines before this one were dropped", dropped)), HasSubstr("after")));
  EXPECT_EQ((*forwarder)->counters().lines_acknowledged, 1000 - dropped + 2);
}

TEST(FluentdForwarder, EndsInTimeWithWhatItCouldSend) {
  std::atomic<uint64_t> taken{0};
  {
    Server server([&](const auto& chunk) {
      taken += chunk.lines;
      return Server::Answer::kAcknowledge;
    });
    auto options = options_for(server.port());
    options.flush_nanos = 3600 * kSecond;
    auto forwarder = FluentdForwarder::start(options);
    for (int i = 0; i < 100; ++i) (*forwarder)->offer({"s", "h"}, line_of("line"));
    forwarder->reset();
    EXPECT_EQ(taken, 100u);
  }
  Server silent([&](const auto&) { return Server::Answer::kNothing; });
  auto options = options_for(silent.port());
  options.close_nanos = kSecond / 10;
  auto forwarder = FluentdForwarder::start(options);
  (*forwarder)->offer({"s", "h"}, line_of("line"));
  forwarder->reset();  // or the test ends by its time-out
  auto nobody = FluentdForwarder::start(options_for(1));
  (*nobody)->offer({"s", "h"}, line_of("line"));
}

TEST(FluentdForwarder, OptionsThatCannotBeRightAreRefused) {
  FluentdForwarder::Options options;
  EXPECT_EQ(FluentdForwarder::start(options).status().code(), Code::kInvalidArgument);
  options = options_for(1);
  options.user_name = "me";
  EXPECT_EQ(FluentdForwarder::start(options).status().code(), Code::kInvalidArgument);
  options = options_for(1);
  options.tls = net::ClientTls{"/nowhere/ca.pem", "", "", ""};
  EXPECT_THAT(FluentdForwarder::start(options).status().to_string(), HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace runink::agent
