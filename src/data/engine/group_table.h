// GroupTable: groups and the states of their aggregates, in memory up to a share of the budget, then on disk.
//
// Aggregates are of two kinds. The state of most is small, whatever the number of rows: count, sum, min, first … Those
// that keep every value of a group (quantile, distinct_count, list: "keepers") can make one group outgrow any memory.
//
//   * A table that is too large sets its groups aside: small states and kept values as rows, each in partitions by the
//     hash of the key. finish() then works off one partition after the other, dividing it again where it is too large.
//   * Where that would not help, because few groups have very many values (or there are no keys), kept values go to an
//     external sort instead (SortedValues): by group and value, or by group alone for list, whose values stay in the
//     order they came. finish() reads groups and sorted values side by side.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/stop.h"
#include "data/columnar/builder.h"
#include "data/columnar/row_key.h"
#include "data/engine/held_rows.h"
#include "data/engine/key_table.h"
#include "data/engine/partitions.h"
#include "data/expr/aggregate.h"
#include "data/plan/plan.h"

namespace runink::engine {

// Types and schemas that all tables of one operator share.
struct GroupShape {
  GroupShape(const plan::Group& group, std::string folder, const StopFlag* stop);
  Status check_stop() const;
  bool has_keys() const { return !key_types.empty(); }

  std::vector<columnar::DataType> key_types;
  std::vector<expr::AggregateSpec> aggregates;
  bool order_sensitive = false;
  std::vector<size_t> small, keepers;   // places among the aggregates
  std::vector<size_t> quantiles;        // places among the keepers
  columnar::KeyEncoder encoder;         // of the keys
  columnar::KeyEncoder place_encoder;   // of the hash and the keys: the order of sorted values
  SchemaPtr states;                     // keys, size (uint64), state (bytes), ordinal: a group set aside
  SchemaPtr groups;                     // keys, one column per aggregate, size, error (text, or null): what a group
                                        // comes to, or why it comes to nothing
  SchemaPtr groups_wide;                // the same and the ordinal
  SchemaPtr places;                     // hash and keys (if any), a column per small aggregate, size, per quantile the
                                        // number of its values, error, ordinal: groups on their way to their sorted
                                        // values
  std::vector<SchemaPtr> values;        // per keeper: hash and keys (if any), value; of a list always with a hash
  std::string folder;
  const StopFlag* stop = nullptr;
};

// Evaluated keys and arguments of some rows.
struct GroupInput {
  int64_t rows = 0;
  std::vector<columnar::Column> keys;
  std::vector<columnar::Column> arguments;  // one per aggregate; of count() an empty column
  std::vector<uint64_t> ordinals;
};

using BatchOut = std::function<Status(Batch)>;

class GroupTable {
 public:
  // `shape` must outlive the table. Level 0 is a table of rows; deeper ones are of partitions.
  GroupTable(const GroupShape& shape, uint64_t memory_bytes_max, int level, bool small_only = false);

  Status add(const GroupInput& in);
  // Everything of `other` (of level 0 too), whose rows come after those here. It is used up.
  Status merge(GroupTable& other);
  void set_memory(uint64_t memory_bytes_max);

  bool empty() const { return first_seen_.empty(); }
  bool spilled() const { return own_.states != nullptr || !asides_.empty() || sorting_; }
  uint64_t spilled_bytes() const { return spilled_; }  // after finish()

  // Calls back with all groups (schema groups_wide; the ordinal is that of the first row), in batches, in no order across
  // partitions. The table is used up.
  Status finish(const BatchOut& out);

 private:
  // Groups on disk.
  struct Aside {
    std::unique_ptr<Partitions> states;
    std::vector<std::unique_ptr<Partitions>> values;  // per keeper
  };
  void begin();
  void new_group(uint64_t ordinal);
  void number_rows(const std::vector<columnar::Column>& keys, int64_t rows, const uint64_t* ordinals);
  const columnar::Column& key_column(size_t k);
  size_t small_bytes() const;
  size_t kept_bytes() const;
  bool over_budget() const;
  Status too_large() const;

  Status make_room();
  Status start_sorting();
  Status sort_partitioned(size_t keeper, Partitions& values);
  Status set_aside();
  using ValuesOut = std::function<Status(Batch, const std::vector<int32_t>& groups)>;
  Status put_values(size_t keeper, const ValuesOut& out);
  std::vector<uint64_t> hashes_of(const std::vector<int32_t>& groups) const;
  Status sort_values();
  Batch state_rows(uint32_t first, int64_t count, std::vector<uint64_t>* hashes);
  Status add_states(const Batch& states);
  Status add_values(size_t keeper, const Batch& values);
  Status read_asides(size_t partition, GroupTable& into);
  Status close_asides();

  Status finish_groups(const BatchOut& out);
  Status finish_places(const BatchOut& out);
  Status finish_memory(bool as_places, const BatchOut& out);
  Status finish_sorted(const BatchOut& out);

  const GroupShape& shape_;
  uint64_t memory_max_;
  const int level_;
  const bool small_only_;  // kept values are sorted by a table above this one
  KeyTable table_;
  std::vector<columnar::ColumnBuilder> keys_;
  std::vector<columnar::Column> keys_done_;  // of the groups before those in keys_
  std::vector<uint64_t> first_seen_, sizes_;
  std::vector<std::unique_ptr<expr::Accumulator>> accumulators_;
  std::vector<std::vector<uint64_t>> sorted_counts_;  // per quantile and group: values that went to the sorter
  Aside own_;
  std::vector<Aside> asides_;  // of tables merged into this one
  bool sorting_ = false;
  std::vector<std::unique_ptr<ExternalSorter>> sorters_;  // per keeper
  uint64_t spilled_ = 0;
  columnar::RowKeys row_keys_;
  std::vector<uint32_t> group_;
};

// Sorted values of one keeper, read group by group.
class SortedValues {
 public:
  SortedValues(const GroupShape& shape, size_t keeper, BatchList::Next next, uint64_t list_bytes_max);
  // Appends the result for the group whose place (row `place` of `places`, encoded) is the next one; `count` is the number
  // of its values, of a quantile only.
  Status append_result(std::string_view place, uint64_t count, columnar::ColumnBuilder& out);
  size_t list_bytes() const { return list_bytes_; }  // of the list appended last

 private:
  Result<bool> at_group(std::string_view place);  // whether the value at hand is of this group
  Status append_quantile(std::string_view place, uint64_t count, columnar::ColumnBuilder& out);
  Status append_distinct_count(std::string_view place, columnar::ColumnBuilder& out);
  Status append_list(std::string_view place, columnar::ColumnBuilder& out);
  const columnar::Column& value_column() const { return batch_.columns.back(); }

  const GroupShape& shape_;
  const expr::AggregateSpec& spec_;
  BatchList::Next next_;
  const uint64_t list_bytes_max_;
  columnar::KeyEncoder value_encoder_;
  Batch batch_;
  columnar::RowKeys places_, values_;
  int64_t row_ = 0;
  bool ended_ = false;
  size_t list_bytes_ = 0;
};

}  // namespace runink::engine
