#include "client/local/golden_letter.h"

#include "base/text.h"
#include "client/local/letter_source.h"
#include "data/dsl/compile.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr size_t kNameLength = 8;  // of a letter's id: enough to find it again with `runi dlq show`

}  // namespace

Result<LetterCase> golden_case_of_letter(const Project& project, const ledger::DeadLetter& letter, const std::string& name,
                                         const GoldenOptions& options) {
  if (name.find('/') != std::string::npos || name.starts_with(".") || name == "input" || name == "expected" || name == "steps" || name == "steps-out") {
    return invalid_argument("\"{}\" cannot be the name of a case", escape_control(name));
  }
  Diagnostics diagnostics;
  const plan::Plan plan = RUNINK_TRY(project.compile(letter.feature, options.compile, &diagnostics));
  const plan::ScenarioPlan* scenario = plan.scenario(letter.scenario);
  if (scenario == nullptr) return not_found("{} has no scenario \"{}\" any more", letter.feature, letter.scenario);
  const plan::OperatorId op = RUNINK_TRY(source_of_letter(*scenario, letter.source));
  const auto* source = std::get_if<plan::Source>(&scenario->operators[op].parameters);
  if (source != nullptr && source->format == "arrow") {
    return failed_precondition("{} is an Arrow file, and a letter keeps its record as text", source->locator)
        .with_hint("write the record into a golden case by hand: input.ndjson");
  }
  std::string header;
  if (source != nullptr) header = RUNINK_TRY(header_before_letters(*source, letter.source, project.root()));

  LetterCase out;
  out.folder = dsl::golden_folder(letter.feature, letter.scenario) + "/" + (name.empty() ? letter.id.substr(0, kNameLength) : name);
  if (os::exists(project.root() + "/" + out.folder)) {
    return already_exists("{} is there already", out.folder).with_hint("give the case another name with --name");
  }
  std::string file = "input";
  for (const auto& input : case_inputs(*scenario)) {
    if (input.op == op) file = input.names.front();
  }
  const bool csv = source != nullptr && source->format == "csv";
  const std::string path = out.folder + "/input/" + file + (csv ? ".csv" : ".ndjson");
  RUNINK_RETURN_IF_ERROR(os::make_directories(project.root() + "/" + out.folder + "/input"));
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(project.root() + "/" + path, (header.empty() ? "" : header + "\n") + letter.record + "\n", 0600));
  out.written.push_back(path);

  const GoldenCase golden{letter.feature, letter.scenario, out.folder, ""};
  const GoldenResult recorded = RUNINK_TRY(record_golden_case(project, plan, golden, options));
  if (!recorded.problem.empty()) {
    return failed_precondition("{} was made, but running it failed: {}", out.folder, recorded.problem)
        .with_hint("complete the case, then write what comes of it with: runi test --update " + out.folder);
  }
  for (const auto& written : recorded.written) {
    out.rejected = out.rejected || written.ends_with("/rejected.ndjson");
    out.written.push_back(written);
  }
  return out;
}

}  // namespace runink::local
