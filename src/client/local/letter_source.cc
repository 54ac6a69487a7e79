#include "client/local/letter_source.h"

#include <algorithm>

#include "client/local/local_io.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr size_t kMaxHeaderBytes = 1 << 20;

bool reads(const plan::Source& source, const std::string& letter_source) {
  std::string own = source.locator;
  if (own.starts_with("file://")) own = own.substr(7);
  return own == letter_source || os::normalize_path(own) == letter_source || os::glob_match(os::normalize_path(own), letter_source);
}

}  // namespace

Result<plan::OperatorId> source_of_letter(const plan::ScenarioPlan& scenario, const std::string& letter_source) {
  const plan::Operator* flow = nullptr;
  for (const auto& op : scenario.operators) {
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    const bool rows = std::holds_alternative<plan::ScenarioInput>(op.parameters);
    if (source == nullptr && !rows) continue;
    if (flow == nullptr) flow = &op;
    if (source == nullptr || letter_source.empty() || !reads(*source, letter_source)) continue;
    if (&op == flow) return op.id;
    return failed_precondition("{} is not what scenario \"{}\" goes through, only what it is joined or united with", letter_source, scenario.name)
        .with_hint("correct that file and run the feature again");
  }
  if (flow == nullptr) return failed_precondition("scenario \"{}\" reads nothing", scenario.name);
  const bool flow_is_file = std::holds_alternative<plan::Source>(flow->parameters);
  if (letter_source.empty() == !flow_is_file) return flow->id;
  if (letter_source.empty()) {
    return failed_precondition("the record was computed on the way through scenario \"{}\"; no source has it", scenario.name)
        .with_hint("run the feature again: runi run");
  }
  return failed_precondition("scenario \"{}\" no longer reads {}", scenario.name, letter_source);
}

Result<std::string> header_before_letters(const plan::Source& source, const std::string& letter_source, const std::string& project_root) {
  if (source.format != "csv" || !source.dialect.header) return std::string();
  if (!source.exec.empty()) {
    return failed_precondition("the header of {} came from a program and is not kept", source.locator)
        .with_hint("a program's CSV without a header (header=false) can be read again");
  }
  plan::Source one = source;
  one.locator = os::is_absolute(letter_source) ? "file://" + letter_source : letter_source;
  const connectors::Locator locator = RUNINK_TRY(source_locator(one, project_root));
  auto bytes = RUNINK_TRY_CONTEXT(connectors::open_file_source(locator.path, locator.compression), "read the header of the letters' source");
  std::string head(kMaxHeaderBytes, '\0');
  head.resize(RUNINK_TRY(bytes->read(head.data(), head.size())));
  if (head.starts_with("\xef\xbb\xbf")) head.erase(0, 3);
  for (size_t begin = 0; begin < head.size();) {
    size_t end = begin;
    bool quoted = false;
    while (end < head.size() && (quoted || (head[end] != '\n' && head[end] != '\r'))) {
      if (source.dialect.quote != 0 && head[end] == source.dialect.quote) quoted = !quoted;
      ++end;
    }
    const std::string line = head.substr(begin, end - begin);
    if (!line.empty() && (source.dialect.comment == 0 || line[0] != source.dialect.comment)) return line;
    begin = end + 1;
  }
  return failed_precondition("{} has no header line any more", letter_source);
}

}  // namespace runink::local
