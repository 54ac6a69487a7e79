// What becomes of each row of a batch. Part of the step SDK; include step.h.
#pragma once

#include <limits>
#include <memory>

#include <runink/step/column.h>

namespace runink::step {
namespace detail {

// A column while it is being made.
struct ColumnStore {
  std::vector<std::uint8_t> values, validity;
  std::vector<std::int32_t> offsets;
  std::vector<ColumnStore> children;
  std::uint64_t length = 0;
  bool has_offsets = false, has_nulls = false;

  void clear() {
    values.clear();
    validity.clear();
    offsets.assign(has_offsets ? 1 : 0, 0);
    for (ColumnStore& child : children) child.clear();
    length = 0;
    has_nulls = false;
  }
  void end_value(bool valid) {
    if ((length & 7) == 0) validity.push_back(0);
    if (valid) validity.back() = static_cast<std::uint8_t>(validity.back() | (1u << (length & 7)));
    else has_nulls = true;
    ++length;
  }
  void end_offset(std::size_t at) {
    if (at > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
      throw std::length_error("a column of one batch holds at most 2 GiB of text or 2^31 - 1 elements");
    }
    offsets.push_back(static_cast<std::int32_t>(at));
  }
};

// Makes the store of a column of type T.
template <typename T>
void shape(ColumnStore& store) {
  using Value = typename WithoutOptional<T>::Type;
  if constexpr (std::is_same_v<Value, std::string>) {
    store.has_offsets = true;
  } else if constexpr (IsVector<Value>::value) {
    store.has_offsets = true;
    shape<typename Value::value_type>(store.children.emplace_back());
  } else if constexpr (!kFixed<Value>) {
    Value probe{};
    Value::visit_members(probe, [&](auto& member) { shape<std::remove_reference_t<decltype(member)>>(store.children.emplace_back()); });
  }
  store.clear();
}

template <typename T> void put(ColumnStore& store, const T& value);

template <typename T>
void put_null(ColumnStore& store) {
  if constexpr (kFixed<T>) {
    store.values.resize(store.values.size() + sizeof(T));
  } else if constexpr (std::is_same_v<T, std::string> || IsVector<T>::value) {
    store.offsets.push_back(store.offsets.back());
  } else {
    put(store, T{});  // members of a record that is itself null
    return;
  }
  store.end_value(false);
}

template <typename T>
void put(ColumnStore& store, const T& value) {
  if constexpr (IsOptional<T>::value) {
    if (!value) return put_null<typename T::value_type>(store);
    return put(store, *value);
  } else if constexpr (kFixed<T>) {
    const std::size_t at = store.values.size();
    store.values.resize(at + sizeof(T));
    std::memcpy(store.values.data() + at, &value, sizeof(T));
  } else if constexpr (std::is_same_v<T, std::string>) {
    store.values.insert(store.values.end(), value.begin(), value.end());
    store.end_offset(store.values.size());
  } else if constexpr (IsVector<T>::value) {
    for (const typename T::value_type& element : value) put(store.children[0], element);
    store.end_offset(static_cast<std::size_t>(store.children[0].length));
  } else {
    std::size_t member = 0;
    T::visit_members(value, [&](const auto& field) { put(store.children[member++], field); });
  }
  store.end_value(true);
}

// The store as the host sees it; `keep` holds what the views point to.
inline runink_step_column view(const ColumnStore& store, std::vector<std::unique_ptr<runink_step_column[]>>& keep) {
  runink_step_column out{};
  out.length = store.length;
  out.validity = store.has_nulls ? store.validity.data() : nullptr;
  out.values = store.values.data();
  out.value_bytes = store.values.size();
  out.offsets = store.has_offsets ? store.offsets.data() : nullptr;
  if (!store.children.empty()) {
    auto children = std::make_unique<runink_step_column[]>(store.children.size());
    for (std::size_t i = 0; i < store.children.size(); ++i) children[i] = view(store.children[i], keep);
    out.children = children.get();
    out.child_count = store.children.size();
    keep.push_back(std::move(children));
  }
  return out;
}

// The host refused a call and has said why.
struct HostRefused {};

}  // namespace detail

// Every row of the batch must be answered, rejected or dropped, exactly once; the rest of the run counts on it. Rows may be
// settled in any order: answers go out in the order in which they were given.
//
// A row that is settled twice, one that is not settled at the end, and a row outside the batch are errors that end the
// step (std::logic_error).
template <typename Record>
class Builder {
 public:
  Builder(const runink_step_host& host, std::uint64_t rows, std::uint64_t first_record)
      : host_(&host), first_record_(first_record), settled_(static_cast<std::size_t>(rows)) {
    Record probe{};
    Record::visit_members(probe, [&](auto& member) {
      detail::shape<std::remove_reference_t<decltype(member)>>(columns_.emplace_back());
    });
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  // The answer to row `row` of the batch.
  void answer(std::size_t row, const Record& record) {
    settle(row);
    std::size_t member = 0;
    Record::visit_members(record, [&](const auto& value) { detail::put(columns_[member++], value); });
    ++answers_;
  }
  // The record becomes a dead letter, with its original bytes and this reason.
  void reject(std::size_t row, std::string_view reason) { refuse(row, RUNINK_STEP_REJECT, reason); }
  // The record is left out of the output on purpose. The run counts dropped records by reason, so use few reasons.
  void drop(std::size_t row, std::string_view reason) { refuse(row, RUNINK_STEP_DROP, reason); }

  // Hands everything over; the SDK calls this when the step's function has returned.
  void finish() {
    for (std::size_t row = 0; row < settled_.size(); ++row) {
      if (settled_[row] == 0) throw std::logic_error(name(row) + " was neither answered, rejected nor dropped");
    }
    if (answers_ == 0) return;
    std::vector<std::unique_ptr<runink_step_column[]>> keep;
    std::vector<runink_step_column> views;
    for (const detail::ColumnStore& column : columns_) views.push_back(detail::view(column, keep));
    const runink_step_batch batch{answers_, 0, views.data(), views.size()};
    if (host_->answer(host_->self, &batch) != 0) throw detail::HostRefused();
  }

 private:
  void refuse(std::size_t row, std::int32_t action, std::string_view reason) {
    settle(row);
    if (host_->refuse(host_->self, row, action, {reason.data(), reason.size()}) != 0) throw detail::HostRefused();
  }
  void settle(std::size_t row) {
    if (row >= settled_.size()) {
      throw std::logic_error("row " + std::to_string(row) + " is not one of the batch, which has " + std::to_string(settled_.size()));
    }
    if (settled_[row] != 0) throw std::logic_error(name(row) + " was settled twice");
    settled_[row] = 1;
  }
  std::string name(std::size_t row) const {
    return "record " + std::to_string(first_record_ + row) + " (row " + std::to_string(row) + " of its batch)";
  }

  const runink_step_host* host_;
  std::uint64_t first_record_;
  std::vector<std::uint8_t> settled_;
  std::vector<detail::ColumnStore> columns_;
  std::uint64_t answers_ = 0;
};

}  // namespace runink::step
