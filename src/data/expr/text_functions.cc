// Functions of texts. Positions count from 1, lengths count code points.
#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"

namespace runink::expr {

namespace {

bool is_ascii(std::string_view text) {
  uint64_t any = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    any |= word;
  }
  for (; i < text.size(); ++i) any |= static_cast<uint64_t>(static_cast<unsigned char>(text[i]));
  return (any & 0x8080808080808080ULL) == 0;
}

size_t column_text_bytes(const Column& column) {
  return column.length == 0 ? 0 : static_cast<size_t>(column.offset_data()[column.length]);
}
bool column_is_ascii(const Column& column) {
  if (column.length == 0) return true;
  return is_ascii({reinterpret_cast<const char*>(column.values->data()), column_text_bytes(column)});
}

// --- joining

struct Part {
  const char* bytes;
  const int32_t* offsets;  // null: a constant of `length` bytes
  int32_t length;
};

// Short pieces are copied as 16 bytes whatever their length: what is too much is overwritten by the next piece. Buffers
// have 64 spare bytes after their end, readable in the source and writable in the target.
inline char* copy_piece(char* to, const char* from, int32_t length) {
  std::memcpy(to, from, 16);
  if (__builtin_expect(length > 16, 0)) std::memcpy(to + 16, from + 16, static_cast<size_t>(length - 16));
  return to + length;
}

template <size_t kCount>
void copy_parts(const Part* parts, size_t count, int64_t rows, char* to) {
  const size_t n = kCount == 0 ? count : kCount;
  for (int64_t i = 0; i < rows; ++i) {
    for (size_t p = 0; p < n; ++p) {
      const Part& part = parts[p];
      if (part.offsets == nullptr) {
        to = copy_piece(to, part.bytes, part.length);
      } else {
        const int32_t begin = part.offsets[i];
        to = copy_piece(to, part.bytes + begin, part.offsets[i + 1] - begin);
      }
    }
  }
}

void concat_slowly(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const size_t count = node.args.size();
  map_text(node, args, count, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    for (size_t a = 0; a < count; ++a) {
      const std::string_view piece = args[a].column->text(args[a].constant ? 0 : i);
      if (scratch.size() + piece.size() > kMaxTextBytes) return kTooLong;
      scratch += piece;
    }
    *view = scratch;
    return nullptr;
  });
}

void concat(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const size_t count = node.args.size();
  const int64_t rows = frame.rows;
  std::vector<Part> parts(count);
  size_t constant_bytes = 0, bytes = 0;
  for (size_t a = 0; a < count; ++a) {
    const Column& column = *args[a].column;
    const bool constant = args[a].constant;
    parts[a] = {reinterpret_cast<const char*>(column.values->data()), constant ? nullptr : column.offset_data(), 0};
    if (constant) {
      parts[a].length = static_cast<int32_t>(column.text(0).size());
      constant_bytes += column.text(0).size();
    } else {
      bytes += column_text_bytes(column);
    }
  }
  bytes += constant_bytes * static_cast<size_t>(rows);
  if (bytes > kMaxTextBytes) return concat_slowly(node, args, frame, out);
  out->type = node.type;
  out->length = rows;
  out->validity = combined_validity(args, count, rows);
  out->offsets = columnar::make_buffer(static_cast<size_t>(rows + 1) * sizeof(int32_t));
  out->values = columnar::make_buffer(bytes);
  // The end of row i is the sum of the parts' ends: offsets of every part begin at 0.
  int32_t* __restrict offsets = out->offsets->as<int32_t>();
  for (int64_t i = 0; i <= rows; ++i) offsets[i] = static_cast<int32_t>(i * static_cast<int64_t>(constant_bytes));
  for (const Part& part : parts) {
    if (part.offsets == nullptr) continue;
    const int32_t* __restrict from = part.offsets;
    for (int64_t i = 0; i <= rows; ++i) offsets[i] += from[i];
  }
  char* to = reinterpret_cast<char*>(out->values->data());
  switch (count) {
    case 2:
      return copy_parts<2>(parts.data(), count, rows, to);
    case 3:
      return copy_parts<3>(parts.data(), count, rows, to);
    case 4:
      return copy_parts<4>(parts.data(), count, rows, to);
    default:
      return copy_parts<0>(parts.data(), count, rows, to);
  }
}

// --- case

void append_case(std::string_view text, bool up, std::string& out) {
  size_t i = 0;
  while (i < text.size()) {
    utf8proc_int32_t code = 0;
    const auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i,
                                       static_cast<utf8proc_ssize_t>(text.size() - i), &code);
    if (used <= 0) {
      out.push_back(text[i++]);
      continue;
    }
    append_utf8(out, static_cast<uint32_t>(up ? utf8proc_toupper(code) : utf8proc_tolower(code)));
    i += static_cast<size_t>(used);
  }
}

template <bool up>
void change_case(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Column& column = *args[0].column;
  if (!args[0].constant && column_is_ascii(column)) {
    // Bytes change in place, one for one.
    const size_t bytes = column_text_bytes(column);
    *out = column;
    out->values = columnar::make_buffer(bytes);
    const uint8_t* __restrict from = column.values->data();
    uint8_t* __restrict to = out->values->data();
    constexpr uint8_t kFirst = up ? 'a' : 'A';
    for (size_t i = 0; i < bytes; ++i) to[i] = from[i] ^ (static_cast<uint8_t>(from[i] - kFirst) < 26 ? 0x20 : 0);
    return;
  }
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    append_case(v[i], up, scratch);
    *view = scratch;
    return nullptr;
  });
}

// --- lengths and pieces

void length_of_text(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Column& column = *args[0].column;
  if (!args[0].constant && column_is_ascii(column)) {
    const int32_t* o = column.offset_data();
    return map_all<int64_t>(node, args, 1, frame, out,
                            [&](int64_t i) { return static_cast<int64_t>(o[i + 1] - o[i]); });
  }
  const Texts v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return static_cast<int64_t>(count_code_points(v[i])); });
}
void length_in_bytes(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return static_cast<int64_t>(v[i].size()); });
}

std::string_view slice_of(std::string_view text, int64_t first, int64_t count) {
  if (count <= 0) return {};
  if (is_ascii(text)) {
    if (first >= static_cast<int64_t>(text.size())) return {};
    return text.substr(static_cast<size_t>(first), static_cast<size_t>(count));
  }
  return code_point_slice(text, static_cast<size_t>(first), static_cast<size_t>(count));
}

constexpr const char* kFromOne = "positions count from 1";
constexpr const char* kNegativeCount = "the count is negative";

// A view of the first argument per row.
template <typename F>
void views(const Node& node, const Arg* args, Frame& frame, Column* out, F f) {
  const Texts v(args[0]);
  map_text(node, args, node.args.size(), frame, out,
           [&](int64_t i, std::string&, std::string_view* view) { return f(i, v[i], view); });
}

void substring(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> start(args[1]);
  const bool counted = node.args.size() == 3;
  const Values<int64_t> count(args[counted ? 2 : 1]);
  views(node, args, frame, out, [&](int64_t i, std::string_view text, std::string_view* view) -> const char* {
    if (start[i] == 0) return kFromOne;
    int64_t first = start[i] - 1;
    if (start[i] < 0) {
      const auto length = static_cast<int64_t>(count_code_points(text));
      first = start[i] < -length ? 0 : length + start[i];
    }
    if (counted && count[i] < 0) return kNegativeCount;
    *view = slice_of(text, first, counted ? count[i] : INT64_MAX);
    return nullptr;
  });
}

void left_part(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> count(args[1]);
  views(node, args, frame, out, [&](int64_t i, std::string_view text, std::string_view* view) -> const char* {
    if (count[i] < 0) return kNegativeCount;
    *view = slice_of(text, 0, count[i]);
    return nullptr;
  });
}
void right_part(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> count(args[1]);
  views(node, args, frame, out, [&](int64_t i, std::string_view text, std::string_view* view) -> const char* {
    if (count[i] < 0) return kNegativeCount;
    const auto length = static_cast<int64_t>(count_code_points(text));
    *view = count[i] >= length ? text : slice_of(text, length - count[i], count[i]);
    return nullptr;
  });
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

template <bool at_start, bool at_end>
void trimmed(const Node& node, const Arg* args, Frame& frame, Column* out) {
  views(node, args, frame, out, [](int64_t, std::string_view text, std::string_view* view) -> const char* {
    while (at_start && !text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (at_end && !text.empty() && is_space(text.back())) text.remove_suffix(1);
    *view = text;
    return nullptr;
  });
}

void split_part(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts separator(args[1]);
  const Values<int64_t> wanted(args[2]);
  views(node, args, frame, out, [&](int64_t i, std::string_view text, std::string_view* view) -> const char* {
    const std::string_view between = separator[i];
    if (between.empty()) return "the separator is empty";
    if (wanted[i] < 1) return kFromOne;
    int64_t n = 1;
    size_t begin = 0;
    while (true) {
      const size_t end = text.find(between, begin);
      if (n == wanted[i]) {
        *view = text.substr(begin, end == std::string_view::npos ? std::string_view::npos : end - begin);
        return nullptr;
      }
      if (end == std::string_view::npos) return kNullRow;
      begin = end + between.size();
      ++n;
    }
  });
}

// --- building

void replace_all(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), find(args[1]), with(args[2]);
  map_text(node, args, 3, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    const std::string_view text = v[i], part = find[i], instead = with[i];
    *view = text;
    if (part.empty()) return nullptr;
    size_t begin = 0;
    while (true) {
      const size_t at = text.find(part, begin);
      if (at == std::string_view::npos) break;
      scratch += text.substr(begin, at - begin);
      scratch += instead;
      begin = at + part.size();
      if (scratch.size() > kMaxTextBytes) return kTooLong;
    }
    if (begin == 0) return nullptr;
    scratch += text.substr(begin);
    *view = scratch;
    return nullptr;
  });
}

template <bool at_left>
void pad(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), fill(args[2]);
  const Values<int64_t> wanted(args[1]);
  map_text(node, args, 3, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    const std::string_view text = v[i];
    if (wanted[i] < 0) return "the length is negative";
    const auto have = static_cast<int64_t>(count_code_points(text));
    *view = text;
    if (have >= wanted[i]) return nullptr;
    const auto unit = static_cast<int64_t>(count_code_points(fill[i]));
    if (unit == 0) return "the text to pad with is empty";
    int64_t missing = wanted[i] - have;
    if (missing > static_cast<int64_t>(kMaxTextBytes)) return kTooLong;
    if (!at_left) scratch += text;
    while (missing > 0) {
      const int64_t now = std::min(missing, unit);
      scratch += now == unit ? fill[i] : code_point_slice(fill[i], 0, static_cast<size_t>(now));
      if (scratch.size() > kMaxTextBytes) return kTooLong;
      missing -= now;
    }
    if (at_left) scratch += text;
    *view = scratch;
    return nullptr;
  });
}

void repeat(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  const Values<int64_t> times(args[1]);
  map_text(node, args, 2, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    if (times[i] < 0) return kNegativeCount;
    if (v[i].empty()) return nullptr;
    if (times[i] > static_cast<int64_t>(kMaxTextBytes / v[i].size())) return kTooLong;
    for (int64_t n = 0; n < times[i]; ++n) scratch += v[i];
    *view = scratch;
    return nullptr;
  });
}

void reverse(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    const std::string_view text = v[i];
    size_t end = text.size();
    for (size_t at = text.size(); at > 0;) {
      --at;
      if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
      scratch += text.substr(at, end - at);
      end = at;
    }
    scratch += text.substr(0, end);
    *view = scratch;
    return nullptr;
  });
}

// --- questions

void starts(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), part(args[1]);
  map_all<uint8_t>(node, args, 2, frame, out,
                   [&](int64_t i) { return static_cast<uint8_t>(v[i].starts_with(part[i])); });
}
void ends(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), part(args[1]);
  map_all<uint8_t>(node, args, 2, frame, out, [&](int64_t i) { return static_cast<uint8_t>(v[i].ends_with(part[i])); });
}
void position(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), part(args[1]);
  map_all<int64_t>(node, args, 2, frame, out, [&](int64_t i) -> int64_t {
    const size_t at = v[i].find(part[i]);
    return at == std::string_view::npos ? 0 : static_cast<int64_t>(count_code_points(v[i].substr(0, at))) + 1;
  });
}

// --- base64

void to_base64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    columnar::append_base64(scratch, v[i]);
    *view = scratch;
    return nullptr;
  });
}
void from_base64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]);
  map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    if (columnar::parse_base64(v[i], &scratch) != columnar::TextError::kOk) return "not base64";
    *view = scratch;
    return nullptr;
  });
}

bool bind_concat_call(Binding& binding) {
  if (binding.args.empty()) return binding.fail("concat needs at least one text");
  return bind_concat(binding);
}

}  // namespace

bool bind_concat(Binding& binding) {
  std::vector<NodePtr> flat;
  std::string error, help;
  for (size_t i = 0; i < binding.args.size(); ++i) {
    NodePtr arg = binding.args[i];
    if (arg->type.id() == TypeId::kNull || arg->type.id() == TypeId::kEnum)
      arg = make_cast(arg, TypeId::kString, false, &error, &help);
    if (!arg) return binding.fail(error, help, static_cast<int>(i));
    if (arg->type.id() != TypeId::kString) {
      return binding.fail(fmt::format("a text was expected, not {}", a_type(arg->type)),
                          "write string(x) to make a text of it", static_cast<int>(i));
    }
    // a + b + c is one node that copies each text once.
    if (arg->kind == Node::Kind::kCall && arg->kernel == concat) {
      flat.insert(flat.end(), arg->args.begin(), arg->args.end());
    } else {
      flat.push_back(std::move(arg));
    }
  }
  binding.args = std::move(flat);
  binding.type = TypeId::kString;
  binding.kernel = concat;
  binding.can_fail = true;
  return true;
}

void define_text_functions(std::vector<Definition>& out) {
  const char* kGroup = "text";
  out.push_back({"concat",
                 kGroup,
                 "The texts one after the other; null if one of them is null. The same as +.",
                 "concat(origin, \"-\", destination)",
                 {{"concat(text: string, …) -> string"}},
                 bind_concat_call});
  out.push_back({"lower",
                 kGroup,
                 "In lower-case letters (Unicode, one code point for one).",
                 "lower(email)",
                 {{"lower(text: string) -> string", change_case<false>, kCanFail}}});
  out.push_back({"upper",
                 kGroup,
                 "In upper-case letters (Unicode, one code point for one).",
                 "upper(origin)",
                 {{"upper(text: string) -> string", change_case<true>, kCanFail}}});
  out.push_back({"length",
                 kGroup,
                 "How many code points a text has, or how many bytes.",
                 "length(name) <= 40",
                 {{"length(text: string) -> int64", length_of_text},
                  {"length(data: bytes) -> int64", length_in_bytes},
                  {"length(json: json) -> int64", length_of_text}}});
  out.push_back({"trim",
                 kGroup,
                 "Without white space (space, tab, line breaks) at both ends.",
                 "trim(name)",
                 {{"trim(text: string) -> string", trimmed<true, true>}}});
  out.push_back({"trim_start",
                 kGroup,
                 "Without white space at the start.",
                 "trim_start(name)",
                 {{"trim_start(text: string) -> string", trimmed<true, false>}}});
  out.push_back({"trim_end",
                 kGroup,
                 "Without white space at the end.",
                 "trim_end(name)",
                 {{"trim_end(text: string) -> string", trimmed<false, true>}}});
  out.push_back(
      {"substring",
       kGroup,
       "The part from a position on (counted from 1, or from the end when negative), of at most `count` code points.",
       "substring(code, 2, 3)",
       {{"substring(text: string, start: int64) -> string", substring, kCanFail},
        {"substring(text: string, start: int64, count: int64) -> string", substring, kCanFail}}});
  out.push_back({"left",
                 kGroup,
                 "The first code points.",
                 "left(origin, 2)",
                 {{"left(text: string, count: int64) -> string", left_part, kCanFail}}});
  out.push_back({"right",
                 kGroup,
                 "The last code points.",
                 "right(code, 4)",
                 {{"right(text: string, count: int64) -> string", right_part, kCanFail}}});
  out.push_back(
      {"split_part",
       kGroup,
       "The n-th part (counted from 1) between separators; null when there are fewer.",
       "split_part(email, \"@\", 2)",
       {{"split_part(text: string, separator: string, n: int64) -> string", split_part, kCanFail | kMakesNull}}});
  out.push_back({"replace",
                 kGroup,
                 "With every occurrence of a part replaced.",
                 "replace(phone, \" \", \"\")",
                 {{"replace(text: string, part: string, instead: string) -> string", replace_all, kCanFail}}});
  out.push_back({"lpad",
                 kGroup,
                 "Filled up at the left to a length; longer texts stay as they are.",
                 "lpad(number, 6, \"0\")",
                 {{"lpad(text: string, length: int64, fill: string) -> string", pad<true>, kCanFail}}});
  out.push_back({"rpad",
                 kGroup,
                 "Filled up at the right to a length; longer texts stay as they are.",
                 "rpad(name, 20, \".\")",
                 {{"rpad(text: string, length: int64, fill: string) -> string", pad<false>, kCanFail}}});
  out.push_back({"repeat",
                 kGroup,
                 "The text several times.",
                 "repeat(\"ab\", 3)",
                 {{"repeat(text: string, times: int64) -> string", repeat, kCanFail}}});
  out.push_back({"reverse",
                 kGroup,
                 "The code points in reverse order.",
                 "reverse(code)",
                 {{"reverse(text: string) -> string", reverse}}});
  out.push_back({"starts_with",
                 kGroup,
                 "Whether the text starts so.",
                 "starts_with(code, \"US\")",
                 {{"starts_with(text: string, start: string) -> bool", starts}}});
  out.push_back({"ends_with",
                 kGroup,
                 "Whether the text ends so.",
                 "ends_with(file, \".csv\")",
                 {{"ends_with(text: string, end: string) -> bool", ends}}});
  out.push_back({"position",
                 kGroup,
                 "Where a part first occurs, counted from 1; 0 when it does not.",
                 "position(email, \"@\")",
                 {{"position(text: string, part: string) -> int64", position}}});
  out.push_back({"to_base64",
                 kGroup,
                 "Bytes as base64 text.",
                 "to_base64(payload)",
                 {{"to_base64(data: bytes) -> string", to_base64, kCanFail}}});
  out.push_back({"from_base64",
                 kGroup,
                 "The bytes of a base64 text.",
                 "from_base64(text)",
                 {{"from_base64(text: string) -> bytes", from_base64, kCanFail}}});
}

}  // namespace runink::expr
