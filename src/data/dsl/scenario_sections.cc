// Sections of a scenario: Assertions, Notifications, GoldenTest, Metadata.
//
//   Assertions:     an item of assertion_sentences(), or a true-or-false expression over aggregates of the valid branch
//   Notifications:  `- stderr`, `- file:PATH`, `- exec:COMMAND`, each perhaps followed by `on failure` (which is what
//   is
//                   meant when nothing is said), `on success` or `always`; also without the dash: `exec: COMMAND`
//   GoldenTest:     `- CASE`, a folder below golden/<feature>/<scenario>/, or `- PATH` with a slash, from the project
//   root Metadata:       `key: value`
#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/scenario_compiler.h"
#include "platform/os/shell_words.h"

namespace runink::dsl {

void ScenarioCompiler::sections() {
  for (const ExpandedSection& section : scenario_.expanded.sections) {
    switch (section.kind) {
      case SectionKind::kAssertions:
        assertions(section);
        break;
      case SectionKind::kNotifications:
        notifications(section);
        break;
      case SectionKind::kGoldenTest:
        golden(section);
        break;
      case SectionKind::kMetadata:
        metadata(section);
        break;
    }
  }
}

// ---- assertions
// -------------------------------------------------------------------------------------------------------

void ScenarioCompiler::assertions(const ExpandedSection& section) {
  if (section.items.empty()) {
    context_.warning(section.span, "dsl.section", "this section is empty");
  }
  for (const auto& item : section.items) {
    if (context_.give_up()) return;
    if (!item.key.empty()) {
      error(item.span, "dsl.assertion", "an assertion is one line that begins with `- `")
          .help.push_back(fmt::format("write `- {}: {}` only if that is a sentence", item.key, item.text.text));
      continue;
    }
    assertion(item);
  }
}

void ScenarioCompiler::assertion(const ExpandedItem& item) {
  using Kind = plan::Assertion::Kind;
  plan::Assertion out;
  out.text = item.text.text;
  out.location = context_.location(item.text.span);
  if (const auto bound = bind_assertion(item.text.text)) {
    static const std::map<std::string, std::pair<Kind, bool>, std::less<>> kKinds = {
        {"processed.at_least", {Kind::kMinProcessed, true}},
        {"processed.more_than", {Kind::kMinProcessed, false}},
        {"processed.at_most", {Kind::kMaxProcessed, true}},
        {"processed.fewer_than", {Kind::kMaxProcessed, false}},
        {"rejected.fewer_than_percent", {Kind::kMaxRejectedPercent, false}},
        {"rejected.at_most_percent", {Kind::kMaxRejectedPercent, true}},
        {"rejected.none", {Kind::kMaxRejected, true}},
        {"rejected.fewer_than", {Kind::kMaxRejected, false}},
        {"rejected.at_most", {Kind::kMaxRejected, true}},
        {"valid.at_least", {Kind::kMinValid, true}},
        {"valid.more_than", {Kind::kMinValid, false}},
        {"drift.none", {Kind::kNoDrift, true}},
    };
    const auto& [kind, inclusive] = kKinds.find(bound->sentence->name)->second;
    out.kind = kind;
    out.inclusive = inclusive;
    if (const Capture* count = bound->find("count")) out.number = static_cast<double>(count->count);
    if (const Capture* percent = bound->find("percent")) out.number = percent->number;
    const bool max_kind =
        kind == Kind::kMaxRejected || kind == Kind::kMaxRejectedPercent || kind == Kind::kMaxProcessed;
    if ((max_kind && !inclusive && out.number <= 0) || (kind == Kind::kMaxRejectedPercent && out.number > 100)) {
      if (out.number > 0) {
        error(item.text.span, "dsl.assertion", "a share is at most 100%");
      } else {
        error(item.text.span, "dsl.assertion", "nothing is fewer than none: this can never hold")
            .help.push_back("write `no records are rejected`, if that is meant");
      }
      return;
    }
    if (kind == Kind::kMinValid && plan_.valid.empty() && !failed_) {
      error(item.text.span, "dsl.assertion", "this scenario ends in branches and has no one valid branch to count");
      return;
    }
    plan_.assertions.push_back(std::move(out));
    return;
  }
  // Not a sentence of the list, so an expression. Text that looks like words gets the list's nearest as well.
  const bool wordy = item.text.text.find_first_of("()<>=") == std::string::npos;
  if (wordy) {
    auto& d = error(item.text.span, "dsl.assertion", fmt::format("no assertion matches \"{}\"", item.text.text));
    for (const auto& near : nearest_assertions(item.text.text)) {
      d.help.push_back((d.help.empty() ? "did you mean `" : "or `") + near + "`?");
    }
    d.help.push_back("or an expression over aggregates, such as `avg(delay) < 20`");
    return;
  }
  if (plan_.valid.empty() || flow_.unknown) {
    if (!failed_) {
      error(item.text.span, "dsl.assertion", "this scenario ends in branches and has no one valid branch to look at");
    }
    return;
  }
  SourceTextPtr parsed;
  const expr::ExprPtr tree = context_.parse(item.text, {}, &parsed);
  if (tree == nullptr || reads_lost(*tree)) {
    failed_ = true;
    return;
  }
  expr::CheckOptions options;
  options.must_be_bool_for = "an assertion";
  out.kind = Kind::kExpression;
  out.expression = context_.checked(item.text, parsed, [&](Diagnostics& d) {
    return expr::check_aggregate(tree, parsed, scope_of(columns()), {}, d, options);
  });
  if (!out.expression.valid()) {
    failed_ = true;
    return;
  }
  plan_.assertions.push_back(std::move(out));
}

// ---- notifications
// ------------------------------------------------------------------------------------------------------

namespace {

// Cuts "on failure", "on success" or "always" off the end.
void cut_when(std::string_view* text, std::string* when) {
  static const std::pair<std::string_view, std::string_view> kEndings[] = {
      {"on failure", "failure"}, {"on success", "success"}, {"always", "always"}};
  for (const auto& [words, value] : kEndings) {
    if (text->size() < words.size() || !equals_ignore_case(text->substr(text->size() - words.size()), words)) continue;
    const std::string_view rest = text->substr(0, text->size() - words.size());
    if (!rest.empty() && rest.back() != ' ' && rest.back() != '\t') continue;
    *when = std::string(value);
    *text = trim(rest);
    return;
  }
}

}  // namespace

void ScenarioCompiler::notifications(const ExpandedSection& section) {
  static const std::vector<std::string> kChannels = {"stderr", "file", "exec"};
  for (const auto& item : section.items) {
    plan::Notification out;
    out.when = "failure";
    out.location = context_.location(item.text.span);
    std::string whole = item.key.empty() ? item.text.text : item.key + ":" + item.text.text;
    std::string_view text = whole;
    cut_when(&text, &out.when);
    const size_t colon = text.find(':');
    const std::string_view channel = trim(text.substr(0, colon));
    const std::string_view target = colon == std::string_view::npos ? "" : trim(text.substr(colon + 1));
    if (std::find(kChannels.begin(), kChannels.end(), channel) == kChannels.end()) {
      auto& d = error(item.text.span, "dsl.notification", fmt::format("there is no channel `{}`", channel));
      const auto near = nearest(channel, kChannels);
      if (!near.empty())
        d.help.push_back("did you mean `" + near[0] + "`?");
      else
        d.help.push_back("channels are stderr, file:PATH and exec:COMMAND");
      continue;
    }
    if ((channel == "stderr") != target.empty()) {
      error(item.text.span, "dsl.notification",
            target.empty() ? fmt::format("`{}:` needs a target", channel) : "stderr takes no target")
          .help.push_back("channels are stderr, file:PATH and exec:COMMAND");
      continue;
    }
    if (channel == "exec") {
      const auto words = os::split_command(target);
      if (!words.ok() || words->empty()) {
        error(item.text.span, "dsl.command", words.ok() ? "the command is empty" : words.status().message());
        continue;
      }
    }
    if (channel == "file") {
      const auto facts = plan::locator_facts(target);
      if (!facts.ok() || facts->kind != plan::LocatorFacts::Kind::kPath || facts->glob) {
        error(item.text.span, "dsl.locator", facts.ok() ? "a notification goes to one file" : facts.status().message());
        continue;
      }
    }
    out.channel = std::string(channel);
    out.target = std::string(target);
    plan_.notifications.push_back(std::move(out));
  }
}

// ---- golden cases and metadata
// --------------------------------------------------------------------------------------------

namespace {

// "Clean the feed" → "clean_the_feed": names of folders.
std::string folder_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (c & 0x80)
      out += c;
    else if (!out.empty() && out.back() != '_')
      out += '_';
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

}  // namespace

std::string golden_folder(std::string_view feature_path, std::string_view scenario) {
  std::string_view stem = feature_path;
  if (const size_t slash = stem.rfind('/'); slash != std::string_view::npos) stem.remove_prefix(slash + 1);
  if (const size_t dot = stem.rfind('.'); dot != std::string_view::npos && dot > 0) stem = stem.substr(0, dot);
  return "golden/" + std::string(stem) + "/" + folder_name(scenario);
}

void ScenarioCompiler::golden(const ExpandedSection& section) {
  for (const auto& item : section.items) {
    const std::string& name = item.text.text;
    if (!item.key.empty() && item.key != "case" && item.key != "cases") {
      error(item.span, "dsl.golden", fmt::format("GoldenTest knows no `{}`", item.key))
          .help.push_back("each item is `- CASE`: a folder below " +
                          golden_folder(context_.source()->path(), plan_.name) + "/");
      continue;
    }
    std::string folder = name.find('/') == std::string::npos
                             ? golden_folder(context_.source()->path(), plan_.name) + "/" + name
                             : plan::normal_path("", name);
    if (name.find('\0') != std::string::npos || folder.substr(0, 2) == ".." || folder[0] == '/') {
      error(item.text.span, "dsl.golden", "a golden case is a folder of the project");
      continue;
    }
    if (std::find(plan_.golden_cases.begin(), plan_.golden_cases.end(), folder) != plan_.golden_cases.end()) {
      error(item.text.span, "dsl.duplicate_name", fmt::format("{} is named twice", folder));
      continue;
    }
    plan_.golden_cases.push_back(std::move(folder));
  }
}

void read_metadata(CompileContext& context, const std::vector<ExpandedItem>& items,
                   std::map<std::string, std::string>* out) {
  static const std::vector<std::string> kKnown = {"herd", "owner", "slo",     "team",    "contact",   "domain",
                                                  "tier", "cost",  "runbook", "purpose", "retention", "version"};
  for (const auto& item : items) {
    if (item.key.empty()) {
      context.error(item.span, "dsl.metadata", "metadata are `key: value`")
          .help.push_back("such as `owner: ops@example.org`");
      continue;
    }
    if (!out->emplace(item.key, item.text.text).second) {
      context.error(item.span, "dsl.metadata", fmt::format("`{}` is given twice", item.key));
      continue;
    }
    if (std::find(kKnown.begin(), kKnown.end(), item.key) != kKnown.end()) continue;
    const auto near = nearest(item.key, kKnown);
    if (!near.empty() && edit_distance(item.key, near[0]) <= 1) {
      context.warning(item.span, "dsl.metadata",
                      fmt::format("`{}` is kept as it is; did you mean `{}`?", item.key, near[0]));
    }
  }
}

void ScenarioCompiler::metadata(const ExpandedSection& section) {
  read_metadata(context_, section.items, &plan_.metadata);
}

}  // namespace runink::dsl
