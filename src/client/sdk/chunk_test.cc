// Chunks over gRPC: the client against three real members over mutual TLS, and a raw stub for what the client never
// sends.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "client/sdk/chunk_value.h"
#include "client/sdk/cluster_test.h"
#include "client/sdk/scripted_server_test.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "runink/barn/v1/key_value.grpc.pb.h"

namespace runink::sdk {
namespace {

constexpr size_t kMebibyte = 1 << 20;

// As large as asked for, and different for each seed.
std::string content(size_t size, uint64_t seed) {
  std::string out(size, '\0');
  uint64_t x = seed * 0x9E3779B97F4A7C15 + 1;
  for (char& c : out) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>(x);
  }
  return out;
}

std::string hash_of(const std::string& bytes) {
  const crypto::Digest256 hash = crypto::sha256(bytes);
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

v1::GetChunkRequest chunk_request(const std::string& bytes) {
  v1::GetChunkRequest out;
  out.set_hash(hash_of(bytes));
  out.set_size(bytes.size());
  return out;
}

v1::PutChunkRequest piece(const std::string& data) {
  v1::PutChunkRequest out;
  out.set_data(data);
  return out;
}
v1::PutChunkRequest first_piece(const std::string& whole, const std::string& data) {
  v1::PutChunkRequest out = piece(data);
  out.set_hash(hash_of(whole));
  out.set_size(whole.size());
  return out;
}

std::string kind_of(const grpc::Status& status) {
  v1::Failure failure;
  return failure.ParseFromString(status.error_details()) ? failure.kind() : "not a member's answer";
}

class Chunks : public testing::Test {
 protected:
  std::unique_ptr<BarnClient> connect() { return connect(cluster_.client()); }
  std::unique_ptr<BarnClient> connect(ClientOptions options) {
    options.timeout_nanos = 30 * kSecond;
    auto client = BarnClient::create(std::move(options));
    EXPECT_TRUE(client.ok()) << client.status().to_string();
    return std::move(*client);
  }
  // Asks this member alone.
  std::unique_ptr<BarnClient> connect_to(raft::NodeId id) {
    ClientOptions options = cluster_.client();
    options.endpoints = {cluster_.address(id)};
    return connect(std::move(options));
  }
  std::unique_ptr<v1::KeyValue::Stub> stub(raft::NodeId id) {
    const ClientOptions options = cluster_.client();
    return v1::KeyValue::NewStub(grpc::CreateChannel(
        cluster_.address(id), rpc::member_credentials({options.trust_domain, options.certificate_pem, options.key_pem,
                                                       options.authorities_pem})));
  }
  // One raw upload to the member.
  struct Upload {
    explicit Upload(v1::KeyValue::Stub& stub) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(25));
      writer = stub.PutChunk(&context, &response);
    }
    bool write(const v1::PutChunkRequest& request) { return writer->Write(request); }
    grpc::Status end() {
      writer->WritesDone();
      return writer->Finish();
    }
    grpc::ClientContext context;
    v1::PutChunkResponse response;
    std::unique_ptr<grpc::ClientWriter<v1::PutChunkRequest>> writer;
  };
  grpc::Status upload(raft::NodeId id, const std::vector<v1::PutChunkRequest>& messages) {
    const auto stub = this->stub(id);
    Upload upload(*stub);
    for (const v1::PutChunkRequest& message : messages) {
      if (!upload.write(message)) break;
    }
    return upload.end();
  }
  uint64_t stored(raft::NodeId id) {
    uint64_t out = 0;
    cluster_.on(id, [&](server::BarnServer& barn) { out = barn.chunks().store().list()->size(); });
    return out;
  }
  server::ChunkStatus status(raft::NodeId id) {
    server::ChunkStatus out;
    cluster_.on(id, [&](server::BarnServer& barn) { out = barn.chunks().status(); });
    return out;
  }
  raft::NodeId follower() {
    const raft::NodeId leader = cluster_.leader();
    return leader == 1 ? 2 : 1;
  }
  void restart_apis() {
    for (raft::NodeId id = 1; id <= 3; ++id) {
      cluster_.stop_api(id);
      cluster_.start_api(id);
    }
  }
  static void expect_bytes(const Result<std::string>& got, const std::string& bytes) {
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_TRUE(*got == bytes) << got->size() << " bytes, not those expected";
  }

  TestCluster cluster_;
};

TEST_F(Chunks, ArePutAtTheLeaderAndGotFromEveryMember) {
  const auto client = connect();
  uint64_t seed = 0;
  for (const size_t size : {size_t{0}, size_t{1}, kMebibyte, kMebibyte + 1, 8 * kMebibyte}) {
    const std::string bytes = content(size, ++seed);
    const auto put = client->put_chunk(bytes);
    ASSERT_TRUE(put.ok()) << put.status().to_string();
    EXPECT_EQ(put->hash(), hash_of(bytes));
    EXPECT_EQ(put->size(), size);
    for (raft::NodeId id = 1; id <= 3; ++id) expect_bytes(connect_to(id)->get_chunk(chunk_request(bytes)), bytes);
  }
  EXPECT_GE(status(cluster_.leader()).puts, 1u);

  // A size that is not the chunk's, and a chunk that nobody has.
  v1::GetChunkRequest wrong = chunk_request(content(kMebibyte, 3));
  wrong.set_size(wrong.size() - 1);
  EXPECT_EQ(client->get_chunk(wrong).status().kind(), "barn.chunk.unknown");
  const auto unknown = client->get_chunk(chunk_request("nobody has this"));
  EXPECT_EQ(unknown.status().code(), Code::kNotFound);
  EXPECT_EQ(unknown.status().kind(), "barn.chunk.unknown");
}

TEST_F(Chunks, AKeyRefersToOneAndSaysSo) {
  const auto client = connect();
  const std::string bytes = content(300'000, 1);
  const auto stored = client->put_chunk(bytes);
  ASSERT_TRUE(stored.ok()) << stored.status().to_string();
  v1::PutRequest put = put_request("large", chunk_value(*stored));
  put.set_chunk(true);
  ASSERT_TRUE(client->put(put).ok());
  v1::TxnRequest txn;
  auto* const then = txn.add_then_ops()->mutable_put();
  then->set_key("large too");
  then->set_value(chunk_value(*stored));
  then->set_chunk(true);
  ASSERT_TRUE(client->txn(txn).ok());
  ASSERT_TRUE(client->put(put_request("small", "value")).ok());

  const auto found = client->range(prefix_request(""));
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  ASSERT_EQ(found->items_size(), 3);
  for (const auto& item : found->items()) EXPECT_EQ(item.chunk(), item.key() != "small") << item.key();
  EXPECT_EQ(chunk_of(found->items(2)).status().code(), Code::kInvalidArgument);
  const auto got = client->get(get_request("large"));
  ASSERT_TRUE(got.ok());
  const auto reference = chunk_of(got->item());
  ASSERT_TRUE(reference.ok()) << reference.status().to_string();
  expect_bytes(client->get_chunk(*reference), bytes);
  // The leader put it itself, so no reference needed it to be put again.
  EXPECT_EQ(status(cluster_.leader()).puts, 1u);

  // What it was is a previous value with the same flag.
  v1::PutRequest over = put_request("large", "small by now");
  over.set_want_previous(true);
  const auto previous = client->put(over);
  ASSERT_TRUE(previous.ok());
  EXPECT_TRUE(previous->ops(0).items(0).chunk());
  EXPECT_FALSE(client->get(get_request("large"))->item().chunk());
}

TEST_F(Chunks, AReferenceToNoneIsRefused) {
  const auto client = connect();
  v1::PutChunkResponse never_put;
  never_put.set_hash(hash_of("never put"));
  never_put.set_size(9);
  v1::PutRequest put = put_request("key", chunk_value(never_put));
  put.set_chunk(true);
  const auto refused = client->put(put);
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(refused.status().kind(), "barn.chunk.unknown");
  put.set_value("no reference at all");
  EXPECT_EQ(client->put(put).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(client->get(get_request("key"))->has_item());
}

TEST_F(Chunks, AMemberThatLostItsFolderGivesThemAllTheSame) {
  const auto client = connect();
  const std::string bytes = content(3 * kMebibyte + 5, 1);
  const auto put = client->put_chunk(bytes);
  ASSERT_TRUE(put.ok()) << put.status().to_string();
  const raft::NodeId member = follower();
  const std::string name = crypto::hex(crypto::sha256(bytes)), folder = cluster_.folder(member) + "/chunks/";
  ASSERT_TRUE(until([&] { return stored(member) == 1; }));  // it is one of the two that need not have it yet
  ASSERT_TRUE(os::remove_tree(folder + name.substr(0, 2)).ok());
  EXPECT_EQ(stored(member), 0u);
  expect_bytes(connect_to(member)->get_chunk(chunk_request(bytes)), bytes);
  EXPECT_EQ(stored(member), 1u);
  EXPECT_EQ(status(member).fetched, 1u);
  // Damaged, by one byte.
  const std::string path = folder + name.substr(0, 2) + "/" + name;
  std::string file = *os::read_file(path);
  file[file.size() / 2] = static_cast<char>(file[file.size() / 2] ^ 1);
  ASSERT_TRUE(os::write_file_atomic(path, file, 0600).ok());
  expect_bytes(connect_to(member)->get_chunk(chunk_request(bytes)), bytes);
  EXPECT_EQ(status(member).repaired, 1u);
}

TEST_F(Chunks, WhatIsNoChunkIsRefusedAndLeavesNothing) {
  const raft::NodeId leader = cluster_.leader();
  const std::string bytes = content(1000, 1), large = content(8 * kMebibyte + 1, 2);
  const auto refused = [&](const std::vector<v1::PutChunkRequest>& messages, const std::string& kind = "") {
    const grpc::Status status = upload(leader, messages);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(kind_of(status), kind) << status.error_message();
  };
  refused({first_piece(large, large.substr(0, kMebibyte))});                      // too large
  refused({first_piece(large.substr(1), large.substr(0, kMebibyte + 1))});        // a piece that is
  refused({first_piece(bytes, bytes + "x")});                                     // more than was said
  refused({first_piece(bytes, bytes.substr(0, 999)), piece("xx")});               // later
  refused({first_piece(bytes, bytes.substr(1) + "x")}, "barn.chunk.wrong_hash");  // other bytes
  refused({first_piece(bytes, bytes.substr(0, 500)), piece("")});                 // pieces without an end
  refused({piece(bytes)});                                                        // no hash
  const auto client = connect();
  EXPECT_EQ(client->put_chunk(large).status().kind(), "barn.not_sent");
  v1::GetChunkRequest no_hash;
  EXPECT_EQ(client->get_chunk(no_hash).status().code(), Code::kInvalidArgument);
  for (raft::NodeId id = 1; id <= 3; ++id) EXPECT_EQ(stored(id), 0u) << id;
  EXPECT_EQ(status(leader).puts, 0u);
}

TEST_F(Chunks, AnUploadThatIsCutLeavesNothing) {
  cluster_.chunk_calls.puts = 1;
  restart_apis();
  const raft::NodeId leader = cluster_.leader();
  const auto stub = this->stub(leader);
  const std::string bytes = content(2 * kMebibyte, 1);
  {
    Upload cancelled(*stub);
    ASSERT_TRUE(cancelled.write(first_piece(bytes, bytes.substr(0, kMebibyte))));
    cancelled.context.TryCancel();
    EXPECT_EQ(cancelled.end().error_code(), grpc::StatusCode::CANCELLED);
  }
  // Its place is free again, which may take the member a moment.
  grpc::Status ended;
  ASSERT_TRUE(until([&] {
    ended = upload(leader, {first_piece(bytes, bytes.substr(0, kMebibyte))});
    return kind_of(ended) != "barn.busy";
  }));
  EXPECT_EQ(ended.error_code(), grpc::StatusCode::CANCELLED) << ended.error_message();
  EXPECT_THAT(ended.error_message(), testing::HasSubstr("ended after 1048576 of 2097152 bytes"));
  for (raft::NodeId id = 1; id <= 3; ++id) EXPECT_EQ(stored(id), 0u) << id;
  EXPECT_TRUE(connect()->put_chunk(bytes).ok());
}

TEST_F(Chunks, SoManyAtOnceAndNoMore) {
  cluster_.chunk_calls.puts = 2;
  restart_apis();
  const raft::NodeId leader = cluster_.leader();
  const auto stub = this->stub(leader);
  const std::string bytes = content(2 * kMebibyte, 1), other = content(100, 2);
  Upload first(*stub), second(*stub);
  ASSERT_TRUE(first.write(first_piece(bytes, bytes.substr(0, kMebibyte))));
  ASSERT_TRUE(second.write(first_piece(bytes, bytes.substr(0, kMebibyte))));
  grpc::Status refused;
  ASSERT_TRUE(until([&] {  // once both have begun there
    refused = upload(leader, {first_piece(other, other)});
    return !refused.ok();
  }));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(kind_of(refused), "barn.busy");
  // The client asks again until there is a place.
  const auto client = connect();
  std::atomic<bool> done{false};
  client->put_chunk(content(200, 3), {}, [&](const Result<v1::PutChunkResponse>& put) {
    EXPECT_TRUE(put.ok()) << put.status().to_string();
    done = true;
  });
  CallOptions soon;
  soon.deadline_nanos = after(300 * kMillisecond);
  const auto late = client->put_chunk(content(200, 4), soon);
  EXPECT_EQ(late.status().code(), Code::kResourceExhausted) << late.status().to_string();
  EXPECT_EQ(late.status().kind(), "barn.busy");
  EXPECT_FALSE(done);
  ASSERT_TRUE(first.write(piece(bytes.substr(kMebibyte))));
  const grpc::Status put = first.end();
  EXPECT_TRUE(put.ok()) << put.error_message();
  EXPECT_EQ(first.response.hash(), hash_of(bytes));
  EXPECT_TRUE(until([&] { return done.load(); }));
  ASSERT_TRUE(second.write(piece(bytes.substr(kMebibyte))));
  EXPECT_TRUE(second.end().ok());
}

TEST_F(Chunks, TwoClientsPutTheSame) {
  const std::vector<std::unique_ptr<BarnClient>> clients = [this] {
    std::vector<std::unique_ptr<BarnClient>> out;
    out.push_back(connect());
    out.push_back(connect());
    return out;
  }();
  const std::string bytes = content(2 * kMebibyte, 1);
  std::atomic<int> stored_ones{0};
  for (int i = 0; i < 6; ++i) {
    clients[static_cast<size_t>(i) % 2]->put_chunk(bytes, {}, [&](const Result<v1::PutChunkResponse>& put) {
      EXPECT_TRUE(put.ok()) << put.status().to_string();
      EXPECT_EQ(put.ok() ? put->hash() : "", hash_of(bytes));
      ++stored_ones;
    });
  }
  EXPECT_TRUE(until([&] { return stored_ones == 6; }));
  EXPECT_EQ(stored(cluster_.leader()), 1u);
  expect_bytes(clients[0]->get_chunk(chunk_request(bytes)), bytes);
}

TEST_F(Chunks, PutsFollowTheLeaderAndAreNeverUnknown) {
  const auto client = connect();
  ASSERT_TRUE(client->put_chunk("first").ok());
  std::atomic<int> ended{0};
  for (uint64_t i = 0; i < 30; ++i) {
    client->put_chunk(content(500'000, i), {}, [&](const Result<v1::PutChunkResponse>& put) {
      EXPECT_TRUE(put.ok()) << put.status().to_string();
      ++ended;
    });
  }
  ASSERT_TRUE(until([&] { return ended >= 3; }));
  cluster_.transfer();
  ASSERT_TRUE(until([&] { return ended >= 12; }));
  const raft::NodeId gone = cluster_.leader();
  cluster_.stop(gone);
  ASSERT_TRUE(until([&] { return ended == 30; }));
  cluster_.start(gone);
  for (uint64_t i = 0; i < 30; ++i) {
    const std::string bytes = content(500'000, i);
    expect_bytes(client->get_chunk(chunk_request(bytes)), bytes);
  }
}

TEST_F(Chunks, WithoutAMajorityThePutSaysWhy) {
  const auto client = connect();
  ASSERT_TRUE(client->put_chunk("first").ok());
  const raft::NodeId leader = cluster_.leader();
  for (raft::NodeId id = 1; id <= 3; ++id) {
    if (id != leader) cluster_.stop(id);
  }
  CallOptions soon;
  soon.deadline_nanos = after(kSecond);
  const auto put = client->put_chunk("second", soon);
  ASSERT_FALSE(put.ok());
  EXPECT_NE(put.status().code(), Code::kUnknown) << put.status().to_string();
  EXPECT_THAT(put.status().kind(), testing::AnyOf("barn.late", "barn.unreachable")) << put.status().to_string();
  // What is here can be got all the same.
  expect_bytes(client->get_chunk(chunk_request("first")), "first");
}

TEST_F(Chunks, ADestroyedClientAnswersWhatIsPending) {
  auto client = connect();
  ASSERT_TRUE(client->put_chunk("first").ok());
  std::atomic<int> ended{0};
  for (uint64_t i = 0; i < 7; ++i) {
    client->put_chunk(content(8 * kMebibyte, i), {}, [&](const Result<v1::PutChunkResponse>& put) {
      EXPECT_EQ(put.status().kind(), put.ok() ? "" : "barn.not_sent") << put.status().to_string();
      ++ended;
    });
  }
  client.reset();
  EXPECT_EQ(ended, 7);
}

// A member that answers as a test says.
class ScriptedMember final : public v1::KeyValue::Service {
 public:
  explicit ScriptedMember(const crypto::CertificateAuthority& authority) {
    server_ = serve_scripted(authority, this, &port_);
  }
  ~ScriptedMember() override {
    wake();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  grpc::Status GetChunk(grpc::ServerContext*, const v1::GetChunkRequest*,
                        grpc::ServerWriter<v1::GetChunkPiece>* writer) override {
    ++calls;
    wait_while_silent();
    for (const std::string& each : gives) {
      v1::GetChunkPiece out;
      out.set_data(each);
      writer->Write(out);
    }
    return ends;
  }
  grpc::Status PutChunk(grpc::ServerContext*, grpc::ServerReader<v1::PutChunkRequest>* reader,
                        v1::PutChunkResponse*) override {
    ++calls;
    wait_while_silent();
    v1::PutChunkRequest request;
    while (reader->Read(&request)) {
    }
    return ends;
  }
  grpc::Status Range(grpc::ServerContext*, const v1::RangeRequest*, v1::RangeResponse*) override {
    wait_while_silent();
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void wake() {
    const std::lock_guard lock(mutex_);
    silent = false;
    changed_.notify_all();
  }

  std::vector<std::string> gives;
  grpc::Status ends;
  std::atomic<bool> silent{false};
  std::atomic<int> calls{0};

 private:
  void wait_while_silent() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !silent; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

class ScriptedChunks : public testing::Test {
 protected:
  ScriptedChunks() {
    options_ = client_options(authority_);
    options_.endpoints = {bad_.address(), good_.address()};
    options_.silence_nanos = 100 * kMillisecond;
    options_.timeout_nanos = 30 * kSecond;
    good_.gives = {bytes_.substr(0, 7), bytes_.substr(7)};
  }
  ~ScriptedChunks() override {
    bad_.wake();
    good_.wake();
  }
  // Which member is tried first is drawn: so often that the bad one is.
  void get_some() {
    const auto client = *BarnClient::create(options_);
    for (int i = 0; bad_.calls < 3 && i < 1000; ++i) {
      const auto got = client->get_chunk(chunk_request(bytes_));
      ASSERT_TRUE(got.ok()) << got.status().to_string();
      EXPECT_EQ(*got, bytes_);
    }
    EXPECT_GE(bad_.calls, 3);
  }

  const std::string bytes_ = "the content of a chunk";
  crypto::CertificateAuthority authority_ = net::make_authority();
  ScriptedMember bad_{authority_}, good_{authority_};
  ClientOptions options_;
};

TEST_F(ScriptedChunks, OtherBytesAreNotBelieved) {
  bad_.gives = {bytes_.substr(1) + "x"};
  get_some();
}
TEST_F(ScriptedChunks, NorFewerBytes) {
  bad_.gives = {bytes_.substr(1)};
  get_some();
}
TEST_F(ScriptedChunks, NorMore) {
  bad_.gives = {bytes_, "more"};
  get_some();
}
TEST_F(ScriptedChunks, AStreamThatBreaksIsBegunAnewElsewhere) {
  bad_.gives = {bytes_.substr(0, 5)};
  bad_.ends = {grpc::StatusCode::UNAVAILABLE, "scripted"};
  get_some();
}
TEST_F(ScriptedChunks, ASilentMemberIsLeft) {
  bad_.silent = true;
  const auto client = *BarnClient::create(options_);
  for (int i = 0; bad_.calls == 0 && i < 1000; ++i) {
    const auto put = client->put_chunk(bytes_);
    ASSERT_TRUE(put.ok()) << put.status().to_string();
  }
  EXPECT_GT(bad_.calls, 0);
  // Both: the deadline says so, and not that anything is unknown.
  good_.silent = true;
  CallOptions soon;
  soon.deadline_nanos = after(400 * kMillisecond);
  const auto put = client->put_chunk(bytes_, soon);
  EXPECT_THAT(put.status().code(), testing::AnyOf(Code::kUnavailable, Code::kDeadlineExceeded));
  EXPECT_THAT(put.status().kind(), testing::AnyOf("barn.unreachable", "barn.late")) << put.status().to_string();
}
TEST_F(ScriptedChunks, WhatWaitsBehindOthersHasItsOwnDeadline) {
  bad_.silent = good_.silent = true;
  options_.silence_nanos = 20 * kSecond;
  const auto client = *BarnClient::create(options_);
  for (int i = 0; i < 4; ++i) client->get_chunk(chunk_request(bytes_), {}, [](const Result<std::string>&) {});
  CallOptions soon;
  soon.deadline_nanos = after(50 * kMillisecond);
  const auto got = client->get_chunk(chunk_request(bytes_), soon);
  EXPECT_EQ(got.status().kind(), "barn.late");
  EXPECT_THAT(got.status().message(), testing::HasSubstr("others before it"));
}

}  // namespace
}  // namespace runink::sdk
