// runi barn identity
#include <fmt/format.h>

#include "base/clock.h"
#include "base/text.h"
#include "commands.h"
#include "control/node/stopped_member.h"
#include "platform/config/client_folder.h"
#include "platform/os/file.h"
#include "platform/os/shell_words.h"

namespace runink::plane {

namespace {

constexpr int64_t kLifetimeMicros = 365 * crypto::kDayMicros;

// Where members serve, as the one in the folder knew it last.
config::ClientFolder client_of(const node::MemberConfig& config) {
  config::ClientFolder out{config.cluster_id, config.cluster_name, {config.addresses.api}};
  for (const auto& [id, peer] : config.peers) out.endpoints.push_back(peer.api);
  return out;
}

// A folder that is there already is taken where it reaches the same cluster: what has ended is replaced.
Status check_out(const std::string& out, const std::string& cluster_id) {
  if (!os::exists(out) || RUNINK_TRY(os::list_directory(out)).empty()) return {};
  const auto there = config::load_client_folder(out);
  if (there.ok() && there->cluster_id == cluster_id) return {};
  return already_exists("{} is there, and does not reach this cluster ({})", out, cluster_id)
      .with_hint("give a folder that is not there, is empty, or is a client folder of this cluster");
}

}  // namespace

Result<int> run_identity(cli::Invocation& invocation) {
  const std::string &out = invocation.text("OUT"), &folder = invocation.text("folder"), &user = invocation.text("user");
  RUNINK_RETURN_IF_ERROR(check_not_empty(invocation, "OUT"));
  if (folder.empty()) return invocation.usage_error("--folder names the folder of a stopped member");
  if (Status bad = crypto::check_name(crypto::Role::kUser, user); !bad.ok())
    return std::move(bad).with_kind(cli::kKindUsage);
  const std::string key_file = RUNINK_TRY(key_file_of(invocation));

  const node::MemberConfig config = RUNINK_TRY(node::config_of_stopped_member(folder, key_file));
  RUNINK_RETURN_IF_ERROR(check_out(out, config.cluster_id));
  const auto authority = RUNINK_TRY(node::authority_of_stopped_member(folder, key_file));
  const auto person = RUNINK_TRY(crypto::make_identity(config.trust_domain(), crypto::Role::kUser, user));
  const int64_t now = system_clock().unix_micros();
  const crypto::Credentials credentials = RUNINK_TRY(crypto::make_credentials(authority, person, now, kLifetimeMicros));
  RUNINK_RETURN_IF_ERROR(os::make_directories(out, 0700));
  RUNINK_RETURN_IF_ERROR(crypto::save_credentials(credentials, out));
  // One that is there may know the members better.
  if (!os::exists(out + "/cluster.toml")) RUNINK_RETURN_IF_ERROR(config::save_client_folder(out, client_of(config)));
  invocation.console().out(fmt::format("{}: user {} of cluster {} ({}), until {}\n", out, user, config.cluster_name,
                                       config.cluster_id,
                                       format_utc(credentials.certificate.not_after_micros()).substr(0, 10)));
  invocation.console().say(fmt::format("use it:   runi barn status --cluster {}", os::quote_word(out)));
  return cli::kExitDone;
}

}  // namespace runink::plane
