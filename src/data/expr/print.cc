// The canonical text of an expression.
#include <algorithm>

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/ast.h"
#include "data/expr/lexer.h"

namespace runink::expr {

using columnar::TypeId;

namespace {

// Binding strength, loosest first.
enum Level { kOr = 1, kAnd, kNot, kCompare, kSum, kProduct, kUnary, kPrimary };

int level_of(const Expr& e) {
  if (e.kind == Expr::Kind::kLiteral) {
    const bool negative =
        (std::holds_alternative<int64_t>(e.value.data) && std::get<int64_t>(e.value.data) < 0 &&
         (e.type.is_integer() || e.type.id() == TypeId::kDuration)) ||
        (std::holds_alternative<double>(e.value.data) && std::signbit(std::get<double>(e.value.data))) ||
        (std::holds_alternative<columnar::int128>(e.value.data) && std::get<columnar::int128>(e.value.data) < 0);
    return negative ? kUnary : kPrimary;
  }
  if (e.kind != Expr::Kind::kCall) return kPrimary;
  const std::string& n = e.name;
  if (n == "or") return kOr;
  if (n == "and") return kAnd;
  if (n == "not") return kNot;
  if (n == "==" || n == "!=" || n == "<" || n == "<=" || n == ">" || n == ">=" || n == "is null" ||
      n == "is not null" || n == "in" || n == "not in" || n == "between" || n == "not between") {
    return kCompare;
  }
  if (n == "+" || n == "-") return kSum;
  if (n == "*" || n == "/" || n == "%") return kProduct;
  if (n == "neg") return kUnary;
  return kPrimary;
}

void append_name(const std::string& name, std::string& out) {
  bool plain = !name.empty();
  size_t begin = 0;
  while (plain && begin <= name.size()) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    plain = !part.empty() && is_name_start(part[0]) && std::all_of(part.begin(), part.end(), is_name_char) &&
            !(begin == 0 && is_reserved_word(part));
    begin = end + 1;
  }
  if (plain) {
    out += name;
    return;
  }
  out.push_back('`');
  for (const char c : name) {
    if (c == '`') out.push_back('`');
    out.push_back(c);
  }
  out.push_back('`');
}

void append_quoted(const std::string& text, std::string& out) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{{{:x}}}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_duration_literal(int64_t micros, std::string& out) {
  static constexpr std::pair<uint64_t, const char*> kUnits[] = {{86400000000ULL, "d"}, {3600000000ULL, "h"},
                                                                {60000000ULL, "m"},    {1000000ULL, "s"},
                                                                {1000ULL, "ms"},       {1ULL, "us"}};
  if (micros < 0) out.push_back('-');
  uint64_t left = micros < 0 ? 0 - static_cast<uint64_t>(micros) : static_cast<uint64_t>(micros);
  if (left == 0) out += "0s";
  for (const auto& [unit, name] : kUnits) {
    if (left >= unit) out += fmt::format("{}{}", left / unit, name);
    left %= unit;
  }
}

void append_literal(const Expr& e, std::string& out) {
  const auto integer = [&] { return std::get<int64_t>(e.value.data); };
  switch (e.type.id()) {
    case TypeId::kNull:
      out += "null";
      return;
    case TypeId::kBool:
      out += std::get<bool>(e.value.data) ? "true" : "false";
      return;
    case TypeId::kInt64:
      out += std::to_string(integer());
      return;
    case TypeId::kUInt64:
      out += std::to_string(std::get<uint64_t>(e.value.data));
      return;
    case TypeId::kDecimal:
      columnar::append_decimal(out, std::get<columnar::int128>(e.value.data), e.type.scale());
      return;
    case TypeId::kFloat64: {
      std::string text;
      columnar::append_double(text, std::get<double>(e.value.data));
      if (text.find('e') == std::string::npos) text += "e0";
      out += text;
      return;
    }
    case TypeId::kString:
      append_quoted(std::get<std::string>(e.value.data), out);
      return;
    case TypeId::kDuration:
      append_duration_literal(integer(), out);
      return;
    case TypeId::kDate:
      out += "date \"";
      columnar::append_date(out, static_cast<int32_t>(integer()));
      break;
    case TypeId::kTime:
      out += "time \"";
      columnar::append_time(out, integer());
      break;
    case TypeId::kTimestamp:
      out += "timestamp \"";
      columnar::append_timestamp(out, integer());
      break;
    case TypeId::kUuid:
      out += "uuid \"";
      columnar::append_uuid(out, reinterpret_cast<const uint8_t*>(std::get<std::string>(e.value.data).data()));
      break;
    default:
      return;
  }
  out.push_back('"');
}

void print(const Expr& e, std::string& out);

void print_at(const Expr& e, int least, std::string& out) {
  const bool wrap = level_of(e) < least;
  if (wrap) out.push_back('(');
  print(e, out);
  if (wrap) out.push_back(')');
}

void print_list(const Expr& e, size_t first, std::string& out) {
  out.push_back('(');
  for (size_t i = first; i < e.args.size(); ++i) {
    if (i > first) out += ", ";
    print(*e.args[i], out);
  }
  out.push_back(')');
}

void print_case(const Expr& e, std::string& out) {
  out += "case";
  for (size_t i = 0; i + 1 < e.args.size(); i += 2) {
    out += " when ";
    print(*e.args[i], out);
    out += " then ";
    print(*e.args[i + 1], out);
  }
  const Expr& otherwise = *e.args.back();
  if (otherwise.kind != Expr::Kind::kLiteral || otherwise.type.id() != TypeId::kNull) {
    out += " else ";
    print(otherwise, out);
  }
  out += " end";
}

void print_call(const Expr& e, std::string& out) {
  const int level = level_of(e);
  const std::string& n = e.name;
  if (n == "case") return print_case(e, out);
  if (level == kPrimary) {
    out += n;
    return print_list(e, 0, out);
  }
  if (n == "not") {
    out += "not ";
    return print_at(*e.args[0], kNot, out);
  }
  if (n == "neg") {
    out.push_back('-');
    // A literal after the sign would be read as a negative number, `-x` of a sum needs parentheses anyway.
    return print_at(*e.args[0], e.args[0]->kind == Expr::Kind::kLiteral ? kPrimary + 1 : kPrimary, out);
  }
  if (n == "is null" || n == "is not null") {
    print_at(*e.args[0], kSum, out);
    out += " " + n;
    return;
  }
  if (n == "in" || n == "not in") {
    print_at(*e.args[0], kSum, out);
    out += " " + n + " ";
    return print_list(e, 1, out);
  }
  if (n == "between" || n == "not between") {
    print_at(*e.args[0], kSum, out);
    out += " " + n + " ";
    print_at(*e.args[1], kSum, out);
    out += " and ";
    return print_at(*e.args[2], kSum, out);
  }
  if (n == "and" || n == "or" || level == kCompare) {
    for (size_t i = 0; i < e.args.size(); ++i) {
      if (i > 0) out += " " + n + " ";
      print_at(*e.args[i], level + 1, out);
    }
    return;
  }
  print_at(*e.args[0], level, out);
  out += " " + n + " ";
  print_at(*e.args[1], level + 1, out);
}

void print(const Expr& e, std::string& out) {
  switch (e.kind) {
    case Expr::Kind::kLiteral:
      return append_literal(e, out);
    case Expr::Kind::kField:
      return append_name(e.name, out);
    case Expr::Kind::kCall:
      return print_call(e, out);
    case Expr::Kind::kCast:
      out += e.lenient ? "try_cast(" : "cast(";
      print(*e.args[0], out);
      out += " as " + e.type.to_string() + ")";
      return;
  }
}

void gather_names(const Expr& e, std::vector<std::string>& out) {
  if (e.kind == Expr::Kind::kField && std::find(out.begin(), out.end(), e.name) == out.end()) out.push_back(e.name);
  for (const auto& arg : e.args) gather_names(*arg, out);
}

}  // namespace

std::string to_text(const Expr& expr) {
  std::string out;
  print(expr, out);
  return out;
}

std::vector<std::string> field_names(const Expr& expr) {
  std::vector<std::string> out;
  gather_names(expr, out);
  return out;
}

}  // namespace runink::expr
