// One member of a cluster's Barn, whole: journal, state, snapshots, transport, Raft and the replica, on one event loop.
//
//   <folder>/journal/   log and hard state (control/journal)
//   <folder>/state/     the applied state and its snapshots (control/barn/rocks)
//   <folder>/chunks/    what is too large for the log (chunk_exchange.h)
//   <folder>/ballast    space that is kept for a full disk (disk_reserve.h)
//   <folder>/state-quarantined/   a state that was given up, for people to look at (quarantine.h)
//
// on_failure with kind "barn.quarantined": what this member holds is wrong or cannot be read, and the others hold it
// (integrity.h). It is to be started again: it then takes all from the others.
//
// Everything is called on the loop's thread. After on_failure has been called it does nothing any more, and the process
// is to end: the next start finds out what the disk holds.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/journal/file_disk.h"
#include "control/raft/driver/storage_thread.h"
#include "control/raft/transport/tls_transport.h"
#include "control/replica/replica.h"
#include "control/server/chunk_exchange.h"
#include "control/server/disk_reserve.h"
#include "control/server/integrity.h"
#include "control/server/rocks_keeper.h"
#include "platform/net/event_loop.h"

namespace runink::server {

struct BarnOptions {
  std::string folder;
  journal::Identity identity;
  std::string trust_domain;
  std::shared_ptr<const net::TlsContext> context;  // TlsContext::mutual of the member's credentials
  std::optional<crypto::SealingKey> key;           // of this member's files; nothing: they are plain
  net::SocketAddress listen;                       // for members
  std::map<raft::NodeId, std::string> peers;
  int64_t tick_nanos = 50'000'000;  // an election time-out is ten to twenty of them
  uint64_t cache_bytes = 128 << 20, write_buffer_bytes = 32 << 20;
  raft::MemberOptions member;  // id, random and what recovery says are set here
  barn::ReplicaOptions replica;
  IntegrityOptions integrity;
  ChunkOptions chunks;
};

class BarnServer : private raft::BulkSource {
 public:
  // A new member's folder. `founders` without voters: it waits to be added. kAlreadyExists: there is a member in it.
  static Status create(const BarnOptions& options, const raft::Membership& founders);
  // Opens the folder and begins to take part. kNotFound: there is no member in it; others name what is wrong with which
  // file.
  static Result<std::unique_ptr<BarnServer>> start(net::EventLoop& loop, BarnOptions options,
                                                   std::function<void(const Status&)> on_failure);
  ~BarnServer();

  barn::Replica& replica() { return *replica_; }
  raft::Member& member() { return *member_; }
  raft::TlsTransport& transport() { return *transport_; }
  const RocksKeeper& keeper() const { return *keeper_; }
  ChunkExchange& chunks() { return *chunks_; }
  const Integrity& integrity() const { return *integrity_; }
  const raft::StorageThread& storage() const { return *storage_; }
  const journal::Recovered& opened() const { return opened_; }  // without its entries
  const BarnOptions& options() const { return options_; }

 private:
  BarnServer(net::EventLoop& loop, BarnOptions options, std::function<void(const Status&)> on_failure)
      : loop_(loop), options_(std::move(options)), on_failure_(std::move(on_failure)) {}
  Status open();
  void tick();
  void turn();
  void answer(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer) override;

  net::EventLoop& loop_;
  BarnOptions options_;
  std::function<void(const Status&)> on_failure_;
  journal::Recovered opened_;
  bool failure_told_ = false;
  net::EventLoop::TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  // In the order in which they are made; they go in the other one.
  std::unique_ptr<DiskReserve> reserve_;
  std::unique_ptr<RocksKeeper> keeper_;
  std::unique_ptr<barn::Replica> replica_;
  std::unique_ptr<journal::FileDisk> disk_;
  std::unique_ptr<raft::TlsTransport> transport_;
  std::unique_ptr<raft::StorageThread> storage_;
  std::unique_ptr<raft::Member> member_;
  std::unique_ptr<Integrity> integrity_;
  std::unique_ptr<ChunkExchange> chunks_;
};

}  // namespace runink::server
