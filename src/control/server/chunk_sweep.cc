#include "control/server/chunk_sweep.h"

#include <mutex>

#include "control/barn/tables.h"

namespace runink::server {
namespace {

constexpr uint64_t kSliceBytes = 256 << 10;  // of rows; of chunks one at a time

}  // namespace

struct ChunkSweep::Run {
  std::mutex mutex;  // of all below: held for one slice
  bool cancelled = false;
  const barn::ChunkStore* store = nullptr;
  std::unique_ptr<barn::StateView> view;
  std::unique_ptr<barn::StateIterator> rows;
  std::set<barn::ChunkReference> references;
  std::set<barn::ChunkReference>::iterator next;
  bool walked = false;
  Outcome outcome;

  // Returns how many bytes it has read. *over: there is nothing left.
  uint64_t step(bool* over) {
    if (!walked) return walk(over);
    if (next == references.end()) {
      *over = true;
      return 0;
    }
    const barn::ChunkReference reference = *next++;
    outcome.roots.insert(reference.hash);
    const Result<std::string> bytes = store->get(reference.hash);
    if (bytes.ok()) return bytes->size();
    // Clients write references: one that no chunk can fit is nothing to be looked for.
    if (reference.size > barn::kChunkBytes) return 0;
    const Code code = bytes.status().code();
    if (code == Code::kNotFound || code == Code::kDataLoss) outcome.wanted.insert(reference);
    return reference.size;
  }
  uint64_t walk(bool* over) {
    uint64_t spent = 0;
    for (; rows->valid() && spent < kSliceBytes; rows->next()) {
      spent += rows->key().size() + rows->value().size() + 1;
      const Result<barn::tables::Row> row = barn::tables::decode_row(rows->value());
      if (!row.ok()) return fail(row.status(), over);
      if (!row->chunk) continue;
      if (const auto reference = barn::decode_chunk_reference(row->value)) references.insert(*reference);
    }
    if (rows->valid()) return spent;
    if (Status status = rows->status(); !status.ok()) return fail(std::move(status), over);
    release();
    walked = true;
    next = references.begin();
    return spent;
  }
  uint64_t fail(Status status, bool* over) {
    outcome.status = std::move(status).with_context("walk over the rows");
    *over = true;
    return 0;
  }
  void release() {
    rows.reset();
    view.reset();
  }
};

ChunkSweep::ChunkSweep(net::EventLoop& loop, Worker& worker, const barn::ChunkStore& store, uint64_t bytes_per_second,
                       std::unique_ptr<barn::StateView> view, std::set<barn::ChunkReference> more,
                       std::function<void(Outcome)> done)
    : loop_(loop),
      worker_(worker),
      bytes_per_second_(bytes_per_second),
      done_(std::move(done)),
      run_(std::make_shared<Run>()) {
  run_->store = &store;
  run_->rows = view->iterate(barn::tables::range_begin(""), barn::tables::range_end(""));
  run_->view = std::move(view);
  run_->references = std::move(more);
  slice();
}

ChunkSweep::~ChunkSweep() {
  *alive_ = false;
  loop_.cancel(timer_);
  const std::lock_guard lock(run_->mutex);
  run_->cancelled = true;
  run_->release();
}

void ChunkSweep::slice() {
  timer_ = 0;
  worker_.submit([this, alive = alive_, loop = &loop_, run = run_] {
    uint64_t bytes = 0;
    bool over = false;
    {
      const std::lock_guard lock(run->mutex);
      if (run->cancelled) return;
      bytes = run->step(&over);
    }
    loop->post([this, alive, bytes, over] {
      if (*alive) sliced(bytes, over);
    });
  });
}

void ChunkSweep::sliced(uint64_t bytes, bool over) {
  if (!over) {
    const double seconds = static_cast<double>(bytes) / static_cast<double>(bytes_per_second_);
    timer_ = loop_.call_after(static_cast<int64_t>(seconds * 1e9), [this] { slice(); });
    return;
  }
  Outcome outcome;
  {
    const std::lock_guard lock(run_->mutex);
    run_->release();
    outcome = std::move(run_->outcome);
  }
  const auto done = std::move(done_);
  done(std::move(outcome));  // may destroy this
}

}  // namespace runink::server
