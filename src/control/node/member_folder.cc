#include "control/node/member_folder.h"

#include <fmt/format.h>

#include "base/text.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "platform/os/shell_words.h"

namespace runink::node {

namespace {

constexpr uint64_t kMaxConfigBytes = 64 << 10;

// Which machine this is (machine-id(5)), hashed as that page asks for; empty where it does not say.
std::string machine() {
  const auto id = os::read_file("/etc/machine-id", 4096);
  const std::string text(id.ok() ? trim(*id) : std::string_view());
  return text.empty() ? std::string() : crypto::sha256_hex("runink member " + text).substr(0, 16);
}

std::string place_text(uint64_t inode) { return fmt::format("file {}\nmachine {}\n", inode, machine()); }

Status check_place(const MemberFolder& folder) {
  if (!os::exists(folder.place_path())) {
    return failed_precondition("{} does not say any more where it was made: {} is missing", folder.root,
                               folder.place_path())
        .with_kind("member.copied")
        .with_hint(fmt::format("if this is no copy, and no copy of it runs: runi server {} --barn-only --moved",
                               os::quote_word(folder.root)));
  }
  const os::FileInfo info = RUNINK_TRY(os::file_info(folder.place_path()));
  const std::string text = RUNINK_TRY(os::read_file(folder.place_path(), 4096));
  if (text == place_text(info.inode)) return {};
  return failed_precondition("{} is a copy of a member's folder, or was moved here", folder.root)
      .with_kind("member.copied")
      .with_hint(fmt::format(
          "two that run from one folder would vote twice. If the other one will never run again: runi server {} "
          "--barn-only --moved. Otherwise remove this copy",
          os::quote_word(folder.root)));
}

Result<ReadFolder> open_config(const std::string& root) {
  const MemberFolder folder{root};
  if (!os::exists(folder.config_path())) {
    return not_found("{} holds no member of a cluster", root)
        .with_hint("found a cluster with `runi barn init`, or join one with `runi barn join`");
  }
  std::string text = RUNINK_TRY(os::read_file(folder.config_path(), kMaxConfigBytes));
  return ReadFolder{folder, RUNINK_TRY(parse_member_config(folder.config_path(), std::move(text))), {}};
}

// Whether the key that was given is the one that the files are sealed with.
Status check_key(const ReadFolder& opened, const std::string& key_file) {
  const std::string& root = opened.folder.root;
  const std::string given = opened.key ? crypto::key_id_text(opened.key->id()) : std::string();
  if (given == opened.config.key_id) return {};
  if (given.empty()) {
    return failed_precondition("the files of {} are sealed with the key {}", root, opened.config.key_id)
        .with_kind("key.missing")
        .with_hint("give its file: --key-file FILE");
  }
  if (opened.config.key_id.empty()) {
    return failed_precondition("the files of {} are not sealed, but a key was given", root)
        .with_kind("key.unsealed")
        .with_hint("leave --key-file away; sealing begins with a new member");
  }
  return failed_precondition("the files of {} are sealed with the key {}, not with {} of {}", root,
                             opened.config.key_id, given, key_file)
      .with_kind("key.wrong");
}

}  // namespace

Status write_place(const MemberFolder& folder) {
  // The file must be there to have a number, so it is written in place. What a crash leaves does not fit, and is
  // refused.
  {
    RUNINK_RETURN_IF_ERROR(os::remove_file(folder.place_path()));
    const os::Fd made = RUNINK_TRY(os::open_file(folder.place_path(), os::OpenMode::kCreateNew, 0600));
    const os::FileInfo info = RUNINK_TRY(os::file_info(made));
    RUNINK_RETURN_IF_ERROR(os::write_all(made, place_text(info.inode)));
    RUNINK_RETURN_IF_ERROR(os::sync_data(made));
  }
  return os::sync_folder(folder.root);
}

Status adopt_place(const std::string& root) {
  const MemberFolder folder{root};
  if (!os::exists(folder.config_path())) return not_found("{} holds no member of a cluster", root);
  return write_place(folder);
}

Result<ReadFolder> read_member_folder(const std::string& root, const std::string& key_file) {
  ReadFolder out = RUNINK_TRY(open_config(root));
  if (!key_file.empty()) out.key = RUNINK_TRY(crypto::SealingKey::load(key_file));
  RUNINK_RETURN_IF_ERROR(check_key(out, key_file));
  return out;
}

Result<OpenedFolder> open_member_folder(const std::string& root, const std::string& key_file) {
  RUNINK_RETURN_IF_ERROR(status_of(open_config(root)));
  RUNINK_RETURN_IF_ERROR(check_place(MemberFolder{root}));
  ReadFolder read = RUNINK_TRY(read_member_folder(root, key_file));
  crypto::Credentials credentials = RUNINK_TRY(crypto::load_credentials(read.folder.tls()));
  return OpenedFolder{std::move(read), std::move(credentials)};
}

}  // namespace runink::node
