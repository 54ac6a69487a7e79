// How fast the Barn is without any network and RPC: three members in one process (core, driver, journal with syncs,
// RocksDB), each on an event loop and thread of its own, as in its own process; messages are handed over in memory. So
// many callers keep one put of so many bytes outstanding each.
//
//     barn_core_bench [--entries N] [--callers N] [--bytes N] [--folder PATH] [--json]
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <string>
#include <thread>

#include "base/clock.h"
#include "control/journal/file_disk.h"
#include "control/raft/driver/storage_thread.h"
#include "control/replica/replica.h"
#include "control/server/rocks_keeper.h"
#include "platform/crypto/random.h"
#include "platform/net/event_loop.h"
#include "platform/os/temp.h"

namespace {

using namespace runink;

struct Node;
std::map<raft::NodeId, Node*> nodes;

// Delivers in the next turn of the receiver's loop.
class LocalTransport final : public raft::Transport {
 public:
  void set_receiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void set_bulk_source(raft::BulkSource*) override {}
  Status add_peer(raft::NodeId, const std::string&) override { return {}; }
  void remove_peer(raft::NodeId) override {}
  void send(raft::Message message) override;
  void fetch(raft::NodeId, raft::BulkRequest, raft::BulkAnswer answer) override { answer(unavailable("no bulk here")); }
  std::vector<raft::PeerStatus> peers() const override { return {}; }
  raft::TransportReceiver* receiver_ = nullptr;
};

struct Node {
  std::unique_ptr<net::EventLoop> loop;
  std::unique_ptr<journal::FileDisk> disk;
  std::unique_ptr<server::RocksKeeper> keeper;
  std::unique_ptr<barn::Replica> replica;
  std::unique_ptr<LocalTransport> transport;
  std::unique_ptr<raft::StorageThread> storage;
  std::unique_ptr<raft::Member> member;
  std::thread thread;

  void tick() {
    member->tick();
    replica->tick();
    loop->call_after(50'000'000, [this] { tick(); });
  }
};

void LocalTransport::send(raft::Message message) {
  Node* const to = nodes.at(message.to);
  to->loop->post(
      [to, message = std::move(message)]() mutable { to->transport->receiver_->on_message(std::move(message)); });
}

template <typename T>
T must(Result<T> result, const char* what) {
  if (result.ok()) return std::move(*result);
  std::fprintf(stderr, "%s: %s\n", what, result.status().to_string().c_str());
  std::exit(1);
}

double cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t entries = 300'000, callers = 2048, bytes = 256;
  std::string place;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      json = true;
    } else if (i + 1 < argc && word == "--folder") {
      place = argv[++i];
    } else if (i + 1 < argc && word == "--entries") {
      entries = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && word == "--callers") {
      callers = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && word == "--bytes") {
      bytes = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: %s [--entries N] [--callers N] [--bytes N] [--folder PATH] [--json]\n", argv[0]);
      return 2;
    }
  }
  auto folder = must(os::TempFolder::create(place), "make a folder");
  Node three[3];
  const raft::Membership founders{{1, 2, 3}, {}};
  for (raft::NodeId id = 1; id <= 3; ++id) {
    Node& node = three[id - 1];
    node.loop = must(net::EventLoop::create(), "make an event loop");
    const auto post = [loop = node.loop.get()](std::function<void()> task) { loop->post(std::move(task)); };
    const auto defer = [loop = node.loop.get()](std::function<void()> task) { loop->defer(std::move(task)); };
    const std::string own = folder.path() + "/" + std::to_string(id);
    const journal::Identity identity{{1}, id};
    node.disk = must(journal::FileDisk::open_folder(own + ".journal"), "open a folder");
    if (const Status made = raft::create_member_storage(*node.disk, identity, {}, founders); !made.ok()) {
      std::fprintf(stderr, "%s\n", made.to_string().c_str());
      return 1;
    }
    server::KeeperOptions keeper;
    keeper.root = own + ".state";
    node.keeper = must(server::RocksKeeper::open(std::move(keeper), post), "open the state");
    node.replica = must(barn::Replica::open(node.keeper.get(), &system_clock()), "open the replica");
    raft::Recovered recovered;
    journal::Recovered opened;
    auto storage =
        must(raft::JournalStorage::open(*node.disk, identity, {}, {}, &recovered, &opened), "open the journal");
    node.storage = std::make_unique<raft::StorageThread>(std::move(storage), post, defer);
    node.transport = std::make_unique<LocalTransport>();
    raft::MemberOptions options;
    options.core.id = id;
    options.core.random = crypto::random_u64;
    options.core.incarnation = opened.incarnation;
    options.snapshot_entries = 10'000'000;
    node.member = std::make_unique<raft::Member>(std::move(options), std::move(recovered), *node.storage,
                                                 *node.transport, *node.replica);
    node.replica->attach(node.member.get());
    node.loop->add_hook([&node] { node.member->pump(); });
    nodes[id] = &node;
  }
  std::atomic<Node*> leader{nullptr};
  for (Node& node : three) {
    node.tick();
    node.loop->add_hook([&node, &leader] {
      if (node.member->leads() && node.member->raft().commit() > 0) leader = &node;
    });
  }
  for (Node& node : three) node.thread = std::thread([&node] { node.loop->run(); });
  while (leader == nullptr) std::this_thread::yield();

  const std::string value(bytes, 'v');
  uint64_t begun = 0, done = 0, failed = 0;  // of the leader's thread
  std::promise<void> over;
  std::function<void(uint64_t)> put = [&](uint64_t caller) {
    if (begun == entries) return;
    const std::string key = "key-" + std::to_string(begun++ % 100'000);
    barn::Command command;
    command.body = barn::Put{.key = key, .value = value, .lease = {}};
    leader.load()->replica->execute(std::move(command), [&, caller](Result<barn::Answer> answer) {
      failed += !answer.ok();
      if (++done == entries) return over.set_value();
      put(caller);
    });
  };
  const double cpu = cpu_seconds();
  const int64_t begin = system_clock().steady_nanos();
  leader.load()->loop->post([&] {
    for (uint64_t caller = 0; caller < callers; ++caller) put(caller);
  });
  over.get_future().wait();
  const double seconds = static_cast<double>(system_clock().steady_nanos() - begin) * 1e-9;
  const double rate = static_cast<double>(entries) / seconds;
  const double used = cpu_seconds() - cpu;
  for (Node& node : three) node.loop->stop();
  for (Node& node : three) node.thread.join();
  const auto sync = leader.load()->storage->counters();
  if (json) {
    std::printf(
        "{\"bench\":\"barn.core.n3\",\"value\":%.0f,\"unit\":\"entries/"
        "s\",\"goal\":100000,\"cpu_seconds\":%.2f,\"callers\":%llu,\"bytes\":%llu}\n",
        rate, used, (unsigned long long)callers, (unsigned long long)bytes);
  } else {
    std::printf(
        "barn.core.n3  %.0f entries/s, goal 100000; %llu entries of %llu bytes, %llu callers, %.2f s, %.2f CPU s, %llu "
        "failed; %llu syncs of the leader, %.0f us each\n",
        rate, (unsigned long long)entries, (unsigned long long)bytes, (unsigned long long)callers, seconds, used,
        (unsigned long long)failed, (unsigned long long)sync.rounds,
        static_cast<double>(sync.nanos) / 1e3 / static_cast<double>(std::max<uint64_t>(sync.rounds, 1)));
  }
  for (Node& node : three) node.member.reset();
  for (Node& node : three) node.storage.reset();
  return failed == 0 ? 0 : 1;
}
