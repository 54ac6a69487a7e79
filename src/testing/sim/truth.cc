#include "testing/sim/truth.h"

#include <fmt/format.h>

#include "base/text.h"
#include "control/barn/event.h"
#include "control/barn/tables.h"

namespace runink::testing {

Result<Truth> Truth::of(const std::vector<raft::Entry>& entries, const barn::MachineOptions& options) {
  Truth truth;
  truth.store_ = std::make_unique<barn::MemoryStore>();
  const auto machine = RUNINK_TRY(barn::StateMachine::open(truth.store_.get(), options));
  constexpr size_t kAtOnce = 64;
  for (size_t from = 0; from < entries.size(); from += kAtOnce) {
    const size_t count = std::min(kAtOnce, entries.size() - from);
    const barn::Applied applied = RUNINK_TRY(machine->apply({entries.data() + from, count}));
    for (const auto& record : applied.events->records) {
      RUNINK_RETURN_IF_ERROR(barn::for_each_event(applied.events->record(record), [&](const barn::Event& event) {
        const bool put = event.kind == barn::EventKind::kPut;
        truth.changes_.push_back(
            {record.index, std::string(event.key), put ? std::optional<std::string>(event.value) : std::nullopt});
      }));
    }
  }
  truth.position_ = machine->position();
  return truth;
}

Result<std::string> Truth::difference(const barn::StateStore& store) const {
  const auto mine = store_->iterate("", barn::tables::kEnd), theirs = store.iterate("", barn::tables::kEnd);
  for (; mine->valid() || theirs->valid(); mine->next(), theirs->next()) {
    const bool same = mine->valid() && theirs->valid() && mine->key() == theirs->key();
    if (!same) {
      const bool lacks = !theirs->valid() || (mine->valid() && mine->key() < theirs->key());
      const std::string_view key = lacks ? mine->key() : theirs->key();
      return fmt::format("it {} record {}", lacks ? "lacks" : "holds", json_quote(std::string(key.substr(0, 60))));
    }
    if (mine->value() != theirs->value())
      return fmt::format("it holds another value of record {}", json_quote(std::string(mine->key().substr(0, 60))));
  }
  RUNINK_RETURN_IF_ERROR(theirs->status());
  return std::string();
}

}  // namespace runink::testing
