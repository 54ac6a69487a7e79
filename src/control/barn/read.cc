#include "control/barn/read.h"

#include "control/barn/tables.h"

namespace runink::barn {

Result<std::optional<KeyValue>> get_key(const StateReader& state, std::string_view key) {
  std::string bytes;
  if (!RUNINK_TRY(state.get(tables::key(tables::kKeys, key), &bytes))) return std::optional<KeyValue>();
  const tables::Row row = RUNINK_TRY(tables::decode_row(bytes));
  return std::optional<KeyValue>(tables::key_value(key, row));
}

Result<RangeAnswer> get_range(const StateReader& state, const KeyRange& range, const RangeOptions& options) {
  RangeAnswer out;
  if (!range.to.empty() && range.to <= range.from) return out;
  size_t bytes = 0;
  const auto at = state.iterate(tables::range_begin(range.from), tables::range_end(range.to));
  for (; at->valid(); at->next()) {
    const std::string_view key = at->key().substr(1);
    const bool at_limit = options.limit != 0 && out.count >= options.limit;
    tables::Row row;
    if (!options.count_only && !at_limit) {
      row = RUNINK_TRY(tables::decode_row(at->value()));
      if (options.keys_only) row.value = {};
      bytes += key.size() + row.value.size();
    }
    if (at_limit || (bytes > options.max_bytes && out.count > 0)) {
      out.more = true;
      out.next = key;
      break;
    }
    if (!options.count_only) out.items.push_back(tables::key_value(key, row));
    ++out.count;
  }
  RUNINK_RETURN_IF_ERROR(at->status());
  return out;
}

Result<Position> applied_position(const StateReader& state) {
  std::string bytes;
  if (!RUNINK_TRY(state.get(tables::kHeadKey, &bytes))) return Position();
  return RUNINK_TRY(tables::decode_head(bytes)).position;
}

}  // namespace runink::barn
