#include "worker/agent/slice_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::agent {
namespace {

constexpr std::string_view kHeading = "runink-slice ";
constexpr int kVersion = 1;
constexpr std::string_view kSuffix = ".slice";
constexpr uint64_t kMostBytes = 1 << 20;
constexpr std::string_view kLetters = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr size_t kIdLetters = 8;

// A value stays on its line.
std::string escape(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\\') {
      out += "\\\\";
    } else if (letter == '\n') {
      out += "\\n";
    } else {
      out += letter;
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size() || (text[i] != '\\' && text[i] != 'n')) return std::nullopt;
    out += text[i] == 'n' ? '\n' : '\\';
  }
  return out;
}

class Writer {
 public:
  Writer() : text_(fmt::format("{}{}\n", kHeading, kVersion)) {}
  void put(std::string_view name, std::string_view value) {
    if (!value.empty()) text_ += fmt::format("{}={}\n", name, escape(value));
  }
  template <std::integral Number>
  void put(std::string_view name, Number value) {
    if (value != 0) text_ += fmt::format("{}={}\n", name, value);
  }
  // Absent is not the same as 0.
  void put(std::string_view name, const std::optional<uint64_t>& value) {
    if (value) text_ += fmt::format("{}={}\n", name, *value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

Status damaged(std::string_view what) { return data_loss("read the record of a slice: {}", what); }

using Fields = std::map<std::string, std::vector<std::string>, std::less<>>;

Result<Fields> read_fields(std::string_view text) {
  if (!text.starts_with(kHeading)) return damaged("it does not begin as one");
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || !text.ends_with('\n')) return damaged("it was cut off");
  const std::string_view version = text.substr(kHeading.size(), end - kHeading.size());
  int number = 0;
  const auto read = std::from_chars(version.data(), version.data() + version.size(), number);
  if (read.ec != std::errc() || read.ptr != version.data() + version.size() || number < 1) {
    return damaged("its version is none");
  }
  if (number > kVersion) {
    return failed_precondition("read the record of a slice: it has version {}, and this program knows {}", number,
                               kVersion)
        .with_hint("a newer runi wrote it: start that one");
  }
  Fields fields;
  std::string_view rest = text.substr(end + 1);
  while (!rest.empty()) {
    const size_t line_end = rest.find('\n');
    const std::string_view line = rest.substr(0, line_end);
    rest.remove_prefix(line_end + 1);
    const size_t at = line.find('=');
    if (at == std::string_view::npos) return damaged("a line has no \"=\"");
    std::optional<std::string> value = unescape(line.substr(at + 1));
    if (!value) return damaged("a value has a backslash that means nothing");
    fields[std::string(line.substr(0, at))].push_back(std::move(*value));
  }
  return fields;
}

const std::string& text_of(const Fields& fields, std::string_view name) {
  static const std::string kNone;
  const auto at = fields.find(name);
  return at == fields.end() ? kNone : at->second.back();
}

template <std::integral Number>
Status number_of(const Fields& fields, std::string_view name, Number* out) {
  const std::string& text = text_of(fields, name);
  if (text.empty()) return {};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size()) return {};
  return damaged(fmt::format("{} is no number that fits", name));
}

Status number_of(const Fields& fields, std::string_view name, std::optional<uint64_t>* out) {
  if (!fields.contains(name)) return {};
  uint64_t number = 0;
  RUNINK_RETURN_IF_ERROR(number_of(fields, name, &number));
  *out = number;
  return {};
}

Status flag_of(const Fields& fields, std::string_view name, bool* out) {
  int number = 0;
  RUNINK_RETURN_IF_ERROR(number_of(fields, name, &number));
  *out = number != 0;
  return {};
}

Status read_end(const Fields& fields, sandbox::SliceEnd* end) {
  RUNINK_RETURN_IF_ERROR(flag_of(fields, "exited", &end->exited));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "code", &end->code));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "signal", &end->signal));
  RUNINK_RETURN_IF_ERROR(flag_of(fields, "timed_out", &end->timed_out));
  if (const auto at = fields.find("limit_hit"); at != fields.end()) end->limits_hit = at->second;
  sandbox::SliceUsage& usage = end->usage;
  RUNINK_RETURN_IF_ERROR(number_of(fields, "user_micros", &usage.user_micros));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "system_micros", &usage.system_micros));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "peak_memory_bytes", &usage.peak_memory_bytes));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "io_read_bytes", &usage.io_read_bytes));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "io_write_bytes", &usage.io_write_bytes));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "minor_faults", &usage.minor_faults));
  return number_of(fields, "major_faults", &usage.major_faults);
}

}  // namespace

std::string write_record(const SliceRecord& record) {
  Writer out;
  out.put("id", record.id);
  out.put("herd", record.herd);
  out.put("owner", record.owner);
  out.put("command", record.command);
  out.put("boot", record.boot_id);
  out.put("detached", record.options.detached ? 1 : 0);
  out.put("grace_nanos", record.options.grace_nanos);
  out.put("stage", stage_name(record.kept.stage));
  out.put("reason", reason_name(record.kept.reason));
  out.put("kill_nanos", record.kept.kill_nanos);
  out.put("requested_micros", record.requested_micros);
  out.put("started_micros", record.started_micros);
  out.put("ended_micros", record.ended_micros);
  out.put("path", record.path);
  const sandbox::SliceEnd& end = record.end;
  out.put("exited", end.exited ? 1 : 0);
  out.put("code", end.code);
  out.put("signal", end.signal);
  out.put("timed_out", end.timed_out ? 1 : 0);
  for (const std::string& sentence : end.limits_hit) out.put("limit_hit", sentence);
  const sandbox::SliceUsage& usage = end.usage;
  out.put("user_micros", usage.user_micros);
  out.put("system_micros", usage.system_micros);
  out.put("peak_memory_bytes", usage.peak_memory_bytes);
  out.put("io_read_bytes", usage.io_read_bytes);
  out.put("io_write_bytes", usage.io_write_bytes);
  out.put("minor_faults", usage.minor_faults);
  out.put("major_faults", usage.major_faults);
  return out.take();
}

Result<SliceRecord> read_record(std::string_view text) {
  const Fields fields = RUNINK_TRY(read_fields(text));
  SliceRecord record;
  record.id = text_of(fields, "id");
  if (!is_slice_id(record.id)) return damaged("its id is none");
  record.herd = text_of(fields, "herd");
  record.command = text_of(fields, "command");
  record.boot_id = text_of(fields, "boot");
  record.path = text_of(fields, "path");
  const std::optional<Stage> stage = stage_of(text_of(fields, "stage"));
  const std::optional<EndReason> reason = reason_of(text_of(fields, "reason"));
  if (!stage || !reason) return damaged("its stage or reason is none");
  record.kept.stage = *stage;
  record.kept.reason = *reason;
  record.options.grace_nanos = 0;  // what is not there is 0
  RUNINK_RETURN_IF_ERROR(number_of(fields, "owner", &record.owner));
  RUNINK_RETURN_IF_ERROR(flag_of(fields, "detached", &record.options.detached));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "grace_nanos", &record.options.grace_nanos));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "kill_nanos", &record.kept.kill_nanos));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "requested_micros", &record.requested_micros));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "started_micros", &record.started_micros));
  RUNINK_RETURN_IF_ERROR(number_of(fields, "ended_micros", &record.ended_micros));
  RUNINK_RETURN_IF_ERROR(read_end(fields, &record.end));
  return record;
}

Result<RecordStore> RecordStore::open(const std::string& folder) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
  return RecordStore(folder);
}

std::string RecordStore::path_of(const std::string& id) const {
  return os::join_path(folder_, id) + std::string(kSuffix);
}

Status RecordStore::put(const SliceRecord& record) {
  return os::write_file_atomic(path_of(record.id), write_record(record), 0600);
}

Status RecordStore::remove(const std::string& id) { return os::remove_file(path_of(id)); }

Result<std::vector<SliceRecord>> RecordStore::load(std::vector<std::string>* faults) {
  std::vector<SliceRecord> records;
  for (const std::string& name : RUNINK_TRY(os::list_directory(folder_))) {
    if (!name.ends_with(kSuffix)) continue;
    const std::string path = os::join_path(folder_, name);
    const auto text = os::read_file(path, kMostBytes);
    Result<SliceRecord> record = text.ok() ? read_record(*text) : Result<SliceRecord>(text.status());
    if (record.ok() && path_of(record->id) != path) record = damaged("it is another slice's");
    // What a newer program wrote is not damaged: nothing is touched, and no agent starts on it.
    if (!record.ok() && record.status().code() == Code::kFailedPrecondition) {
      return std::move(record).status().with_context(path);
    }
    if (!record.ok()) {
      faults->push_back(fmt::format("{}: {}", path, record.status().to_string()));
      RUNINK_RETURN_IF_ERROR(os::rename_file(path, path + ".damaged"));
      continue;
    }
    records.push_back(std::move(*record));
  }
  return records;
}

std::string make_slice_id(uint64_t random_bits) {
  std::string id;
  for (size_t i = 0; i < kIdLetters; ++i, random_bits >>= 5) id += kLetters[random_bits & 31];
  return id;
}

uint64_t slice_number(std::string_view id) {
  uint64_t bits = 0;
  for (size_t i = id.size(); i > 0; --i) bits = bits << 5 | kLetters.find(id[i - 1]);
  return bits;
}

bool is_slice_id(std::string_view text) {
  return text.size() == kIdLetters && text.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace runink::agent
