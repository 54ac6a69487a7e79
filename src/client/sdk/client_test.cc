// The client against three real members over mutual TLS.
#include "client/sdk/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>

#include "client/sdk/cluster_test.h"

namespace runink::sdk {
namespace {

using testing::HasSubstr;

std::unique_ptr<BarnClient> connect(const ClientOptions& options) {
  auto client = BarnClient::create(options);
  EXPECT_TRUE(client.ok()) << client.status().to_string();
  return std::move(*client);
}

// Callers that put keys of their own, one after the other, each once.
class Load {
 public:
  Load(BarnClient& client, std::string prefix, int callers) : client_(client), prefix_(std::move(prefix)) {
    for (int i = 0; i < callers; ++i) next(i, 0);
  }
  size_t acknowledged() const { return acknowledged_; }
  void more(size_t count) {
    const size_t goal = acknowledged_ + count;
    EXPECT_TRUE(until([&] { return acknowledged_ >= goal; })) << error();
  }
  void finish() {
    stop_ = true;
    EXPECT_TRUE(until([&] { return open_ == 0; }));
  }
  // Every acknowledged write is there, and none was carried out twice.
  void check() {
    const auto found = client_.range(prefix_request(prefix_));
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    std::set<std::string> there;
    for (const auto& item : found->items()) {
      EXPECT_EQ(item.version(), 1u) << item.key();
      there.insert(item.key());
    }
    for (const std::string& key : keys_) EXPECT_TRUE(there.contains(key)) << key;
    EXPECT_LE(there.size(), keys_.size() + unknown_);
  }
  size_t unknown() const { return unknown_; }
  std::string error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  void next(int caller, int n) {
    if (stop_) return;
    ++open_;
    const std::string key = prefix_ + std::to_string(caller) + "/" + std::to_string(n);
    CallOptions options;
    options.deadline_nanos = after(25 * kSecond);
    client_.put(put_request(key, "x"), options, [this, caller, n, key](const Result<v1::WriteResponse>& result) {
      {
        const std::lock_guard lock(mutex_);
        if (result.ok()) {
          keys_.insert(key);
          ++acknowledged_;
        } else {
          error_ = result.status().to_string();
          if (result.status().kind() == "barn.unknown") ++unknown_;
        }
      }
      next(caller, n + 1);
      --open_;
    });
  }
  BarnClient& client_;
  const std::string prefix_;
  std::mutex mutex_;
  std::set<std::string> keys_;
  std::string error_;
  std::atomic<size_t> acknowledged_{0}, unknown_{0}, open_{0};
  std::atomic<bool> stop_{false};
};

class ClientTest : public testing::Test {
 protected:
  TestCluster cluster_;
};

TEST_F(ClientTest, PutsGetsRangesTransactionsAndErrorsAsTheyWereMeant) {
  auto client = connect(cluster_.client());
  const auto written = client->put(put_request("a", "1"));
  ASSERT_TRUE(written.ok()) << written.status().to_string();
  EXPECT_GT(written->index(), 0u);
  EXPECT_EQ(client->get(get_request("a"))->item().value(), "1");
  EXPECT_FALSE(client->get(get_request("b"))->has_item());

  v1::TxnRequest txn;
  auto* const compare = txn.add_compares();
  compare->set_target(v1::Compare::VALUE);
  compare->set_key("a");
  compare->set_value("1");
  *txn.add_then_ops()->mutable_put()->mutable_key() = "a";
  EXPECT_TRUE(client->txn(txn)->succeeded());
  EXPECT_FALSE(client->txn(txn)->succeeded());
  ASSERT_TRUE(client->put(put_request("b", "2")).ok());
  EXPECT_EQ(client->range(prefix_request(""))->items_size(), 2);
  v1::DeleteRequest remove;
  remove.set_key("a");
  remove.set_want_previous(true);
  EXPECT_EQ(client->remove(remove)->ops(0).deleted(), 1u);
  v1::DeleteRangeRequest all;
  all.set_from("b");
  EXPECT_EQ(client->remove_range(all)->ops(0).deleted(), 1u);

  const Status empty = client->put(put_request("", "x")).status();
  EXPECT_EQ(empty.code(), Code::kInvalidArgument);
  EXPECT_THAT(empty.to_string(), HasSubstr("key"));
  const Status large = client->put(put_request("a", std::string(300 << 10, 'x'))).status();
  EXPECT_EQ(large.kind(), "barn.request_too_large");
  EXPECT_THAT(large.hint(), HasSubstr("chunks"));
  const Status larger = client->put(put_request("a", std::string(3 << 20, 'x'))).status();
  EXPECT_EQ(larger.kind(), "barn.not_sent");
  // Serializable, by whichever member; all have it at some time.
  ASSERT_TRUE(client->put(put_request("c", "3")).ok());
  EXPECT_TRUE(until([&] { return client->get(get_request("c", true))->has_item(); }));

  // Blocking its own thread is refused.
  std::promise<Status> inside;
  client->get(get_request("c"), {},
              [&](const Result<v1::GetResponse>&) { inside.set_value(client->get(get_request("c")).status()); });
  EXPECT_EQ(inside.get_future().get().code(), Code::kFailedPrecondition);

  // Sessions are not left behind.
  EXPECT_EQ(client->counters().sessions, 1u);
  client.reset();
  cluster_.on(cluster_.leader(),
              [](server::BarnServer& barn) { EXPECT_TRUE(barn.replica().machine().sessions().empty()); });
}

class Both : public ClientTest, public testing::WithParamInterface<bool> {};

TEST_P(Both, EveryAcknowledgedWriteIsThereOnceWhateverHappensToTheLeader) {
  ClientOptions options = cluster_.client();
  options.pack = GetParam();
  options.silence_nanos = kSecond;
  auto client = connect(options);
  Load load(*client, "load/", 400);
  load.more(2000);
  cluster_.transfer();
  load.more(2000);
  // The stream breaks, and the member goes on.
  raft::NodeId leader = cluster_.leader();
  cluster_.stop_api(leader);
  cluster_.start_api(leader);
  load.more(2000);
  leader = cluster_.leader();
  cluster_.stop(leader);
  load.more(2000);
  cluster_.start(leader);
  load.more(2000);
  load.finish();
  EXPECT_EQ(load.unknown(), 0u) << load.error();
  load.check();
  EXPECT_GE(client->counters().repeated, 1u);
  EXPECT_GE(client->counters().sessions, 2u);  // 400 at a time are more than one session takes
}
INSTANTIATE_TEST_SUITE_P(Pack, Both, testing::Bool(), [](const auto& it) { return it.param ? "Stream" : "Unary"; });

TEST_F(ClientTest, AMemberThatIsSilentIsLeft) {
  ClientOptions options = cluster_.client();
  options.silence_nanos = 200 * kMillisecond;
  auto client = connect(options);
  ASSERT_TRUE(client->put(put_request("before", "1")).ok());
  // The leader's loop stands still: its connections stay.
  const raft::NodeId leader = cluster_.leader();
  std::promise<void> go_on;
  cluster_.loop(leader).post([&] { go_on.get_future().wait(); });
  const auto put = client->put(put_request("after", "2"), {after(25 * kSecond)});
  EXPECT_TRUE(put.ok()) << put.status().to_string();
  go_on.set_value();
  EXPECT_EQ(client->get(get_request("after"))->item().version(), 1u);
}

TEST_F(ClientTest, AWriteWithoutAnAnswerAtItsDeadlineIsUnknownAndOneThatWasNotSentIsNot) {
  auto client = connect(cluster_.client());
  ASSERT_TRUE(client->put(put_request("a", "1")).ok());
  // Without the others the leader can decide nothing.
  const raft::NodeId leader = cluster_.leader();
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) {
    if (id != leader) cluster_.stop(id);
  }
  const Status sent = client->put(put_request("a", "2"), {after(300 * kMillisecond)}).status();
  EXPECT_EQ(sent.code(), Code::kUnknown) << sent.to_string();
  EXPECT_EQ(sent.kind(), "barn.unknown");
  // It steps down. What comes then finds nobody who leads, and is not sent.
  ASSERT_TRUE(until([&] { return !cluster_.leads(leader); }));
  ASSERT_TRUE(until([&] {
    return client->put(put_request("b", "1"), {after(200 * kMillisecond)}).status().kind() == "barn.unreachable";
  }));
  const Status read = client->get(get_request("a"), {after(200 * kMillisecond)}).status();
  EXPECT_EQ(read.kind(), "barn.unreachable");
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) EXPECT_THAT(read.to_string(), HasSubstr(cluster_.address(id)));
  // Any member answers this.
  const auto old = client->get(get_request("a", true));
  ASSERT_TRUE(old.ok()) << old.status().to_string();
  EXPECT_EQ(old->item().value(), "1");
}

TEST_F(ClientTest, SessionsThatTheClusterEndedAreReplaced) {
  auto client = connect(cluster_.client());
  ASSERT_TRUE(client->put(put_request("a", "1")).ok());
  std::vector<barn::SessionId> sessions;
  cluster_.on(cluster_.leader(), [&](server::BarnServer& barn) {
    for (const auto& [id, session] : barn.replica().machine().sessions()) sessions.push_back(id);
  });
  ASSERT_EQ(sessions.size(), 1u);
  barn::Command close;
  close.body = barn::SessionClose{sessions[0]};
  ASSERT_TRUE(cluster_.execute(close).ok());
  std::atomic<int> ok{0}, over{0};
  for (int i = 0; i < 300; ++i) {
    client->put(put_request("s/" + std::to_string(i), "1"), {}, [&](const Result<v1::WriteResponse>& result) {
      if (result.ok()) ++ok;
      ++over;
    });
  }
  ASSERT_TRUE(until([&] { return over == 300; }));
  EXPECT_EQ(ok, 300);
  const auto found = client->range(prefix_request("s/"));
  ASSERT_TRUE(found.ok()) << found.status().to_string();
  EXPECT_EQ(found->items_size(), 300);
  for (const auto& item : found->items()) EXPECT_EQ(item.version(), 1u);
}

TEST_F(ClientTest, WhoIsNotOfTheClusterIsRefusedByName) {
  const crypto::CertificateAuthority other = net::make_authority("other-cluster.runink");
  ClientOptions options = cluster_.client();
  const ClientOptions foreign = client_options(other);
  options.certificate_pem = foreign.certificate_pem;
  options.key_pem = foreign.key_pem;
  const Status status = connect(options)->put(put_request("a", "1"), {after(kSecond)}).status();
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.to_string();
  EXPECT_EQ(status.kind(), "barn.unreachable");
  EXPECT_THAT(status.to_string(), HasSubstr(cluster_.address(1)));
  EXPECT_THAT(status.hint(), HasSubstr("certificate"));
  // And the other way: members that are not those of this client's cluster.
  options = cluster_.client();
  options.authorities_pem = foreign.authorities_pem;
  EXPECT_EQ(connect(options)->put(put_request("a", "1"), {after(kSecond)}).status().kind(), "barn.unreachable");
  options.endpoints = {"nonsense"};
  EXPECT_EQ(BarnClient::create(options).status().code(), Code::kInvalidArgument);
}

TEST_F(ClientTest, TheEndAnswersWhatIsPendingAndThenNothing) {
  std::atomic<int> unknown{0}, not_sent{0}, ok{0}, other{0}, after_end{0};
  std::atomic<bool> ended{false};
  auto client = connect(cluster_.client());
  ASSERT_TRUE(client->put(put_request("a", "1")).ok());
  for (raft::NodeId id = 1, leader = cluster_.leader(); id <= cluster_.size(); ++id) {
    if (id != leader) cluster_.stop(id);
  }
  std::unique_ptr<Watch> watch =
      client->watch(v1::WatchRequest(), {{}, [](const v1::WatchResponse&) {}, [&](const Status&) { ++other; }});
  BarnClient* const raw = client.get();
  for (int i = 0; i < 1000; ++i) {
    client->put(put_request("b", "2"), {}, [&, raw, chained = i % 10 == 0](const Result<v1::WriteResponse>& result) {
      if (ended) ++after_end;
      const Status status = result.ok() ? Status() : result.status();
      ++(status.ok()                        ? ok
         : status.kind() == "barn.unknown"  ? unknown
         : status.kind() == "barn.not_sent" ? not_sent
                                            : other);
      // What is asked for now is refused at once.
      if (chained)
        raw->get(get_request("a"), {}, [&](const Result<v1::GetResponse>& got) {
          if (got.ok() || got.status().kind() != "barn.not_sent") ++other;
        });
    });
  }
  client.reset();
  ended = true;
  EXPECT_EQ(ok + unknown + not_sent, 1000);
  EXPECT_EQ(other, 0);
  EXPECT_EQ(after_end, 0);
}

TEST_F(ClientTest, ItsBoundsAreKept) {
  ClientOptions options = cluster_.client();
  options.operations_max = 10;
  for (raft::NodeId id = 1; id <= cluster_.size(); ++id) cluster_.stop_api(id);
  auto client = connect(options);
  std::atomic<int> over{0};
  for (int i = 0; i < 10; ++i)
    client->get(get_request("a"), {after(25 * kSecond)}, [&](const Result<v1::GetResponse>&) { ++over; });
  const Status refused = client->get(get_request("a")).status();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.kind(), "barn.not_sent");
  EXPECT_EQ(client->get(get_request("a"), {after(20 * kMillisecond), true}).status().kind(), "barn.not_sent");
  EXPECT_EQ(over, 0);
  std::thread back([&] {
    for (raft::NodeId id = 1; id <= cluster_.size(); ++id) cluster_.start_api(id);
  });
  const auto waited = client->get(get_request("a"), {after(25 * kSecond), true});
  EXPECT_TRUE(waited.ok()) << waited.status().to_string();
  back.join();
}

TEST(ClientAlone, NamesEachEndpointThatCannotBeReached) {
  rpc::prepare_grpc();
  ClientOptions options = client_options(net::make_authority());
  options.endpoints = {"127.0.0.1:1", "localhost:2"};
  const Status status = connect(options)->put(put_request("a", "1"), {after(500 * kMillisecond)}).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.kind(), "barn.unreachable");
  EXPECT_THAT(status.to_string(),
              testing::AllOf(HasSubstr("127.0.0.1:1: "), HasSubstr("localhost:2: "), HasSubstr("not carried out")));
}

}  // namespace
}  // namespace runink::sdk
