#include "control/server/integrity.h"

#include <algorithm>

#include "base/text.h"
#include "control/server/quarantine.h"

namespace runink::server {
namespace {

constexpr int64_t kProposalNanos = 30'000'000'000;  // after so long a mark that was proposed is taken for lost
// After a scrub has ended here the others may need a little longer to say what they found.
constexpr int64_t kScrubGraceNanos = 10'000'000'000;

std::vector<barn::DigestPoint> points_of(const std::vector<ScrubReport>& scrubs) {
  std::vector<barn::DigestPoint> points;
  for (const ScrubReport& scrub : scrubs) points.push_back(scrub.total);
  return points;
}

}  // namespace

Integrity::Integrity(net::EventLoop& loop, IntegrityOptions options, std::string folder, RocksKeeper& keeper,
                     barn::Replica& replica, raft::Member& member, raft::Transport& transport)
    : loop_(loop),
      options_(std::move(options)),
      folder_(std::move(folder)),
      keeper_(keeper),
      replica_(replica),
      member_(member),
      transport_(transport),
      generation_(replica.state_generation()),
      marked_nanos_(system_clock().steady_nanos() - options_.scrub_nanos + options_.scrub_first_nanos),
      runner_(loop, options_.pace) {
  if (auto aside = set_aside_because(folder_); aside.ok() && *aside) status_.set_aside = **aside;
  keeper_.before_release([this, alive = alive_] {
    if (*alive) runner_.cancel();
  });
}

Integrity::~Integrity() { *alive_ = false; }

// ---- what this member says

std::optional<barn::Digest> Integrity::own_digest(barn::Index index) const {
  const barn::Position& position = replica_.machine().position();
  if (position.index == index) return position.digest;
  return replica_.machine().trail().at(index);
}

std::optional<barn::Digest> Integrity::own_scrub(barn::Index index) const {
  for (const barn::ScrubResult& result : results_) {
    if (result.position.index == index) return result.total;
  }
  return std::nullopt;
}

IntegrityReport Integrity::report(barn::Index index) {
  ++status_.reports_given;
  IntegrityReport report;
  const barn::StateMachine& machine = replica_.machine();
  report.serving = member_.failed().ok() && status_.quarantined.ok();
  report.in_doubt = in_doubt();
  report.votes = member_.failed().ok() && member_.raft().may_vote();
  report.scrub_under_way = runner_.busy();
  report.incarnation = machine.incarnation();
  // Those that the other one has most likely, too: up to where it stands.
  std::vector<barn::DigestPoint> points = machine.trail().newest(SIZE_MAX);
  std::erase_if(points, [&](const barn::DigestPoint& point) { return point.index > index; });
  const size_t skip = points.size() - std::min(points.size(), kReportedDigests);
  report.digests.assign(points.begin() + static_cast<std::ptrdiff_t>(skip), points.end());
  const barn::Position& position = machine.position();
  if (position.index > 0 && (report.digests.empty() || report.digests.back().index < position.index))
    report.digests.push_back({position.index, position.digest});
  for (const barn::ScrubResult& result : results_) {
    ScrubReport& scrub = report.scrubs.emplace_back();
    scrub.id = result.id;
    scrub.total = {result.position.index, result.total};
    if (&result != &results_.back()) continue;
    for (const barn::ScrubRange& range : result.ranges) {
      if (scrub.ranges.size() < kReportedRanges) scrub.ranges.push_back(range.digest);
    }
  }
  return report;
}

// ---- asking

void Integrity::tick() {
  const int64_t now = loop_.now();
  if (!asked_once_ || now - asked_nanos_ >= options_.compare_nanos) {
    asked_once_ = true;
    asked_nanos_ = now;
    ask_all();
  }
  if (!member_.failed().ok()) return;
  if (generation_ != replica_.state_generation()) {
    // Another state has taken the place of the one that was compared.
    generation_ = replica_.state_generation();
    digests_.clear();
    scrubs_.clear();
    results_.clear();
  }
  begin_scrub();
  propose_scrub();
}

void Integrity::ask_all() {
  const raft::Membership& membership = member_.raft().membership();
  digests_.keep_only(membership);
  scrubs_.keep_only(membership);
  std::erase_if(heard_, [&](const auto& peer) { return !membership.has(peer.first); });
  std::erase_if(told_, [&](const auto& peer) { return !membership.has(peer.first); });
  const auto ask = [&](raft::NodeId id) {
    Heard& peer = heard_[id];
    if (id == member_.raft().id() || peer.asking) return;
    peer.asking = true;
    ++status_.reports_asked;
    raft::BulkRequest request;
    request.kind = raft::BulkKind::kIntegrity;
    request.index = replica_.machine().position().index;
    transport_.fetch(id, std::move(request), [this, alive = alive_, id](Result<std::string> answer) {
      if (*alive) heard(id, std::move(answer));
    });
  };
  for (const raft::NodeId id : membership.voters) ask(id);
  for (const raft::NodeId id : membership.learners) ask(id);
  heard_.erase(member_.raft().id());
}

void Integrity::heard(raft::NodeId id, Result<std::string> answer) {
  const auto peer = heard_.find(id);
  if (peer == heard_.end()) return;
  peer->second.asking = false;
  if (!answer.ok()) return;
  Result<IntegrityReport> report = decode_integrity_report(*answer);
  if (!report.ok()) return;
  ++status_.reports_received;
  peer->second.nanos = loop_.now();
  peer->second.serving = report->serving;
  peer->second.in_doubt = report->in_doubt;
  peer->second.votes = report->votes;
  peer->second.scrub_under_way = report->scrub_under_way;
  peer->second.scrubs = report->scrubs;
  if (!member_.failed().ok() || generation_ != replica_.state_generation()) return;
  if (report->incarnation != replica_.machine().incarnation()) return;
  digests_.heard(id, report->digests, [this](barn::Index index) { return own_digest(index); });
  scrubs_.heard(id, points_of(report->scrubs), [this](barn::Index index) { return own_scrub(index); });
  conclude();
}

// ---- what follows

void Integrity::conclude() {
  const raft::Membership& membership = member_.raft().membership();
  const raft::NodeId self = member_.raft().id();
  const Judgement applied = digests_.judge(membership, self), stored = scrubs_.judge(membership, self);
  if (applied.verdict == Verdict::kOutvoted)
    return quarantine("what this member has applied is not what a majority has: the digest " + to_string(applied));
  if (stored.verdict == Verdict::kOutvoted)
    return quarantine("what this member has stored is not what a majority has: the hash " + where(stored));
  for (const Judgement* judgement : {&applied, &stored}) {
    for (const raft::NodeId id : judgement->differ) {
      if (judgement->verdict != Verdict::kAgreed || !told_.emplace(id, judgement->index).second) continue;
      if (options_.on_alarm) {
        options_.on_alarm(data_loss("node {} differs from the majority: {}", id, to_string(*judgement))
                              .with_kind("barn.peer_differs")
                              .with_hint("it takes itself out of service; look at its disk and memory"));
      }
    }
  }
  std::erase_if(told_, [&](const auto& told) {
    const auto differs = [&](const Judgement& j) {
      return std::count(j.differ.begin(), j.differ.end(), told.first) > 0;
    };
    return !differs(applied) && !differs(stored);
  });
  Status doubt;
  if (applied.verdict == Verdict::kDoubt)
    doubt = unavailable("members have applied different things: {}", to_string(applied));
  if (doubt.ok() && stored.verdict == Verdict::kDoubt && !scrubs_pending())
    doubt = unavailable("members have stored different things: {}", where(stored));
  // Not before everybody was asked once more: a majority may be about to show.
  if (doubt.ok())
    doubt_nanos_ = 0;
  else if (doubt_nanos_ == 0)
    doubt_nanos_ = loop_.now();
  if (!doubt.ok() && !in_doubt() && loop_.now() - doubt_nanos_ < options_.compare_nanos) return;
  if (!doubt.ok()) {
    doubt = std::move(doubt)
                .with_kind("barn.in_doubt")
                .with_hint(
                    "no majority of the voters says the same, so nobody serves: bring back the members that are away; "
                    "with two "
                    "members, find out which one is right, and remove the other");
  }
  set_doubt(std::move(doubt));
}

bool Integrity::scrubs_pending() const {
  const int64_t now = loop_.now();
  if (now - scrubbed_nanos_ < kScrubGraceNanos) {
    // Whoever is at work and has not said yet.
    for (const auto& [id, peer] : heard_) {
      if (now - peer.nanos >= options_.fresh_nanos || results_.empty()) continue;
      const bool said = std::any_of(peer.scrubs.begin(), peer.scrubs.end(),
                                    [&](const ScrubReport& s) { return s.id == results_.back().id; });
      if (!said) return true;
    }
  }
  return std::any_of(heard_.begin(), heard_.end(), [&](const auto& peer) {
    return peer.second.scrub_under_way && now - peer.second.nanos < options_.fresh_nanos;
  });
}

// With the range in which the damage is.
std::string Integrity::where(const Judgement& judgement) const {
  std::string text = to_string(judgement);
  if (results_.empty() || results_.back().position.index != judgement.index) return text;
  const auto& own = results_.back().ranges;
  for (const raft::NodeId id : judgement.differ) {
    const auto peer = heard_.find(id);
    if (peer == heard_.end()) continue;
    for (const ScrubReport& scrub : peer->second.scrubs) {
      if (scrub.id != results_.back().id) continue;
      for (size_t i = 0; i < std::min(own.size(), scrub.ranges.size()); ++i) {
        if (own[i].digest == scrub.ranges[i]) continue;
        return fmt::format("{}; the first range that differs is number {} of {}, up to the key {}", text, i + 1,
                           own.size(), escape_control(own[i].last_key.substr(0, 200)));
      }
    }
  }
  return text;
}

void Integrity::set_doubt(Status doubt) {
  const bool before = in_doubt();
  const bool now = !doubt.ok();
  status_.doubt = doubt;
  replica_.set_doubt(doubt);
  if (before != now && options_.on_alarm) options_.on_alarm(doubt);
}

// Who says something else than this member is no less fit for that; who is in doubt about yet others may be.
bool Integrity::others_suffice(bool undoubted) const {
  const raft::Membership& membership = member_.raft().membership();
  size_t well = 0;
  for (const auto& [id, peer] : heard_) {
    well += membership.votes(id) && peer.nanos != 0 && loop_.now() - peer.nanos < options_.fresh_nanos &&
            peer.serving && peer.votes && !(undoubted && peer.in_doubt);
  }
  return well >= membership.quorum();
}

// Marks the state, if that may be, and says what is to be told.
Status Integrity::settle(std::string why, bool others_suffice) {
  Status status = data_loss("this member is out of service: {}", why).with_kind(std::string(kQuarantinedKind));
  if (!others_suffice) {
    status = std::move(status).with_hint(
        "the other voters are not at work or not enough, so this member keeps what it has: bring them back and start "
        "it again, or restore a backup");
  } else if (Status marked = mark_quarantined(folder_, why); !marked.ok()) {
    status = std::move(status).with_hint("the mark of that could not be written: " + marked.to_string());
  } else {
    status = std::move(status).with_hint(
        "start it again: it sets its state aside and takes all from the others. Look at the disk and the memory of "
        "this machine");
  }
  status_.quarantined = status;
  runner_.cancel();
  if (options_.on_alarm) options_.on_alarm(status);
  return status;
}

void Integrity::quarantine(std::string why) {
  if (!status_.quarantined.ok()) return;
  member_.stop(settle(std::move(why), others_suffice(false)));
}

std::optional<Status> Integrity::unreadable(const Status& why) {
  if (!status_.quarantined.ok()) return status_.quarantined;
  const int64_t now = loop_.now();
  if (unreadable_nanos_ == 0) {
    unreadable_nanos_ = now;
    runner_.cancel();
    ask_all();
  }
  const raft::Membership& membership = member_.raft().membership();
  const size_t others = membership.voters.size() - (membership.votes(member_.raft().id()) ? 1 : 0);
  const bool suffice = others_suffice(true);
  if (others >= membership.quorum() && !suffice && now - unreadable_nanos_ < options_.settle_nanos) return std::nullopt;
  return settle("what it has stored cannot be read: " + why.to_string(), suffice);
}

// ---- scrubs

void Integrity::begin_scrub() {
  std::unique_ptr<barn::Scrub> scrub = replica_.take_scrub();
  if (scrub == nullptr) return;
  marked_nanos_ = loop_.now();
  proposed_nanos_.reset();
  const uint64_t id = scrub->id();
  runner_.begin(std::move(scrub), keeper_.rocks(), [this, id](const ScrubOutcome& outcome) { scrubbed(id, outcome); });
}

void Integrity::scrubbed(uint64_t id, const ScrubOutcome& outcome) {
  ++status_.scrubs;
  status_.scrub_id = id;
  status_.scrub_index = outcome.result.position.index;
  status_.scrub_unix_micros = system_clock().unix_micros();
  status_.scrub_result = outcome.status;
  status_.scrub_bytes_hashed = outcome.bytes_hashed;
  status_.scrub_bytes_verified = outcome.bytes_verified;
  status_.scrub_busy_nanos = outcome.busy_nanos;
  scrubbed_nanos_ = loop_.now();
  // What cannot be read has been noted by the store, and ends the member with the next tick.
  if (!outcome.status.ok()) return;
  results_.push_back(outcome.result);
  for (size_t i = 0; i + 1 < results_.size(); ++i) results_[i].ranges.clear();
  if (results_.size() > kReportedScrubs) results_.pop_front();
}

// Never two under way: a member that has not ended the last one keeps the next one waiting.
void Integrity::propose_scrub() {
  if (options_.scrub_nanos == 0 || !member_.leads() || in_doubt()) return;
  const int64_t now = loop_.now();
  if (now - marked_nanos_ < options_.scrub_nanos || runner_.busy()) return;
  if (proposed_nanos_ && now - *proposed_nanos_ < kProposalNanos) return;
  for (const auto& [id, peer] : heard_) {
    if (peer.scrub_under_way && now - peer.nanos < options_.fresh_nanos) return;
  }
  proposed_nanos_ = now;
  const auto id = static_cast<uint64_t>(system_clock().unix_micros());
  replica_.execute({0, {}, barn::ScrubMark{id}}, [this, alive = alive_](const Result<barn::Answer>& answer) {
    if (*alive && !answer.ok()) proposed_nanos_.reset();
  });
}

// ---- for people

IntegrityStatus Integrity::status() const {
  IntegrityStatus out = status_;
  out.scrub_under_way = runner_.busy();
  for (const auto& [id, peer] : heard_) {
    IntegrityStatus::Peer& to = out.peers[id];
    to.fresh = peer.nanos != 0 && loop_.now() - peer.nanos < options_.fresh_nanos;
    to.serving = peer.serving;
    to.votes = peer.votes;
    const auto take = [id](const Comparison& comparison, barn::Index& compared, barn::Index& differs) {
      const auto found = comparison.peers().find(id);
      if (found == comparison.peers().end()) return;
      compared = found->second.compared_at;
      if (!found->second.differences.empty()) differs = found->second.differences.begin()->first;
    };
    take(digests_, to.compared, to.differs_from);
    take(scrubs_, to.scrub_compared, to.scrub_differs);
  }
  return out;
}

}  // namespace runink::server
