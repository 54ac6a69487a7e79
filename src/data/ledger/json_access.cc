#include "data/ledger/json_access.h"

namespace runink::ledger {

namespace {

// Nesting, by the brackets outside of texts. Cheap, and before any parser gets to see the text.
size_t depth_of(std::string_view text) {
  size_t depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      else if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

Result<Json> parse_json(std::string_view text, const std::string& path) {
  if (depth_of(text) > kMaxJsonDepth) {
    return data_loss("read {}: it is nested deeper than {} levels", path, kMaxJsonDepth);
  }
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    return data_loss("read {}: it is damaged (no JSON after byte {})", path, e.byte);
  } catch (const std::exception& e) {
    return data_loss("read {}: it is damaged ({})", path, e.what());
  }
}

std::string dump_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string dump_document(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string get_text(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}
uint64_t get_count(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_number_unsigned() ? value->get<uint64_t>() : 0;
}
int64_t get_number(const Json& object, const char* key, int64_t otherwise) {
  const Json* value = member(object, key);
  if (value == nullptr || !value->is_number_integer()) return otherwise;
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return otherwise;
  return value->get<int64_t>();
}
double get_real(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_number() ? value->get<double>() : 0;
}
bool get_flag(const Json& object, const char* key, bool otherwise) {
  const Json* value = member(object, key);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}
int64_t get_time(const Json& object, const char* key) {
  int64_t micros = 0;
  return parse_utc(get_text(object, key), &micros) ? micros : 0;
}
const Json& get_array(const Json& object, const char* key) {
  static const Json none = Json::array();
  const Json* value = member(object, key);
  return value != nullptr && value->is_array() ? *value : none;
}
const Json& get_object(const Json& object, const char* key) {
  static const Json none = Json::object();
  const Json* value = member(object, key);
  return value != nullptr && value->is_object() ? *value : none;
}

}  // namespace runink::ledger
