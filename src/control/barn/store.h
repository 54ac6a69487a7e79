// Where applied state lies: an ordered map from byte strings to byte strings that changes in atomic batches. Two
// implementations: memory_store.h (the deterministic twin for tests and the simulator) and the one on RocksDB.
//
// Keys are compared as unsigned bytes. Whoever writes is one thread; what a view or an iterator gives is fixed when it
// is made and not changed by later writes. Reading may fail on a real disk (kDataLoss, kUnavailable): whoever gets
// such an error of a replica's state takes the replica out of service.
//
// The first byte of a key is its table (tables.h, docs/internals/barn.md). The state machine uses bytes below 0x80; the
// rest is free for an implementation's own needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/status.h"

namespace runink::barn {

// Changes in the order in which they were added; a later one wins over an earlier one of the same key. One flat buffer,
// so that a batch of thousands of small writes allocates a few times only.
class WriteBatch {
 public:
  enum class Kind : uint8_t { kPut = 1, kRemove = 2, kRemoveRange = 3 };

  void put(std::string_view key, std::string_view value) { add(Kind::kPut, key, value); }
  void remove(std::string_view key) { add(Kind::kRemove, key, {}); }
  // All keys k with from <= k < to.
  void remove_range(std::string_view from, std::string_view to) { add(Kind::kRemoveRange, from, to); }

  size_t count() const { return count_; }
  size_t bytes() const { return data_.size(); }
  bool empty() const { return count_ == 0; }
  void clear() {  // keeps the memory
    data_.clear();
    count_ = 0;
  }

  // f(Kind, key, value) in order; the value of kRemoveRange is the end of the range. The views live as long as the
  // batch is not changed.
  template <typename F>
  void for_each(F&& f) const {
    const char* at = data_.data();
    for (size_t i = 0; i < count_; ++i) {
      uint32_t sizes[2];
      const auto kind = static_cast<Kind>(*at);
      std::memcpy(sizes, at + 1, sizeof sizes);
      at += kHead;
      f(kind, std::string_view(at, sizes[0]), std::string_view(at + sizes[0], sizes[1]));
      at += size_t{sizes[0]} + sizes[1];
    }
  }

 private:
  static constexpr size_t kHead = 1 + 2 * sizeof(uint32_t);
  void add(Kind kind, std::string_view key, std::string_view value) {
    RUNINK_CHECK(key.size() <= UINT32_MAX && value.size() <= UINT32_MAX);
    const uint32_t sizes[2] = {static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
    data_.push_back(static_cast<char>(kind));
    data_.append(reinterpret_cast<const char*>(sizes), sizeof sizes);
    data_.append(key).append(value);
    ++count_;
  }

  std::string data_;
  size_t count_ = 0;
};

class StateIterator {
 public:
  virtual ~StateIterator() = default;
  virtual bool valid() const = 0;            // stands at a pair; false at the end, and after an error
  virtual void next() = 0;                   // only where valid
  virtual std::string_view key() const = 0;  // until next()
  virtual std::string_view value() const = 0;
  virtual Status status() const = 0;  // to be asked when valid() turned false: OK is the end, anything else an error
};

class StateReader {
 public:
  virtual ~StateReader() = default;
  // False: there is no such key; *value is then unspecified.
  virtual Result<bool> get(std::string_view key, std::string* value) const = 0;
  // Ascending over from <= key < to; an empty `to` is no end. Must not outlive the store; may outlive a view.
  virtual std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const = 0;
};

// The state as it was when the view was made. Must not outlive the store.
class StateView : public StateReader {};

class StateStore : public StateReader {
 public:
  virtual std::unique_ptr<StateView> view() const = 0;
  // A view for reading everything once: what it reads does not push out of caches what is read often.
  virtual std::unique_ptr<StateView> scan_view() const { return view(); }
  // All of it or, after an error, nothing that the caller may go on with: the replica stops. When this returns, readers
  // see the batch; it survives a crash of the machine only as far as the implementation says. What survives is always
  // everything up to some batch.
  virtual Status apply(const WriteBatch& batch) = 0;
  // Of what is stored, roughly; for operators and metrics, never for a decision that all replicas must share.
  virtual uint64_t approximate_bytes() const = 0;
};

}  // namespace runink::barn
