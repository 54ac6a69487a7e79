#include "control/node/barn_node.h"

#include <set>

#include "base/text.h"
#include "control/raft/core/membership.h"
#include "platform/net/tls_context.h"
#include "platform/os/file.h"
#include "platform/os/shell_words.h"

namespace runink::node {

namespace {

constexpr uint64_t kMostHandOverTicks = 40, kMostSnapshotTicks = 600;
constexpr uint64_t kAskAroundTicks = 60;
constexpr uint64_t kRememberAgainTicks = 200;
constexpr uint64_t kCertificateTicks = 1200;  // how often it is looked at

// Where to listen: the address, at another host where one is given.
Result<net::SocketAddress> listen_at(const std::string& address, const std::string& host) {
  net::HostPort where = RUNINK_TRY(net::parse_host_port(address));
  if (!host.empty()) where.host = host;
  return net::resolve_now(where);
}

std::string listen_text(const std::string& address, const std::string& host) {
  if (host.empty()) return address;
  const bool v6 = host.find(':') != std::string::npos && !host.starts_with("[");
  return fmt::format("{}:{}", v6 ? "[" + host + "]" : host, address.substr(address.rfind(':') + 1));
}

// What to do about a member that does not start, where nobody nearer to the cause has said it.
Status with_help(Status why, raft::NodeId node, const std::string& folder) {
  if (!why.hint().empty()) return why;
  if (why.kind() == "lock.held")
    return std::move(why).with_hint(fmt::format("the member of {} runs already, or a command looks into it", folder));
  if (why.code() != Code::kDataLoss && why.code() != Code::kNotFound) return why;
  return std::move(why).with_hint(fmt::format(
      "replace this member: `runi barn remove {}`, then `runi barn add` and `join` with an empty folder; of a "
      "cluster that has no other member, `runi barn restore` a backup. `runi barn verify {}` says more",
      node, os::quote_word(folder)));
}

std::string all_pem(const std::vector<crypto::Certificate>& certificates) {
  std::string out;
  for (const crypto::Certificate& each : certificates) out += each.to_pem();
  return out;
}

cluster::v1::Addresses to_wire(const MemberAddresses& addresses) {
  cluster::v1::Addresses out;
  out.set_api(addresses.api);
  out.set_members(addresses.members);
  out.set_join(addresses.join);
  out.set_metrics(addresses.metrics);
  return out;
}

std::string_view role_name(const raft::Raft& raft) {
  if (raft.role() == raft::Role::kLeader) return "leader";
  if (raft.role() != raft::Role::kFollower) return "candidate";
  return raft.membership().votes(raft.id()) ? "follower" : "learner";
}

}  // namespace

BarnNode::BarnNode(net::EventLoop& loop, telemetry::Log& log, NodeOptions options, OpenedFolder opened,
                   std::function<void(const Status&)> on_end)
    : loop_(loop),
      log_(log),
      options_(std::move(options)),
      opened_(std::move(opened)),
      on_end_(std::move(on_end)),
      started_micros_(system_clock().unix_micros()) {}

Result<std::unique_ptr<BarnNode>> BarnNode::start(net::EventLoop& loop, telemetry::Log& log, const NodeOptions& options,
                                                  std::function<void(const Status&)> on_end) {
  OpenedFolder opened = RUNINK_TRY(open_member_folder(options.folder, options.key_file));
  std::unique_ptr<BarnNode> node(new BarnNode(loop, log, options, std::move(opened), std::move(on_end)));
  RUNINK_RETURN_IF_ERROR(node->open());
  return node;
}

Status BarnNode::open() {
  RUNINK_RETURN_IF_ERROR(open_barn());
  // One that was away for long may have a certificate that nobody believes any more: at once, and before anybody sees
  // it.
  if (certificate_is_due()) log_renewal(take_new_certificate());
  const auto& at = opened_.config.addresses;
  const std::string& id = opened_.config.cluster_id;
  frontend_ = std::make_unique<cluster::ClusterFrontend>(id, opened_.config.node, barn_->replica(), barn_->member(),
                                                         system_clock());
  reconciler_ = std::make_unique<cluster::ClusterReconciler>(id, opened_.config.node, barn_->replica(), barn_->member(),
                                                             barn_->transport(), system_clock());
  RUNINK_RETURN_IF_ERROR(open_api());
  RUNINK_RETURN_IF_ERROR(open_join());
  RUNINK_RETURN_IF_ERROR(open_metrics());
  timer_ = loop_.call_after(opened_.config.tick_nanos, [this] { tick(); });
  const journal::Recovered& log = barn_->opened();
  log_.info("barn.member.started",
            fmt::format("member {} of cluster {} serves", opened_.config.node, opened_.config.cluster_name),
            {{"node", opened_.config.node},
             {"cluster", opened_.config.cluster_id},
             {"api", at.api},
             {"members", at.members},
             {"join", at.join},
             {"metrics", at.metrics},
             {"applied", barn_->replica().position().index},
             {"incarnation", log.incarnation},
             {"sealed", opened_.key.has_value()},
             {"whole", log.whole}});
  return {};
}

Status BarnNode::open_barn() {
  const MemberConfig& config = opened_.config;
  server::BarnOptions options;
  options.folder = opened_.folder.root;
  options.identity.cluster = config.cluster_bytes();
  options.identity.node = config.node;
  options.trust_domain = config.trust_domain();
  options.context = RUNINK_TRY(net::TlsContext::mutual(opened_.credentials));
  options.key = opened_.key;
  options.listen = RUNINK_TRY_CONTEXT(listen_at(config.addresses.members, config.listen_host), "listen for members");
  for (const auto& [id, peer] : config.peers) options.peers[id] = peer.members;
  options.tick_nanos = config.tick_nanos;
  options.cache_bytes = options_.cache_bytes;
  options.write_buffer_bytes = options_.write_buffer_bytes;
  options.member.snapshot_entries = options_.snapshot_entries;
  options.member.snapshot_bytes = options_.snapshot_bytes;
  options.member.keep_entries = options_.keep_entries;
  options.member.keep_bytes = options_.keep_bytes;
  options.integrity.on_alarm = [this](const Status& status) {
    status.ok() ? log_.info("barn.integrity.cleared", "replicas agree again")
                : log_.error(status.kind().empty() ? "barn.integrity.alarm" : status.kind(), status.to_string());
  };
  auto started = server::BarnServer::start(loop_, std::move(options), [this](const Status& why) { end(why); });
  if (!started.ok()) return with_help(started.status(), config.node, opened_.folder.root);
  barn_ = std::move(*started);
  return {};
}

Status BarnNode::open_api() {
  const auto address = [this](raft::NodeId node) { return reconciler_->api_address(node); };
  directory_ = std::make_unique<DirectoryQuery>(
      loop_,
      rpc::ClientIdentity{opened_.config.trust_domain(), opened_.credentials.certificate.to_pem(),
                          RUNINK_TRY(opened_.credentials.key.to_pem()), all_pem(opened_.credentials.authorities)});
  operator_ = api::OperatorService::create(loop_, opened_.config.trust_domain(), handlers(), address);
  api::ApiOptions options;
  options.listen = listen_text(opened_.config.addresses.api, opened_.config.listen_host);
  options.trust_domain = opened_.config.trust_domain();
  options.certificate_pem = opened_.credentials.certificate.to_pem();
  options.key_pem = RUNINK_TRY(opened_.credentials.key.to_pem());
  options.authorities_pem = all_pem(opened_.credentials.authorities);
  options.api_address = address;
  options.api_addresses = [this] {
    std::vector<std::string> addresses;
    for (const auto& [id, stored] : reconciler_->members()) addresses.push_back(stored.record.addresses().api());
    return addresses;
  };
  options.chunks = &barn_->chunks();
  options.services = {operator_->service()};
  options.on_stop = [service = operator_.get()] { service->end(); };
  api_ = RUNINK_TRY_CONTEXT(api::KeyValueServer::start(loop_, barn_->replica(), options), "serve the API");
  return {};
}

void BarnNode::log_join(const Result<net::JoinGrant>& grant) {
  if (!grant.ok()) return log_.warning("barn.join.refused", grant.status().message());
  cluster::v1::JoinInformation told;
  (void)told.ParseFromString(grant->information);
  log_.info("barn.join.granted", fmt::format("a node was let in as member {}", told.node()), {{"node", told.node()}});
}

Status BarnNode::open_join() {
  const auto context = RUNINK_TRY(net::TlsContext::join_server(opened_.credentials));
  const auto where =
      RUNINK_TRY_CONTEXT(listen_at(opened_.config.addresses.join, opened_.config.listen_host), "listen for new nodes");
  join_ = RUNINK_TRY(net::JoinListener::create(
      loop_, where, context,
      [this](net::JoinRequest request, net::JoinListener::Answer answer) {
        frontend_->admit(std::move(request), [this, answer = std::move(answer)](Result<net::JoinGrant> grant) {
          log_join(grant);
          answer(std::move(grant));
        });
      },
      net::JoinListener::Options()));
  return {};
}

Status BarnNode::open_metrics() {
  const auto where = RUNINK_TRY_CONTEXT(listen_at(opened_.config.addresses.metrics, opened_.config.listen_host),
                                        "listen for scrapers of metrics");
  if (!alarms_) {
    alarms_ =
        std::make_unique<server::AlarmWatch>(loop_, server::BarnView::of(*barn_), &log_, server::AlarmWatch::Options());
  }
  server::MetricsSources sources{server::BarnView::of(*barn_), api_.get(), &alarms_->alarms(), &log_, RUNINK_VERSION};
  metrics_ =
      RUNINK_TRY(server::MetricsListener::create(loop_, where, std::move(sources), server::MetricsListener::Options()));
  return {};
}

BarnNode::~BarnNode() {
  *alive_ = false;
  loop_.cancel(timer_);
  // gRPC first: its calls end with an answer while the loop still turns.
  metrics_.reset();
  alarms_.reset();
  api_.reset();
  operator_.reset();
  directory_.reset();
  join_.reset();
  reconciler_.reset();
  frontend_.reset();
  barn_.reset();
}

void BarnNode::end(const Status& why) {
  if (ended_) return;
  ended_ = true;
  on_end_(why);
}

// ---- what happens by itself

void BarnNode::tick() {
  timer_ = loop_.call_after(opened_.config.tick_nanos, [this] { tick(); });
  ++ticks_;
  if (Status bad = reconciler_->tick(); !bad.ok()) return barn_->member().stop(std::move(bad));
  frontend_->tick();
  note_role();
  ask_around();
  remember_peers();
  found();
  if (ticks_ % kCertificateTicks == 0) renew_certificate();
  if (reconciler_->removed()) {
    end(failed_precondition("member {} was taken out of the cluster", opened_.config.node)
            .with_kind("member.removed")
            .with_hint("its folder is of no more use; to let the machine in again, add a new member"));
  }
  const auto newest = barn_->keeper().newest_snapshot();
  std::erase_if(snapshots_wanted_, [&](SnapshotWanted& wanted) {
    if (newest && newest->index >= wanted.at_least) {
      barn::v1::SnapshotResponse response;
      response.set_index(newest->index);
      wanted.done(std::move(response));
      return true;
    }
    if (--wanted.ticks_left > 0) return false;
    wanted.done(deadline_exceeded("the snapshot is not there yet; it may still come"));
    return true;
  });
  if (handed_over_ && (!barn_->member().leads() || --hand_over_ticks_ == 0)) std::exchange(handed_over_, {})();
}

void BarnNode::note_role() {
  const raft::Raft& raft = barn_->member().raft();
  if (raft.leader() == leader_told_ && raft.term() == term_told_) return;
  leader_told_ = raft.leader();
  term_told_ = raft.term();
  if (raft.leader() == 0) {
    log_.warning("barn.leader.lost", "no leader is known", {{"term", raft.term()}});
  } else if (raft.leader() == opened_.config.node) {
    log_.info("barn.leader.elected", "this member leads", {{"term", raft.term()}});
  } else {
    log_.info("barn.leader.elected", fmt::format("member {} leads", raft.leader()),
              {{"term", raft.term()}, {"leader", raft.leader()}});
  }
}

// Without a leader for long: who leads may be one that joined while this member was away, and this member may have been
// taken out. Others know.
void BarnNode::ask_around() {
  leaderless_ticks_ = barn_->member().raft().leader() == 0 ? leaderless_ticks_ + 1 : 0;
  if (leaderless_ticks_ == 0 || leaderless_ticks_ % kAskAroundTicks != 0) return;
  std::set<std::string> addresses;
  for (const auto& [id, peer] : opened_.config.peers) addresses.insert(peer.api);
  for (const auto& [id, stored] : reconciler_->members()) {
    if (id != opened_.config.node) addresses.insert(stored.record.addresses().api());
  }
  directory_->ask(addresses, [this](const barn::v1::DirectoryResponse& said) { reconciler_->heard(said); });
}

// A member needs the others' addresses before it has any state: that is not synced with each entry, so a power cut may
// take it back to nothing, and entries are applied only once the members have found each other.
void BarnNode::remember_peers() {
  if (reconciler_->members().empty() || ticks_ < remember_at_tick_) return;
  MemberConfig config = opened_.config;
  std::erase_if(config.peers, [&](const auto& peer) { return reconciler_->gone(peer.first); });
  for (const auto& [id, stored] : reconciler_->members()) {
    if (id != config.node) config.peers[id] = {stored.record.addresses().members(), stored.record.addresses().api()};
  }
  if (config == opened_.config) return;
  const Status written = os::write_file_atomic(opened_.folder.config_path(), encode(config), 0600);
  if (written.ok()) {
    opened_.config = std::move(config);
  } else {
    remember_at_tick_ = ticks_ + kRememberAgainTicks;
    log_.warning("barn.peers.not_remembered", written.to_string());
  }
}

// Where the folder still has the authority's key, the cluster's first records have to be written, or were and the
// file is left over.
void BarnNode::found() {
  if (founding_ || is_founded_ || !barn_->member().leads()) return;
  const std::string key_path = opened_.folder.tls() + "/authority_key.pem";
  if (!os::exists(key_path)) {
    is_founded_ = true;
    return;
  }
  const auto authority = crypto::CertificateAuthority::load(opened_.folder.tls());
  if (!authority.ok()) return end(Status(authority.status()).with_context("found the cluster"));
  founding_ = true;
  frontend_->found(opened_.config.cluster_name, to_wire(opened_.config.addresses), *authority,
                   [this, alive = alive_](const Result<bool>& done) {
                     if (!*alive) return;
                     founding_ = false;
                     if (!done.ok()) {
                       log_.warning("barn.cluster.not_founded", done.status().to_string());
                     } else if (*done) {
                       log_.info("barn.cluster.founded",
                                 fmt::format("cluster {} is founded", opened_.config.cluster_name));
                     } else {
                       founded();
                     }
                   });
}

// The Barn has the authority: what is in the folder is one copy too many. Asked for a second time, so that the first
// records are known to be decided, and not only proposed.
void BarnNode::founded() {
  is_founded_ = true;
  const Status removed = os::remove_file(opened_.folder.tls() + "/authority_key.pem");
  if (!removed.ok()) log_.warning("barn.cluster.key_left", removed.to_string());
}

bool BarnNode::certificate_is_due() const {
  const crypto::Certificate& own = opened_.credentials.certificate;
  const int64_t now = system_clock().unix_micros(), from = own.not_before_micros(), to = own.not_after_micros();
  return now >= from + (to - from) / 3 * 2;
}

// Another one, which the transport shows from now on; the other listeners are the caller's.
Status BarnNode::take_new_certificate() {
  const auto authority = RUNINK_TRY(cluster::load_authority(barn_->replica().machine()));
  const auto self = RUNINK_TRY(crypto::barn_identity(opened_.config.trust_domain(), opened_.config.node));
  crypto::Credentials fresh = RUNINK_TRY(crypto::make_credentials(authority, self, system_clock().unix_micros()));
  RUNINK_RETURN_IF_ERROR(crypto::save_credentials(fresh, opened_.folder.tls()));
  opened_.credentials = std::move(fresh);
  barn_->transport().set_context(RUNINK_TRY(net::TlsContext::mutual(opened_.credentials)));
  return {};
}

void BarnNode::log_renewal(const Status& renewed) {
  renewed.ok() ? log_.info("barn.certificate.renewed", "this member has a new certificate")
               : log_.error("barn.certificate.not_renewed", renewed.to_string());
}

void BarnNode::renew_certificate() {
  if (!certificate_is_due()) return;
  const auto renew = [&]() -> Status {
    RUNINK_RETURN_IF_ERROR(take_new_certificate());
    join_->set_context(RUNINK_TRY(net::TlsContext::join_server(opened_.credentials)));
    // gRPC 1.51 takes a certificate with its port: calls end with "unknown" or "try again", and find the new one. The
    // loop turns while they do, so this is not for the middle of a turn.
    loop_.defer([this, alive = alive_] {
      if (!*alive) return;
      metrics_.reset();
      api_.reset();
      operator_.reset();
      Status opened = open_api();
      if (opened.ok()) opened = open_metrics();
      if (!opened.ok()) end(opened);
    });
    return {};
  };
  log_renewal(renew());
}

void BarnNode::hand_over(std::function<void()> done) {
  if (!barn_->member().leads() || !barn_->member().transfer(0).ok()) return loop_.post(std::move(done));
  handed_over_ = std::move(done);
  hand_over_ticks_ = kMostHandOverTicks;
}

// ---- what the operator asks

api::OperatorHandlers BarnNode::handlers() {
  api::OperatorHandlers out;
  out.status = [this](auto done) { status(std::move(done)); };
  out.directory = [this](auto done) { done(reconciler_->directory()); };
  out.members = [this](auto done) { members(std::move(done)); };
  out.add_member = [this](const auto& request, auto done) { frontend_->add_member(request, std::move(done)); };
  out.remove_member = [this](uint64_t node, auto done) {
    log_.info("barn.member.remove", fmt::format("an operator asks to remove member {}", node), {{"node", node}});
    if (Status refused = check_removal(node); !refused.ok()) return done(std::move(refused));
    frontend_->remove_member(node, std::move(done));
  };
  out.promote_member = [this](uint64_t node, auto done) { frontend_->promote_member(node, std::move(done)); };
  out.transfer = [this](uint64_t node, auto done) { frontend_->transfer(node, std::move(done)); };
  out.snapshot = [this](auto done) { take_snapshot(std::move(done)); };
  out.backup = [this](auto done) {
    barn_->replica().read([this, alive = alive_, done = std::move(done)](const Status& status) {
      if (!*alive) return;
      if (!status.ok()) return done(status);
      std::shared_ptr<const barn::StateStore> store = barn_->keeper().share_store();
      std::shared_ptr<const barn::StateView> view = store->view();
      done(std::function<Result<barn::DumpInfo>(const barn::ByteSink&)>(
          [store, view](const barn::ByteSink& sink) { return barn::export_dump(*view, sink); }));
    });
  };
  return out;
}

// The core asks who was heard lately, which for an election time-out goes on to be true of one that has just died. Its
// connection is known to be gone at once.
Status BarnNode::check_removal(raft::NodeId node) const {
  if (!barn_->member().leads()) return {};
  const raft::Membership& now = barn_->member().raft().membership();
  size_t voters = 0, reached = 0;
  for (const raft::NodeId id : now.voters) {
    if (id == node) continue;
    ++voters;
    if (id == opened_.config.node) ++reached;
    for (const raft::PeerStatus& peer : barn_->transport().peers())
      if (peer.id == id && peer.state == raft::PeerState::kUp) ++reached;
  }
  if (voters == 0 || reached >= voters / 2 + 1) return {};
  return failed_precondition("of the {} voters that would be left, only {} can be reached: the quorum would be lost",
                             voters, reached)
      .with_hint("bring the others back, or remove them, first");
}

void BarnNode::status(api::OperatorHandlers::Done<barn::v1::StatusResponse> done) {
  const raft::Raft& raft = barn_->member().raft();
  const barn::StateMachine& machine = barn_->replica().machine();
  barn::v1::StatusResponse out;
  out.set_node(opened_.config.node);
  out.set_cluster_id(opened_.config.cluster_id);
  out.set_cluster_name(opened_.config.cluster_name);
  out.set_role(std::string(role_name(raft)));
  out.set_term(raft.term());
  out.set_leader(raft.leader());
  out.set_commit(raft.commit());
  out.set_applied(machine.position().index);
  out.set_last(raft.log().last());
  out.set_log_base(raft.log().base());
  out.set_may_vote(raft.may_vote());
  out.set_digest(to_string(machine.position().digest));
  out.set_state_bytes(machine.state_bytes());
  const auto snapshot = barn_->keeper().newest_snapshot();
  out.set_snapshot(snapshot ? snapshot->index : 0);
  out.set_version(RUNINK_VERSION);
  out.set_started_micros(started_micros_);
  out.set_certificate_not_after_micros(opened_.credentials.certificate.not_after_micros());
  out.set_incarnation(machine.incarnation());
  *out.mutable_addresses() = to_wire(opened_.config.addresses);
  out.set_sessions(machine.sessions().size());
  out.set_leases(machine.leases().size());
  for (const server::Alarm& alarm : alarms_->alarms().active()) {
    auto* const told = out.add_alarms();
    told->set_kind(std::string(server::alarm_name(alarm.kind)));
    told->set_severity(std::string(server::alarm_level_name(alarm.level)));
    told->set_message(alarm.text);
    told->set_since_micros(alarm.since_unix_micros);
    told->set_member(alarm.member);
  }
  done(std::move(out));
}

void BarnNode::members(api::OperatorHandlers::Done<barn::v1::MembersResponse> done) {
  frontend_->members([this, done = std::move(done)](Result<barn::v1::MembersResponse> members) {
    if (!members.ok()) return done(std::move(members));
    for (const raft::PeerStatus& peer : barn_->transport().peers()) {
      for (auto& member : *members->mutable_members()) {
        if (member.record().node() != peer.id) continue;
        member.set_connected(peer.state == raft::PeerState::kUp);
        member.set_rtt_micros(peer.rtt_micros);
        if (!member.connected()) member.set_trouble(peer.last_error);
      }
    }
    done(std::move(members));
  });
}

void BarnNode::take_snapshot(api::OperatorHandlers::Done<barn::v1::SnapshotResponse> done) {
  snapshots_wanted_.push_back({barn_->replica().position().index, kMostSnapshotTicks, std::move(done)});
  barn_->member().snapshot();
}

}  // namespace runink::node
