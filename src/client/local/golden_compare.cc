#include "client/local/golden_compare.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"

namespace runink::local {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json letter_json(const CaseLetter& letter) {
  Json json;
  json["source"] = letter.source;
  json["line"] = letter.line;
  json["rules"] = letter.rules;
  json[letter.valid_text ? "record" : "record_base64"] = letter.record;
  return json;
}

// The members named, in the order in which letters have them; others of the expected file follow, so that they show.
Json with_members(const Json& json, const std::set<std::string>& members) {
  static const char* const kOrder[] = {"source", "line", "rules", "record", "record_base64"};
  Json out = Json::object();
  for (const char* name : kOrder) {
    if (members.contains(name) && json.contains(name)) out[name] = json[name];
  }
  for (const auto& [name, value] : json.items()) {
    if (members.contains(name) && !out.contains(name)) out[name] = value;
  }
  return out;
}

}  // namespace

std::string letters_text(const std::vector<CaseLetter>& letters, bool with_source) {
  std::string out;
  for (const auto& letter : letters) {
    Json json = letter_json(letter);
    if (!with_source) json.erase("source");
    out += dump(json);
  }
  return out;
}

Result<LetterTexts> comparable_letters(std::string_view expected, const std::string& path, const std::vector<CaseLetter>& letters) {
  std::vector<Json> lines;
  std::set<std::string> members;
  size_t number = 0;
  for (const std::string_view line : split(expected, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      return invalid_argument("{}:{}: this is no JSON object", path, number)
          .with_hint("each line is a dead letter: {\"line\": 3, \"rules\": [\"delay.range\"], \"record\": \"…\"}");
    }
    // One rule may be written without brackets.
    if (json.contains("rules") && json["rules"].is_string()) json["rules"] = Json::array({json["rules"]});
    for (const auto& [name, value] : json.items()) members.insert(name);
    lines.push_back(std::move(json));
  }
  if (lines.empty()) members = {"line", "rules", "record", "record_base64"};
  if (members.contains("record") || members.contains("record_base64")) members.insert({"record", "record_base64"});
  LetterTexts out;
  for (const auto& json : lines) out.expected += dump(with_members(json, members));
  for (const auto& letter : letters) out.actual += dump(with_members(letter_json(letter), members));
  return out;
}

std::string sorted_lines(std::string_view text, bool has_header) {
  std::vector<std::string_view> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::sort(lines.begin() + (has_header && !lines.empty() ? 1 : 0), lines.end());
  std::string out;
  for (const auto line : lines) out.append(line).append("\n");
  return out;
}

}  // namespace runink::local
