#include "data/dsl/sentence_slots.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "base/text.h"

namespace runink::dsl {
namespace {

bool is_name_byte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80); }

// Words that bind others together and so are never part of a free noun.
bool is_function_word(std::string_view lower) {
  static const std::set<std::string_view> kWords = {
      "by",       "where", "with",    "without", "from",     "on",   "to",        "of",         "in",   "into",
      "are",      "is",    "as",      "and",     "or",       "not",  "against",   "when",       "if",   "for",
      "rejected", "field", "fields",  "branch",  "scenario", "sink", "duplicate", "duplicates", "only", "first",
      "set",      "step",  "program", "output",  "keep",     "drop", "join",      "sort"};
  return kWords.count(lower) != 0;
}

bool is_bare_name(std::string_view w) {
  if (w.empty() || std::isdigit(static_cast<unsigned char>(w[0])) || w[0] == '.' || w[0] == '-') return false;
  return std::all_of(w.begin(), w.end(), [](char c) { return is_name_byte(c) || c == '.' || c == '-'; });
}

bool is_field_name(std::string_view w) {
  if (w.empty() || std::isdigit(static_cast<unsigned char>(w[0])) || w.front() == '.' || w.back() == '.') return false;
  return std::all_of(w.begin(), w.end(), [](char c) { return is_name_byte(c) || c == '.'; });
}

bool is_quoted(std::string_view w, std::string_view quotes = "\"'") {
  return w.size() >= 2 && quotes.find(w.front()) != std::string_view::npos && w.back() == w.front();
}

std::string unquote(std::string_view w) {
  if (w.front() == '`') return std::string(w.substr(1, w.size() - 2));
  std::string out;
  const std::string_view inner = w.substr(1, w.size() - 2);
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '\\' && i + 1 < inner.size() && (inner[i + 1] == '\\' || inner[i + 1] == w.front())) ++i;
    out += inner[i];
  }
  return out;
}

bool read_count(std::string_view w, uint64_t* out) {
  std::string digits;
  for (size_t i = 0; i < w.size(); ++i) {
    const char c = w[i];
    if (c == '_' || c == ',') {
      // Separators stand between digits only, a comma before exactly three.
      if (i == 0 || i + 1 == w.size() || !std::isdigit(static_cast<unsigned char>(w[i + 1]))) return false;
      if (c == ',' && (i + 4 > w.size() || (i + 4 < w.size() && w[i + 4] != ','))) return false;
      continue;
    }
    if (!std::isdigit(static_cast<unsigned char>(c))) return false;
    digits += c;
  }
  if (digits.empty()) return false;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *out);
  return error == std::errc() && end == digits.data() + digits.size();
}

bool read_number(std::string_view w, double* out) {
  if (w.empty() || w.size() > 40 || !(std::isdigit(static_cast<unsigned char>(w[0])) || w[0] == '.')) return false;
  const auto [end, error] = std::from_chars(w.data(), w.data() + w.size(), *out, std::chars_format::fixed);
  return error == std::errc() && end == w.data() + w.size();
}

std::string_view slot_text(const SentenceText& text, size_t begin, size_t end) {
  const auto& first = text.words[begin];
  const auto& last = text.words[end - 1];
  return text.text.substr(first.offset, last.offset + last.text.size() - first.offset);
}

// Parts of a list: separated by commas, the last perhaps by "and". Each is a range of words; a comma inside a word
// ("a,b" or "f(x, y)") separates too unless it stands in brackets or quotes.
struct Part {
  std::string_view text;
  size_t offset;
};

bool split_list(std::string_view s, size_t offset, bool with_and, std::vector<Part>* out) {
  size_t start = 0;
  int depth = 0;
  const auto push = [&](size_t end) {
    const std::string_view raw = s.substr(start, end - start);
    const std::string_view part = trim(raw);
    if (part.empty()) return false;
    out->push_back({part, offset + start + static_cast<size_t>(part.data() - raw.data())});
    return true;
  };
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (c == '"' || c == '`' || (c == '\'' && (i == 0 || !is_name_byte(s[i - 1])))) {
      size_t j = i + 1;
      while (j < s.size() && s[j] != c) j += (s[j] == '\\' && c != '`') ? 2 : 1;
      if (j < s.size()) i = j;
    } else if (c == '(' || c == '[') {
      ++depth;
    } else if (c == ')' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 0) {
      // "a, b, and c"
      if (!push(i)) return false;
      start = i + 1;
    } else if (with_and && depth == 0 && (i == 0 || s[i - 1] == ' ') && s.substr(i, 4) == "and ") {
      if (!trim(s.substr(start, i - start)).empty()) {
        if (!push(i)) return false;
      } else if (out->empty()) {
        return false;
      }
      start = i + 4;
      i += 3;
    }
  }
  return push(s.size());
}

bool read_field(std::string_view w, std::string* out, bool* quoted) {
  if (is_quoted(w, "\"'`")) {
    *out = unquote(w);
    *quoted = true;
    return true;  // an empty name is for the compiler to speak about
  }
  *quoted = false;
  *out = std::string(w);
  return is_field_name(w);
}

bool read_fields(const std::vector<Part>& parts, Capture* out) {
  for (const Part& p : parts) {
    Capture::Item item;
    bool quoted;
    if (!read_field(p.text, &item.text, &quoted)) return false;
    item.offset = p.offset;
    item.length = p.text.size();
    out->items.push_back(std::move(item));
  }
  return true;
}

bool read_strings(const std::vector<Part>& parts, Capture* out) {
  for (const Part& p : parts) {
    if (!is_quoted(p.text)) return false;
    out->items.push_back({unquote(p.text), "", p.offset, p.text.size()});
  }
  return true;
}

// "delay descending": a field, then perhaps a direction.
bool read_keys(const std::vector<Part>& parts, Capture* out) {
  for (const Part& p : parts) {
    std::string_view name = p.text, direction;
    const size_t space = is_quoted(p.text, "\"'`") ? std::string_view::npos : p.text.find_last_of(" \t");
    if (space != std::string_view::npos) {
      direction = p.text.substr(space + 1);
      name = trim(p.text.substr(0, space));
    }
    Capture::Item item;
    bool quoted;
    if (!read_field(name, &item.text, &quoted)) return false;
    const std::string lower = to_lower_ascii(direction);
    if (lower == "descending" || lower == "desc" || lower == "down")
      item.second = "desc";
    else if (!lower.empty() && lower != "ascending" && lower != "asc" && lower != "up")
      return false;
    item.offset = p.offset;
    item.length = name.size();
    out->items.push_back(std::move(item));
  }
  return true;
}

// Position of the last ` WORD ` outside quotes and brackets, or npos.
size_t last_word(std::string_view s, std::string_view word) {
  size_t found = std::string_view::npos;
  int depth = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (c == '"' || c == '`' || (c == '\'' && (i == 0 || !is_name_byte(s[i - 1])))) {
      size_t j = i + 1;
      while (j < s.size() && s[j] != c) j += (s[j] == '\\' && c != '`') ? 2 : 1;
      if (j < s.size()) i = j;
    } else if (c == '(' || c == '[') {
      ++depth;
    } else if (c == ')' || c == ']') {
      --depth;
    } else if (depth == 0 && i > 0 && s[i - 1] == ' ' && s.substr(i, word.size()) == word &&
               i + word.size() < s.size() && s[i + word.size()] == ' ') {
      found = i;
    }
  }
  return found;
}

bool read_pairs(const std::vector<Part>& parts, Capture* out) {
  for (const Part& p : parts) {
    size_t at = last_word(p.text, "to"), size = 2;
    if (at == std::string_view::npos) at = last_word(p.text, "as");
    if (at == std::string_view::npos) return false;
    Capture::Item item;
    bool quoted;
    const std::string_view from = trim(p.text.substr(0, at));
    if (!read_field(from, &item.text, &quoted)) return false;
    if (!read_field(trim(p.text.substr(at + size)), &item.second, &quoted)) return false;
    item.offset = p.offset;
    item.length = from.size();
    out->items.push_back(std::move(item));
  }
  return true;
}

bool read_terms(const std::vector<Part>& parts, Capture* out) {
  for (const Part& p : parts) {
    Capture::Item item;
    std::string_view expression = p.text;
    const size_t at = last_word(p.text, "as");
    if (at != std::string_view::npos) {
      bool quoted;
      if (read_field(trim(p.text.substr(at + 2)), &item.second, &quoted)) expression = trim(p.text.substr(0, at));
    }
    item.text = std::string(expression);
    item.offset = p.offset;
    item.length = expression.size();
    out->items.push_back(std::move(item));
  }
  return true;
}

}  // namespace

std::pair<size_t, size_t> slot_words(SlotKind kind) {
  switch (kind) {
    case SlotKind::kNoun:
      return {1, 6};
    case SlotKind::kField:
    case SlotKind::kString:
    case SlotKind::kName:
    case SlotKind::kCount:
    case SlotKind::kNumber:
      return {1, 1};
    case SlotKind::kPercent:
      return {1, 2};
    default:
      return {1, 0};
  }
}

bool slot_accepts(SlotKind kind, const SentenceText& text, size_t begin, size_t end) {
  const std::string_view first = text.words[begin].plain;
  switch (kind) {
    case SlotKind::kNoun:
      for (size_t i = begin; i < end; ++i) {
        const auto& w = text.words[i];
        const bool inner_of = w.lower == "of" && i > begin && i + 1 < end;  // "flights of the year"
        if (w.text.size() != w.plain.size() || !is_bare_name(w.plain)) return false;
        if (!inner_of && is_function_word(w.lower)) return false;
      }
      return true;
    case SlotKind::kRest: {
      const std::string_view all = slot_text(text, begin, end);
      return all.find_first_of("\"`") == std::string_view::npos;
    }
    case SlotKind::kField:
      return is_field_name(first) || is_quoted(first, "\"'`");
    case SlotKind::kName:
      return is_bare_name(first) || is_quoted(first);
    case SlotKind::kString:
      return is_quoted(first);
    case SlotKind::kCount: {
      uint64_t n;
      return read_count(first, &n);
    }
    case SlotKind::kNumber: {
      double d;
      return read_number(first, &d);
    }
    case SlotKind::kPercent:
      if (end - begin == 2) {
        double d;
        return text.words[begin + 1].plain == "%" && read_number(first, &d);
      }
      return first.size() > 1 && first.back() == '%';
    case SlotKind::kStrings:
      return is_quoted(first) || first.find(',') != std::string_view::npos;
    default:
      return true;
  }
}

double slot_misfit(SlotKind kind, const SentenceText& text, size_t word, bool first) {
  const auto& w = text.words[word];
  switch (kind) {
    case SlotKind::kExpression:
    case SlotKind::kRest:
    case SlotKind::kType:
      return first && is_function_word(w.lower) && w.lower != "not" && w.lower != "if" ? 0.4 : 0;
    case SlotKind::kFields:
    case SlotKind::kStrings:
    case SlotKind::kPairs:
    case SlotKind::kTerms:
    case SlotKind::kKeys: {
      if (first || word == 0) return is_function_word(w.lower) ? 0.9 : 0;
      const auto& before = text.words[word - 1];
      const bool goes_on = before.text.size() != before.plain.size() || before.lower == "and" || w.lower == "and" ||
                           w.lower == "descending" || w.lower == "ascending" || w.lower == "desc" || w.lower == "asc";
      return goes_on ? 0 : 0.5;
    }
    default:
      return slot_accepts(kind, text, word, word + 1) ? 0 : 0.9;
  }
}

bool read_slot(const PatternElement& slot, const SentenceText& text, size_t begin, size_t end, Capture* out) {
  std::string_view written = slot_text(text, begin, end);
  if (written.size() > 1 && written.back() == ',') written = trim(written.substr(0, written.size() - 1));
  out->slot = slot.word;
  out->kind = slot.kind;
  // Offsets count from the start of what was given to split_sentence(): bind_sentence() adds what it trimmed.
  out->offset = text.words[begin].offset;
  out->length = written.size();
  out->text = std::string(written);
  const auto parts_of = [&](bool with_and, std::vector<Part>* parts) {
    return split_list(written, out->offset, with_and, parts);
  };
  std::vector<Part> parts;
  switch (slot.kind) {
    case SlotKind::kField:
      return read_field(written, &out->text, &out->quoted);
    case SlotKind::kString:
      out->text = unquote(written);
      return true;
    case SlotKind::kName:
      out->quoted = is_quoted(written);
      if (out->quoted) out->text = unquote(written);
      return !out->text.empty();
    case SlotKind::kCount:
      return read_count(written, &out->count);
    case SlotKind::kNumber:
      return read_number(written, &out->number);
    case SlotKind::kPercent: {
      const std::string_view digits = trim(written.substr(0, written.size() - 1));
      return read_number(digits, &out->number);
    }
    case SlotKind::kFields:
      return parts_of(true, &parts) && read_fields(parts, out);
    case SlotKind::kStrings:
      return parts_of(true, &parts) && read_strings(parts, out);
    case SlotKind::kKeys:
      return parts_of(true, &parts) && read_keys(parts, out);
    case SlotKind::kPairs:
      return parts_of(true, &parts) && read_pairs(parts, out);
    case SlotKind::kTerms:
      return parts_of(true, &parts) && read_terms(parts, out);
    default:
      return true;
  }
}

}  // namespace runink::dsl
