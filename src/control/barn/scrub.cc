#include "control/barn/scrub.h"

#include <algorithm>

#include <xxhash.h>

#include "control/barn/coding.h"
#include "control/barn/tables.h"

namespace runink::barn {

struct Scrub::Hash {
  XXH3_state_t* state = XXH3_createState();
  Hash() { reset(); }
  ~Hash() { XXH3_freeState(state); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void reset() { XXH3_128bits_reset(state); }
  void add(std::string_view bytes) { XXH3_128bits_update(state, bytes.data(), bytes.size()); }
  Digest digest() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    return {hash.high64, hash.low64};
  }
};

Scrub::Scrub(uint64_t id, Position position, std::unique_ptr<StateView> view, uint64_t range_bytes)
    : view_(std::move(view)),
      at_(view_->iterate("", tables::kEnd)),
      hash_(std::make_unique<Hash>()),
      range_bytes_(range_bytes) {
  result_.id = id;
  result_.position = position;
}
Scrub::~Scrub() = default;

Result<bool> Scrub::step(uint64_t bytes) {
  std::string sizes;
  for (uint64_t spent = 0; !done_ && spent < bytes;) {
    if (!at_->valid()) {
      Status status = at_->status();
      if (!status.ok()) return std::move(status).with_context("scrub the stored state");
      if (open_.records > 0) close_range();
      std::string all;
      for (const ScrubRange& range : result_.ranges) {
        append_bytes(all, range.last_key);
        append_u64(all, range.digest.high);
        append_u64(all, range.digest.low);
      }
      result_.total = hash_bytes(all);
      done_ = true;
      at_.reset();
      view_.reset();
      break;
    }
    const std::string_view key = at_->key(), value = at_->value();
    sizes.clear();
    append_u64(sizes, key.size());
    append_u64(sizes, value.size());
    hash_->add(sizes);
    hash_->add(key);
    hash_->add(value);
    const uint64_t size = key.size() + value.size();
    spent += size + 1;  // records without bytes are not for nothing
    open_.bytes += size;
    ++open_.records;
    if (open_.bytes >= range_bytes_) {
      open_.last_key = key;
      close_range();
    } else {
      last_key_ = key;
    }
    at_->next();
  }
  return done_;
}

void Scrub::close_range() {
  if (open_.last_key.empty()) open_.last_key = last_key_;
  open_.digest = hash_->digest();
  result_.ranges.push_back(std::move(open_));
  open_ = {};
  hash_->reset();
}

std::optional<size_t> first_difference(const ScrubResult& a, const ScrubResult& b) {
  const size_t common = std::min(a.ranges.size(), b.ranges.size());
  for (size_t i = 0; i < common; ++i) {
    if (a.ranges[i] != b.ranges[i]) return i;
  }
  if (a.ranges.size() != b.ranges.size()) return common;
  return std::nullopt;
}

}  // namespace runink::barn
