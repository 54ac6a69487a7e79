#include "data/expr/row_interpreter.h"

#include <cmath>
#include <cstdio>
#include <ctime>

#include "base/text.h"

namespace runink::expr {

using columnar::int128;
using columnar::TypeId;

namespace {

struct Fail {
  std::string what;
};
struct Unknown {};

int128 ten_to(int n) {
  int128 p = 1;
  for (int i = 0; i < n; ++i) {
    if (__builtin_mul_overflow(p, int128{10}, &p)) throw Unknown();
  }
  return p;
}
int128 times(int128 a, int128 b) {
  int128 r = 0;
  if (__builtin_mul_overflow(a, b, &r)) throw Unknown();
  return r;
}
std::string digits(int128 v) {
  if (v == 0) return "0";
  const bool negative = v < 0;
  std::string out;
  while (v != 0) {
    const int d = static_cast<int>(v % 10);
    out.insert(out.begin(), static_cast<char>('0' + (d < 0 ? -d : d)));
    v /= 10;
  }
  return negative ? "-" + out : out;
}
std::string decimal_text(int128 v, int scale) {
  std::string d = digits(v < 0 ? -v : v);
  while (static_cast<int>(d.size()) <= scale) d.insert(d.begin(), '0');
  if (scale > 0) d.insert(d.size() - static_cast<size_t>(scale), ".");
  return v < 0 ? "-" + d : d;
}
double decimal_as_double(int128 v, int scale) { return std::strtod(decimal_text(v, scale).c_str(), nullptr); }

// Exact: printf gives all digits of a double.
int compare_with_double(int128 v, int scale, double d) {
  if (std::isnan(d)) return -1;
  if (std::isinf(d)) return d > 0 ? -1 : 1;
  char buffer[1600];
  std::snprintf(buffer, sizeof(buffer), "%.1100f", d);
  std::string a = decimal_text(v, scale), b = buffer;
  const bool a_negative = v < 0, b_negative = d < 0;
  if (a_negative != b_negative) {
    if (v == 0 && d == 0) return 0;
    return a_negative ? -1 : 1;
  }
  if (a_negative) a.erase(0, 1);
  if (b[0] == '-') b.erase(0, 1);
  const auto whole = [](const std::string& s) { return s.substr(0, s.find('.')); };
  const auto rest = [](const std::string& s) {
    std::string r = s.find('.') == std::string::npos ? "" : s.substr(s.find('.') + 1);
    while (!r.empty() && r.back() == '0') r.pop_back();
    return r;
  };
  int order = 0;
  if (whole(a).size() != whole(b).size()) {
    order = whole(a).size() < whole(b).size() ? -1 : 1;
  } else {
    order = whole(a).compare(whole(b));
    if (order == 0) order = rest(a).compare(rest(b));
  }
  order = order < 0 ? -1 : order > 0 ? 1 : 0;
  return a_negative ? -order : order;
}

// Code points as separate strings.
std::vector<std::string> letters(const std::string& text) {
  std::vector<std::string> out;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80 && !out.empty()) {
      out.back() += c;
    } else {
      out.emplace_back(1, c);
    }
  }
  return out;
}
std::string joined(const std::vector<std::string>& list, int64_t from, int64_t to) {
  std::string out;
  for (int64_t i = std::max<int64_t>(from, 0); i < to && i < static_cast<int64_t>(list.size()); ++i)
    out += list[static_cast<size_t>(i)];
  return out;
}

const std::string& text_of(const columnar::Value& v) { return std::get<std::string>(v.data); }
int64_t int_of(const columnar::Value& v) { return std::get<int64_t>(v.data); }

bool is_word(const std::string& name, std::initializer_list<const char*> list) {
  for (const char* one : list) {
    if (name == one) return true;
  }
  return false;
}

constexpr int64_t kDay = 86400000000;
constexpr int64_t kFirst = -62135596800000000, kLast = 253402300799999999;

}  // namespace

struct RowInterpreter::Number {
  bool real = false;
  double d = 0;
  int128 v = 0;
  int scale = 0;
  double as_double() const { return real ? d : decimal_as_double(v, scale); }
};

RowInterpreter::RowInterpreter(ExprPtr expr, SourceTextPtr text, const columnar::Batch& batch)
    : root_(std::move(expr)), text_(std::move(text)), batch_(batch), scope_(batch.schema) {}

RowResult RowInterpreter::run(int64_t row) {
  row_ = row;
  RowResult out;
  try {
    out.value = eval(root_);
    out.kind = RowResult::Kind::kValue;
  } catch (const Fail& fail) {
    out.kind = RowResult::Kind::kError;
    out.what = fail.what;
  } catch (const Unknown&) {
    out.kind = RowResult::Kind::kUnknown;
  }
  return out;
}

const columnar::DataType& RowInterpreter::type_of(const ExprPtr& e) {
  const auto found = types_.find(e.get());
  if (found != types_.end()) return found->second;
  Diagnostics diagnostics;
  const TypedExpr typed = check(e, text_, scope_, diagnostics);
  if (!typed.valid()) throw Unknown();  // a constant that always fails, inside a branch
  return types_[e.get()] = typed.type();
}

RowInterpreter::Number RowInterpreter::number(const ExprPtr& e, const Value& v) {
  const DataType& type = type_of(e);
  Number n;
  if (type.is_float()) {
    n.real = true;
    n.d = std::get<double>(v.data);
  } else if (type.id() == TypeId::kDecimal) {
    n.v = std::get<int128>(v.data);
    n.scale = type.scale();
  } else if (const auto* u = std::get_if<uint64_t>(&v.data)) {
    n.v = static_cast<int128>(*u);
  } else {
    n.v = int_of(v);
  }
  return n;
}

std::optional<int> RowInterpreter::compare(const ExprPtr& a, const Value& x, const ExprPtr& b, const Value& y) {
  if (x.is_null() || y.is_null()) return std::nullopt;
  const DataType ta = type_of(a), tb = type_of(b);
  const auto sign = [](auto p, auto q) { return p < q ? -1 : p > q ? 1 : 0; };
  if (ta.is_numeric() && tb.is_numeric()) {
    Number p = number(a, x), q = number(b, y);
    // A number written with a point is a float beside a float; whole numbers compare exactly.
    const auto adapt = [](const ExprPtr& e, Number& n, const DataType& other) {
      if (e->kind != Expr::Kind::kLiteral || n.real || n.scale == 0 || !other.is_float()) return;
      n.d = n.as_double();
      if (other.id() == TypeId::kFloat32) n.d = static_cast<double>(static_cast<float>(n.d));
      n.real = true;
    };
    adapt(a, p, tb);
    adapt(b, q, ta);
    if (p.real && q.real) return sign(p.d, q.d);
    if (p.real) return -compare_with_double(q.v, q.scale, p.d);
    if (q.real) return compare_with_double(p.v, p.scale, q.d);
    const int scale = std::max(p.scale, q.scale);
    return sign(times(p.v, ten_to(scale - p.scale)), times(q.v, ten_to(scale - q.scale)));
  }
  if (ta.id() == TypeId::kBool) return sign(std::get<bool>(x.data), std::get<bool>(y.data));
  if (std::holds_alternative<std::string>(x.data) && std::holds_alternative<std::string>(y.data)) {
    const int order = text_of(x).compare(text_of(y));
    return sign(order, 0);
  }
  if (ta.id() == TypeId::kEnum || tb.id() == TypeId::kEnum) {
    const auto label = [](const DataType& t, const Value& v) {
      return t.id() == TypeId::kEnum ? t.labels()[static_cast<size_t>(int_of(v))] : text_of(v);
    };
    const int order = label(ta, x).compare(label(tb, y));
    return sign(order, 0);
  }
  const auto instant = [](const DataType& t, const Value& v) {
    return t.id() == TypeId::kDate ? int_of(v) * kDay : int_of(v);
  };
  return sign(instant(ta, x), instant(tb, y));
}

columnar::Value RowInterpreter::arithmetic(const ExprPtr& e) {
  const ExprPtr &a = e->args[0], &b = e->args[1];
  const Value x = eval(a), y = eval(b);
  const DataType type = type_of(e);
  const char sign = e->name[0];
  if (x.is_null() || y.is_null()) return Value();
  if (type.id() == TypeId::kString) {
    const auto text = [&](const ExprPtr& side, const Value& v) {
      const DataType& t = type_of(side);
      return t.id() == TypeId::kEnum ? t.labels()[static_cast<size_t>(int_of(v))] : text_of(v);
    };
    return Value(text(a, x) + text(b, y));
  }
  const auto in_range = [&](int128 r) -> Value {
    if (type.id() == TypeId::kUInt64) {
      if (r < 0 || r > static_cast<int128>(UINT64_MAX)) throw Fail{"overflow"};
      return Value(static_cast<uint64_t>(r));
    }
    if (r < INT64_MIN || r > INT64_MAX) throw Fail{"overflow"};
    return Value(static_cast<int64_t>(r));
  };
  const auto timely = [](const DataType& t) {
    return t.id() == TypeId::kDate || t.id() == TypeId::kTimestamp || t.id() == TypeId::kDuration ||
           t.id() == TypeId::kTime;
  };
  if (timely(type_of(a)) || timely(type_of(b))) {
    const auto micros = [&](const ExprPtr& side, const Value& v) -> int128 {
      return type_of(side).id() == TypeId::kDate ? static_cast<int128>(int_of(v)) * kDay : number(side, v).v;
    };
    const int128 p = micros(a, x), q = micros(b, y);
    if (type.id() == TypeId::kFloat64) {
      if (q == 0) throw Fail{"zero"};
      return Value(static_cast<double>(p) / static_cast<double>(q));
    }
    if ((sign == '/' || sign == '%') && q == 0) throw Fail{"zero"};
    const int128 r = sign == '+'   ? p + q
                     : sign == '-' ? p - q
                     : sign == '*' ? times(p, q)
                     : sign == '/' ? p / q
                                   : p % q;
    if (type.id() == TypeId::kTimestamp && (r < kFirst || r > kLast)) throw Fail{"calendar"};
    return in_range(r);
  }
  const Number p = number(a, x), q = number(b, y);
  if (type.is_float()) {
    const double u = p.as_double(), v = q.as_double();
    if ((sign == '/' || sign == '%') && v == 0) throw Fail{"zero"};
    const double r = sign == '+'   ? u + v
                     : sign == '-' ? u - v
                     : sign == '*' ? u * v
                     : sign == '/' ? u / v
                                   : std::fmod(u, v);
    if (!std::isfinite(r)) throw Fail{"overflow"};
    return Value(r);
  }
  if (type.id() == TypeId::kDecimal) {
    const auto fits = [](int128 r) -> Value {
      if (r >= ten_to(38) || r <= -ten_to(38)) throw Fail{"overflow"};
      return Value(r);
    };
    if (sign == '*') return fits(times(p.v, q.v));
    if (sign == '/') {
      if (q.v == 0) throw Fail{"zero"};
      const int128 top = times(p.v, ten_to(type.scale() - p.scale + q.scale));
      int128 r = top / q.v;
      const int128 rest = top % q.v;
      const auto size = [](int128 n) { return n < 0 ? -n : n; };
      if (size(rest) >= size(q.v) - size(rest)) r += (top < 0) != (q.v < 0) ? -1 : 1;
      return fits(r);
    }
    const int128 u = times(p.v, ten_to(type.scale() - p.scale)), v = times(q.v, ten_to(type.scale() - q.scale));
    if (u >= ten_to(38) || u <= -ten_to(38) || v >= ten_to(38) || v <= -ten_to(38)) throw Fail{"overflow"};
    if (sign == '%') {
      if (v == 0) throw Fail{"zero"};
      return Value(u % v);
    }
    return fits(sign == '+' ? u + v : u - v);
  }
  if (sign == '%') {
    if (q.v == 0) throw Fail{"zero"};
    return in_range(p.v % q.v);
  }
  return in_range(sign == '+' ? p.v + q.v : sign == '-' ? p.v - q.v : times(p.v, q.v));
}

columnar::Value RowInterpreter::widened(const ExprPtr& e, const Value& v, const DataType& type) {
  if (v.is_null()) return v;
  const DataType& from = type_of(e);
  if (from == type) return v;
  if (type.id() == TypeId::kFloat32) return Value(static_cast<double>(static_cast<float>(number(e, v).as_double())));
  if (type.is_float()) return Value(number(e, v).as_double());
  if (type.id() == TypeId::kDecimal) {
    const Number n = number(e, v);
    if (n.scale > type.scale()) return Value(n.v / ten_to(n.scale - type.scale()));  // a literal with zeros behind
    return Value(times(n.v, ten_to(type.scale() - n.scale)));
  }
  if (type.is_integer()) {
    const Number n = number(e, v);
    const int128 whole = n.real ? static_cast<int128>(n.d) : n.v / ten_to(n.scale);
    return type.is_signed_integer() ? Value(static_cast<int64_t>(whole)) : Value(static_cast<uint64_t>(whole));
  }
  if (type.id() == TypeId::kTimestamp) return Value(int_of(v) * kDay);
  if (type.id() == TypeId::kString) return Value(from.labels()[static_cast<size_t>(int_of(v))]);
  if (type.id() == TypeId::kEnum) {
    for (size_t i = 0; i < type.labels().size(); ++i) {
      if (type.labels()[i] == text_of(v)) return Value(static_cast<int64_t>(i));
    }
  }
  throw Unknown();
}

columnar::Value RowInterpreter::cast(const ExprPtr& e) {
  const ExprPtr& a = e->args[0];
  const Value v = eval(a);
  if (v.is_null()) return v;
  const DataType& from = type_of(a);
  const DataType& to = e->type;
  if (from == to) return v;
  const auto fail = [&]() -> Value {
    if (e->lenient) return Value();
    throw Fail{"cast"};
  };
  if (to.id() == TypeId::kString) {
    if (from.is_integer()) return Value(digits(number(a, v).v));
    if (from.id() == TypeId::kDecimal) return Value(decimal_text(number(a, v).v, from.scale()));
    if (from.id() == TypeId::kBool) return Value(std::string(std::get<bool>(v.data) ? "true" : "false"));
    if (from.id() == TypeId::kEnum) return Value(from.labels()[static_cast<size_t>(int_of(v))]);
    throw Unknown();
  }
  if (to.is_integer()) {
    int128 whole = 0;
    if (from.id() == TypeId::kString) {
      const std::string& s = text_of(v);
      size_t i = !s.empty() && s[0] == '-' ? 1 : 0;
      if (i == s.size() || s.size() > 30) return fail();
      for (; i < s.size(); ++i) {
        if (s[i] < '0' || s[i] > '9') return fail();
        whole = whole * 10 + (s[i] - '0');
      }
      if (s[0] == '-') whole = -whole;
      if (s[0] == '-' && !to.is_signed_integer()) throw Unknown();
    } else if (from.id() == TypeId::kBool) {
      whole = std::get<bool>(v.data) ? 1 : 0;
    } else {
      const Number n = number(a, v);
      if (n.real) {
        if (std::fabs(n.d) > 1e25 || n.d != std::floor(n.d)) return fail();
        whole = static_cast<int128>(n.d);
      } else {
        if (n.v % ten_to(n.scale) != 0) return fail();
        whole = n.v / ten_to(n.scale);
      }
    }
    int128 low = 0, high = 0;
    switch (to.id()) {
      case TypeId::kInt8:
        low = -128, high = 127;
        break;
      case TypeId::kInt16:
        low = -32768, high = 32767;
        break;
      case TypeId::kInt32:
        low = INT32_MIN, high = INT32_MAX;
        break;
      case TypeId::kInt64:
        low = INT64_MIN, high = INT64_MAX;
        break;
      case TypeId::kUInt8:
        high = 255;
        break;
      case TypeId::kUInt16:
        high = 65535;
        break;
      case TypeId::kUInt32:
        high = UINT32_MAX;
        break;
      default:
        high = static_cast<int128>(UINT64_MAX);
    }
    if (whole < low || whole > high) return fail();
    return to.is_signed_integer() ? Value(static_cast<int64_t>(whole)) : Value(static_cast<uint64_t>(whole));
  }
  if (to.id() == TypeId::kFloat64 && (from.is_numeric())) return Value(number(a, v).as_double());
  if (to.id() == TypeId::kDecimal && (from.is_integer() || from.id() == TypeId::kDecimal)) {
    const Number n = number(a, v);
    int128 r = n.v;
    if (n.scale > to.scale()) {
      const int128 unit = ten_to(n.scale - to.scale());
      if (r % unit != 0) return fail();
      r /= unit;
    } else if (__builtin_mul_overflow(r, ten_to(to.scale() - n.scale), &r)) {
      return fail();
    }
    if (r >= ten_to(to.precision()) || r <= -ten_to(to.precision())) return fail();
    return Value(r);
  }
  if (to.id() == TypeId::kDate && from.id() == TypeId::kTimestamp) {
    int64_t days = int_of(v) / kDay;
    if (int_of(v) % kDay < 0) --days;
    return Value(days);
  }
  if (to.id() == TypeId::kTimestamp && from.id() == TypeId::kDate) return Value(int_of(v) * kDay);
  throw Unknown();
}

columnar::Value RowInterpreter::function(const ExprPtr& e, const std::vector<Value>& args) {
  const std::string& name = e->name;
  for (const auto& v : args) {
    if (v.is_null()) return Value();
  }
  const DataType type = type_of(e);
  const auto text = [&](size_t i) {
    const DataType& t = type_of(e->args[i]);
    return t.id() == TypeId::kEnum ? t.labels()[static_cast<size_t>(int_of(args[i]))] : text_of(args[i]);
  };
  const auto whole = [&](size_t i) {
    const Number n = number(e->args[i], args[i]);
    if (n.v > INT64_MAX || n.v < INT64_MIN) throw Unknown();
    return static_cast<int64_t>(n.v);
  };
  if (name == "lower" || name == "upper") {
    std::string out = text(0);
    for (size_t i = 0; i < out.size(); ++i) {
      char& c = out[i];
      if (name == "lower" && c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      if (name == "upper" && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
      // é and É are the only others in the data: C3 A9 and C3 89.
      if (static_cast<unsigned char>(c) == 0xC3 && i + 1 < out.size()) {
        auto next = static_cast<unsigned char>(out[i + 1]);
        if (name == "lower" && next == 0x89)
          next = 0xA9;
        else if (name == "upper" && next == 0xA9)
          next = 0x89;
        out[i + 1] = static_cast<char>(next);
        ++i;
      }
    }
    return Value(out);
  }
  if (name == "length") return Value(static_cast<int64_t>(letters(text(0)).size()));
  if (name == "reverse") {
    std::string out;
    for (const auto& letter : letters(text(0))) out = letter + out;
    return Value(out);
  }
  if (name == "concat") {
    std::string out;
    for (size_t i = 0; i < args.size(); ++i) out += text(i);
    return Value(out);
  }
  if (name == "contains") return Value(text(0).find(text(1)) != std::string::npos);
  if (name == "starts_with") return Value(text(0).compare(0, text(1).size(), text(1)) == 0);
  if (name == "replace") {
    std::string out, from = text(0);
    const std::string part = text(1), with = text(2);
    if (part.empty()) return Value(from);
    for (size_t i = 0; i < from.size();) {
      if (from.compare(i, part.size(), part) == 0) {
        out += with;
        i += part.size();
      } else {
        out += from[i++];
      }
    }
    return Value(out);
  }
  if (is_word(name, {"left", "right", "substring"})) {
    const auto all = letters(text(0));
    const auto size = static_cast<int64_t>(all.size());
    if (name == "substring") {
      int64_t start = whole(1);
      if (start == 0) throw Fail{"from one"};
      start = start < 0 ? std::max<int64_t>(size + start, 0) : start - 1;
      if (args.size() == 2) return Value(joined(all, start, size));
      if (whole(2) < 0) throw Fail{"negative"};
      return Value(joined(all, start, start >= size || whole(2) > size ? size : start + whole(2)));
    }
    const int64_t n = whole(1);
    if (n < 0) throw Fail{"negative"};
    return Value(name == "left" ? joined(all, 0, n) : joined(all, n >= size ? 0 : size - n, size));
  }
  if (name == "abs") {
    const Number n = number(e->args[0], args[0]);
    if (n.real) return Value(std::fabs(n.d));
    const int128 v = n.v < 0 ? -n.v : n.v;
    if (type.id() == TypeId::kDecimal) return Value(v);
    if (type.id() == TypeId::kUInt64) return Value(static_cast<uint64_t>(v));
    if (v > INT64_MAX) throw Fail{"overflow"};
    return Value(static_cast<int64_t>(v));
  }
  if (name == "sign") {
    const Number n = number(e->args[0], args[0]);
    return Value(static_cast<int64_t>(n.real ? (n.d > 0) - (n.d < 0) : (n.v > 0) - (n.v < 0)));
  }
  if (name == "div") {
    const int64_t a = whole(0), b = whole(1);
    if (b == 0) throw Fail{"zero"};
    if (a == INT64_MIN && b == -1) throw Fail{"overflow"};
    return Value(a / b);
  }
  if (is_word(name, {"year", "month", "day", "hour", "day_of_week"})) {
    const int64_t micros = type_of(e->args[0]).id() == TypeId::kDate ? int_of(args[0]) * kDay : int_of(args[0]);
    time_t seconds = static_cast<time_t>(micros / 1000000 - (micros % 1000000 < 0 ? 1 : 0));
    struct tm parts;
    gmtime_r(&seconds, &parts);
    if (name == "year") return Value(static_cast<int64_t>(parts.tm_year + 1900));
    if (name == "month") return Value(static_cast<int64_t>(parts.tm_mon + 1));
    if (name == "day") return Value(static_cast<int64_t>(parts.tm_mday));
    if (name == "hour") return Value(static_cast<int64_t>(parts.tm_hour));
    return Value(static_cast<int64_t>(parts.tm_wday == 0 ? 7 : parts.tm_wday));
  }
  throw Unknown();
}

std::optional<bool> RowInterpreter::truth(const ExprPtr& e) {
  const Value v = eval(e);
  if (v.is_null()) return std::nullopt;
  return std::get<bool>(v.data);
}

std::optional<bool> RowInterpreter::logic(const ExprPtr& e, bool decisive) {
  bool unknown = false;
  for (const auto& arg : e->args) {
    const auto t = truth(arg);
    if (t == decisive) return decisive;
    unknown |= !t.has_value();
  }
  if (unknown) return std::nullopt;
  return !decisive;
}

columnar::Value RowInterpreter::call(const ExprPtr& e) {
  const std::string& name = e->name;
  const auto from = [](std::optional<bool> t) { return t ? Value(*t) : Value(); };
  if (name == "and") return from(logic(e, false));
  if (name == "or") return from(logic(e, true));
  if (name == "not") {
    const auto t = truth(e->args[0]);
    return t ? Value(!*t) : Value();
  }
  if (name == "is null") return Value(eval(e->args[0]).is_null());
  if (name == "is not null") return Value(!eval(e->args[0]).is_null());
  if (is_word(name, {"+", "-", "*", "/", "%"})) return arithmetic(e);
  if (name == "neg") {
    const Value v = eval(e->args[0]);
    if (v.is_null()) return v;
    const DataType type = type_of(e);
    if (type.is_float()) return Value(-std::get<double>(v.data));
    const Number n = number(e->args[0], v);
    if (type.id() == TypeId::kDecimal) return Value(-n.v);
    if (-n.v > INT64_MAX || -n.v < INT64_MIN) throw Fail{"overflow"};
    return Value(static_cast<int64_t>(-n.v));
  }
  if (is_word(name, {"==", "!=", "<", "<=", ">", ">="})) {
    const Value x = eval(e->args[0]), y = eval(e->args[1]);
    const auto order = compare(e->args[0], x, e->args[1], y);
    if (!order) return Value();
    const int o = *order;
    return Value(name == "=="   ? o == 0
                 : name == "!=" ? o != 0
                 : name == "<"  ? o < 0
                 : name == "<=" ? o <= 0
                 : name == ">"  ? o > 0
                                : o >= 0);
  }
  if (is_word(name, {"in", "not in", "between", "not between"})) {
    // A literal takes one type for all its comparisons; pairwise, as below, it could take two.
    bool narrow = false, wide = false;
    for (const auto& arg : e->args) {
      narrow |= type_of(arg).id() == TypeId::kFloat32;
      wide |= type_of(arg).id() == TypeId::kFloat64;
    }
    if (narrow && wide) throw Unknown();
  }
  if (name == "in" || name == "not in") {
    std::vector<Value> values;
    for (const auto& arg : e->args) values.push_back(eval(arg));
    bool unknown = false;
    for (size_t i = 1; i < values.size(); ++i) {
      const auto order = compare(e->args[0], values[0], e->args[i], values[i]);
      if (order && *order == 0) return Value(name == "in");
      unknown |= !order.has_value();
    }
    return unknown ? Value() : Value(name != "in");
  }
  if (name == "between" || name == "not between") {
    const Value v = eval(e->args[0]), low = eval(e->args[1]), high = eval(e->args[2]);
    const auto above = compare(e->args[0], v, e->args[1], low), below = compare(e->args[0], v, e->args[2], high);
    const bool no = (above && *above < 0) || (below && *below > 0);
    if (no) return Value(name != "between");
    if (!above || !below) return Value();
    return Value(name == "between");
  }
  if (name == "if" || name == "case") {
    for (size_t i = 0; i + 1 < e->args.size(); i += 2) {
      if (truth(e->args[i]) == true) return widened(e->args[i + 1], eval(e->args[i + 1]), type_of(e));
    }
    return widened(e->args.back(), eval(e->args.back()), type_of(e));
  }
  if (name == "coalesce" || name == "if_null") {
    for (const auto& arg : e->args) {
      const Value v = eval(arg);
      if (!v.is_null()) return widened(arg, v, type_of(e));
    }
    return Value();
  }
  std::vector<Value> args;
  for (const auto& arg : e->args) args.push_back(eval(arg));
  if (name == "nullif") {
    const auto order = compare(e->args[0], args[0], e->args[1], args[1]);
    if (order && *order == 0) return Value();
    return widened(e->args[0], args[0], type_of(e));
  }
  if (name == "least" || name == "greatest") {
    int best = -1;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i].is_null()) continue;
      if (best < 0) {
        best = static_cast<int>(i);
        continue;
      }
      const auto order =
          compare(e->args[i], args[i], e->args[static_cast<size_t>(best)], args[static_cast<size_t>(best)]);
      if (name == "least" ? *order < 0 : *order > 0) best = static_cast<int>(i);
    }
    if (best < 0) return Value();
    return widened(e->args[static_cast<size_t>(best)], args[static_cast<size_t>(best)], type_of(e));
  }
  return function(e, args);
}

columnar::Value RowInterpreter::eval(const ExprPtr& e) {
  switch (e->kind) {
    case Expr::Kind::kLiteral:
      return e->value;
    case Expr::Kind::kField:
      return columnar::value_at(batch_.columns[static_cast<size_t>(batch_.schema->index_of(e->name))], row_);
    case Expr::Kind::kCast:
      return cast(e);
    case Expr::Kind::kCall:
      return call(e);
  }
  throw Unknown();
}

}  // namespace runink::expr
