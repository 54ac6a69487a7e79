// Sentences that work on one record, or on records one after the other.
#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/dsl/scenario_compiler.h"
#include "data/expr/mask.h"
#include "data/plan/pii.h"

namespace runink::dsl {

using plan::Input;

// ---- rows -----------------------------------------------------------------------------------------------------------

void ScenarioCompiler::filter(bool keep) {
  if (!known()) return;
  const Capture& condition = *capture("condition");
  expr::TypedExpr test = expression(text_at(condition), "a filter");
  if (!test.valid()) return;
  if (test.is_constant()) {
    context_.warning(span_of(condition), "dsl.constant_condition", "this condition is the same for every record");
  }
  const Capture* reason = capture("reason");
  plan::Filter filter;
  filter.reason = reason != nullptr ? reason->text : keep ? "not (" + test.text() + ")" : test.text();
  if (!keep) {
    // A record is dropped when the condition is true, so it stays when that is false or null.
    test = made_expression("not coalesce((" + test.text() + "), false)", span_of(condition));
    if (!test.valid()) return;
  }
  filter.condition = std::move(test);
  advance(std::move(filter), "filter", Columns(columns()));
}

void ScenarioCompiler::deduplicate() {
  if (!known()) return;
  plan::Deduplicate d;
  if (const Capture* fields = capture("fields")) {
    for (const auto& item : fields->items) {
      const int at = column(item.text, span_of(*fields, item));
      if (at < 0) continue;
      if (std::find(d.columns.begin(), d.columns.end(), name_at(at)) != d.columns.end()) {
        error(span_of(*fields, item), "dsl.duplicate_name", fmt::format("`{}` is named twice", item.text));
      }
      d.columns.push_back(name_at(at));
    }
    if (d.columns.size() != fields->items.size()) return;
  }
  advance(std::move(d), "deduplicate", Columns(columns()));
}

void ScenarioCompiler::sort() {
  if (!known()) return;
  plan::Sort sort;
  const Capture& keys = *capture("keys");
  bool good = true;
  for (const auto& item : keys.items) {
    const int at = column(item.text, span_of(keys, item));
    if (at < 0) {
      good = false;
      continue;
    }
    const auto type = columns()[static_cast<size_t>(at)].field.type.id();
    if (type == columnar::TypeId::kList || type == columnar::TypeId::kStruct) {
      error(span_of(keys, item), "dsl.sort",
            fmt::format("a list has no order, so records cannot be sorted by `{}`", item.text));
      good = false;
    }
    const bool again =
        std::any_of(sort.keys.begin(), sort.keys.end(), [&](const auto& k) { return k.column == name_at(at); });
    if (again) {
      error(span_of(keys, item), "dsl.duplicate_name", fmt::format("`{}` is named twice", item.text));
      good = false;
    }
    sort.keys.push_back({name_at(at), item.second == "desc"});
  }
  if (const Capture* count = capture("count")) {
    sort.keep = count->count;
    if (count->count == 0) {
      error(span_of(*count), "dsl.number", "keeping the first 0 records keeps nothing");
      good = false;
    }
  }
  if (good) advance(std::move(sort), "sort", Columns(columns()));
}

void ScenarioCompiler::limit() {
  if (!known()) return;
  const Capture& count = *capture("count");
  if (count.count == 0) {
    error(span_of(count), "dsl.number", "keeping 0 records keeps nothing");
    return;
  }
  advance(plan::Limit{count.count}, "limit", Columns(columns()));
}

void ScenarioCompiler::sample() {
  if (!known()) return;
  const Capture& share = *capture("share");
  const Capture* seed = capture("seed");
  if (!(share.number > 0 && share.number <= 100)) {
    error(span_of(share), "dsl.number", fmt::format("a sample is above 0% and at most 100%, not {}", share.text));
    return;
  }
  advance(plan::Sample{share.number / 100, seed != nullptr ? seed->count : 0}, "sample", Columns(columns()));
}

// ---- tables ---------------------------------------------------------------------------------------------------------

bool ScenarioCompiler::header_row(const std::vector<TextAt>& row, std::initializer_list<std::string_view> first,
                                  std::initializer_list<std::string_view> second) const {
  const auto is = [](const TextAt& cell, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](auto w) { return equals_ignore_case(cell.text, w); });
  };
  return row.size() == 2 && is(row[0], first) && is(row[1], second);
}

bool ScenarioCompiler::table_width(size_t width) {
  const auto& table = step_->step->table;
  if (table.empty()) {
    flow_.unknown = true;  // said by check_attachments()
    return false;
  }
  if (table[0].size() == width) return true;
  error(step_->step->step->table->place.span, "dsl.table",
        fmt::format("this table needs {} columns and has {}", width, table[0].size()))
      .help.push_back("they are: " + step_->bound->sentence->table_help);
  flow_.unknown = true;
  return false;
}

// ---- fields ---------------------------------------------------------------------------------------------------------

namespace {

// Column names end up in files of every format, in messages and in expressions.
std::string name_problem(const std::string& name) {
  if (name.empty()) return "a field needs a name";
  if (name.size() > 255) return "a field's name has at most 255 bytes";
  if (name == columnar::kOpenColumn) return "`*` stands for what a contract leaves open";
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "a field's name holds no control characters";
  }
  return "";
}

}  // namespace

void ScenarioCompiler::set_field(const std::string& name, Span name_span, const TextAt& value,
                                 std::vector<plan::Derive::Item>* items, Columns* columns) {
  const std::string problem = name_problem(name);
  if (!problem.empty()) {
    error(name_span, "dsl.name", problem);
    return;
  }
  const int at = index_of(*columns, name);
  SourceTextPtr parsed;
  const expr::ExprPtr tree = context_.parse(value, {}, &parsed);
  expr::TypedExpr typed;
  if (tree != nullptr && !reads_lost(*tree)) {
    expr::CheckOptions options;
    options.no_aggregates_because = "a field is set from one record at a time; group or aggregate records first";
    const expr::Scope scope = scope_of(*columns);
    typed =
        context_.checked(value, parsed, [&](Diagnostics& d) { return expr::check(tree, parsed, scope, d, options); });
  }
  if (typed.valid() && typed.type().id() == columnar::TypeId::kNull) {
    error(value.span, "dsl.untyped_null", "null alone has no type")
        .help.push_back("write cast(null as string), or another type");
    typed = {};
  }
  if (!typed.valid()) {
    failed_ = true;
    if (at < 0) lost_.insert(name);
    return;
  }
  if (masked_in_vain(*columns, expr::part_masks(typed))) warn_masked_in_vain(value.span);
  plan::ColumnInfo column = column_of(*columns, typed, name);
  column.qualifier = at >= 0 ? (*columns)[static_cast<size_t>(at)].qualifier : 0;
  if (at >= 0)
    (*columns)[static_cast<size_t>(at)] = std::move(column);
  else
    columns->push_back(std::move(column));
  lost_.erase(name);
  items->push_back({name, std::move(typed)});
}

void ScenarioCompiler::warn_masked_in_vain(Span span) {
  context_.warning(span, "dsl.mask_in_vain", "a mask that shows a part protects only a field itself; this value was computed, and stays personal data")
      .help.push_back("mask the field and compute with that, or show nothing of the value: mask(x)");
}

void ScenarioCompiler::set_one() {
  if (!known()) return;
  const Capture& field = *capture("field");
  plan::Derive derive;
  Columns out = columns();
  set_field(field.text, span_of(field), text_at(*capture("value")), &derive.items, &out);
  if (!derive.items.empty()) advance(std::move(derive), "set " + field.text, std::move(out));
}

void ScenarioCompiler::set_many() {
  if (!known() || !table_width(2)) return;
  const auto& table = step_->step->table;
  plan::Derive derive;
  Columns out = columns();
  std::string name = "set";
  for (size_t i = 0; i < table.size(); ++i) {
    const auto& row = table[i];
    if (i == 0 && header_row(row, {"field", "name"}, {"expression", "value"})) continue;
    set_field(row[0].text, row[0].span, row[1], &derive.items, &out);
    name += " " + row[0].text;
  }
  if (name.size() > 60) name = fmt::format("set {} fields", derive.items.size());
  if (!derive.items.empty()) advance(std::move(derive), name, std::move(out));
}

// Applies items that name columns of the flow.
void ScenarioCompiler::project(std::vector<plan::Project::Item> items, std::string name) {
  Columns out;
  for (const auto& item : items) {
    out.push_back(columns()[static_cast<size_t>(index_of(columns(), item.from))]);
    if (item.to != item.from) out.back().qualifier = 0;
    out.back().field.name = item.to;
  }
  advance(plan::Project{std::move(items)}, std::move(name), std::move(out));
}

void ScenarioCompiler::select() {
  if (!known()) return;
  const Capture& fields = *capture("fields");
  std::vector<plan::Project::Item> items;
  bool good = true;
  for (const auto& item : fields.items) {
    const int at = column(item.text, span_of(fields, item));
    if (at < 0) {
      good = false;
      continue;
    }
    const bool again = std::any_of(items.begin(), items.end(),
                                   [&](const auto& i) { return i.from == name_at(at) || i.to == item.text; });
    if (again) {
      error(span_of(fields, item), "dsl.duplicate_name", fmt::format("`{}` is named twice", item.text));
      good = false;
    }
    items.push_back({name_at(at), item.text});  // a joined field that is said shortly is called so from here on
  }
  if (good) project(std::move(items), "select");
}

void ScenarioCompiler::drop_fields() {
  if (!known()) return;
  const Capture& fields = *capture("fields");
  std::set<std::string> dropped;
  bool good = true;
  for (const auto& item : fields.items) {
    const int at = column(item.text, span_of(fields, item));
    if (at < 0) {
      good = false;
      continue;
    }
    if (!dropped.insert(name_at(at)).second) {
      error(span_of(fields, item), "dsl.duplicate_name", fmt::format("`{}` is named twice", item.text));
      good = false;
    }
  }
  if (!good) return;
  std::vector<plan::Project::Item> items;
  for (const auto& c : columns()) {
    if (dropped.count(c.field.name) == 0) items.push_back({c.field.name, c.field.name});
  }
  if (items.empty()) {
    error(step_span(), "dsl.no_fields", "no field would be left");
    return;
  }
  project(std::move(items), "drop fields");
}

void ScenarioCompiler::rename() {
  if (!known()) return;
  struct Pair {
    std::string from, to;
    Span from_span, to_span;
  };
  std::vector<Pair> pairs;
  if (const Capture* list = capture("pairs")) {
    for (const auto& item : list->items)
      pairs.push_back({item.text, item.second, span_of(*list, item), span_of(*list, item)});
  } else if (const Capture* from = capture("from")) {
    const Capture& to = *capture("to");
    pairs.push_back({from->text, to.text, span_of(*from), span_of(to)});
  } else {
    if (!table_width(2)) return;
    const auto& table = step_->step->table;
    for (size_t i = 0; i < table.size(); ++i) {
      const auto& row = table[i];
      if (i == 0 && header_row(row, {"from", "old"}, {"to", "new"})) continue;
      pairs.push_back({row[0].text, row[1].text, row[0].span, row[1].span});
    }
  }
  std::vector<plan::Project::Item> items;
  for (const auto& c : columns()) items.push_back({c.field.name, c.field.name});
  bool good = true;
  for (const Pair& pair : pairs) {
    const std::string problem = name_problem(pair.to);
    if (!problem.empty()) {
      error(pair.to_span, "dsl.name", problem);
      good = false;
      continue;
    }
    const int at = column(pair.from, pair.from_span);
    if (at < 0) {
      lost_.insert(pair.to);
      good = false;
      continue;
    }
    if (items[static_cast<size_t>(at)].from != items[static_cast<size_t>(at)].to) {
      error(pair.from_span, "dsl.duplicate_name", fmt::format("`{}` is renamed twice", pair.from));
      good = false;
    }
    items[static_cast<size_t>(at)].to = pair.to;
  }
  std::set<std::string> names;
  for (const auto& item : items) {
    if (names.insert(item.to).second) continue;
    error(step_span(), "dsl.duplicate_name", fmt::format("two fields would be called `{}`", item.to));
    good = false;
  }
  if (good) project(std::move(items), "rename");
}

void ScenarioCompiler::cast() {
  if (!known()) return;
  const Capture& type = *capture("type");
  const Capture& fields = *capture("fields");
  Result<columnar::DataType> parsed = expr::parse_type(type.text);
  if (!parsed.ok()) {
    auto& d = error(span_of(type), "dsl.type", parsed.status().message());
    if (!parsed.status().hint().empty()) d.help.push_back(parsed.status().hint());
    for (const auto& item : fields.items) lost_.insert(item.text);
    return;
  }
  plan::Derive derive;
  Columns out = columns();
  for (const auto& item : fields.items) {
    const int at = column(item.text, span_of(fields, item));
    if (at < 0) continue;
    TextAt text;
    text.text = fmt::format("cast({} as {})", quote_field(name_at(at)), parsed->to_string());
    text.span = span_of(fields, item);
    text.exact = false;
    set_field(name_at(at), text.span, text, &derive.items, &out);
  }
  if (!derive.items.empty()) advance(std::move(derive), "cast", std::move(out));
}

void ScenarioCompiler::protect(Meaning meaning) {
  if (!known()) return;
  const Capture& fields = *capture("fields");
  const Capture* method = capture("method");
  if (method != nullptr && method->text != "hash" && method->text != "tokenise") {
    const auto parsed = expr::MaskMethod::parse(method->text);
    if (!parsed.ok()) {
      auto& d = error(span_of(*method), "dsl.mask", parsed.status().message());
      if (!parsed.status().hint().empty()) d.help.push_back(parsed.status().hint());
      return;
    }
  }
  plan::Derive derive;
  Columns out = columns();
  for (const auto& item : fields.items) {
    const int at = column(item.text, span_of(fields, item));
    if (at < 0) continue;
    const plan::ColumnInfo& before = columns()[static_cast<size_t>(at)];
    std::string how = meaning == Meaning::kHash ? "hash" : meaning == Meaning::kTokenise ? "tokenise" : "";
    if (how.empty()) how = method != nullptr ? method->text : plan::shown_mask(before);
    if (how != "hash" && how != "tokenise" && !expr::MaskMethod::parse(how).ok()) how = "all";
    std::string value = quote_field(name_at(at));
    if (before.field.type.id() != columnar::TypeId::kString) value = "cast(" + value + " as string)";
    TextAt text;
    text.text =
        how == "hash" || how == "tokenise" ? how + "(" + value + ")" : fmt::format("mask({}, \"{}\")", value, how);
    text.span = span_of(fields, item);
    text.exact = false;
    set_field(name_at(at), text.span, text, &derive.items, &out);
  }
  const char* name = meaning == Meaning::kHash ? "hash" : meaning == Meaning::kTokenise ? "tokenise" : "mask";
  if (!derive.items.empty()) advance(std::move(derive), name, std::move(out));
}

// ---- branches -------------------------------------------------------------------------------------------------------

void ScenarioCompiler::split_step() {
  if (!known() || !table_width(2)) return;
  const auto& table = step_->step->table;
  plan::Split split;
  split.first_match_only = step_->bound->pattern == 0;
  std::vector<std::pair<std::string, Span>> added;
  bool good = true, otherwise = false;
  for (size_t i = 0; i < table.size(); ++i) {
    const auto& row = table[i];
    if (i == 0 && header_row(row, {"branch", "name"}, {"condition", "when"})) continue;
    plan::Split::Branch b;
    b.name = row[0].text;
    if (b.name.empty()) {
      error(row[0].span, "dsl.name", "a branch needs a name");
      good = false;
    }
    const bool again = branches_.count(b.name) != 0 ||
                       std::any_of(added.begin(), added.end(), [&](const auto& a) { return a.first == b.name; });
    if (again) {
      error(row[0].span, "dsl.duplicate_name", fmt::format("there is a branch named `{}` already", b.name));
      good = false;
    }
    if (otherwise) {
      error(row[0].span, "dsl.branch", "no record comes this far: `otherwise` above takes all that is left");
      good = false;
    }
    if (equals_ignore_case(row[1].text, "otherwise")) {
      otherwise = true;
    } else {
      b.condition = expression(row[1], "a branch");
      good = good && b.condition.valid();
    }
    added.emplace_back(b.name, row[0].span);
    split.branches.push_back(std::move(b));
  }
  if (split.branches.empty()) {
    error(step_span(), "dsl.table", "a split needs at least one branch");
    good = false;
  }
  if (!good) {
    flow_.unknown = true;
    return;
  }
  advance(std::move(split), "split", Columns(columns()));
  const OperatorId id = flow_.at->from;
  for (uint32_t port = 0; port < added.size(); ++port) {
    branches_[added[port].first] = Branch{Input{id, port}, added[port].second, false};
  }
  flow_.at.reset();
}

std::optional<Input> ScenarioCompiler::branch(const Capture& name) {
  const auto it = branches_.find(name.text);
  if (it != branches_.end()) {
    it->second.used = true;
    return it->second.at;
  }
  if (flow_.unknown) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& [n, b] : branches_) names.push_back(n);
  auto& d = error(span_of(name), "dsl.branch", fmt::format("there is no branch `{}`", name.text));
  const auto near = nearest(name.text, names);
  if (!near.empty())
    d.help.push_back("did you mean `" + near[0] + "`?");
  else
    d.help.push_back(names.empty() ? "no step above splits the records" : "branches are " + join(names, ", "));
  return std::nullopt;
}

void ScenarioCompiler::take_branch() {
  if (!flow_.started && !have_records()) return;
  const auto at = branch(*capture("branch"));
  if (at)
    flow_.at = at;
  else
    flow_.unknown = true;
}

}  // namespace runink::dsl
