// Values out of JSON text.
#include <simdjson.h>

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"

namespace runink::expr {

namespace {

struct PathStep {
  std::string name;
  int64_t index = -1;  // an element of an array when not negative
};
struct Path {
  std::vector<PathStep> steps;
};

constexpr size_t kMaxSteps = 64;

// $.a.b[0]["odd name"]; the `$` may be left out.
bool parse_path(std::string_view text, Path* path) {
  size_t i = 0;
  if (i < text.size() && text[i] == '$') ++i;
  const bool rooted = i > 0;
  while (i < text.size()) {
    PathStep step;
    if (text[i] == '[') {
      const size_t close = text.find(']', i);
      if (close == std::string_view::npos) return false;
      const std::string_view inside = text.substr(i + 1, close - i - 1);
      if (inside.size() >= 2 && (inside[0] == '"' || inside[0] == '\'') && inside.back() == inside[0]) {
        step.name = std::string(inside.substr(1, inside.size() - 2));
      } else if (inside.size() > 9 || columnar::parse_int64(inside, &step.index) != columnar::TextError::kOk ||
                 step.index < 0) {
        return false;
      }
      i = close + 1;
    } else {
      if (text[i] == '.') {
        ++i;
      } else if (rooted || i > 0) {
        return false;
      }
      const size_t end = std::min(text.find_first_of(".[", i), text.size());
      if (end == i) return false;
      step.name = std::string(text.substr(i, end - i));
      i = end;
    }
    path->steps.push_back(std::move(step));
    if (path->steps.size() > kMaxSteps) return false;
  }
  return true;
}

bool prepare_path(Binding& binding) {
  const auto text = constant_text(binding, 1, "a path");
  if (!text) return false;
  auto path = std::make_shared<Path>();
  if (!parse_path(*text, path.get())) {
    return binding.fail(fmt::format("{} is not a path", json_quote(*text)),
                        "write \"$.name\", \"$.items[0].price\" or \"$[\\\"odd name\\\"]\"", 1);
  }
  binding.state = std::move(path);
  binding.args.resize(1);
  return true;
}

namespace od = simdjson::ondemand;

// Null: no such value, or null. Otherwise its text in `out`.
const char* text_of(od::value value, std::string& out) {
  od::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return "not JSON";
  switch (type) {
    case od::json_type::null:
      return kNullRow;
    case od::json_type::string: {
      std::string_view text;
      if (value.get_string().get(text) != simdjson::SUCCESS) return "not JSON";
      out = text;
      return nullptr;
    }
    case od::json_type::array:
    case od::json_type::object: {
      std::string_view raw;
      if (type == od::json_type::array) {
        od::array array;
        if (value.get_array().get(array) != simdjson::SUCCESS || array.raw_json().get(raw) != simdjson::SUCCESS)
          return "not JSON";
      } else {
        od::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS || object.raw_json().get(raw) != simdjson::SUCCESS)
          return "not JSON";
      }
      out = trim(raw);
      return nullptr;
    }
    default: {
      const std::string_view token = value.raw_json_token();
      out = trim(token);
      return nullptr;
    }
  }
}

const char* walk(od::document& document, const Path& path, std::string& out) {
  od::value value;
  bool first = true;
  for (const auto& step : path.steps) {
    od::json_type type;
    if (first ? document.type().get(type) : value.type().get(type)) return "not JSON";
    if (step.index >= 0) {
      if (type != od::json_type::array) return kNullRow;
      const auto index = static_cast<size_t>(step.index);
      const auto error = (first ? document.at(index) : value.at(index)).get(value);
      if (error != simdjson::SUCCESS) return error == simdjson::INDEX_OUT_OF_BOUNDS ? kNullRow : "not JSON";
    } else {
      if (type != od::json_type::object) return kNullRow;
      const auto error =
          (first ? document.find_field_unordered(step.name) : value.find_field_unordered(step.name)).get(value);
      if (error != simdjson::SUCCESS) return error == simdjson::NO_SUCH_FIELD ? kNullRow : "not JSON";
    }
    first = false;
  }
  return text_of(value, out);
}

// The whole document: on-demand treats a scalar at the top apart from values inside.
const char* whole(std::string_view json, std::string& out) {
  const std::string_view text = trim(json);
  if (text == "null") return kNullRow;
  if (!text.empty() && text[0] == '"') {
    Value value;
    if (columnar::parse_json_value(text, TypeId::kString, &value) != columnar::TextError::kOk) return "not JSON";
    out = std::get<std::string>(value.data);
  } else {
    out = text;
  }
  return nullptr;
}

template <bool checked>
void json_value(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Path& path = *static_cast<const Path*>(node.state.get());
  const Texts v(args[0]);
  thread_local od::parser parser;
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    const std::string_view text = v[i];
    *view = scratch;
    // On-demand looks only at what it passes; a text that nobody has checked yet is checked here.
    if (!checked && !columnar::is_valid_json(text)) return "not JSON";
    const char* what = nullptr;
    if (path.steps.empty()) {
      what = whole(text, scratch);
    } else {
      const char first = trim(text).empty() ? '\0' : trim(text)[0];
      if (first != '{' && first != '[') return kNullRow;
      od::document document;
      if (parser.iterate(text.data(), text.size(), text.size() + simdjson::SIMDJSON_PADDING).get(document) !=
          simdjson::SUCCESS)
        return "not JSON";
      what = walk(document, path, scratch);
    }
    *view = scratch;
    return what;
  });
}

}  // namespace

void define_json_functions(std::vector<Definition>& out) {
  out.push_back(
      {"json_value",
       "json",
       "The value at a path: the text of a string, number or bool, the JSON of an object or array; null when there is "
       "none. "
       "The type is what you cast it to.",
       "cast(json_value(payload, \"$.items[0].price\") as decimal(12,2))",
       {{"json_value(data: json, path: string) -> string", json_value<true>, kCanFail | kMakesNull, prepare_path},
        {"json_value(data: string, path: string) -> string", json_value<false>, kCanFail | kMakesNull, prepare_path}}});
}

}  // namespace runink::expr
