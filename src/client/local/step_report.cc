#include "client/local/step_report.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace runink::local {

namespace {
constexpr size_t kLineMax = 64 << 10;
}

Status StepReportReader::add(std::string_view bytes) {
  rest_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    RUNINK_RETURN_IF_ERROR(line(std::string_view(rest_).substr(begin, end - begin)));
  }
  rest_.erase(0, begin);
  if (rest_.size() > kLineMax) return invalid_argument("step \"{}\": a line of its report is longer than {} bytes", step_, kLineMax);
  return pass_on();
}

Status StepReportReader::finish() {
  if (!rest_.empty()) RUNINK_RETURN_IF_ERROR(line(rest_));
  return pass_on();
}

Status StepReportReader::line(std::string_view text) {
  ++lines_;
  if (trim(text).empty()) return {};
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto number = [&](const char* name) { return json.is_object() && json.contains(name) && json[name].is_number_unsigned(); };
  const auto action = json.is_object() && json.contains("action") && json["action"].is_string() ? json["action"].get<std::string>() : "";
  if (number("settled") && !json.contains("record") && !json.contains("action")) return settled(json["settled"].get<uint64_t>());
  if (!number("record") || (action != "reject" && action != "drop")) {
    return invalid_argument("step \"{}\": line {} on descriptor 3 is not {{\"record\": N, \"action\": \"reject\" or \"drop\", \"reason\": …}} "
                            "nor {{\"settled\": N}}{}",
                            step_, lines_, hides_ ? "" : ": " + escape_control(text.substr(0, 120)))
        .with_kind("step.report");
  }
  std::string reason;
  if (json.contains("reason") && json["reason"].is_string()) reason = json["reason"].get<std::string>();
  ++(action == "drop" ? dropped_ : rejected_);
  refusals_.push_back({json["record"].get<uint64_t>(), action == "drop", std::move(reason)});
  return {};
}

Status StepReportReader::settled(uint64_t before) {
  if (before < settled_) {
    return invalid_argument("step \"{}\": line {} on descriptor 3 says that {} records are settled, after it had said {}", step_, lines_,
                            before, settled_)
        .with_kind("step.report");
  }
  settled_ = before;
  RUNINK_RETURN_IF_ERROR(pass_on());
  return reports_.settled(before);
}

Status StepReportReader::pass_on() {
  return refusals_.empty() ? Status() : reports_.refused(std::exchange(refusals_, {}));
}

}  // namespace runink::local
