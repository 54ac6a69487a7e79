#include "control/server/chunk_exchange.h"

#include <algorithm>
#include <iterator>

#include "control/barn/command.h"

namespace runink::server {
namespace {

constexpr size_t kPiece = raft::kMaxChunkBytes;
constexpr size_t kFetchesAtOnce = 64, kRepairsAtOnce = 2;
constexpr int64_t kRepairPauseNanos = 1'000'000'000;  // after one that failed
constexpr int64_t kGatheringNanos = 60'000'000'000;   // a peer that does not go on
constexpr std::string_view kKeptAlready = "kept";     // an answer to the first piece: spare the rest

static_assert(api::kChunkBytesMax == barn::kChunkBytes);

using barn::ChunkHash;
using barn::ChunkReference;

Status no_space() {
  return resource_exhausted("this member's disk is full, and no chunk is stored")
      .with_kind("barn.no_space")
      .with_hint("make space on it; chunks are stored again by themselves then");
}

std::optional<ChunkHash> hash_of_name(std::string_view name) {
  ChunkHash hash;
  if (name.size() != 2 * hash.size()) return std::nullopt;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    hash[i / 2] = static_cast<uint8_t>(i % 2 == 0 ? digit << 4 : hash[i / 2] | digit);
  }
  return hash;
}

// What the entries behind `applied` will refer to.
std::set<ChunkReference> references_to_come(const raft::Raft& raft) {
  std::set<ChunkReference> out;
  for (raft::Index i = std::max(raft.applied() + 1, raft.log().first()); i <= raft.log().last(); ++i) {
    const raft::Entry& entry = raft.log().at(i);
    if (entry.kind != raft::EntryKind::kCommand || !entry.data) continue;
    const Result<barn::Command> command = barn::decode_command(*entry.data);
    if (!command.ok()) continue;  // applying it will say so
    for (const ChunkReference& reference : chunk_references(*command)) out.insert(reference);
  }
  return out;
}

}  // namespace

struct ChunkExchange::Put {
  Put(std::string content, std::shared_ptr<uint64_t> counter)
      : bytes(std::make_shared<const std::string>(std::move(content))), under_way(std::move(counter)) {
    *under_way += bytes->size();
  }
  ~Put() { *under_way -= bytes->size(); }
  Put(const Put&) = delete;
  Put& operator=(const Put&) = delete;

  const std::shared_ptr<const std::string> bytes;
  const std::shared_ptr<uint64_t> under_way;
  ChunkReference reference;
  std::function<void(Result<ChunkReference>)> done;
  int64_t deadline = 0;
  std::set<raft::NodeId> confirmed;
  bool over = false;  // answered; peers that answer promptly are still sent it
};

struct ChunkExchange::Sender {
  std::deque<std::shared_ptr<Put>> queue;
  bool busy = false;
  int64_t not_before = 0;
};

struct ChunkExchange::Gathering {
  ChunkHash hash{};
  uint64_t size = 0;
  std::string bytes;
  int64_t last_nanos = 0;
};

// Peers are asked one after the other; those that could not be asked, once more in the next round. A peer that says
// that it does not have the chunk is not asked again.
struct ChunkExchange::Fetch {
  struct Waiter {
    int64_t until;  // 0: the end of this round
    std::function<void(Result<std::string>)> done;
  };
  ChunkReference reference;
  bool damaged = false;  // the own one is
  std::vector<Waiter> waiters;
  std::deque<raft::NodeId> peers;     // of this round that were not asked yet; the first one is being asked
  std::set<raft::NodeId> without;     // that have answered, and do not have it whole
  std::optional<int64_t> next_round;  // between two of them
  std::string bytes;
  Status last;  // why a peer could not be asked; OK: all have answered
};

ChunkExchange::ChunkExchange(net::EventLoop& loop, ChunkOptions options, RocksKeeper& keeper, barn::Replica& replica,
                             raft::Member& member, raft::Transport& transport)
    : loop_(loop),
      options_(options),
      keeper_(keeper),
      replica_(replica),
      member_(member),
      transport_(transport),
      started_nanos_(system_clock().steady_nanos()),
      generation_(replica.state_generation()) {
  swept_nanos_ = started_nanos_ - options_.sweep_nanos + options_.sweep_first_nanos;
}

Result<std::unique_ptr<ChunkExchange>> ChunkExchange::open(net::EventLoop& loop, ChunkOptions options,
                                                           const std::string& folder,
                                                           std::optional<crypto::SealingKey> key, RocksKeeper& keeper,
                                                           barn::Replica& replica, raft::Member& member,
                                                           raft::Transport& transport) {
  std::unique_ptr<ChunkExchange> chunks(new ChunkExchange(loop, options, keeper, replica, member, transport));
  chunks->store_ = RUNINK_TRY(barn::ChunkStore::open(folder, std::move(key)));
  ChunkExchange* const self = chunks.get();
  keeper.before_release([self, alive = chunks->alive_] {
    if (*alive) self->sweep_.reset();
  });
  replica.set_chunk_check(
      [self, alive = chunks->alive_](std::vector<ChunkReference> references, std::function<void(Status)> ready) {
        if (*alive) self->place(std::move(references), std::move(ready));
      });
  replica.on_chunks([self, alive = chunks->alive_](const std::vector<std::string>& references) {
    if (*alive) self->applied(references);
  });
  return chunks;
}

ChunkExchange::~ChunkExchange() {
  *alive_ = false;
  sweep_.reset();
}

template <typename Work, typename Then>
void ChunkExchange::on_worker(Work work, Then then) {
  worker_.submit([alive = alive_, loop = &loop_, work = std::move(work), then = std::move(then)] {
    auto result = std::make_shared<decltype(work())>(work());
    loop->post([alive, result, then] {
      if (*alive) then(std::move(*result));
    });
  });
}

// ---- pins

void ChunkExchange::pin(const ChunkHash& hash) { pins_.emplace_back(loop_.now(), hash); }

void ChunkExchange::unpin_old() {
  while (!pins_.empty() && loop_.now() - pins_.front().first >= options_.pin_nanos) {
    store_->unpin(pins_.front().second);
    pins_.pop_front();
  }
}

// ---- putting

void ChunkExchange::put(std::string bytes, std::function<void(Result<ChunkReference>)> done) {
  ++status_.puts;
  Status refused;
  if (bytes.size() > barn::kChunkBytes) {
    refused = invalid_argument("a chunk of {} bytes; {} are the most", bytes.size(), barn::kChunkBytes);
  } else if (*bytes_under_way_ + bytes.size() > options_.bytes_under_way) {
    refused = resource_exhausted("{} bytes of chunks are under way", *bytes_under_way_)
                  .with_kind("barn.busy")
                  .with_hint("try again a little later");
  } else if (!has_room()) {
    refused = no_space();
  }
  if (!refused.ok()) {
    ++status_.puts_failed;
    return loop_.defer([done = std::move(done), refused] { done(refused); });
  }
  auto put = std::make_shared<Put>(std::move(bytes), bytes_under_way_);
  put->done = std::move(done);
  put->deadline = loop_.now() + options_.put_nanos;
  put->reference.size = put->bytes->size();
  puts_.insert(put);
  on_worker([store = store_.get(), bytes = put->bytes] { return store->put(*bytes); },
            [this, put](const Result<ChunkHash>& stored) { stored_here(put, stored); });
}

void ChunkExchange::stored_here(const std::shared_ptr<Put>& put, const Result<ChunkHash>& stored) {
  if (stored.ok()) pin(*stored);
  if (put->over) return;
  if (!stored.ok()) return finish(put, stored.status());
  put->reference.hash = *stored;
  const raft::NodeId self = member_.raft().id();
  for (const raft::NodeId id : member_.raft().membership().voters) {
    if (id == self) continue;
    senders_[id].queue.push_back(put);
    send_next(id);
  }
  confirm(put, self);
}

void ChunkExchange::send_next(raft::NodeId id) {
  Sender& sender = senders_[id];
  if (!member_.raft().membership().has(id)) sender.queue.clear();
  while (!sender.queue.empty() && sender.queue.front()->deadline <= loop_.now()) sender.queue.pop_front();
  if (sender.busy || sender.queue.empty() || loop_.now() < sender.not_before) return;
  sender.busy = true;
  sent(id, sender.queue.front(), 0, std::string());
}

// Sends the piece at `offset`; before it, `answer` said what became of the one before.
void ChunkExchange::sent(raft::NodeId id, const std::shared_ptr<Put>& put, uint64_t offset,
                         const Result<std::string>& answer) {
  Sender& sender = senders_[id];
  const std::string& bytes = *put->bytes;
  const bool whole = answer.ok() && (*answer == kKeptAlready || (offset > 0 && offset >= bytes.size()));
  if (!answer.ok() || whole) {
    sender.busy = false;
    if (whole) confirm(put, id);
    // One that does not answer holds nobody up: it will fetch what it lacks.
    if (whole || put->over) {
      std::erase(sender.queue, put);
    } else {
      sender.not_before = loop_.now() + options_.retry_nanos;
    }
    return send_next(id);
  }
  raft::BulkRequest request;
  request.kind = raft::BulkKind::kPut;
  request.name = crypto::hex(put->reference.hash);
  request.index = bytes.size();
  request.offset = offset;
  request.body = bytes.substr(offset, kPiece);
  const uint64_t next = offset + std::max<uint64_t>(request.body.size(), 1);  // also of an empty chunk
  transport_.fetch(id, std::move(request), [this, alive = alive_, id, put, next](const Result<std::string>& said) {
    if (*alive) sent(id, put, next, said);
  });
}

void ChunkExchange::confirm(const std::shared_ptr<Put>& put, raft::NodeId id) {
  if (put->over) return;
  put->confirmed.insert(id);
  const raft::Membership& membership = member_.raft().membership();
  const auto has = std::count_if(put->confirmed.begin(), put->confirmed.end(),
                                 [&](raft::NodeId node) { return membership.votes(node); });
  if (static_cast<size_t>(has) >= membership.quorum()) finish(put, Status());
}

void ChunkExchange::finish(const std::shared_ptr<Put>& put, Status status) {
  if (put->over) return;
  put->over = true;
  puts_.erase(put);
  if (status.ok()) {
    placed_[put->reference] = loop_.now();
    return put->done(put->reference);
  }
  ++status_.puts_failed;
  put->done(std::move(status));
}

// What this member did not put itself of late is put once more: that pins it on a majority.
void ChunkExchange::place(std::vector<ChunkReference> references, std::function<void(Status)> ready) {
  std::erase_if(placed_, [&](const auto& placed) { return loop_.now() - placed.second >= options_.pin_nanos / 2; });
  while (!references.empty() && placed_.contains(references.back())) references.pop_back();
  if (references.empty()) return ready(Status());
  const ChunkReference reference = references.back();
  get_within(options_.place_nanos, reference,
             [this, reference, references = std::move(references),
              ready = std::move(ready)](Result<std::string> bytes) mutable {
               if (bytes.status().code() == Code::kNotFound || (bytes.ok() && bytes->size() != reference.size)) {
                 return ready(failed_precondition("there is no chunk {} of {} bytes", crypto::hex(reference.hash),
                                                  reference.size)
                                  .with_kind("barn.chunk.unknown")
                                  .with_hint("put the chunk before the key that refers to it"));
               }
               if (!bytes.ok()) return ready(std::move(bytes).status());
               put(std::move(*bytes), [this, references, ready](const Result<ChunkReference>& put) mutable {
                 if (!put.ok()) return ready(put.status().with_context("place a chunk that is referred to"));
                 references.pop_back();
                 place(std::move(references), std::move(ready));
               });
             });
}

// ---- the other side of it

void ChunkExchange::answer(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer) {
  if (request.kind == raft::BulkKind::kPut) return take_piece(asker, std::move(request), std::move(answer));
  give_piece(std::move(request), std::move(answer));
}

void ChunkExchange::take_piece(raft::NodeId asker, raft::BulkRequest request, raft::BulkAnswer answer) {
  const std::optional<ChunkHash> hash = hash_of_name(request.name);
  const uint64_t size = request.index;
  if (!hash || size > barn::kChunkBytes || (request.body.empty() && size != 0))
    return answer(invalid_argument("a piece of no chunk"));
  if (!has_room()) {
    gathering_.erase(asker);
    return answer(no_space());
  }
  if (request.offset == 0) gathering_[asker] = {*hash, size, {}, 0};
  const auto found = gathering_.find(asker);
  if (found == gathering_.end() || found->second.hash != *hash || found->second.size != size ||
      found->second.bytes.size() != request.offset || request.body.size() > size - request.offset) {
    gathering_.erase(asker);
    return answer(invalid_argument("pieces of a chunk that do not follow each other"));
  }
  Gathering& gathering = found->second;
  gathering.bytes += request.body;
  gathering.last_nanos = loop_.now();
  if (gathering.bytes.size() == size) {
    auto bytes = std::make_shared<const std::string>(std::move(gathering.bytes));
    gathering_.erase(found);
    return keep(std::move(bytes), *hash, std::move(answer));
  }
  if (request.offset != 0) return answer(std::string());
  // It may be here already.
  on_worker(
      [store = store_.get(), hash = *hash, answer = std::move(answer)] {
        Result<std::string> there = store->get(hash);
        const bool kept = there.ok() && store->put(*there).ok();
        answer(std::string(kept ? kKeptAlready : ""));
        return kept;
      },
      [this, hash = *hash](bool kept) {
        if (kept) pin(hash);
      });
}

void ChunkExchange::keep(std::shared_ptr<const std::string> bytes, const ChunkHash& hash, raft::BulkAnswer answer) {
  on_worker(
      [store = store_.get(), bytes = std::move(bytes), hash, answer = std::move(answer)] {
        if (crypto::sha256(*bytes) != hash) {
          answer(invalid_argument("a chunk that is not what its name says"));
          return false;
        }
        const Result<ChunkHash> stored = store->put(*bytes);
        answer(stored.ok() ? Result<std::string>(std::string()) : Result<std::string>(stored.status()));
        return stored.ok();
      },
      [this, hash](bool stored) {
        if (!stored) return;
        pin(hash);
        ++status_.taken;
      });
}

void ChunkExchange::give_piece(raft::BulkRequest request, raft::BulkAnswer answer) {
  const std::optional<ChunkHash> hash = hash_of_name(request.name);
  if (!hash) return answer(invalid_argument("a piece of no chunk"));
  worker_.submit([this, hash = *hash, offset = request.offset, size = request.size, answer = std::move(answer)] {
    if (given_ == nullptr || given_hash_ != hash) {
      given_.reset();
      Result<std::string> bytes = store_->get(hash);
      if (!bytes.ok()) return answer(bytes.status());
      given_ = std::make_shared<const std::string>(std::move(*bytes));
      given_hash_ = hash;
    }
    if (offset > given_->size()) return answer(invalid_argument("a piece from behind the chunk's end"));
    Result<std::string> piece = given_->substr(offset, size);
    if (offset + size >= given_->size()) given_.reset();  // that was its end: 8 MiB need not be kept
    answer(std::move(piece));
  });
}

// ---- fetching

void ChunkExchange::get(const ChunkReference& reference, std::function<void(Result<std::string>)> done) {
  get_within(options_.get_nanos, reference, std::move(done));
}

void ChunkExchange::get_within(int64_t patience_nanos, const ChunkReference& reference,
                               std::function<void(Result<std::string>)> done) {
  on_worker([store = store_.get(), reference] { return store->get(reference.hash); },
            [this, reference, patience_nanos, done = std::move(done)](Result<std::string> bytes) {
              if (bytes.ok()) return done(std::move(bytes));
              fetch(reference, bytes.status().code() == Code::kDataLoss, patience_nanos, done);
            });
}

void ChunkExchange::fetch(const ChunkReference& reference, bool damaged, int64_t patience_nanos,
                          std::function<void(Result<std::string>)> done) {
  Fetch::Waiter waiter{patience_nanos == 0 ? 0 : loop_.now() + patience_nanos, std::move(done)};
  if (const auto under_way = fetches_.find(reference); under_way != fetches_.end()) {
    under_way->second->waiters.push_back(std::move(waiter));
    return;
  }
  Status refused;
  if (reference.size > barn::kChunkBytes) refused = not_found("no chunk has {} bytes", reference.size);
  if (fetches_.size() >= kFetchesAtOnce)
    refused = resource_exhausted("too many chunks are being fetched").with_kind("barn.busy");
  if (!refused.ok()) return waiter.done(std::move(refused));
  auto fetch = std::make_shared<Fetch>();
  fetch->reference = reference;
  fetch->damaged = damaged;
  fetch->waiters.push_back(std::move(waiter));
  fetches_[reference] = fetch;
  begin_round(fetch);
}

void ChunkExchange::begin_round(const std::shared_ptr<Fetch>& fetch) {
  fetch->next_round.reset();
  fetch->last = {};
  const raft::Membership& membership = member_.raft().membership();
  for (const auto* nodes : {&membership.voters, &membership.learners}) {
    for (const raft::NodeId id : *nodes) {
      if (id != member_.raft().id() && !fetch->without.contains(id)) fetch->peers.push_back(id);
    }
  }
  fetch->peers.empty() ? end_round(fetch) : fetch_piece(fetch);
}

// All have been tried.
void ChunkExchange::end_round(const std::shared_ptr<Fetch>& fetch) {
  if (fetch->last.ok())
    return fetched(fetch, not_found("no other member has chunk {} whole", crypto::hex(fetch->reference.hash)));
  fetch->next_round = loop_.now() + options_.retry_nanos;
  give_up_waiting(fetch);
}

void ChunkExchange::not_from(const std::shared_ptr<Fetch>& fetch, raft::NodeId peer, Status why) {
  if (why.code() == Code::kNotFound || why.code() == Code::kDataLoss) {
    fetch->without.insert(peer);
  } else {
    fetch->last = std::move(why).with_context(fmt::format("ask node {}", peer));
  }
  fetch->bytes.clear();
  fetch->peers.pop_front();
  fetch->peers.empty() ? end_round(fetch) : fetch_piece(fetch);
}

void ChunkExchange::fetch_piece(const std::shared_ptr<Fetch>& fetch) {
  raft::BulkRequest request;
  request.kind = raft::BulkKind::kGet;
  request.name = crypto::hex(fetch->reference.hash);
  request.offset = fetch->bytes.size();
  request.size = static_cast<uint32_t>(std::min<uint64_t>(kPiece, fetch->reference.size - fetch->bytes.size()));
  const uint32_t size = request.size;
  const raft::NodeId peer = fetch->peers.front();
  const auto peers = transport_.peers();
  const bool known = std::any_of(peers.begin(), peers.end(), [&](const auto& each) { return each.id == peer; });
  const auto said = [this, alive = alive_, fetch, peer, size, known](const Result<std::string>& piece) {
    if (!*alive) return;
    // The transport says kNotFound of whom it does not know, and that is no answer of a peer.
    if (!known) return not_from(fetch, peer, unavailable("its address is not known here yet"));
    if (!piece.ok()) return not_from(fetch, peer, piece.status());
    if (piece->size() != size) return not_from(fetch, peer, not_found("its chunk has another size"));
    fetch->bytes += *piece;
    fetch->bytes.size() < fetch->reference.size ? fetch_piece(fetch) : arrived(fetch, peer);
  };
  transport_.fetch(peer, std::move(request), said);
}

void ChunkExchange::arrived(const std::shared_ptr<Fetch>& fetch, raft::NodeId peer) {
  auto bytes = std::make_shared<const std::string>(std::move(fetch->bytes));
  on_worker(
      [store = store_.get(), bytes, hash = fetch->reference.hash, room = has_room()]() -> Result<std::string> {
        if (crypto::sha256(*bytes) != hash) return unavailable("the chunk arrived damaged");
        // What cannot be kept here (a full disk) can be given all the same.
        return room && store->put(*bytes).ok() ? std::string("stored") : std::string();
      },
      [this, fetch, bytes, peer](const Result<std::string>& stored) {
        if (!stored.ok()) return not_from(fetch, peer, stored.status());
        if (!stored->empty()) {
          pin(fetch->reference.hash);
          ++status_.fetched;
          status_.repaired += fetch->damaged;
          wanted_.erase(fetch->reference);
        }
        fetched(fetch, *bytes);
      });
}

void ChunkExchange::fetched(const std::shared_ptr<Fetch>& fetch, const Result<std::string>& outcome) {
  fetches_.erase(fetch->reference);
  status_.fetches_failed += !outcome.ok();
  for (const auto& waiter : std::exchange(fetch->waiters, {})) waiter.done(outcome);
}

// Those whose time is over, and the fetch with the last of them, unless it is being answered just now.
void ChunkExchange::give_up_waiting(const std::shared_ptr<Fetch>& fetch) {
  const auto over = [&](const Fetch::Waiter& waiter) {
    return waiter.until == 0 ? fetch->next_round.has_value() : waiter.until <= loop_.now();
  };
  const auto first = std::stable_partition(fetch->waiters.begin(), fetch->waiters.end(), std::not_fn(over));
  const std::vector<Fetch::Waiter> ended(std::make_move_iterator(first), std::make_move_iterator(fetch->waiters.end()));
  fetch->waiters.erase(first, fetch->waiters.end());
  if (fetch->waiters.empty() && fetch->next_round) {
    fetches_.erase(fetch->reference);
    ++status_.fetches_failed;
  }
  const Status status = unavailable("chunk {} is not here, and not every other member could be asked for it{}{}",
                                    crypto::hex(fetch->reference.hash), fetch->last.ok() ? "" : ": ",
                                    fetch->last.ok() ? "" : fetch->last.to_string())
                            .with_kind("barn.chunk.unreachable")
                            .with_hint("try again when more members are at work");
  for (const Fetch::Waiter& waiter : ended) waiter.done(status);
}

void ChunkExchange::watch_fetches() {
  const auto fetches = fetches_;
  for (const auto& [reference, fetch] : fetches) {
    give_up_waiting(fetch);
    if (!fetch->waiters.empty() && fetch->next_round && *fetch->next_round <= loop_.now()) begin_round(fetch);
  }
}

// ---- what the state refers to is to be here

void ChunkExchange::applied(const std::vector<std::string>& values) {
  std::vector<ChunkReference> references;
  for (const std::string& value : values) {
    const auto reference = barn::decode_chunk_reference(value);
    if (!reference || reference->size > barn::kChunkBytes) continue;
    references.push_back(*reference);
    if (sweep_ != nullptr) applied_late_.insert(*reference);
  }
  on_worker(
      [store = store_.get(), references = std::move(references)] {
        std::vector<ChunkReference> missing;
        for (const ChunkReference& reference : references) {
          const Result<bool> has = store->has(reference.hash);
          if (has.ok() && !*has) missing.push_back(reference);
        }
        return missing;
      },
      [this](const std::vector<ChunkReference>& missing) {
        for (const ChunkReference& reference : missing) wanted_.insert(reference);
        repair_some();
      });
}

void ChunkExchange::repair_some() {
  if (wanted_.empty() || repairs_ >= kRepairsAtOnce || loop_.now() < repair_not_before_ || !has_room()) return;
  auto at = repair_after_ ? wanted_.upper_bound(*repair_after_) : wanted_.begin();
  if (at == wanted_.end()) at = wanted_.begin();
  const ChunkReference reference = *at;
  repair_after_ = reference;
  if (fetches_.contains(reference)) return;
  ++repairs_;
  // From here, if it has come meanwhile.
  get_within(0, reference, [this, reference](const Result<std::string>& bytes) {
    --repairs_;
    if (bytes.ok()) {
      wanted_.erase(reference);
    } else {
      repair_not_before_ = loop_.now() + kRepairPauseNanos;
    }
  });
}

bool ChunkExchange::may_collect() const {
  const raft::Raft& raft = member_.raft();
  return loop_.now() - started_nanos_ >= options_.pin_nanos && raft.may_vote() && raft.leader() != 0 &&
         raft.applied() > 0 && raft.applied() == raft.commit() && replica_.doubt().ok();
}

void ChunkExchange::begin_sweep() {
  // Pins first, then the view: what was put long enough ago is referred to by now, if it ever will be.
  collects_ = may_collect();
  if (collects_) unpin_old();
  applied_late_.clear();
  sweep_ = std::make_unique<ChunkSweep>(loop_, worker_, *store_, options_.sweep_bytes_per_second,
                                        keeper_.rocks().scan_view(), references_to_come(member_.raft()),
                                        [this](ChunkSweep::Outcome outcome) { swept(std::move(outcome)); });
}

void ChunkExchange::swept(ChunkSweep::Outcome outcome) {
  sweep_.reset();
  swept_nanos_ = loop_.now();
  ++status_.sweeps;
  status_.swept_unix_micros = system_clock().unix_micros();
  status_.sweep_result = outcome.status;
  if (!outcome.status.ok()) return;
  on_worker([store = store_.get()] { return store->recount(); }, [](const Status&) {});
  std::erase_if(wanted_, [&](const ChunkReference& wanted) { return !applied_late_.contains(wanted); });
  wanted_.merge(outcome.wanted);
  repair_some();
  if (!collects_ || !may_collect()) return;
  for (const ChunkReference& reference : applied_late_) outcome.roots.insert(reference.hash);
  on_worker(
      [store = store_.get(), roots = std::make_shared<const std::set<ChunkHash>>(std::move(outcome.roots))] {
        return store->collect([&](const ChunkHash& hash) { return roots->contains(hash); });
      },
      [this](const Result<barn::ChunkStore::Collected>& collected) {
        if (!collected.ok()) {
          status_.sweep_result = collected.status();
          return;
        }
        status_.removed += collected->removed;
        status_.removed_bytes += collected->removed_bytes;
      });
}

void ChunkExchange::tick() {
  const int64_t now = loop_.now();
  const std::set<std::shared_ptr<Put>> puts = puts_;
  for (const auto& put : puts) {
    if (put->deadline > now) continue;
    finish(put, unavailable("the chunk is on {} of {} voters, and not on a majority", put->confirmed.size(),
                            member_.raft().membership().voters.size())
                    .with_kind("barn.chunk.no_majority")
                    .with_hint("put it again when more members are at work"));
  }
  for (auto& [id, sender] : senders_) send_next(id);
  watch_fetches();
  std::erase_if(gathering_, [&](const auto& g) { return now - g.second.last_nanos > kGatheringNanos; });
  if (!member_.failed().ok()) return;
  if (generation_ != replica_.state_generation()) {
    generation_ = replica_.state_generation();
    sweep_soon();  // another state refers to other chunks
  }
  repair_some();
  if (sweep_ == nullptr && (!swept_nanos_ || now - *swept_nanos_ >= options_.sweep_nanos)) begin_sweep();
}

ChunkStatus ChunkExchange::status() const {
  ChunkStatus out = status_;
  out.stored = store_->stored().chunks;
  out.stored_bytes = store_->stored().bytes;
  out.missing = wanted_.size();
  return out;
}

}  // namespace runink::server
