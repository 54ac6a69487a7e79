#include "client/local/golden_case.h"

#include <toml++/toml.h>

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/dsl/compile.h"
#include "platform/os/file.h"

namespace runink::local {
namespace {

constexpr uint64_t kMaxSettingsBytes = 1u << 20;
constexpr const char* kExtensions[] = {"ndjson", "jsonl", "json", "csv", "tsv", "arrow", "arrows"};

bool is_folder(const std::string& path) {
  auto info = os::file_info(path);
  return info.ok() && info->folder();
}

// Names of the folders in a folder; none where it is not there.
std::vector<std::string> folders_in(const std::string& path) {
  std::vector<std::string> out;
  auto names = os::list_directory(path);
  if (!names.ok()) return out;
  for (auto& name : *names) {
    if (name[0] != '.' && is_folder(path + "/" + name)) out.push_back(std::move(name));
  }
  return out;
}

bool is_reserved(const std::string& name) {
  return name == "input" || name == "expected" || name == "steps" || name == "steps-out";
}

void add_step_cases(const std::string& root, const GoldenCase& of, std::vector<GoldenCase>* out) {
  for (const auto& step : folders_in(root + "/" + of.folder + "/steps")) {
    out->push_back({of.feature, of.scenario, of.folder + "/steps/" + step, step});
  }
}

Status settings_error(const std::string& path, const toml::source_region& where, std::string what) {
  return invalid_argument("{}:{}:{}: {}", path, where.begin.line, where.begin.column, what);
}

Status read_key(const std::string& path, std::string_view key, const toml::node& node, GoldenSettings* out) {
  const auto text = node.value_exact<std::string>();
  const auto wrong = [&](const char* wanted) {
    return settings_error(path, node.source(), fmt::format("{} is {}", key, wanted));
  };
  if (key == "now") {
    if (!text || columnar::parse_timestamp(*text, &out->now_micros) != columnar::TextError::kOk) {
      return wrong("a time such as \"2026-01-31T12:00:00Z\"");
    }
  } else if (key == "order") {
    if (!text || (*text != "free" && *text != "as written")) return wrong("\"as written\" or \"free\"");
    out->free_order = *text == "free";
  } else if (key == "threads") {
    const auto number = node.value_exact<int64_t>();
    if (!number || *number < 1 || *number > 1024) return wrong("a number from 1 to 1024");
    out->threads = static_cast<uint32_t>(*number);
  } else if (key == "memory") {
    if (!text || !parse_bytes(*text, &out->memory_budget_bytes)) return wrong("a size such as \"64Mi\"");
  } else if (key == "assertions") {
    const auto flag = node.value_exact<bool>();
    if (!flag) return wrong("true or false");
    out->assertions = *flag;
  } else if (key == "error") {
    if (!text || text->empty()) return wrong("a part of the message that the run must fail with");
    out->error = *text;
  } else if (key != "description") {
    const auto near = nearest(key, {"now", "order", "threads", "memory", "assertions", "error", "description"});
    Status status = settings_error(path, node.source(), fmt::format("a golden case has no setting \"{}\"", escape_control(key)));
    return near.empty() ? std::move(status).with_hint("it has now, order, threads, memory, assertions, error and description")
                        : std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
  }
  return {};
}

}  // namespace

std::string slug(std::string_view name) { return dsl::golden_folder("f", name).substr(std::string_view("golden/f/").size()); }

std::string find_data_file(const std::string& folder, std::string_view name) {
  for (const char* extension : kExtensions) {
    std::string path = fmt::format("{}/{}.{}", folder, name, extension);
    if (os::exists(path)) return path;
  }
  return "";
}

bool is_golden_case(const std::string& folder) {
  return is_folder(folder + "/input") || is_folder(folder + "/expected") || os::exists(folder + "/rejected.ndjson") ||
         os::exists(folder + "/case.toml") || !find_data_file(folder, "input").empty() || !find_data_file(folder, "expected").empty();
}

Result<std::vector<GoldenCase>> find_golden_cases(const std::string& root, const plan::Plan& plan,
                                                  std::vector<std::string>* strangers) {
  std::vector<GoldenCase> out;
  std::vector<std::string> known;
  for (const auto& scenario : plan.scenarios) {
    const GoldenCase whole{plan.feature_path, scenario.name, dsl::golden_folder(plan.feature_path, scenario.name), ""};
    known.push_back(whole.folder);
    std::vector<GoldenCase> cases;
    if (is_golden_case(root + "/" + whole.folder)) cases.push_back(whole);
    for (const auto& name : folders_in(root + "/" + whole.folder)) {
      if (!is_reserved(name)) cases.push_back({whole.feature, whole.scenario, whole.folder + "/" + name, ""});
    }
    for (const auto& folder : scenario.golden_cases) {
      const bool there = std::any_of(cases.begin(), cases.end(), [&](const auto& c) { return c.folder == folder; });
      if (!there) cases.push_back({whole.feature, whole.scenario, folder, ""});
      known.push_back(folder);
    }
    if (!is_golden_case(root + "/" + whole.folder)) add_step_cases(root, whole, &cases);
    for (size_t i = 0, n = cases.size(); i < n; ++i) {
      if (cases[i].step.empty()) add_step_cases(root, GoldenCase(cases[i]), &cases);
    }
    for (auto& c : cases) out.push_back(std::move(c));
  }
  if (strangers != nullptr) {
    const std::string base = os::folder_of(dsl::golden_folder(plan.feature_path, "x"));
    for (const auto& name : folders_in(root + "/" + base)) {
      const std::string folder = base + "/" + name;
      if (std::find(known.begin(), known.end(), folder) == known.end()) strangers->push_back(folder);
    }
  }
  return out;
}

Result<GoldenSettings> read_golden_settings(const std::string& root, const std::string& case_folder) {
  GoldenSettings out;
  const std::string path = case_folder + "/case.toml";
  if (!os::exists(root + "/" + path)) return out;
  const std::string text = RUNINK_TRY(os::read_file(root + "/" + path, kMaxSettingsBytes));
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& e) {
    return settings_error(path, e.source(), std::string(e.description()));
  }
  for (const auto& [key, node] : table) RUNINK_RETURN_IF_ERROR(read_key(path, key.str(), node, &out));
  return out;
}

}  // namespace runink::local
