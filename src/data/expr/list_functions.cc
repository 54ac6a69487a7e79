// Functions of lists; contains() is also that of texts.
#include "data/expr/functions.h"
#include "data/expr/kernel.h"

namespace runink::expr {

namespace {

struct Lists {
  explicit Lists(const Arg& arg)
      : child(&arg.column->children[0]), offsets(arg.column->offset_data()), step(arg.constant ? 0 : 1) {}
  int32_t begin(int64_t i) const { return offsets[i * step]; }
  int32_t end(int64_t i) const { return offsets[i * step + 1]; }
  const Column* child;
  const int32_t* offsets;
  int64_t step;
};

void size_of(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Lists v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) { return static_cast<int64_t>(v.end(i) - v.begin(i)); });
}

void contains_value(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Lists v(args[0]);
  const Rows rows(combined_validity(args, 2, frame.rows));
  map_all<uint8_t>(node, args, 2, frame, out, [&](int64_t i) -> uint8_t {
    if (!rows[i]) return 0;
    const int64_t wanted = args[1].constant ? 0 : i;
    for (int32_t e = v.begin(i); e < v.end(i); ++e) {
      if (v.child->is_valid(e) && compare_values(*v.child, e, *args[1].column, wanted) == 0) return 1;
    }
    return 0;
  });
}

void contains_text(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), part(args[1]);
  map_all<uint8_t>(node, args, 2, frame, out,
                   [&](int64_t i) { return static_cast<uint8_t>(v[i].find(part[i]) != std::string_view::npos); });
}

bool bind_contains(Binding& binding) {
  if (binding.args.size() != 2)
    return binding.fail("contains takes 2 arguments", "contains(text, part), or contains(list, value)");
  std::string error, help;
  binding.type = TypeId::kBool;
  NodePtr& first = binding.args[0];
  NodePtr& second = binding.args[1];
  if (first->type.id() == TypeId::kList) {
    const DataType element = first->type.element();
    if (element.id() == TypeId::kStruct || element.id() == TypeId::kList || element.id() == TypeId::kJson) {
      return binding.fail(fmt::format("elements of type {} cannot be compared", element.to_string()), "", 0);
    }
    NodePtr same = second->type == element || (second->type.is_numeric() && element.is_numeric()) ? second : nullptr;
    if (!same && second->literal) same = adapt_literal(second, element);
    if (!same && widens(second->type, element)) same = make_cast(second, element, false, &error, &help);
    if (!same) {
      return binding.fail(
          fmt::format("the list holds {} values, and this is {}", element.to_string(), a_type(second->type)), "", 1);
    }
    second = std::move(same);
    binding.kernel = contains_value;
    return true;
  }
  for (size_t i = 0; i < 2; ++i) {
    if (!widens(binding.args[i]->type, TypeId::kString)) {
      return binding.fail(fmt::format("contains needs texts, and this is {}", a_type(binding.args[i]->type)),
                          "contains(text, part), or contains(list, value)", static_cast<int>(i));
    }
    binding.args[i] = make_cast(binding.args[i], TypeId::kString, false, &error, &help);
    if (!binding.args[i]) return binding.fail(error, help, static_cast<int>(i));
  }
  binding.kernel = contains_text;
  return true;
}

// Counted from 1, or from the end when negative; null when there is none.
void element_of(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Lists v(args[0]);
  const Values<int64_t> wanted(args[1]);
  const Rows rows(combined_validity(args, 2, frame.rows));
  columnar::ColumnBuilder builder(node.type, frame.rows);
  for (int64_t i = 0; i < frame.rows; ++i) {
    const int64_t size = rows[i] ? v.end(i) - v.begin(i) : 0;
    const int64_t n = rows[i] ? wanted[i] : 0;
    if (rows[i] && n == 0) fail_row(node, frame, i, "elements count from 1");
    const int64_t at = n > 0 ? n - 1 : size + n;
    const int64_t row = at >= 0 && at < size && n != 0 ? v.begin(i) + at : -1;
    if (row < 0 || v.child->is_null(row)) {
      builder.append_null();
    } else if (node.type.is_text() && builder.length() > 0 && builder.text_room() < v.child->text(row).size()) {
      builder.append_null();
      fail_row(node, frame, i, kTooLong);
    } else {
      builder.append_from(*v.child, row);
    }
  }
  *out = builder.finish();
}

bool prepare_element(Binding& binding) {
  binding.type = binding.args[0]->type.element();
  if (binding.type.id() == TypeId::kStruct)
    return binding.fail("an element that is a struct cannot be a value of its own", "", 0);
  return true;
}

void join_elements(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Lists v(args[0]);
  const Texts separator(args[1]);
  map_text(node, args, 2, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
    bool any = false;
    for (int32_t e = v.begin(i); e < v.end(i); ++e) {
      if (v.child->is_null(e)) continue;
      if (any) scratch += separator[i];
      scratch += v.child->text(e);
      any = true;
      if (scratch.size() > kMaxTextBytes) return kTooLong;
    }
    *view = scratch;
    return nullptr;
  });
}

bool prepare_join(Binding& binding) {
  if (binding.args[0]->type.element().id() == TypeId::kString) return true;
  return binding.fail(fmt::format("join_list needs a list of texts, and this is {}", a_type(binding.args[0]->type)), "",
                      0);
}

void split_text(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Texts v(args[0]), separator(args[1]);
  const Rows rows(combined_validity(args, 2, frame.rows));
  columnar::ColumnBuilder builder(node.type, frame.rows);
  size_t total = 0;
  for (int64_t i = 0; i < frame.rows; ++i) {
    if (!rows[i]) {
      builder.append_null();
      continue;
    }
    const std::string_view text = v[i], between = separator[i];
    const char* what = between.empty()                         ? "the separator is empty"
                       : total + text.size() > kMaxColumnBytes ? kTooLong
                                                               : nullptr;
    if (what != nullptr) {
      builder.append_null();
      fail_row(node, frame, i, what);
      continue;
    }
    total += text.size();
    size_t begin = 0;
    while (true) {
      const size_t end = text.find(between, begin);
      builder.child().append_text(
          text.substr(begin, end == std::string_view::npos ? std::string_view::npos : end - begin));
      if (end == std::string_view::npos) break;
      begin = end + between.size();
    }
    builder.close_list();
  }
  *out = builder.finish();
}

}  // namespace

void define_list_functions(std::vector<Definition>& out) {
  const char* kGroup = "lists";
  out.push_back(
      {"size", kGroup, "How many elements a list has.", "size(tags) > 0", {{"size(values: list) -> int64", size_of}}});
  out.push_back({"contains",
                 kGroup,
                 "Whether a text has a part, or a list an element.",
                 "contains(tags, \"express\")",
                 {{"contains(text: string, part: string) -> bool"}, {"contains(values: list, value: any) -> bool"}},
                 bind_contains});
  out.push_back({"element",
                 kGroup,
                 "An element of a list, counted from 1, or from the end when negative; null when there is none.",
                 "element(tags, 1)",
                 {{"element(values: list, n: int64) -> any", element_of, kCanFail | kMakesNull, prepare_element}}});
  out.push_back({"join_list",
                 kGroup,
                 "The texts of a list with a separator between them; nulls are left out.",
                 "join_list(tags, \", \")",
                 {{"join_list(values: list, separator: string) -> string", join_elements, kCanFail, prepare_join}}});
  out.push_back({"split",
                 kGroup,
                 "The parts between separators, as a list.",
                 "split(path, \"/\")",
                 {{"split(text: string, separator: string) -> list<string>", split_text, kCanFail}}});
}

}  // namespace runink::expr
