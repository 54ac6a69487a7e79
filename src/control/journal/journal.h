// The journal: a Raft member's log and hard state on its disk (docs/internals/journal.md). What append() and
// save_hard_state() have returned OK for is there after any crash, within the fault model of that page.
//
// Any error that is not named harmless below ends the journal for good: nobody knows then what the disk holds. Every
// later call returns the same error, with kind "journal.stopped", and the process must end. The next start opens anew,
// never trusts pages that the kernel may have kept, and copies what is good of the last segment into a new file.
//
// Opening tells a torn tail (a write that was never acknowledged: cut off) from damage to what was acknowledged: then
// all behind it is cut off as well (kept as lost-…), the file `vote-lost` is written, and the member may not vote
// until whole() was called.
//
// One thread. Errors name the file and the offset.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/journal/disk.h"
#include "control/journal/format.h"

namespace runink::journal {

inline constexpr const char* kFullKind = "journal.full";        // harmless: no space; the call may be repeated
inline constexpr const char* kStoppedKind = "journal.stopped";  // for good

struct Identity {
  ClusterId cluster{};
  raft::NodeId node = 0;
};

struct Options {
  uint64_t segment_bytes = 64u << 20;     // a multiple of kBlock, at most kMaxSegmentBytes
  uint64_t batch_bytes = 4u << 20;        // of payload; append() splits what is larger, a single entry may exceed it
  std::optional<crypto::SealingKey> key;  // none: plain
  std::function<FileId()> file_id;        // null: from the kernel. Must never give one twice
};

struct Recovered {
  raft::HardState hard_state;
  // What the segments hold. They may begin before the snapshot. If they do not reach it, or do not begin at or before
  // the entry behind it, the log continues nothing and reset() is due.
  // After damage (`whole` is false) entries may be left that the lost ones had replaced: if the last applied entry has
  // another term in the state machine than here, reset() behind that entry is due, too.
  std::vector<raft::Entry> entries;
  raft::Index first_index = 1;           // where they begin, or where the first one will
  uint64_t incarnation = 0;              // of this opening; larger at every one
  bool whole = true;                     // false: it lost what it may have acknowledged, now or at an opening before
  std::optional<raft::LogEnd> lost_end;  // then: the end of all that it ever acknowledged, or beyond; none: not known
  std::string damage;                    // then: what was found, and in which file and where
  std::string torn;                      // what was cut off without loss; empty if nothing
};

class Journal {
 public:
  // Is there a journal on this disk? What a create() that did not finish has left is none.
  static Result<bool> exists(Disk& disk);
  // From its next opening on the journal of this disk is not `whole`: for a member whose log is not to be trusted for
  // a reason that the journal cannot see. `why` becomes what Recovered::damage says. Durable when it returns.
  static Status mark_lost(Disk& disk, std::string_view why);
  // For a member that is new to its cluster. kAlreadyExists: there is one. Open it afterwards.
  static Status create(Disk& disk, const Identity& identity, const Options& options = {});
  // Errors, none of which has changed anything: kNotFound: no journal (a member whose disk was wiped must not return
  // under its old id); kFailedPrecondition: of another cluster, node or format, or sealed with another key, or not
  // sealed; kDataLoss: the hard state is damaged in both places, so the votes that this member gave are not known.
  // kResourceExhausted: a full disk on which the opening before failed in a way that needs space to be made good; or
  // something was lost. Free space, and try again.
  // Others: as the disk says.
  static Result<std::unique_ptr<Journal>> open(Disk& disk, const Identity& identity, const Options& options,
                                               Recovered* recovered);

  // Durable, in two places, when it returns.
  Status save_hard_state(const raft::HardState& state);
  // Entries that follow each other. If the first one's index is there already, it and all behind it are void from now
  // on. Durable when it returns. Harmless: kFullKind, a prefix may be durable then (last_index() says);
  // kInvalidArgument: an entry is larger than max_entry_bytes(), nothing was written.
  Status append(std::span<const raft::Entry> entries);
  // Segments whose entries all lie at or before `through` go: a durable snapshot must cover them.
  Status compact(raft::Index through);
  // All entries go; the next one will be `first`. For an installed snapshot, which must be durable before. Harmless:
  // kFullKind.
  Status reset(raft::Index first);
  // What was lost has been fetched again: this member votes.
  Status whole();
  // Writes down what is there, so that damage to the last batch is not taken for a torn write. When idle; it syncs.
  Status rest();

  // Has a whole further segment reserved on the disk. If it does not succeed, nothing more may be accepted: proposals
  // are to be refused until it does. Cheap when there is nothing to do. Harmless: kFullKind.
  Status reserve();
  // Bytes that are reserved and not used yet. A batch that does not fit into what is left of a segment takes the next
  // one.
  uint64_t room() const;
  // Of those, the bytes of the segment that is being written.
  uint64_t segment_room() const { return capacity_ > offset_ ? capacity_ - offset_ : 0; }

  raft::Index last_index() const { return last_; }
  uint64_t max_entry_bytes() const;  // of its data
  size_t segments() const { return segments_.size(); }
  const Status& stopped() const { return stopped_; }  // OK as long as it can be used

 private:
  friend class Recovery;
  struct Segment {
    uint64_t number;
    raft::Index last;  // the highest that was ever written to it, 0: none; entries in it may be void by now
  };

  Journal(Disk& disk, const Identity& identity, const Options& options);
  Status stop(Status status);
  Status append_batch(std::span<const raft::Entry> entries);
  Status begin_segment(raft::Index first_index, bool anew);
  Status save_bounds();
  Status discard(uint64_t segment);

  Disk& disk_;
  Identity identity_;
  Options options_;
  Status stopped_;
  uint64_t incarnation_ = 0;
  std::vector<Segment> segments_;     // the last one is written to
  std::unique_ptr<File> file_;        // of the last segment
  SegmentFile segment_file_;          // its id and key
  uint64_t segment_incarnation_ = 0;  // in the header of file_
  uint64_t capacity_ = 0;             // reserved bytes of file_
  uint64_t offset_ = 0;               // of the next batch in file_
  std::unique_ptr<File> spare_;       // the next segment's, reserved
  bool spare_recycled_ = false;
  std::unique_ptr<File> bounds_file_, hard_state_file_;
  Bounds bounds_;  // as last written, but for the sequence
  uint64_t hard_state_sequence_ = 0;
  uint64_t next_batch_ = 1;
  uint32_t chain_ = 0;
  raft::Index last_ = 0;
  raft::Term last_term_ = 0;

  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  char* buffer_of(size_t size);
  std::unique_ptr<char, Free> buffer_;  // a batch as it is written; aligned, see File::write_durably
  size_t buffer_size_ = 0;
  std::string scratch_;
};

}  // namespace runink::journal
