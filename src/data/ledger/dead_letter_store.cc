#include <algorithm>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "data/ledger/dead_letters.h"
#include "data/ledger/json_access.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr std::string_view kSuffix = ".ndjson";
constexpr uint64_t kMaxSummaryBytes = 16u << 20;
constexpr uint64_t kMaxReplayBytes = 1u << 30;

// A file name that still tells the sink: other characters become '-', and a digest keeps different names apart.
std::string safe_name(const std::string& name) {
  std::string safe;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                       (c == '.' && !safe.empty());
    safe += plain ? c : '-';
  }
  if (safe.size() > 80) safe.resize(80);
  if (safe != name) safe += "-" + crypto::sha256_hex(name).substr(0, 8);
  return safe;
}

Result<DeadLetterSummary> count_letters(const std::string& path) {
  DeadLetterSummary summary;
  DeadLetterReader reader = RUNINK_TRY(DeadLetterReader::open(path));
  for (;;) {
    const std::optional<DeadLetter> letter = RUNINK_TRY(reader.next());
    if (!letter) return summary;
    ++summary.letters;
    for (const BrokenRule& rule : letter->rules) {
      ++summary.by_rule[rule.field.empty() ? rule.rule : rule.rule + " " + rule.field];
    }
  }
}

// The summary beside the file, if it was written for the file as it is.
Result<DeadLetterSummary> summary_of(const std::string& path, uint64_t bytes) {
  const auto text = os::read_file(path + ".summary", kMaxSummaryBytes);
  if (text.ok()) {
    const auto j = parse_json(*text, path + ".summary");
    if (j.ok() && get_number(*j, "format") == 1 && get_count(*j, "bytes") == bytes) {
      DeadLetterSummary summary;
      summary.letters = get_count(*j, "letters");
      summary.bytes = bytes;
      for (const auto& [rule, letters] : get_object(*j, "by_rule").items()) {
        if (letters.is_number_unsigned()) summary.by_rule[rule] = letters.get<uint64_t>();
      }
      return summary;
    }
  }
  DeadLetterSummary summary = RUNINK_TRY(count_letters(path));
  summary.bytes = bytes;
  return summary;
}

bool matches(const DeadLetter& letter, const DeadLetterFilter& filter) {
  if (!filter.feature.empty() && letter.feature != filter.feature) return false;
  if (!filter.scenario.empty() && letter.scenario != filter.scenario) return false;
  if (!letter.id.starts_with(filter.id_prefix)) return false;
  if (filter.accepts && !filter.accepts(letter)) return false;
  if (filter.rule.empty() && filter.field.empty()) return true;
  return std::any_of(letter.rules.begin(), letter.rules.end(), [&](const BrokenRule& rule) {
    return (filter.rule.empty() || rule.rule == filter.rule) && (filter.field.empty() || rule.field == filter.field);
  });
}

bool is_done(const ReplayEntry& entry) { return entry.result == "accepted" || entry.result == "dropped"; }

// Names of runs that have letters, newest first.
Result<std::vector<std::string>> run_folders(const std::string& root) {
  auto names = os::list_directory(root);
  if (!names.ok()) {
    if (names.status().code() == Code::kNotFound) return std::vector<std::string>();
    return std::move(names).status();
  }
  std::erase_if(*names, [](const std::string& name) { return !is_uuid(name); });
  std::reverse(names->begin(), names->end());
  return std::move(*names);
}

Result<std::vector<std::string>> letter_files(const std::string& folder) {
  auto names = os::list_directory(folder);
  if (!names.ok()) {
    if (names.status().code() == Code::kNotFound) return std::vector<std::string>();
    return std::move(names).status();
  }
  std::erase_if(*names, [](const std::string& name) { return !name.ends_with(kSuffix) || name[0] == '.'; });
  return std::move(*names);
}

}  // namespace

Result<DeadLetterWriter> DeadLetterStore::create(const DeadLetterOrigin& origin, const std::string& name) const {
  if (!is_uuid(origin.run_id)) return invalid_argument("keep dead letters: \"{}\" is not the id of a run", origin.run_id);
  const std::string folder = root_ + "/" + origin.run_id;
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700).with_context("keep dead letters"));
  const std::string base = safe_name(name);
  for (int attempt = 1;; ++attempt) {
    const std::string path = folder + "/" + base + (attempt > 1 ? fmt::format("-{}", attempt) : "") + std::string(kSuffix);
    auto fd = os::open_file(path, os::OpenMode::kCreateNew, 0600);
    if (!fd.ok()) {
      if (fd.status().code() == Code::kAlreadyExists && attempt < 10'000) continue;
      return std::move(fd).status().with_context("keep dead letters");
    }
    DeadLetterWriter writer;
    writer.fd_ = std::move(*fd);
    writer.encoder_ = std::make_unique<DeadLetterEncoder>(origin);
    return writer;
  }
}

Result<std::vector<DeadLetterFile>> DeadLetterStore::files(const std::string& run_id) const {
  std::vector<DeadLetterFile> files;
  std::vector<std::string> runs = {run_id};
  if (run_id.empty()) runs = RUNINK_TRY(run_folders(root_));
  for (const std::string& run : runs) {
    for (const std::string& name : RUNINK_TRY(letter_files(root_ + "/" + run))) {
      DeadLetterFile file;
      file.path = root_ + "/" + run + "/" + name;
      file.run_id = run;
      file.name = name.substr(0, name.size() - kSuffix.size());
      const auto info = os::file_info(file.path);
      if (!info.ok()) continue;  // collected meanwhile
      file.modified_nanos = info->modified_nanos;
      file.summary = RUNINK_TRY(summary_of(file.path, info->size));
      files.push_back(std::move(file));
    }
  }
  return files;
}

Status DeadLetterStore::for_each(const DeadLetterFilter& filter,
                                 const std::function<bool(const DeadLetter&)>& visit) const {
  std::map<std::string, ReplayEntry> done;
  if (filter.only_pending) done = RUNINK_TRY(replayed());
  std::vector<std::string> runs = {filter.run_id};
  if (filter.run_id.empty()) runs = RUNINK_TRY(run_folders(root_));
  // The id stands at a fixed place of each line, so lines of other ids are not parsed.
  const std::string id_at_start = "{\"v\":1,\"id\":\"" + filter.id_prefix;
  size_t visited = 0;
  for (const std::string& run : runs) {
    for (const std::string& name : RUNINK_TRY(letter_files(root_ + "/" + run))) {
      const std::string path = root_ + "/" + run + "/" + name;
      DeadLetterReader reader = RUNINK_TRY(DeadLetterReader::open(path));
      for (uint64_t number = 1;; ++number) {
        const std::optional<std::string_view> line = RUNINK_TRY(reader.next_line());
        if (!line) break;
        if (!filter.id_prefix.empty() && !line->starts_with(id_at_start)) continue;
        const DeadLetter letter = RUNINK_TRY(parse_dead_letter(*line, fmt::format("{}:{}", path, number)));
        if (!matches(letter, filter)) continue;
        if (filter.only_pending) {
          const auto entry = done.find(letter.id);
          if (entry != done.end() && is_done(entry->second)) continue;
        }
        if (!visit(letter)) return {};
        if (filter.limit > 0 && ++visited >= filter.limit) return {};
      }
    }
  }
  return {};
}

Result<DeadLetter> DeadLetterStore::find(const std::string& id_prefix) const {
  DeadLetterFilter filter;
  filter.id_prefix = to_lower_ascii(id_prefix);
  if (filter.id_prefix.size() < 4) return not_found("give at least 4 characters of a dead letter's id");
  std::optional<DeadLetter> found;
  std::set<std::string> others;
  RUNINK_RETURN_IF_ERROR(for_each(filter, [&](const DeadLetter& letter) {
    if (!found) found = letter;
    else if (letter.id != found->id) others.insert(letter.id);
    return others.size() < 10;
  }));
  if (!found) {
    return not_found("there is no dead letter \"{}\"", escape_control(id_prefix)).with_hint("runi dlq list shows their ids");
  }
  if (!others.empty()) {
    Status status = invalid_argument("\"{}\" fits more than one dead letter", escape_control(id_prefix)).with_detail(found->id);
    for (const std::string& id : others) status = std::move(status).with_detail(id);
    return std::move(status).with_hint("give more of the id");
  }
  return std::move(*found);
}

std::string DeadLetterStore::replay_file(const std::string& replay_run_id) const {
  return root_ + "/replayed/" + replay_run_id + std::string(kSuffix);
}

std::string DeadLetterStore::encode_replay(const std::vector<ReplayEntry>& entries) {
  std::string lines;
  for (const ReplayEntry& entry : entries) {
    lines += dump_line({{"v", 1},
                        {"id", entry.letter_id},
                        {"run", entry.run_id},
                        {"result", entry.result},
                        {"time", format_utc(entry.time_micros)}});
    lines += '\n';
  }
  return lines;
}

Status DeadLetterStore::record_replay(const std::string& replay_run_id, const std::vector<ReplayEntry>& entries) const {
  RUNINK_RETURN_IF_ERROR(os::make_directories(root_ + "/replayed", 0700));
  return os::write_file_atomic(replay_file(replay_run_id), encode_replay(entries), 0600)
      .with_context("record which dead letters were replayed");
}

Result<std::map<std::string, ReplayEntry>> DeadLetterStore::replayed() const {
  std::map<std::string, ReplayEntry> entries;
  // Names are run ids, which sort by time: later entries decide, but done stays done.
  for (const std::string& name : RUNINK_TRY(letter_files(root_ + "/replayed"))) {
    const std::string path = root_ + "/replayed/" + name;
    const std::string text = RUNINK_TRY(os::read_file(path, kMaxReplayBytes));
    uint64_t number = 0;
    for (const std::string_view line : split(text, '\n')) {
      ++number;
      if (line.empty()) continue;
      const Json j = RUNINK_TRY(parse_json(line, fmt::format("{}:{}", path, number)));
      ReplayEntry entry = {get_text(j, "id"), get_text(j, "run"), get_text(j, "result"), get_time(j, "time")};
      ReplayEntry& known = entries[entry.letter_id];
      if (!is_done(known)) known = std::move(entry);
    }
  }
  return entries;
}

Status DeadLetterStore::for_each_pending(const DeadLetterFilter& filter,
                                         const std::function<bool(const DeadLetter&)>& visit) const {
  DeadLetterFilter pending = filter;
  pending.only_pending = true;
  pending.limit = 0;
  // Oldest run first: what was written first is replayed first.
  std::vector<std::string> runs = {filter.run_id};
  if (filter.run_id.empty()) {
    runs = RUNINK_TRY(run_folders(root_));
    std::reverse(runs.begin(), runs.end());
  }
  std::set<std::string> seen;
  bool stopped = false;
  for (const std::string& run : runs) {
    pending.run_id = run;
    RUNINK_RETURN_IF_ERROR(for_each(pending, [&](const DeadLetter& letter) {
      if (!seen.insert(letter.id).second) return true;
      stopped = !visit(letter) || (filter.limit > 0 && seen.size() >= filter.limit);
      return !stopped;
    }));
    if (stopped) break;
  }
  return {};
}

Result<ReplayInput> ReplayInput::write(const DeadLetterStore& store, const DeadLetterFilter& filter,
                                       const std::string& path, std::string_view header_line) {
  ReplayInput input;
  input.path_ = path;
  const os::Fd fd = RUNINK_TRY(os::open_file(path, os::OpenMode::kCreateNew, 0600));
  std::string buffer;
  int64_t end = 0;
  if (!header_line.empty()) {
    buffer.append(header_line).append("\n");
    end = static_cast<int64_t>(buffer.size());
  }
  Status status;
  RUNINK_RETURN_IF_ERROR(store.for_each_pending(filter, [&](const DeadLetter& letter) {
    input.ids_.push_back(letter.id);
    input.offsets_.push_back(end);
    buffer.append(letter.record).append("\n");
    end += static_cast<int64_t>(letter.record.size()) + 1;
    if (buffer.size() >= 1u << 20) {
      status = os::write_all(fd, buffer);
      buffer.clear();
    }
    return status.ok();
  }));
  RUNINK_RETURN_IF_ERROR(status);
  RUNINK_RETURN_IF_ERROR(os::write_all(fd, buffer));
  input.end_ = end;
  return input;
}

const std::string* ReplayInput::letter_of_offset(int64_t offset) const {
  if (offset < 0 || offset >= end_) return nullptr;
  const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), offset);
  if (after == offsets_.begin()) return nullptr;  // in the header line
  return &ids_[static_cast<size_t>(after - offsets_.begin()) - 1];
}

}  // namespace runink::ledger
