// runi barn inspect, verify
#include <fmt/format.h>

#include "base/clock.h"
#include "base/text.h"
#include "commands.h"
#include "control/node/dump_file.h"
#include "control/node/stopped_member.h"
#include "platform/os/file.h"

namespace runink::plane {

namespace {

using cli::Cell;

std::string counted(uint64_t count, const char* one, const char* more) {
  return fmt::format("{} {}", human_count(count), count == 1 ? one : more);
}

Status print_batches(cli::Invocation& invocation, const journal::Inspection& log) {
  cli::Table table({{"segment", "SEGMENT"},
                    {"offset", "OFFSET"},
                    {"batch", "BATCH"},
                    {"first_index", "FIRST"},
                    {"entries", "ENTRIES"},
                    {"term", "TERM"},
                    {"bytes", "BYTES"}});
  for (const journal::SegmentInfo& segment : log.segments) {
    for (const journal::BatchInfo& batch : segment.batches) {
      table.add({segment.name, batch.offset, batch.header.number, batch.header.first_index,
                 uint64_t{batch.header.count}, batch.header.last_term, Cell::bytes(batch.stored_bytes)});
    }
  }
  table.set_empty_note("no batch was written");
  return invocation.print(table);
}

}  // namespace

Result<int> run_inspect(cli::Invocation& invocation) {
  const node::StoppedMember member =
      RUNINK_TRY(node::inspect_stopped_member(invocation.text("FOLDER"), RUNINK_TRY(key_file_of(invocation))));
  const journal::Inspection& log = member.log;
  if (invocation.enabled("batches")) {
    RUNINK_RETURN_IF_ERROR(print_batches(invocation, log));
    return cli::kExitDone;
  }
  uint64_t bytes = 0;
  for (const journal::SegmentInfo& segment : log.segments) bytes += segment.size;
  const auto& hard = log.hard_state;
  std::vector<cli::Field> fields = {{"cluster", "cluster", member.config.cluster_id},
                                    {"name", "name", member.config.cluster_name},
                                    {"node", "node", member.config.node},
                                    {"sealed", "sealed", log.sealed},
                                    {"term", "term", hard ? Cell(hard->state.term) : Cell()},
                                    {"vote", "vote", hard ? Cell(hard->state.vote) : Cell()},
                                    {"first_index", "first entry", log.first_index},
                                    {"last_index", "last entry", log.last_index},
                                    {"segments", "segments", uint64_t{log.segments.size()}},
                                    {"log_bytes", "log", Cell::bytes(bytes)},
                                    {"applied_index", "applied", member.state.index},
                                    {"applied_term", "of term", member.state.term},
                                    {"digest", "digest", to_string(member.state.digest)},
                                    {"snapshots", "snapshots", uint64_t{member.snapshots.size()}}};
  const auto add = [&fields](const char* key, const char* title, const std::string& text) {
    if (!text.empty()) fields.push_back({key, title, text});
  };
  add("vote_lost", "vote lost", log.vote_lost);
  if (log.lost_end)
    add("lost_end", "log ended", fmt::format("with entry {} of term {}", log.lost_end->index, log.lost_end->term));
  add("hard_state_fault", "hard state", log.hard_state_fault);
  add("torn", "torn", log.torn ? log.torn->to_string() : "");
  add("damage", "damage", log.damage ? log.damage->to_string() : "");
  RUNINK_RETURN_IF_ERROR(cli::render_fields(fields, invocation.output_form(), invocation.console()));
  return log.damage ? cli::kExitDataWrong : cli::kExitDone;
}

Result<int> run_verify(cli::Invocation& invocation) {
  const std::string& path = invocation.text("PATH");
  const os::FileInfo info = RUNINK_TRY_CONTEXT(os::file_info(path), "verify a member's folder or a backup");
  if (!info.folder() && !info.regular()) return invalid_argument("{} is neither a folder nor a file", path);
  if (info.folder()) {
    const node::Verified found = RUNINK_TRY(node::verify_stopped_member(path, RUNINK_TRY(key_file_of(invocation))));
    invocation.console().out(fmt::format("{} is whole: {} in the log, {} of state, {}, {}\n", path,
                                         counted(found.log_entries, "entry", "entries"), human_bytes(found.state_bytes),
                                         counted(found.snapshots, "snapshot", "snapshots"),
                                         counted(found.chunks, "chunk", "chunks")));
    return cli::kExitDone;
  }
  const auto dump = RUNINK_TRY(node::DumpFile::open(path));
  const barn::DumpInfo dumped = RUNINK_TRY_CONTEXT(barn::verify_dump(*dump), "verify " + path);
  invocation.console().out(fmt::format("{} is whole: {}, {}, as of entry {}, {}\n", path,
                                       counted(dumped.records, "record", "records"), human_bytes(dumped.bytes),
                                       dumped.position.index, format_utc(dumped.unix_micros)));
  return cli::kExitDone;
}

}  // namespace runink::plane
