// Sends slices' lines to a Fluentd-protocol server (Fluentd, Fluent Bit, …): the forward protocol, version 1
// (https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1), PackedForward with acknowledgements.
//
// At least once: a chunk of lines is kept until the server acknowledges it, and sent again, with the same chunk id,
// when it does not in time or the connection ends. Between tries it waits, longer each time. What waits is bounded;
// when it is full the newest lines are dropped and counted, and a record of the stream "runink" says later how many.
// What waits is in memory only: it ends with the process.
//
// Tag: "<tag>.<herd>". Record: {"log":…,"stream":"stdout","slice":…,"herd":…,"node":…}, and "continues" and
// "dropped_lines" where they are set (log_record.h). Times are EventTime, with nanoseconds.
//
// Whoever offers lines never waits: a thread of its own does all else. Threads: any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/status.h"
#include "platform/net/client_stream.h"
#include "platform/net/socket.h"
#include "platform/telemetry/log.h"
#include "worker/agent/log_forwarder.h"

namespace runink::agent {

class FluentdSession;

class FluentdForwarder final : public LogForwarder {
 public:
  struct Options {
    net::HostPort where;
    std::string tag = "runink.slice";
    std::string node;  // this host's name: in records, and what it calls itself in the handshake
    // With a shared key both ends prove that they know it; lines still travel in the clear unless there is TLS.
    std::string shared_key;
    std::string user_name, password;  // asked for by servers that know users
    std::optional<net::ClientTls> tls;

    size_t buffer_bytes = 64 << 20;          // of lines that are not acknowledged
    size_t chunk_bytes = 512 << 10;          // sent at once
    int64_t flush_nanos = 1'000'000'000;     // how long a line may wait for others
    int64_t connect_nanos = 10'000'000'000;  // with all handshakes
    int64_t answer_nanos = 30'000'000'000;   // to take a chunk and acknowledge it
    int64_t first_pause_nanos = 200'000'000, longest_pause_nanos = 30'000'000'000;  // between tries
    int64_t close_nanos = 5'000'000'000;  // how long the destructor tries to send what waits
    telemetry::Log* log = nullptr;        // told once when the server is lost, and when it is back
  };
  struct Counters {
    uint64_t lines_acknowledged = 0, chunks_acknowledged = 0;
    uint64_t chunks_sent_again = 0;
    uint64_t lines_dropped = 0;                       // the buffer was full, or close_nanos was over
    uint64_t connections = 0, failures = 0;           // that were opened; tries that failed, and connections that broke
    uint64_t buffered_bytes = 0, buffered_lines = 0;  // now
    bool connected = false;                           // now
  };

  // kInvalidArgument where the options cannot be right (a certificate file that is none, …). Does not wait for the
  // server.
  static Result<std::unique_ptr<FluentdForwarder>> start(Options options);
  ~FluentdForwarder() override;

  void offer(const LogOrigin& origin, const LogLine& line) override;
  // Waits until all that was offered before is acknowledged or dropped. False: it took longer.
  bool flush(int64_t max_nanos);
  Counters counters() const;

 private:
  struct Chunk;
  explicit FluentdForwarder(Options options);

  // Under mutex_.
  void add(const std::string& tag, const std::string& entry);
  void seal(std::map<std::string, std::unique_ptr<Chunk>>::iterator open);
  void seal_due(int64_t now);

  // The thread's.
  void run();
  bool wait_for_work();
  void pause(int64_t nanos);
  bool stopping() const;
  bool send_while_connected(FluentdSession& session);
  Status send_first(FluentdSession& session);
  void settle_first();
  void tell_failure(const Status& why);
  void tell_quiet_end();
  void tell_connected();
  void give_up_rest();

  const Options options_;
  std::shared_ptr<const net::ClientTlsContext> tls_;
  net::Interrupt interrupt_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, changed_;
  std::map<std::string, std::unique_ptr<Chunk>> open_;  // by tag
  std::deque<std::unique_ptr<Chunk>> sealed_;           // in the order in which they are sent
  std::map<std::string, uint64_t> untold_;              // lines dropped, by tag, that nobody was told of
  uint64_t last_number_ = 0, settled_number_ = 0;       // of sealed chunks
  Counters counters_;
  bool stop_ = false, finished_ = false;

  std::string told_;  // the failure that was logged last; empty while all is well
  bool ever_connected_ = false;
  std::thread thread_;
};

}  // namespace runink::agent
