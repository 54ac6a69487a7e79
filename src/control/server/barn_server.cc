#include "control/server/barn_server.h"

#include "control/server/quarantine.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::server {
namespace {

// For the state store: its log and memtables, the tables that they become, and what it writes when it is opened. As much
// for the journal's next segment.
constexpr uint64_t kReserveLow = 64 << 20;
uint64_t reserve_bytes(const BarnOptions& options) { return kReserveLow + 4 * options.write_buffer_bytes; }

std::string journal_folder(const BarnOptions& options) { return options.folder + "/journal"; }

journal::Options journal_options(const BarnOptions& options) {
  journal::Options out;
  if (options.key) out.key = options.key->derive("journal");
  return out;
}

}  // namespace

Status BarnServer::create(const BarnOptions& options, const raft::Membership& founders) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(options.folder, 0700));
  std::unique_ptr<journal::FileDisk> disk = RUNINK_TRY(journal::FileDisk::open_folder(journal_folder(options)));
  return raft::create_member_storage(*disk, options.identity, journal_options(options), founders);
}

Result<std::unique_ptr<BarnServer>> BarnServer::start(net::EventLoop& loop, BarnOptions options,
                                                      std::function<void(const Status&)> on_failure) {
  std::unique_ptr<BarnServer> server(new BarnServer(loop, std::move(options), std::move(on_failure)));
  RUNINK_RETURN_IF_ERROR(server->open());
  return server;
}

Status BarnServer::open() {
  const auto post = [loop = &loop_](std::function<void()> task) { loop->post(std::move(task)); };
  // The journal first: it says whether this is a member's folder at all, and keeps a second server out.
  disk_ = RUNINK_TRY(journal::FileDisk::open_folder(journal_folder(options_)));
  if (!RUNINK_TRY(journal::Journal::exists(*disk_))) {
    return not_found("{} holds no member of a Barn", options_.folder).with_hint("found a cluster, or join one, first");
  }
  // Before the state store is opened, which needs space.
  reserve_ = std::make_unique<DiskReserve>(options_.folder, reserve_bytes(options_), kReserveLow);
  (void)RUNINK_TRY(set_aside_if_marked(options_.folder, *disk_, options_.identity, journal_options(options_)));
  KeeperOptions keeper;
  keeper.root = options_.folder + "/state";
  if (options_.key) keeper.key = options_.key->derive("state");
  keeper.cache_bytes = options_.cache_bytes;
  keeper.write_buffer_bytes = options_.write_buffer_bytes;
  keeper_ = RUNINK_TRY(RocksKeeper::open(std::move(keeper), post));
  replica_ = RUNINK_TRY(barn::Replica::open(keeper_.get(), &system_clock(), options_.replica));

  RUNINK_RETURN_IF_ERROR(keeper_->sync());
  const barn::Position position = replica_->position();
  raft::Recovered recovered;
  std::unique_ptr<raft::JournalStorage> storage = RUNINK_TRY(raft::JournalStorage::open(
      *disk_, options_.identity, journal_options(options_),
      {position.index, position.term, RUNINK_TRY(replica_->membership())}, &recovered, &opened_));

  raft::TlsTransport::Options transport;
  transport.self = options_.identity.node;
  transport.trust_domain = options_.trust_domain;
  transport.listen = options_.listen;
  transport_ = RUNINK_TRY(raft::TlsTransport::create(loop_, options_.context, transport));
  for (const auto& [id, address] : options_.peers) {
    if (id != options_.identity.node) RUNINK_RETURN_IF_ERROR(transport_->add_peer(id, address));
  }
  transport_->set_bulk_source(this);
  keeper_->set_transport(transport_.get());

  storage_ = std::make_unique<raft::StorageThread>(
      std::move(storage), post, [this](std::function<void()> task) { loop_.defer(std::move(task)); });
  storage_->set_room_elsewhere(reserve_->has_room());
  raft::MemberOptions member = options_.member;
  member.core.id = options_.identity.node;
  member.core.incarnation = opened_.incarnation;
  member.core.may_vote = opened_.whole;
  member.core.lost_end = opened_.lost_end;
  member.core.random = crypto::random_u64;
  member_ = std::make_unique<raft::Member>(std::move(member), std::move(recovered), *storage_, *transport_, *replica_);
  replica_->attach(member_.get());
  integrity_ = std::make_unique<Integrity>(loop_, options_.integrity, options_.folder, *keeper_, *replica_, *member_,
                                           *transport_);
  std::optional<crypto::SealingKey> chunk_key;
  if (options_.key) chunk_key = options_.key->derive("chunks");
  ChunkOptions chunks = options_.chunks;
  if (!chunks.has_room) chunks.has_room = [this] { return reserve_->has_room(); };
  chunks_ = RUNINK_TRY(ChunkExchange::open(loop_, std::move(chunks), options_.folder + "/chunks", std::move(chunk_key),
                                           *keeper_, *replica_, *member_, *transport_));

  loop_.add_hook([this, alive = alive_] {
    if (*alive) turn();
  });
  timer_ = loop_.call_after(options_.tick_nanos, [this] { tick(); });
  return {};
}

BarnServer::~BarnServer() {
  *alive_ = false;
  loop_.cancel(timer_);
  chunks_.reset();
  integrity_.reset();
  member_.reset();
  storage_.reset();    // what is under way is written first
  transport_.reset();  // what the keeper's worker still answers then goes nowhere
}

void BarnServer::tick() {
  timer_ = loop_.call_after(options_.tick_nanos, [this] { tick(); });
  if (Status status = keeper_->failure(); !status.ok()) member_->stop(std::move(status));
  reserve_->look();
  storage_->set_room_elsewhere(reserve_->has_room());
  member_->tick();
  replica_->tick();
  integrity_->tick();
  chunks_->tick();
}

void BarnServer::turn() {
  member_->pump();
  if (member_->failed().ok() || failure_told_) return;
  Status why = member_->failed();
  const Status stored = keeper_->failure();
  if (stored.code() == Code::kDataLoss && why.kind() != kQuarantinedKind) {
    const std::optional<Status> settled = integrity_->unreadable(stored);
    if (!settled) return;
    why = *settled;
  }
  failure_told_ = true;
  on_failure_(why);
}

void BarnServer::answer(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer) {
  switch (request.kind) {
    case raft::BulkKind::kIntegrity:
      return answer(encode(integrity_->report(request.index)));
    case raft::BulkKind::kManifest:
    case raft::BulkKind::kChunk:
      // Whoever took over a state in doubt would make a majority of it.
      if (integrity_->in_doubt()) return answer(unavailable("this member's state is in doubt"));
      return keeper_->answer(asker, std::move(request), std::move(answer));
    case raft::BulkKind::kPut:
    case raft::BulkKind::kGet:
      return chunks_->answer(asker, std::move(request), std::move(answer));
    default:
      return answer(unimplemented("bulk of kind {} is not kept here", static_cast<int>(request.kind)));
  }
}

}  // namespace runink::server
