// runi barn init, join, restore
#include <fmt/format.h>

#include <iostream>
#include <string>

#include "base/clock.h"
#include "commands.h"
#include "control/node/founding.h"
#include "platform/net/join_token.h"
#include "platform/os/shell_words.h"

namespace runink::plane {

namespace {

Result<node::NewMember> wanted(const cli::Invocation& invocation) {
  RUNINK_RETURN_IF_ERROR(check_not_empty(invocation, "FOLDER"));
  node::NewMember out;
  out.folder = invocation.text("FOLDER");
  const auto addresses = node::addresses_at(
      invocation.text("host"), static_cast<int>(std::clamp<int64_t>(invocation.integer("port"), -1, 100'000)));
  if (!addresses.ok()) return Status(addresses.status()).with_kind(cli::kKindUsage);
  out.addresses = *addresses;
  out.listen_host = invocation.text("listen");
  if (Status bad = node::check_listen_host(out.listen_host); !bad.ok())
    return std::move(bad).with_kind(cli::kKindUsage);
  out.key_file = RUNINK_TRY(key_file_of(invocation));
  return out;
}

void say_next(cli::Invocation& invocation, const node::MemberConfig& config) {
  cli::Console& console = invocation.console();
  const std::string &folder = invocation.text("FOLDER"),
                    key = invocation.given("key-file") ? " --key-file " + os::quote_word(invocation.text("key-file"))
                                                       : "";
  console.say(fmt::format("start it:     runi server {} --barn-only{}", os::quote_word(folder), key));
  if (config.node == 1) {
    console.say(fmt::format("let one in:   runi barn add --cluster {}", os::quote_word(folder + "/client")));
  }
}

}  // namespace

Result<std::string> key_file_of(const cli::Invocation& invocation) {
  const std::string& name = invocation.text("key-file");
  if (invocation.given("key-file") && name.empty())
    return invocation.usage_error("--key-file is empty: name the file, or leave the flag away to write unsealed files");
  return name;
}

Status check_not_empty(const cli::Invocation& invocation, const char* argument) {
  return invocation.text(argument).empty() ? invocation.usage_error(fmt::format("{} is empty", argument)) : Status();
}

Result<int> run_init(cli::Invocation& invocation) {
  node::NewMember member = RUNINK_TRY(wanted(invocation));
  member.cluster_name = invocation.text("name");
  if (Status bad = node::check_cluster_name(member.cluster_name); !bad.ok())
    return std::move(bad).with_kind(cli::kKindUsage);
  const node::MemberConfig config = RUNINK_TRY(node::found_cluster(member));
  invocation.console().out(
      fmt::format("cluster {} ({}): member 1 in {}\n", config.cluster_name, config.cluster_id, member.folder));
  say_next(invocation, config);
  return cli::kExitDone;
}

Result<int> run_join(cli::Invocation& invocation) {
  const node::NewMember member = RUNINK_TRY(wanted(invocation));
  std::string token = invocation.text("TOKEN");
  if (token == "-" && (!std::getline(std::cin, token) || token.empty()))
    return invocation.usage_error("there is no token on standard input");
  const auto parsed = net::parse_join_token(token, system_clock().unix_micros());
  if (!parsed.ok() && parsed.status().code() == Code::kInvalidArgument)
    return Status(parsed.status()).with_kind(cli::kKindUsage);
  const node::MemberConfig config = RUNINK_TRY(node::join_cluster(member, token));
  invocation.console().out(fmt::format("cluster {} ({}): member {} in {}\n", config.cluster_name, config.cluster_id,
                                       config.node, member.folder));
  say_next(invocation, config);
  return cli::kExitDone;
}

Result<int> run_restore(cli::Invocation& invocation) {
  node::NewMember member = RUNINK_TRY(wanted(invocation));
  member.cluster_name = invocation.text("name");
  if (Status bad = node::check_cluster_name(member.cluster_name); !bad.ok())
    return std::move(bad).with_kind(cli::kKindUsage);
  const node::Restored restored = RUNINK_TRY(node::restore_cluster(member, invocation.text("FILE")));
  invocation.console().out(fmt::format("cluster {} ({}): member 1 in {}\n{} records as of entry {}, {}\n",
                                       restored.config.cluster_name, restored.config.cluster_id, member.folder,
                                       restored.backup.records, restored.backup.position.index,
                                       format_utc(restored.backup.unix_micros)));
  say_next(invocation, restored.config);
  return cli::kExitDone;
}

}  // namespace runink::plane
