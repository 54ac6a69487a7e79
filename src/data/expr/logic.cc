// and, or, not, is null, if, case, coalesce, nullif: three-valued logic, and evaluation of only what is needed.
#include <algorithm>

#include "data/expr/functions.h"
#include "data/expr/kernel.h"

namespace runink::expr {

namespace {

// The rows of `frame` for which mask is not 0.
struct Narrowed {
  Narrowed(const Frame& frame, std::vector<uint8_t> mask) : mask(std::move(mask)), frame(frame) {
    if (frame.active != nullptr) {
      for (size_t i = 0; i < this->mask.size(); ++i) this->mask[i] &= frame.active[i] != 0;
    }
    this->frame.active = this->mask.data();
  }
  std::vector<uint8_t> mask;
  Frame frame;
};

// Bytes of values and validity of a bool argument (or of the literal null).
struct Tri {
  Tri(const Arg& arg, int64_t rows) : value(static_cast<size_t>(rows)), valid(static_cast<size_t>(rows), 1) {
    const Column& c = *arg.column;
    const auto n = static_cast<size_t>(rows);
    if (c.type.id() == TypeId::kNull) {
      std::fill(valid.begin(), valid.end(), uint8_t{0});
      return;
    }
    if (arg.constant) {
      std::fill(value.begin(), value.end(), c.data<uint8_t>()[0]);
      std::fill(valid.begin(), valid.end(), static_cast<uint8_t>(c.is_valid(0)));
      return;
    }
    if (n > 0) std::memcpy(value.data(), c.data<uint8_t>(), n);
    if (c.validity != nullptr) columnar::validity_to_bytes(c, valid.data());
  }
  std::vector<uint8_t> value, valid;
};

// `and` (decisive value 0) and `or` (decisive value 1). An operand is evaluated for the rows that none before decided.
template <uint8_t decisive>
void chain(const Node& node, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  const auto rows = static_cast<size_t>(frame.rows);
  uint8_t* to = out->mutable_data<uint8_t>();
  std::vector<uint8_t> decided(rows, 0), unknown(rows, 0);
  bool any_unknown = false;
  for (const auto& arg : node.args) {
    Column storage;
    Arg value;
    if (arg->can_fail) {
      std::vector<uint8_t> open(rows);
      for (size_t i = 0; i < rows; ++i) open[i] = decided[i] ^ 1;
      Narrowed narrowed(frame, std::move(open));
      value = evaluate_node(*arg, narrowed.frame, &storage);
    } else {
      value = evaluate_node(*arg, frame, &storage);
    }
    const Column& c = *value.column;
    if (!value.constant && c.type.id() == TypeId::kBool && c.validity == nullptr) {
      const uint8_t* from = c.data<uint8_t>();
      for (size_t i = 0; i < rows; ++i) decided[i] |= from[i] == decisive;
      continue;
    }
    const Tri tri(value, frame.rows);
    for (size_t i = 0; i < rows; ++i) {
      decided[i] |= tri.valid[i] & (tri.value[i] == decisive);
      unknown[i] |= tri.valid[i] ^ 1;
    }
    any_unknown = true;
  }
  for (size_t i = 0; i < rows; ++i) to[i] = decisive == 1 ? decided[i] : decided[i] ^ 1;
  if (!any_unknown) return;
  for (size_t i = 0; i < rows; ++i) unknown[i] = decided[i] | (unknown[i] ^ 1);
  out->validity = columnar::validity_from_bytes(unknown.data(), frame.rows);
}

void negate(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<uint8_t> v(args[0]);
  map_all<uint8_t>(node, args, 1, frame, out, [&](int64_t i) { return static_cast<uint8_t>(v[i] ^ 1); });
}

template <bool negated>
void is_null(const Node& node, const Arg* args, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  uint8_t* to = out->mutable_data<uint8_t>();
  if (args[0].constant) {
    if (frame.rows > 0) std::memset(to, args[0].column->is_valid(0) == negated ? 1 : 0, static_cast<size_t>(frame.rows));
    return;
  }
  columnar::validity_to_bytes(*args[0].column, to);
  if (!negated) {
    for (int64_t i = 0; i < frame.rows; ++i) to[i] ^= 1;
  }
}

// out[i] = values[choice[i]][i]; choice -1 is null.
template <typename T>
void select_fixed(const std::vector<Arg>& values, const std::vector<int16_t>& choice, int64_t rows, uint8_t* valid,
                  T* __restrict to) {
  const auto n = static_cast<size_t>(values.size());
  std::vector<const T*> from(n);
  std::vector<int64_t> step(n);
  std::vector<const uint8_t*> bits(n);
  bool nulls = false;
  for (size_t v = 0; v < n; ++v) {
    from[v] = values[v].column->data<T>();
    step[v] = values[v].constant ? 0 : 1;
    bits[v] = values[v].column->validity != nullptr ? values[v].column->validity->data() : nullptr;
    nulls |= bits[v] != nullptr;
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int16_t c = choice[static_cast<size_t>(i)];
    valid[i] = c >= 0 ? 1 : 0;
    const auto v = static_cast<size_t>(c < 0 ? 0 : c);
    to[i] = from[v][i * step[v]];
    if (nulls && bits[v] != nullptr) valid[i] &= static_cast<uint8_t>(columnar::get_bit(bits[v], i * step[v]));
  }
}

void select_text(const Node& node, const std::vector<Arg>& values, const std::vector<int16_t>& choice, Frame& frame,
                 Column* out) {
  columnar::ColumnBuilder builder(node.type, frame.rows);
  for (int64_t i = 0; i < frame.rows; ++i) {
    const int16_t c = choice[static_cast<size_t>(i)];
    const Arg* v = c < 0 ? nullptr : &values[static_cast<size_t>(c)];
    const int64_t row = v == nullptr || v->constant ? 0 : i;
    if (v == nullptr || v->column->is_null(row)) {
      builder.append_null();
      continue;
    }
    const std::string_view text = v->column->text(row);
    if (builder.length() > 0 && builder.text_room() < text.size()) {
      builder.append_null();
      fail_row(node, frame, i, kTooLong);
    } else {
      builder.append_text(text);
    }
  }
  *out = builder.finish();
}

void select(const Node& node, const std::vector<Arg>& values, const std::vector<int16_t>& choice, Frame& frame,
            Column* out) {
  if (node.type.is_text()) return select_text(node, values, choice, frame, out);
  const int64_t rows = frame.rows;
  if (node.type.width() == 0) {
    columnar::ColumnBuilder builder(node.type, rows);
    for (int64_t i = 0; i < rows; ++i) {
      const int16_t c = choice[static_cast<size_t>(i)];
      const Arg* v = c < 0 ? nullptr : &values[static_cast<size_t>(c)];
      const int64_t row = v == nullptr || v->constant ? 0 : i;
      if (v == nullptr || v->column->is_null(row)) {
        builder.append_null();
      } else {
        builder.append_from(*v->column, row);
      }
    }
    *out = builder.finish();
    return;
  }
  *out = columnar::make_fixed_column(node.type, rows);
  std::vector<uint8_t> valid(static_cast<size_t>(rows));
  switch (node.type.width()) {
    case 1:
      select_fixed(values, choice, rows, valid.data(), out->mutable_data<uint8_t>());
      break;
    case 2:
      select_fixed(values, choice, rows, valid.data(), out->mutable_data<uint16_t>());
      break;
    case 4:
      select_fixed(values, choice, rows, valid.data(), out->mutable_data<uint32_t>());
      break;
    case 8:
      select_fixed(values, choice, rows, valid.data(), out->mutable_data<uint64_t>());
      break;
    default:
      select_fixed(values, choice, rows, valid.data(), out->mutable_data<int128>());
      break;
  }
  out->validity = columnar::validity_from_bytes(valid.data(), rows);
}

// condition, value, condition, value, …, otherwise.
void choose(const Node& node, Frame& frame, Column* out) {
  const auto rows = static_cast<size_t>(frame.rows);
  const size_t branches = node.args.size() / 2 + 1;
  std::vector<Column> storage(branches);
  std::vector<Arg> values(branches);
  std::vector<int16_t> choice(rows, -1);
  std::vector<uint8_t> open(rows, 1), taken(rows);
  for (size_t b = 0; b + 1 < branches; ++b) {
    Column condition_storage;
    Narrowed condition_rows(frame, open);
    const Arg condition = evaluate_node(*node.args[2 * b], condition_rows.frame, &condition_storage);
    const Tri tri(condition, frame.rows);
    for (size_t i = 0; i < rows; ++i) {
      taken[i] = open[i] & tri.valid[i] & tri.value[i];
      open[i] ^= taken[i];
      if (taken[i] != 0) choice[i] = static_cast<int16_t>(b);
    }
    Narrowed value_rows(frame, taken);
    values[b] = evaluate_node(*node.args[2 * b + 1], value_rows.frame, &storage[b]);
  }
  for (size_t i = 0; i < rows; ++i) {
    if (open[i] != 0) choice[i] = static_cast<int16_t>(branches - 1);
  }
  Narrowed rest(frame, open);
  values.back() = evaluate_node(*node.args.back(), rest.frame, &storage.back());
  select(node, values, choice, frame, out);
}

void coalesce(const Node& node, Frame& frame, Column* out) {
  const auto rows = static_cast<size_t>(frame.rows);
  std::vector<Column> storage(node.args.size());
  std::vector<Arg> values(node.args.size());
  std::vector<int16_t> choice(rows, -1);
  std::vector<uint8_t> open(rows, 1), valid(rows);
  ErrorList* all_errors = frame.errors;
  for (size_t a = 0; a < node.args.size(); ++a) {
    Narrowed narrowed(frame, open);
    ErrorList errors;
    narrowed.frame.errors = &errors;
    values[a] = evaluate_node(*node.args[a], narrowed.frame, &storage[a]);
    if (values[a].constant) {
      std::fill(valid.begin(), valid.end(), static_cast<uint8_t>(values[a].column->is_valid(0)));
    } else {
      columnar::validity_to_bytes(*values[a].column, valid.data());
    }
    for (size_t i = 0; i < rows; ++i) {
      if ((open[i] & valid[i]) == 0) continue;
      open[i] = 0;
      choice[i] = static_cast<int16_t>(a);
    }
    // A row in error has no value at all; the arguments after it are not looked at.
    for (const auto& error : errors) open[static_cast<size_t>(error.row)] = 0;
    all_errors->insert(all_errors->end(), errors.begin(), errors.end());
  }
  select(node, values, choice, frame, out);
}

void null_if(const Node& node, const Arg* args, Frame& frame, Column* out) {
  std::vector<int16_t> choice(static_cast<size_t>(frame.rows), 0);
  for (int64_t i = 0; i < frame.rows; ++i) {
    const int64_t a = args[0].constant ? 0 : i, b = args[1].constant ? 0 : i;
    const bool equal = args[0].column->is_valid(a) && args[1].column->is_valid(b) &&
                       compare_values(*args[0].column, a, *args[1].column, b) == 0;
    if (equal) choice[static_cast<size_t>(i)] = -1;
  }
  select(node, {args[0]}, choice, frame, out);
}

bool expect_bool(Binding& binding, size_t arg, std::string_view what) {
  const DataType& type = binding.args[arg]->type;
  if (type.id() == TypeId::kBool || type.id() == TypeId::kNull) return true;
  return binding.fail(fmt::format("{} must be true or false, and this is {}", what, a_type(type)),
                      type.is_numeric() ? "compare it: x != 0" : "", static_cast<int>(arg));
}

bool bind_if(Binding& binding) {
  if (binding.args.size() != 3) {
    return binding.fail("if needs a condition, a value, and another value",
                        "write if(delay > 0, \"late\", \"on time\")");
  }
  return bind_case(binding);
}

bool bind_coalesce(Binding& binding) {
  if (binding.args.empty()) return binding.fail("coalesce needs at least one value", "write coalesce(x, 0)");
  std::vector<size_t> all(binding.args.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (all.size() > 1000) return binding.fail("coalesce takes at most 1000 values");
  if (!unify(binding, all, &binding.type, "the values of coalesce")) return false;
  binding.nullable =
      std::all_of(binding.args.begin(), binding.args.end(), [](const NodePtr& a) { return a->nullable; });
  binding.lazy = coalesce;
  return true;
}

bool bind_if_null(Binding& binding) {
  if (binding.args.size() != 2)
    return binding.fail("if_null needs a value and what stands for null", "write if_null(x, 0)");
  return bind_coalesce(binding);
}

bool bind_null_if(Binding& binding) {
  if (binding.args.size() != 2)
    return binding.fail("nullif needs a value and the one that means null", "write nullif(x, 0)");
  const DataType type = binding.args[0]->type;
  if (!unify_for_comparison(binding, {0, 1})) return false;
  binding.type = binding.args[0]->type;
  binding.nullable = true;
  binding.kernel = null_if;
  return true;
}

}  // namespace

bool bind_logic(std::string_view word, Binding& binding) {
  for (size_t i = 0; i < binding.args.size(); ++i) {
    if (!expect_bool(binding, i, fmt::format("what stands beside `{}`", word))) return false;
  }
  binding.type = TypeId::kBool;
  binding.lazy = word == "and" ? chain<0> : chain<1>;
  return true;
}

bool bind_not(Binding& binding) {
  if (!expect_bool(binding, 0, "what stands after `not`")) return false;
  binding.type = TypeId::kBool;
  if (binding.args[0]->type.id() == TypeId::kNull) {
    binding.replacement = make_constant(TypeId::kBool, Value(), true, nullptr);
    return true;
  }
  binding.kernel = negate;
  return true;
}

bool bind_is_null(bool negated, Binding& binding) {
  binding.type = TypeId::kBool;
  binding.nullable = false;
  binding.kernel = negated ? is_null<true> : is_null<false>;
  return true;
}

bool bind_case(Binding& binding) {
  const size_t count = binding.args.size();
  if (count > 2001) return binding.fail("a case has at most 1000 branches");
  std::vector<size_t> values;
  binding.nullable = false;
  for (size_t i = 0; i + 1 < count; i += 2) {
    if (!expect_bool(binding, i, "a condition")) return false;
    values.push_back(i + 1);
  }
  values.push_back(count - 1);
  if (!unify(binding, values, &binding.type, "the values of all branches")) return false;
  for (const size_t v : values) binding.nullable |= binding.args[v]->nullable;
  binding.lazy = choose;
  return true;
}

void define_null_functions(std::vector<Definition>& out) {
  out.push_back({"if",
                 "conditions",
                 "The first value where the condition is true, else (false or null) the second. Only the value "
                 "that is needed is computed.",
                 "if(delay > 15, \"late\", \"on time\")",
                 {{"if(condition: bool, value: any, otherwise: any) -> any"}},
                 bind_if});
  out.push_back({"coalesce",
                 "conditions",
                 "The first value that is not null.",
                 "coalesce(nickname, name, \"?\")",
                 {{"coalesce(value: any, …) -> any"}},
                 bind_coalesce});
  out.push_back({"if_null",
                 "conditions",
                 "The value, or the second where it is null.",
                 "if_null(fare, 0)",
                 {{"if_null(value: any, instead: any) -> any"}},
                 bind_if_null});
  out.push_back({"nullif",
                 "conditions",
                 "Null where the two are equal, else the first.",
                 "nullif(code, \"N/A\")",
                 {{"nullif(value: any, null_value: any) -> any"}},
                 bind_null_if});
}

}  // namespace runink::expr
