// What an operation does to one key, as sequential machines for the search of linearizability.cc.
//
// A model has a State (comparable; its default is the first one) and
//   step(state, operation)   the state afterwards, or none if the operation cannot have given the answer it gave; an
//   open
//                            operation gave none, so it always has a state afterwards
//   negligible(operation)    of open ones: true only if leaving it out cannot make a good history bad
//   only_looks(operation)    with the answer it gave, it changes no state
//   hash(state), show(state), knows(kind)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "testing/checkers/history.h"

namespace runink::testing {

class RegisterModel {
 public:
  using State = uint32_t;  // the number of a value; 0: there is none

  explicit RegisterModel(const std::vector<const Operation*>& operations);
  static bool knows(OperationKind kind) { return kind <= OperationKind::kDelete; }
  static bool only_looks(const Operation& o) { return o.kind == OperationKind::kRead || !o.took_place; }
  std::optional<State> step(State state, const Operation& o) const;
  bool negligible(const Operation& o) const;
  uint64_t hash(State state) const { return state; }
  std::string show(State state) const;

 private:
  State number(const std::optional<std::string>& value) const;

  std::unordered_map<std::string_view, State> numbers_;
  std::vector<std::string_view> values_;
  std::vector<bool> observed_;  // by number: an answer depends on this value
  bool absence_matters_ = false;
};

class LockModel {
 public:
  struct State {
    uint64_t held =
        0;  // the holder's token; 0: nobody's; kUnknownToken: of an acquisition that nobody heard the answer of
    uint64_t granted = 0;  // the largest token that is known to have been granted
    uint64_t used = 0;     // the largest one accepted by the resource
    bool operator==(const State&) const = default;
  };
  static constexpr uint64_t kUnknownToken = ~uint64_t{0};

  explicit LockModel(const std::vector<const Operation*>&) {}
  static bool knows(OperationKind kind) { return kind >= OperationKind::kAcquire; }
  static bool only_looks(const Operation& o) { return !o.took_place; }
  std::optional<State> step(const State& state, const Operation& o) const;
  bool negligible(const Operation&) const { return false; }
  uint64_t hash(const State& state) const {
    return (state.held * 31 + state.granted) * 0x9e3779b97f4a7c15u + state.used;
  }
  std::string show(const State& state) const;
};

}  // namespace runink::testing
