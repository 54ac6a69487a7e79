// What metrics and alarms look at: the parts of one member, read only.
#pragma once

#include <string>

#include "control/raft/driver/member.h"
#include "control/raft/driver/storage_thread.h"
#include "control/raft/transport/tls_transport.h"
#include "control/replica/replica.h"
#include "control/server/chunk_exchange.h"
#include "control/server/integrity.h"
#include "control/server/rocks_keeper.h"

namespace runink::server {

class BarnServer;

// All of it outlives who holds this; used on the loop's thread.
struct BarnView {
  const raft::Member& member;
  const raft::TlsTransport& transport;
  const raft::StorageThread& storage;
  const RocksKeeper& keeper;
  const Integrity& integrity;
  const ChunkExchange& chunks;
  barn::Replica& replica;
  std::string folder;  // where the member keeps its files

  static BarnView of(BarnServer& server);
};

// OK: what is asked of this member's cluster can be answered now: it has not failed, knows a leader, and has applied
// about all that is committed.
Status readiness(const BarnView& barn);

}  // namespace runink::server
