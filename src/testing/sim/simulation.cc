#include "testing/sim/simulation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"
#include "testing/checkers/linearizability.h"
#include "testing/sim/truth.h"

namespace runink::testing {

namespace {
constexpr const char* kNames[] = {"kill",        "power cut", "power cut of all", "pause",      "partition",
                                  "one-way cut", "swizzle",   "bad weather",      "slow disk",  "failing disk",
                                  "full disk",   "damage",    "damage of many",   "clock jump", "clock drift",
                                  "transfer",    "transfers", "membership",       "replacement"};
static_assert(std::size(kNames) == static_cast<size_t>(FaultKind::kCount));
}  // namespace

const char* name(FaultKind kind) { return kNames[static_cast<size_t>(kind)]; }

bool SimulationReport::counts() const {
  const auto kinds = std::count_if(faults.begin(), faults.end(), [](uint64_t n) { return n > 0; });
  return failure.empty() && simulated >= 60'000'000 && clients.operations >= 1000 && kinds >= 3 && leaders >= 2;
}

namespace {

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        world_(options.seed),
        network_(world_),
        context_{world_, network_, oracle_, [this](raft::NodeId id) { return find(id); }, {}, 50'000, {}, {}},
        clients_(context_, options.clients, &members_),
        lists_(context_, options.lists, &members_),
        watchers_(context_, &members_) {
    context_.cluster.fill(7);
    context_.member.core.election_ticks = 10;
    context_.member.core.heartbeat_ticks = 1;
    context_.member.snapshot_entries = 200;
    context_.member.keep_entries = 20;
    context_.member.core.max_in_flight_bytes = 64 << 10;
    context_.replica.machine.digest_every = 16;
    context_.replica.retention = {.indexes = 300, .bytes = 1 << 20};
    raft::Membership founders;
    for (raft::NodeId id = 1; id <= options.voters; ++id) founders.voters.push_back(id);
    for (raft::NodeId id = 1; id <= options.voters; ++id) add_node(founders);
    // Which kinds of faults this seed has: some seeds few, some all.
    const uint64_t density = 1 + world_.random.below(4);
    for (size_t i = 0; i < enabled_.size(); ++i) enabled_[i] = world_.random.below(4) < density;
    pace_ = world_.random.between(200'000, 3'000'000);
  }

  SimulationReport run() {
    clients_.start();
    lists_.start();
    watchers_.start();
    if (zoo(Zoo::kStateRots)) world_.after(30'000'000, [this] { rot(); });
    world_.after(world_.random.between(500'000, 2'000'000), [this] { fault(); });
    run_until([this] { return world_.now() >= options_.duration; });
    settle();
    SimulationReport report;
    check(report);
    fill(report);
    return report;
  }

 private:
  // ---- nodes

  Node* find(raft::NodeId id) {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second.get();
  }
  Node& add_node(const raft::Membership& founders) {
    const raft::NodeId id = ++last_id_;
    auto node = std::make_unique<Node>(context_, id, founders, world_.random.next());
    Node& out = *node;
    nodes_.emplace(id, std::move(node));
    members_.push_back(id);
    out.start();
    return out;
  }
  void forget_member(raft::NodeId id) {
    members_.erase(std::remove(members_.begin(), members_.end(), id), members_.end());
  }
  Node& any() { return *find(members_[world_.random.below(members_.size())]); }
  Node* leader() {
    Node* best = nullptr;
    for (auto& [id, node] : nodes_) {
      if (node->serves() && node->member().leads() &&
          (best == nullptr || node->member().raft().term() > best->member().raft().term()))
        best = node.get();
    }
    return best;
  }
  void restart_later(Node& node, Micros delay) {
    world_.after(delay, [this, &node] {
      if (node.up() || gone(node)) return;
      node.start();
      if (!node.up() && !gone(node)) restart_later(node, 1'000'000);
    });
  }
  // It cannot come back: its votes are not known any more, or the like. Somebody has to replace it.
  bool gone(Node& node) {
    if (node.lost().empty()) return false;
    if (std::find(members_.begin(), members_.end(), node.id()) != members_.end()) replace(node.id());
    return true;
  }
  // A process that ended by itself (after a failed write, say) is started again by whoever watches over it.
  void watch_over() {
    for (auto& [id, node] : nodes_) {
      if (!node->up() && node->lost().empty() && !down_.contains(id)) {
        down_.insert(id);
        const raft::NodeId which = id;
        world_.after(world_.random.between(100'000, 3'000'000), [this, which] {
          down_.erase(which);
          Node* const n = find(which);
          if (n == nullptr || n->up() || gone(*n)) return;
          n->start();
          (void)gone(*n);
        });
      }
    }
  }

  // ---- faults

  void count(FaultKind kind) { ++faults_[static_cast<size_t>(kind)]; }
  void after(Micros least, Micros most, std::function<void()> what) {
    world_.after(world_.random.between(least, most), std::move(what));
  }

  void fault() {
    if (over_) return;
    after(pace_ / 4, pace_ * 2, [this] { fault(); });
    const auto kind = static_cast<FaultKind>(world_.random.below(static_cast<uint64_t>(FaultKind::kCount)));
    if (enabled_[static_cast<size_t>(kind)]) inject(kind);
  }

  void inject(FaultKind kind) {
    Node& node = any();
    switch (kind) {
      case FaultKind::kKill:
      case FaultKind::kPowerCut:
        if (!node.up()) return;
        kind == FaultKind::kKill    ? node.kill()
        : world_.random.chance(0.7) ? node.cut_power_in_write()
                                    : node.cut_power();
        break;  // watch_over() starts it again
      case FaultKind::kPowerCutAll:
        for (auto& [id, n] : nodes_) {
          if (!n->up()) continue;
          world_.random.chance(0.5) ? n->cut_power_in_write() : n->cut_power();
        }
        break;
      case FaultKind::kPause:
        if (!node.serves()) return;
        node.pause();
        after(200'000, 5'000'000, [&node] { node.resume(); });
        break;
      case FaultKind::kPartition: {
        for (const raft::NodeId a : members_) {
          for (const raft::NodeId b : members_) {
            if (a < b && world_.random.chance(0.5)) cut_for(a, b, true);
          }
        }
        break;
      }
      case FaultKind::kOneWayCut: {
        const raft::NodeId other = any().id();
        if (other == node.id()) return;
        cut_for(node.id(), other, false);
        break;
      }
      case FaultKind::kSwizzle:
        for (const raft::NodeId other : members_) {
          if (other == node.id()) continue;
          world_.after(world_.random.between(0, 2'000'000), [this, a = node.id(), other] { cut_for(a, other, true); });
        }
        break;
      case FaultKind::kBadWeather:
        network_.set_weather({.loss = 0.3,
                              .duplicate = 0.1,
                              .delay_min = 1'000,
                              .delay_max = world_.random.between(10'000, 200'000),
                              .slow = 0.01});
        after(500'000, 6'000'000, [this] { network_.set_weather({}); });
        break;
      case FaultKind::kSlowDisk:
        if (!node.up()) return;
        node.storage()->set_latency(10'000, world_.random.between(20'000, 2'000'000));
        after(500'000, 5'000'000, [&node] {
          if (node.up()) node.storage()->set_latency(50, 400);
        });
        break;
      case FaultKind::kFailingDisk:
        node.disk().fail_after(world_.random.below(50), SimDisk::Fault::kIo);
        break;
      case FaultKind::kFullDisk:
        node.disk().set_space(node.disk().used_bytes() + world_.random.below(300 << 10));
        after(1'000'000, 8'000'000, [&node] { node.disk().set_space(UINT64_MAX); });
        break;
      case FaultKind::kDamage: {
        // One at a time: two damaged copies of three may be all that there were.
        for (auto& [id, n] : nodes_) {
          if (!n->whole() || !n->lost().empty() || (!n->up() && n->id() != node.id())) return;
        }
        if (!members_have_quorum_without(node)) return;
        // Where the state is still all there, it makes up for what the log lost.
        world_.random.chance(0.5) ? node.cut_power() : node.kill();
        node.damage();
        node.start();
        (void)gone(node);
        break;
      }
      case FaultKind::kDamageOfMany:
        damage_many(50);
        return;
      case FaultKind::kClockJump:
        node.clock().jump(world_.random.between(-3'600'000'000LL, 3'600'000'000LL));
        break;
      case FaultKind::kClockDrift:
        node.clock().set_rate(static_cast<double>(world_.random.between(90, 110)) / 100);
        break;
      case FaultKind::kTransfer: {
        Node* const l = leader();
        if (l == nullptr) return;
        (void)l->member().transfer(0);
        l->turn();
        break;
      }
      case FaultKind::kTransfers:
        transfer_again(static_cast<int>(world_.random.between(5, 30)));
        break;
      case FaultKind::kMembership:
        change_membership();
        break;
      case FaultKind::kReplace: {
        if (node.id() == 0 || !members_have_quorum_without(node) || members_.size() < 3) return;
        for (auto& [id, n] : nodes_) {
          if (!n->whole() || !n->lost().empty()) return;
        }
        if (replacing_) return;
        node.kill();
        down_.insert(node.id());  // nobody starts it again
        replace(node.id());
        break;
      }
      case FaultKind::kCount:
        return;
    }
    count(kind);
  }

  // The first time that all voters hold the same, which is all that there is: else what one of them has beyond may be
  // what the others would not elect anybody without.
  void damage_many(int times) {
    if (times == 0 || over_) return;
    const auto again = [this, times] { world_.after(20'000, [this, times] { damage_many(times - 1); }); };
    Node* const l = leader();
    if (l == nullptr) return again();
    const raft::Membership membership = l->member().raft().membership();
    const raft::Log& log = l->member().raft().log();
    for (auto& [id, n] : nodes_) {
      if (!n->whole() || !n->lost().empty()) return;
    }
    for (const raft::NodeId id : membership.voters) {
      Node* const n = find(id);
      if (n == nullptr || !n->serves()) return again();
      const raft::Log& other = n->member().raft().log();
      if (other.last() != log.last() || other.last_term() != log.last_term() || other.persisted() != log.last())
        return again();
    }
    if (membership.voters.size() < 3 || log.last() < log.first() + 2) return;
    const raft::Index entry = log.first() + world_.random.below(log.last() - log.first());
    const raft::NodeId sound = membership.voters[world_.random.below(membership.voters.size())];
    const raft::LogEnd end{log.last_term(), log.last()};
    std::vector<Node*> damaged;
    for (const raft::NodeId id : membership.voters) {
      if (id != sound) damaged.push_back(find(id));
    }
    for (Node* const n : damaged) n->kill();
    size_t hit = 0;
    for (Node* const n : damaged) hit += n->damage_entry(entry);
    for (Node* const n : damaged) n->start();
    for (Node* const n : damaged) {
      if (!gone(*n) && n->up() && !n->whole() && n->lost_end() != end)
        oracle_.fail(fmt::format("node {} lost entry {} of a log that ended with entry {}, and does not know the end",
                                 n->id(), entry, end.index));
    }
    if (hit > 0) count(FaultKind::kDamageOfMany);
  }

  void transfer_again(int times) {
    if (times == 0 || over_) return;
    if (Node* const l = leader(); l != nullptr) {
      (void)l->member().transfer(0);
      l->turn();
    }
    world_.after(200'000, [this, times] { transfer_again(times - 1); });
  }

  // Of the zoo: one bit of what one replica has stored of a list that nobody appends to any more.
  void rot() {
    const std::string key = "k" + ListClients::key_of(0);
    for (const raft::NodeId id : members_) {
      std::string row;
      barn::MemoryStore* const store = find(id)->keeper().memory();
      const auto found = store->get(key, &row);
      if (id % 2 == 1 && found.ok() && *found && store->damage(key, row.size() - 1, 1)) return;
    }
    world_.after(1'000'000, [this] { rot(); });
  }

  void cut_for(raft::NodeId a, raft::NodeId b, bool both) {
    network_.cut(a, b);
    if (both) network_.cut(b, a);
    after(300'000, 8'000'000, [this, a, b] {
      network_.heal(a, b);
      network_.heal(b, a);
    });
  }

  bool members_have_quorum_without(const Node& node) {
    Node* const l = leader();
    if (l == nullptr) return false;
    size_t there = 0;
    const raft::Membership& membership = l->member().raft().membership();
    for (const raft::NodeId id : membership.voters) {
      Node* const n = find(id);
      there += id != node.id() && n != nullptr && n->serves() && n->whole();
    }
    return there >= membership.quorum();
  }

  // ---- membership

  // Asks the leader until the change is made, or somebody else has made it, or time is up.
  void change(raft::ChangeKind kind, raft::NodeId id, int tries, std::function<void(bool)> then) {
    if (tries == 0) return then(false);
    const auto later = [this, kind, id, tries, then] {
      world_.after(500'000, [this, kind, id, tries, then] { change(kind, id, tries - 1, then); });
    };
    Node* const l = leader();
    if (l == nullptr) return later();
    // As committed: another leader might take back what is only appended.
    const raft::Membership& now = l->member().raft().membership_at(l->member().raft().commit());
    const bool done = kind == raft::ChangeKind::kAddLearner ? now.has(id)
                      : kind == raft::ChangeKind::kPromote  ? now.votes(id)
                                                            : !now.has(id);
    if (done) return then(true);
    const auto asked = l->member().change_membership({kind, id});
    l->turn();
    if (asked.ok()) ++asked_changes_;
    later();
  }

  void change_membership() {
    if (replacing_) return;
    if (members_.size() < options_.voters + 2 && world_.random.chance(0.6)) {
      bring_in([] {});
      return;
    }
    if (members_.size() <= options_.voters) return;
    replacing_ = true;
    take_out(members_[world_.random.below(members_.size())], [this] { replacing_ = false; });
  }
  void bring_in(std::function<void()> then) {
    replacing_ = true;
    const raft::NodeId id = add_node({}).id();
    change(raft::ChangeKind::kAddLearner, id, 120, [this, id, then](bool added) {
      if (!added) {
        replacing_ = false;
        return then();
      }
      change(raft::ChangeKind::kPromote, id, 120, [this, then](bool promoted) {
        membership_changes_ += promoted;
        replacing_ = false;
        then();
      });
    });
  }
  void take_out(raft::NodeId id, std::function<void()> then) {
    change(raft::ChangeKind::kRemove, id, 120, [this, id, then](bool removed) {
      if (removed) {
        ++membership_changes_;
        forget_member(id);
        // It is switched off some time later; until then it may disturb.
        after(0, 5'000'000, [this, id] {
          down_.insert(id);
          find(id)->kill();
        });
      }
      then();
    });
  }
  void replace(raft::NodeId id) {
    down_.insert(id);
    if (std::find(replaced_.begin(), replaced_.end(), id) != replaced_.end()) return;
    replaced_.push_back(id);
    replacing_ = true;
    take_out(id, [this] { bring_in([] {}); });
  }

  // ---- the end

  template <typename Done>
  bool run_until(Done done, uint64_t events_max = UINT64_MAX) {
    const uint64_t before = world_.events();
    while (oracle_.failure().empty() && !done()) {
      if (world_.events() - before > events_max || !world_.step()) return false;
      watch_over();
    }
    return oracle_.failure().empty();
  }

  // Without faults, what was asked for is answered, and all replicas come to the same state.
  void settle() {
    over_ = true;
    clients_.stop();
    lists_.stop();
    watchers_.stop();
    network_.heal_all();
    network_.set_weather({.loss = 0, .duplicate = 0, .slow = 0});
    // Cuts and slow disks that were to come, too.
    run_until([this, until = world_.now() + 10'000'000] { return world_.now() >= until; });
    network_.heal_all();
    network_.set_weather({.loss = 0, .duplicate = 0, .slow = 0});
    for (auto& [id, node] : nodes_) {
      node->resume();
      node->disk().set_space(UINT64_MAX);
      node->clock().set_rate(1);
      if (node->up()) node->storage()->set_latency(50, 400);
    }
    const Micros begin = world_.now();
    run_until([this] { return leader() != nullptr; }, 2'000'000);
    clients_.read_all();
    // Ten election time-outs, and time for snapshots and repairs on their way.
    const Micros limit = begin + 10 * 10 * context_.tick * 2 + 30'000'000;
    run_until([this, limit] { return (clients_.idle() && agree()) || world_.now() > limit; });
    if (!oracle_.failure().empty()) return;
    if (!clients_.idle())
      oracle_.fail("without faults, operations are still open after " +
                   std::to_string((world_.now() - begin) / 1'000'000) + " s; " + state());
    if (!agree()) oracle_.fail("without faults, the members do not come to one state; " + state());
  }
  bool agree() {
    Node* const l = leader();
    if (l == nullptr || !l->member().raft().log().term(l->member().raft().commit()).has_value()) return false;
    const raft::Index last = l->member().raft().log().last();
    for (const raft::NodeId id : l->member().raft().membership().voters) {
      Node* const n = find(id);
      if (n == nullptr || !n->serves()) {
        if (down_.contains(id) && !replaced_.empty()) continue;  // gone for good, and not replaced in time
        return false;
      }
      if (n->replica().position().index != last || !n->member().raft().may_vote()) return false;
    }
    return true;
  }
  std::string state() {
    std::string out;
    for (auto& [id, n] : nodes_) {
      if (!n->up()) {
        out += fmt::format("\n  node {}: down{}{}", id, n->lost().empty() ? "" : ", lost: ", n->lost());
        continue;
      }
      const raft::Raft& r = n->member().raft();
      const auto& end = n->lost_end();
      const std::string vote = r.may_vote() ? "votes"
                               : end ? fmt::format("votes for who has entry {} of term {}", end->index, end->term)
                                     : "has no vote";
      out += fmt::format(
          "\n  node {}: role {}, term {}, leader {}, log {}..{} of term {}, commit {}, applied {}, voters {}, {}{}", id,
          static_cast<int>(r.role()), r.term(), r.leader(), r.log().first(), r.log().last(), r.log().last_term(),
          r.commit(), r.applied(), fmt::join(r.membership().voters, " "), vote, n->paused() ? ", paused" : "");
      for (const auto& [peer, p] : r.peers()) {
        out +=
            fmt::format("\n    of {}: state {}, match {}, next {}, incarnation {}, in flight {}{}{}", peer,
                        static_cast<int>(p.state), p.match, p.next, p.incarnation, p.in_flight.size(),
                        p.rejoining ? ", rejoining" : "", p.offer ? fmt::format(", offered {}", p.offer->index) : "");
      }
    }
    return out;
  }

  void check(SimulationReport& report) {
    report.failure = oracle_.failure();
    if (!report.failure.empty()) return;
    const Verdict verdict = check_registers(clients_.history());
    report.configurations = verdict.configurations;
    if (verdict.outcome == Verdict::Outcome::kBad)
      report.failure = "not linearizable: key " + verdict.key + "\n" + verdict.explanation;
    if (verdict.outcome == Verdict::Outcome::kGaveUp)
      report.failure = "the search for linearizability gave up at key " + verdict.key;
    if (report.failure.empty()) report.failure = check_lists();
    if (report.failure.empty()) report.failure = check_state_and_watches();
  }
  std::string check_lists() const {
    const std::vector<Anomaly> anomalies = check_list_append(lists_.history());
    if (anomalies.empty()) return {};
    return "not strictly serializable: " + testing::name(anomalies[0]) + "\n" + anomalies[0].text;
  }
  std::string check_state_and_watches() {
    const auto truth = Truth::of(oracle_.committed_entries(), context_.replica.machine);
    if (!truth.ok()) return "the committed entries cannot be applied again: " + truth.status().to_string();
    const barn::Position& end = truth->position();
    size_t compared = 0;
    for (const raft::NodeId id : members_) {
      Node* const node = find(id);
      if (!node->serves() || node->replica().position().index != end.index) continue;
      ++compared;
      const auto difference = truth->difference(*node->keeper().memory());
      const std::string what = !difference.ok()                    ? difference.status().to_string()
                               : node->replica().position() == end ? *difference
                                                                   : "its digest is another one";
      if (!what.empty())
        return fmt::format("the state of node {} at entry {} is not what the entries make: {}", id, end.index, what);
    }
    if (compared < 2)
      return fmt::format("of entry {}, the last that was committed, only {} members hold the state", end.index,
                         compared);
    watchers_.finish(end.index);
    if (!oracle_.failure().empty()) return oracle_.failure();
    const auto faults = check_watches(truth->changes(), watchers_.history());
    return faults.empty() ? std::string()
                          : fmt::format("a watch is not {}: {}", testing::name(faults[0].promise), faults[0].text);
  }

  void fill(SimulationReport& report) {
    report.events = world_.events();
    report.simulated = world_.now();
    report.faults = faults_;
    report.clients = clients_.totals();
    report.lists = lists_.totals();
    report.watches = watchers_.totals();
    report.leaders = oracle_.elections();
    report.membership_changes = membership_changes_;
    for (auto& [id, node] : nodes_) {
      const Node::Totals t = node->totals();
      report.nodes.starts += t.starts;
      report.nodes.faults_stopped += t.faults_stopped;
      report.nodes.repaired += t.repaired;
      report.nodes.torn += t.torn;
      report.nodes.damaged += t.damaged;
      report.nodes.truncations += t.truncations;
      report.nodes.elections += t.elections;
      report.nodes.snapshots_made += t.snapshots_made;
      report.nodes.snapshots_installed += t.snapshots_installed;
    }
  }

  const SimulationOptions options_;
  World world_;
  Network network_;
  Oracle oracle_;
  NodeContext context_;
  std::map<raft::NodeId, std::unique_ptr<Node>> nodes_;  // whoever was ever there
  std::vector<raft::NodeId> members_;
  Clients clients_;
  ListClients lists_;
  Watchers watchers_;
  raft::NodeId last_id_ = 0;
  std::set<raft::NodeId> down_;  // not to be started by watch_over()
  std::vector<raft::NodeId> replaced_;
  std::array<bool, static_cast<size_t>(FaultKind::kCount)> enabled_{};
  std::array<uint64_t, static_cast<size_t>(FaultKind::kCount)> faults_{};
  Micros pace_ = 1'000'000;
  bool over_ = false, replacing_ = false;
  uint64_t membership_changes_ = 0, asked_changes_ = 0;
};

}  // namespace

SimulationReport simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace runink::testing
