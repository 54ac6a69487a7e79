#include <deque>
#include <mutex>
#include <random>

#include "store.h"

namespace runink::workload {
namespace {

constexpr size_t kRemembered = 8;   // readings of a key
constexpr unsigned kOneLieIn = 20;  // readings of one key

class LyingStore final : public Store {
 public:
  LyingStore(std::unique_ptr<Store> store, uint64_t seed) : store_(std::move(store)), random_(seed) {}

  Outcome read(const std::vector<std::string>& keys, std::vector<Versioned>* out) override {
    const Outcome outcome = store_->read(keys, out);
    if (outcome != Outcome::kDone) return outcome;
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < keys.size(); ++i) {
      std::deque<Versioned>& seen = seen_[keys[i]];
      seen.push_back((*out)[i]);
      if (seen.size() > kRemembered) seen.pop_front();
      if (random_() % kOneLieIn == 0) (*out)[i] = seen.front();
    }
    return outcome;
  }
  Outcome write(const std::string& key, const std::string& value) override { return store_->write(key, value); }
  Outcome compare_and_set(const std::string& key, const std::optional<std::string>& expected, const std::string& value,
                          bool* took_place) override {
    return store_->compare_and_set(key, expected, value, took_place);
  }
  Outcome change_if(const std::vector<Change>& changes, bool* took_place) override {
    return store_->change_if(changes, took_place);
  }
  Outcome list(const std::string& from, const std::string& to, std::map<std::string, std::string>* out) override {
    return store_->list(from, to, out);
  }

 private:
  std::unique_ptr<Store> store_;
  std::mutex mutex_;
  std::mt19937_64 random_;                             // under mutex_
  std::map<std::string, std::deque<Versioned>> seen_;  // under mutex_
};

}  // namespace

std::unique_ptr<Store> make_lying_store(std::unique_ptr<Store> store, uint64_t seed) {
  return std::make_unique<LyingStore>(std::move(store), seed);
}

}  // namespace runink::workload
