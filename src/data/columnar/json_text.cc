// JSON text of single values: checking it, and reading it as a type. (Whole NDJSON files have a reader of their own.)
#include <algorithm>

#include "base/text.h"
#include "data/columnar/digits.h"
#include "data/columnar/text.h"

namespace runink::columnar {

// Walks over JSON text. Recursion is bounded: by kJsonDepthMax where any JSON may come, by the type elsewhere.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : p_(text.data()), end_(p_ + text.size()) {}

  bool at_end() {
    skip_space();
    return p_ == end_;
  }

  bool skip_value(int depth = 0) {
    skip_space();
    if (p_ == end_ || depth > kJsonDepthMax) return false;
    switch (*p_) {
      case '"': return skip_string();
      case '{': return skip_members('}', depth);
      case '[': return skip_members(']', depth);
      case 't': return eat_word("true");
      case 'f': return eat_word("false");
      case 'n': return eat_word("null");
      default: return skip_number();
    }
  }

  TextError read(const FieldText& field, Value* out) {
    skip_space();
    if (p_ == end_) return TextError::kMalformed;
    if (field.type().id() != TypeId::kJson && *p_ == 'n') {
      *out = Value();
      return eat_word("null") ? TextError::kOk : TextError::kMalformed;
    }
    const char* const begin = p_;
    switch (field.type().id()) {
      case TypeId::kNull: return TextError::kMalformed;
      case TypeId::kJson:
        if (!skip_value()) return TextError::kMalformed;
        *out = Value(std::string(begin, p_));
        return TextError::kOk;
      case TypeId::kList: return read_list(field, out);
      case TypeId::kStruct: return read_struct(field, out);
      case TypeId::kBool:
        if (*p_ != 't' && *p_ != 'f') return TextError::kMalformed;
        *out = Value(*p_ == 't');
        return eat_word(*p_ == 't' ? "true" : "false") ? TextError::kOk : TextError::kMalformed;
      default: break;
    }
    if (field.type().is_numeric()) {
      if (!skip_number()) return TextError::kMalformed;
      return field.parse_scalar({begin, static_cast<size_t>(p_ - begin)}, out);
    }
    std::string text;
    if (!read_string(&text)) return TextError::kMalformed;
    return field.parse_scalar(text, out);
  }

 private:
  void skip_space() {
    while (p_ < end_ && (*p_ == ' ' || *p_ == '\t' || *p_ == '\n' || *p_ == '\r')) ++p_;
  }
  bool eat(char c) {
    skip_space();
    if (p_ == end_ || *p_ != c) return false;
    ++p_;
    return true;
  }
  bool eat_word(std::string_view word) {
    if (!std::string_view(p_, static_cast<size_t>(end_ - p_)).starts_with(word)) return false;
    p_ += word.size();
    return true;
  }

  bool skip_number() {
    if (p_ < end_ && *p_ == '-') ++p_;
    if (p_ == end_ || !is_digit(*p_)) return false;
    if (*p_ == '0') ++p_;
    else skip_digits();
    if (p_ < end_ && *p_ == '.') {
      ++p_;
      if (!skip_digits()) return false;
    }
    if (p_ < end_ && (*p_ == 'e' || *p_ == 'E')) {
      ++p_;
      if (p_ < end_ && (*p_ == '-' || *p_ == '+')) ++p_;
      if (!skip_digits()) return false;
    }
    return true;
  }
  bool skip_digits() {
    const char* const begin = p_;
    while (p_ < end_ && is_digit(*p_)) ++p_;
    return p_ > begin;
  }

  // A quoted string; lone surrogates and control bytes are refused.
  bool skip_string() {
    std::string ignored;
    return read_string(&ignored);
  }
  bool hex4(uint32_t* out) {
    if (end_ - p_ < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; ++i, ++p_) {
      const char low = static_cast<char>(*p_ | 0x20);
      if (is_digit(*p_)) *out = *out * 16 + static_cast<uint32_t>(*p_ - '0');
      else if (low >= 'a' && low <= 'f') *out = *out * 16 + static_cast<uint32_t>(low - 'a' + 10);
      else return false;
    }
    return true;
  }
  bool read_string(std::string* out) {
    if (p_ == end_ || *p_ != '"') return false;
    ++p_;
    while (p_ < end_ && *p_ != '"') {
      if (static_cast<uint8_t>(*p_) < 0x20) return false;
      if (*p_ != '\\') {
        *out += *p_++;
        continue;
      }
      if (++p_ == end_) return false;
      switch (*p_++) {
        case '"': *out += '"'; break;
        case '\\': *out += '\\'; break;
        case '/': *out += '/'; break;
        case 'b': *out += '\b'; break;
        case 'f': *out += '\f'; break;
        case 'n': *out += '\n'; break;
        case 'r': *out += '\r'; break;
        case 't': *out += '\t'; break;
        case 'u': {
          uint32_t code, low;
          if (!hex4(&code)) return false;
          if (code >= 0xDC00 && code < 0xE000) return false;
          if (code >= 0xD800 && code < 0xDC00) {
            if (!eat_word("\\u") || !hex4(&low) || low < 0xDC00 || low >= 0xE000) return false;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          }
          append_utf8(*out, code);
          break;
        }
        default: return false;
      }
    }
    if (p_ == end_) return false;
    ++p_;
    return true;
  }

  bool skip_members(char closing, int depth) {
    ++p_;
    if (eat(closing)) return true;
    do {
      skip_space();
      if (closing == '}' && (!skip_string() || !eat(':'))) return false;
      if (!skip_value(depth + 1)) return false;
    } while (eat(','));
    return eat(closing);
  }

  TextError read_list(const FieldText& field, Value* out) {
    if (!eat('[')) return TextError::kMalformed;
    std::vector<Value> elements;
    if (!eat(']')) {
      do {
        elements.emplace_back();
        const TextError error = read(field.children_[0], &elements.back());
        if (error != TextError::kOk) return error;
      } while (eat(','));
      if (!eat(']')) return TextError::kMalformed;
    }
    *out = Value(std::move(elements));
    return TextError::kOk;
  }

  TextError read_struct(const FieldText& field, Value* out) {
    if (!eat('{')) return TextError::kMalformed;
    const auto& fields = field.type().fields();
    std::vector<Value> members(fields.size());
    std::vector<bool> seen(fields.size());
    if (!eat('}')) {
      do {
        skip_space();
        std::string name;
        if (!read_string(&name) || !eat(':')) return TextError::kMalformed;
        size_t index = 0;
        while (index < fields.size() && fields[index].name != name) ++index;
        if (index == fields.size() || seen[index]) return TextError::kMalformed;
        seen[index] = true;
        const TextError error = read(field.children_[index], &members[index]);
        if (error != TextError::kOk) return error;
      } while (eat(','));
      if (!eat('}')) return TextError::kMalformed;
    }
    *out = Value(std::move(members));
    return TextError::kOk;
  }

  const char* p_;
  const char* end_;
};

bool is_valid_json(std::string_view json) {
  JsonReader reader(json);
  return reader.skip_value() && reader.at_end() && is_valid_utf8(json);
}

TextError FieldText::parse_json(std::string_view json, Value* out) const {
  if (!is_valid_utf8(json)) return TextError::kMalformed;
  JsonReader reader(json);
  Value value;
  const TextError error = reader.read(*this, &value);
  if (error != TextError::kOk) return error;
  if (!reader.at_end()) return TextError::kMalformed;
  *out = std::move(value);
  return TextError::kOk;
}

TextError parse_json_value(std::string_view json, const DataType& type, Value* out) {
  return FieldText(type).parse_json(json, out);
}

}  // namespace runink::columnar
