// How the state machine's tables lie in the store. The first byte of a key says which one; docs/internals/barn.md has
// the picture.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/coding.h"
#include "control/barn/ids.h"
#include "control/barn/state_machine.h"

namespace runink::barn::tables {

constexpr char kKeys = 'k';         // user key -> row
constexpr char kEvents = 'e';       // index, sortable -> event record (event.h)
constexpr char kAttachments = 't';  // lease token, sortable, and user key -> nothing
constexpr char kLeases = 'l';       // lease token, sortable -> lease
constexpr char kSessions = 's';     // session token, sortable -> session
constexpr char kMeta = 'm';         // "head": changes with every batch; "cluster": seldom
constexpr std::string_view kHeadKey = "mhead";
constexpr std::string_view kClusterKey = "mcluster";
constexpr std::string_view kEnd = "\x80";  // behind every table
constexpr uint8_t kFormat = 1;             // of head and cluster; another one is refused

inline std::string key(char table, std::string_view rest) {
  std::string out;
  out.reserve(1 + rest.size());
  out.push_back(table);
  out.append(rest);
  return out;
}
std::string event_key(Index index);
std::string token_key(char table, const Token& token);
std::string attachment_key(const LeaseId& lease, std::string_view user_key);
constexpr size_t kAttachmentHead = 17;  // table and token: the user key is behind them
Index event_index(std::string_view key);
Token token_of(std::string_view key);  // of token_key and attachment_key
// The bounds of a range of user keys.
std::string range_begin(std::string_view from);
std::string range_end(std::string_view to);

// A row of kKeys: flags, indexes, version, lease, then the value to the end.
struct Row {
  Index create_index = 0, modify_index = 0;
  uint64_t version = 0;
  LeaseId lease;
  bool chunk = false;
  std::string_view value;
};
void append_row(std::string& out, const Row& row);
Result<Row> decode_row(std::string_view bytes);  // the value looks into `bytes`
KeyValue key_value(std::string_view user_key, const Row& row);

std::string encode_lease(const Lease& lease);
Result<Lease> decode_lease(std::string_view bytes);
std::string encode_session(const Session& session);
Result<Session> decode_session(std::string_view bytes);

struct Head {
  Position position;
  int64_t unix_micros = 0;
  uint64_t row_bytes = 0;      // rows and attachments, with their keys
  uint64_t event_written = 0;  // event records since the beginning, with their keys
  uint64_t event_freed = 0;    // of them, those that compaction removed
};
std::string encode_head(const Head& head);
Result<Head> decode_head(std::string_view bytes);

struct Cluster {
  std::vector<Beginning> beginnings = {{1, 0}};
  Index compacted = 0;
  Limits limits;
  std::set<Alarm> alarms;
  std::string membership;
};
std::string encode_cluster(const Cluster& cluster);
Result<Cluster> decode_cluster(std::string_view bytes);

}  // namespace runink::barn::tables
