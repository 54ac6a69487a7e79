#include "platform/config/project_config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>

#include "base/nearest.h"
#include "base/text.h"
#include "platform/os/file.h"

namespace runink::config {

namespace {

constexpr uint64_t kMaxConfigBytes = 1u << 20;

// Takes the keys of one table that are asked for; those that nobody asked for are unknown.
class Reader {
 public:
  Reader(const SourceText& text, Diagnostics* diagnostics) : text_(text), diagnostics_(diagnostics) {}

  // toml++ counts columns in code points, as Diagnostics do; Span wants bytes.
  Span span_of(const toml::source_region& region) const {
    const auto offset = [&](toml::source_position at) {
      const std::string_view line = text_.line(at.line);
      const size_t points = at.column > 0 ? at.column - 1 : 0;
      return text_.line_start(at.line) + code_point_slice(line, 0, points).size();
    };
    if (!region.begin) return {};
    const size_t begin = offset(region.begin);
    const size_t end = region.end && region.end.line == region.begin.line ? offset(region.end) : begin;
    return {begin, end > begin ? end - begin : 0};
  }

  Diagnostic& error(const toml::node& node, std::string code, std::string message) {
    return diagnostics_->error(text_, span_of(node.source()), std::move(code), std::move(message));
  }

  void string(const toml::table& table, const char* key, std::string* out) {
    if (const toml::node* node = take(table, key)) {
      if (const auto value = node->value_exact<std::string>()) *out = *value;
      else error(*node, "config.type", fmt::format("\"{}\" must be a text in quotes", key));
    }
  }

  void bytes(const toml::table& table, const char* key, uint64_t* out) {
    const toml::node* node = take(table, key);
    if (node == nullptr) return;
    const auto number = node->value_exact<int64_t>();
    const auto text = node->value_exact<std::string>();
    if (number && *number >= 0) *out = static_cast<uint64_t>(*number);
    else if (!text || !parse_bytes(*text, out)) {
      error(*node, "config.bytes", fmt::format("\"{}\" must be a number of bytes", key))
          .help.push_back("for example \"256Mi\", \"1GiB\" or \"500MB\"");
    }
  }

  void duration(const toml::table& table, const char* key, int64_t* out) {
    const toml::node* node = take(table, key);
    if (node == nullptr) return;
    const auto text = node->value_exact<std::string>();
    int64_t micros = 0;
    if (text && parse_duration_micros(*text, &micros) && micros >= 0) *out = micros;
    else {
      error(*node, "config.duration", fmt::format("\"{}\" must be a length of time", key))
          .help.push_back("for example \"30d\" or \"12h\"");
    }
  }

  void integer(const toml::table& table, const char* key, int64_t least, int64_t most, int* out) {
    const toml::node* node = take(table, key);
    if (node == nullptr) return;
    const auto value = node->value_exact<int64_t>();
    if (value && *value >= least && *value <= most) *out = static_cast<int>(*value);
    else error(*node, "config.range", fmt::format("\"{}\" must be a whole number from {} to {}", key, least, most));
  }

  void strings(const toml::table& table, const char* key, std::vector<std::string>* out) {
    const toml::node* node = take(table, key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      error(*node, "config.type", fmt::format("\"{}\" must be a list of texts, such as [\"a\", \"b\"]", key));
      return;
    }
    for (const toml::node& item : *array) {
      if (const auto value = item.value_exact<std::string>()) out->push_back(*value);
      else error(item, "config.type", fmt::format("\"{}\" must hold texts only", key));
    }
  }

  const toml::table* table(const toml::table& parent, const char* key) {
    const toml::node* node = take(parent, key);
    if (node == nullptr) return nullptr;
    if (const toml::table* found = node->as_table()) return found;
    error(*node, "config.type", fmt::format("\"{}\" must be a section: [{}]", key, key));
    return nullptr;
  }

  const toml::node* take(const toml::table& table, const char* key) {
    known_[&table].emplace_back(key);
    return table.get(key);
  }

  // To be called once all keys of the table were asked for.
  void refuse_unknown(const toml::table& table, std::string_view section) {
    const std::vector<std::string>& known = known_[&table];
    for (const auto& [key, node] : table) {
      const std::string name(key.str());
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      Diagnostic& d = diagnostics_->error(
          text_, span_of(key.source()), "config.unknown_key",
          section.empty() ? fmt::format("unknown key \"{}\"", name) : fmt::format("unknown key \"{}\" in [{}]", name, section));
      const std::vector<std::string> near = nearest(name, known);
      d.help.push_back(near.empty() ? "known here: " + join(known, ", ") : fmt::format("did you mean \"{}\"?", near[0]));
    }
  }

 private:
  const SourceText& text_;
  Diagnostics* diagnostics_;
  std::map<const toml::table*, std::vector<std::string>> known_;
};

// Herds and projects become parts of paths and names.
void check_name(Reader& reader, const toml::table& table, const char* key, const std::string& value) {
  const toml::node* node = table.get(key);
  if (node == nullptr || !node->is_string()) return;
  const bool good = !value.empty() && value.size() <= 63 &&
                    value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
  if (!good) {
    reader.error(*node, "config.name", fmt::format("\"{}\" must be 1 to 63 of a-z, 0-9, - and _", key));
  }
}

}  // namespace

ProjectConfig parse_project_config(const SourceText& text, const std::string& root, Diagnostics* diagnostics) {
  ProjectConfig config;
  config.root = root;
  config.file = text.path();
  config.name = os::file_name_of(root);

  Reader reader(text, diagnostics);
  toml::table top;
  try {
    top = toml::parse(text.text(), text.path());
  } catch (const toml::parse_error& e) {
    diagnostics->error(text, reader.span_of(e.source()), "config.syntax", std::string(e.description()));
    config.lineage_namespace = "runink://" + config.herd;
    return config;
  }

  reader.string(top, "name", &config.name);
  check_name(reader, top, "name", config.name);
  reader.string(top, "herd", &config.herd);
  check_name(reader, top, "herd", config.herd);
  reader.string(top, "context", &config.context);
  reader.string(top, "namespace", &config.lineage_namespace);
  if (const toml::table* engine = reader.table(top, "engine")) {
    reader.bytes(*engine, "memory_budget", &config.memory_budget_bytes);
    if (config.memory_budget_bytes < kLeastMemoryBudget) {
      reader.error(*engine->get("memory_budget"), "config.range", "\"memory_budget\" must be at least 1Mi");
      config.memory_budget_bytes = ProjectConfig().memory_budget_bytes;
    }
    reader.integer(*engine, "threads", 1, kMostThreads, &config.threads);
    reader.bytes(*engine, "max_record", &config.max_record_bytes);
    if (config.max_record_bytes < kLeastMaxRecord || config.max_record_bytes > kMostMaxRecord) {
      reader.error(*engine->get("max_record"), "config.range", "\"max_record\" must be between 1Mi and 1Gi");
      config.max_record_bytes = ProjectConfig().max_record_bytes;
    }
    reader.refuse_unknown(*engine, "engine");
  }
  if (const toml::table* keep = reader.table(top, "keep")) {
    reader.duration(*keep, "runs", &config.keep_runs_micros);
    reader.bytes(*keep, "runs_size", &config.keep_runs_bytes);
    reader.duration(*keep, "dead_letters", &config.keep_dead_letters_micros);
    reader.bytes(*keep, "dead_letters_size", &config.keep_dead_letters_bytes);
    reader.refuse_unknown(*keep, "keep");
  }
  if (const toml::table* roles = reader.table(top, "roles")) {
    reader.strings(*roles, "held", &config.held_roles);
    reader.refuse_unknown(*roles, "roles");
  }
  reader.refuse_unknown(top, "");
  if (config.lineage_namespace.empty()) config.lineage_namespace = "runink://" + config.herd;
  return config;
}

Result<ProjectConfig> load_project_config(const std::string& root) {
  const std::string absolute = RUNINK_TRY(os::absolute_path(root));
  const std::string path = os::join_path(absolute, kProjectFile);
  auto bytes = os::read_file(path, kMaxConfigBytes);
  if (!bytes.ok()) {
    if (bytes.status().code() != Code::kNotFound) return std::move(bytes).status().with_context("read the project's settings");
    ProjectConfig config;
    config.root = absolute;
    config.name = os::file_name_of(absolute);
    config.lineage_namespace = "runink://" + config.herd;
    return config;
  }
  const SourceText text(kProjectFile, std::move(*bytes));
  Diagnostics diagnostics;
  ProjectConfig config = parse_project_config(text, absolute, &diagnostics);
  config.file = path;
  if (diagnostics.has_errors()) return diagnostics.to_status();
  return config;
}

Result<std::string> find_project_root(const std::string& start) {
  std::string folder = RUNINK_TRY(os::absolute_path(start.empty() ? "." : start));
  for (;;) {
    const auto info = os::file_info(os::join_path(folder, kProjectFile));
    if (info.ok() && info->regular()) return folder;
    if (folder == "/") break;
    folder = os::folder_of(folder);
  }
  return not_found("there is no {} at or above {}", kProjectFile, start.empty() ? "." : start)
      .with_kind("project.not_found")
      .with_hint("runi init NAME makes a project; or change into one, or name it with --project FOLDER");
}

}  // namespace runink::config
