#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace runink {

struct Status::Rep {
  Code code;
  std::string message, kind, hint;
  std::vector<std::string> context, details;
};

void Status::RepDelete::operator()(Rep* rep) const { delete rep; }

namespace {
const std::string kEmpty;
const std::vector<std::string> kNone;
}  // namespace

std::string_view code_name(Code code) {
  static constexpr std::string_view kNames[] = {
      "OK",           "CANCELLED",         "UNKNOWN",           "INVALID_ARGUMENT",    "DEADLINE_EXCEEDED", "NOT_FOUND",
      "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
      "OUT_OF_RANGE", "UNIMPLEMENTED",     "INTERNAL",          "UNAVAILABLE",         "DATA_LOSS",         "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

Status::Status(Code code, std::string message) {
  if (code == Code::kOk) return;
  rep_.reset(new Rep{code, std::move(message), {}, {}, {}, {}});
}
Status::Status(const Status& other) : rep_(other.rep_ ? new Rep(*other.rep_) : nullptr) {}
Status& Status::operator=(const Status& other) {
  if (this != &other) rep_.reset(other.rep_ ? new Rep(*other.rep_) : nullptr);
  return *this;
}

Code Status::code() const { return rep_ ? rep_->code : Code::kOk; }
const std::string& Status::message() const { return rep_ ? rep_->message : kEmpty; }
const std::string& Status::kind() const { return rep_ ? rep_->kind : kEmpty; }
const std::string& Status::hint() const { return rep_ ? rep_->hint : kEmpty; }
const std::vector<std::string>& Status::context() const { return rep_ ? rep_->context : kNone; }
const std::vector<std::string>& Status::details() const { return rep_ ? rep_->details : kNone; }

Status Status::with_context(std::string what) && {
  if (rep_) rep_->context.push_back(std::move(what));
  return std::move(*this);
}
Status Status::with_kind(std::string kind) && {
  if (rep_) rep_->kind = std::move(kind);
  return std::move(*this);
}
Status Status::with_hint(std::string hint) && {
  if (rep_) rep_->hint = std::move(hint);
  return std::move(*this);
}
Status Status::with_detail(std::string line) && {
  if (rep_) rep_->details.push_back(std::move(line));
  return std::move(*this);
}

std::string Status::to_string() const {
  if (ok()) return "OK";
  std::string text;
  for (auto it = rep_->context.rbegin(); it != rep_->context.rend(); ++it) text += *it + ": ";
  return text + rep_->message;
}

Status from_errno(int error_number, std::string_view attempted) {
  Code code = Code::kUnknown;
  switch (error_number) {
    case ENOENT: case ENOTDIR: case ENXIO: code = Code::kNotFound; break;
    case EACCES: case EPERM: case EROFS: code = Code::kPermissionDenied; break;
    case EEXIST: case ENOTEMPTY: code = Code::kAlreadyExists; break;
    case ENOSPC: case EDQUOT: case EMFILE: case ENFILE: case ENOMEM: case EFBIG: code = Code::kResourceExhausted; break;
    case EINVAL: case ENAMETOOLONG: case EISDIR: case ELOOP: code = Code::kInvalidArgument; break;
    case EPIPE: case ECONNRESET: code = Code::kAborted; break;
    case EIO: code = Code::kDataLoss; break;
    case EAGAIN: case EBUSY: case ECONNREFUSED: code = Code::kUnavailable; break;
    case ETIMEDOUT: code = Code::kDeadlineExceeded; break;
    default: break;
  }
  char buffer[256];
  const char* text = strerror_r(error_number, buffer, sizeof buffer);
  return Status(code, fmt::format("{}: {}", attempted, text));
}

}  // namespace runink
