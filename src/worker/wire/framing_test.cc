#include "worker/wire/framing.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::wire {
namespace {

using ::testing::HasSubstr;

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

struct Pair {
  Pair() {
    auto made = Channel::make_pair();
    EXPECT_TRUE(made.ok());
    a = std::move(made->first);
    b = std::move(made->second);
  }
  Channel a, b;
};

Message must_receive(Channel* channel) {
  auto message = channel->receive();
  EXPECT_TRUE(message.ok()) << message.status().to_string();
  EXPECT_TRUE(message.ok() && *message);
  return message.ok() && *message ? std::move(**message) : Message();
}

os::Fd memory_with(std::string_view text, unsigned seals) {
  os::Fd memory(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memory");
  EXPECT_TRUE(os::write_all(memory, text).ok());
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
  return memory;
}

TEST(Channel, CarriesWholeMessagesWithDescriptors) {
  Pair pair;
  const os::Fd file = memory_with("inside", 0);
  const int descriptors[] = {file.get(), file.get()};
  ASSERT_TRUE(pair.a.send(7, 1ull << 60, "a body", descriptors).ok());
  ASSERT_TRUE(pair.a.send(8, 0, "").ok());
  const Message first = must_receive(&pair.b), second = must_receive(&pair.b);
  EXPECT_EQ(first.type, 7);
  EXPECT_EQ(first.subject, 1ull << 60);
  EXPECT_EQ(first.body, "a body");
  ASSERT_EQ(first.descriptors.size(), 2u);
  char text[6];
  EXPECT_EQ(*os::pread_full(first.descriptors[1], text, 6, 0), 6u);
  EXPECT_EQ(std::string_view(text, 6), "inside");
  EXPECT_EQ(::fcntl(first.descriptors[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(second.type, 8);
  EXPECT_EQ(second.body, "");
  const auto third = pair.b.receive();
  EXPECT_TRUE(third.ok() && !*third);
}

TEST(Channel, CarriesLargeBodies) {
  Pair pair;
  const os::Fd file = memory_with("inside", 0);
  for (const size_t size : {kMostPacketBody, kMostPacketBody + 1, size_t{5'000'000}}) {
    std::string body(size, 'x');
    body.back() = 'y';
    const int descriptors[] = {file.get()};
    ASSERT_TRUE(pair.a.send(1, 2, body, descriptors).ok());
    const Message message = must_receive(&pair.b);
    EXPECT_TRUE(message.body == body) << size;
    EXPECT_EQ(message.descriptors.size(), 1u);
  }
  EXPECT_EQ(pair.a.send(1, 2, std::string(kMostBody + 1, 'x')).code(), Code::kInvalidArgument);
}

TEST(Channel, SaysThatThePeerHasGoneOnceAllIsReceived) {
  Pair pair;
  ASSERT_TRUE(pair.a.send(1, 2, "last words").ok());
  pair.a.close();
  EXPECT_EQ(must_receive(&pair.b).body, "last words");
  EXPECT_EQ(pair.b.receive().status().code(), Code::kUnavailable);
  EXPECT_EQ(pair.b.receive_within(-1).status().code(), Code::kUnavailable);
  EXPECT_EQ(pair.b.send(1, 2, "").code(), Code::kUnavailable);
}

// What a peer does not take is kept, in order, with its descriptors; up to a bound.
TEST(Channel, QueuesForASlowPeer) {
  Pair pair;
  const os::Fd file = memory_with("inside", 0);
  const std::string body(30'000, 'x');
  uint64_t sent = 0;
  for (; sent < 100; ++sent) {
    const int descriptors[] = {file.get()};
    ASSERT_TRUE(pair.a.send(1, sent, body, descriptors).ok());
  }
  EXPECT_TRUE(pair.a.wants_to_write());
  for (uint64_t i = 0; i < sent; ++i) {
    ASSERT_TRUE(pair.a.flush().ok());
    const Message message = must_receive(&pair.b);
    ASSERT_EQ(message.subject, i);
    ASSERT_EQ(message.descriptors.size(), 1u);
  }
  EXPECT_FALSE(pair.a.wants_to_write());
  Status refused;
  for (size_t i = 0; i < 2 * kMostQueuedBytes / body.size() && refused.ok(); ++i) refused = pair.a.send(1, i, body);
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
}

TEST(Channel, WaitsForAMessage) {
  Pair pair;
  const auto none = pair.b.receive_within(1000);
  EXPECT_TRUE(none.ok() && !*none);
}

struct Malformed {
  const char* name;
  void (*change)(std::string* packet);
};
const Malformed kMalformed[] = {
    {"nothing but a header cut short", [](std::string* packet) { packet->resize(23); }},
    {"other magic", [](std::string* packet) { (*packet)[0] ^= 1; }},
    {"unknown flag", [](std::string* packet) { (*packet)[6] = 2; }},
    {"a body cut short", [](std::string* packet) { packet->pop_back(); }},
    {"a body too long", [](std::string* packet) { packet->push_back('x'); }},
    {"a huge body announced", [](std::string* packet) { (*packet)[19] = '\x7f'; }},
    {"a descriptor announced", [](std::string* packet) { (*packet)[20] = 1; }},
    {"a body in memory without memory", [](std::string* packet) { (*packet)[6] = 1; }},
    {"larger than any packet", [](std::string* packet) { packet->resize(kMostPacketBody + 100); }},
};

// The bytes of a packet as it is sent.
std::string packet_of(std::string_view body) {
  Pair pair;
  EXPECT_TRUE(pair.a.send(1, 2, body).ok());
  std::string packet(1000, '\0');
  const ssize_t n = ::recv(pair.b.descriptor(), packet.data(), packet.size(), 0);
  packet.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return packet;
}

TEST(Channel, RefusesWhatIsNoMessage) {
  for (const Malformed& test : kMalformed) {
    Pair pair;
    std::string packet = packet_of("a body");
    test.change(&packet);
    ASSERT_EQ(::send(pair.a.descriptor(), packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
    EXPECT_EQ(pair.b.receive().status().code(), Code::kDataLoss) << test.name;
  }
}

// A body in memory of another size than announced, or that its sender could still change.
TEST(Channel, RefusesMemoryThatIsNotSealed) {
  for (const auto& [seals, size] : {std::pair(0u, 6u), std::pair(unsigned{F_SEAL_SHRINK | F_SEAL_GROW}, 6u),
                                    std::pair(unsigned{F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE}, 5u)}) {
    Pair pair;
    std::string packet = packet_of("").substr(0, 24);
    packet[6] = 1;
    packet[16] = static_cast<char>(size);
    packet[20] = 1;
    const os::Fd memory = memory_with("inside", seals);
    const size_t before = open_descriptors();
    iovec piece = {packet.data(), packet.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = memory.get();
    ::memcpy(CMSG_DATA(part), &fd, sizeof fd);
    ASSERT_GT(::sendmsg(pair.a.descriptor(), &message, 0), 0);
    EXPECT_EQ(pair.b.receive().status().code(), Code::kDataLoss) << seals << ' ' << size;
    EXPECT_EQ(open_descriptors(), before);
  }
}

// Every single change of a byte gives a message or an error, and leaves no descriptor open.
TEST(Channel, SurvivesAnyByte) {
  const std::string good = packet_of("a body");
  const size_t before = open_descriptors();
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char value : {'\0', '\1', '\x7f', '\xff'}) {
      Pair pair;
      std::string packet = good;
      packet[at] = value;
      ASSERT_GT(::send(pair.a.descriptor(), packet.data(), packet.size(), 0), 0);
      (void)pair.b.receive();
    }
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Listener, TakesConnectionsOfItsUser) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() + "/a.sock";
  EXPECT_EQ(connect_to(path).status().code(), Code::kNotFound);
  auto listener = listen_at(path);
  ASSERT_TRUE(listener.ok()) << listener.status().to_string();
  struct stat info = {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto none = accept_from(*listener);
  EXPECT_TRUE(none.ok() && !*none);
  EXPECT_EQ(listen_at(path).status().code(), Code::kAlreadyExists);
  while (true) {  // the attempt to listen has connected, too
    const auto taken = accept_from(*listener);
    ASSERT_TRUE(taken.ok());
    if (!*taken) break;
  }

  auto here = connect_to(path);
  ASSERT_TRUE(here.ok());
  auto there = accept_from(*listener);
  ASSERT_TRUE(there.ok() && *there);
  const auto peer = peer_of((*there)->get());
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->user, ::geteuid());

  listener->reset();
  EXPECT_EQ(connect_to(path).status().code(), Code::kUnavailable);
  EXPECT_TRUE(listen_at(path).ok());  // the file that was left is replaced
  EXPECT_EQ(listen_at(folder->path() + "/" + std::string(200, 'x')).status().code(), Code::kInvalidArgument);
  ASSERT_TRUE(os::write_file_atomic(folder->path() + "/file", "not a socket").ok());
  EXPECT_FALSE(listen_at(folder->path() + "/file").ok());
  EXPECT_TRUE(os::exists(folder->path() + "/file"));
}

}  // namespace
}  // namespace runink::wire
