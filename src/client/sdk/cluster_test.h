// For the client's tests: three real members on loopback, each on a loop and a thread of its own, with their gRPC
// servers.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <map>
#include <memory>
#include <thread>

#include "client/sdk/client.h"
#include "control/api/key_value_service.h"
#include "control/server/barn_server.h"
#include "platform/net/tls_in_test.h"
#include "platform/os/fd.h"
#include "platform/os/temp.h"
#include "platform/rpc/client_credentials.h"

namespace runink::sdk {

inline constexpr int64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;

inline int64_t after(int64_t nanos) { return system_clock().steady_nanos() + nanos; }

// Looks again and again, for half a minute at most.
inline bool until(const std::function<bool()>& so) {
  const int64_t end = after(30 * kSecond);
  while (!so()) {
    if (system_clock().steady_nanos() > end) return false;
    std::promise<void> never;
    never.get_future().wait_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline ClientOptions client_options(const crypto::CertificateAuthority& authority, const std::string& name = "ada") {
  const crypto::Credentials own =
      net::credentials(authority, *crypto::make_identity(authority.trust_domain(), crypto::Role::kUser, name));
  ClientOptions options;
  options.trust_domain = net::kTestDomain;
  options.certificate_pem = own.certificate.to_pem();
  options.key_pem = own.key.to_pem().value();
  options.authorities_pem = authority.certificate().to_pem();
  return options;
}

class TestCluster {
 public:
  explicit TestCluster(size_t members = 3) {
    rpc::prepare_grpc();
    raft::Membership founders;
    for (raft::NodeId id = 1; id <= members; ++id) founders.voters.push_back(id);
    for (raft::NodeId id = 1; id <= members; ++id) {
      Node& node = nodes_[id];
      node.loop = *net::EventLoop::create();
      reserve_port(node);
      RUNINK_CHECK(server::BarnServer::create(options(id), founders).ok());
      // What is done to a member is done between two runs: gRPC's end turns the loop itself, which a task of the loop
      // must not do, as those behind it would wait for it.
      node.thread = std::thread([&node] {
        for (;;) {
          node.loop->run();
          const std::function<void()> task = std::exchange(node.task, nullptr);
          if (!task) return;
          task();
        }
      });
    }
    for (raft::NodeId id = 1; id <= members; ++id) start(id);
  }
  ~TestCluster() {
    for (auto& [id, node] : nodes_) {
      stop(id);
      node.loop->stop();  // without a task: the end
      node.thread.join();
    }
  }

  ClientOptions client() const {
    ClientOptions out = client_options(authority_);
    for (const auto& [id, node] : nodes_) out.endpoints.push_back(address(id));
    return out;
  }
  std::string address(raft::NodeId id) const { return "127.0.0.1:" + std::to_string(nodes_.at(id).port); }

  // On the member's thread.
  void on(raft::NodeId id, const std::function<void(server::BarnServer&)>& task) {
    run(id, [&] { task(*nodes_.at(id).barn); });
  }
  void start(raft::NodeId id) {
    run(id, [&] {
      auto barn = server::BarnServer::start(*nodes_.at(id).loop, options(id), [](const Status&) {});
      RUNINK_CHECK(barn.ok());
      nodes_.at(id).barn = std::move(*barn);
      nodes_.at(id).raft_address = nodes_.at(id).barn->transport().address().text();
    });
    start_api(id);
    for (auto& [a, from] : nodes_) {
      for (auto& [b, to] : nodes_) {
        if (a == b || to.raft_address.empty()) continue;
        run(a, [&] {
          if (from.barn) RUNINK_CHECK(from.barn->transport().add_peer(b, to.raft_address).ok());
        });
      }
    }
  }
  void stop(raft::NodeId id) {
    stop_api(id);
    run(id, [&] { nodes_.at(id).barn.reset(); });
  }
  // The gRPC server only: the member goes on.
  void start_api(raft::NodeId id) {
    run(id, [&] {
      Node& node = nodes_.at(id);
      const crypto::Credentials own = net::credentials(authority_, net::member(id));
      api::ApiOptions api;
      api.listen = "127.0.0.1:" + std::to_string(node.port);
      api.trust_domain = net::kTestDomain;
      api.certificate_pem = own.certificate.to_pem();
      api.key_pem = own.key.to_pem().value();
      api.authorities_pem = authority_.certificate().to_pem();
      api.chunks = &node.barn->chunks();
      api.chunk_calls = chunk_calls;
      auto served = api::KeyValueServer::start(*node.loop, node.barn->replica(), api);
      RUNINK_CHECK(served.ok());
      node.api = std::move(*served);
    });
  }
  void stop_api(raft::NodeId id) {
    run(id, [&] { nodes_.at(id).api.reset(); });
  }
  bool leads(raft::NodeId id) {
    bool leads = false;
    run(id, [&] { leads = nodes_.at(id).barn && nodes_.at(id).barn->member().leads(); });
    return leads;
  }
  // Waits for one.
  raft::NodeId leader() {
    raft::NodeId found = 0;
    RUNINK_CHECK(until([&] {
      for (const auto& [id, node] : nodes_) {
        if (leads(id)) found = id;
      }
      return found != 0;
    }));
    return found;
  }
  void transfer() {
    const raft::NodeId from = leader();
    RUNINK_CHECK(until([&] {
      on(from, [](server::BarnServer& barn) { (void)barn.member().transfer(0); });
      return !leads(from);
    }));
  }
  // Through the log, by whoever leads.
  barn::Answer execute(const barn::Command& command) {
    std::optional<barn::Answer> answer;
    RUNINK_CHECK(until([&] {
      auto got = std::make_shared<std::promise<Result<barn::Answer>>>();
      on(leader(), [&](server::BarnServer& barn) {
        barn.replica().execute(command, [got](Result<barn::Answer> result) { got->set_value(std::move(result)); });
      });
      auto future = got->get_future();
      if (future.wait_for(std::chrono::seconds(5)) != std::future_status::ready) return false;
      Result<barn::Answer> result = future.get();
      if (result.ok()) answer = *result;
      return result.ok();
    }));
    return *answer;
  }
  net::EventLoop& loop(raft::NodeId id) { return *nodes_.at(id).loop; }
  size_t size() const { return nodes_.size(); }
  const crypto::CertificateAuthority& authority() const { return authority_; }

  api::ChunkCallLimits chunk_calls;  // of members whose gRPC server is started from then on
  std::string folder(raft::NodeId id) const { return folder_->path() + "/" + std::to_string(id); }

 private:
  struct Node {
    std::unique_ptr<net::EventLoop> loop;
    std::thread thread;
    std::function<void()> task;  // of the thread
    std::unique_ptr<server::BarnServer> barn;
    std::unique_ptr<api::KeyValueServer> api;
    std::string raft_address;
    os::Fd reserved;
    int port = 0;
  };
  // A port that its gRPC server comes back to. A socket that is bound and does not listen keeps others from being given
  // it, and lets those in that name it (SO_REUSEADDR, socket(7)).
  static void reserve_port(Node& node) {
    node.reserved = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "a reserved port");
    const int on = 1;
    struct sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<struct sockaddr*>(&address);
    RUNINK_CHECK(::setsockopt(node.reserved.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                 ::bind(node.reserved.get(), any, size) == 0 && ::getsockname(node.reserved.get(), any, &size) == 0);
    node.port = ntohs(address.sin_port);
  }
  server::BarnOptions options(raft::NodeId id) {
    server::BarnOptions out;
    out.folder = folder_->path() + "/" + std::to_string(id);
    out.identity.cluster.fill(9);
    out.identity.node = id;
    out.trust_domain = net::kTestDomain;
    out.context = net::context(authority_, id);
    out.listen = net::loopback();
    out.tick_nanos = 20 * kMillisecond;
    out.cache_bytes = out.write_buffer_bytes = 1 << 20;
    return out;
  }
  void run(raft::NodeId id, const std::function<void()>& task) {
    const auto done = std::make_shared<std::promise<void>>();
    Node& node = nodes_.at(id);
    node.loop->post([&task, &node, done] {
      node.task = [&task, done] {
        task();
        done->set_value();
      };
      node.loop->stop();
    });
    done->get_future().wait();
  }

  std::optional<os::TempFolder> folder_ = *os::TempFolder::create("");
  crypto::CertificateAuthority authority_ = net::make_authority();
  std::map<raft::NodeId, Node> nodes_;
};

inline v1::PutRequest put_request(const std::string& key, const std::string& value) {
  v1::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  return request;
}
inline v1::GetRequest get_request(const std::string& key, bool serializable = false) {
  v1::GetRequest request;
  request.set_key(key);
  request.set_serializable(serializable);
  return request;
}
inline v1::RangeRequest prefix_request(const std::string& prefix) {
  v1::RangeRequest request;
  request.set_from(prefix);
  request.set_to(barn::prefix_range(prefix).to);
  request.set_limit(1'000'000);
  return request;
}

}  // namespace runink::sdk
