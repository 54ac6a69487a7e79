// What both parts of a plan are written with (plan_parking.cc, plan_start.cc). Private to worker/sandbox.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "worker/sandbox/operations.h"

namespace runink::sandbox {

// What a slice is called, and its /tmp holds, unless its specification says otherwise.
inline constexpr const char* kUsualHostName = "slice";
inline constexpr uint64_t kUsualScratch = 256u << 20;

// Devices that every slice has.
struct OwnDevice {
  const char* name;
  uint32_t major, minor;
};
inline constexpr OwnDevice kOwnDevices[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}};
inline constexpr OwnDevice kOwnTerminal = {"tty", 5, 0};  // whoever opens it gets the terminal of its own session

class PlanWriter {
 protected:
  explicit PlanWriter(Phase phase) : phase_(phase) {}

  Operation& add(Place place, Action action, std::string says) {
    return out_.list.emplace_back(
        Operation{.phase = phase_, .place = place, .action = action, .says = std::move(says)});
  }
  Operation& init(Action action, std::string says, std::string path = {}) {
    Operation& operation = add(Place::kInit, action, std::move(says));
    operation.path = std::move(path);
    return operation;
  }
  Operation& program(Action action, std::string says) { return add(Place::kProgram, action, std::move(says)); }

  // Of the fence: what lies below `path` may be used so.
  void allow(std::string path, uint64_t grant, std::string says) {
    Operation& operation = program(Action::kAllowPath, std::move(says));
    operation.path = std::move(path);
    operation.number = grant;
  }

  // With every folder above it, each once.
  void make_folder(const std::string& path, uint64_t mode = 0755) {
    if (path.empty() || !made_.insert(path).second) return;
    make_folder_of(path);
    init(Action::kMakeFolder, fmt::format("make the folder /{}", shown(path)), path).number = mode;
  }
  void make_file(const std::string& path, std::string text, const char* what) {
    make_folder_of(path);
    init(Action::kMakeFile, fmt::format("write /{}, {}", shown(path), what), path).text = std::move(text);
  }
  void make_link(const std::string& path, const std::string& target) {
    make_folder_of(path);
    init(Action::kMakeLink, fmt::format("link /{} to {}", shown(path), shown(target)), path).text = target;
  }
  void mount_tmpfs(const std::string& path, uint64_t bytes, uint64_t mode, std::string_view flags) {
    make_folder(path);
    Operation& operation =
        init(Action::kMountTmpfs,
             fmt::format("mount an empty tmpfs at /{}, {}, at most {}", path, flags, human_bytes(bytes)), path);
    operation.number = bytes;
    operation.second = mode;
  }
  void attach(int source, const std::string& path) {
    const MountSource& from = out_.sources[static_cast<size_t>(source)];
    if (from.folder) {
      make_folder(path);
    } else {
      make_file(path, "", "to mount on");
    }
    init(Action::kAttach, fmt::format("mount /{} {}", shown(path), from.writable ? "writable" : "read-only"), path)
        .source = source;
  }
  // What lies at `part` of the source.
  void attach_part(int source, const char* part, const std::string& path) {
    const MountSource& from = out_.sources[static_cast<size_t>(source)];
    if (from.folder) {
      make_folder(path);
    } else {
      make_file(path, "", "to mount on");
    }
    Operation& operation =
        init(Action::kAttachPart,
             fmt::format("mount /{} {}", shown(path), from.writable ? "writable" : "read-only"), path);
    operation.source = source;
    operation.text = part;
  }
  // Folders that are there already.
  void has_folder(const char* path) { made_.insert(path); }

  int add_source(MountSource source) {
    out_.sources.push_back(std::move(source));
    return static_cast<int>(out_.sources.size()) - 1;
  }
  // Opened on the host; root's are also cloned there.
  void open_sources();

  // `names`: address and name of what it may reach.
  static std::string hosts_file(const std::string& host_name,
                                const std::vector<std::pair<std::string, std::string>>& names = {}) {
    std::string out = fmt::format("127.0.0.1 localhost {0}\n::1 localhost {0}\n", host_name);
    for (const auto& [address, name] : names) out += fmt::format("{} {}\n", address, name);
    return out;
  }
  static std::string shown(const std::string& path) { return escape_control(path); }

  Operations out_;

 private:
  void make_folder_of(const std::string& path) {
    if (const size_t slash = path.rfind('/'); slash != std::string::npos) make_folder(path.substr(0, slash));
  }

  const Phase phase_;
  std::set<std::string> made_;
};

// How a slice acts on a mount of its specification; kPermissionDenied where it may not have it as asked.
Result<MountSource> source_of(const model::SliceMount& mount, const std::optional<model::SliceIdentity>& act_as,
                              const HostEntry& entry, bool root);

}  // namespace runink::sandbox
