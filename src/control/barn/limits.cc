#include "control/barn/limits.h"

#include "control/barn/coding.h"

namespace runink::barn {
namespace {

Status within(const char* name, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return {};
  return invalid_argument("the limit {} must be between {} and {}, not {}", name, least, most, value);
}

}  // namespace

void append_limits(std::string& out, const Limits& limits) {
  for (const uint64_t value :
       {limits.request_bytes, limits.answer_bytes, limits.state_bytes_warn, limits.state_bytes, limits.delete_keys,
        limits.sessions, limits.session_answers, limits.session_answer_bytes, limits.leases, limits.lease_keys}) {
    append_varint(out, value);
  }
}

Limits decode_limits(Decoder& in) {
  Limits limits;
  for (uint64_t* value :
       {&limits.request_bytes, &limits.answer_bytes, &limits.state_bytes_warn, &limits.state_bytes, &limits.delete_keys,
        &limits.sessions, &limits.session_answers, &limits.session_answer_bytes, &limits.leases, &limits.lease_keys}) {
    *value = in.varint();
  }
  return limits;
}

Status check_limits(const Limits& limits) {
  constexpr uint64_t kTerabyte = 1ULL << 40;
  RUNINK_RETURN_IF_ERROR(within("request_bytes", limits.request_bytes, 4096, kRequestBytesCeiling));
  RUNINK_RETURN_IF_ERROR(within("answer_bytes", limits.answer_bytes, 4096, 4 << 20));
  RUNINK_RETURN_IF_ERROR(within("state_bytes_warn", limits.state_bytes_warn, 1, kTerabyte));
  RUNINK_RETURN_IF_ERROR(within("state_bytes", limits.state_bytes, 1, kTerabyte));
  RUNINK_RETURN_IF_ERROR(within("delete_keys", limits.delete_keys, 1, 10'000));
  RUNINK_RETURN_IF_ERROR(within("sessions", limits.sessions, 1, 1'000'000));
  RUNINK_RETURN_IF_ERROR(within("session_answers", limits.session_answers, 1, 65'536));
  RUNINK_RETURN_IF_ERROR(within("session_answer_bytes", limits.session_answer_bytes, 64, 4 << 20));
  RUNINK_RETURN_IF_ERROR(within("leases", limits.leases, 1, 10'000'000));
  return within("lease_keys", limits.lease_keys, 1, 10'000);
}

}  // namespace runink::barn
