#include "platform/config/project_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ProjectConfig parse(const std::string& toml, Diagnostics* diagnostics) {
  return parse_project_config(SourceText("runink.toml", toml), "/home/a/flights", diagnostics);
}

TEST(ProjectConfigTest, ReadsEverySetting) {
  Diagnostics d;
  const ProjectConfig c = parse(R"(name = "f1"
herd = "ops"
context = "prod"
namespace = "x://y"
[engine]
memory_budget = "64Mi"
threads = 3
max_record = "1Gi"
[keep]
runs = "2d"
runs_size = 1000
dead_letters = "1h"
dead_letters_size = "5MB"
[roles]
held = ["compliance", "audit"]
)",
                                &d);
  EXPECT_TRUE(d.empty()) << d.render();
  EXPECT_EQ(c.name, "f1");
  EXPECT_EQ(c.herd, "ops");
  EXPECT_EQ(c.context, "prod");
  EXPECT_EQ(c.lineage_namespace, "x://y");
  EXPECT_EQ(c.memory_budget_bytes, 64u << 20);
  EXPECT_EQ(c.threads, 3);
  EXPECT_EQ(c.max_record_bytes, 1u << 30);
  EXPECT_EQ(c.keep_runs_micros, int64_t{2} * 86'400'000'000);
  EXPECT_EQ(c.keep_runs_bytes, 1000u);
  EXPECT_EQ(c.keep_dead_letters_micros, int64_t{3'600'000'000});
  EXPECT_EQ(c.keep_dead_letters_bytes, 5'000'000u);
  EXPECT_THAT(c.held_roles, ElementsAre("compliance", "audit"));
}

TEST(ProjectConfigTest, DefaultsComeFromTheFolder) {
  Diagnostics d;
  const ProjectConfig c = parse("", &d);
  EXPECT_TRUE(d.empty());
  EXPECT_EQ(c.name, "flights");
  EXPECT_EQ(c.herd, "default");
  EXPECT_EQ(c.lineage_namespace, "runink://default");
  EXPECT_EQ(c.memory_budget_bytes, 256u << 20);
}

TEST(ProjectConfigTest, UnknownKeyNamesTheNearest) {
  Diagnostics d;
  (void)parse("name = \"ü\"\n[engine]\n  memory_buget = \"64Mi\"\n", &d);
  ASSERT_EQ(d.error_count(), 2u) << d.render();
  EXPECT_EQ(d.list()[0].location.to_string(), "runink.toml:1:8");
  EXPECT_EQ(d.list()[1].location.to_string(), "runink.toml:3:3");
  EXPECT_EQ(d.list()[1].line_text, "  memory_buget = \"64Mi\"");
  EXPECT_EQ(d.list()[1].underline, 12u);
  EXPECT_THAT(d.list()[1].help, ElementsAre("did you mean \"memory_budget\"?"));
}

TEST(ProjectConfigTest, WrongValuesAreErrorsAtTheirPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"name = 3", "runink.toml:1:8"},
      {"herd = \"Ops Team\"", "runink.toml:1:8"},
      {"engine = 1", "runink.toml:1:10"},
      {"[engine]\nmemory_budget = \"1023Ki\"", "runink.toml:2:17"},
      {"[engine]\nmemory_budget = -1", "runink.toml:2:17"},
      {"[engine]\nthreads = 2000", "runink.toml:2:11"},
      {"[engine]\nthreads = 0", "runink.toml:2:11"},
      {"[engine]\nmax_record = \"2Gi\"", "runink.toml:2:14"},
      {"[engine]\nmax_record = 1000", "runink.toml:2:14"},
      {"[keep]\nruns = \"soon\"", "runink.toml:2:8"},
      {"[roles]\nheld = [1]", "runink.toml:2:9"},
      {"name = ", "runink.toml:1:8"},
      {"name = \"a\"\nname = \"b\"", "runink.toml:2:8"},
  };
  for (const auto& [toml, place] : cases) {
    Diagnostics d;
    (void)parse(toml, &d);
    ASSERT_EQ(d.error_count(), 1u) << toml << "\n" << d.render();
    EXPECT_EQ(d.list()[0].location.to_string(), place) << toml << "\n" << d.render();
  }
}

// ---- docs/guide/settings.md ----------------------------------------------------------------------------------------------

struct Documented {
  std::string key, value;  // "engine.threads"; "" where the default depends on the machine
};

std::vector<Documented> documented_settings() {
  std::vector<Documented> out;
  const auto text = os::read_file("../../../docs/guide/settings.md");
  EXPECT_TRUE(text.ok()) << text.status().to_string();
  for (const std::string_view line : split(text.ok() ? *text : "", '\n')) {
    if (!line.starts_with("| `")) continue;
    const std::vector<std::string_view> cells = split(line, '|');
    const std::string_view key = trim(cells.at(1)), value = trim(cells.at(2));
    out.push_back({std::string(key.substr(1, key.size() - 2)),
                   value.starts_with('`') ? std::string(value.substr(1, value.size() - 2)) : ""});
  }
  return out;
}

std::string as_toml(const Documented& setting) {
  const size_t dot = setting.key.find('.');
  return dot == std::string::npos ? setting.key + " = " + setting.value + "\n"
                                  : "[" + setting.key.substr(0, dot) + "]\n" + setting.key.substr(dot + 1) + " = " + setting.value + "\n";
}

TEST(ProjectConfigTest, TheGuideTellsEveryKey) {
  // What the parser itself says it knows, for a key that resembles none.
  std::vector<std::string> known;
  for (const std::string section : {"", "engine", "keep", "roles"}) {
    Diagnostics d;
    (void)parse((section.empty() ? "" : "[" + section + "]\n") + "zzzzzzzzzzzzzzzzzzzzzzzzz = 1\n", &d);
    ASSERT_EQ(d.error_count(), 1u);
    std::string_view names = d.list()[0].help.at(0);
    ASSERT_TRUE(names.starts_with("known here: ")) << names;
    names.remove_prefix(12);
    for (std::string_view name : split(names, ',')) {
      name = trim(name);
      if (name == "engine" || name == "keep" || name == "roles") continue;
      known.push_back(section.empty() ? std::string(name) : section + "." + std::string(name));
    }
  }
  std::vector<std::string> told;
  for (const auto& setting : documented_settings()) told.push_back(setting.key);
  EXPECT_THAT(told, ::testing::UnorderedElementsAreArray(known));
}

TEST(ProjectConfigTest, TheGuideTellsTheDefaults) {
  Diagnostics none;
  const ProjectConfig defaults = parse("", &none);
  size_t compared = 0;
  for (const auto& setting : documented_settings()) {
    if (setting.value.empty()) continue;
    Diagnostics d;
    ProjectConfig set = parse(as_toml(setting), &d);
    EXPECT_TRUE(d.empty()) << as_toml(setting) << d.render();
    if (setting.key == "context") set.context = set.context == "local" ? "" : set.context;
    EXPECT_EQ(set.herd, defaults.herd);
    EXPECT_EQ(set.context, defaults.context) << setting.key;
    EXPECT_EQ(set.lineage_namespace, defaults.lineage_namespace) << setting.key;
    EXPECT_EQ(set.memory_budget_bytes, defaults.memory_budget_bytes) << setting.key;
    EXPECT_EQ(set.keep_runs_micros, defaults.keep_runs_micros) << setting.key;
    EXPECT_EQ(set.keep_runs_bytes, defaults.keep_runs_bytes) << setting.key;
    EXPECT_EQ(set.keep_dead_letters_micros, defaults.keep_dead_letters_micros) << setting.key;
    EXPECT_EQ(set.keep_dead_letters_bytes, defaults.keep_dead_letters_bytes) << setting.key;
    EXPECT_EQ(set.held_roles, defaults.held_roles) << setting.key;
    ++compared;
  }
  EXPECT_GE(compared, 9u);
}

TEST(ProjectConfigTest, FindsTheRootUpwardsAndLoads) {
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(os::make_directories(folder->file("p/features/deep")).ok());
  EXPECT_EQ(find_project_root(folder->file("p/features")).status().kind(), "project.not_found");
  ASSERT_TRUE(os::write_file_atomic(folder->file("p/runink.toml"), "herd = \"ops\"\n").ok());
  const std::string root = *os::canonical_path(folder->file("p"));
  for (const char* start : {"p", "p/features/deep", "p/features/not-there.dsl", "p/runink.toml"}) {
    const auto found = find_project_root(folder->file(start));
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    EXPECT_EQ(*found, root);
  }
  const auto config = load_project_config(root);
  ASSERT_TRUE(config.ok()) << config.status().to_string();
  EXPECT_EQ(config->herd, "ops");
  EXPECT_EQ(config->name, "p");
  ASSERT_TRUE(os::write_file_atomic(folder->file("p/runink.toml"), "hard = \"ops\"\n").ok());
  const Status wrong = load_project_config(root).status();
  EXPECT_EQ(wrong.code(), Code::kInvalidArgument);
  EXPECT_THAT(wrong.message(), HasSubstr("runink.toml:1:1"));
  ASSERT_EQ(wrong.details().size(), 1u);
  EXPECT_THAT(wrong.details()[0], HasSubstr("did you mean \"herd\"?"));
}

}  // namespace
}  // namespace runink::config
