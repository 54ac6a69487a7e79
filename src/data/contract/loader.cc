#include "data/contract/loader.h"

#include <fmt/format.h>

#include <map>

#include "base/nearest.h"
#include "base/text.h"
#include "data/contract/parse.h"
#include "data/contract/syntax.h"
#include "platform/os/file.h"

namespace runink::contract {

std::string path_beside(std::string_view importing_file, std::string_view path) {
  if (os::is_absolute(path)) return os::normalize_path(path);
  return os::normalize_path(os::join_path(os::folder_of(importing_file), path));
}

TextLoader file_loader(std::string root) {
  return [root = std::move(root)](const std::string& path) -> Result<std::string> {
    const std::string full = root.empty() || os::is_absolute(path) ? path : os::join_path(root, path);
    return os::read_file(full, kFileBytesMax);
  };
}

TextLoader map_loader(std::vector<std::pair<std::string, std::string>> texts) {
  std::map<std::string, std::string> by_path;
  for (auto& [path, text] : texts) by_path.emplace(os::normalize_path(path), std::move(text));
  return [by_path = std::move(by_path)](const std::string& path) -> Result<std::string> {
    const auto at = by_path.find(os::normalize_path(path));
    if (at == by_path.end()) return not_found("{}: there is no such file", path);
    return at->second;
  };
}

ContractReference split_reference(std::string_view reference) {
  const size_t hash = reference.rfind('#');
  if (hash == std::string_view::npos) return {std::string(reference), {}};
  return {std::string(reference.substr(0, hash)), std::string(reference.substr(hash + 1))};
}

namespace {

std::vector<std::string> names_of(const std::vector<ContractPtr>& contracts) {
  std::vector<std::string> names;
  for (const auto& contract : contracts) names.push_back(contract->name);
  return names;
}

Result<ContractPtr> choose(const ParsedFile& parsed, const ContractReference& reference) {
  const auto names = names_of(parsed.contracts);
  if (reference.name.empty()) {
    if (names.size() == 1) return parsed.contracts[0];
    if (names.empty()) {
      return invalid_argument("{} declares no contract, only structs", reference.path)
          .with_hint("contract Name { … } declares one");
    }
    return invalid_argument("{} declares {} contracts: {}", reference.path, names.size(), join(names, ", "))
        .with_hint(fmt::format("say which one: {}#{}", reference.path, names[0]));
  }
  for (const auto& contract : parsed.contracts) {
    if (contract->name == reference.name) return contract;
  }
  auto status = not_found("{} declares no contract named {}", reference.path, reference.name);
  const auto near = nearest(reference.name, names);
  return std::move(status).with_hint(near.empty() ? "it declares: " + join(names, ", ")
                                                  : fmt::format("did you mean {}#{}?", reference.path, near[0]));
}

Result<ContractPtr> parse_and_choose(std::string text, const ContractReference& reference, const TextLoader& loader,
                                     Diagnostics* warnings) {
  Diagnostics diagnostics;
  const auto source = std::make_shared<SourceText>(reference.path, std::move(text));
  const ParsedFile parsed = parse_contracts(source, loader, diagnostics);
  if (diagnostics.has_errors()) return diagnostics.to_status();
  auto chosen = choose(parsed, reference);
  if (warnings != nullptr) warnings->append(std::move(diagnostics));
  return chosen;
}

}  // namespace

Result<ContractPtr> load_contract(std::string_view reference, const TextLoader& loader, Diagnostics* warnings) {
  ContractReference parts = split_reference(reference);
  parts.path = os::normalize_path(parts.path);
  std::string text = RUNINK_TRY_CONTEXT(loader(parts.path), fmt::format("load contract {}", reference));
  return parse_and_choose(std::move(text), parts, loader, warnings);
}

Result<ContractPtr> parse_contract_text(std::string_view text, std::string path, Diagnostics* warnings) {
  return parse_and_choose(std::string(text), {std::move(path), {}}, map_loader({}), warnings);
}

}  // namespace runink::contract
