#include "data/ledger/gc.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "data/ledger/dead_letters.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

std::string days(int64_t micros) { return human_duration(static_cast<double>(micros) / 1e6); }

// A feature's run with the runs of its scenarios.
struct Family {
  std::vector<RunRecord> runs;
  int64_t last_micros = 0;  // when the last of them ended
  uint64_t bytes = 0;
  bool running = false;
};

struct LetterFile {
  std::string path, run_id;
  int64_t modified_micros = 0;
  uint64_t bytes = 0;
};

class Collector {
 public:
  Collector(const Ledger& ledger, const GcPolicy& policy, int64_t now)
      : ledger_(ledger), policy_(policy), now_(now), store_(ledger.root()) {
    report_.dry_run = policy.dry_run;
  }

  Result<GcReport> collect() {
    RUNINK_RETURN_IF_ERROR(collect_runs());
    RUNINK_RETURN_IF_ERROR(collect_letters());
    return std::move(report_);
  }

 private:
  bool in_progress(const RunRecord& record) const {
    if (record.state != RunState::kRunning) return false;
    return policy_.is_alive ? policy_.is_alive(record.process) : os::is_alive(record.process);
  }

  // Moved aside first, so that a run is there whole or not at all whatever happens meanwhile; the sweep clears tmp/.
  Status remove_run(const std::string& run_id) {
    if (policy_.dry_run) return {};
    RUNINK_RETURN_IF_ERROR(os::make_directories(ledger_.temp_root(), 0700));
    const std::string aside = ledger_.temp_root() + "/" + run_id + "-removed";
    RUNINK_RETURN_IF_ERROR(os::remove_tree(aside));
    Status moved = os::rename_file(ledger_.run_folder(run_id), aside);
    // A name takes room, too.
    if (moved.code() == Code::kResourceExhausted) return os::remove_tree(ledger_.run_folder(run_id));
    RUNINK_RETURN_IF_ERROR(std::move(moved));
    return os::remove_tree(aside);
  }

  Status remove_family(const Family& family, const std::string& why) {
    for (const RunRecord& run : family.runs) {
      const std::string path = ledger_.run_folder(run.id);
      const uint64_t bytes = RUNINK_TRY(os::tree_bytes(path));
      RUNINK_RETURN_IF_ERROR(remove_run(run.id));
      report_.removed.push_back({"run", path, run.id, bytes, why});
      report_.bytes_removed += bytes;
      ++report_.runs_removed;
    }
    return {};
  }

  void keep_family(const Family& family, const std::string& protected_why) {
    report_.bytes_kept += family.bytes;
    report_.runs_kept += family.runs.size();
    if (protected_why.empty()) return;
    for (const RunRecord& run : family.runs) {
      report_.kept_over_limit.push_back({"run", ledger_.run_folder(run.id), run.id, 0, protected_why});
    }
  }

  Status collect_runs() {
    std::map<std::string, Family> families;
    for (RunRecord& record : RUNINK_TRY(ledger_.list_runs())) {
      Family& family = families[record.parent_id.empty() ? record.id : record.parent_id];
      const bool running = in_progress(record);
      family.running |= running;
      family.last_micros = std::max({family.last_micros, record.started_micros, record.ended_micros});
      family.bytes += RUNINK_TRY(os::tree_bytes(ledger_.run_folder(record.id)));
      if (running) running_.push_back(record.id);
      family.runs.push_back(std::move(record));
    }
    std::vector<Family*> oldest_first;
    uint64_t total = 0;
    for (auto& [id, family] : families) {
      oldest_first.push_back(&family);
      total += family.bytes;
    }
    std::stable_sort(oldest_first.begin(), oldest_first.end(),
                     [](const Family* a, const Family* b) { return a->last_micros < b->last_micros; });
    for (const Family* family : oldest_first) {
      const bool old = now_ - family->last_micros > policy_.keep_runs_micros;
      const bool over = total > policy_.keep_runs_bytes;
      if (!old && !over) {
        keep_family(*family, "");
        continue;
      }
      if (family->running) {
        keep_family(*family, "it is running");
        continue;
      }
      const std::string why =
          old ? fmt::format("older than {}", days(policy_.keep_runs_micros))
              : fmt::format("runs take {}, {} is kept", human_bytes(total), human_bytes(policy_.keep_runs_bytes));
      RUNINK_RETURN_IF_ERROR(remove_family(*family, why));
      total -= family->bytes;
    }
    return {};
  }

  // How many letters of the file have not been replayed with success.
  Result<uint64_t> pending_letters(const std::string& path) {
    if (!replayed_) replayed_ = RUNINK_TRY(store_.replayed());
    DeadLetterReader reader = RUNINK_TRY(DeadLetterReader::open(path));
    uint64_t pending = 0;
    for (;;) {
      const std::optional<DeadLetter> letter = RUNINK_TRY(reader.next());
      if (!letter) return pending;
      const auto entry = replayed_->find(letter->id);
      pending += entry == replayed_->end() || entry->second.result == "rejected";
    }
  }

  Status remove_letters(const LetterFile& file, uint64_t letters, const std::string& why) {
    if (!policy_.dry_run) {
      RUNINK_RETURN_IF_ERROR(os::remove_file(file.path));
      RUNINK_RETURN_IF_ERROR(os::remove_file(file.path + ".summary"));
      // The folder of the run goes with its last file; rmdir refuses while there is one.
      const std::string folder = os::folder_of(file.path);
      const auto rest = os::list_directory(folder);
      if (rest.ok() && rest->empty()) RUNINK_RETURN_IF_ERROR(os::remove_tree(folder));
    }
    report_.removed.push_back({"dead-letters", file.path, file.run_id, file.bytes, why});
    report_.bytes_removed += file.bytes;
    report_.dead_letters_removed += letters;
    return {};
  }

  Status collect_letters() {
    std::vector<LetterFile> files;
    std::map<std::string, uint64_t> letters;
    uint64_t total = 0;
    for (const DeadLetterFile& file : RUNINK_TRY(store_.files())) {
      const auto summary = os::file_info(file.path + ".summary");
      const uint64_t bytes = file.summary.bytes + (summary.ok() ? summary->size : 0);
      files.push_back({file.path, file.run_id, file.modified_nanos / 1000, bytes});
      letters[file.path] = file.summary.letters;
      total += bytes;
    }
    std::stable_sort(files.begin(), files.end(),
                     [](const LetterFile& a, const LetterFile& b) { return a.modified_micros < b.modified_micros; });
    for (const LetterFile& file : files) {
      const bool old = now_ - file.modified_micros > policy_.keep_dead_letters_micros;
      const bool over = total > policy_.keep_dead_letters_bytes;
      std::string protected_why;
      if (!old && !over) {
        report_.bytes_kept += file.bytes;
        report_.dead_letters_kept += letters[file.path];
        continue;
      }
      if (std::find(running_.begin(), running_.end(), file.run_id) != running_.end()) {
        protected_why = "its run is running";
      } else if (!old) {
        const uint64_t pending = RUNINK_TRY(pending_letters(file.path));
        if (pending > 0) protected_why = fmt::format("{} of its letters have not been replayed", pending);
      }
      if (!protected_why.empty()) {
        report_.bytes_kept += file.bytes;
        report_.dead_letters_kept += letters[file.path];
        report_.kept_over_limit.push_back({"dead-letters", file.path, file.run_id, file.bytes, protected_why});
        continue;
      }
      const std::string why = old ? fmt::format("older than {}", days(policy_.keep_dead_letters_micros))
                                  : fmt::format("dead letters take {}, {} is kept", human_bytes(total),
                                                human_bytes(policy_.keep_dead_letters_bytes));
      RUNINK_RETURN_IF_ERROR(remove_letters(file, letters[file.path], why));
      total -= file.bytes;
    }
    RUNINK_RETURN_IF_ERROR(collect_words());
    return collect_replay_notes();
  }

  // What programs said, by age alone: a few lines each.
  Status collect_words() {
    const auto runs = os::list_directory(store_.root());
    if (!runs.ok()) return runs.status().code() == Code::kNotFound ? Status() : runs.status();
    for (const std::string& run : *runs) {
      const std::string folder = store_.words_folder(run);
      const auto names = os::list_directory(folder);
      if (!names.ok() || std::find(running_.begin(), running_.end(), run) != running_.end()) continue;
      size_t left = names->size();
      for (const std::string& name : *names) {
        const std::string path = folder + "/" + name;
        const auto info = os::file_info(path);
        if (!name.ends_with(".stderr") || !info.ok() || now_ - info->modified_nanos / 1000 <= policy_.keep_dead_letters_micros) continue;
        if (!policy_.dry_run) RUNINK_RETURN_IF_ERROR(os::remove_file(path));
        report_.removed.push_back({"words", path, run, info->size, fmt::format("older than {}", days(policy_.keep_dead_letters_micros))});
        report_.bytes_removed += info->size;
        --left;
      }
      if (left == 0 && !names->empty() && !policy_.dry_run) RUNINK_RETURN_IF_ERROR(os::remove_tree(folder));
    }
    return {};
  }

  // A note older than the letters' age is about letters that are older still, so about none that is left.
  Status collect_replay_notes() {
    const std::string folder = store_.root() + "/replayed";
    const auto names = os::list_directory(folder);
    if (!names.ok()) return names.status().code() == Code::kNotFound ? Status() : names.status();
    for (const std::string& name : *names) {
      const std::string path = folder + "/" + name;
      const auto info = os::file_info(path);
      if (!info.ok() || now_ - info->modified_nanos / 1000 <= policy_.keep_dead_letters_micros) continue;
      if (!policy_.dry_run) RUNINK_RETURN_IF_ERROR(os::remove_file(path));
      report_.removed.push_back({"replay-notes", path, name.substr(0, 36), info->size,
                                 fmt::format("older than {}", days(policy_.keep_dead_letters_micros))});
      report_.bytes_removed += info->size;
    }
    return {};
  }

  const Ledger& ledger_;
  const GcPolicy& policy_;
  const int64_t now_;
  DeadLetterStore store_;
  GcReport report_;
  std::vector<std::string> running_;
  std::optional<std::map<std::string, ReplayEntry>> replayed_;
};

}  // namespace

Result<GcReport> collect_garbage(const Ledger& ledger, const GcPolicy& policy) {
  const int64_t now = policy.now_micros != 0 ? policy.now_micros : system_clock().unix_micros();
  auto report = Collector(ledger, policy, now).collect();
  if (!report.ok()) return std::move(report).status().with_context("collect what need not be kept");
  return report;
}

}  // namespace runink::ledger
