#include "worker/agent/log_store.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/telemetry/machine_stats.h"

namespace runink::agent {
namespace {

constexpr size_t kBatchBytes = 1 << 20;
constexpr size_t kEntryCost = 128;  // of a line in the queue, besides its text
constexpr int64_t kRoomNanos = 500'000'000;

Status check_slice_name(const std::string& name) {
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (!name.empty() && name.size() <= 128 && name[0] != '.' && std::all_of(name.begin(), name.end(), fine)) return {};
  return invalid_argument("\"{}\" cannot name a log: 1 to 128 letters, digits, '-', '_' and '.', no '.' first",
                          escape_control(name));
}

struct Missing {
  uint64_t lines = 0, bytes = 0;
  void add(uint64_t more_lines, uint64_t more_bytes) {
    lines += more_lines;
    bytes += more_bytes;
  }
};

}  // namespace

struct LogStore::Slice {
  Slice(LogOrigin whose, const Options& options)
      : origin(std::move(whose)), rate(options.bytes_per_second, options.burst_bytes) {}

  const LogOrigin origin;

  // Under mutex_.
  LineSplitter splitters[2];
  LogRate rate;
  Dropped dropped;
  Missing untold_rate, untold_disk;  // dropped, and nobody was told
  int64_t told_at = 0;               // steady nanoseconds
  size_t queued_bytes = 0;

  // The writer's.
  std::optional<LogFiles> files;  // once there was something to write
};

struct LogStore::Entry {
  std::shared_ptr<Slice> slice;
  std::optional<LogLine> line;  // absent: the slice has ended
  bool of_disk = false;         // the line says what the disk did not take
};

// What one batch has for one log.
struct LogStore::Pending {
  std::shared_ptr<Slice> slice;
  std::string text;
  uint64_t lines = 0, bytes = 0;  // the slice's own
  Missing told_rate, told_disk;   // in this text
  bool ended = false;
};

Result<std::unique_ptr<LogStore>> LogStore::open(Options options) {
  options.burst_bytes = std::max<double>(options.burst_bytes, 64 << 10);
  options.files.files = std::max<uint32_t>(options.files.files, 2);
  RUNINK_RETURN_IF_ERROR(os::make_directories(options.folder, 0700).with_context("make the folder of slices' logs"));
  std::unique_ptr<LogStore> store(new LogStore(std::move(options)));
  store->find_stored();
  store->thread_ = std::thread([self = store.get()] { self->run(); });
  return store;
}

LogStore::LogStore(Options options)
    : options_(std::move(options)), clock_(options_.clock != nullptr ? *options_.clock : system_clock()) {}

LogStore::~LogStore() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// Logs of earlier slices. What cannot be read is not counted.
void LogStore::find_stored() {
  const auto names = os::list_directory(options_.folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string folder = options_.folder + "/" + name;
    const auto info = os::link_info(folder);
    if (!info.ok() || !info->folder() || !check_slice_name(name).ok()) continue;
    Stored& stored = stored_[name];
    stored.ended_micros = std::max<int64_t>(1, info->modified_nanos / 1000);
    ended_.emplace(stored.ended_micros, name);
    const auto bytes = os::tree_bytes(folder);
    set_bytes(name, bytes.ok() ? *bytes : 0);
  }
  make_room();
  count_stored();
}

std::string LogStore::folder_of(std::string_view slice) const { return options_.folder + "/" + std::string(slice); }

Status LogStore::begin(const LogOrigin& origin) {
  RUNINK_RETURN_IF_ERROR(check_slice_name(origin.slice));
  const std::lock_guard lock(mutex_);
  if (slices_.count(origin.slice) == 0) slices_.emplace(origin.slice, std::make_shared<Slice>(origin, options_));
  return {};
}

int64_t LogStore::write(std::string_view slice, LogStream stream, std::string_view bytes) {
  const int64_t now = clock_.steady_nanos();
  const std::lock_guard lock(mutex_);
  const auto found = slices_.find(slice);
  if (found == slices_.end() || stream == LogStream::kRunink) return 0;
  const std::shared_ptr<Slice>& to = found->second;
  to->splitters[stream == LogStream::kError ? 1 : 0].feed(
      bytes, [&](std::string_view text, bool continues) { take(to, stream, text, continues, now); });
  return to->rate.pause_nanos();
}

void LogStore::take(const std::shared_ptr<Slice>& slice, LogStream stream, std::string_view text, bool continues,
                    int64_t now) {
  if (!slice->rate.admit(text.size(), now)) {
    ++slice->dropped.rate;
    ++counters_.dropped.rate;
    slice->untold_rate.add(1, text.size());
    return;
  }
  if (now - slice->told_at >= options_.tell_nanos) tell_dropped(slice);
  LogLine line;
  line.unix_micros = clock_.unix_micros();
  line.stream = stream;
  line.text = text;
  line.continues = continues;
  if (options_.forwarder != nullptr) options_.forwarder->offer(slice->origin, line);
  queue(slice, std::move(line), false);
}

void LogStore::queue(const std::shared_ptr<Slice>& slice, LogLine line, bool always) {
  const size_t cost = line.text.size() + kEntryCost;
  const bool full =
      queued_bytes_ + cost > options_.queue_bytes || slice->queued_bytes + cost > options_.queue_bytes / 4;
  if (full && !always) {
    ++slice->dropped.queue;
    ++counters_.dropped.queue;
    slice->untold_disk.add(1, line.text.size());
    return;
  }
  queued_bytes_ += cost;
  slice->queued_bytes += cost;
  ++handed_in_;
  if (queue_.empty()) wake_.notify_one();
  queue_.push_back({slice, std::move(line), false});
}

// What was dropped for its rate the forwarder did not get either; what the disk did not take it did.
void LogStore::tell_dropped(const std::shared_ptr<Slice>& slice) {
  const auto line_of = [&](const Missing& missing, const std::string& why) {
    LogLine line;
    line.unix_micros = clock_.unix_micros();
    line.stream = LogStream::kRunink;
    line.dropped_lines = missing.lines;
    line.dropped_bytes = missing.bytes;
    line.text = fmt::format("{} lines ({} bytes) before this one were dropped: {}", missing.lines, missing.bytes, why);
    return line;
  };
  if (slice->untold_rate.lines > 0) {
    LogLine line = line_of(slice->untold_rate,
                           fmt::format("the slice wrote more than {:.0f} bytes a second", options_.bytes_per_second));
    if (options_.forwarder != nullptr) options_.forwarder->offer(slice->origin, line);
    queue(slice, std::move(line), true);
    slice->untold_rate = {};
    slice->told_at = clock_.steady_nanos();
  }
  // While the disk is full this would only be lost.
  if (slice->untold_disk.lines > 0 && !counters_.disk_full) {
    queue(slice, line_of(slice->untold_disk, "the disk of the logs was full or too slow"), true);
    queue_.back().of_disk = true;
    slice->untold_disk = {};
    slice->told_at = clock_.steady_nanos();
  }
}

// True: some slice has something that is told later.
bool LogStore::tell_all_dropped(int64_t now) {
  bool later = false;
  for (auto& [id, slice] : slices_) {
    if (slice->untold_rate.lines + slice->untold_disk.lines == 0) continue;
    if (now - slice->told_at >= options_.tell_nanos) tell_dropped(slice);
    later = later || slice->untold_rate.lines + slice->untold_disk.lines > 0;
  }
  return later;
}

void LogStore::note(std::string_view slice, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto found = slices_.find(slice);
  if (found == slices_.end()) return;
  LogLine line;
  line.unix_micros = clock_.unix_micros();
  line.stream = LogStream::kRunink;
  line.text = text.substr(0, kMostLineBytes);
  if (options_.forwarder != nullptr) options_.forwarder->offer(found->second->origin, line);
  queue(found->second, std::move(line), true);
}

void LogStore::end(std::string_view slice) {
  const int64_t now = clock_.steady_nanos();
  const std::lock_guard lock(mutex_);
  const auto found = slices_.find(slice);
  if (found == slices_.end()) return;
  const std::shared_ptr<Slice> ended = found->second;
  for (const LogStream stream : {LogStream::kOutput, LogStream::kError}) {
    ended->splitters[stream == LogStream::kError ? 1 : 0].finish(
        [&](std::string_view text, bool continues) { take(ended, stream, text, continues, now); });
  }
  tell_dropped(ended);
  slices_.erase(found);
  ++handed_in_;
  queue_.push_back({ended, std::nullopt, false});
  wake_.notify_one();
}

bool LogStore::flush(int64_t max_nanos) {
  std::unique_lock lock(mutex_);
  const uint64_t until = handed_in_;
  wake_.notify_one();
  return drained_.wait_for(lock, std::chrono::nanoseconds(max_nanos), [&] { return done_ >= until; });
}

Status LogStore::remove(const std::string& slice) {
  constexpr int64_t kWaitNanos = 10'000'000'000;
  RUNINK_RETURN_IF_ERROR(check_slice_name(slice));
  {
    const std::lock_guard lock(mutex_);
    if (slices_.count(slice) != 0) return failed_precondition("slice {} still writes its log", slice);
  }
  if (!flush(kWaitNanos)) return deadline_exceeded("remove the log of {}: it is still being written", slice);
  const std::lock_guard lock(files_mutex_);
  RUNINK_RETURN_IF_ERROR(os::remove_tree(folder_of(slice)).with_context("remove the log of " + slice));
  forget(slice);
  count_stored();
  return {};
}

LogStore::Counters LogStore::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

std::map<std::string, LogStore::Dropped> LogStore::dropped_by_slice() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, Dropped> out;
  for (const auto& [id, slice] : slices_) out.emplace(id, slice->dropped);
  return out;
}

void LogStore::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const bool later = tell_all_dropped(clock_.steady_nanos());
    const auto something = [this] { return !queue_.empty() || stop_; };
    if (later) {
      wake_.wait_for(lock, std::chrono::nanoseconds(options_.tell_nanos), something);
    } else if (!something()) {
      // What is dropped from now on is found when the next line comes, or within this time.
      wake_.wait_for(lock, std::chrono::seconds(1), something);
    }
    if (queue_.empty() && stop_) return;
    std::deque<Entry> batch;
    size_t bytes = 0;
    while (!queue_.empty() && bytes < kBatchBytes) {
      Entry& entry = queue_.front();
      const size_t cost = entry.line ? entry.line->text.size() + kEntryCost : 0;
      queued_bytes_ -= cost;
      entry.slice->queued_bytes -= cost;
      bytes += cost;
      batch.push_back(std::move(entry));
      queue_.pop_front();
    }
    const size_t count = batch.size();
    if (count == 0) continue;
    lock.unlock();
    write_batch(std::move(batch));
    lock.lock();
    done_ += count;
    drained_.notify_all();
  }
}

void LogStore::write_batch(std::deque<Entry> batch) {
  const std::lock_guard lock(files_mutex_);
  std::vector<Pending> pending;
  std::map<const Slice*, size_t> index;
  for (Entry& entry : batch) {
    const auto [at, fresh] = index.try_emplace(entry.slice.get(), pending.size());
    if (fresh) pending.push_back({entry.slice, {}, 0, 0, {}, {}, false});
    Pending& to = pending[at->second];
    if (!entry.line) {
      to.ended = true;
      continue;
    }
    to.text += log_line_json(entry.slice->origin, *entry.line);
    if (entry.line->dropped_lines > 0) {
      (entry.of_disk ? to.told_disk : to.told_rate).add(entry.line->dropped_lines, entry.line->dropped_bytes);
    } else {
      ++to.lines;
      to.bytes += entry.line->text.size();
    }
  }
  for (Pending& of : pending) {
    if (!of.text.empty()) write_pending(of);
    if (of.ended) close_log(of.slice);
  }
  make_room();
  count_stored();
}

void LogStore::count_stored() {
  const std::lock_guard lock(mutex_);
  counters_.stored_bytes = stored_bytes_;
  counters_.stored_logs = stored_.size();
}

void LogStore::write_pending(Pending& pending) {
  Slice& slice = *pending.slice;
  const Status written = append(pending.slice, pending.text);
  std::unique_lock lock(mutex_);
  const bool was_full = counters_.disk_full;
  counters_.disk_full = !written.ok();
  if (written.ok()) {
    counters_.lines += pending.lines;
    counters_.bytes += pending.bytes;
  } else {
    ++counters_.disk_errors;
    counters_.dropped.disk += pending.lines;
    slice.dropped.disk += pending.lines;
    slice.untold_disk.add(pending.lines + pending.told_disk.lines, pending.bytes + pending.told_disk.bytes);
    slice.untold_rate.add(pending.told_rate.lines, pending.told_rate.bytes);
  }
  lock.unlock();
  if (options_.log == nullptr || was_full == !written.ok()) return;
  if (written.ok()) {
    options_.log->info("agent.logs.written_again", "logs of slices are written again", {{"folder", options_.folder}});
  } else {
    options_.log->error("agent.logs.not_written", "lines of slices' logs are dropped: " + written.to_string(),
                        {{"folder", options_.folder}, {"hint", written.hint()}});
  }
}

Status LogStore::append(const std::shared_ptr<Slice>& slice, const std::string& text) {
  RUNINK_RETURN_IF_ERROR(check_room());
  const std::string& id = slice->origin.slice;
  if (!slice->files) {
    slice->files = RUNINK_TRY(LogFiles::open(folder_of(id), options_.files));
    Stored& stored = stored_[id];
    ended_.erase({stored.ended_micros, id});
    stored.ended_micros = 0;
    stored.running = slice;
  }
  Status written = slice->files->append(text);
  set_bytes(id, slice->files->bytes());
  return written;
}

void LogStore::close_log(const std::shared_ptr<Slice>& slice) {
  if (!slice->files) return;
  slice->files.reset();
  const std::string& id = slice->origin.slice;
  Stored& stored = stored_[id];
  stored.ended_micros = std::max<int64_t>(1, clock_.unix_micros());
  stored.running.reset();
  ended_.emplace(stored.ended_micros, id);
}

void LogStore::set_bytes(const std::string& slice, uint64_t bytes) {
  Stored& stored = stored_[slice];
  stored_bytes_ += bytes - stored.bytes;
  stored.bytes = bytes;
}

void LogStore::forget(const std::string& slice) {
  const auto found = stored_.find(slice);
  if (found == stored_.end()) return;
  stored_bytes_ -= found->second.bytes;
  ended_.erase({found->second.ended_micros, slice});
  stored_.erase(found);
}

Status LogStore::check_room() {
  const int64_t now = clock_.steady_nanos();
  if (room_checked_at_ == 0 || now - room_checked_at_ >= kRoomNanos) {
    room_checked_at_ = now;
    const auto disk = telemetry::disk_stats(options_.folder);
    free_bytes_ = disk ? disk->free_bytes : UINT64_MAX;
  }
  if (free_bytes_ < options_.keep_free_bytes) {
    return resource_exhausted("write logs to {}: the file system has {} bytes free, and {} are left to others",
                              options_.folder, free_bytes_, options_.keep_free_bytes)
        .with_hint("make space there, or put the logs on another disk");
  }
  if (stored_bytes_ > options_.most_bytes) {
    return resource_exhausted("write logs to {}: all logs together have {} bytes, {} are the most", options_.folder,
                              stored_bytes_, options_.most_bytes);
  }
  return {};
}

void LogStore::make_room() {
  while (!ended_.empty() && (stored_bytes_ > options_.most_bytes || ended_.size() > options_.most_ended)) {
    const std::string oldest = ended_.begin()->second;
    // One that cannot be removed now is found again at the next start.
    (void)os::remove_tree(folder_of(oldest));
    forget(oldest);
  }
  while (stored_bytes_ > options_.most_bytes) {
    Stored* largest = nullptr;
    std::string id;
    for (auto& [name, stored] : stored_) {
      if (stored.running == nullptr || !stored.running->files || stored.running->files->file_count() < 2) continue;
      if (largest != nullptr && stored.bytes <= largest->bytes) continue;
      largest = &stored;
      id = name;
    }
    if (largest == nullptr) return;
    largest->running->files->drop_oldest();
    set_bytes(id, largest->running->files->bytes());
  }
}

}  // namespace runink::agent
