#include "worker/launcher/protocol.h"

#include "worker/wire/codec.h"
#include "worker/wire/spec_codec.h"

namespace runink::sandbox {

template <typename Archive>
void visit(Archive& archive, SliceUsage& usage) {
  auto& [user, system, peak, read, written, minor, major] = usage;
  archive(user, system, peak, read, written, minor, major);
}

template <typename Archive>
void visit(Archive& archive, SliceEnd& end) {
  auto& [exited, code, signal, timed_out, limits_hit, usage, at] = end;
  archive(exited, code, signal, timed_out, limits_hit, usage, at);
}

}  // namespace runink::sandbox

// Not in a nameless namespace, where a look-up by arguments would not find them.
namespace runink::launcher {

constexpr SliceKind last_of(SliceKind) { return SliceKind::kEngine; }
constexpr StartPath last_of(StartPath) { return StartPath::kRecycled; }
constexpr SliceState last_of(SliceState) { return SliceState::kEnded; }

template <typename Archive>
void visit(Archive& archive, LaunchRequest& request) {
  auto& [spec, kind, label, recycle, ends_with_owner, program_descriptors, kept_descriptors] = request;
  archive(spec, kind, label, recycle, ends_with_owner, program_descriptors, kept_descriptors);
}

template <typename Archive>
void visit(Archive& archive, PoolRequest& request) {
  auto& [spec, kind, count] = request;
  archive(spec, kind, count);
}

template <typename Archive>
void visit(Archive& archive, Ready& ready) {
  auto& [version, pid, slices] = ready;
  archive(version, pid, slices);
}

template <typename Archive>
void visit(Archive& archive, Started& started) {
  auto& [path, pid, group, first_id, at] = started;
  archive(path, pid, group, first_id, at);
}

template <typename Archive>
void visit(Archive& archive, SliceRecord& record) {
  auto& [state, herd, label, started, end] = record;
  archive(state, herd, label, started, end);
}

template <typename Archive>
void visit(Archive& archive, PoolState& state) {
  auto& [herd, kind, limited, terminal, wanted, ready, failed] = state;
  archive(herd, kind, limited, terminal, wanted, ready, failed);
}

template <typename Archive>
void visit(Archive& archive, Counters& counters) {
  auto& [cold, parked, recycled, refused, ended, scrubbed, scrub_failed, parked_died, running, ready, leaving] =
      counters;
  archive(cold, parked, recycled, refused, ended, scrubbed, scrub_failed, parked_died, running, ready, leaving);
}

namespace {

constexpr size_t kMostLabel = 4096;

}  // namespace

const char* start_path_name(StartPath path) {
  switch (path) {
    case StartPath::kCold:
      return "cold";
    case StartPath::kParked:
      return "parked";
    case StartPath::kRecycled:
      return "recycled";
  }
  return "";
}

std::string encode(const LaunchRequest& request) { return wire::encode_value(request); }
std::string encode(const PoolRequest& request) { return wire::encode_value(request); }
std::string encode(const Ready& ready) { return wire::encode_value(ready); }
std::string encode(const Started& started) { return wire::encode_value(started); }
std::string encode(const Status& status) { return wire::encode_value(status); }
std::string encode(const sandbox::SliceEnd& end) { return wire::encode_value(end); }
std::string encode(const SliceRecord& record) { return wire::encode_value(record); }
std::string encode(const PoolState& state) { return wire::encode_value(state); }
std::string encode(const Counters& counters) { return wire::encode_value(counters); }
std::string encode(const std::vector<model::HerdLimit>& limits) { return wire::encode_value(limits); }
std::string encode(const std::vector<sandbox::HerdState>& states) { return wire::encode_value(states); }
std::string encode_signal(int signal) { return wire::encode_value(int32_t{signal}); }

Result<LaunchRequest> decode_launch(std::string_view body) {
  auto request = wire::decode_value<LaunchRequest>(body, "a request to launch a slice");
  if (request.ok() && request->label.size() > kMostLabel) {
    return invalid_argument("launch a slice: its label has {} bytes, at most {}", request->label.size(), kMostLabel);
  }
  return request;
}
Result<PoolRequest> decode_pool_request(std::string_view body) {
  return wire::decode_value<PoolRequest>(body, "a request to keep slices parked");
}
Result<Ready> decode_ready(std::string_view body) { return wire::decode_value<Ready>(body, "a launcher's greeting"); }
Result<Started> decode_started(std::string_view body) {
  return wire::decode_value<Started>(body, "the start of a slice");
}
Result<sandbox::SliceEnd> decode_end(std::string_view body) {
  return wire::decode_value<sandbox::SliceEnd>(body, "the end of a slice");
}
Result<SliceRecord> decode_record(std::string_view body) {
  return wire::decode_value<SliceRecord>(body, "the record of a slice");
}
Result<PoolState> decode_pool(std::string_view body) {
  return wire::decode_value<PoolState>(body, "the state of a pool");
}
Result<Counters> decode_counters(std::string_view body) {
  return wire::decode_value<Counters>(body, "a launcher's counters");
}

Result<std::vector<model::HerdLimit>> decode_herd_limits(std::string_view body) {
  auto limits = RUNINK_TRY(wire::decode_value<std::vector<model::HerdLimit>>(body, "limits of herds"));
  for (const model::HerdLimit& limit : limits) {
    const Status good = model::validate(limit.resources);
    if (!good.ok()) return data_loss("limits of herds: {}", good.message());
    if (!model::is_herd_name(limit.herd)) return data_loss("limits of herds: one has no herd's name");
  }
  return limits;
}
Result<std::vector<sandbox::HerdState>> decode_herd_states(std::string_view body) {
  return wire::decode_value<std::vector<sandbox::HerdState>>(body, "whether limits of herds hold");
}

Status decode_refusal(std::string_view body) {
  wire::Decoder decoder(body);
  Status status;
  decoder(status);
  RUNINK_RETURN_IF_ERROR(decoder.finish("the refusal of a slice"));
  if (status.ok()) return data_loss("a slice was refused without a reason");
  return status;
}

Result<int> decode_signal(std::string_view body) {
  const int32_t signal = RUNINK_TRY(wire::decode_value<int32_t>(body, "a signal for a slice"));
  if (signal < 1 || signal > 64) return data_loss("signal {} for a slice: there is none", signal);
  return signal;
}

}  // namespace runink::launcher
