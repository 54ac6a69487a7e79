#include "control/server/barn_metrics.h"

#include <algorithm>
#include <array>

#include "platform/telemetry/machine_stats.h"
#include "platform/telemetry/metrics.h"

namespace runink::server {
namespace {

using telemetry::Exposition;

constexpr double kMicros = 1e6, kNanos = 1e9;

std::string text(uint64_t id) { return std::to_string(id); }
double seconds_of(int64_t micros) { return static_cast<double>(micros) / kMicros; }

void raft_metrics(Exposition& out, const BarnView& barn) {
  const raft::Raft& raft = barn.member.raft();
  const raft::Member::Counters& counters = barn.member.counters();
  out.gauge("runink_barn_member_info", "Which member of which cluster this is; always 1.")
      .sample(1u, {{"member", text(raft.id())}});
  static constexpr std::string_view kRoles[] = {"follower", "pre_candidate", "candidate", "leader"};
  out.gauge("runink_barn_role", "1 for the part that this member plays, 0 for the others.");
  for (size_t role = 0; role < std::size(kRoles); ++role)
    out.sample(static_cast<size_t>(raft.role()) == role ? 1u : 0u, {{"role", kRoles[role]}});
  out.gauge("runink_barn_term", "Raft term.").sample(raft.term());
  out.gauge("runink_barn_leader", "Id of the leader as this member knows it; 0: it knows none.").sample(raft.leader());
  out.gauge("runink_barn_may_vote", "0 while this member has no vote because its storage lost entries.")
      .sample(raft.may_vote() ? 1u : 0u);
  out.gauge("runink_barn_members", "Members of the cluster, as the log has it.");
  out.sample(raft.membership().voters.size(), {{"kind", "voter"}});
  out.sample(raft.membership().learners.size(), {{"kind", "learner"}});
  out.gauge("runink_barn_last_index", "Last entry of the log.").sample(raft.log().last());
  out.gauge("runink_barn_commit_index", "Last entry that is known to be committed.").sample(raft.commit());
  out.gauge("runink_barn_applied_index", "Last entry that is applied.").sample(raft.applied());
  out.gauge("runink_barn_log_entries", "Entries that the log holds.").sample(raft.log().last() - raft.log().base());
  out.gauge("runink_barn_apply_lag_entries", "Entries committed and not applied yet.")
      .sample(raft.commit() - std::min(raft.commit(), raft.applied()));
  out.gauge("runink_barn_uncommitted_bytes", "Of a leader: proposals that are not committed yet.")
      .sample(raft.uncommitted_bytes());
  out.counter("runink_barn_elections_won_total", "Times that this member became leader.").sample(counters.elections);
  out.counter("runink_barn_entries_applied_total", "Entries applied.").sample(counters.applied);
  static constexpr std::string_view kOutcomes[] = {"applied", "not_leader", "busy", "no_space", "lost", "unknown"};
  static_assert(std::tuple_size_v<decltype(counters.outcomes)> == std::size(kOutcomes));
  out.counter("runink_barn_proposals_total", "Proposals that were answered, by what became of them.");
  for (size_t i = 0; i < std::size(kOutcomes); ++i) out.sample(counters.outcomes[i], {{"outcome", kOutcomes[i]}});
  out.gauge("runink_barn_proposals_open", "Proposals that are under way.").sample(barn.member.proposals_open());
  out.counter("runink_barn_reads_total", "Linearizable reads asked of this member.").sample(counters.reads);
  out.counter("runink_barn_appends_without_space_total",
              "Messages of the leader whose entries were thrown away because the disk is full.")
      .sample(counters.appends_without_space);
}

void progress_metrics(Exposition& out, const BarnView& barn) {
  const raft::Raft& raft = barn.member.raft();
  static const std::map<raft::NodeId, raft::Progress> kNone;
  const auto& peers = barn.member.leads() ? raft.peers() : kNone;
  out.gauge("runink_barn_peer_match_index", "Of a leader: what the other member is known to hold.");
  for (const auto& [id, peer] : peers) out.sample(peer.match, {{"peer", text(id)}});
  out.gauge("runink_barn_peer_lag_entries", "Of a leader: entries that the other member is not known to hold yet.");
  for (const auto& [id, peer] : peers)
    out.sample(raft.log().last() - std::min(peer.match, raft.log().last()), {{"peer", text(id)}});
  static constexpr std::string_view kStates[] = {"probe", "replicate", "snapshot"};
  out.gauge("runink_barn_peer_replication", "Of a leader: 1 for how the other member is brought forward.");
  for (const auto& [id, peer] : peers) {
    for (size_t state = 0; state < std::size(kStates); ++state)
      out.sample(static_cast<size_t>(peer.state) == state ? 1u : 0u, {{"peer", text(id)}, {"state", kStates[state]}});
  }
}

void transport_metrics(Exposition& out, const BarnView& barn) {
  using raft::PeerCounters;
  using raft::PeerStatus;
  const std::vector<PeerStatus> peers = barn.transport.peers();
  const auto each = [&](auto value) {
    for (const PeerStatus& peer : peers) out.sample(value(peer), {{"peer", text(peer.id)}});
  };
  out.gauge("runink_barn_peer_connected", "1 while the other member is connected.");
  each([](const PeerStatus& p) { return p.state == raft::PeerState::kUp ? 1u : 0u; });
  out.gauge("runink_barn_peer_rtt_seconds", "Round trip to the other member, smoothed; 0 until measured.");
  each([](const PeerStatus& p) { return seconds_of(p.rtt_micros); });
  out.gauge("runink_barn_peer_clock_offset_seconds", "How far the other member's wall clock is ahead of this one's.");
  for (const PeerStatus& peer : peers) {
    if (peer.clock) out.sample(seconds_of(peer.clock->micros), {{"peer", text(peer.id)}});
  }
  out.gauge("runink_barn_peer_clock_uncertainty_seconds", "How far the offset may be wrong.");
  for (const PeerStatus& peer : peers) {
    if (peer.clock) out.sample(seconds_of(peer.clock->uncertainty_micros), {{"peer", text(peer.id)}});
  }
  out.gauge("runink_barn_peer_certificate_expiry_timestamp_seconds", "When the other member's certificate ends.");
  for (const PeerStatus& peer : peers) {
    if (peer.certificate_not_after_micros != 0)
      out.sample(seconds_of(peer.certificate_not_after_micros), {{"peer", text(peer.id)}});
  }
  out.gauge("runink_barn_peer_queued_messages", "Messages that wait to be sent.");
  each([](const PeerStatus& p) { return p.queued_messages; });
  out.gauge("runink_barn_peer_queued_bytes", "Bytes that wait to be sent.");
  each([](const PeerStatus& p) { return p.queued_bytes; });

  const auto counter = [&](std::string_view name, std::string_view help, uint64_t PeerCounters::*which) {
    out.counter(name, help);
    each([which](const PeerStatus& p) { return p.counters.*which; });
  };
  counter("runink_barn_peer_messages_sent_total", "Raft messages sent.", &PeerCounters::messages_sent);
  counter("runink_barn_peer_messages_received_total", "Raft messages received.", &PeerCounters::messages_received);
  counter("runink_barn_peer_sent_bytes_total", "Bytes of frames sent, before encryption.", &PeerCounters::bytes_sent);
  counter("runink_barn_peer_received_bytes_total", "Bytes of frames received.", &PeerCounters::bytes_received);
  counter("runink_barn_peer_bulk_sent_bytes_total", "The part of those sent that was bulk (snapshots).",
          &PeerCounters::bulk_bytes_sent);
  counter("runink_barn_peer_bulk_received_bytes_total", "The part of those received that was bulk.",
          &PeerCounters::bulk_bytes_received);
  out.counter("runink_barn_peer_dropped_messages_total",
              "Messages thrown away: the peer is down, the queue is full, or they are too large. Raft repeats them.");
  for (const PeerStatus& peer : peers) {
    out.sample(peer.counters.dropped_down, {{"peer", text(peer.id)}, {"reason", "down"}});
    out.sample(peer.counters.dropped_full, {{"peer", text(peer.id)}, {"reason", "full"}});
    out.sample(peer.counters.dropped_large, {{"peer", text(peer.id)}, {"reason", "large"}});
  }
  counter("runink_barn_peer_superseded_messages_total",
          "Heartbeats and appends without entries that a newer one replaced before they were sent.",
          &PeerCounters::superseded);
  counter("runink_barn_peer_connects_total", "Connections that came to be.", &PeerCounters::connects);
  counter("runink_barn_peer_connect_failures_total", "Attempts to connect that failed.",
          &PeerCounters::connect_failures);
  counter("runink_barn_peer_disconnects_total", "Connections that ended.", &PeerCounters::disconnects);
  counter("runink_barn_peer_protocol_errors_total", "Connections closed because the peer sent what it must not.",
          &PeerCounters::protocol_errors);

  const raft::ListenerCounters& listener = barn.transport.listener_counters();
  out.counter("runink_barn_listener_connections_total", "TCP connections to the members' port.")
      .sample(listener.accepted);
  out.counter("runink_barn_listener_over_limit_total", "Of them, closed at once because there were too many.")
      .sample(listener.over_limit);
  out.counter("runink_barn_listener_refused_total", "Of them, refused in the handshake.").sample(listener.refused);
  out.counter("runink_barn_listener_strangers_total", "Of those, members by certificate that are no peers here.")
      .sample(listener.strangers);
}

void storage_metrics(Exposition& out, const BarnView& barn) {
  const raft::StorageThread::Counters journal = barn.storage.counters();
  out.histogram("runink_barn_journal_round_seconds",
                "Time of one round of the journal: writes, and the sync behind them.", journal.round_nanos, kNanos);
  out.gauge("runink_barn_journal_round_max_seconds", "The longest round since the start.")
      .sample(static_cast<double>(journal.nanos_max) / kNanos);
  out.counter("runink_barn_journal_rounds_in_loop_total", "Of the rounds, those that the event loop wrote by itself.")
      .sample(journal.rounds_in_loop);
  out.counter("runink_barn_journal_requests_total", "What was asked of the journal; rounds take many at once.")
      .sample(journal.works);
  out.counter("runink_barn_journal_entries_total", "Entries appended.").sample(journal.entries);
  out.counter("runink_barn_journal_bytes_total", "Bytes of their data.").sample(journal.bytes);
  out.gauge("runink_barn_journal_segments", "Files of the journal.").sample(journal.segments);
  out.gauge("runink_barn_journal_room_bytes", "Bytes that are reserved on the disk and not used yet.")
      .sample(journal.room_bytes);
  out.gauge("runink_barn_journal_has_space", "0: the disk is full and this member accepts nothing.")
      .sample(barn.storage.has_space() ? 1u : 0u);
  out.gauge("runink_barn_journal_writes_under_way", "Writes that the journal has not answered.")
      .sample(barn.member.writes_under_way());
  const auto disk = telemetry::disk_stats(barn.folder);
  out.gauge("runink_barn_disk_free_bytes", "Free where this member keeps its files.");
  if (disk) out.sample(disk->free_bytes);
  out.gauge("runink_barn_disk_size_bytes", "Size of that file system.");
  if (disk) out.sample(disk->size_bytes);

  const RocksKeeper::Counters& keeper = barn.keeper.counters();
  const raft::Member::Counters& member = barn.member.counters();
  out.counter("runink_barn_snapshots_made_total", "Snapshots made.").sample(member.snapshots_made);
  out.counter("runink_barn_snapshots_failed_total", "Snapshots that could not be made.")
      .sample(keeper.snapshots_failed);
  out.counter("runink_barn_snapshots_installed_total", "Snapshots of others that took the place of the state.")
      .sample(member.snapshots_installed);
  out.counter("runink_barn_snapshot_transfers_total", "Snapshots fetched from others.").sample(keeper.transfers);
  out.counter("runink_barn_snapshot_transfers_failed_total", "Fetches that failed.").sample(keeper.transfers_failed);
  out.counter("runink_barn_snapshot_received_bytes_total", "Bytes of snapshots that were sent here.")
      .sample(keeper.bytes_received);
  out.counter("runink_barn_snapshot_reused_bytes_total", "Bytes of snapshots that were here already.")
      .sample(keeper.bytes_found);
  const auto snapshot = barn.keeper.newest_snapshot();
  out.gauge("runink_barn_snapshot_index", "Entry of the newest snapshot; 0: there is none.")
      .sample(snapshot ? snapshot->index : 0);

  const barn::RocksMemory memory = barn.keeper.rocks().memory();
  out.gauge("runink_barn_rocksdb_bytes", "Bytes of the state in RocksDB, about.")
      .sample(barn.keeper.rocks().approximate_bytes());
  out.gauge("runink_barn_rocksdb_rows", "Rows of all tables in RocksDB (keys, events, sessions, …), about.")
      .sample(barn.keeper.rocks().approximate_rows());
  out.gauge("runink_barn_rocksdb_memory_bytes", "Memory of RocksDB.");
  out.sample(memory.cache, {{"part", "cache"}});
  out.sample(memory.write_buffers, {{"part", "write_buffers"}});
  out.sample(memory.table_readers, {{"part", "table_readers"}});
}

void state_metrics(Exposition& out, const BarnView& barn) {
  const barn::StateMachine& machine = barn.replica.machine();
  out.gauge("runink_barn_state_bytes", "Keys, values and events: the same on all members.")
      .sample(machine.state_bytes());
  out.gauge("runink_barn_state_events_bytes", "Of them, events.").sample(machine.event_bytes());
  out.gauge("runink_barn_state_limit_bytes", "Beyond it writes are refused.").sample(machine.limits().state_bytes);
  out.gauge("runink_barn_events_compacted_index", "Events up to this entry are forgotten.").sample(machine.compacted());
  out.gauge("runink_barn_leases", "Leases.").sample(machine.leases().size());
  out.gauge("runink_barn_sessions", "Sessions.").sample(machine.sessions().size());
  out.gauge("runink_barn_writes_refused", "1 while a replicated alarm is set: writes are refused.")
      .sample(machine.alarms().empty() ? 0u : 1u);
  out.gauge("runink_barn_watches", "Watches on this member.").sample(barn.replica.hub().watches());
  out.gauge("runink_barn_watch_ring_bytes", "Newest events in memory, for all watches.")
      .sample(barn.replica.hub().ring_bytes());
  out.counter("runink_barn_watch_table_reads_total", "Event records read from the state for watches that lag.")
      .sample(barn.replica.hub().table_reads());

  const IntegrityStatus integrity = barn.integrity.status();
  out.gauge("runink_barn_in_doubt", "1 while members differ and nobody knows who is right: this one does not serve.")
      .sample(integrity.doubt.ok() ? 0u : 1u);
  out.counter("runink_barn_scrubs_total", "Scrubs that ended.").sample(integrity.scrubs);
  out.gauge("runink_barn_scrub_failed", "1: the last scrub could not read the state.")
      .sample(integrity.scrub_result.ok() ? 0u : 1u);
  out.gauge("runink_barn_scrub_timestamp_seconds", "When the last scrub ended; 0: none has.")
      .sample(seconds_of(integrity.scrub_unix_micros));
  out.gauge("runink_barn_peer_compared_index", "The newest entry whose digests were compared with the other member's.");
  for (const auto& [id, peer] : integrity.peers) out.sample(peer.compared, {{"peer", text(id)}});
}

void chunk_metrics(Exposition& out, const BarnView& barn) {
  const ChunkStatus chunks = barn.chunks.status();
  out.gauge("runink_barn_chunks", "Chunks that this member holds, also those that nothing refers to any more.")
      .sample(chunks.stored);
  out.gauge("runink_barn_chunk_bytes", "Bytes of their files.").sample(chunks.stored_bytes);
  out.gauge("runink_barn_chunks_missing", "Chunks that keys refer to and that are not here, or damaged.")
      .sample(chunks.missing);
  out.counter("runink_barn_chunk_puts_total",
              "Chunks put by this member, for clients or before a reference to them is proposed.")
      .sample(chunks.puts);
  out.counter("runink_barn_chunk_puts_failed_total", "Of them, those that did not come onto a majority.")
      .sample(chunks.puts_failed);
  out.counter("runink_barn_chunks_taken_total", "Chunks that other members put here.").sample(chunks.taken);
  out.counter("runink_barn_chunks_fetched_total", "Chunks fetched from other members.").sample(chunks.fetched);
  out.counter("runink_barn_chunks_repaired_total", "Of them, those that were here and damaged.")
      .sample(chunks.repaired);
  out.counter("runink_barn_chunk_fetches_failed_total", "Fetches that found no member with the chunk.")
      .sample(chunks.fetches_failed);
  out.counter("runink_barn_chunks_removed_total", "Chunks removed because nothing refers to them.")
      .sample(chunks.removed);
  out.counter("runink_barn_chunk_removed_bytes_total", "Bytes of their files.").sample(chunks.removed_bytes);
  out.counter("runink_barn_chunk_sweeps_total", "Sweeps, which compare keys and chunks, that ended.")
      .sample(chunks.sweeps);
  out.gauge("runink_barn_chunk_sweep_failed", "1: the last sweep, or the removal after it, failed.")
      .sample(chunks.sweep_result.ok() ? 0u : 1u);
  out.gauge("runink_barn_chunk_sweep_timestamp_seconds", "When the last sweep ended; 0: none has.")
      .sample(seconds_of(chunks.swept_unix_micros));
}

void api_metrics(Exposition& out, const api::KeyValueServer* api) {
  const api::ApiCounters counters = api == nullptr ? api::ApiCounters() : api->counters();
  const auto counter = [&](std::string_view name, std::string_view help, uint64_t value) {
    out.counter(name, help);
    if (api != nullptr) out.sample(value);
  };
  counter("runink_barn_api_calls_total", "Calls over gRPC; a stream of packed operations is none.", counters.calls);
  counter("runink_barn_api_refused_total", "Calls and streams of somebody who may not make them.", counters.refused);
  counter("runink_barn_api_expired_total", "Calls and operations that were not answered in time.", counters.expired);
  counter("runink_barn_api_packed_operations_total", "Operations in packed streams.", counters.packed);
  counter("runink_barn_api_watches_total", "Watches begun over gRPC.", counters.watches);
  const auto by_code = [&](const api::ByCode& counts, auto sample) {
    for (size_t code = 0; code < counts.size(); ++code) {
      if (counts[code] != 0) sample(code_name(static_cast<Code>(code)), counts[code]);
    }
  };
  out.counter("runink_barn_api_answers_total", "Calls answered over gRPC by method and code; a stream when it ends.");
  for (const auto& [method, counts] : counters.answers) {
    by_code(counts, [&, &name = method](std::string_view code, uint64_t count) {
      out.sample(count, {{"method", name}, {"code", code}});
    });
  }
  out.counter("runink_barn_api_packed_failures_total", "Packed operations that failed, by code.");
  by_code(counters.packed_failures, [&](std::string_view code, uint64_t count) {
    out.sample(count, {{"code", code}});
  });
}

void alarm_metrics(Exposition& out, const AlarmSet* alarms) {
  out.gauge("runink_barn_alarm", "1: a warning, 2: critical, 0: all is well; `member` is whom it is about.");
  if (alarms == nullptr) return;
  for (const Alarm& alarm : alarms->watched()) {
    out.sample(static_cast<unsigned>(alarm.level), {{"kind", alarm_name(alarm.kind)}, {"member", text(alarm.member)}});
  }
}

void process_metrics(Exposition& out, const MetricsSources& sources, const http::HttpCounters* http) {
  out.gauge("runink_build_info", "The program; always 1.").sample(1u, {{"version", sources.version}});
  out.gauge("runink_barn_certificate_expiry_timestamp_seconds", "When this member's certificate ends.")
      .sample(seconds_of(sources.barn.transport.context().not_after_micros()));
  out.counter("runink_log_lines_total", "Lines written to the log.");
  const telemetry::Log::Counters log = sources.log == nullptr ? telemetry::Log::Counters() : sources.log->counters();
  if (sources.log != nullptr) out.sample(log.lines);
  out.counter("runink_log_dropped_lines_total",
              "Lines that are not in the log: too many of one event, a queue that is full, a disk that is.");
  if (sources.log != nullptr) {
    out.sample(log.dropped_often, {{"reason", "often"}});
    out.sample(log.dropped_queue, {{"reason", "queue"}});
    out.sample(log.dropped_error, {{"reason", "error"}});
  }
  out.counter("runink_http_requests_total", "HTTP requests answered on this port.");
  if (http != nullptr) out.sample(http->requests);
  out.counter("runink_http_bad_requests_total", "Of them, what is no request that is served.");
  if (http != nullptr) out.sample(http->bad_requests);
  out.counter("runink_http_connections_closed_to_make_room_total",
              "Connections of this port that were closed for newer ones because there were too many.");
  if (http != nullptr) out.sample(http->over_limit);
  const telemetry::ProcessStats process = telemetry::process_stats();
  out.counter("process_cpu_seconds_total", "Processor time, user and system.").sample(process.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Resident memory.").sample(process.resident_bytes);
  out.gauge("process_virtual_memory_bytes", "Address space.").sample(process.virtual_bytes);
  out.gauge("process_open_fds", "Open descriptors.").sample(process.open_fds);
  out.gauge("process_max_fds", "Most descriptors that may be open; 0: no limit.").sample(process.max_fds);
  out.gauge("process_threads", "Threads.").sample(process.threads);
  out.gauge("process_start_time_seconds", "When the process began.").sample(process.start_unix_seconds);
}

}  // namespace

std::string render_metrics(const MetricsSources& sources, const http::HttpCounters* http) {
  Exposition out;
  raft_metrics(out, sources.barn);
  progress_metrics(out, sources.barn);
  transport_metrics(out, sources.barn);
  storage_metrics(out, sources.barn);
  state_metrics(out, sources.barn);
  chunk_metrics(out, sources.barn);
  api_metrics(out, sources.api);
  alarm_metrics(out, sources.alarms);
  process_metrics(out, sources, http);
  return out.take();
}

}  // namespace runink::server
