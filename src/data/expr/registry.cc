#include "data/expr/registry.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"
#include "data/expr/functions.h"

namespace runink::expr {

namespace {

// The reference's order of groups.
constexpr std::array<std::string_view, 9> kGroups = {"conditions", "numbers", "text",       "patterns",  "time",
                                                     "json",       "lists",   "protection", "aggregates"};

size_t group_rank(const std::string& group) {
  return static_cast<size_t>(std::find(kGroups.begin(), kGroups.end(), group) - kGroups.begin());
}

}  // namespace

ParsedOverload parse_signature(const std::string& signature) {
  ParsedOverload out;
  const size_t open = signature.find('('), close = signature.rfind(')');
  RUNINK_CHECK(open != std::string::npos && close != std::string::npos);
  const size_t arrow = signature.find("-> ", close);
  RUNINK_CHECK(arrow != std::string::npos);
  out.result = signature.substr(arrow + 3);
  const std::string inside = signature.substr(open + 1, close - open - 1);
  if (inside.empty()) return out;
  for (const auto part : split(inside, ',')) {
    const std::string_view one = trim(part);
    const size_t colon = one.find(':');
    if (colon == std::string_view::npos) continue;  // "…"
    out.parameters.push_back({std::string(trim(one.substr(0, colon))), std::string(trim(one.substr(colon + 1)))});
  }
  return out;
}

const std::vector<Definition>& definitions() {
  static const std::vector<Definition>* const all = [] {
    auto* list = new std::vector<Definition>();
    define_null_functions(*list);
    define_number_functions(*list);
    define_text_functions(*list);
    define_pattern_functions(*list);
    define_time_functions(*list);
    define_json_functions(*list);
    define_list_functions(*list);
    define_secret_functions(*list);
    define_aggregates(*list);
    std::stable_sort(list->begin(), list->end(), [](const Definition& a, const Definition& b) {
      const size_t ra = group_rank(a.group), rb = group_rank(b.group);
      return ra != rb ? ra < rb : a.name < b.name;
    });
    return list;
  }();
  return *all;
}

const Definition* find_definition(std::string_view name) {
  static const auto* const index = [] {
    auto* map = new std::map<std::string, const Definition*, std::less<>>();
    for (const auto& d : definitions()) {
      RUNINK_CHECK(map->emplace(d.name, &d).second);
    }
    return map;
  }();
  const auto found = index->find(name);
  return found == index->end() ? nullptr : found->second;
}

const std::vector<FunctionInfo>& functions() {
  static const std::vector<FunctionInfo>* const all = [] {
    auto* list = new std::vector<FunctionInfo>();
    for (const auto& d : definitions()) {
      FunctionInfo info;
      info.name = d.name;
      info.group = d.group;
      info.help = d.help;
      info.example = d.example;
      info.aggregate = d.aggregate;
      for (const auto& o : d.overloads) info.signatures.push_back(o.signature);
      list->push_back(std::move(info));
    }
    return list;
  }();
  return *all;
}

const FunctionInfo* find_function(std::string_view name) {
  for (const auto& f : functions()) {
    if (f.name == name) return &f;
  }
  return nullptr;
}

std::vector<std::string> function_names() {
  std::vector<std::string> out;
  for (const auto& d : definitions()) out.push_back(d.name);
  return out;
}

std::string functions_as_markdown() {
  std::string out, group;
  for (const auto& f : functions()) {
    if (f.group != group) {
      group = f.group;
      std::string title = group;
      title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
      out += fmt::format("\n### {}\n\n| Function | What it gives | Example |\n|---|---|---|\n", title);
    }
    std::string signatures;
    for (const auto& s : f.signatures) {
      if (!signatures.empty()) signatures += "<br>";
      signatures += "`" + s + "`";
    }
    std::string row = fmt::format("| {} | {} | `{}` |\n", signatures, f.help, f.example);
    out += row;
  }
  return out;
}

}  // namespace runink::expr
