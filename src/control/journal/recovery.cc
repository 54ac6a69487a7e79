// Making and opening a journal. Opening reads all of it first (scan.h), refuses what is not this member's, and only
// then writes: whatever of it a crash keeps, the next opening finds either what this one found or what it made of it.
#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"
#include "control/journal/journal.h"
#include "control/journal/scan.h"

namespace runink::journal {
namespace {

constexpr uint64_t kPiece = 1 << 20;
constexpr size_t kMaxVoteLostBytes = 64 << 10;
constexpr const char* kReplaceMember = "remove this member from the cluster and add it again with an empty folder";

Status replace_file(Disk& disk, const std::string& name, std::string_view bytes) {
  std::unique_ptr<File> file = RUNINK_TRY(disk.create(kCopyFile));
  RUNINK_RETURN_IF_ERROR(file->write(0, bytes));
  RUNINK_RETURN_IF_ERROR(file->sync());
  RUNINK_RETURN_IF_ERROR(disk.rename(kCopyFile, name));
  return disk.sync_folder();
}

Status copy_bytes(File& from, File& to, uint64_t begin, uint64_t end, const std::string& name) {
  for (uint64_t at = begin; at < end;) {
    const std::string piece = RUNINK_TRY(from.read(at, std::min(kPiece, end - at)));
    if (piece.empty()) return data_loss("{} became shorter while it was copied: it ends at byte {}", name, at);
    RUNINK_RETURN_IF_ERROR(to.write(at, piece));
    at += piece.size();
  }
  return {};
}

Status check_options(const Options& options) {
  if (options.segment_bytes % kBlock != 0 || options.segment_bytes < 4 * kBlock ||
      options.segment_bytes > kMaxSegmentBytes) {
    return invalid_argument("a journal's segment has {} bytes; it takes a multiple of {}, at least {} and at most {}",
                            options.segment_bytes, kBlock, 4 * kBlock, kMaxSegmentBytes);
  }
  if (options.batch_bytes == 0 || options.batch_bytes > options.segment_bytes / 2) {
    return invalid_argument("a journal's batch has {} bytes; it takes 1 to half of a segment ({})", options.batch_bytes,
                            options.segment_bytes / 2);
  }
  return {};
}

Status wrong_member(std::string_view file, const ClusterId& cluster, uint64_t node, const Identity& identity) {
  if (cluster == identity.cluster && node == identity.node) return {};
  return failed_precondition("{} belongs to node {} of cluster {}, and this is node {} of cluster {}", file, node,
                             hex(cluster), identity.node, hex(identity.cluster))
      .with_hint(
          "a data folder is never given to another member: start this one with an empty folder and add it to the "
          "cluster");
}

}  // namespace

class Recovery {
 public:
  Recovery(Journal& journal, Recovered& out) : j_(journal), out_(out) {}

  Status run() {
    RUNINK_RETURN_IF_ERROR(read());
    RUNINK_RETURN_IF_ERROR(mark());
    RUNINK_RETURN_IF_ERROR(save_state());
    RUNINK_RETURN_IF_ERROR(clear_unused());
    RUNINK_RETURN_IF_ERROR(set_aside());
    RUNINK_RETURN_IF_ERROR(begin());
    return clear_void_segments();
  }

 private:
  // Nothing is written here.
  Status read() {
    ScanOptions options;
    options.key = j_.options_.key;
    options.must_decode = options.keep_entries = true;
    options.check_hard_state = [this](const HardStateSlot& slot) {
      return wrong_member(kHardStateFile, slot.cluster, slot.node, j_.identity_);
    };
    options.check_header = [this](const std::string& name, const SegmentHeader& header) {
      return wrong_member(name, header.cluster, header.node, j_.identity_);
    };
    scan_ = RUNINK_TRY(scan(j_.disk_, options));
    if (!scan_.has_hard_state) {
      if (scan_.highest_segment == 0) {
        return not_found("there is no journal in this folder")
            .with_hint(
                "a member whose disk was wiped or replaced must not return under its old id: remove it from the "
                "cluster and "
                "add it again");
      }
      return data_loss("the journal has segments and no file {}: the votes that this member gave are not known",
                       kHardStateFile)
          .with_hint(kReplaceMember);
    }
    if (!scan_.seen.hard_state) {
      return data_loss("{}: the votes that this member gave are not known", scan_.seen.hard_state_fault)
          .with_hint(kReplaceMember);
    }
    return {};
  }

  // Before anything is cut off: else a crash would make a member of what is left that votes.
  Status mark() {
    const Inspection& seen = scan_.seen;
    std::string text = seen.vote_lost;
    if (seen.damage && text.size() < kMaxVoteLostBytes) text += seen.damage->to_string() + "\n";
    // Also what is there already: after a sync that failed, its name may be in the kernel's cache and not on the disk.
    if (!text.empty())
      RUNINK_RETURN_IF_ERROR(
          replace_file(j_.disk_, kVoteLostFile, encode(VoteLost{text, seen.lost_end, scan_.lost_end_incarnation})));
    out_.whole = text.empty();
    out_.lost_end = seen.lost_end;
    out_.damage = text;
    if (!out_.damage.empty() && out_.damage.back() == '\n') out_.damage.pop_back();
    if (seen.torn) out_.torn = seen.torn->to_string();
    return {};
  }

  // Also before: what the log knows as committed may not hold for the entries that are left, some of which the lost
  // ones may have replaced.
  Status save_state() {
    out_.hard_state = scan_.seen.hard_state->state;
    if (scan_.seen.damage) out_.hard_state.commit = 0;
    if (scan_.incarnation == 0) RUNINK_RETURN_IF_ERROR(make_name_durable());
    j_.incarnation_ = out_.incarnation = scan_.incarnation + 1;
    j_.hard_state_sequence_ = scan_.hard_state_sequence;
    j_.hard_state_file_ = RUNINK_TRY(j_.disk_.open(kHardStateFile));
    return j_.save_hard_state(out_.hard_state);
  }

  // Of the hard state, at the first opening: create() may have failed when it had that name and not synced it.
  Status make_name_durable() {
    const std::string slot = encode(*scan_.seen.hard_state);
    return replace_file(j_.disk_, kHardStateFile, slot + slot);
  }

  Status clear_unused() {
    for (const char* name : {kSpareFile, kCopyFile}) RUNINK_RETURN_IF_ERROR(j_.disk_.remove(name));
    return j_.disk_.sync_folder();
  }

  // What lies behind damage is no part of the log any more, but may be what an operator needs when no other member has
  // it.
  Status set_aside() {
    if (!scan_.seen.damage) return {};
    // Not over what is there already: an opening that a crash ended has cut this file since.
    if (!scan_.seen.segments.empty() && !scan_.has(lost_name(scan_.seen.segments.back().number))) {
      const SegmentInfo& segment = scan_.seen.segments.back();
      std::unique_ptr<File> from = RUNINK_TRY(j_.disk_.open(segment.name));
      std::unique_ptr<File> to = RUNINK_TRY(j_.disk_.create(kCopyFile));
      RUNINK_RETURN_IF_ERROR(copy_bytes(*from, *to, 0, segment.size, segment.name));
      RUNINK_RETURN_IF_ERROR(to->sync());
      RUNINK_RETURN_IF_ERROR(j_.disk_.rename(kCopyFile, lost_name(segment.number)));
    }
    // The last one first: what is left always ends where it did, or earlier.
    for (auto number = scan_.cut_off.rbegin(); number != scan_.cut_off.rend(); ++number) {
      RUNINK_RETURN_IF_ERROR(j_.disk_.rename(segment_name(*number), lost_name(*number)));
    }
    return j_.disk_.sync_folder();
  }

  Status begin() {
    const Inspection& seen = scan_.seen;
    out_.entries = std::move(scan_.entries);
    out_.first_index = seen.first_index;
    j_.next_batch_ = scan_.next_batch;
    j_.chain_ = scan_.chain;
    j_.last_ = seen.last_index;
    j_.last_term_ = scan_.last_term;
    RUNINK_RETURN_IF_ERROR(open_bounds());
    if (seen.segments.empty()) {
      j_.bounds_.last_segment = std::max(scan_.highest_segment, j_.bounds_.last_segment);
      return j_.begin_segment(seen.first_index, true);
    }
    for (size_t i = 0; i < seen.segments.size(); ++i)
      j_.segments_.push_back({seen.segments[i].number, scan_.segment_last[i]});
    RUNINK_RETURN_IF_ERROR(renew_last_segment());
    j_.bounds_.first_segment = j_.segments_.front().number;
    j_.bounds_.last_segment = j_.segments_.back().number;
    return j_.save_bounds();
  }

  // Last: what says that they are void, bounds or a segment that begins anew, may have been in the kernel's cache only,
  // and is on the disk by now.
  Status clear_void_segments() {
    if (scan_.leftover.empty()) return {};
    for (const uint64_t number : scan_.leftover) RUNINK_RETURN_IF_ERROR(j_.disk_.remove(segment_name(number)));
    return j_.disk_.sync_folder();
  }

  // In place: what it says holds until save_bounds() writes what holds now.
  Status open_bounds() {
    if (scan_.seen.bounds) j_.bounds_ = *scan_.seen.bounds;
    if (!scan_.has(kBoundsFile))
      RUNINK_RETURN_IF_ERROR(replace_file(j_.disk_, kBoundsFile, std::string(2 * kBlock, '\0')));
    j_.bounds_file_ = RUNINK_TRY(j_.disk_.open(kBoundsFile));
    return {};
  }

  // The last segment is copied as far as it is good: after a sync that failed, its pages may be in the kernel's cache
  // and not on the disk. A new file that is written and synced is on the disk. All other segments were synced before
  // the next was begun.
  Status renew_last_segment() {
    const SegmentInfo& segment = scan_.seen.segments.back();
    std::unique_ptr<File> from = RUNINK_TRY(j_.disk_.open(segment.name));
    if (zoo(Zoo::kCachedPagesAreTrusted)) {
      j_.file_ = std::move(from);
      j_.segment_incarnation_ = segment.header->incarnation;
      j_.segment_file_ = segment_file(*segment.header, j_.options_.key ? &*j_.options_.key : nullptr);
      j_.capacity_ = std::max(segment.size, segment.end);
      j_.offset_ = segment.end;
      return {};
    }
    std::unique_ptr<File> to = RUNINK_TRY(j_.disk_.create(kCopyFile));
    j_.capacity_ = std::max(j_.options_.segment_bytes, segment.end);
    SegmentHeader header = *segment.header;
    if (Status status = to->reserve(j_.capacity_); !status.ok()) {
      if (status.code() != Code::kResourceExhausted || scan_.seen.damage) return status;
      to.reset();
      RUNINK_RETURN_IF_ERROR(j_.disk_.remove(kCopyFile));
      if (!name_is_durable(segment)) {
        return std::move(status)
            .with_context(fmt::format("{} has to be copied: its name may not be on the disk", segment.name))
            .with_hint("free space on that disk");
      }
      to = std::move(from);
      RUNINK_RETURN_IF_ERROR(renew_in_place(segment, *to));
    } else {
      header.incarnation = j_.incarnation_;
      header.recycled = false;
      RUNINK_RETURN_IF_ERROR(to->write(0, encode(header)));
      RUNINK_RETURN_IF_ERROR(copy_bytes(*from, *to, kBlock, segment.end, segment.name));
      RUNINK_RETURN_IF_ERROR(to->sync());
      RUNINK_RETURN_IF_ERROR(j_.disk_.rename(kCopyFile, segment.name));
    }
    RUNINK_RETURN_IF_ERROR(j_.disk_.sync_folder());
    j_.file_ = std::move(to);
    j_.segment_incarnation_ = header.incarnation;
    j_.segment_file_ = segment_file(header, j_.options_.key ? &*j_.options_.key : nullptr);
    j_.offset_ = segment.end;
    return {};
  }

  // A sync of the folder that failed may have lost the name of this file, which the kernel goes on showing; the next
  // one succeeds and writes nothing. A power cut would then put the file before it back, without what was written to
  // this one. Bounds are written when that sync has succeeded, and a copy has the incarnation of its opening.
  bool name_is_durable(const SegmentInfo& segment) const {
    const auto& bounds = scan_.seen.bounds;
    return bounds && bounds->last_segment == segment.number && bounds->incarnation == segment.header->incarnation;
  }

  // On a full disk there is no room for a copy, and a member that cannot start would not help anybody. Writing the same
  // bytes over themselves is the next best: every sector is what it was, whenever a crash comes, and a sync that
  // succeeds has written them all. What was cut short behind them becomes zeros.
  Status renew_in_place(const SegmentInfo& segment, File& file) {
    j_.capacity_ = std::max(segment.end, segment.size / kBlock * kBlock);
    RUNINK_RETURN_IF_ERROR(copy_bytes(file, file, 0, segment.end, segment.name));
    return file.sync();
  }

  Journal& j_;
  Recovered& out_;
  Scan scan_;
};

Result<std::unique_ptr<Journal>> Journal::open(Disk& disk, const Identity& identity, const Options& options,
                                               Recovered* recovered) {
  RUNINK_RETURN_IF_ERROR(check_options(options));
  std::unique_ptr<Journal> journal(new Journal(disk, identity, options));
  *recovered = {};
  RUNINK_RETURN_IF_ERROR(Recovery(*journal, *recovered).run().with_context("open the journal"));
  return journal;
}

Result<bool> Journal::exists(Disk& disk) {
  const auto names = RUNINK_TRY(disk.list());
  return std::find(names.begin(), names.end(), kHardStateFile) != names.end();
}

Status Journal::mark_lost(Disk& disk, std::string_view why) {
  std::string text(why.substr(0, kMaxVoteLostBytes - 1));
  text += '\n';
  return replace_file(disk, kVoteLostFile, text);
}

// The file with the hard state comes last: until it has its name there is no journal, and this may be done again.
Status Journal::create(Disk& disk, const Identity& identity, const Options& options) {
  RUNINK_RETURN_IF_ERROR(check_options(options));
  const Scan found = RUNINK_TRY_CONTEXT(scan(disk, {}), "create a journal");
  if (found.has_hard_state) {
    return already_exists("create a journal: there is one in this folder")
        .with_hint("a new member needs an empty folder");
  }
  const bool empty_first = found.seen.segments.size() == 1 && found.seen.last_index == 0;
  if (found.highest_segment > 1 || (found.highest_segment == 1 && !empty_first)) {
    return data_loss("create a journal: there are segments of another one in this folder, and no file {}",
                     kHardStateFile)
        .with_hint("a new member needs an empty folder");
  }
  SegmentHeader header;
  header.cluster = identity.cluster;
  header.node = identity.node;
  header.number = 1;
  header.anew = true;
  header.file = options.file_id ? options.file_id() : Journal(disk, identity, options).options_.file_id();
  if (options.key) {
    header.sealed = true;
    header.key = options.key->id();
  }
  const std::string bounds = encode(Bounds{});
  const std::string slot = encode(HardStateSlot{identity.cluster, identity.node, 0, 0, {}});
  const auto write = [&]() -> Status {
    RUNINK_RETURN_IF_ERROR(replace_file(disk, segment_name(1), encode(header)));
    RUNINK_RETURN_IF_ERROR(replace_file(disk, kBoundsFile, bounds + bounds));
    return replace_file(disk, kHardStateFile, slot + slot);
  };
  return write().with_context("create a journal");
}

}  // namespace runink::journal
