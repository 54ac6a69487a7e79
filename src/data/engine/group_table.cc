#include "data/engine/group_table.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "data/columnar/kernels.h"
#include "platform/os/allocator.h"

namespace runink::engine {

using columnar::Column;
using columnar::kBatchRows;
using columnar::TypeId;

namespace {
// With this many bytes of kept values per group, dividing groups helps less than sorting values.
constexpr size_t kBytesPerGroupSorted = 4096;
constexpr uint64_t kWorthReturning = 8 << 20;
constexpr size_t kPieceBytes = 64 << 10;  // of kept values that are put on their way together

columnar::Field field(std::string name, columnar::DataType type, bool nullable) {
  return {std::move(name), std::move(type), nullable, "", ""};
}
SchemaPtr schema_of(std::vector<columnar::Field> fields) { return std::make_shared<columnar::Schema>(std::move(fields)); }

Column numbers(const std::vector<uint64_t>& values) {
  Column out = columnar::make_fixed_column(TypeId::kUInt64, static_cast<int64_t>(values.size()));
  if (!values.empty()) std::memcpy(out.values->data(), values.data(), values.size() * sizeof(uint64_t));
  return out;
}
}  // namespace

GroupShape::GroupShape(const plan::Group& group, std::string folder_name, const StopFlag* stop_flag)
    : aggregates(group.aggregates), folder(std::move(folder_name)), stop(stop_flag) {
  std::vector<columnar::Field> keys;
  std::vector<columnar::KeyPart> parts, place_parts = {{TypeId::kUInt64, false, false}};
  for (const auto& k : group.keys) {
    key_types.push_back(k.value.type());
    parts.push_back({k.value.type(), false, true});
    place_parts.push_back(parts.back());
    keys.push_back(field(k.name, k.value.type(), true));
  }
  encoder = columnar::KeyEncoder(std::move(parts));
  place_encoder = columnar::KeyEncoder(std::move(place_parts));
  for (size_t a = 0; a < aggregates.size(); ++a) {
    order_sensitive = order_sensitive || aggregates[a].order_sensitive;
    if (!expr::keeps_values(aggregates[a].function)) {
      small.push_back(a);
      continue;
    }
    if (aggregates[a].function == expr::AggregateFunction::kQuantile) quantiles.push_back(keepers.size());
    keepers.push_back(a);
  }

  auto fields = keys;
  fields.push_back(field("#size", TypeId::kUInt64, false));
  fields.push_back(field("#state", TypeId::kBytes, false));
  states = with_ordinal(schema_of(std::move(fields)));

  fields = keys;
  for (size_t a = 0; a < aggregates.size(); ++a) fields.push_back(field(fmt::format("#{}", a), aggregates[a].result_type, true));
  fields.push_back(field("#size", TypeId::kUInt64, false));
  fields.push_back(field("#error", TypeId::kString, true));
  groups = schema_of(std::move(fields));
  groups_wide = with_ordinal(groups);

  std::vector<columnar::Field> place;
  if (has_keys()) place.push_back(field("#hash", TypeId::kUInt64, false));
  place.insert(place.end(), keys.begin(), keys.end());
  for (const size_t a : keepers) {
    fields = place;
    // A sort needs something to sort by.
    if (!has_keys() && aggregates[a].function == expr::AggregateFunction::kList) fields.push_back(field("#hash", TypeId::kUInt64, false));
    fields.push_back(field("#value", expr::kept_type(aggregates[a]), false));
    values.push_back(schema_of(std::move(fields)));
  }
  for (const size_t a : small) place.push_back(field(fmt::format("#{}", a), aggregates[a].result_type, true));
  place.push_back(field("#size", TypeId::kUInt64, false));
  for (const size_t q : quantiles) place.push_back(field(fmt::format("#count{}", q), TypeId::kUInt64, false));
  place.push_back(field("#error", TypeId::kString, true));
  places = with_ordinal(schema_of(std::move(place)));
}

Status GroupShape::check_stop() const {
  if (stop != nullptr && stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
  return {};
}

GroupTable::GroupTable(const GroupShape& shape, uint64_t memory_bytes_max, int level, bool small_only)
    : shape_(shape), memory_max_(memory_bytes_max), level_(level), small_only_(small_only) {
  begin();
}

void GroupTable::begin() {
  table_.clear();
  keys_.clear();
  for (const auto& t : shape_.key_types) keys_.emplace_back(t);
  keys_done_.assign(shape_.key_types.size(), Column());
  first_seen_ = {};
  sizes_ = {};
  accumulators_.clear();
  for (const auto& a : shape_.aggregates) accumulators_.push_back(expr::make_accumulator(a));
  sorted_counts_.assign(shape_.quantiles.size(), {});
}

void GroupTable::set_memory(uint64_t memory_bytes_max) {
  memory_max_ = memory_bytes_max;
  for (auto& s : sorters_) s->set_memory(memory_max_ / 2 / sorters_.size());
}

// ---- rows in ----------------------------------------------------------------------------------------------------------

void GroupTable::new_group(uint64_t ordinal) {
  first_seen_.push_back(ordinal);
  sizes_.push_back(0);
}

// Sets group_[r] for each row, making new groups.
void GroupTable::number_rows(const std::vector<Column>& keys, int64_t rows, const uint64_t* ordinals) {
  group_.resize(static_cast<size_t>(rows));
  if (!shape_.has_keys()) {
    if (rows > 0 && first_seen_.empty()) new_group(ordinals[0]);
    for (int64_t r = 0; r < rows; ++r) {
      group_[static_cast<size_t>(r)] = 0;
      first_seen_[0] = std::min(first_seen_[0], ordinals[r]);
    }
    return;
  }
  std::vector<const Column*> columns;
  for (const auto& k : keys) columns.push_back(&k);
  shape_.encoder.encode(columns, &row_keys_);
  for (int64_t r = 0; r < rows; ++r) {
    const std::string_view key = row_keys_[r];
    bool inserted = false;
    const uint32_t g = table_.insert(columnar::hash_bytes(key), key, &inserted);
    group_[static_cast<size_t>(r)] = g;
    if (inserted) {
      new_group(ordinals[r]);
      for (size_t k = 0; k < keys.size(); ++k) keys_[k].append_from(keys[k], r);
    } else if (ordinals[r] < first_seen_[g]) {
      first_seen_[g] = ordinals[r];
    }
  }
}

Status GroupTable::add(const GroupInput& in) {
  const auto argument = [&](size_t a) { return in.arguments[a].length == in.rows ? &in.arguments[a] : nullptr; };
  if (!shape_.has_keys()) {
    if (first_seen_.empty()) new_group(in.ordinals.empty() ? 0 : in.ordinals[0]);
    for (auto& a : accumulators_) a->resize(1);
    if (in.rows == 0) return {};
    first_seen_[0] = std::min(first_seen_[0], in.ordinals[0]);
    sizes_[0] += static_cast<uint64_t>(in.rows);
    for (size_t a = 0; a < accumulators_.size(); ++a) accumulators_[a]->update_one(0, in.rows, argument(a));
    return over_budget() ? make_room() : Status();
  }
  number_rows(in.keys, in.rows, in.ordinals.data());
  for (int64_t r = 0; r < in.rows; ++r) ++sizes_[group_[static_cast<size_t>(r)]];
  for (size_t a = 0; a < accumulators_.size(); ++a) {
    accumulators_[a]->resize(first_seen_.size());
    accumulators_[a]->update(group_.data(), in.rows, argument(a));
  }
  return over_budget() ? make_room() : Status();
}

// The keys of all groups, as a column.
const Column& GroupTable::key_column(size_t k) {
  if (keys_[k].length() == 0 && keys_done_[k].length > 0) return keys_done_[k];
  Column fresh = keys_[k].finish();
  if (keys_done_[k].length == 0) {
    keys_done_[k] = std::move(fresh);
  } else {
    const Column both[] = {std::move(keys_done_[k]), std::move(fresh)};
    auto joined = columnar::concat(std::span<const Column>(both));
    RUNINK_CHECK(joined.ok());  // a table is far smaller than 2 GiB of text
    keys_done_[k] = std::move(*joined);
  }
  return keys_done_[k];
}

// ---- memory -------------------------------------------------------------------------------------------------------------

size_t GroupTable::small_bytes() const {
  size_t bytes = table_.memory_bytes() + first_seen_.capacity() * 16;
  for (const auto& t : shape_.key_types) bytes += t.width() > 0 ? first_seen_.size() * static_cast<size_t>(t.width()) : table_.key_bytes();
  for (const size_t a : shape_.small) bytes += accumulators_[a]->memory_bytes();
  return bytes;
}
size_t GroupTable::kept_bytes() const {
  size_t bytes = 0;
  for (const size_t a : shape_.keepers) bytes += accumulators_[a]->memory_bytes();
  return bytes;
}
// Half the share, as tables double when they grow; kept values count twice, since results hold them again. Where values
// are sorted, the sorters have the other half.
bool GroupTable::over_budget() const {
  return small_bytes() + 2 * kept_bytes() > (sorting_ ? memory_max_ / 4 : memory_max_ / 2);
}
Status GroupTable::too_large() const {
  return resource_exhausted("the state of one group alone needs more than the memory that this step may use ({} bytes)", memory_max_)
      .with_hint("give the run more memory (--memory, or memory_budget in runink.toml)");
}

Status GroupTable::make_room() {
  if (!small_only_ && !shape_.keepers.empty()) {
    const bool few = !shape_.has_keys() || level_ >= kPartitionLevelsMax ||
                     kept_bytes() >= first_seen_.size() * kBytesPerGroupSorted;
    if (!sorting_ && few) RUNINK_RETURN_IF_ERROR(start_sorting());
    if (sorting_) {
      RUNINK_RETURN_IF_ERROR(sort_values());
      if (!over_budget()) return {};
    }
  }
  if (!shape_.has_keys()) return small_bytes() > memory_max_ ? too_large() : Status();
  if (level_ >= kPartitionLevelsMax) return too_large();
  return set_aside();
}

// From now on kept values are sorted.
Status GroupTable::start_sorting() {
  sorting_ = true;
  for (size_t k = 0; k < shape_.keepers.size(); ++k) {
    std::vector<ExternalSorter::Key> keys;
    const size_t columns = shape_.values[k]->size();
    const bool list = shape_.aggregates[shape_.keepers[k]].function == expr::AggregateFunction::kList;
    for (size_t c = 0; c < columns - (list ? 1 : 0); ++c) keys.push_back({c, false, c == 0 || c + 1 == columns});
    sorters_.push_back(std::make_unique<ExternalSorter>(shape_.folder, shape_.values[k], std::move(keys),
                                                        memory_max_ / 2 / shape_.keepers.size()));
  }
  // Values that were set aside before come first, so that lists stay in order.
  for (auto& aside : asides_) {
    for (size_t k = 0; k < aside.values.size(); ++k) RUNINK_RETURN_IF_ERROR(sort_partitioned(k, *aside.values[k]));
    aside.values.clear();
  }
  for (size_t k = 0; k < own_.values.size(); ++k) {
    RUNINK_RETURN_IF_ERROR(own_.values[k]->finish());
    spilled_ += own_.values[k]->spilled_bytes();
    RUNINK_RETURN_IF_ERROR(sort_partitioned(k, *own_.values[k]));
  }
  own_.values.clear();
  for (auto& a : accumulators_) a->resize(first_seen_.size());
  return {};
}

Status GroupTable::sort_partitioned(size_t keeper, Partitions& partitions) {
  const auto q = std::find(shape_.quantiles.begin(), shape_.quantiles.end(), keeper);
  for (size_t p = 0; p < kPartitions; ++p) {
    if (partitions.empty(p)) continue;
    auto next = partitions.read(p);
    for (;;) {
      RUNINK_RETURN_IF_ERROR(shape_.check_stop());
      auto values = RUNINK_TRY(next());
      if (!values) break;
      if (q != shape_.quantiles.end()) {
        const std::vector<Column> key_columns(values->columns.begin() + 1, values->columns.end() - 1);
        const std::vector<uint64_t> unknown(static_cast<size_t>(values->rows), UINT64_MAX);
        number_rows(key_columns, values->rows, unknown.data());
        auto& counts = sorted_counts_[static_cast<size_t>(q - shape_.quantiles.begin())];
        counts.resize(first_seen_.size());
        for (const uint32_t g : group_) ++counts[g];
      }
      RUNINK_RETURN_IF_ERROR(sorters_[keeper]->add(std::move(*values)));
    }
    partitions.drop(p);
  }
  return {};
}

// Calls back with the values that a keeper holds, as batches of values[keeper], and the numbers of their groups.
Status GroupTable::put_values(size_t keeper, const ValuesOut& out) {
  const auto& accumulator = *accumulators_[shape_.keepers[keeper]];
  const expr::ValueKeeper& values = *accumulator.values();
  columnar::ColumnBuilder builder(expr::kept_type(shape_.aggregates[shape_.keepers[keeper]]));
  const bool text = builder.type().is_text();
  const bool hashed = shape_.values[keeper]->size() == keys_.size() + 2;
  std::vector<int32_t> groups;
  const auto flush = [&]() -> Status {
    Batch batch;
    batch.rows = builder.length();
    if (batch.rows == 0) return {};
    batch.schema = shape_.values[keeper];
    if (hashed) batch.columns.push_back(numbers(hashes_of(groups)));
    for (size_t k = 0; k < keys_.size(); ++k) batch.columns.push_back(columnar::gather(key_column(k), groups));
    batch.columns.push_back(builder.finish());
    RUNINK_RETURN_IF_ERROR(out(std::move(batch), groups));
    groups.clear();
    return {};
  };
  for (uint32_t g = 0; g < accumulator.groups(); ++g) {
    size_t at = 0;
    for (bool more = true; more;) {
      const int64_t before = builder.length();
      more = values.copy_values(g, &at, kBatchRows, kPieceBytes, builder);
      groups.insert(groups.end(), static_cast<size_t>(builder.length() - before), static_cast<int32_t>(g));
      const size_t text_bytes = text ? columnar::ColumnBuilder::kMaxTextBytes - builder.text_room() : 0;
      if (more || builder.length() >= kBatchRows || text_bytes >= kPieceBytes) RUNINK_RETURN_IF_ERROR(flush());
    }
  }
  return flush();
}

std::vector<uint64_t> GroupTable::hashes_of(const std::vector<int32_t>& groups) const {
  std::vector<uint64_t> hashes(groups.size());
  for (size_t i = 0; shape_.has_keys() && i < groups.size(); ++i) hashes[i] = table_.hash(static_cast<uint32_t>(groups[i]));
  return hashes;
}

// Kept values go to their sorters.
Status GroupTable::sort_values() {
  for (size_t k = 0; k < shape_.keepers.size(); ++k) {
    const auto q = std::find(shape_.quantiles.begin(), shape_.quantiles.end(), k);
    std::vector<uint64_t>* counts = nullptr;
    if (q != shape_.quantiles.end()) {
      counts = &sorted_counts_[static_cast<size_t>(q - shape_.quantiles.begin())];
      counts->resize(first_seen_.size());
    }
    RUNINK_RETURN_IF_ERROR(put_values(k, [&](Batch batch, const std::vector<int32_t>& groups) {
      for (size_t i = 0; counts != nullptr && i < groups.size(); ++i) ++(*counts)[static_cast<size_t>(groups[i])];
      return sorters_[k]->add(std::move(batch));
    }));
    auto& accumulator = accumulators_[shape_.keepers[k]];
    accumulator->clear();
    accumulator->resize(first_seen_.size());
  }
  return {};
}

// States of some groups, as rows: of the aggregates that keep nothing, then how many values each quantile has sorted.
Batch GroupTable::state_rows(uint32_t first, int64_t count, std::vector<uint64_t>* hashes) {
  Batch states;
  states.rows = count;
  states.schema = shape_.states;
  for (size_t k = 0; k < keys_.size(); ++k) states.columns.push_back(columnar::slice(key_column(k), first, count));
  columnar::ColumnBuilder bytes(TypeId::kBytes, count);
  std::vector<uint64_t> sizes, ordinals;
  std::string state;
  for (uint32_t g = first; g < first + count; ++g) {
    state.clear();
    for (const size_t a : shape_.small) accumulators_[a]->write(g, state);
    for (const auto& counts : sorted_counts_) {
      const uint64_t n = g < counts.size() ? counts[g] : 0;
      state.append(reinterpret_cast<const char*>(&n), sizeof n);
    }
    bytes.append_text(state);
    sizes.push_back(sizes_[g]);
    ordinals.push_back(first_seen_[g]);
    hashes->push_back(shape_.has_keys() ? table_.hash(g) : 0);
  }
  states.columns.push_back(numbers(sizes));
  states.columns.push_back(bytes.finish());
  states.columns.push_back(numbers(ordinals));
  return states;
}

// All groups go to disk; the table is empty afterwards.
Status GroupTable::set_aside() {
  if (own_.states == nullptr) own_.states = std::make_unique<Partitions>(shape_.folder, shape_.states, level_, memory_max_ / 8);
  if (first_seen_.empty()) return {};
  if (sorting_) {
    RUNINK_RETURN_IF_ERROR(sort_values());
  } else if (!small_only_) {
    for (size_t k = 0; k < shape_.keepers.size(); ++k) {
      if (own_.values.size() == k) {
        own_.values.push_back(std::make_unique<Partitions>(shape_.folder, shape_.values[k], level_, memory_max_ / 8 / shape_.keepers.size()));
      }
      RUNINK_RETURN_IF_ERROR(put_values(k, [&](Batch batch, const std::vector<int32_t>& groups) {
        return own_.values[k]->add(batch, hashes_of(groups).data());
      }));
    }
  }
  const auto n = static_cast<int64_t>(first_seen_.size());
  for (int64_t first = 0; first < n; first += kBatchRows) {
    std::vector<uint64_t> hashes;
    const Batch states = state_rows(static_cast<uint32_t>(first), std::min<int64_t>(kBatchRows, n - first), &hashes);
    RUNINK_RETURN_IF_ERROR(own_.states->add(states, hashes.data()));
  }
  begin();
  if (memory_max_ >= kWorthReturning) os::return_freed_memory();
  return {};
}

// ---- groups set aside, back in ------------------------------------------------------------------------------------------

Status GroupTable::add_states(const Batch& states) {
  const size_t keys = shape_.key_types.size();
  const std::vector<Column> key_columns(states.columns.begin(), states.columns.begin() + static_cast<std::ptrdiff_t>(keys));
  number_rows(key_columns, states.rows, ordinals_of(states));
  for (auto& a : accumulators_) a->resize(first_seen_.size());
  for (auto& counts : sorted_counts_) counts.resize(first_seen_.size());
  const auto* sizes = states.columns[keys].data<uint64_t>();
  for (int64_t r = 0; r < states.rows; ++r) {
    const uint32_t g = group_[static_cast<size_t>(r)];
    sizes_[g] += sizes[r];
    std::string_view bytes = states.columns[keys + 1].text(r);
    for (const size_t a : shape_.small) RUNINK_RETURN_IF_ERROR(accumulators_[a]->read(g, bytes));
    for (auto& counts : sorted_counts_) {
      uint64_t n = 0;
      if (bytes.size() < sizeof n) return data_loss("read groups from disk: a state is too short");
      std::memcpy(&n, bytes.data(), sizeof n);
      bytes.remove_prefix(sizeof n);
      counts[g] += n;
    }
  }
  return over_budget() ? make_room() : Status();
}

Status GroupTable::add_values(size_t keeper, const Batch& values) {
  const std::vector<Column> key_columns(values.columns.begin() + 1, values.columns.end() - 1);  // there are keys
  // Where a group began stands with its state.
  const std::vector<uint64_t> unknown(static_cast<size_t>(values.rows), UINT64_MAX);
  number_rows(key_columns, values.rows, unknown.data());
  for (auto& a : accumulators_) a->resize(first_seen_.size());
  accumulators_[shape_.keepers[keeper]]->update(group_.data(), values.rows, &values.columns.back());
  return over_budget() ? make_room() : Status();
}

Status GroupTable::merge(GroupTable& other) {
  if (spilled() || other.spilled()) {
    // One of them did not fit: what they have on disk is put together, and so are sorted values.
    if (sorting_ || other.sorting_) {
      for (GroupTable* table : {this, &other}) {
        if (!table->sorting_) RUNINK_RETURN_IF_ERROR(table->start_sorting());
        RUNINK_RETURN_IF_ERROR(table->sort_values());
      }
      for (size_t k = 0; k < sorters_.size(); ++k) RUNINK_RETURN_IF_ERROR(sorters_[k]->absorb(*other.sorters_[k]));
      other.sorters_.clear();
    }
    RUNINK_RETURN_IF_ERROR(other.set_aside());
    RUNINK_RETURN_IF_ERROR(other.close_asides());
    for (auto& aside : other.asides_) asides_.push_back(std::move(aside));
    spilled_ += other.spilled_;
    return {};
  }
  const size_t n = other.first_seen_.size();
  if (n == 0) return {};
  std::vector<uint32_t> group_of(n);
  for (uint32_t g = 0; g < n; ++g) {
    bool inserted = false;
    uint32_t here = 0;
    if (!shape_.has_keys()) {
      inserted = first_seen_.empty();
    } else {
      here = table_.insert(other.table_.hash(g), other.table_.key(g), &inserted);
    }
    if (inserted) {
      new_group(other.first_seen_[g]);
      for (size_t k = 0; k < keys_.size(); ++k) keys_[k].append_from(other.key_column(k), g);
    }
    first_seen_[here] = std::min(first_seen_[here], other.first_seen_[g]);
    sizes_[here] += other.sizes_[g];
    group_of[g] = here;
  }
  for (size_t a = 0; a < accumulators_.size(); ++a) {
    accumulators_[a]->resize(first_seen_.size());
    accumulators_[a]->merge(*other.accumulators_[a], group_of.data());
    other.accumulators_[a]->clear();
  }
  return over_budget() ? make_room() : Status();
}

// What was set aside can be read from now on.
Status GroupTable::close_asides() {
  if (own_.states == nullptr) return {};
  RUNINK_RETURN_IF_ERROR(own_.states->finish());
  spilled_ += own_.states->spilled_bytes();
  for (auto& v : own_.values) {
    RUNINK_RETURN_IF_ERROR(v->finish());
    spilled_ += v->spilled_bytes();
  }
  asides_.push_back(std::move(own_));
  own_ = Aside();
  return {};
}

// Reads one partition of all that was set aside. States first: they say where groups began.
Status GroupTable::read_asides(size_t partition, GroupTable& into) {
  for (auto& aside : asides_) {
    if (aside.states->empty(partition)) continue;
    auto next = aside.states->read(partition);
    for (;;) {
      RUNINK_RETURN_IF_ERROR(shape_.check_stop());
      auto states = RUNINK_TRY(next());
      if (!states) break;
      RUNINK_RETURN_IF_ERROR(into.add_states(*states));
    }
    aside.states->drop(partition);
  }
  for (auto& aside : asides_) {
    for (size_t k = 0; k < aside.values.size(); ++k) {
      if (aside.values[k]->empty(partition)) continue;
      auto next = aside.values[k]->read(partition);
      for (;;) {
        RUNINK_RETURN_IF_ERROR(shape_.check_stop());
        auto values = RUNINK_TRY(next());
        if (!values) break;
        RUNINK_RETURN_IF_ERROR(into.add_values(k, *values));
      }
      aside.values[k]->drop(partition);
    }
  }
  return {};
}

// ---- groups out ---------------------------------------------------------------------------------------------------------

Status GroupTable::finish(const BatchOut& out) { return sorting_ ? finish_sorted(out) : finish_groups(out); }

Status GroupTable::finish_groups(const BatchOut& out) {
  if (!spilled()) return finish_memory(false, out);
  RUNINK_RETURN_IF_ERROR(set_aside());
  RUNINK_RETURN_IF_ERROR(close_asides());
  for (size_t p = 0; p < kPartitions; ++p) {
    GroupTable deeper(shape_, memory_max_ - memory_max_ / 4, level_ + 1);
    RUNINK_RETURN_IF_ERROR(read_asides(p, deeper));
    RUNINK_RETURN_IF_ERROR(deeper.finish(out));
    spilled_ += deeper.spilled_;
  }
  return {};
}

// Groups with the small states only, in no order: places.
Status GroupTable::finish_places(const BatchOut& out) {
  if (own_.states == nullptr && asides_.empty()) return finish_memory(true, out);
  RUNINK_RETURN_IF_ERROR(set_aside());
  RUNINK_RETURN_IF_ERROR(close_asides());
  for (size_t p = 0; p < kPartitions; ++p) {
    GroupTable deeper(shape_, memory_max_ / 2, level_ + 1, true);
    RUNINK_RETURN_IF_ERROR(read_asides(p, deeper));
    RUNINK_RETURN_IF_ERROR(deeper.finish_places(out));
    spilled_ += deeper.spilled_;
  }
  return {};
}

Status GroupTable::finish_memory(bool as_places, const BatchOut& out) {
  const size_t n = first_seen_.size();
  if (n == 0) return {};
  std::vector<Column> results;
  std::map<size_t, std::string> errors;  // by group: the first
  for (size_t a = 0; a < accumulators_.size(); ++a) {
    if (as_places && accumulators_[a]->values() != nullptr) continue;
    accumulators_[a]->resize(n);
    results.push_back(RUNINK_TRY(accumulators_[a]->finish(0, n)));
    for (const auto& e : accumulators_[a]->errors()) errors.emplace(static_cast<size_t>(e.row), e.message);
    accumulators_[a]->clear();
  }
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return first_seen_[static_cast<size_t>(a)] < first_seen_[static_cast<size_t>(b)];
  });
  for (size_t first = 0; first < n; first += kBatchRows) {
    const std::span<const int32_t> part(order.data() + first, std::min<size_t>(kBatchRows, n - first));
    const auto chosen = [&](const auto& from) {
      std::vector<uint64_t> values;
      for (const int32_t g : part) values.push_back(from(static_cast<size_t>(g)));
      return values;
    };
    Batch groups;
    groups.rows = static_cast<int64_t>(part.size());
    if (as_places && shape_.has_keys()) {
      groups.columns.push_back(numbers(chosen([&](size_t g) { return table_.hash(static_cast<uint32_t>(g)); })));
    }
    for (size_t k = 0; k < keys_.size(); ++k) groups.columns.push_back(columnar::gather(key_column(k), part));
    for (const auto& r : results) groups.columns.push_back(columnar::gather(r, part));
    groups.columns.push_back(numbers(chosen([&](size_t g) { return sizes_[g]; })));
    for (size_t q = 0; as_places && q < sorted_counts_.size(); ++q) {
      const auto& counts = sorted_counts_[q];
      groups.columns.push_back(numbers(chosen([&](size_t g) { return g < counts.size() ? counts[g] : 0; })));
    }
    columnar::ColumnBuilder wrong(TypeId::kString, groups.rows);
    for (const int32_t g : part) {
      const auto error = errors.empty() ? errors.end() : errors.find(static_cast<size_t>(g));
      error == errors.end() ? wrong.append_null() : wrong.append_text(error->second);
    }
    groups.columns.push_back(wrong.finish());
    groups = add_ordinals(std::move(groups), as_places ? shape_.places : shape_.groups_wide,
                          chosen([&](size_t g) { return first_seen_[g]; }));
    RUNINK_RETURN_IF_ERROR(out(std::move(groups)));
  }
  return {};
}

// Groups and sorted values, both in the order of the groups' hashes and keys, side by side.
Status GroupTable::finish_sorted(const BatchOut& out) {
  RUNINK_RETURN_IF_ERROR(sort_values());
  std::vector<ExternalSorter::Key> by_place;
  const size_t place_columns = shape_.has_keys() ? shape_.key_types.size() + 1 : 0;
  for (size_t c = 0; c < place_columns; ++c) by_place.push_back({c, false, c == 0});
  if (by_place.empty()) by_place.push_back({shape_.places->size() - 1, false, true});  // one group
  ExternalSorter places(shape_.folder, shape_.places, std::move(by_place), memory_max_ / 8);
  RUNINK_RETURN_IF_ERROR(finish_places([&](Batch b) { return places.add(std::move(b)); }));
  begin();

  std::vector<SortedValues> streams;
  for (size_t k = 0; k < sorters_.size(); ++k) {
    streams.emplace_back(shape_, k, RUNINK_TRY(sorters_[k]->finish()), memory_max_ / 4);
    spilled_ += sorters_[k]->spilled_bytes();
  }
  auto next = RUNINK_TRY(places.finish());
  spilled_ += places.spilled_bytes();
  for (;;) {
    auto batch = RUNINK_TRY(next());
    if (!batch) break;
    columnar::RowKeys keys;
    if (shape_.has_keys()) {
      std::vector<const Column*> columns;
      for (size_t c = 0; c < place_columns; ++c) columns.push_back(&batch->columns[c]);
      shape_.place_encoder.encode(columns, &keys);
    }
    std::vector<columnar::ColumnBuilder> results;
    for (const size_t a : shape_.keepers) results.emplace_back(shape_.aggregates[a].result_type);
    int64_t first = 0;
    size_t list_bytes = 0;
    for (int64_t r = 0; r < batch->rows; ++r) {
      for (size_t k = 0, q = 0; k < streams.size(); ++k) {
        uint64_t count = 0;
        if (q < shape_.quantiles.size() && shape_.quantiles[q] == k) {
          count = batch->columns[place_columns + shape_.small.size() + 1 + q].data<uint64_t>()[r];
          ++q;
        }
        RUNINK_RETURN_IF_ERROR(streams[k].append_result(shape_.has_keys() ? keys[r] : std::string_view(), count, results[k]));
        list_bytes += streams[k].list_bytes();
      }
      if (r + 1 < batch->rows && list_bytes < kPieceBytes) continue;
      // The columns of these groups in the order of a result.
      const Batch part = columnar::slice(*batch, first, r + 1 - first);
      Batch groups;
      groups.schema = shape_.groups_wide;
      groups.rows = part.rows;
      for (size_t k = 0; k < shape_.key_types.size(); ++k) groups.columns.push_back(part.columns[k + 1]);
      for (size_t a = 0, s = 0, k = 0; a < shape_.aggregates.size(); ++a) {
        const bool keeper = k < shape_.keepers.size() && shape_.keepers[k] == a;
        groups.columns.push_back(keeper ? results[k++].finish() : part.columns[place_columns + s++]);
      }
      groups.columns.push_back(part.columns[place_columns + shape_.small.size()]);  // size
      groups.columns.push_back(part.columns[part.columns.size() - 2]);              // error
      groups.columns.push_back(part.columns.back());
      RUNINK_RETURN_IF_ERROR(out(std::move(groups)));
      first = r + 1;
      list_bytes = 0;
    }
  }
  return {};
}

}  // namespace runink::engine
