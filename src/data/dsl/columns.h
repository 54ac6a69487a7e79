// What the compiler knows of columns, and how it follows them through expressions. Internal to the compiler.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/expr/aggregate.h"
#include "data/expr/part_masks.h"
#include "data/plan/plan.h"

namespace runink::dsl {

using Columns = std::vector<plan::ColumnInfo>;

columnar::SchemaPtr schema_of(const Columns& columns);
int index_of(const Columns& columns, std::string_view name);  // -1 when absent
// Whether `name` is a short name of the column: `city` or `here.city` of `airports.here.city`, where those were joined.
bool is_short_name(const plan::ColumnInfo& column, std::string_view name);
// Where the columns' names and short names are looked up.
expr::Scope scope_of(const Columns& columns);
std::vector<std::string> names_of(const Columns& columns);

// Columns of a source: of its contract, before it was checked, or of an inferred schema.
Columns source_columns(plan::OperatorId source, const contract::Contract& contract);
Columns source_columns(plan::OperatorId source, const columnar::Schema& schema);
// What an open contract does not name, all of it in one column.
plan::ColumnInfo open_source_column(plan::OperatorId source, size_t index);

// The pii that a contract says is in its field; empty when it says none.
std::vector<plan::PiiSource> pii_of(const contract::Contract& contract, const contract::ContractField& field);

// The column that an expression over `in` gives.
plan::ColumnInfo column_of(const Columns& in, const expr::TypedExpr& value, std::string name);
// The same for an expression with aggregates; `keys` are the columns of the group's keys.
plan::ColumnInfo column_of(const Columns& in, const expr::AggregateExpr& value, const Columns& keys,
                           const std::vector<expr::TypedExpr>& key_values, std::string name);

// Adds sources of pii, marked as derived when the value is computed from theirs.
void add_pii(const std::vector<plan::PiiSource>& from, bool derived, std::vector<plan::PiiSource>* to);
// Adds origins, joined with those already there: the stronger `how` wins, masked only where both are.
void add_origins(const std::vector<plan::ColumnInfo::Origin>& from, const char* how, bool masked,
                 std::vector<plan::ColumnInfo::Origin>* to);

// Whether a mask that shows a part is applied to a value computed from pii, and so protects nothing.
bool masked_in_vain(const Columns& in, const expr::PartMasks& parts);

// How a column must be masked at a sink: "" not at all. `derived` says that the value was computed from pii.
std::string sink_mask(const plan::ColumnInfo& column, bool* derived);

// Two names that one JSON object cannot hold: `u`, and `u.id`, which NDJSON writes inside `u`. Empty where there are none.
std::optional<std::pair<std::string, std::string>> nesting_conflict(const Columns& columns);

// A field's name as an expression can name it, in back quotes.
std::string quote_field(std::string_view name);

}  // namespace runink::dsl
