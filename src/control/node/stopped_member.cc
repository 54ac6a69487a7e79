#include "control/node/stopped_member.h"

#include <unistd.h>

#include "control/barn/read.h"
#include "control/barn/rocks/chunk_store.h"
#include "control/barn/rocks/state_folder.h"
#include "control/barn/state_machine.h"
#include "control/cluster/cluster_frontend.h"
#include "control/journal/file_disk.h"
#include "control/node/member_folder.h"
#include "control/raft/core/membership.h"
#include "control/raft/driver/journal_storage.h"
#include "control/raft/driver/log_base.h"
#include "platform/os/file.h"

namespace runink::node {

namespace {

std::optional<crypto::SealingKey> sub_key(const ReadFolder& member, const char* purpose) {
  return member.key ? std::optional(member.key->derive(purpose)) : std::nullopt;
}

Status copy_file(const std::string& from, const std::string& to) {
  const os::Fd in = RUNINK_TRY(os::open_file(from)),
               out = RUNINK_TRY(os::open_file(to, os::OpenMode::kCreateNew, 0600));
  std::string buffer(1 << 20, '\0');
  while (const size_t n = RUNINK_TRY(os::read_some(in, buffer.data(), buffer.size())))
    RUNINK_RETURN_IF_ERROR(os::write_all(out, std::string_view(buffer).substr(0, n)));
  return {};
}

// Beside the member's folder, on the same file system (tables are linked, not copied); gone with this object.
struct Copy {
  explicit Copy(const std::string& root) : folder(fmt::format("{}.copy-{}", root, ::getpid())) {}  // no '/' at its end
  ~Copy() { (void)os::remove_tree(folder); }
  std::string state() const { return folder + "/state"; }
  std::string journal() const { return folder + "/journal"; }
  const std::string folder;
};

Result<std::unique_ptr<barn::RocksStore>> open_state(const std::string& folder,
                                                     const std::optional<crypto::SealingKey>& key, bool read_only) {
  barn::RocksOptions options;
  options.folder = folder;
  options.key = key;
  options.cache_bytes = 16 << 20;
  options.read_only = read_only;
  return barn::RocksStore::open(std::move(options));
}

// A member that runs holds locks on these.
template <typename T>
Result<T> of_stopped(Result<T> opened, const std::string& root) {
  if (opened.ok() || opened.status().kind() != "lock.held") return opened;
  return Status(opened.status()).with_hint(fmt::format("stop the member of {} first", root));
}
Result<std::unique_ptr<journal::FileDisk>> open_journal(const std::string& root) {
  const std::string folder = root + "/journal";
  if (!os::exists(folder)) return not_found("there is no journal in {}", folder);  // opening it would make one
  return of_stopped(journal::FileDisk::open_folder(folder), root);
}
Result<std::unique_ptr<barn::StateFolder>> open_state_folder(const ReadFolder& member, const std::string& root) {
  if (!os::exists(root + "/state"))
    return not_found("there is no state in {}: that member was never started, or its state was removed", root)
        .with_hint("there is nothing in it to look into or to back up");
  return of_stopped(barn::StateFolder::open_to_read(root + "/state", sub_key(member, "state")), root);
}

Status make_copy(const ReadFolder& member, const Copy& copy) {
  RUNINK_RETURN_IF_ERROR(os::remove_tree(copy.folder));
  RUNINK_RETURN_IF_ERROR(os::make_directories(copy.journal(), 0700));
  const std::string journal = member.folder.root + "/journal";
  for (const std::string& name : RUNINK_TRY(os::list_directory(journal))) {
    const std::string path = journal + "/" + name;
    if (RUNINK_TRY(os::file_info(path)).regular() && name != "lock")
      RUNINK_RETURN_IF_ERROR(copy_file(path, copy.journal() + "/" + name));
  }
  const auto state = RUNINK_TRY(open_state_folder(member, member.folder.root));
  const auto store = RUNINK_TRY(open_state(state->live(), sub_key(member, "state"), false));
  return store->checkpoint(copy.state());
}

// As JournalStorage::open asks of it: without it the member does not start, whatever its log holds.
Status verify_log_base(journal::Disk& disk, const barn::Position& state, const std::string& root) {
  const char* const hint =
      "this member does not start with it; replace it: `runi barn remove`, then `runi barn add` and `join` with an "
      "empty folder";
  const auto base = raft::read_log_base(disk);
  if (!base.ok() && (base.status().code() == Code::kNotFound || base.status().code() == Code::kDataLoss))
    return data_loss("{}/journal/log-base, which says where the log begins, is {}: {}", root,
                     base.status().code() == Code::kNotFound ? "missing" : "damaged", base.status().to_string())
        .with_hint(hint);
  if (!base.ok()) return base.status();
  if (state.index < base->index)
    return data_loss("the state of {} ends at entry {}, but its log begins behind entry {}", root, state.index,
                     base->index)
        .with_hint(hint);
  return {};
}

}  // namespace

Result<barn::DumpInfo> dump_stopped_member(const std::string& root, const std::string& key_file,
                                           const barn::ByteSink& sink) {
  const ReadFolder member = RUNINK_TRY(read_member_folder(root, key_file));
  const Copy copy(RUNINK_TRY(os::absolute_path(root)));
  RUNINK_RETURN_IF_ERROR(make_copy(member, copy));
  const auto store = RUNINK_TRY(open_state(copy.state(), sub_key(member, "state"), false));
  auto machine = RUNINK_TRY(barn::StateMachine::open(store.get()));

  const auto disk = RUNINK_TRY(journal::FileDisk::open_folder(copy.journal()));
  journal::Options options;
  options.key = sub_key(member, "journal");
  journal::Identity identity;
  identity.cluster = member.config.cluster_bytes();
  identity.node = member.config.node;
  raft::AppliedState applied{machine->position().index, machine->position().term, {}};
  if (!machine->membership().empty()) applied.membership = RUNINK_TRY(raft::decode_membership(machine->membership()));
  raft::Recovered recovered;
  journal::Recovered opened;
  RUNINK_RETURN_IF_ERROR(status_of(raft::JournalStorage::open(*disk, identity, options, applied, &recovered, &opened)));
  std::vector<raft::Entry> behind;
  for (raft::Entry& entry : recovered.entries) {
    if (entry.index > machine->position().index) behind.push_back(std::move(entry));
  }
  if (!behind.empty()) RUNINK_RETURN_IF_ERROR(status_of(machine->apply(behind)));
  return barn::export_dump(*store->view(), sink);
}

Result<StoppedMember> inspect_stopped_member(const std::string& root, const std::string& key_file) {
  ReadFolder member = RUNINK_TRY(read_member_folder(root, key_file));
  StoppedMember out;
  const auto disk = RUNINK_TRY(open_journal(root));
  out.log = RUNINK_TRY(journal::inspect(*disk, sub_key(member, "journal")));
  const auto state = RUNINK_TRY(open_state_folder(member, root));
  const auto store = RUNINK_TRY(open_state(state->live(), sub_key(member, "state"), true));
  out.state = RUNINK_TRY(barn::applied_position(*store));
  out.snapshots = RUNINK_TRY(state->snapshots());
  out.config = std::move(member.config);
  return out;
}

Result<Verified> verify_stopped_member(const std::string& root, const std::string& key_file) {
  const ReadFolder member = RUNINK_TRY(read_member_folder(root, key_file));
  Verified out;
  const auto disk = RUNINK_TRY(open_journal(root));
  RUNINK_RETURN_IF_ERROR(journal::verify(*disk, sub_key(member, "journal")));
  out.log_entries = RUNINK_TRY(journal::inspect(*disk, sub_key(member, "journal"))).entries;
  const auto key = sub_key(member, "state");
  const auto state = RUNINK_TRY(open_state_folder(member, root));
  {
    const auto store = RUNINK_TRY(open_state(state->live(), key, true));
    RUNINK_RETURN_IF_ERROR(store->verify());
    RUNINK_RETURN_IF_ERROR(verify_log_base(*disk, RUNINK_TRY(barn::applied_position(*store)), root));
    out.state_bytes = store->approximate_bytes();
  }
  for (const std::string& snapshot : RUNINK_TRY(state->snapshots())) {
    RUNINK_RETURN_IF_ERROR(status_of(barn::read_manifest(snapshot, key)));
    ++out.snapshots;
  }
  const auto chunks = barn::ChunkStore::open_to_read(member.folder.chunks(), sub_key(member, "chunks"));
  if (!chunks.ok() && chunks.status().code() != Code::kNotFound) return chunks.status();
  for (const barn::ChunkInfo& chunk : chunks.ok() ? RUNINK_TRY((*chunks)->list()) : std::vector<barn::ChunkInfo>()) {
    RUNINK_RETURN_IF_ERROR(status_of((*chunks)->get(chunk.hash)));
    ++out.chunks;
  }
  return out;
}

Result<MemberConfig> config_of_stopped_member(const std::string& root, const std::string& key_file) {
  return RUNINK_TRY(read_member_folder(root, key_file)).config;
}

Result<crypto::CertificateAuthority> authority_of_stopped_member(const std::string& root, const std::string& key_file) {
  const ReadFolder member = RUNINK_TRY(read_member_folder(root, key_file));
  // A founder's folder holds it until the cluster's first entry does.
  if (os::exists(member.folder.tls() + "/authority_key.pem"))
    return crypto::CertificateAuthority::load(member.folder.tls());
  const Copy copy(RUNINK_TRY(os::absolute_path(root)));
  RUNINK_RETURN_IF_ERROR(make_copy(member, copy));
  const auto store = RUNINK_TRY(open_state(copy.state(), sub_key(member, "state"), false));
  const auto machine = RUNINK_TRY(barn::StateMachine::open(store.get()));
  return RUNINK_TRY_CONTEXT(cluster::load_authority(*machine), "read the authority from the state of " + root);
}

}  // namespace runink::node
