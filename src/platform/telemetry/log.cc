#include "platform/telemetry/log.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <ctime>

#include "base/text.h"

namespace runink::telemetry {
namespace {

constexpr size_t kMaxBuckets = 256;  // event names are few; whoever makes more of them shares the last bucket
constexpr int kPollMillis = 50;      // how soon a writer that waits for its reader notices the end

// Whole code points, and a sign that something is missing.
std::string_view cut(std::string_view text, size_t bytes, std::string* kept) {
  if (text.size() <= bytes) return text;
  size_t end = bytes;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80) --end;
  *kept = std::string(text.substr(0, end)) + "…";
  return *kept;
}

// JSON's own escapes leave DEL and the C1 controls alone, which terminals obey.
void append_text(std::string& out, std::string_view text) {
  std::string kept, quoted;
  append_json_quoted(quoted, cut(text, kMaxValueBytes, &kept));
  for (size_t i = 0; i < quoted.size(); ++i) {
    const auto byte = static_cast<uint8_t>(quoted[i]);
    const auto next = i + 1 < quoted.size() ? static_cast<uint8_t>(quoted[i + 1]) : uint8_t{0};
    if (byte == 0x7F) {
      out += "\\u007f";
    } else if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      out += fmt::format("\\u{:04x}", next);
      ++i;
    } else {
      out += static_cast<char>(byte);
    }
  }
}

void append_number(std::string& out, double number) {
  if (std::isfinite(number)) {
    out += fmt::format("{}", number);
  } else {
    out += "null";  // JSON has no other word for it
  }
}

struct JsonValue {
  std::string& out;
  void operator()(std::string_view text) const { append_text(out, text); }
  void operator()(bool truth) const { out += truth ? "true" : "false"; }
  void operator()(double number) const { append_number(out, number); }
  void operator()(int64_t number) const { out += fmt::format("{}", number); }
  void operator()(uint64_t number) const { out += fmt::format("{}", number); }
};

struct TextValue {
  std::string& out;
  void operator()(std::string_view text) const {
    const bool plain = !text.empty() &&
                       std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != '"' && c != '\x7F'; });
    if (plain && text.size() <= kMaxValueBytes) {
      out += text;
    } else {
      append_text(out, text);
    }
  }
  void operator()(bool truth) const { out += truth ? "true" : "false"; }
  void operator()(double number) const { out += fmt::format("{}", number); }
  void operator()(int64_t number) const { out += fmt::format("{}", number); }
  void operator()(uint64_t number) const { out += fmt::format("{}", number); }
};

std::string time_text(int64_t unix_micros) {
  int64_t micros = unix_micros % 1'000'000;
  if (micros < 0) micros += 1'000'000;
  std::string text = format_utc(unix_micros - micros);
  text.pop_back();  // Z
  return text + fmt::format(".{:06}Z", micros);
}

}  // namespace

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      break;
  }
  return "error";
}

std::unique_ptr<Log> Log::to_descriptor(int descriptor, Options options) {
  return std::unique_ptr<Log>(new Log(descriptor, os::Fd(), std::move(options)));
}

Result<std::unique_ptr<Log>> Log::to_file(const std::string& path, Options options) {
  os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600), path);
  if (!file.valid()) return from_errno(errno, "open the log " + path);
  const int descriptor = file.get();
  return std::unique_ptr<Log>(new Log(descriptor, std::move(file), std::move(options)));
}

Log::Log(int descriptor, os::Fd own, Options options)
    : options_(std::move(options)),
      clock_(options_.clock == nullptr ? system_clock() : *options_.clock),
      own_(std::move(own)),
      descriptor_(descriptor),
      text_(options_.form == Form::kText || (options_.form == Form::kAuto && ::isatty(descriptor) == 1)) {
  thread_ = std::thread([this] { run(); });
}

Log::~Log() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    give_up_nanos_ = system_clock().steady_nanos() + options_.close_nanos;
  }
  wake_.notify_one();
  thread_.join();
}

Log::Counters Log::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

// ---- in the caller's thread

void Log::write(Level level, std::string_view event, std::string_view message, std::span<const Field> fields) {
  if (level < options_.least) return;
  uint64_t suppressed = 0;
  if (!admit(event, &suppressed)) return;
  enqueue(render(level, event, message, fields, suppressed));
}

bool Log::admit(std::string_view event, uint64_t* suppressed) {
  const int64_t now = clock_.steady_nanos();
  const std::lock_guard lock(mutex_);
  auto found = buckets_.find(event);
  if (found == buckets_.end()) {
    const std::string_view name = buckets_.size() < kMaxBuckets ? event : std::string_view();
    found = buckets_.try_emplace(std::string(name), Bucket{options_.burst, now, 0}).first;
  }
  Bucket& bucket = found->second;
  bucket.left += options_.per_second * static_cast<double>(std::max<int64_t>(now - bucket.at, 0)) / 1e9;
  bucket.left = std::min(bucket.left, options_.burst);
  bucket.at = now;
  if (bucket.left < 1) {
    ++bucket.suppressed;
    ++counters_.dropped_often;
    return false;
  }
  bucket.left -= 1;
  *suppressed = std::exchange(bucket.suppressed, 0);
  return true;
}

std::string Log::render(Level level, std::string_view event, std::string_view message, std::span<const Field> fields,
                        uint64_t suppressed) const {
  const std::string time = time_text(clock_.unix_micros());
  std::string line;
  const std::string_view close = text_ ? "" : "}}";
  if (text_) {
    std::string kept;
    line = fmt::format("{} {:<7} {}  {}", time, level_name(level), escape_control(event),
                       escape_control(cut(message, kMaxValueBytes, &kept)));
  } else {
    line = fmt::format(R"({{"time":"{}","level":"{}","event":)", time, level_name(level));
    append_text(line, event);
    line += R"(,"message":)";
    append_text(line, message);
    line += R"(,"fields":{)";
  }
  bool first = true, truncated = false;
  const auto add = [&](const Field& field) {
    std::string one;
    if (text_) {
      one = "  " + escape_control(field.name) + "=";
      std::visit(TextValue{one}, field.value);
    } else {
      if (!first) one += ',';
      append_text(one, field.name);
      one += ':';
      std::visit(JsonValue{one}, field.value);
    }
    constexpr size_t kReserve = 64;  // for the words about what is missing, and the end
    if (line.size() + one.size() + kReserve > kMaxLineBytes) {
      truncated = true;
      return;
    }
    line += one;
    first = false;
  };
  // What says that something is missing comes first, so that it has its place for sure.
  if (suppressed > 0) add(Field("suppressed", suppressed));
  for (const auto& [name, value] : options_.common) add(Field(name, value));
  for (const Field& field : fields) add(field);
  if (truncated) line += text_ ? "  truncated=true" : first ? R"("truncated":true)" : R"(,"truncated":true)";
  line += close;
  // A message of nothing but escapes may still be too long: six bytes for one.
  if (line.size() + 1 > kMaxLineBytes) {
    if (!text_) return render(level, event.substr(0, 64), "a message that was too long", {}, suppressed);
    line.resize(kMaxLineBytes - 1);
  }
  line += '\n';
  return line;
}

void Log::enqueue(std::string line) {
  {
    const std::lock_guard lock(mutex_);
    if (queued_bytes_ + line.size() > options_.queue_bytes) {
      ++counters_.dropped_queue;
      return;
    }
    queued_bytes_ += line.size();
    queue_.push_back(std::move(line));
  }
  wake_.notify_one();
}

bool Log::flush(int64_t max_nanos) {
  std::unique_lock lock(mutex_);
  return drained_.wait_for(lock, std::chrono::nanoseconds(max_nanos),
                           [this] { return queue_.empty() && writing_ == 0; });
}

// ---- in the log's thread

void Log::run() {
  sigset_t all;
  ::sigfillset(&all);
  (void)::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are other threads' business
  while (true) {
    std::string chunk;
    uint64_t lines = 0, full = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) break;
      while (!queue_.empty() && chunk.size() + queue_.front().size() <= kMaxLineBytes) {
        chunk += queue_.front();
        queued_bytes_ -= queue_.front().size();
        queue_.pop_front();
        ++lines;
      }
      writing_ = lines;
      full = counters_.dropped_queue;
    }
    const bool written = write_chunk(chunk);
    if (!written) lost_ += lines;
    {
      const std::lock_guard lock(mutex_);
      if (written) {
        counters_.lines += lines;
        counters_.bytes += chunk.size();
      } else {
        counters_.dropped_error += lines;
      }
    }
    if (written && (lost_ > 0 || full > told_full_)) tell_lost(full);
    {
      const std::lock_guard lock(mutex_);
      writing_ = 0;
      if (queue_.empty()) drained_.notify_all();
    }
  }
}

// A pipe or terminal says that it takes a page at least; then writing no more than that does not block. A file always
// says so.
bool Log::wait_writable() {
  while (true) {
    pollfd wanted{descriptor_, POLLOUT, 0};
    const int ready = ::poll(&wanted, 1, kPollMillis);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    const std::lock_guard lock(mutex_);
    if (stop_ && system_clock().steady_nanos() >= give_up_nanos_) return false;
  }
}

bool Log::write_chunk(std::string_view chunk) {
  std::string after_torn;
  if (torn_) {
    after_torn = "\n" + std::string(chunk);
    chunk = after_torn;
  }
  size_t done = 0;
  while (done < chunk.size()) {
    if (!wait_writable()) break;
    const ssize_t wrote = ::write(descriptor_, chunk.data() + done, std::min(chunk.size() - done, kMaxLineBytes));
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno != EINTR && errno != EAGAIN) {
      break;
    }
  }
  if (done > 0) torn_ = done < chunk.size() && chunk[done - 1] != '\n';
  return done == chunk.size();
}

void Log::tell_lost(uint64_t full) {
  const Field fields[] = {{"not_written", lost_}, {"queue_full", full - told_full_}};
  const std::string line =
      render(Level::kWarning, "log.lost", "lines of this log are missing before this one", fields, 0);
  if (!write_chunk(line)) return;
  lost_ = 0;
  told_full_ = full;
}

}  // namespace runink::telemetry
