// Regular expressions (RE2: linear time, bounded memory). Patterns are texts written in the expression, compiled once.
#include <re2/re2.h>

#include "base/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/rules.h"

namespace runink::expr {

namespace {

struct Pattern {
  std::unique_ptr<re2::RE2> re;
  std::string rewrite;
  int group = 0;
};

// Longer ones are not written by hand.
constexpr size_t kMaxPatternBytes = 4096;

std::shared_ptr<Pattern> compile(Binding& binding, size_t arg) {
  const auto text = constant_text(binding, arg, "a pattern");
  if (!text) return nullptr;
  if (text->size() > kMaxPatternBytes) {
    binding.fail(fmt::format("a pattern has at most {} bytes", kMaxPatternBytes), "", static_cast<int>(arg));
    return nullptr;
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryBytes);
  auto pattern = std::make_shared<Pattern>();
  pattern->re = std::make_unique<re2::RE2>(*text, options);
  if (!pattern->re->ok()) {
    binding.fail(fmt::format("this is not a regular expression: {}", escape_control(pattern->re->error())),
                 "the form is that of RE2: https://github.com/google/re2/wiki/Syntax", static_cast<int>(arg));
    return nullptr;
  }
  return pattern;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

const Pattern& pattern_of(const Node& node) { return *static_cast<const Pattern*>(node.state.get()); }

// The whole text: the rule of contracts, with its tables for simple patterns.
void match_whole(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const auto& rule = *static_cast<const RuleKernel*>(node.state.get());
  const Column& column = *args[0].column;
  std::vector<uint8_t> failed(static_cast<size_t>(column.length), 0);
  rule.check(column, failed.data());
  const int64_t step = args[0].constant ? 0 : 1;
  map_all<uint8_t>(node, args, 1, frame, out,
                   [&](int64_t i) { return static_cast<uint8_t>(failed[static_cast<size_t>(i * step)] ^ 1); });
}

void match_part(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const re2::RE2& re = *pattern_of(node).re;
  const Texts v(args[0]);
  const Rows rows(combined_validity(args, 1, frame.rows));
  map_all<uint8_t>(node, args, 1, frame, out, [&](int64_t i) {
    return static_cast<uint8_t>(rows[i] && re.Match(piece(v[i]), 0, v[i].size(), re2::RE2::UNANCHORED, nullptr, 0));
  });
}

void extract(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Pattern& pattern = pattern_of(node);
  const Texts v(args[0]);
  std::vector<re2::StringPiece> groups(static_cast<size_t>(pattern.group) + 1);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string&, std::string_view* view) -> const char* {
    const std::string_view text = v[i];
    if (!pattern.re->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, groups.data(),
                           static_cast<int>(groups.size())))
      return kNullRow;
    const re2::StringPiece& found = groups.back();
    if (found.data() == nullptr) return kNullRow;
    *view = {found.data(), found.size()};
    return nullptr;
  });
}

// As RE2::GlobalReplace, with the length of the result bounded on the way.
void replace(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Pattern& pattern = pattern_of(node);
  const Texts v(args[0]);
  std::vector<re2::StringPiece> groups(static_cast<size_t>(pattern.re->NumberOfCapturingGroups()) + 1);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    const std::string_view text = v[i];
    size_t at = 0, copied = 0;
    bool any = false;
    while (at <= text.size() && pattern.re->Match(piece(text), at, text.size(), re2::RE2::UNANCHORED, groups.data(),
                                                  static_cast<int>(groups.size()))) {
      const auto begin = static_cast<size_t>(groups[0].data() - text.data());
      const size_t end = begin + groups[0].size();
      // An empty match right after a match is none, as in sed.
      if (!(any && groups[0].empty() && begin == copied && begin == at && at != 0)) {
        scratch += text.substr(copied, begin - copied);
        if (!pattern.re->Rewrite(&scratch, pattern.rewrite, groups.data(), static_cast<int>(groups.size())))
          return "the replacement failed";
        copied = end;
        any = true;
        if (scratch.size() > kMaxTextBytes) return kTooLong;
      }
      at = end;
      if (!groups[0].empty()) continue;
      ++at;  // over one code point
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    }
    if (!any) {
      *view = text;
      return nullptr;
    }
    scratch += text.substr(copied);
    *view = scratch;
    return nullptr;
  });
}

bool prepare_match_whole(Binding& binding) {
  if (!compile(binding, 1)) return false;
  const auto rule = rule_pattern(TypeId::kString, *constant_text(binding, 1, "a pattern"));
  if (!rule.ok()) return binding.fail(rule.status().message(), rule.status().hint(), 1);
  binding.state = *rule;
  binding.args.resize(1);
  return true;
}

bool prepare_match_part(Binding& binding) {
  binding.state = compile(binding, 1);
  if (!binding.state) return false;
  binding.args.resize(1);
  return true;
}

bool prepare_extract(Binding& binding) {
  auto pattern = compile(binding, 1);
  if (!pattern) return false;
  const int groups = pattern->re->NumberOfCapturingGroups();
  pattern->group = groups > 0 ? 1 : 0;
  if (binding.args.size() == 3) {
    const Node& group = *binding.args[2];
    if (group.kind != Node::Kind::kConstant || group.constant.is_null(0)) {
      return binding.fail("the number of the group must be written here, not computed", "", 2);
    }
    const int64_t n = group.constant.data<int64_t>()[0];
    if (n < 0 || n > groups) {
      return binding.fail(
          fmt::format("the pattern has {} group{}, and {} was asked for", groups, groups == 1 ? "" : "s", n),
          "0 is the whole match", 2);
    }
    pattern->group = static_cast<int>(n);
  }
  binding.args.resize(1);
  binding.state = std::move(pattern);
  return true;
}

bool prepare_replace(Binding& binding) {
  auto pattern = compile(binding, 1);
  if (!pattern) return false;
  const auto rewrite = constant_text(binding, 2, "the replacement");
  if (!rewrite) return false;
  std::string error;
  if (!pattern->re->CheckRewriteString(*rewrite, &error)) {
    return binding.fail(fmt::format("this replacement does not fit the pattern: {}", escape_control(error)),
                        "\\\\1 stands for the first group, \\\\0 for the whole match", 2);
  }
  pattern->rewrite = *rewrite;
  binding.args.resize(1);
  binding.state = std::move(pattern);
  return true;
}

}  // namespace

void define_pattern_functions(std::vector<Definition>& out) {
  const char* kGroup = "patterns";
  out.push_back({"matches",
                 kGroup,
                 "Whether the whole text matches the regular expression.",
                 "matches(code, \"[A-Z]{2}[0-9]{4}\")",
                 {{"matches(text: string, pattern: string) -> bool", match_whole, 0, prepare_match_whole}}});
  out.push_back({"regexp_contains",
                 kGroup,
                 "Whether some part of the text matches the regular expression.",
                 "regexp_contains(note, \"(?i)delayed?\")",
                 {{"regexp_contains(text: string, pattern: string) -> bool", match_part, 0, prepare_match_part}}});
  out.push_back(
      {"regexp_extract",
       kGroup,
       "The first match: its first group, or the group asked for (0: the whole match). Null when nothing matches.",
       "regexp_extract(note, \"gate ([A-Z][0-9]+)\")",
       {{"regexp_extract(text: string, pattern: string) -> string", extract, kMakesNull, prepare_extract},
        {"regexp_extract(text: string, pattern: string, group: int64) -> string", extract, kMakesNull,
         prepare_extract}}});
  out.push_back({"regexp_replace",
                 kGroup,
                 "With every match replaced; \\\\1 stands for the first group.",
                 "regexp_replace(phone, \"[^0-9]\", \"\")",
                 {{"regexp_replace(text: string, pattern: string, instead: string) -> string", replace, kCanFail,
                   prepare_replace}}});
}

}  // namespace runink::expr
