#include "control/server/alarms_watch.h"

#include <algorithm>

#include "base/clock.h"
#include "platform/telemetry/machine_stats.h"

namespace runink::server {

AlarmInputs alarm_inputs(const BarnView& barn, const Clock& clock) {
  const raft::Raft& raft = barn.member.raft();
  const barn::StateMachine& machine = barn.replica.machine();
  AlarmInputs in;
  in.steady_nanos = clock.steady_nanos();
  in.unix_micros = clock.unix_micros();
  in.self = raft.id();
  if (const auto disk = telemetry::disk_stats(barn.folder)) in.disk_free_bytes = disk->free_bytes;
  in.journal_has_space = barn.storage.has_space();
  in.certificate_not_after_micros = barn.transport.context().not_after_micros();
  in.member = raft.membership().has(raft.id());
  in.leader = raft.leader();
  in.may_vote = raft.may_vote();
  in.last_index = raft.log().last();
  in.state_bytes = machine.state_bytes();
  in.state_bytes_warn = machine.limits().state_bytes_warn;
  in.state_bytes_limit = machine.limits().state_bytes;
  const auto snapshot = barn.keeper.newest_snapshot();
  const raft::Index newest = std::max(raft.log().base(), snapshot ? snapshot->index : 0);
  in.entries_since_snapshot = raft.applied() - std::min(raft.applied(), newest);
  in.entries_for_snapshot = barn.member.options().snapshot_entries;
  in.chunks_missing = barn.chunks.status().missing;
  const IntegrityStatus integrity = barn.integrity.status();
  if (!integrity.doubt.ok()) in.doubt = integrity.doubt.to_string();
  for (const raft::PeerStatus& status : barn.transport.peers()) {
    AlarmInputs::Peer peer;
    peer.id = status.id;
    peer.connected = status.state == raft::PeerState::kUp;
    peer.clock = status.clock;
    peer.certificate_not_after_micros = status.certificate_not_after_micros;
    if (const auto progress = raft.peers().find(status.id); barn.member.leads() && progress != raft.peers().end())
      peer.match = progress->second.match;
    const auto compared = integrity.peers.find(status.id);
    peer.differs = compared != integrity.peers.end() &&
                   (compared->second.differs_from != 0 || compared->second.scrub_differs != 0);
    in.peers.push_back(peer);
  }
  return in;
}

AlarmWatch::AlarmWatch(net::EventLoop& loop, BarnView barn, telemetry::Log* log, const Options& options)
    : loop_(loop),
      barn_(std::move(barn)),
      log_(log),
      every_nanos_(options.every_nanos),
      alarms_(options.alarms, [this](const Alarm& alarm, AlarmLevel before) { tell(alarm, before); }) {
  timer_ = loop_.call_after(every_nanos_, [this] { look(); });
}

void AlarmWatch::look() {
  timer_ = loop_.call_after(every_nanos_, [this] { look(); });
  alarms_.evaluate(alarm_inputs(barn_, system_clock()));
}

void AlarmWatch::tell(const Alarm& alarm, AlarmLevel before) {
  if (log_ == nullptr) return;
  const telemetry::Level level = alarm.level == AlarmLevel::kCritical  ? telemetry::Level::kError
                                 : alarm.level == AlarmLevel::kWarning ? telemetry::Level::kWarning
                                                                       : telemetry::Level::kInfo;
  log_->write(level, alarm.level == AlarmLevel::kNone ? "barn.alarm.cleared" : "barn.alarm.raised", alarm.text,
              {{"kind", alarm_name(alarm.kind)},
               {"member", alarm.member},
               {"level", alarm_level_name(alarm.level)},
               {"before", alarm_level_name(before)},
               {"since", format_utc(alarm.since_unix_micros)}});
}

}  // namespace runink::server
