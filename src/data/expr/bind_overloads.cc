// Resolution of calls by the signatures of their function.
#include <algorithm>

#include "base/text.h"
#include "data/expr/functions.h"
#include "data/expr/type_text.h"

namespace runink::expr {

namespace {

enum class Match { kNo, kWithConversion, kExact };

Match match_one(const NodePtr& arg, const std::string& parameter) {
  const DataType& type = arg->type;
  if (parameter == "any") return type.id() == TypeId::kNull ? Match::kNo : Match::kExact;
  if (parameter == "number") return type.is_numeric() ? Match::kExact : Match::kNo;
  if (parameter == "list") return type.id() == TypeId::kList ? Match::kExact : Match::kNo;
  const auto wanted = plain_type(parameter);
  RUNINK_CHECK(wanted.has_value());
  if (type == *wanted) return Match::kExact;
  if (type.id() == TypeId::kNull || widens(type, *wanted)) return Match::kWithConversion;
  if (wanted->id() == TypeId::kFloat64 && type.is_numeric()) return Match::kWithConversion;
  if (arg->literal && adapt_literal(arg, *wanted) != nullptr) return Match::kWithConversion;
  return Match::kNo;
}

Match match_all(const std::vector<NodePtr>& args, const ParsedOverload& overload) {
  if (args.size() != overload.parameters.size()) return Match::kNo;
  Match all = Match::kExact;
  for (size_t i = 0; i < args.size(); ++i) all = std::min(all, match_one(args[i], overload.parameters[i].type));
  return all;
}

bool no_match(const Definition& definition, Binding& binding) {
  std::vector<std::string> given;
  for (const auto& arg : binding.args) given.push_back(arg->type.to_string());
  std::string help;
  bool count_fits = false;
  size_t least = SIZE_MAX, most = 0;
  for (const auto& overload : definition.overloads) {
    const ParsedOverload parsed = parse_signature(overload.signature);
    least = std::min(least, parsed.parameters.size());
    most = std::max(most, parsed.parameters.size());
    count_fits |= parsed.parameters.size() == binding.args.size();
    if (!help.empty()) help += "\n      ";
    help += overload.signature;
  }
  if (!count_fits) {
    const std::string wanted = least == most ? std::to_string(least) : fmt::format("{} to {}", least, most);
    return binding.fail(
        fmt::format("{} takes {} argument{}, not {}", definition.name, wanted, wanted == "1" ? "" : "s", given.size()),
        help);
  }
  // When one argument alone is the trouble, point at it.
  for (const auto& overload : definition.overloads) {
    const ParsedOverload parsed = parse_signature(overload.signature);
    if (parsed.parameters.size() != binding.args.size() || definition.overloads.size() > 1) continue;
    for (size_t i = 0; i < binding.args.size(); ++i) {
      if (match_one(binding.args[i], parsed.parameters[i].type) != Match::kNo) continue;
      return binding.fail(
          fmt::format("{} needs {} as its {}, and this is {}", definition.name, a_word(parsed.parameters[i].type),
                      parsed.parameters[i].name, a_type(binding.args[i]->type)),
          help, static_cast<int>(i));
    }
  }
  return binding.fail(fmt::format("{} does not take ({})", definition.name, join(given, ", ")), help);
}

}  // namespace

bool bind_overloads(const Definition& definition, Binding& binding) {
  const Overload* best = nullptr;
  ParsedOverload best_parsed;
  Match best_match = Match::kNo;
  for (const auto& overload : definition.overloads) {
    ParsedOverload parsed = parse_signature(overload.signature);
    const Match match = match_all(binding.args, parsed);
    if (match <= best_match) continue;
    best = &overload;
    best_parsed = std::move(parsed);
    best_match = match;
  }
  if (best == nullptr) return no_match(definition, binding);
  std::string error, help;
  for (size_t i = 0; i < binding.args.size(); ++i) {
    const std::string& parameter = best_parsed.parameters[i].type;
    if (parameter == "any" || parameter == "number" || parameter == "list") continue;
    const DataType wanted = *plain_type(parameter);
    NodePtr& arg = binding.args[i];
    if (arg->type == wanted) continue;
    NodePtr same = arg->literal ? adapt_literal(arg, wanted) : nullptr;
    if (!same) same = make_cast(arg, wanted, false, &error, &help);
    if (!same) return binding.fail(error, help, static_cast<int>(i));
    arg = std::move(same);
  }
  if (const auto type = plain_type(best_parsed.result)) {
    binding.type = *type;
  } else if (best_parsed.result == "any" || best_parsed.result == "number") {
    binding.type = binding.args[0]->type;
  } else {
    Result<DataType> type_of_result = parse_type(best_parsed.result);
    RUNINK_CHECK(type_of_result.ok());
    binding.type = *type_of_result;
  }
  binding.kernel = best->kernel;
  binding.can_fail = (best->flags & kCanFail) != 0;
  binding.nullable |= (best->flags & kMakesNull) != 0;
  binding.hides_pii = (best->flags & kHides) != 0;
  binding.needs_key = (best->flags & kUsesKey) != 0;
  binding.uses_now = (best->flags & kUsesNow) != 0;
  return best->prepare == nullptr || best->prepare(binding);
}

std::optional<std::string> constant_text(Binding& binding, size_t arg, std::string_view what) {
  const Node& node = *binding.args[arg];
  if (node.kind != Node::Kind::kConstant || node.type.id() != TypeId::kString || node.constant.is_null(0)) {
    binding.fail(fmt::format("{} must be a text written here, not computed", what), "", static_cast<int>(arg));
    return std::nullopt;
  }
  return std::string(node.constant.text(0));
}

}  // namespace runink::expr
