#include "data/connectors/json_walker.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace runink::connectors {

using columnar::TypeId;
using columnar::Value;

uint32_t DriftCounter::id_of(std::string_view name) {
  const auto found = ids_.find(name);
  if (found != ids_.end()) return found->second;
  if (names_.size() >= kMaxDriftNames) {
    const auto rest = ids_.find(std::string_view("…"));
    if (rest != ids_.end()) return rest->second;
    name = "…";
  }
  constexpr size_t kNameBytesMax = 200;
  std::string kept(name.substr(0, kNameBytesMax));
  const auto id = static_cast<uint32_t>(names_.size());
  names_.push_back(kept);
  counts_.push_back(0);
  ids_.emplace(std::string(name.size() > kNameBytesMax ? std::string_view(kept) : name), id);
  return id;
}

std::vector<std::pair<std::string, uint64_t>> DriftCounter::take() {
  std::vector<std::pair<std::string, uint64_t>> out;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (counts_[i] > 0) out.emplace_back(names_[i], counts_[i]);
    counts_[i] = 0;
  }
  std::sort(out.begin(), out.end());
  return out;
}

void JsonWalker::Node::finish(uint32_t* counter) {
  index = (*counter)++;
  constexpr size_t kLinear = 16;
  for (size_t i = 0; i < children.size(); ++i) {
    if (children.size() > kLinear) by_name.emplace(children[i].name, static_cast<uint32_t>(i));
    if (children[i].column < 0) children[i].finish(counter);
  }
}

JsonWalker::JsonWalker(const std::vector<FieldCodec>& codecs, bool open, size_t open_column, RowBuilder* rows,
                       DriftCounter* drift)
    : codecs_(codecs), open_(open), open_column_(open_column), rows_(rows), drift_(drift) {
  const size_t fields = open ? open_column : codecs.size();
  for (size_t i = 0; i < fields; ++i) {
    Node* node = &root_;
    std::string_view rest = codecs[i].field.name;
    while (true) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      auto at = std::find_if(node->children.begin(), node->children.end(),
                             [&](const Node& child) { return child.name == part; });
      if (at == node->children.end()) {
        node->children.emplace_back();
        node->children.back().name = std::string(part);
        at = node->children.end() - 1;
      }
      node = &*at;
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    node->column = static_cast<int32_t>(i);
  }
  uint32_t structs = 0;
  root_.finish(&structs);
  seen_.resize(codecs.size());
  seen_struct_.resize(structs);
}

bool JsonWalker::fail(Undecodable reason, const char* at, int32_t field) {
  if (at >= end_ && reason == Undecodable::kSyntax) reason = Undecodable::kTruncated;
  failure_.reason = reason;
  failure_.at = static_cast<uint32_t>(at - begin_);
  failure_.field = field;
  failure_.struct_parts = 0;
  return false;
}

void JsonWalker::skip_space() {
  while (p_ < end_ && (*p_ == ' ' || *p_ == '\t' || *p_ == '\r' || (lines_allowed_ && *p_ == '\n'))) ++p_;
}

bool JsonWalker::expect_end() {
  skip_space();
  return p_ == end_ || fail(Undecodable::kTrailing, p_);
}

bool JsonWalker::walk(std::string_view record) {
  begin_ = p_ = record.data();
  end_ = begin_ + record.size();
  lines_allowed_ = false;
  places_.clear();
  missing_.clear();
  drift_found_.clear();
  path_.clear();
  extra_.clear();
  extra_names_.clear();
  std::fill(seen_.begin(), seen_.end(), uint8_t{0});
  std::fill(seen_struct_.begin(), seen_struct_.end(), uint8_t{0});
  next_expected_ = 0;
  in_order_ = describable_ = true;
  coerced_ = false;
  skip_space();
  if (p_ == end_) return fail(Undecodable::kTruncated, p_);
  if (*p_ != '{') {
    if (!skip_value(0) || !expect_end()) return false;
    return fail(Undecodable::kNotAnObject, begin_);
  }
  if (!object(root_, 1, &path_) || !expect_end()) return false;

  const size_t fields = open_ ? open_column_ : codecs_.size();
  for (size_t i = 0; i < fields; ++i) {
    if (seen_[i]) continue;
    missing_.push_back(static_cast<int32_t>(i));
    if (!null_field(static_cast<int32_t>(i))) return false;
  }
  if (open_) {
    if (extra_.empty()) {
      missing_.push_back(static_cast<int32_t>(open_column_));
      rows_->set_null(open_column_);
    } else {
      extra_ += '}';
      rows_->set_text(open_column_, extra_);
    }
  }
  verbatim_ = in_order_ && next_expected_ == fields && !coerced_ && places_.size() == fields;
  if (!describable_) places_.clear();
  if (findings_ != nullptr) return true;
  // A name is counted once per record, however often it stands there.
  std::sort(drift_found_.begin(), drift_found_.end());
  for (size_t i = 0; i < drift_found_.size(); ++i) {
    if (i == 0 || drift_found_[i].first != drift_found_[i - 1].first) drift_->count(drift_found_[i].first);
  }
  return true;
}

bool JsonWalker::walk_on(std::string_view record, Findings* findings) {
  findings_ = findings;
  const bool whole = walk(record);
  if (!whole) find(nullptr, -1);
  findings_ = nullptr;
  return whole;
}

// Notes the failure; the columns below the node, or the one, have no value. One failure per field is enough.
bool JsonWalker::find(const Node* node, int32_t column) {
  const auto same = [&](const Failure& f) { return f.field >= 0 && f.field == failure_.field; };
  auto& failures = findings_->failures;
  if (std::none_of(failures.begin(), failures.end(), same)) failures.push_back(failure_);
  if (node != nullptr && node->column < 0) {
    for (const Node& child : node->children) find(&child, -1);
  } else if (node != nullptr || column >= 0) {
    findings_->unread.push_back(node != nullptr ? node->column : column);
  }
  return true;
}

// Goes on behind a value that is not of its field's type; not where the text itself is broken.
bool JsonWalker::pass_over(const char* value, int32_t column, int depth) {
  switch (failure_.reason) {
    case Undecodable::kWrongType:
    case Undecodable::kOutOfRange:
    case Undecodable::kBadText:
    case Undecodable::kDuplicateKey:  // in a struct of a list
      break;
    default:
      return false;
  }
  find(nullptr, column);
  p_ = value;
  if (!skip_value(depth)) return false;
  rows_->set_null(static_cast<size_t>(column));
  return true;
}

int JsonWalker::find_child(const Node& node, std::string_view name, size_t hint) const {
  if (hint < node.children.size() && node.children[hint].name == name) return static_cast<int>(hint);
  if (!node.by_name.empty()) {
    const auto found = node.by_name.find(name);
    return found == node.by_name.end() ? -1 : static_cast<int>(found->second);
  }
  for (size_t i = 0; i < node.children.size(); ++i) {
    if (node.children[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// At '{'.
bool JsonWalker::object(Node& node, int depth, std::string* path) {
  if (depth > kMaxDepth) return fail(Undecodable::kTooDeep, p_);
  ++p_;
  skip_space();
  if (p_ < end_ && *p_ == '}') {
    ++p_;
    return true;
  }
  size_t hint = 0;
  while (true) {
    skip_space();
    if (p_ >= end_ || *p_ != '"') return fail(Undecodable::kSyntax, p_);
    const char* const key_begin = ++p_;
    TextEnd key;
    if (!scan_string(&key)) return false;
    std::string_view raw(key_begin, static_cast<size_t>(key.stop - key_begin));
    std::string_view name = raw;
    if (key.escaped) {
      key_scratch_.resize(raw.size() + 8);
      size_t size = 0;
      unescape(key_begin, key.stop, key_scratch_.data(), &size);
      key_scratch_.resize(size);
      name = key_scratch_;
    }
    p_ = key.stop + 1;
    skip_space();
    if (p_ >= end_ || *p_ != ':') return fail(Undecodable::kSyntax, p_);
    ++p_;
    skip_space();
    const int found = find_child(node, name, hint);
    if (found < 0) {
      if (!unknown(raw, name, depth, path)) return false;
    } else {
      hint = static_cast<size_t>(found) + 1;
      Node& child = node.children[static_cast<size_t>(found)];
      if (child.column >= 0) {
        if (!field(child.column, depth)) return false;
      } else {
        if (seen_struct_[child.index]) return fail(Undecodable::kDuplicateKey, key_begin);
        seen_struct_[child.index] = 1;
        if (p_ < end_ && *p_ == '{') {
          const size_t length = path->size();
          *path += child.name;
          *path += '.';
          if (!object(child, depth + 1, path)) return false;
          path->resize(length);
        } else if (static_cast<size_t>(end_ - p_) >= 4 && std::memcmp(p_, "null", 4) == 0) {
          p_ += 4;
          describable_ = in_order_ = false;
          if (!struct_null(child)) return false;
        } else {
          const Node* leaf = &child;
          while (leaf->column < 0) leaf = &leaf->children[0];
          const char* at = p_;
          if (!skip_value(depth)) return false;
          fail(Undecodable::kWrongType, at, leaf->column);
          failure_.struct_parts = static_cast<uint8_t>(depth);
          if (findings_ == nullptr) return false;
          find(&child, -1);
          if (!struct_null(child)) return false;
        }
      }
    }
    skip_space();
    if (p_ < end_ && *p_ == ',') {
      ++p_;
      continue;
    }
    if (p_ < end_ && *p_ == '}') {
      ++p_;
      return true;
    }
    return fail(Undecodable::kSyntax, p_);
  }
}

bool JsonWalker::struct_null(const Node& node) {
  for (const Node& child : node.children) {
    if (child.column < 0) {
      if (!struct_null(child)) return false;
      continue;
    }
    seen_[static_cast<size_t>(child.column)] = 1;
    if (!null_field(child.column)) return false;
  }
  return true;
}

bool JsonWalker::unknown(std::string_view raw_key, std::string_view name, int depth, std::string* path) {
  in_order_ = false;
  // "home.street" at the outermost level would come back as a part of the contract's own struct.
  const bool keep = open_ && depth == 1 && find_child(root_, name.substr(0, name.find('.')), 0) < 0;
  if (keep && !extra_names_.insert(std::string(name)).second) return fail(Undecodable::kDuplicateKey, raw_key.data());
  uint32_t id = 0;
  if (!keep) {
    const size_t length = path->size();
    path->append(name);
    id = drift_->id_of(*path);
    path->resize(length);
    drift_found_.emplace_back(id, true);
  }
  const std::string key = keep ? std::string(raw_key) : std::string();
  const char* const value = p_;
  if (!skip_value(depth)) return false;
  places_.push_back({value, p_, -1, id});
  if (keep) {
    describable_ = false;  // the extra column is filled by the walker only
    extra_ += extra_.empty() ? "{\"" : ",\"";
    extra_ += key;
    extra_ += "\":";
    extra_.append(value, static_cast<size_t>(p_ - value));
  }
  return true;
}

bool JsonWalker::null_field(int32_t column) {
  const FieldCodec& codec = codecs_[static_cast<size_t>(column)];
  if (codec.options.default_value) {
    coerced_ = true;
    rows_->set_value(static_cast<size_t>(column), *codec.options.default_value);
  } else {
    rows_->set_null(static_cast<size_t>(column));
  }
  return true;
}

bool JsonWalker::field(int32_t column, int depth) {
  const auto index = static_cast<size_t>(column);
  if (seen_[index]) {
    fail(Undecodable::kDuplicateKey, p_, column);
    return findings_ != nullptr && find(nullptr, column) && skip_value(depth);
  }
  seen_[index] = 1;
  if (index == next_expected_) {
    ++next_expected_;
  } else {
    in_order_ = false;
  }
  const char* const value = p_;
  if (p_ >= end_) return fail(Undecodable::kTruncated, p_, column);
  const FieldCodec& codec = codecs_[index];
  bool ok;
  if (*p_ == 'n') {
    if (end_ - p_ < 4 || std::memcmp(p_, "null", 4) != 0) return fail(Undecodable::kSyntax, p_, column);
    p_ += 4;
    ok = null_field(column);
  } else if (codec.id == TypeId::kJson) {
    ok = skip_value(depth);
    if (ok) rows_->set_text(index, {value, static_cast<size_t>(p_ - value)});
  } else if (codec.id == TypeId::kList || codec.id == TypeId::kStruct) {
    Value list;
    ok = list_value(codec.field.type, codec, depth, column, &list);
    if (ok) rows_->set_value(index, list);
  } else if (*p_ == '"') {
    ok = string_field(codec, index);
  } else if (*p_ == 't' || *p_ == 'f') {
    const size_t size = *p_ == 't' ? 4 : 5;
    if (static_cast<size_t>(end_ - p_) < size || std::memcmp(p_, *p_ == 't' ? "true" : "false", size) != 0) {
      return fail(Undecodable::kSyntax, p_, column);
    }
    p_ += size;
    if (codec.id == TypeId::kBool) {
      scalar_.boolean = *value == 't';
      rows_->set_scalar(index, scalar_);
      ok = true;
    } else if (codec.options.coerce && codec.id == TypeId::kString) {
      coerced_ = true;
      rows_->set_text(index, {value, size});
      ok = true;
    } else {
      ok = fail(Undecodable::kWrongType, value, column);
    }
  } else if (*p_ == '{' || *p_ == '[') {
    if (!skip_value(depth)) return false;
    ok = fail(Undecodable::kWrongType, value, column);
  } else {
    ok = number_field(codec, index);
  }
  if (!ok) {
    if (failure_.field < 0) failure_.field = column;
    return findings_ != nullptr && pass_over(value, column, depth);
  }
  places_.push_back({value, p_, column, 0});
  return true;
}

bool JsonWalker::string_field(const FieldCodec& codec, size_t column) {
  const char* const at = p_;
  const char* const begin = ++p_;
  TextEnd end;
  if (!scan_string(&end)) return false;
  p_ = end.stop + 1;
  if (codec.id == TypeId::kString) {
    const auto raw = static_cast<size_t>(end.stop - begin);
    if (!end.escaped) {
      rows_->set_text(column, {begin, raw});
    } else {
      size_t size = 0;
      unescape(begin, end.stop, rows_->text_room(column, raw + 8), &size);
      rows_->commit_text(column, size);
    }
    return true;
  }
  const bool text_form = codec.id != TypeId::kBool && !codec.field.type.is_numeric();
  if (!text_form) {
    if (!codec.options.coerce) return fail(Undecodable::kWrongType, at, static_cast<int32_t>(column));
    coerced_ = true;
  }
  return text_scalar(codec, column, string_text(end, begin), at);
}

bool JsonWalker::text_scalar(const FieldCodec& codec, size_t column, std::string_view text, const char* at) {
  bool coerced = false;
  const auto bad = scalar_from_text(codec, text, &scalar_, &coerced);
  if (bad) return fail(*bad, at, static_cast<int32_t>(column));
  if (coerced) coerced_ = true;
  rows_->set_scalar(column, scalar_);
  return true;
}

bool JsonWalker::number_field(const FieldCodec& codec, size_t column) {
  const char* const value = p_;
  bool integral = false;
  if (!scan_number(&integral)) return false;
  const std::string_view text(value, static_cast<size_t>(p_ - value));
  const auto wrong = [&] { return fail(Undecodable::kWrongType, value, static_cast<int32_t>(column)); };
  if (codec.id == TypeId::kString) {
    if (!codec.options.coerce) return wrong();
    coerced_ = true;
    rows_->set_text(column, text);
    return true;
  }
  if (codec.field.type.is_integer() && !integral && !codec.options.coerce) return wrong();
  if (!codec.field.type.is_numeric()) {
    const bool coercible = codec.options.coerce && (codec.id == TypeId::kBool || codec.id == TypeId::kTimestamp);
    if (!coercible) return wrong();
    coerced_ = true;
  }
  return text_scalar(codec, column, text, value);
}

// ---- tokens
// ----------------------------------------------------------------------------------------------------------

bool JsonWalker::scan_string(TextEnd* out) {
  const auto find = hot::loops().find_json_special;
  out->escaped = false;
  const char* p = p_;
  while (true) {
    p = find(p, end_);
    if (p >= end_) return fail(Undecodable::kTruncated, end_);
    if (*p == '"') {
      out->stop = p;
      return true;
    }
    if (*p != '\\') return fail(Undecodable::kControlCharacter, p);
    out->escaped = true;
    const auto hex = [&](const char* at, uint32_t* unit) {
      uint32_t value = 0;
      for (int i = 0; i < 4; ++i) {
        if (at + i >= end_) return fail(Undecodable::kTruncated, end_);
        const char c = at[i];
        const int digit = c >= '0' && c <= '9'                     ? c - '0'
                          : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                   : -1;
        if (digit < 0) return fail(Undecodable::kSyntax, at + i);
        value = value * 16 + static_cast<uint32_t>(digit);
      }
      *unit = value;
      return true;
    };
    if (p + 1 >= end_) return fail(Undecodable::kTruncated, end_);
    switch (p[1]) {
      case '"':
      case '\\':
      case '/':
      case 'b':
      case 'f':
      case 'n':
      case 'r':
      case 't':
        p += 2;
        break;
      case 'u': {
        uint32_t unit = 0, low = 0;
        if (!hex(p + 2, &unit)) return false;
        if (unit >= 0xDC00 && unit <= 0xDFFF) return fail(Undecodable::kLoneSurrogate, p);
        if (unit >= 0xD800 && unit <= 0xDBFF) {
          if (end_ - p < 8 || p[6] != '\\' || p[7] != 'u') return fail(Undecodable::kLoneSurrogate, p);
          if (!hex(p + 8, &low)) return false;
          if (low < 0xDC00 || low > 0xDFFF) return fail(Undecodable::kLoneSurrogate, p);
          p += 6;
        }
        p += 6;
        break;
      }
      default:
        return fail(Undecodable::kSyntax, p + 1);
    }
  }
}

bool JsonWalker::unescape(const char* p, const char* stop, char* out, size_t* size) {
  char* const begin = out;
  const auto hex = [](const char* at) {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = at[i];
      value = value * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
  };
  while (p < stop) {
    const auto* backslash = static_cast<const char*>(std::memchr(p, '\\', static_cast<size_t>(stop - p)));
    const char* const plain_end = backslash == nullptr ? stop : backslash;
    std::memcpy(out, p, static_cast<size_t>(plain_end - p));
    out += plain_end - p;
    p = plain_end;
    if (p == stop) break;
    const char kind = p[1];
    p += 2;
    switch (kind) {
      case 'b':
        *out++ = '\b';
        break;
      case 'f':
        *out++ = '\f';
        break;
      case 'n':
        *out++ = '\n';
        break;
      case 'r':
        *out++ = '\r';
        break;
      case 't':
        *out++ = '\t';
        break;
      case 'u': {
        uint32_t c = hex(p);
        p += 4;
        if (c >= 0xD800 && c <= 0xDBFF) {
          c = 0x10000 + ((c - 0xD800) << 10) + (hex(p + 2) - 0xDC00);
          p += 6;
        }
        const auto put = [&](uint32_t byte) { *out++ = static_cast<char>(byte); };
        if (c < 0x80) {
          put(c);
        } else if (c < 0x800) {
          put(0xC0 | c >> 6);
          put(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
          put(0xE0 | c >> 12);
          put(0x80 | (c >> 6 & 0x3F));
          put(0x80 | (c & 0x3F));
        } else {
          put(0xF0 | c >> 18);
          put(0x80 | (c >> 12 & 0x3F));
          put(0x80 | (c >> 6 & 0x3F));
          put(0x80 | (c & 0x3F));
        }
        break;
      }
      default:
        *out++ = kind;
    }
  }
  *size = static_cast<size_t>(out - begin);
  return true;
}

std::string_view JsonWalker::string_text(const TextEnd& end, const char* begin) {
  const auto raw = static_cast<size_t>(end.stop - begin);
  if (!end.escaped) return {begin, raw};
  scratch_.resize(raw + 8);
  size_t size = 0;
  unescape(begin, end.stop, scratch_.data(), &size);
  return std::string_view(scratch_).substr(0, size);
}

bool JsonWalker::scan_number(bool* integral) {
  const char* p = p_;
  const auto digit = [&] { return p < end_ && *p >= '0' && *p <= '9'; };
  *integral = true;
  if (p < end_ && *p == '-') ++p;
  if (!digit()) return fail(Undecodable::kSyntax, p);
  if (*p == '0') {
    ++p;
    if (digit()) return fail(Undecodable::kSyntax, p);
  } else {
    while (digit()) ++p;
  }
  if (p < end_ && *p == '.') {
    *integral = false;
    ++p;
    if (!digit()) return fail(Undecodable::kSyntax, p);
    while (digit()) ++p;
  }
  if (p < end_ && (*p == 'e' || *p == 'E')) {
    *integral = false;
    ++p;
    if (p < end_ && (*p == '+' || *p == '-')) ++p;
    if (!digit()) return fail(Undecodable::kSyntax, p);
    while (digit()) ++p;
  }
  p_ = p;
  return true;
}

bool JsonWalker::skip_value(int depth) {
  if (p_ >= end_) return fail(Undecodable::kTruncated, p_);
  switch (*p_) {
    case '"': {
      ++p_;
      TextEnd end;
      if (!scan_string(&end)) return false;
      p_ = end.stop + 1;
      return true;
    }
    case 't':
    case 'f':
    case 'n': {
      const std::string_view word = *p_ == 't' ? "true" : *p_ == 'f' ? "false" : "null";
      const auto left = std::string_view(p_, static_cast<size_t>(end_ - p_));
      if (left.substr(0, word.size()) != word) {
        return fail(word.substr(0, left.size()) == left ? Undecodable::kTruncated : Undecodable::kSyntax, p_);
      }
      p_ += word.size();
      return true;
    }
    case '{':
    case '[': {
      if (depth + 1 > kMaxDepth) return fail(Undecodable::kTooDeep, p_);
      const char close = *p_ == '{' ? '}' : ']';
      const bool keyed = *p_ == '{';
      ++p_;
      skip_space();
      if (p_ < end_ && *p_ == close) {
        ++p_;
        return true;
      }
      while (true) {
        skip_space();
        if (keyed) {
          if (p_ >= end_ || *p_ != '"') return fail(Undecodable::kSyntax, p_);
          ++p_;
          TextEnd key;
          if (!scan_string(&key)) return false;
          p_ = key.stop + 1;
          skip_space();
          if (p_ >= end_ || *p_ != ':') return fail(Undecodable::kSyntax, p_);
          ++p_;
          skip_space();
        }
        if (!skip_value(depth + 1)) return false;
        skip_space();
        if (p_ < end_ && *p_ == ',') {
          ++p_;
          continue;
        }
        if (p_ < end_ && *p_ == close) {
          ++p_;
          return true;
        }
        return fail(Undecodable::kSyntax, p_);
      }
    }
    default: {
      bool integral;
      return scan_number(&integral);
    }
  }
}

// ---- lists and structs in lists
// --------------------------------------------------------------------------------------

const FieldCodec& JsonWalker::codec_of(const columnar::DataType& type, const FieldCodec& parent) {
  const std::string key =
      type.to_string() + (parent.options.coerce ? "!" : "") + "\n" + parent.field.format + "\n" + parent.field.zone;
  const auto found = element_codecs_.find(key);
  if (found != element_codecs_.end()) return found->second;
  columnar::Field field;
  field.name = "element";
  field.type = type;
  const bool timed = type.id() == TypeId::kDate || type.id() == TypeId::kTime || type.id() == TypeId::kTimestamp;
  if (timed) {
    field.format = parent.field.format;
    field.zone = parent.field.zone;
  }
  FieldOptions options;
  options.coerce = parent.options.coerce;
  auto made = FieldCodec::make(field, options);
  if (!made.ok()) {
    field.format.clear();  // the format is another element's
    made = FieldCodec::make(field, options);
  }
  return element_codecs_.emplace(key, std::move(made).value()).first->second;
}

bool JsonWalker::list_value(const columnar::DataType& type, const FieldCodec& codec, int depth, int32_t column,
                            Value* out) {
  if (p_ >= end_) return fail(Undecodable::kTruncated, p_, column);
  const char* const value = p_;
  const auto wrong = [&] { return fail(Undecodable::kWrongType, value, column); };
  if (*p_ == 'n') {
    *out = Value();
    return skip_value(depth);
  }
  if (type.id() == TypeId::kList) {
    if (*p_ != '[') {
      if (!skip_value(depth)) return false;
      return wrong();
    }
    if (depth + 1 > kMaxDepth) return fail(Undecodable::kTooDeep, p_, column);
    std::vector<Value> elements;
    ++p_;
    skip_space();
    if (p_ < end_ && *p_ == ']') {
      ++p_;
      *out = Value(std::move(elements));
      return true;
    }
    while (true) {
      skip_space();
      elements.emplace_back();
      if (!list_value(type.element(), codec, depth + 1, column, &elements.back())) return false;
      skip_space();
      if (p_ < end_ && *p_ == ',') {
        ++p_;
        continue;
      }
      if (p_ < end_ && *p_ == ']') {
        ++p_;
        *out = Value(std::move(elements));
        return true;
      }
      return fail(Undecodable::kSyntax, p_, column);
    }
  }
  if (type.id() == TypeId::kStruct) {
    if (*p_ != '{') {
      if (!skip_value(depth)) return false;
      return wrong();
    }
    if (depth + 1 > kMaxDepth) return fail(Undecodable::kTooDeep, p_, column);
    const auto& fields = type.fields();
    std::vector<Value> members(fields.size());
    std::vector<bool> seen(fields.size());
    ++p_;
    skip_space();
    if (p_ < end_ && *p_ == '}') {
      ++p_;
      *out = Value(std::move(members));
      return true;
    }
    while (true) {
      skip_space();
      if (p_ >= end_ || *p_ != '"') return fail(Undecodable::kSyntax, p_, column);
      const char* const key_begin = ++p_;
      TextEnd key;
      if (!scan_string(&key)) return false;
      const std::string name(string_text(key, key_begin));
      p_ = key.stop + 1;
      skip_space();
      if (p_ >= end_ || *p_ != ':') return fail(Undecodable::kSyntax, p_, column);
      ++p_;
      skip_space();
      size_t index = 0;
      while (index < fields.size() && fields[index].name != name) ++index;
      if (index == fields.size()) {
        const std::string whole = codecs_[static_cast<size_t>(column)].field.name + "[]." + name;
        drift_found_.emplace_back(drift_->id_of(whole), true);
        in_order_ = describable_ = false;
        if (!skip_value(depth + 1)) return false;
      } else {
        if (seen[index]) return fail(Undecodable::kDuplicateKey, key_begin, column);
        seen[index] = true;
        if (!list_value(fields[index].type, codec, depth + 1, column, &members[index])) return false;
      }
      skip_space();
      if (p_ < end_ && *p_ == ',') {
        ++p_;
        continue;
      }
      if (p_ < end_ && *p_ == '}') {
        ++p_;
        *out = Value(std::move(members));
        return true;
      }
      return fail(Undecodable::kSyntax, p_, column);
    }
  }
  if (type.id() == TypeId::kJson) {
    if (!skip_value(depth)) return false;
    *out = Value(std::string(value, static_cast<size_t>(p_ - value)));
    return true;
  }
  // A scalar.
  std::string_view text;
  bool integral = true, quoted = false, word = false;
  if (*p_ == '"') {
    const char* const begin = ++p_;
    TextEnd end;
    if (!scan_string(&end)) return false;
    p_ = end.stop + 1;
    text = string_text(end, begin);
    quoted = true;
  } else if (*p_ == '{' || *p_ == '[') {
    if (!skip_value(depth)) return false;
    return wrong();
  } else if (*p_ == 't' || *p_ == 'f') {
    if (!skip_value(depth)) return false;
    text = {value, static_cast<size_t>(p_ - value)};
    word = true;
  } else {
    if (!scan_number(&integral)) return false;
    text = {value, static_cast<size_t>(p_ - value)};
  }
  const bool coerce = codec.options.coerce;
  if (type.id() == TypeId::kString) {
    if (!quoted) {
      if (!coerce) return wrong();
      coerced_ = true;
    }
    *out = Value(std::string(text));
    return true;
  }
  const bool number_type = type.is_numeric();
  const bool fits = word     ? type.id() == TypeId::kBool
                    : quoted ? !number_type && type.id() != TypeId::kBool
                             : number_type && (integral || !type.is_integer());
  if (!fits) {
    if (!coerce) return wrong();
    coerced_ = true;
  }
  Scalar scalar;
  bool coerced = false;
  const auto bad = scalar_from_text(codec_of(type, codec), text, &scalar, &coerced);
  if (bad) return fail(*bad, value, column);
  if (coerced) coerced_ = true;
  switch (type.id()) {
    case TypeId::kBool:
      *out = Value(scalar.boolean);
      break;
    case TypeId::kUInt64:
      *out = Value(scalar.unsigned_integer);
      break;
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32:
      *out = Value(static_cast<uint64_t>(scalar.integer));
      break;
    case TypeId::kFloat32:
      *out = Value(static_cast<double>(scalar.real32));
      break;
    case TypeId::kFloat64:
      *out = Value(scalar.real);
      break;
    case TypeId::kDecimal:
      *out = Value(scalar.decimal);
      break;
    case TypeId::kUuid:
      *out = Value(std::string(reinterpret_cast<const char*>(scalar.uuid), 16));
      break;
    case TypeId::kBytes:
      *out = Value(scalar.bytes);
      break;
    default:
      *out = Value(scalar.integer);
  }
  return true;
}

// ---- single values
// ---------------------------------------------------------------------------------------------------

const char* JsonWalker::value_at(const char* p, const char* end, int32_t column, bool* coerced) {
  begin_ = p_ = p;
  end_ = end;
  lines_allowed_ = false;
  if (column < 0) return skip_value(1) ? p_ : nullptr;
  const auto index = static_cast<size_t>(column);
  seen_[index] = 0;
  coerced_ = false;
  in_order_ = describable_ = true;
  drift_found_.clear();
  places_.clear();
  next_expected_ = index;
  if (!field(column, 1)) return nullptr;
  // Unknown members in here are counted by the walk of the whole record, which the caller falls back to.
  if (!drift_found_.empty()) return nullptr;
  if (coerced_) *coerced = true;
  return p_;
}

bool JsonWalker::cell(std::string_view json, size_t column, Failure* failure) {
  begin_ = p_ = json.data();
  end_ = begin_ + json.size();
  lines_allowed_ = true;
  coerced_ = false;
  skip_space();
  Value value;
  const bool ok = list_value(codecs_[column].field.type, codecs_[column], 0, static_cast<int32_t>(column), &value);
  if (!ok || !expect_end()) {
    *failure = failure_;
    return false;
  }
  rows_->set_value(column, value);
  return true;
}

bool JsonWalker::is_json(std::string_view json, Failure* failure) {
  begin_ = p_ = json.data();
  end_ = begin_ + json.size();
  lines_allowed_ = true;
  skip_space();
  if (skip_value(0) && expect_end()) return true;
  *failure = failure_;
  return false;
}

}  // namespace runink::connectors
