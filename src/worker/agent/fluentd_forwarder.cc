#include "worker/agent/fluentd_forwarder.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/clock.h"
#include "platform/crypto/base64.h"
#include "platform/crypto/random.h"
#include "worker/agent/fluentd_msgpack.h"
#include "worker/agent/fluentd_session.h"

namespace runink::agent {
namespace {

constexpr size_t kMostTags = 1000;  // of which dropped lines are counted apart

int64_t now_nanos() { return system_clock().steady_nanos(); }

std::string encode(const LogOrigin& origin, const LogLine& line, const std::string& node) {
  std::string out;
  msgpack::put_array_head(out, 2);
  msgpack::put_event_time(out, line.unix_micros);
  msgpack::put_map_head(out, 5u + (line.continues ? 1 : 0) + (line.dropped_lines > 0 ? 2 : 0));
  const auto field = [&](std::string_view name, std::string_view text) {
    msgpack::put_text(out, name);
    msgpack::put_text(out, text);
  };
  field("log", line.text);
  field("stream", stream_name(line.stream));
  field("slice", origin.slice);
  field("herd", origin.herd);
  field("node", node);
  if (line.continues) {
    msgpack::put_text(out, "continues");
    msgpack::put_bool(out, true);
  }
  if (line.dropped_lines > 0) {
    msgpack::put_text(out, "dropped_lines");
    msgpack::put_number(out, line.dropped_lines);
    msgpack::put_text(out, "dropped_bytes");
    msgpack::put_number(out, line.dropped_bytes);
  }
  return out;
}

std::string new_chunk_id() {
  const auto bytes = crypto::random_array<16>();
  return crypto::base64(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

struct FluentdForwarder::Chunk {
  std::string tag, id, entries;
  uint64_t lines = 0, number = 0;
  int64_t began = 0;  // steady nanoseconds
  uint64_t tries = 0;
};

Result<std::unique_ptr<FluentdForwarder>> FluentdForwarder::start(Options options) {
  if (options.where.host.empty() || options.where.port == 0) {
    return invalid_argument("a Fluentd server is named by its host and port");
  }
  if (!options.user_name.empty() && options.shared_key.empty()) {
    return invalid_argument("a user of a Fluentd server takes a shared key, too");
  }
  std::unique_ptr<FluentdForwarder> forwarder(new FluentdForwarder(std::move(options)));
  if (forwarder->options_.tls) forwarder->tls_ = RUNINK_TRY(net::ClientTlsContext::create(*forwarder->options_.tls));
  forwarder->interrupt_ = RUNINK_TRY(net::Interrupt::create());
  forwarder->thread_ = std::thread([self = forwarder.get()] { self->run(); });
  return forwarder;
}

FluentdForwarder::FluentdForwarder(Options options) : options_(std::move(options)) {}

FluentdForwarder::~FluentdForwarder() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    stop_ = true;
    wake_.notify_all();
    changed_.wait_for(lock, std::chrono::nanoseconds(options_.close_nanos), [this] { return finished_; });
  }
  interrupt_.raise();
  thread_.join();
}

void FluentdForwarder::offer(const LogOrigin& origin, const LogLine& line) {
  const std::string tag = options_.tag + "." + (origin.herd.empty() ? "none" : origin.herd);
  const std::string entry = encode(origin, line, options_.node);
  const std::lock_guard lock(mutex_);
  if (stop_ || counters_.buffered_bytes + entry.size() > options_.buffer_bytes) {
    ++counters_.lines_dropped;
    if (untold_.count(tag) != 0 || untold_.size() < kMostTags) ++untold_[tag];
    return;
  }
  if (const auto untold = untold_.find(tag); untold != untold_.end()) {
    LogLine told;
    told.unix_micros = line.unix_micros;
    told.stream = LogStream::kRunink;
    told.dropped_lines = untold->second;
    told.text =
        fmt::format("{} lines before this one were dropped: the buffer for this server was full", untold->second);
    untold_.erase(untold);
    add(tag, encode({"", origin.herd}, told, options_.node));
  }
  add(tag, entry);
}

void FluentdForwarder::add(const std::string& tag, const std::string& entry) {
  auto [at, fresh] = open_.try_emplace(tag);
  if (fresh) {
    at->second = std::make_unique<Chunk>();
    at->second->tag = tag;
    at->second->id = new_chunk_id();
    at->second->began = now_nanos();
  }
  Chunk& chunk = *at->second;
  chunk.entries += entry;
  ++chunk.lines;
  counters_.buffered_bytes += entry.size();
  ++counters_.buffered_lines;
  if (chunk.entries.size() >= options_.chunk_bytes) {
    seal(at);
    wake_.notify_one();
  } else if (fresh) {
    wake_.notify_one();  // there is something new to wait for
  }
}

void FluentdForwarder::seal(std::map<std::string, std::unique_ptr<Chunk>>::iterator open) {
  open->second->number = ++last_number_;
  sealed_.push_back(std::move(open->second));
  open_.erase(open);
}

void FluentdForwarder::seal_due(int64_t now) {
  for (auto open = open_.begin(); open != open_.end();) {
    const auto next = std::next(open);
    if (stop_ || now - open->second->began >= options_.flush_nanos) seal(open);
    open = next;
  }
}

bool FluentdForwarder::flush(int64_t max_nanos) {
  std::unique_lock lock(mutex_);
  while (!open_.empty()) seal(open_.begin());
  wake_.notify_one();
  const uint64_t until = last_number_;
  return changed_.wait_for(lock, std::chrono::nanoseconds(max_nanos), [&] { return settled_number_ >= until; });
}

FluentdForwarder::Counters FluentdForwarder::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

// False: there is nothing left to do, and nothing will come.
bool FluentdForwarder::wait_for_work() {
  std::unique_lock lock(mutex_);
  while (true) {
    seal_due(now_nanos());
    if (!sealed_.empty()) return true;
    if (stop_) return false;
    int64_t first = INT64_MAX;
    for (const auto& [tag, chunk] : open_) first = std::min(first, chunk->began + options_.flush_nanos);
    if (first == INT64_MAX) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, std::chrono::nanoseconds(std::max<int64_t>(first - now_nanos(), 0)));
    }
  }
}

bool FluentdForwarder::stopping() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

// At least half of it, so that not all nodes come back to a server at the same moment. Cut short when the forwarder is
// to end.
void FluentdForwarder::pause(int64_t nanos) {
  nanos -= static_cast<int64_t>(crypto::random_u64() % static_cast<uint64_t>(nanos / 2 + 1));
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::nanoseconds(nanos), [this] { return stop_; });
}

void FluentdForwarder::run() {
  // TLS writes to its socket without the flag that keeps a broken pipe quiet.
  sigset_t pipes;
  sigemptyset(&pipes);
  sigaddset(&pipes, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipes, nullptr);

  const FluentdCredentials credentials = {options_.node, options_.shared_key, options_.user_name, options_.password};
  int64_t next_pause = options_.first_pause_nanos;
  while (wait_for_work()) {
    auto session =
        FluentdSession::open(options_.where, tls_.get(), credentials, now_nanos() + options_.connect_nanos, interrupt_);
    bool progress = false;
    if (session.ok()) {
      progress = send_while_connected(**session);
    } else {
      tell_failure(session.status());
    }
    if (progress) {
      next_pause = options_.first_pause_nanos;
    } else if (stopping()) {
      break;
    }
    pause(next_pause);
    if (!progress) next_pause = std::min(next_pause * 2, options_.longest_pause_nanos);
  }
  give_up_rest();
}

// Until the connection ends, or there is nothing left and the forwarder is to end. Whether any chunk was acknowledged.
bool FluentdForwarder::send_while_connected(FluentdSession& session) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.connections;
  }
  bool progress = false;
  while (wait_for_work()) {
    Status sent = session.check();
    // Servers end connections that are quiet for long.
    if (!sent.ok() && progress) {
      tell_quiet_end();
      return progress;
    }
    if (sent.ok()) sent = send_first(session);
    if (!sent.ok()) {
      tell_failure(std::move(sent).with_context("send to " + options_.where.text()));
      return progress;
    }
    tell_connected();
    settle_first();
    progress = true;
  }
  return progress;
}

Status FluentdForwarder::send_first(FluentdSession& session) {
  const Chunk* first = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (sealed_.front()->tries++ > 0) ++counters_.chunks_sent_again;
    first = sealed_.front().get();  // nobody else takes it away
  }
  return session.send(first->tag, first->entries, first->lines, first->id, now_nanos() + options_.answer_nanos);
}

void FluentdForwarder::settle_first() {
  const std::lock_guard lock(mutex_);
  const Chunk& chunk = *sealed_.front();
  ++counters_.chunks_acknowledged;
  counters_.lines_acknowledged += chunk.lines;
  counters_.buffered_bytes -= chunk.entries.size();
  counters_.buffered_lines -= chunk.lines;
  settled_number_ = chunk.number;
  sealed_.pop_front();
  changed_.notify_all();
}

void FluentdForwarder::give_up_rest() {
  const std::lock_guard lock(mutex_);
  counters_.lines_dropped += counters_.buffered_lines;
  counters_.buffered_lines = counters_.buffered_bytes = 0;
  counters_.connected = false;
  while (!open_.empty()) seal(open_.begin());
  sealed_.clear();
  settled_number_ = last_number_;
  finished_ = true;
  changed_.notify_all();
}

void FluentdForwarder::tell_failure(const Status& why) {
  {
    const std::lock_guard lock(mutex_);
    ++counters_.failures;
    counters_.connected = false;
  }
  const std::string text = why.to_string();
  if (options_.log == nullptr || why.code() == Code::kCancelled || text == told_) return;
  told_ = text;
  options_.log->warning("agent.fluentd.lost", "lines of slices' logs wait for their server: " + text,
                        {{"server", options_.where.text()}, {"hint", why.hint()}});
}

void FluentdForwarder::tell_quiet_end() {
  const std::lock_guard lock(mutex_);
  counters_.connected = false;
}

void FluentdForwarder::tell_connected() {
  {
    const std::lock_guard lock(mutex_);
    if (counters_.connected) return;
    counters_.connected = true;
  }
  const bool news = !ever_connected_ || !told_.empty();
  ever_connected_ = true;
  told_.clear();
  if (options_.log == nullptr || !news) return;
  options_.log->info("agent.fluentd.connected", "the server takes lines of slices' logs",
                     {{"server", options_.where.text()}});
}

}  // namespace runink::agent
