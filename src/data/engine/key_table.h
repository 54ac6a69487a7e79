// A hash table from row keys to numbers 0, 1, 2 …: groups, keys seen, rows of a built join side.
//
// Linear probing over 8-byte slots (32 bits of the hash, 32 of the number), keys in one arena. No removal. One thread
// writes; lookups may run in many threads while nobody inserts.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace runink::engine {

class KeyTable {
 public:
  static constexpr uint32_t kAbsent = UINT32_MAX;

  KeyTable() { rehash(64); }
  size_t size() const { return hashes_.size(); }
  std::string_view key(uint32_t number) const {
    return {arena_.data() + starts_[number], starts_[number + 1] - starts_[number]};
  }
  uint64_t hash(uint32_t number) const { return hashes_[number]; }

  uint32_t find(uint64_t hash, std::string_view key) const {
    for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
      const uint64_t slot = slots_[i];
      if (slot == 0) return kAbsent;
      if (static_cast<uint32_t>(slot >> 32) == static_cast<uint32_t>(hash >> 32)) {
        const auto number = static_cast<uint32_t>(slot) - 1;
        if (hashes_[number] == hash && this->key(number) == key) return number;
      }
    }
  }
  // The key's number; a new key gets the next one (then *inserted is true).
  uint32_t insert(uint64_t hash, std::string_view key, bool* inserted) {
    size_t i = hash & mask_;
    for (;; i = (i + 1) & mask_) {
      const uint64_t slot = slots_[i];
      if (slot == 0) break;
      if (static_cast<uint32_t>(slot >> 32) == static_cast<uint32_t>(hash >> 32)) {
        const auto number = static_cast<uint32_t>(slot) - 1;
        if (hashes_[number] == hash && this->key(number) == key) {
          *inserted = false;
          return number;
        }
      }
    }
    *inserted = true;
    const auto number = static_cast<uint32_t>(hashes_.size());
    slots_[i] = (hash >> 32 << 32) | (number + 1);
    hashes_.push_back(hash);
    arena_.append(key);
    starts_.push_back(arena_.size());
    if (hashes_.size() * 2 > slots_.size()) rehash(slots_.size() * 2);
    return number;
  }
  // Memory in use, the next doubling of the slots counted when it is near.
  size_t memory_bytes() const {
    return slots_.capacity() * 8 + hashes_.capacity() * 8 + starts_.capacity() * 8 + arena_.capacity();
  }
  size_t key_bytes() const { return arena_.capacity(); }
  void clear() {
    hashes_ = {};
    arena_ = {};
    starts_ = {0};
    slots_ = {};
    rehash(64);
  }

 private:
  void rehash(size_t size) {
    slots_.assign(size, 0);
    mask_ = size - 1;
    for (size_t n = 0; n < hashes_.size(); ++n) {
      size_t i = hashes_[n] & mask_;
      while (slots_[i] != 0) i = (i + 1) & mask_;
      slots_[i] = (hashes_[n] >> 32 << 32) | (n + 1);
    }
  }
  std::vector<uint64_t> slots_;
  size_t mask_ = 0;
  std::vector<uint64_t> hashes_;
  std::vector<size_t> starts_ = {0};
  std::string arena_;
};

}  // namespace runink::engine
