#include "data/contract/history.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"

namespace runink::contract {
namespace {

constexpr std::string_view kExtension = ".contract";

Status missing_folder_is_empty(Status status) {
  return status.code() == Code::kNotFound ? Status() : std::move(status);
}

// The history's own folder, as a path that cannot leave it: names with other characters than these are refused, since a
// contract named `..` must not write elsewhere.
Status check_name(const std::string& name) {
  if (!name.empty() && name[0] != '.' && name.find('/') == std::string::npos && name.find('\0') == std::string::npos)
    return {};
  return invalid_argument("\"{}\" cannot be the name of a folder", escape_control(name))
      .with_hint("rename the contract");
}

}  // namespace

History::History(std::string project_root) : root_(os::join_path(project_root, "contracts/history")) {}

std::string History::path_of(const std::string& name, const Version& version) const {
  return os::join_path(os::join_path(root_, name), version.to_string() + std::string(kExtension));
}

Result<std::vector<std::string>> History::names() const {
  std::vector<std::string> names;
  auto listed = os::list_directory(root_);
  if (!listed.ok()) {
    RUNINK_RETURN_IF_ERROR(missing_folder_is_empty(std::move(listed).status()));
    return names;
  }
  for (const auto& name : *listed) {
    const auto released = RUNINK_TRY(versions(name));
    if (!released.empty()) names.push_back(name);
  }
  return names;
}

Result<std::vector<ReleasedVersion>> History::versions(const std::string& name) const {
  RUNINK_RETURN_IF_ERROR(check_name(name));
  const std::string folder = os::join_path(root_, name);
  std::vector<ReleasedVersion> released;
  auto listed = os::list_directory(folder);
  if (!listed.ok()) {
    RUNINK_RETURN_IF_ERROR(missing_folder_is_empty(std::move(listed).status()));
    return released;
  }
  for (const auto& file : *listed) {
    if (!file.ends_with(kExtension) || file[0] == '.') continue;
    ReleasedVersion entry;
    entry.path = os::join_path(folder, file);
    if (!Version::parse(std::string_view(file).substr(0, file.size() - kExtension.size()), &entry.version)) {
      return data_loss("{}: the name of a released file must be its version", entry.path)
          .with_hint("released files are named like 1.2.0.contract; move this one elsewhere");
    }
    released.push_back(std::move(entry));
  }
  std::sort(released.begin(), released.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
  return released;
}

Status History::never_released(const std::string& name) const {
  Status status = not_found("no version of contract {} has been released", escape_control(name));
  const auto others = names();
  const auto near = others.ok() ? nearest(name, *others) : std::vector<std::string>();
  return near.empty() ? std::move(status).with_hint("runi contract release")
                      : std::move(status).with_hint(fmt::format("did you mean {}?", near[0]));
}

Result<ContractPtr> History::load(const std::string& name, const Version& version) const {
  RUNINK_RETURN_IF_ERROR(check_name(name));
  const std::string path = path_of(name, version);
  if (!os::exists(path)) {
    const auto released = RUNINK_TRY(versions(name));
    if (released.empty()) return never_released(name);
    std::vector<std::string> words;
    for (const auto& entry : released) words.push_back(entry.version.to_string());
    return not_found("contract {} has no release {}", escape_control(name), version.to_string())
        .with_hint("released are " + join(words, ", "));
  }
  auto contract = RUNINK_TRY_CONTEXT(load_contract(path, file_loader()),
                                     fmt::format("load version {} of contract {}", version.to_string(), name));
  if (!contract->version || *contract->version != version || contract->name != name) {
    return data_loss("{}: the file declares {} {}", path, contract->name, contract->version_text())
        .with_hint("a released file must not be edited; restore it from version control");
  }
  return contract;
}

Result<ContractPtr> History::load_highest(const std::string& name) const {
  const auto released = RUNINK_TRY(versions(name));
  if (released.empty()) return never_released(name);
  return load(name, released.back().version);
}

Result<History::Release> History::release(const Contract& contract) const {
  RUNINK_RETURN_IF_ERROR(check_name(contract.name));
  if (!contract.version) {
    return failed_precondition("contract {} has no version to release", contract.name)
        .with_hint("[[version(\"1.0.0\")]] in front of the contract");
  }
  const Version& version = *contract.version;
  const std::string text = canonical_text(contract);
  Release release;
  release.path = path_of(contract.name, version);
  const auto released = RUNINK_TRY(versions(contract.name));
  for (const auto& entry : released) {
    if (entry.version != version) continue;
    const std::string old = RUNINK_TRY(os::read_file(entry.path));
    if (old != text) {
      auto status = already_exists("contract {}: version {} has been released with other content", contract.name,
                                   version.to_string());
      const auto before = load(contract.name, version);
      if (before.ok()) {
        const auto diff = diff_contracts(**before, contract);
        for (const auto& change : diff.changes) status = std::move(status).with_detail(change.sentence);
        const Version next = lowest_next(released.back().version, std::max(diff.required(), Bump::kPatch));
        status = std::move(status).with_hint(fmt::format("set version(\"{}\")", next.to_string()));
      }
      return status;
    }
    release.already_there = true;
    return release;
  }
  if (!released.empty()) {
    const ContractPtr before = RUNINK_TRY(load_highest(contract.name));
    release.previous = before->version;
    release.diff = diff_contracts(*before, contract);
    RUNINK_RETURN_IF_ERROR(check_bump(*before, contract, release.diff));
    if (version <= *before->version) {
      return failed_precondition("contract {}: version {} is not above the released {}", contract.name,
                                 version.to_string(), before->version->to_string())
          .with_kind("contract.bump");
    }
  }
  RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(release.path)));
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(release.path, text));
  return release;
}

namespace {

void pii_names(const ContractField& field, const std::string& name, std::vector<std::string>& out) {
  if (field.pii) out.push_back(name);
  for (const auto& member : field.elements) pii_names(member, name + "." + member.name, out);
}

}  // namespace

size_t count_rules(const Contract& contract) {
  return static_cast<size_t>(std::count_if(contract.rules.begin(), contract.rules.end(), [](const Rule& rule) {
    return rule.kind != RuleKind::kType && rule.kind != RuleKind::kRecord;
  }));
}

namespace {

CatalogEntry describe(const Contract& contract, const std::string& path) {
  CatalogEntry entry;
  entry.name = contract.name;
  entry.path = path;
  entry.version = contract.version_text();
  entry.hash = contract.hash;
  entry.owner = contract.owner;
  entry.description = contract.description;
  entry.classification = contract.classification;
  entry.tags = contract.tags;
  entry.fields = contract.fields.size();
  entry.rules = count_rules(contract);
  entry.qualities = contract.qualities.size();
  for (const auto& field : contract.fields) {
    pii_names(field, field.name, entry.pii_fields);
    if (!field.glossary.empty()) entry.glossary.push_back({field.name, field.glossary});
  }
  return entry;
}

Status find_files(const std::string& folder, const std::string& shown, int depth, std::vector<std::string>& out) {
  auto listed = os::list_directory(folder);
  if (!listed.ok()) return missing_folder_is_empty(std::move(listed).status());
  for (const auto& name : *listed) {
    if (name[0] == '.') continue;
    const std::string path = os::join_path(folder, name);
    const std::string shown_path = os::join_path(shown, name);
    auto info = os::link_info(path);
    if (!info.ok()) continue;
    if (info->folder()) {
      if (depth == 0 && name == "history") continue;
      if (depth < 16) RUNINK_RETURN_IF_ERROR(find_files(path, shown_path, depth + 1, out));
    } else if (name.ends_with(kExtension)) {
      out.push_back(shown_path);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<CatalogEntry>> catalog(const std::string& project_root) {
  std::vector<std::string> paths;
  RUNINK_RETURN_IF_ERROR(find_files(os::join_path(project_root, "contracts"), "contracts", 0, paths));
  const TextLoader loader = file_loader(project_root);
  const History history(project_root);
  std::vector<CatalogEntry> entries;
  for (const auto& path : paths) {
    auto text = loader(path);
    Diagnostics diagnostics;
    ParsedFile parsed;
    if (text.ok()) parsed = parse_contracts(std::make_shared<SourceText>(path, std::move(*text)), loader, diagnostics);
    if (!text.ok() || diagnostics.has_errors()) {
      CatalogEntry broken;
      broken.path = path;
      broken.error = text.ok() ? diagnostics.to_status().message() : text.status().to_string();
      entries.push_back(std::move(broken));
      continue;
    }
    for (const auto& contract : parsed.contracts) {
      CatalogEntry entry = describe(*contract, parsed.contracts.size() == 1 ? path : path + "#" + contract->name);
      const auto released = history.versions(contract->name);
      if (released.ok() && !released->empty()) entry.released = released->back().version.to_string();
      entries.push_back(std::move(entry));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name != b.name ? a.name < b.name : a.path < b.path; });
  return entries;
}

}  // namespace runink::contract
