// Headers of the project's contracts, for its C++ steps.
#include "client/local/step_headers.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "client/local/step_sources.h"
#include "data/contract/gen.h"
#include "data/contract/parse.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"

namespace runink::local {

namespace fs = std::filesystem;

namespace {

// "contracts/a/b.contract", sorted; released versions are left out.
Result<std::vector<std::string>> contract_sources(const std::string& project_root) {
  std::vector<std::string> out;
  const fs::path folder = fs::path(project_root) / "contracts";
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it.depth() == 0 && it->path().filename() == "history") it.disable_recursion_pending();
    if (it->path().extension() == ".contract" && it->is_regular_file(error)) {
      out.push_back(it->path().lexically_relative(project_root).string());
    }
  }
  if (error && fs::exists(folder)) return from_errno(error.value(), "read " + folder.string());
  std::sort(out.begin(), out.end());
  return out;
}

// Headers of contracts that are gone.
Status remove_others(const std::string& folder, const std::map<std::string, std::string>& made) {
  std::vector<std::string> gone;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_regular_file(error) && !made.contains(it->path().lexically_relative(folder).string())) gone.push_back(it->path().string());
  }
  for (const auto& path : gone) RUNINK_RETURN_IF_ERROR(os::remove_file(path));
  return {};
}

}  // namespace

Result<StepHeaders> make_step_headers(const std::string& project_root) {
  StepHeaders out;
  out.folder = fmt::format("{}/{}/include", project_root, kStepFolder);
  std::map<std::string, std::string> headers;  // path below the folder → text
  Diagnostics diagnostics;
  for (const auto& path : RUNINK_TRY(contract_sources(project_root))) {
    std::string text = RUNINK_TRY(os::read_file(os::join_path(project_root, path)));
    const auto parsed = contract::parse_contracts(std::make_shared<SourceText>(path, std::move(text)),
                                                  contract::file_loader(project_root), diagnostics);
    std::string header;
    for (const auto& contract : parsed.contracts) header += contract::generate_cpp_header(*contract);
    if (!header.empty()) headers[fs::path(path).lexically_relative("contracts").replace_extension(".h").string()] = std::move(header);
  }
  if (diagnostics.has_errors()) return diagnostics.to_status().with_context("make the headers of contracts for C++ steps");
  RUNINK_RETURN_IF_ERROR(os::make_directories(out.folder, 0700));
  crypto::Sha256 all;
  for (const auto& [name, text] : headers) {
    all.update(fmt::format("{}\n{}\n", name, crypto::sha256_hex(text)));
    const std::string path = os::join_path(out.folder, name);
    if (const auto before = os::read_file(path); before.ok() && *before == text) continue;
    RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path), 0700));
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, text));
  }
  out.hash = crypto::hex(all.finish());
  RUNINK_RETURN_IF_ERROR(remove_others(out.folder, headers));
  return out;
}

}  // namespace runink::local
