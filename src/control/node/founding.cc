#include "control/node/founding.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "base/clock.h"
#include "base/text.h"
#include "control/cluster/cluster_frontend.h"
#include "control/node/dump_file.h"
#include "control/server/barn_server.h"
#include "platform/config/client_folder.h"
#include "platform/net/join_exchange.h"
#include "platform/os/file.h"

namespace runink::node {

namespace {

constexpr raft::NodeId kFounder = 1;
constexpr int64_t kOperatorMicros = 365 * crypto::kDayMicros;
constexpr int kMostRedirects = 5;

// The folder while it is made: beside its place, and gone again unless it is finished.
class FolderInTheMaking {
 public:
  static Result<FolderInTheMaking> begin(const std::string& wanted) {
    const std::string folder = RUNINK_TRY(os::absolute_path(wanted));
    if (os::exists(folder)) {
      const auto there = os::list_directory(folder);
      if (!there.ok() || !there->empty())
        return already_exists("{} is there already", wanted).with_hint("give a folder that is not there, or is empty");
    }
    RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(folder)));
    RUNINK_RETURN_IF_ERROR(remove_leftovers(folder));
    FolderInTheMaking out(folder, fmt::format("{}.making-{}", folder, ::getpid()));
    RUNINK_RETURN_IF_ERROR(os::remove_tree(out.at_.root));
    RUNINK_RETURN_IF_ERROR(os::make_directories(out.at_.root, 0700));
    return out;
  }
  FolderInTheMaking(FolderInTheMaking&& other) noexcept
      : wanted_(std::move(other.wanted_)), at_(std::exchange(other.at_, {})) {}
  ~FolderInTheMaking() {
    if (!at_.root.empty()) (void)os::remove_tree(at_.root);
  }

  const MemberFolder& at() const { return at_; }
  Status finish(const MemberConfig& config) {
    RUNINK_RETURN_IF_ERROR(write_place(at_));
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(at_.config_path(), encode(config), 0600));
    // Into the place of an empty folder too, as rename(2) says.
    RUNINK_RETURN_IF_ERROR(os::rename_file(at_.root, wanted_));
    at_.root.clear();
    return os::sync_folder(os::folder_of(wanted_));
  }

 private:
  // Of commands that were killed: they hold private keys. Those of processes that run are left alone.
  static Status remove_leftovers(const std::string& folder) {
    const std::string parent = os::folder_of(folder), prefix = os::file_name_of(folder) + ".making-";
    for (const std::string& name : RUNINK_TRY(os::list_directory(parent))) {
      if (!name.starts_with(prefix)) continue;
      pid_t pid = 0;
      const char* const end = name.data() + name.size();
      const auto parsed = std::from_chars(name.data() + prefix.size(), end, pid);
      if (parsed.ec != std::errc() || parsed.ptr != end || pid <= 0) continue;
      if (::kill(pid, 0) != 0 && errno == ESRCH) RUNINK_RETURN_IF_ERROR(os::remove_tree(os::join_path(parent, name)));
    }
    return {};
  }

  FolderInTheMaking(std::string wanted, std::string root) : wanted_(std::move(wanted)), at_{std::move(root)} {}
  std::string wanted_;
  MemberFolder at_;
};

Result<std::optional<crypto::SealingKey>> key_of(const NewMember& wanted, MemberConfig* config) {
  if (wanted.key_file.empty()) return std::optional<crypto::SealingKey>();
  crypto::SealingKey key = RUNINK_TRY(crypto::SealingKey::load(wanted.key_file));
  config->key_id = crypto::key_id_text(key.id());
  return std::optional(std::move(key));
}

MemberConfig config_of(const NewMember& wanted) {
  MemberConfig config;
  config.tick_nanos = wanted.tick_nanos;
  config.addresses = wanted.addresses;
  config.listen_host = wanted.listen_host;
  return config;
}

server::BarnOptions barn_options(const MemberFolder& folder, const MemberConfig& config,
                                 const std::optional<crypto::SealingKey>& key) {
  server::BarnOptions options;
  options.folder = folder.root;
  options.identity.cluster = config.cluster_bytes();
  options.identity.node = config.node;
  options.key = key;
  return options;
}

// A cluster's first member, but for its state: authority, its certificate, its operator's, journal.
Status make_founder(const MemberFolder& folder, const MemberConfig& config,
                    const std::optional<crypto::SealingKey>& key) {
  const int64_t now = system_clock().unix_micros();
  const auto authority = RUNINK_TRY(crypto::CertificateAuthority::create(config.trust_domain(), now));
  const auto self = RUNINK_TRY(crypto::barn_identity(config.trust_domain(), config.node));
  RUNINK_RETURN_IF_ERROR(
      crypto::save_credentials(RUNINK_TRY(crypto::make_credentials(authority, self, now)), folder.tls()));
  // Until the first entry holds it.
  RUNINK_RETURN_IF_ERROR(authority.save(folder.tls()));
  const auto person = RUNINK_TRY(crypto::make_identity(config.trust_domain(), crypto::Role::kUser, "operator"));
  RUNINK_RETURN_IF_ERROR(crypto::save_credentials(
      RUNINK_TRY(crypto::make_credentials(authority, person, now, kOperatorMicros)), folder.client()));
  RUNINK_RETURN_IF_ERROR(
      config::save_client_folder(folder.client(), {config.cluster_id, config.cluster_name, {config.addresses.api}}));
  return server::BarnServer::create(barn_options(folder, config, key), {{config.node}, {}});
}

Result<MemberConfig> founder_config(const NewMember& wanted) {
  RUNINK_RETURN_IF_ERROR(check_cluster_name(wanted.cluster_name));
  MemberConfig config = config_of(wanted);
  config.cluster_id = new_cluster_id();
  config.cluster_name = wanted.cluster_name;
  config.node = kFounder;
  return config;
}

std::string wire_addresses(const MemberAddresses& addresses) {
  cluster::v1::Addresses out;
  out.set_api(addresses.api);
  out.set_members(addresses.members);
  out.set_join(addresses.join);
  out.set_metrics(addresses.metrics);
  return out.SerializeAsString();
}

// The token's member may have lost the lead since: it then names who has it.
Result<net::Joined> ask(net::JoinToken token, const crypto::Identity& identity, const std::string& information) {
  const crypto::PrivateKey key = RUNINK_TRY(crypto::PrivateKey::generate());
  for (int redirects = 0;; ++redirects) {
    Result<net::Joined> joined =
        net::join_cluster(token, key, identity, information, system_clock().unix_micros(), net::JoinOptions());
    if (joined.ok() || joined.status().kind() != "barn.not_leader" || redirects == kMostRedirects) return joined;
    if (joined.status().details().empty())
      return Status(joined.status()).with_hint("the cluster has no leader at the moment; try again in a while");
    token.address = joined.status().details()[0];
  }
}

}  // namespace

Status check_cluster_name(const std::string& name) {
  if (crypto::trust_domain_of(name).ok()) return {};
  return invalid_argument("'{}' cannot be a cluster's name: 1 to 63 of a-z, 0-9 and '-', with no '-' first or last",
                          escape_control(name.substr(0, 80)));
}

Result<MemberConfig> found_cluster(const NewMember& wanted) {
  MemberConfig config = RUNINK_TRY(founder_config(wanted));
  const auto key = RUNINK_TRY(key_of(wanted, &config));
  FolderInTheMaking making = RUNINK_TRY(FolderInTheMaking::begin(wanted.folder));
  RUNINK_RETURN_IF_ERROR(make_founder(making.at(), config, key));
  RUNINK_RETURN_IF_ERROR(making.finish(config));
  return config;
}

Result<MemberConfig> join_cluster(const NewMember& wanted, const std::string& text) {
  const net::JoinToken token = RUNINK_TRY(net::parse_join_token(text, system_clock().unix_micros()));
  MemberConfig config = config_of(wanted);
  config.cluster_id = token.cluster_id;
  config.node = token.node;
  const auto key = RUNINK_TRY(key_of(wanted, &config));
  // All that can fail here comes first: the token counts once.
  FolderInTheMaking making = RUNINK_TRY(FolderInTheMaking::begin(wanted.folder));
  RUNINK_RETURN_IF_ERROR(server::BarnServer::create(barn_options(making.at(), config, key), {}));

  const auto identity = RUNINK_TRY(crypto::barn_identity(config.trust_domain(), config.node));
  const net::Joined joined = RUNINK_TRY(ask(token, identity, wire_addresses(wanted.addresses)));
  cluster::v1::JoinInformation information;
  if (!information.ParseFromString(joined.information) || information.cluster_id() != config.cluster_id)
    return data_loss("what the member at {} says about the cluster cannot be read", token.address);
  config.cluster_name = information.cluster_name();
  for (const auto& member : information.members())
    config.peers[member.node()] = {member.addresses().members(), member.addresses().api()};
  RUNINK_RETURN_IF_ERROR(crypto::save_credentials(joined.credentials, making.at().tls()));
  RUNINK_RETURN_IF_ERROR(making.finish(config));
  return config;
}

Result<Restored> restore_cluster(const NewMember& wanted, const std::string& backup_file) {
  Restored out;
  out.config = RUNINK_TRY(founder_config(wanted));
  const auto key = RUNINK_TRY(key_of(wanted, &out.config));
  std::unique_ptr<DumpFile> dump = RUNINK_TRY(DumpFile::open(backup_file));
  out.backup = RUNINK_TRY_CONTEXT(barn::verify_dump(*dump), "verify " + backup_file);
  RUNINK_RETURN_IF_ERROR(dump->rewind());
  FolderInTheMaking making = RUNINK_TRY(FolderInTheMaking::begin(wanted.folder));
  RUNINK_RETURN_IF_ERROR(make_founder(making.at(), out.config, key));

  // Above that of the backup, and above that of any other cluster made from the same one.
  barn::ImportOptions import;
  import.incarnation = out.incarnation =
      std::max<uint64_t>(out.backup.incarnation + 1, static_cast<uint64_t>(system_clock().unix_micros()));
  server::KeeperOptions keeper;
  keeper.root = making.at().root + "/state";
  if (key) keeper.key = key->derive("state");
  {
    // Closed before the folder gets another name: the store works on in the background as long as it is open.
    const auto state = RUNINK_TRY(server::RocksKeeper::open(std::move(keeper), [](std::function<void()>) {}));
    out.backup = RUNINK_TRY_CONTEXT(barn::import_dump(*dump, *state->store(), import), "restore " + backup_file);
    RUNINK_RETURN_IF_ERROR(state->sync());
  }
  RUNINK_RETURN_IF_ERROR(making.finish(out.config));
  return out;
}

}  // namespace runink::node
