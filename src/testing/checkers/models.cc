#include "testing/checkers/models.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace runink::testing {

RegisterModel::RegisterModel(const std::vector<const Operation*>& operations) {
  values_.push_back({});
  const auto add = [&](const std::optional<std::string>& value) {
    if (value && numbers_.emplace(*value, values_.size()).second) values_.push_back(*value);
  };
  for (const Operation* o : operations) {
    add(o->argument);
    add(o->expected);
    add(o->result);
  }
  observed_.resize(values_.size());
  for (const Operation* o : operations) {
    if (o->kind == OperationKind::kRead && !o->open()) observed_[number(o->result)] = true;
    if (o->kind == OperationKind::kCompareAndSet) observed_[number(o->expected)] = true;
    // A comparison that failed, and whether there was something to delete, tell of any value, not of a certain one.
    absence_matters_ |= o->kind == OperationKind::kDelete && !o->open();
    absence_matters_ |= o->kind == OperationKind::kCompareAndSet && !o->open() && !o->took_place;
  }
}

RegisterModel::State RegisterModel::number(const std::optional<std::string>& value) const {
  return value ? numbers_.at(*value) : 0;
}

std::optional<RegisterModel::State> RegisterModel::step(State state, const Operation& o) const {
  switch (o.kind) {
    case OperationKind::kRead:
      if (!o.open() && number(o.result) != state) return std::nullopt;
      return state;
    case OperationKind::kWrite:
      return number(o.argument);
    case OperationKind::kCompareAndSet: {
      const bool equal = number(o.expected) == state;
      if (!o.open() && o.took_place != equal) return std::nullopt;
      return equal ? number(o.argument) : state;
    }
    case OperationKind::kDelete:
      if (!o.open() && o.took_place != (state != 0)) return std::nullopt;
      return 0;
    default:
      RUNINK_CHECK(false);
  }
}

bool RegisterModel::negligible(const Operation& o) const {
  if (o.kind == OperationKind::kRead) return true;
  return !absence_matters_ && !observed_[number(o.argument)];  // nobody can tell whether it has been
}

std::string RegisterModel::show(State state) const {
  return state == 0 ? "there is no value" : "the value is " + json_quote(values_[state].substr(0, 40));
}

std::optional<LockModel::State> LockModel::step(const State& state, const Operation& o) const {
  State after = state;
  const bool free = state.held == 0;
  switch (o.kind) {
    case OperationKind::kAcquire:
      if (o.open()) {
        if (free) after.held = kUnknownToken;
        return after;
      }
      if (!o.took_place) return free ? std::nullopt : std::optional(state);
      if (!free || o.token <= state.granted) return std::nullopt;
      after.held = after.granted = o.token;
      return after;
    case OperationKind::kRelease: {
      const bool holds = state.held == o.token;
      if (!o.open() && o.took_place != holds) return std::nullopt;
      if (holds) after.held = 0;
      return after;
    }
    case OperationKind::kExpire:
      if (state.held == o.token || (o.token == 0 && state.held == kUnknownToken)) after.held = 0;
      return after;
    case OperationKind::kUse: {
      const bool fresh = o.token >= state.used;
      if (!o.open() && o.took_place != fresh) return std::nullopt;
      if (fresh) after.used = o.token;
      return after;
    }
    default:
      RUNINK_CHECK(false);
  }
}

std::string LockModel::show(const State& state) const {
  if (state.held == 0)
    return fmt::format("nobody holds the lock, the last token was {}, the last used {}", state.granted, state.used);
  const std::string holder =
      state.held == kUnknownToken ? "a client that got no answer" : fmt::format("token {}", state.held);
  return fmt::format("{} holds the lock, the last token was {}, the last used {}", holder, state.granted, state.used);
}

}  // namespace runink::testing
