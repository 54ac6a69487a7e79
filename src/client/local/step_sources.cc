#include "client/local/step_sources.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "client/local/compile_steps.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"

namespace runink::local {

namespace fs = std::filesystem;

namespace {

constexpr size_t kFilesMax = 10'000;

bool is_header(const fs::path& path) {
  static constexpr std::string_view kEndings[] = {".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp"};
  return std::find(std::begin(kEndings), std::end(kEndings), path.extension().string()) != std::end(kEndings);
}

}  // namespace

Result<StepSources> find_step_sources(const std::string& project_root) {
  StepSources out;
  const fs::path folder = fs::path(project_root) / "steps";
  std::vector<std::string> headers;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    const std::string relative = it->path().lexically_relative(project_root).string();
    if (it.depth() == 0 && it->path().extension() == ".cpp") out.files.push_back(relative);
    if (is_header(it->path())) headers.push_back(relative);
    if (out.files.size() + headers.size() > kFilesMax) return resource_exhausted("{} holds more than {} files", folder.string(), kFilesMax);
  }
  if (error && fs::exists(folder)) return from_errno(error.value(), "read " + folder.string());
  std::sort(out.files.begin(), out.files.end());
  std::sort(headers.begin(), headers.end());
  crypto::Sha256 all;
  for (const auto& header : headers) {
    all.update(fmt::format("{}\n{}\n", header, crypto::sha256_hex(RUNINK_TRY(os::read_file(os::join_path(project_root, header))))));
  }
  out.headers_hash = crypto::hex(all.finish());
  return out;
}

Result<std::string> step_source_hash(const std::string& project_root, const std::string& source, const StepSources& all) {
  const std::string text = RUNINK_TRY(os::read_file(os::join_path(project_root, source)));
  return crypto::sha256_hex(fmt::format("{}\n{}\n{}", source, crypto::sha256_hex(text), all.headers_hash));
}

std::string step_stem(std::string_view source) { return fs::path(source).stem().string(); }

std::vector<std::string> step_names_in_text(std::string_view text) {
  constexpr std::string_view kMacro = "RUNINK_STEP", kSpace = " \t\r\n";
  std::vector<std::string> out;
  const auto skip_space = [&](size_t at) { return std::min(text.find_first_not_of(kSpace, at), text.size()); };
  for (size_t at = 0; (at = text.find(kMacro, at)) != std::string_view::npos;) {
    at += kMacro.size();
    size_t next = skip_space(at);
    if (next >= text.size() || text[next] != '(') continue;
    next = skip_space(next + 1);
    if (next >= text.size() || text[next] != '"') continue;
    const size_t end = text.find_first_of("\"\n", next + 1);
    if (end == std::string_view::npos || text[end] != '"') continue;
    out.emplace_back(text.substr(next + 1, end - next - 1));
    at = end;
  }
  return out;
}

std::string step_record_path(const std::string& project_root, std::string_view stem) {
  return fmt::format("{}/{}/lib/{}.json", project_root, kStepFolder, stem);
}

std::optional<StepRecord> read_step_record(const std::string& path) {
  const auto text = os::read_file(path, 1 << 20);
  if (!text.ok()) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  StepRecord record;
  for (const auto& [name, into] : {std::pair("source", &record.source), {"source_hash", &record.source_hash}, {"key", &record.key}}) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return std::nullopt;
    *into = found->get<std::string>();
  }
  const auto steps = json.find("steps");
  if (steps == json.end() || !steps->is_array()) return std::nullopt;
  for (const auto& step : *steps) {
    if (step.is_string()) record.steps.push_back(step.get<std::string>());
  }
  return record;
}

Status write_step_record(const std::string& path, const StepRecord& record) {
  const nlohmann::json json = {
      {"source", record.source}, {"source_hash", record.source_hash}, {"key", record.key}, {"steps", record.steps}};
  return os::write_file_atomic(path, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Status check_step_is_current(const std::string& project_root, const std::string& step) {
  const std::string link = fmt::format("{}/{}/{}.so", project_root, kStepFolder, step);
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) return {};  // not made by runi compile, or not there
  const auto record = read_step_record(step_record_path(project_root, target.stem().string()));
  if (!record) return {};
  const auto hash = step_source_hash(project_root, record->source, RUNINK_TRY(find_step_sources(project_root)));
  if (hash.ok() && *hash == record->source_hash) return {};
  if (!hash.ok() && hash.status().code() == Code::kNotFound) {
    return failed_precondition("step \"{}\" was built from {}, which is no longer there", step, record->source).with_kind("step.stale");
  }
  if (!hash.ok()) return hash.status();
  return failed_precondition("step \"{}\" was built before {} (or a header below steps/) was changed", step, record->source)
      .with_kind("step.stale")
      .with_hint("build it again with: runi compile");
}

std::vector<std::string> known_step_names(const std::string& project_root) {
  std::vector<std::string> names;
  if (const auto sources = find_step_sources(project_root); sources.ok()) {
    for (const auto& source : sources->files) {
      const auto text = os::read_file(os::join_path(project_root, source));
      if (!text.ok()) continue;
      for (auto& name : step_names_in_text(*text)) names.push_back(std::move(name));
    }
  }
  if (const auto built = os::list_directory(os::join_path(project_root, kStepFolder)); built.ok()) {
    for (const auto& file : *built) {
      if (file.size() > 3 && file.ends_with(".so")) names.push_back(file.substr(0, file.size() - 3));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace runink::local
