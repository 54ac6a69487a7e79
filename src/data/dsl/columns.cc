#include "data/dsl/columns.h"

#include <algorithm>
#include <set>

#include "data/columnar/open_column.h"
#include "data/contract/redact.h"
#include "data/plan/pii.h"

namespace runink::dsl {

using plan::ColumnInfo;
using plan::PiiSource;

columnar::SchemaPtr schema_of(const Columns& columns) {
  std::vector<columnar::Field> fields;
  fields.reserve(columns.size());
  for (const auto& c : columns) fields.push_back(c.field);
  return std::make_shared<const columnar::Schema>(std::move(fields));
}

int index_of(const Columns& columns, std::string_view name) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].field.name == name) return static_cast<int>(i);
  }
  return -1;
}

bool is_short_name(const ColumnInfo& column, std::string_view name) {
  const std::string& whole = column.field.name;
  if (name.empty() || name.size() >= whole.size() || !whole.ends_with(name)) return false;
  const size_t begin = whole.size() - name.size();
  return begin <= column.qualifier && whole[begin - 1] == '.';
}

expr::Scope scope_of(const Columns& columns) {
  expr::Scope scope(schema_of(columns));
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::string& whole = columns[i].field.name;
    for (size_t begin = 1; begin <= columns[i].qualifier; ++begin) {
      if (whole[begin - 1] == '.') scope.short_names.emplace_back(whole.substr(begin), static_cast<int>(i));
    }
  }
  return scope;
}

std::vector<std::string> names_of(const Columns& columns) {
  std::vector<std::string> out;
  for (const auto& c : columns) out.push_back(c.field.name);
  return out;
}

std::vector<PiiSource> pii_of(const contract::Contract& contract, const contract::ContractField& field) {
  if (!contract::mask_of(field) && !field.holds_pii()) return {};
  return {{contract.name, field.name, field.mask, field.access}};
}

Columns source_columns(plan::OperatorId source, const contract::Contract& contract) {
  Columns out;
  for (size_t i = 0; i < contract.fields.size(); ++i) {
    const auto& field = contract.fields[i];
    ColumnInfo c;
    c.field = contract.schema->field(i);
    c.field.nullable = !field.default_value.has_value();  // `required` holds only once it is checked
    // A default or a coerced value is not what the record's text says.
    if (!field.default_value && !field.coerce) c.unchanged_from = {source, static_cast<uint32_t>(i)};
    c.pii = pii_of(contract, field);
    c.lineage = {{source, field.name, "IDENTITY", false}};
    out.push_back(std::move(c));
  }
  return out;
}

Columns source_columns(plan::OperatorId source, const columnar::Schema& schema) {
  Columns out;
  for (size_t i = 0; i < schema.size(); ++i) {
    ColumnInfo c;
    c.field = schema.field(i);
    c.field.nullable = true;  // the head of a file says nothing of the rest
    c.unchanged_from = {source, static_cast<uint32_t>(i)};
    c.lineage = {{source, c.field.name, "IDENTITY", false}};
    out.push_back(std::move(c));
  }
  return out;
}

ColumnInfo open_source_column(plan::OperatorId source, size_t index) {
  ColumnInfo c;
  c.field = {std::string(columnar::kOpenColumn), columnar::TypeId::kJson, true, "", ""};
  c.unchanged_from = {source, static_cast<uint32_t>(index)};
  c.lineage = {{source, c.field.name, "IDENTITY", false}};
  return c;
}

void add_pii(const std::vector<PiiSource>& from, bool derived, std::vector<PiiSource>* to) {
  for (PiiSource p : from) {
    p.derived = p.derived || derived;
    if (std::find(to->begin(), to->end(), p) == to->end()) to->push_back(p);
  }
}

void add_origins(const std::vector<ColumnInfo::Origin>& from, const char* how, bool masked,
                 std::vector<ColumnInfo::Origin>* to) {
  const auto strength = [](std::string_view h) { return h == "AGGREGATION" ? 2 : h == "TRANSFORMATION" ? 1 : 0; };
  for (ColumnInfo::Origin origin : from) {
    if (how != nullptr && strength(how) > strength(origin.how)) origin.how = how;
    origin.masked = origin.masked || masked;
    const auto same = std::find_if(
        to->begin(), to->end(), [&](const auto& o) { return o.source == origin.source && o.column == origin.column; });
    if (same == to->end()) {
      to->push_back(std::move(origin));
    } else {
      if (strength(origin.how) > strength(same->how)) same->how = origin.how;
      same->masked = same->masked && origin.masked;
    }
  }
  std::sort(to->begin(), to->end());
}

namespace {

bool contains(const std::vector<int>& list, int column) {
  return std::find(list.begin(), list.end(), column) != list.end();
}

bool was_computed(const ColumnInfo& column) {
  return std::any_of(column.pii.begin(), column.pii.end(), [](const auto& p) { return p.derived; });
}

// Adds what the columns read give to the result, those not revealed as masked ones. A part of a value that an earlier
// step computed may be anything of the field.
void follow(const Columns& in, const std::vector<int>& read, const std::vector<int>& revealed,
            const expr::PartMasks& parts, const char* how, ColumnInfo* out) {
  for (const int c : read) {
    const auto& column = in[static_cast<size_t>(c)];
    const bool shown = contains(revealed, c) || (contains(parts.fields, c) && was_computed(column));
    if (shown) add_pii(column.pii, true, &out->pii);
    add_origins(column.lineage, how, !shown, &out->lineage);
  }
}

}  // namespace

ColumnInfo column_of(const Columns& in, const expr::TypedExpr& value, std::string name) {
  const int plain = value.column_if_plain();
  if (plain >= 0) {
    ColumnInfo out = in[static_cast<size_t>(plain)];
    if (out.field.name != name) out.qualifier = 0;
    out.field.name = std::move(name);
    return out;
  }
  ColumnInfo out;
  out.field.name = std::move(name);
  out.field.type = value.type();
  out.field.nullable = value.nullable();
  follow(in, value.columns(), expr::taint(value, value.columns()), expr::part_masks(value), "TRANSFORMATION", &out);
  return out;
}

ColumnInfo column_of(const Columns& in, const expr::AggregateExpr& value, const Columns& keys,
                     const std::vector<expr::TypedExpr>& key_values, std::string name) {
  ColumnInfo out;
  out.field.name = std::move(name);
  out.field.type = value.result.type();
  out.field.nullable = value.result.nullable();
  std::vector<int> read;
  for (const auto& a : value.aggregates) {
    if (!a.argument.valid()) continue;
    for (const int c : a.argument.columns()) {
      if (std::find(read.begin(), read.end(), c) == read.end()) read.push_back(c);
    }
  }
  std::vector<std::vector<int>> key_taint;
  for (const auto& k : key_values) key_taint.push_back(expr::taint(k, k.columns()));
  std::vector<int> all = read;
  for (const auto& k : key_values) {
    for (const int c : k.columns()) {
      if (std::find(all.begin(), all.end(), c) == all.end()) all.push_back(c);
    }
  }
  std::sort(all.begin(), all.end());
  follow(in, read, expr::taint(value, all, key_taint), expr::part_masks(value, static_cast<int>(keys.size())),
         "AGGREGATION", &out);
  for (const int c : value.result.columns()) {
    if (static_cast<size_t>(c) >= keys.size()) continue;  // an aggregate
    add_pii(keys[static_cast<size_t>(c)].pii, true, &out.pii);
    add_origins(keys[static_cast<size_t>(c)].lineage, "TRANSFORMATION", false, &out.lineage);
  }
  return out;
}

bool masked_in_vain(const Columns& in, const expr::PartMasks& parts) {
  const auto any = [&](const std::vector<int>& list, bool computed) {
    return std::any_of(list.begin(), list.end(), [&](int c) {
      const auto& column = in[static_cast<size_t>(c)];
      return computed ? was_computed(column) : !column.pii.empty();
    });
  };
  return any(parts.computed, false) || any(parts.fields, true);
}

std::string sink_mask(const ColumnInfo& column, bool* derived) {
  *derived = false;
  if (column.pii.empty()) return "";
  *derived = std::any_of(column.pii.begin(), column.pii.end(), [](const auto& p) { return p.derived; });
  return plan::shown_mask(column);
}

std::optional<std::pair<std::string, std::string>> nesting_conflict(const Columns& columns) {
  std::set<std::string_view> names;
  for (const auto& c : columns) names.insert(c.field.name);
  for (const std::string_view name : names) {
    for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
      const std::string_view outer = name.substr(0, dot);
      if (names.contains(outer)) return std::make_pair(std::string(outer), std::string(name));
    }
  }
  return std::nullopt;
}

std::string quote_field(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`') out += '`';
    out += c;
  }
  return out + "`";
}

}  // namespace runink::dsl
