// runi barn status, members, add, remove, promote, transfer, snapshot, backup
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/text.h"
#include "client/cli/exit_code.h"
#include "cluster_access.h"
#include "commands.h"
#include "control/cluster/cluster_frontend.h"
#include "control/node/dump_file.h"
#include "control/node/stopped_member.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"

namespace runink::plane {

namespace {

StopFlag g_stop;
constexpr int64_t kTokenMicrosLeast = 1'000'000;

using cli::Cell;
using cli::Style;

Result<uint64_t> node_of(const cli::Invocation& invocation) {
  const int64_t node = invocation.integer("NODE");
  if (node < 1) return invocation.usage_error("members are numbered from 1 on");
  return static_cast<uint64_t>(node);
}

Cell expiry(int64_t micros) {
  const int64_t days = (micros - system_clock().unix_micros()) / crypto::kDayMicros;
  return Cell::time(micros).shown_as(format_utc(micros).substr(0, 10)).styled(days < 14 ? Style::kRed : Style::kPlain);
}

bool is_refusal(const Status& status) {
  return status.code() == Code::kPermissionDenied || status.code() == Code::kUnauthenticated;
}

// What that means: one refusal says more than others that cannot be reached.
Status nobody_answered(const std::vector<Status>& failed, const std::string& folder) {
  const auto refused = std::find_if(failed.begin(), failed.end(), is_refusal);
  if (refused != failed.end())
    return permission_denied("no member lets this user ask: {}", refused->message())
        .with_hint(fmt::format("the certificate in {} is of another user; --cluster names another folder", folder));
  const bool silent = std::all_of(failed.begin(), failed.end(),
                                  [](const Status& status) { return status.code() == Code::kDeadlineExceeded; });
  if (silent) return deadline_exceeded("nobody answered in time").with_hint("a larger --timeout waits longer");
  return unavailable("no member was reached").with_hint("are they running, and can this machine reach them?");
}

// Where the cluster says that members serve; else what the client folder says.
std::vector<std::string> endpoints_of(ClusterAccess& access) {
  std::vector<std::string> out = access.endpoints;
  const auto members = access.client->members();
  if (!members.ok()) return out;
  remember_endpoints(access, *members);
  out.clear();
  for (const auto& member : members->members()) out.push_back(member.record().addresses().api());
  return out;
}

}  // namespace

Result<int> run_status(cli::Invocation& invocation) {
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  cli::Table table({{"node", "NODE"},
                    {"role", "ROLE"},
                    {"term", "TERM"},
                    {"leader", "LEADER"},
                    {"commit", "COMMIT"},
                    {"applied", "APPLIED"},
                    {"state_bytes", "STATE"},
                    {"snapshot", "SNAPSHOT", true},
                    {"log_base", "LOG FROM", true},
                    {"votes", "VOTES", true},
                    {"digest", "DIGEST", true},
                    {"sessions", "SESSIONS", true},
                    {"leases", "LEASES", true},
                    {"certificate_until", "CERTIFICATE UNTIL", true},
                    {"version", "VERSION", true},
                    {"started", "STARTED", true},
                    {"api", "ADDRESS"},
                    {"alarms", "ALARMS"},
                    {"error", "ERROR"}});
  bool led = false;
  std::vector<Status> failed;
  size_t answered = 0;
  for (const std::string& endpoint : endpoints_of(access)) {
    const auto said = access.client->status(endpoint);
    if (!said.ok()) {
      failed.push_back(said.status());
      std::vector<Cell> cells(19);
      const bool refused = is_refusal(said.status());
      cells[1] = Cell(refused ? "refused" : "unreachable").styled(Style::kRed);
      cells[16] = endpoint;
      cells[17] = Cell::list({});
      cells[18] = said.status().message();
      table.add(std::move(cells));
      continue;
    }
    ++answered;
    led = led || said->role() == "leader";
    std::vector<std::string> alarms;
    for (const auto& alarm : said->alarms()) {
      // Of the others each member has its own opinion; whom it is about says the number.
      alarms.push_back(alarm.member() == said->node() ? alarm.kind()
                                                      : fmt::format("{} of {}", alarm.kind(), alarm.member()));
    }
    table.add({said->node(), Cell(said->role()).styled(said->role() == "leader" ? Style::kGreen : Style::kPlain),
               said->term(), said->leader() == 0 ? Cell() : Cell(said->leader()), said->commit(), said->applied(),
               Cell::bytes(said->state_bytes()), said->snapshot() == 0 ? Cell() : Cell(said->snapshot()),
               said->log_base(), said->may_vote(), said->digest(), said->sessions(), said->leases(),
               expiry(said->certificate_not_after_micros()), said->version(), Cell::time(said->started_micros()),
               said->addresses().api(), Cell::list(alarms), Cell()});
  }
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  if (led) return cli::kExitDone;
  return answered > 0
             ? unavailable("no member leads").with_hint("a majority of the members has to run and reach each other")
             : nobody_answered(failed, access.folder);
}

Result<int> run_members(cli::Invocation& invocation) {
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  const sdk::v1::MembersResponse members = RUNINK_TRY(access.client->members());
  remember_endpoints(access, members);
  cli::Table table({{"node", "NODE"},
                    {"role", "ROLE"},
                    {"connected", "CONNECTED"},
                    {"behind", "BEHIND"},
                    {"rtt_micros", "ROUND TRIP"},
                    {"api", "CLIENTS AT"},
                    {"members", "MEMBERS AT", true},
                    {"join", "JOIN AT", true},
                    {"metrics", "METRICS AT", true},
                    {"joined", "JOINED", true},
                    {"trouble", "TROUBLE"}});
  for (const auto& member : members.members()) {
    const auto& record = member.record();
    const uint64_t behind = members.last() - std::min(members.last(), member.match());
    table.add({record.node(), Cell(member.role()).styled(member.role() == "leader" ? Style::kGreen : Style::kPlain),
               member.connected(), Cell::count(behind),
               member.rtt_micros() == 0
                   ? Cell()
                   : Cell(member.rtt_micros()).shown_as(human_duration(static_cast<double>(member.rtt_micros()) / 1e6)),
               record.addresses().api(), record.addresses().members(), record.addresses().join(),
               record.addresses().metrics(), Cell::time(record.joined_micros()),
               member.rejoining() ? "its disk lost entries; it votes again once it has them" : member.trouble()});
  }
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  for (const auto& token : members.tokens()) {
    invocation.console().say(
        fmt::format("a token for member {} is good until {}", token.node(), format_utc(token.expires_micros())));
  }
  return cli::kExitDone;
}

Result<int> run_add(cli::Invocation& invocation) {
  if (const int64_t ttl = invocation.duration_micros("ttl"); ttl < kTokenMicrosLeast || ttl > cluster::kTokenMicrosMost)
    return invocation.usage_error(
        fmt::format("--ttl is between 1s and {}d", cluster::kTokenMicrosMost / crypto::kDayMicros));
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  sdk::v1::AddMemberRequest request;
  request.set_ttl_micros(invocation.duration_micros("ttl"));
  request.set_votes_when_ready(!invocation.enabled("learner"));
  const sdk::v1::AddMemberResponse added = RUNINK_TRY(access.client->add_member(request));
  invocation.console().out(added.token() + "\n");
  invocation.console().say(fmt::format("member {} may join once until {}; on the new machine:", added.node(),
                                       format_utc(added.expires_micros())));
  invocation.console().say("  runi barn join FOLDER TOKEN --host ITS-ADDRESS");
  return cli::kExitDone;
}

Result<int> run_remove(cli::Invocation& invocation) {
  const uint64_t node = RUNINK_TRY(node_of(invocation));
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  const sdk::v1::ChangeResponse changed = RUNINK_TRY(access.client->remove_member(node));
  invocation.console().out(fmt::format("member {} is out of the cluster since entry {}\n", node, changed.index()));
  return cli::kExitDone;
}

Result<int> run_promote(cli::Invocation& invocation) {
  const uint64_t node = RUNINK_TRY(node_of(invocation));
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  const sdk::v1::ChangeResponse changed = RUNINK_TRY(access.client->promote_member(node));
  invocation.console().out(fmt::format("member {} votes since entry {}\n", node, changed.index()));
  return cli::kExitDone;
}

Result<int> run_transfer(cli::Invocation& invocation) {
  const uint64_t to = invocation.given("NODE") ? RUNINK_TRY(node_of(invocation)) : 0;
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  const sdk::v1::TransferResponse transferred = RUNINK_TRY(access.client->transfer(to));
  if (to != 0 && transferred.leader() != to)
    return aborted("member {} leads now, and not {}", transferred.leader(), to).with_hint("try again");
  invocation.console().out(fmt::format("member {} leads\n", transferred.leader()));
  return cli::kExitDone;
}

Result<int> run_snapshot(cli::Invocation& invocation) {
  ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
  Status first;
  for (const std::string& endpoint : endpoints_of(access)) {
    const auto taken = access.client->snapshot(endpoint);
    if (taken.ok()) {
      invocation.console().out(fmt::format("{}: as of entry {}\n", endpoint, taken->index()));
    } else if (first.ok()) {
      first = Status(taken.status()).with_context("have " + endpoint + " write a snapshot");
    }
  }
  RUNINK_RETURN_IF_ERROR(first);
  return cli::kExitDone;
}

Result<int> run_backup(cli::Invocation& invocation) {
  const std::string& path = invocation.text("FILE");
  RUNINK_RETURN_IF_ERROR(check_not_empty(invocation, "FILE"));
  const std::string key_file = RUNINK_TRY(key_file_of(invocation));
  if (os::exists(path)) return already_exists("{} is there already", path).with_hint("give another name, or remove it");
  // What is written holds the cluster's secrets: it goes again when somebody stops this.
  os::install_stop_signals(&g_stop);
  node::DumpOutput file = RUNINK_TRY(node::DumpOutput::create(path));
  const barn::ByteSink sink = [&file](std::string_view bytes) {
    if (g_stop.requested()) return Status(Code::kCancelled, "interrupted").with_kind(cli::kKindInterrupted);
    return file.write(bytes);
  };
  if (invocation.given("folder")) {
    RUNINK_RETURN_IF_ERROR(status_of(node::dump_stopped_member(invocation.text("folder"), key_file, sink)));
  } else {
    ClusterAccess access = RUNINK_TRY(open_cluster(invocation));
    RUNINK_RETURN_IF_ERROR(access.client->backup(sink));
  }
  RUNINK_RETURN_IF_ERROR(file.sync());
  // Read back: what is not whole does not get the name.
  const auto written = RUNINK_TRY(file.read_back());
  const barn::DumpInfo info = RUNINK_TRY_CONTEXT(barn::verify_dump(*written), "read the backup back");
  RUNINK_RETURN_IF_ERROR(file.publish());
  invocation.console().out(fmt::format("{}: {} records, {}, as of entry {}, {}\n", path, human_count(info.records),
                                       human_bytes(info.bytes), info.position.index, format_utc(info.unix_micros)));
  return cli::kExitDone;
}

}  // namespace runink::plane
