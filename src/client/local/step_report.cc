#include "client/local/step_report.h"

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace runink::local {

namespace {
constexpr size_t kLineMax = 64 << 10;
}

Status StepReportReader::add(std::string_view bytes, std::vector<engine::StepProcess::Refusal>* out) {
  rest_ += bytes;
  size_t begin = 0;
  for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    RUNINK_RETURN_IF_ERROR(line(std::string_view(rest_).substr(begin, end - begin), out));
  }
  rest_.erase(0, begin);
  if (rest_.size() > kLineMax) return invalid_argument("step \"{}\": a line of its report is longer than {} bytes", step_, kLineMax);
  return {};
}

Status StepReportReader::finish(std::vector<engine::StepProcess::Refusal>* out) {
  return rest_.empty() ? Status() : line(rest_, out);
}

Status StepReportReader::line(std::string_view text, std::vector<engine::StepProcess::Refusal>* out) {
  ++lines_;
  if (trim(text).empty()) return {};
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto action = json.is_object() && json.contains("action") && json["action"].is_string() ? json["action"].get<std::string>() : "";
  if (!json.is_object() || !json.contains("record") || !json["record"].is_number_unsigned() || (action != "reject" && action != "drop")) {
    return invalid_argument("step \"{}\": line {} on descriptor 3 is not {{\"record\": N, \"action\": \"reject\" or \"drop\", \"reason\": …}}{}",
                            step_, lines_, hides_ ? "" : ": " + escape_control(text.substr(0, 120)))
        .with_kind("step.report");
  }
  std::string reason;
  if (json.contains("reason") && json["reason"].is_string()) reason = json["reason"].get<std::string>();
  out->push_back({json["record"].get<uint64_t>(), action == "drop", std::move(reason)});
  return {};
}

}  // namespace runink::local
