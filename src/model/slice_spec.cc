#include "model/slice_spec.h"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"

namespace runink::model {
namespace {

constexpr size_t kMostMounts = 256;
constexpr size_t kMostSecrets = 256;
constexpr uint64_t kLeastScratch = 64u << 10;
constexpr uint64_t kLeastEncrypted = 16u << 20;  // of a file system on disk

// What the slice has of itself: nothing may be mounted there or below, since it would change what the sandbox is made
// of.
constexpr const char* kOwnFolders[] = {"/usr",    "/bin", "/sbin", "/lib", "/lib32",       "/lib64",
                                       "/libx32", "/etc", "/proc", "/dev", "/run/secrets", "/sys"};
// These are made by the slice; something may be mounted below them, not over them.
constexpr const char* kNeededFolders[] = {"/", "/run", "/tmp"};
// Windows into the host's kernel and devices rather than files.
constexpr const char* kForbiddenSources[] = {"/proc", "/sys", "/dev"};

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Status check_program(const SliceSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return invalid_argument("start a slice: no program is named").with_hint("name the program and its arguments");
  }
  for (size_t i = 0; i < spec.argv.size(); ++i) {
    if (has_nul(spec.argv[i])) return invalid_argument("start a slice: argument {} holds a NUL byte", i);
  }
  return {};
}

Status check_environment(const SliceSpec& spec) {
  std::set<std::string> seen;
  for (const auto& [name, value] : spec.environment) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name)) {
      return invalid_argument("environment: \"{}\" is not a name", escape_control(name))
          .with_hint("a name is not empty and holds no \"=\"");
    }
    if (has_nul(value)) return invalid_argument("environment: the value of {} holds a NUL byte", escape_control(name));
    if (!seen.insert(name).second) {
      return invalid_argument("environment: {} is set twice", escape_control(name)).with_hint("set it once");
    }
  }
  return {};
}

Status check_target(const SliceMount& mount) {
  for (const char* own : kOwnFolders) {
    if (!is_within(mount.target, own)) continue;
    return invalid_argument("mount at {}: {} of a slice is made by Runink", escape_control(mount.target), own)
        .with_hint("mount it elsewhere, such as /data");
  }
  for (const char* needed : kNeededFolders) {
    if (mount.target != needed) continue;
    return invalid_argument("mount at {}: that would hide a folder the slice needs", needed)
        .with_hint("mount it elsewhere, such as /data");
  }
  return {};
}

Status check_mounts(const SliceSpec& spec) {
  if (spec.mounts.size() > kMostMounts) return invalid_argument("a slice has at most {} mounts", kMostMounts);
  for (size_t i = 0; i < spec.mounts.size(); ++i) {
    const SliceMount& mount = spec.mounts[i];
    for (const std::string* path : {&mount.source, &mount.target}) {
      if (is_plain_absolute(*path)) continue;
      return invalid_argument("mount {} at {}: \"{}\" is not a plain absolute path", escape_control(mount.source),
                              escape_control(mount.target), escape_control(*path))
          .with_hint("it begins with \"/\" and has no empty part, no \".\" and no \"..\"");
    }
    if (mount.source == "/") {
      return invalid_argument("mount / at {}: a slice is not given the whole host", escape_control(mount.target))
          .with_hint("mount the folders that it needs");
    }
    for (const char* forbidden : kForbiddenSources) {
      if (!is_within(mount.source, forbidden)) continue;
      return invalid_argument("mount {} at {}: a slice is given nothing of the host's {}", escape_control(mount.source),
                              escape_control(mount.target), forbidden);
    }
    RUNINK_RETURN_IF_ERROR(check_target(mount));
    for (size_t j = 0; j < i; ++j) {
      const std::string& other = spec.mounts[j].target;
      if (!is_within(mount.target, other) && !is_within(other, mount.target)) continue;
      return invalid_argument("mounts at {} and {}: one hides the other, or lies in it", escape_control(other),
                              escape_control(mount.target))
          .with_hint("give each a folder of its own");
    }
  }
  return {};
}

bool is_secret_name(const std::string& name) {
  if (name.empty() || name.size() > 128 || name[0] == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

Status check_secrets(const SliceSpec& spec) {
  if (spec.secrets.size() > kMostSecrets) return invalid_argument("a slice has at most {} secrets", kMostSecrets);
  std::set<std::string> seen;
  for (const SliceSecret& secret : spec.secrets) {
    if (!is_secret_name(secret.name)) {
      return invalid_argument("secret \"{}\": that is not a name", escape_control(secret.name))
          .with_hint("letters, digits, \"_\", \"-\" and \".\", not first, at most 128");
    }
    if (!seen.insert(secret.name).second) return invalid_argument("secret {} is given twice", secret.name);
    if (secret.bytes.size() > kMostSecretBytes) {
      return invalid_argument("secret {} has {}; a secret has at most {}", secret.name,
                              human_bytes(secret.bytes.size()), human_bytes(kMostSecretBytes))
          .with_hint("mount what is large");
    }
  }
  return {};
}

Status check_identity(const SliceSpec& spec) {
  if (!spec.act_as) return {};
  constexpr uint32_t kNobody = 0xFFFF'FFFF;  // the kernel's "no id"
  const SliceIdentity& identity = *spec.act_as;
  if (identity.user == 0 || identity.group == 0) {
    return invalid_argument("act as {}:{}: a slice does not act as root", identity.user, identity.group)
        .with_hint("name a user and a group of this host that are not 0");
  }
  if (identity.user == kNobody || identity.group == kNobody) {
    return invalid_argument("act as {}:{}: ids are 1 to {}", identity.user, identity.group, kNobody - 1);
  }
  return {};
}

Status check_scratch(const SliceSpec& spec) {
  const bool on_disk = !spec.scratch_folder.empty();
  if (on_disk && !is_plain_absolute(spec.scratch_folder)) {
    return invalid_argument("scratch in \"{}\": not a plain absolute path", escape_control(spec.scratch_folder))
        .with_hint("it begins with \"/\" and has no empty part, no \".\" and no \"..\"");
  }
  const uint64_t least = on_disk ? kLeastEncrypted : kLeastScratch;
  if (spec.scratch_bytes < least) {
    return invalid_argument("scratch of {} bytes: the least is {}{}", spec.scratch_bytes, least,
                            on_disk ? " on disk" : "");
  }
  constexpr uint64_t kMost = 1ull << 50;
  if (spec.scratch_bytes > kMost) {
    return invalid_argument("scratch of {} bytes: the most is {}", spec.scratch_bytes, kMost);
  }
  return {};
}

Status check_rest(const SliceSpec& spec) {
  if (!is_plain_absolute(spec.working_directory)) {
    return invalid_argument("working directory \"{}\": not a plain absolute path",
                            escape_control(spec.working_directory))
        .with_hint("it is a path in the slice, such as /data");
  }
  if (spec.user >= kSliceIds || spec.group >= kSliceIds) {
    return invalid_argument("user {}:{}: ids in a slice are 0 to {}", spec.user, spec.group, kSliceIds - 1);
  }
  if (!is_herd_name(spec.herd)) {
    return invalid_argument("herd \"{}\": lower-case letters, digits, \"-\" and \"_\", 1 to 64", escape_control(spec.herd));
  }
  const auto& host = spec.host_name;
  const bool named = !host.empty() && host.size() <= 64 && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!named) {
    return invalid_argument("host name \"{}\": lower-case letters, digits and \"-\", 1 to 64", escape_control(host));
  }
  if (spec.time_limit_micros < 0 || spec.grace_micros < 0) {
    return invalid_argument("time limit and grace period cannot be negative");
  }
  return {};
}

bool parse_id(std::string_view text, uint32_t* id) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *id);
  return error == std::errc() && end == text.data() + text.size() && *id < kSliceIds;
}

bool parse_host_id(std::string_view text, uint32_t* id) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *id);
  return error == std::errc() && end == text.data() + text.size() && *id > 0;
}

}  // namespace

bool is_herd_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Status validate(const SliceSpec& spec) {
  RUNINK_RETURN_IF_ERROR(check_program(spec));
  RUNINK_RETURN_IF_ERROR(check_environment(spec));
  RUNINK_RETURN_IF_ERROR(check_mounts(spec));
  RUNINK_RETURN_IF_ERROR(check_secrets(spec));
  RUNINK_RETURN_IF_ERROR(validate(spec.resources));
  RUNINK_RETURN_IF_ERROR(validate_devices(spec.devices, spec.gpus));
  RUNINK_RETURN_IF_ERROR(check_identity(spec));
  RUNINK_RETURN_IF_ERROR(check_scratch(spec));
  RUNINK_RETURN_IF_ERROR(check_rest(spec));
  return validate_network(spec.network, spec.host_name);
}

void add_default_environment(SliceSpec* spec) {
  const std::pair<const char*, const char*> defaults[] = {
      {"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"}, {"HOME", "/tmp"}, {"LANG", "C.UTF-8"}};
  for (const auto& [name, value] : defaults) {
    const bool there = std::any_of(spec->environment.begin(), spec->environment.end(),
                                   [name = name](const auto& entry) { return entry.first == name; });
    if (!there) spec->environment.emplace_back(name, value);
  }
}

void wipe_secrets(SliceSpec* spec) {
  for (SliceSecret& secret : spec->secrets) {
    ::explicit_bzero(secret.bytes.data(), secret.bytes.size());
    secret.bytes.clear();
  }
}

Result<SliceMount> parse_mount(const std::string& text, const std::string& folder) {
  const std::vector<std::string_view> parts = split(text, ':');
  const bool flagged = parts.size() == 3 && (parts[2] == "rw" || parts[2] == "ro");
  if ((parts.size() != 2 && !flagged) || parts[0].empty() || parts[1].empty()) {
    return invalid_argument("mount \"{}\": not SRC:DST or SRC:DST:rw", escape_control(text))
        .with_hint("such as ./data:/data; paths that hold a \":\" cannot be named");
  }
  SliceMount mount{.target = std::string(parts[1]), .writable = flagged && parts[2] == "rw"};
  // Only text: "./data/" becomes FOLDER/data. A ".." stays, and is refused: with links it may lead anywhere.
  std::string path = parts[0][0] == '/' ? std::string(parts[0]) : folder + "/" + std::string(parts[0]);
  std::string plain;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != ".") plain.append("/").append(part);
  }
  mount.source = plain.empty() ? "/" : plain;
  while (mount.target.size() > 1 && mount.target.back() == '/') mount.target.pop_back();
  return mount;
}

Result<std::pair<uint32_t, uint32_t>> parse_user(const std::string& text) {
  const std::vector<std::string_view> parts = split(text, ':');
  std::pair<uint32_t, uint32_t> ids;
  const bool good =
      (parts.size() == 1 || parts.size() == 2) && parse_id(parts[0], &ids.first) && parse_id(parts.back(), &ids.second);
  if (!good) {
    return invalid_argument("user \"{}\": not UID or UID:GID, numbers from 0 to {}", escape_control(text),
                            kSliceIds - 1)
        .with_hint("names of the host mean nothing in a slice");
  }
  return ids;
}

Result<SliceIdentity> parse_identity(const std::string& text) {
  const std::vector<std::string_view> parts = split(text, ':');
  SliceIdentity identity;
  const bool good = (parts.size() == 1 || parts.size() == 2) && parse_host_id(parts[0], &identity.user) &&
                    parse_host_id(parts.back(), &identity.group);
  if (good) return identity;
  return invalid_argument("act as \"{}\": not UID or UID:GID, numbers of this host from 1 on", escape_control(text));
}

}  // namespace runink::model
