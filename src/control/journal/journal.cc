#include "control/journal/journal.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/zoo.h"
#include "platform/crypto/random.h"

namespace runink::journal {
namespace {

constexpr size_t kLeastBufferBytes = 64 << 10, kKeptBufferBytes = 8 << 20;

}  // namespace

Journal::Journal(Disk& disk, const Identity& identity, const Options& options)
    : disk_(disk), identity_(identity), options_(options) {
  if (!options_.file_id) options_.file_id = [] { return crypto::random_array<16>(); };
}

Status Journal::stop(Status status) {
  if (stopped_.ok() && !status.ok()) {
    stopped_ = std::move(status).with_context("the journal has stopped").with_kind(kStoppedKind);
  }
  return stopped_;
}

// Ends the journal when the expression (a Status, or a Result of which the value is of no interest) is an error.
#define RUNINK_OR_STOP(expression)                                      \
  do {                                                                  \
    ::runink::Status journal_status_ = ::runink::status_of(expression); \
    if (!journal_status_.ok()) return stop(std::move(journal_status_)); \
  } while (false)

Status Journal::save_hard_state(const raft::HardState& state) {
  RUNINK_RETURN_IF_ERROR(stopped_);
  const std::string slot =
      encode(HardStateSlot{identity_.cluster, identity_.node, ++hard_state_sequence_, incarnation_, state});
  // One after the other: at any moment one of them is whole, and when this returns each is.
  for (const uint64_t offset : {uint64_t{0}, uint64_t{kBlock}}) {
    RUNINK_OR_STOP(hard_state_file_->write(offset, slot));
    RUNINK_OR_STOP(hard_state_file_->sync());
  }
  return {};
}

uint64_t Journal::max_entry_bytes() const {
  return options_.segment_bytes - kBlock - kBatchHeaderBytes - kEntryHeaderBytes -
         (options_.key ? crypto::kSealOverhead : 0);
}

uint64_t Journal::room() const { return segment_room() + (spare_ ? options_.segment_bytes - kBlock : 0); }

Status Journal::append(std::span<const raft::Entry> entries) {
  RUNINK_RETURN_IF_ERROR(stopped_);
  if (entries.empty()) return {};
  RUNINK_CHECK(entries.front().index > 0 && entries.front().index <= last_ + 1);
  for (size_t i = 0; i < entries.size(); ++i) {
    RUNINK_CHECK(entries[i].index == entries.front().index + i && (i == 0 || entries[i].term >= entries[i - 1].term));
    if (entries[i].data && entries[i].data->size() > max_entry_bytes()) {
      return invalid_argument("append entry {}: it has {} bytes, and a segment of the journal takes {}",
                              entries[i].index, entries[i].data->size(), max_entry_bytes());
    }
  }
  for (size_t begin = 0; begin < entries.size();) {
    size_t end = begin, bytes = 0;
    do {
      bytes += kEntryHeaderBytes + (entries[end].data ? entries[end].data->size() : 0);
      if (end > begin && bytes > options_.batch_bytes) break;
    } while (++end < entries.size());
    RUNINK_RETURN_IF_ERROR(append_batch(entries.subspan(begin, end - begin)));
    begin = end;
  }
  return {};
}

char* Journal::buffer_of(size_t size) {
  if (size > buffer_size_ || buffer_size_ > kKeptBufferBytes) {
    // Doubled, so that it is seldom made anew, but what a single large entry took is given back.
    buffer_size_ = size > kKeptBufferBytes ? size : std::bit_ceil(std::max(size, kLeastBufferBytes));
    buffer_.reset(static_cast<char*>(std::aligned_alloc(kBlock, buffer_size_)));
    RUNINK_CHECK(buffer_ != nullptr);
  }
  return buffer_.get();
}

Status Journal::append_batch(std::span<const raft::Entry> entries) {
  const uint64_t stored = stored_bytes(payload_bytes(entries, options_.key.has_value()));
  if (offset_ + stored > capacity_) RUNINK_RETURN_IF_ERROR(begin_segment(entries.front().index, false));
  BatchHeader header;
  header.number = next_batch_;
  header.chain_before = chain_;
  char* const bytes = buffer_of(stored);
  encode_batch(header, entries, segment_file_, offset_, bytes, scratch_);
  if (zoo(Zoo::kNothingIsSynced)) {
    RUNINK_OR_STOP(file_->write(offset_, {bytes, stored}));
  } else {
    RUNINK_OR_STOP(file_->write_durably(offset_, {bytes, stored}));
  }
  offset_ += stored;
  if (scratch_.capacity() > kKeptBufferBytes) std::string().swap(scratch_);
  chain_ = header.chain;
  ++next_batch_;
  last_ = header.last_index();
  last_term_ = header.last_term;
  segments_.back().last = std::max(segments_.back().last, last_);
  return {};
}

Status Journal::reserve() {
  RUNINK_RETURN_IF_ERROR(stopped_);
  if (spare_) return {};
  const auto make = [this]() -> Status {
    spare_ = RUNINK_TRY(disk_.create(kSpareFile));
    return spare_->reserve(options_.segment_bytes);
  };
  if (Status status = make(); !status.ok()) {
    spare_.reset();
    if (status.code() != Code::kResourceExhausted) return stop(std::move(status));
    RUNINK_OR_STOP(disk_.remove(kSpareFile));
    return std::move(status)
        .with_context("reserve space for the journal")
        .with_kind(kFullKind)
        .with_hint("free space on that disk");
  }
  RUNINK_OR_STOP(spare_->sync());
  spare_recycled_ = false;
  return {};
}

Status Journal::begin_segment(raft::Index first_index, bool anew) {
  RUNINK_RETURN_IF_ERROR(reserve());
  SegmentHeader header;
  header.anew = anew;
  header.recycled = spare_recycled_;
  header.cluster = identity_.cluster;
  header.node = identity_.node;
  header.incarnation = incarnation_;
  header.number = bounds_.last_segment + 1;
  header.first_batch = next_batch_;
  header.first_index = first_index;
  header.file = options_.file_id();
  header.chain = chain_;
  if (options_.key) {
    header.sealed = true;
    header.key = options_.key->id();
  }
  // It gets its name when it is whole, and bounds tell of it when it has the name.
  RUNINK_OR_STOP(spare_->write(0, encode(header)));
  RUNINK_OR_STOP(spare_->sync());
  RUNINK_OR_STOP(disk_.rename(kSpareFile, segment_name(header.number)));
  RUNINK_OR_STOP(disk_.sync_folder());
  file_ = std::move(spare_);
  segment_file_ = segment_file(header, options_.key ? &*options_.key : nullptr);
  segment_incarnation_ = incarnation_;
  capacity_ = options_.segment_bytes;
  offset_ = kBlock;
  if (anew) segments_.clear();
  segments_.push_back({header.number, 0});
  bounds_.last_segment = header.number;
  if (anew) bounds_.first_segment = header.number;
  return save_bounds();
}

// Only while the last segment's name is known to be on the disk. Both slots in one write: of a write that is cut short,
// sectors are old or new, and the newer good slot is taken.
Status Journal::save_bounds() {
  bounds_.batch = next_batch_ - 1;
  bounds_.chain = chain_;
  bounds_.last_index = last_;
  bounds_.last_term = last_term_;
  bounds_.incarnation = segment_incarnation_;
  ++bounds_.sequence;
  const std::string slot = encode(bounds_);
  RUNINK_OR_STOP(bounds_file_->write(0, slot + slot));
  RUNINK_OR_STOP(bounds_file_->sync());
  return {};
}

Status Journal::rest() {
  RUNINK_RETURN_IF_ERROR(stopped_);
  return bounds_.batch == next_batch_ - 1 ? Status() : save_bounds();
}

Status Journal::compact(raft::Index through) {
  RUNINK_RETURN_IF_ERROR(stopped_);
  // The last entry says where the log ends: its segment stays, also while the next one is empty.
  size_t with_last = segments_.size() - 1;
  while (with_last > 0 && segments_[with_last].last == 0) --with_last;
  size_t gone = 0;
  while (gone < with_last && segments_[gone].last <= through) ++gone;
  if (gone == 0) return {};
  // First it is written down that they are void: a crash may keep any of the removals and lose any other.
  bounds_.first_segment = segments_[gone].number;
  RUNINK_RETURN_IF_ERROR(save_bounds());
  for (size_t i = 0; i < gone; ++i) RUNINK_RETURN_IF_ERROR(discard(segments_[i].number));
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(gone));
  RUNINK_OR_STOP(disk_.sync_folder());
  return {};
}

// A void segment becomes the spare one, if there is none: its blocks have been written, which makes the next syncs
// cheap.
Status Journal::discard(uint64_t number) {
  const std::string name = segment_name(number);
  if (!spare_) {
    auto file = disk_.open(name);
    if (!file.ok()) return stop(std::move(file).status());
    auto size = (*file)->size();
    if (!size.ok()) return stop(std::move(size).status());
    if (*size == options_.segment_bytes) {
      RUNINK_OR_STOP(disk_.rename(name, kSpareFile));
      spare_ = std::move(*file);
      spare_recycled_ = true;
      return {};
    }
  }
  RUNINK_OR_STOP(disk_.remove(name));
  return {};
}

Status Journal::reset(raft::Index first) {
  RUNINK_RETURN_IF_ERROR(stopped_);
  RUNINK_CHECK(first > 0);
  const std::vector<Segment> old = segments_;
  RUNINK_RETURN_IF_ERROR(reserve());
  last_ = first - 1;
  last_term_ = 0;
  RUNINK_RETURN_IF_ERROR(begin_segment(first, true));
  for (const Segment& segment : old) RUNINK_RETURN_IF_ERROR(discard(segment.number));
  RUNINK_OR_STOP(disk_.sync_folder());
  return {};
}

Status Journal::whole() {
  RUNINK_RETURN_IF_ERROR(stopped_);
  RUNINK_OR_STOP(disk_.remove(kVoteLostFile));
  RUNINK_OR_STOP(disk_.sync_folder());
  auto names = disk_.list();
  if (!names.ok()) return stop(std::move(names).status());
  for (const std::string& name : *names) {
    if (is_lost_name(name)) RUNINK_OR_STOP(disk_.remove(name));
  }
  RUNINK_OR_STOP(disk_.sync_folder());
  return {};
}

#undef RUNINK_OR_STOP

}  // namespace runink::journal
