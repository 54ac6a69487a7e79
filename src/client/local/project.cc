#include "client/local/project.h"

#include <sys/stat.h>

#include <filesystem>

#include "base/text.h"
#include "client/local/compile_steps.h"
#include "client/local/local_io.h"
#include "client/local/missing_file.h"
#include "client/local/sample.h"
#include "data/ledger/publish_record.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"
#include "platform/os/file.h"

namespace runink::local {

namespace fs = std::filesystem;

Result<Project> Project::find(const std::string& start) {
  const std::string root = RUNINK_TRY(config::find_project_root(start));
  return Project(RUNINK_TRY(config::load_project_config(root)));
}

Result<std::string> Project::relative_path(const std::string& path) const {
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(fs::absolute(path, error), error);
  const fs::path base = fs::weakly_canonical(root(), error);
  const fs::path relative = absolute.lexically_relative(base);
  if (relative.empty() || *relative.begin() == "..") {
    return invalid_argument("{} is not inside the project {}", path, root());
  }
  return relative.string();
}

dsl::CompileEnvironment Project::compile_environment(const CompileOptions& options) const {
  dsl::CompileEnvironment env;
  env.load = contract::file_loader(root());
  env.project_root = root();
  env.strict = options.strict;
  env.allow_unenforced = options.allow_unenforced;
  env.known_steps = known_step_names(root());
  env.infer_schema = [root = root()](const plan::Source& source) { return infer_schema(source, root); };
  return env;
}

Result<plan::Plan> Project::compile(const std::string& feature, const CompileOptions& options,
                                    Diagnostics* diagnostics, std::shared_ptr<dsl::Bundle> bundle) const {
  const std::string path = os::join_path(root(), feature);
  auto text = os::read_file(path);
  if (!text.ok() && text.status().code() == Code::kNotFound) return missing_file(feature, path, root());
  if (!text.ok()) return std::move(text).status();
  dsl::CompileEnvironment environment = compile_environment(options);
  if (bundle) {
    bundle->feature_path = feature;
    bundle->feature_text = *text;
    environment = dsl::recording(std::move(environment), std::move(bundle));
  }
  return dsl::compile_feature(std::make_shared<SourceText>(feature, std::move(*text)), environment, diagnostics);
}

Result<ledger::Ledger> Project::open_ledger(std::vector<std::string>* notes) const {
  ledger::Ledger ledger = RUNINK_TRY(ledger::Ledger::open(root()));
  for (const auto& torn : RUNINK_TRY(ledger::complete_or_discard_torn_publish(ledger.root()))) {
    if (notes == nullptr) continue;
    notes->push_back(torn.completed ? fmt::format("completed the publishing that run {} had begun", torn.run_id)
                                    : fmt::format("discarded what run {} had not published", torn.run_id));
  }
  for (const auto& run : RUNINK_TRY(ledger.sweep_killed_runs())) {
    if (notes == nullptr) continue;
    notes->push_back(run.state == ledger::RunState::kAborted
                         ? fmt::format("run {} had ended without a word; it is recorded as aborted", run.id)
                         : fmt::format("the process of run {} ended before its record said how; it is recorded as {}",
                                       run.id, ledger::run_state_name(run.state)));
  }
  return ledger;
}

Result<std::string> Project::existing_key() const {
  const std::string path = root() + "/.runink/key";
  std::string bytes = RUNINK_TRY(os::read_file(path, 4096));
  if (bytes.size() == 32) return bytes;
  return data_loss("{} holds {} bytes instead of 32", path, bytes.size())
      .with_hint("restore it from a backup: without it hashes and tokens of earlier runs cannot be made again");
}

Result<std::string> Project::secret_key(std::vector<std::string>* notes) const {
  auto there = existing_key();
  if (there.ok() || there.status().code() != Code::kNotFound) return there;
  const std::string path = root() + "/.runink/key";
  const auto runs = os::list_directory(root() + "/.runink/runs");
  if (notes != nullptr && runs.ok() && !runs->empty()) {
    notes->push_back(
        "warning: .runink/key is gone, so a new one is made: what hash() and tokenise() give differs from earlier runs; "
        "restore the old key from a backup to get the same again");
  }
  RUNINK_RETURN_IF_ERROR(status_of(ledger::Ledger::open(root())));
  std::string key(32, '\0');
  crypto::random_bytes(key.data(), key.size());
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, key, 0600));
  return key;
}

Status Project::check_context(const std::string& asked) const {
  const std::string& name = asked.empty() ? config_.context : asked;
  if (name.empty() || name == "local") return {};
  return unavailable("context \"{}\": no cluster is known here yet", escape_control(name))
      .with_hint(asked.empty() ? "--context local runs on this machine, or take context out of runink.toml"
                               : "--context local runs on this machine");
}

Result<std::string> Project::hash_files(const std::vector<std::string>& files) const {
  crypto::Sha256 all;
  std::vector<std::string> names = files;
  names.push_back(config::kProjectFile);
  for (const auto& name : names) {
    // What a command names may be data of any size; that is told by its size and time, as inputs are.
    constexpr uint64_t kReadMax = 4 << 20;
    const std::string path = root() + "/" + name;
    const auto info = os::file_info(path);
    std::string identity = "absent";
    if (info.ok() && info->size > kReadMax) {
      identity = fmt::format("{} bytes of {}", info->size, info->modified_nanos);
    } else if (auto text = os::read_file(path); text.ok()) {
      identity = crypto::sha256_hex(*text);
    }
    all.update(fmt::format("{}\n{}\n", name, identity));
  }
  return crypto::hex(all.finish());
}

}  // namespace runink::local
