// What is in a journal's folder, what of it is good, and what its not being good means.
#include "control/journal/scan.h"

#include <algorithm>

#include "base/zoo.h"

namespace runink::journal {
namespace {

constexpr size_t kPiece = 1 << 20;

class Scanner {
 public:
  Scanner(Disk& disk, const ScanOptions& options, Scan& out)
      : disk_(disk), options_(options), out_(out), seen_(out.seen) {}

  Status run() {
    out_.names = RUNINK_TRY(disk_.list());
    RUNINK_RETURN_IF_ERROR(read_hard_state());
    RUNINK_RETURN_IF_ERROR(read_bounds());
    if (out_.has(kVoteLostFile)) {
      std::unique_ptr<File> file = RUNINK_TRY(disk_.open(kVoteLostFile));
      seen_.vote_lost = RUNINK_TRY(file->read(0, kPiece));
      if (seen_.vote_lost.empty()) seen_.vote_lost = "no reason was written down\n";
      VoteLost lost = decode_vote_lost(seen_.vote_lost);
      seen_.vote_lost = std::move(lost.why);
      seen_.lost_end = lost.end;
      out_.lost_end_incarnation = lost.incarnation;
    }
    RUNINK_RETURN_IF_ERROR(read_headers());
    choose_segments();
    RUNINK_RETURN_IF_ERROR(read_segments());
    compare_with_bounds();
    if (zoo(Zoo::kDamageIsATornTail)) seen_.damage.reset();
    if (seen_.damage && !is_being_recovered()) {
      const std::optional<raft::LogEnd> end = RUNINK_TRY(end_before_damage());
      const bool known = end && (seen_.vote_lost.empty() || seen_.lost_end);
      seen_.lost_end = known ? std::optional(std::max(*end, seen_.lost_end.value_or(raft::LogEnd{}))) : std::nullopt;
      out_.lost_end_incarnation = out_.incarnation;
    }
    list_ignored();
    return {};
  }

 private:
  // A segment as it is found, before it is known whether it counts.
  struct Found {
    uint64_t number;
    std::string name;
    std::unique_ptr<File> file;
    uint64_t size;
    std::optional<SegmentHeader> header;
    std::string fault;  // why there is no header
  };

  Status read_hard_state() {
    out_.has_hard_state = out_.has(kHardStateFile);
    if (!out_.has_hard_state) return {};
    std::unique_ptr<File> file = RUNINK_TRY(disk_.open(kHardStateFile));
    const std::string bytes = RUNINK_TRY(file->read(0, 2 * kBlock));
    for (size_t i = 0; i < 2; ++i) {
      const auto slot = bytes.size() < (i + 1) * kBlock
                            ? std::nullopt
                            : decode_hard_state(std::string_view(bytes).substr(i * kBlock, kBlock));
      if (!slot) {
        seen_.hard_state_fault +=
            fmt::format("{}slot {} of {} (byte {}) is damaged", seen_.hard_state_fault.empty() ? "" : ", ",
                        i == 0 ? 'A' : 'B', kHardStateFile, i * kBlock);
        continue;
      }
      if (options_.check_hard_state) RUNINK_RETURN_IF_ERROR(options_.check_hard_state(*slot));
      if (!seen_.hard_state || slot->sequence > seen_.hard_state->sequence) seen_.hard_state = slot;
      out_.incarnation = std::max(out_.incarnation, slot->incarnation);
    }
    if (seen_.hard_state) out_.hard_state_sequence = seen_.hard_state->sequence;
    return {};
  }

  Status read_bounds() {
    if (!out_.has(kBoundsFile)) return {};
    std::unique_ptr<File> file = RUNINK_TRY(disk_.open(kBoundsFile));
    const std::string bytes = RUNINK_TRY(file->read(0, 2 * kBlock));
    for (size_t at = 0; at + kBlock <= bytes.size(); at += kBlock) {
      const auto slot = decode_bounds(std::string_view(bytes).substr(at, kBlock));
      bounds_slots_ += slot.has_value();
      if (slot && (!seen_.bounds || slot->sequence > seen_.bounds->sequence)) seen_.bounds = slot;
    }
    return {};
  }

  Status read_headers() {
    for (const std::string& name : out_.names) {
      const auto number = segment_number(name);
      if (!number) continue;
      out_.highest_segment = std::max(out_.highest_segment, *number);
      if (seen_.bounds && *number < seen_.bounds->first_segment) {
        out_.leftover.push_back(*number);
        continue;
      }
      Found found{*number, name, RUNINK_TRY(disk_.open(name)), 0, std::nullopt, ""};
      found.size = RUNINK_TRY(found.file->size());
      found.header = decode_segment_header(RUNINK_TRY(found.file->read(0, kBlock)));
      if (!found.header) {
        found.fault = "the segment's header is damaged";
      } else if (found.header->format != kFormat) {
        return failed_precondition("{} has format {}; this program reads format {}", name, found.header->format,
                                   kFormat)
            .with_hint("use the version of Runink that wrote it");
      } else if (found.header->number != *number) {
        found.fault = fmt::format("the segment's header is that of segment {}", found.header->number);
        found.header.reset();
      } else {
        RUNINK_RETURN_IF_ERROR(check_header(name, *found.header));
        out_.incarnation = std::max(out_.incarnation, found.header->incarnation);
      }
      found_.push_back(std::move(found));
    }
    return {};
  }

  Status check_header(const std::string& name, const SegmentHeader& header) {
    if (options_.check_header) RUNINK_RETURN_IF_ERROR(options_.check_header(name, header));
    if (header.sealed && options_.key && header.key != options_.key->id()) {
      return failed_precondition("{} is sealed with key {}, and the key that was given is {}", name,
                                 crypto::key_id_text(header.key), crypto::key_id_text(options_.key->id()))
          .with_hint("give the key file that this member was set up with");
    }
    if (header.sealed && !options_.key && options_.must_decode) {
      return failed_precondition("{} is sealed with key {}, and no key was given", name,
                                 crypto::key_id_text(header.key))
          .with_hint("give the key file that this member was set up with");
    }
    if (!header.sealed && options_.key) {
      return failed_precondition("{} is not sealed, and a key was given", name)
          .with_hint(
              "a member is sealed from its beginning: remove it from the cluster and add it again with an empty "
              "folder");
    }
    return {};
  }

  // What lies before a segment that begins anew is void.
  void choose_segments() {
    size_t begin = 0;
    for (size_t i = 0; i < found_.size(); ++i) {
      if (found_[i].header && found_[i].header->anew) begin = i;
    }
    for (size_t i = 0; i < begin; ++i) out_.leftover.push_back(found_[i].number);
    found_.erase(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(begin));
  }

  void damaged(const std::string& file, uint64_t offset, std::string what) {
    if (!seen_.damage) seen_.damage = Damage{file, offset, std::move(what), seen_.last_index + 1};
  }

  Status read_segments() {
    if (found_.empty())
      damaged(segment_name(seen_.bounds ? seen_.bounds->first_segment : 1), 0, "the segment is missing");
    if (!found_.empty() && seen_.bounds && found_[0].number > seen_.bounds->first_segment &&
        !(found_[0].header && found_[0].header->anew)) {
      damaged(segment_name(seen_.bounds->first_segment), 0, "the segment is missing");
    }
    size_t i = 0;
    for (; i < found_.size() && !seen_.damage; ++i) {
      Found& found = found_[i];
      if (i > 0 && found.number != found_[i - 1].number + 1) {
        damaged(segment_name(found_[i - 1].number + 1), 0, "the segment is missing");
        break;
      }
      if (!found.header) {
        damaged(found.name, 0, found.fault);
        break;
      }
      if (!follows(found, i == 0)) break;
      RUNINK_RETURN_IF_ERROR(read_segment(found, i + 1 < found_.size() ? &found_[i + 1] : nullptr));
    }
    for (; i < found_.size(); ++i) out_.cut_off.push_back(found_[i].number);
    if (seen_.segments.empty()) {
      // Nothing is known to go on from; the next segment begins anew.
      out_.next_batch = seen_.bounds ? seen_.bounds->batch + 1 : 1;
    }
    return {};
  }

  bool follows(const Found& found, bool first) {
    const SegmentHeader& header = *found.header;
    if (first) {
      out_.next_batch = header.first_batch;
      out_.chain = header.chain;
      seen_.first_index = header.first_index;
      seen_.last_index = header.first_index - 1;
      seen_.sealed = header.sealed;
    } else if (header.first_batch != out_.next_batch || header.chain != out_.chain || header.sealed != seen_.sealed) {
      damaged(found.name, 0, "the segment does not continue the one before it");
      return false;
    }
    return true;
  }

  Status read_segment(Found& found, const Found* next) {
    seen_.segments.push_back({found.name, found.number, found.size, found.header, {}, kBlock});
    out_.segment_last.push_back(0);
    if (seen_.sealed && !options_.key) seen_.decoded = false;
    file_ = segment_file(*found.header, options_.key ? &*options_.key : nullptr);
    uint64_t& end = seen_.segments.back().end;
    while (!seen_.damage && end + kBatchHeaderBytes <= found.size) {
      if (!RUNINK_TRY(read_batch(found, end, next))) break;
    }
    return {};
  }

  // Goes on behind the batch at `offset`; false: there is no good one.
  Result<bool> read_batch(Found& found, uint64_t& offset, const Found* next) {
    const FileId& id = found.header->file;
    const std::string head = RUNINK_TRY(found.file->read(offset, kBatchHeaderBytes));
    const auto header = decode_batch_header(head, id, offset);
    if (!header)
      return judge(found, offset, offset + kBlock, false, next, head.find_first_not_of('\0') == std::string::npos);
    if (header->number != out_.next_batch || header->chain_before != out_.chain) {
      damaged(found.name, offset,
              fmt::format("batch {} stands where batch {} belongs, and does not continue batch {}", header->number,
                          out_.next_batch, out_.next_batch - 1));
      return false;
    }
    const uint64_t stored = header->stored_bytes();
    if (stored > found.size - offset) return judge(found, offset, found.size, true, next, false);
    const std::string payload = RUNINK_TRY(found.file->read(offset + kBatchHeaderBytes, header->payload_bytes));
    if (!payload_intact(*header, payload)) return judge(found, offset, offset + stored, true, next, false);
    // Where the first segment was begun for entries that a crash kept from being written, others came later. All before
    // them are gone with their segments.
    if (batches_read_++ == 0 && !found.header->anew) {
      seen_.first_index = header->first_index;
      seen_.last_index = header->first_index - 1;
    }
    if (header->first_index > seen_.last_index + 1) {
      damaged(found.name, offset,
              fmt::format("batch {} leaves a gap: it begins with entry {}", header->number, header->first_index));
      return false;
    }
    if (seen_.bounds && seen_.bounds->batch == header->number && seen_.bounds->chain != header->chain) {
      damaged(found.name, offset, fmt::format("batch {} is not the one that was written there last", header->number));
      return false;
    }
    if (!RUNINK_TRY(take_entries(found, offset, *header, payload))) return false;
    if (options_.keep_batches) seen_.segments.back().batches.push_back({offset, stored, *header});
    seen_.last_index = header->last_index();
    out_.segment_last.back() = std::max(out_.segment_last.back(), seen_.last_index);
    out_.last_term = header->last_term;
    out_.chain = header->chain;
    ++out_.next_batch;
    offset += stored;
    return true;
  }

  Result<bool> take_entries(const Found& found, uint64_t offset, const BatchHeader& header, std::string_view payload) {
    std::vector<raft::Entry> entries;
    if (seen_.decoded) {
      auto decoded = decode_payload(header, file_, offset, payload);
      if (!decoded.ok()) {
        damaged(found.name, offset,
                fmt::format("batch {} is intact and not valid: {}", header.number, decoded.status().message()));
        return false;
      }
      entries = std::move(*decoded);
    }
    // Below the first: what stood before it is void, and its segment is gone.
    seen_.first_index = std::min(seen_.first_index, header.first_index);
    if (options_.keep_entries) {
      const bool below = out_.entries.empty() || header.first_index < out_.entries.front().index;
      const size_t keep = below ? 0 : header.first_index - out_.entries.front().index;
      std::vector<raft::Entry> behind;  // of a log whose truncation is forgotten
      if (zoo(Zoo::kReplacedEntriesStay) && keep + entries.size() < out_.entries.size())
        behind.assign(out_.entries.begin() + static_cast<std::ptrdiff_t>(keep + entries.size()), out_.entries.end());
      out_.entries.resize(keep);
      std::move(entries.begin(), entries.end(), std::back_inserter(out_.entries));
      std::move(behind.begin(), behind.end(), std::back_inserter(out_.entries));
    }
    return true;
  }

  // The batch at `offset` is not good. A write that was cut short stands at the very end of the log, since the next one
  // is begun only when it is synced; anything else is damage. Always false.
  Result<bool> judge(Found& found, uint64_t offset, uint64_t behind, bool has_header, const Found* next, bool zeros) {
    const auto batch_is_damaged = [&](const std::string& evidence) {
      damaged(found.name, offset, fmt::format("batch {} is damaged: {}", out_.next_batch, evidence));
      return false;
    };
    if (next && next->header && next->header->first_batch != out_.next_batch) {
      return batch_is_damaged(fmt::format("{} begins with batch {}", next->name, next->header->first_batch));
    }
    if (next && has_header) return batch_is_damaged(fmt::format("{} follows", next->name));
    const uint64_t later = RUNINK_TRY(batch_behind(found, behind));
    if (later != 0) return batch_is_damaged(fmt::format("batch {} follows", later));
    if (!next && (has_header || (!zeros && !found.header->recycled))) {
      seen_.torn = Damage{found.name, offset, fmt::format("batch {} was not written whole", out_.next_batch),
                          seen_.last_index + 1};
    }
    return false;
  }

  // The number of a later batch with a good header; 0 if there is none.
  Result<uint64_t> batch_behind(Found& found, uint64_t from) {
    for (uint64_t at = from; at + kBatchHeaderBytes <= found.size; at += kPiece) {
      const std::string piece = RUNINK_TRY(found.file->read(at, kPiece));
      for (size_t i = 0; i + kBatchHeaderBytes <= piece.size(); i += kBlock) {
        const auto header =
            decode_batch_header(std::string_view(piece).substr(i, kBatchHeaderBytes), found.header->file, at + i);
        if (header && header->number > out_.next_batch) return header->number;
      }
    }
    return uint64_t{0};
  }

  // A crash ended the opening that found this damage, perhaps when some of what lies behind it had been set aside.
  // Nothing was acknowledged since: an opening that has ended has written bounds, of which the newer are not lost
  // either.
  bool is_being_recovered() const {
    return seen_.lost_end && bounds_slots_ == 2 && seen_.bounds->incarnation <= out_.lost_end_incarnation;
  }

  // Where the log ended before a part of it was damaged. It is known if a batch behind the damage is there that is at
  // least the last one that bounds know of: the same rule by which, without damage, the end of a log is found. (What a
  // second damage took of the very end, and bounds do not know yet, is taken for a write that was cut short here as
  // there.)
  Result<std::optional<raft::LogEnd>> end_before_damage() {
    const std::optional<raft::LogEnd> unknown;
    if (!seen_.bounds || found_.empty()) return unknown;
    Found& last = found_.back();
    if (!last.header || last.number < seen_.bounds->last_segment) return unknown;
    if (last.number == seen_.bounds->last_segment && last.header->incarnation < seen_.bounds->incarnation)
      return unknown;
    std::optional<BatchHeader> batch = RUNINK_TRY(last_batch_of(last));
    if (!batch && found_.size() > 1 && found_[found_.size() - 2].header) {
      // The last segment has just been begun: it says which batch stands before it.
      batch = RUNINK_TRY(last_batch_of(found_[found_.size() - 2]));
      if (batch && (batch->number + 1 != last.header->first_batch || batch->chain != last.header->chain))
        return unknown;
    }
    const uint64_t first_lost = seen_.segments.empty() ? 0 : out_.next_batch;
    if (!batch || batch->number <= first_lost || batch->number < seen_.bounds->batch) return unknown;
    return std::optional(raft::LogEnd{batch->last_term, batch->last_index()});
  }

  // By its header.
  static Result<std::optional<BatchHeader>> last_batch_of(Found& found) {
    std::optional<BatchHeader> out;
    for (uint64_t at = kBlock; at + kBatchHeaderBytes <= found.size; at += kPiece) {
      const std::string piece = RUNINK_TRY(found.file->read(at, kPiece));
      for (size_t i = 0; i + kBatchHeaderBytes <= piece.size(); i += kBlock) {
        const auto header =
            decode_batch_header(std::string_view(piece).substr(i, kBatchHeaderBytes), found.header->file, at + i);
        if (header && (!out || header->number > out->number)) out = header;
      }
    }
    return out;
  }

  void compare_with_bounds() {
    seen_.entries = seen_.last_index + 1 - seen_.first_index;
    if (!seen_.bounds || seen_.damage) return;
    if (seen_.bounds->last_segment > found_.back().number) {
      damaged(segment_name(found_.back().number + 1), 0, "the segment is missing");
    } else if (const Found& last = found_.back(); seen_.bounds->last_segment == last.number && last.header &&
                                                  last.header->incarnation < seen_.bounds->incarnation) {
      damaged(last.name, 0,
              fmt::format("the segment is of incarnation {}, and was written again by incarnation {}",
                          last.header->incarnation, seen_.bounds->incarnation));
    } else if (seen_.bounds->batch >= out_.next_batch) {
      damaged(seen_.segments.back().name, seen_.segments.back().end,
              fmt::format("batch {} is missing or damaged, and batches up to {} were acknowledged", out_.next_batch,
                          seen_.bounds->batch));
    }
    if (seen_.damage) seen_.torn.reset();
  }

  void list_ignored() {
    for (const std::string& name : out_.names) {
      const auto number = segment_number(name);
      const bool counts = number ? std::find(out_.leftover.begin(), out_.leftover.end(), *number) == out_.leftover.end()
                                 : name == kHardStateFile || name == kBoundsFile || name == kVoteLostFile ||
                                       name == kLockFile || name == kSpareFile;
      if (!counts) seen_.ignored.push_back(name);
    }
  }

  Disk& disk_;
  const ScanOptions& options_;
  Scan& out_;
  Inspection& seen_;
  std::vector<Found> found_;
  SegmentFile file_;  // the one that is read
  uint64_t batches_read_ = 0;
  size_t bounds_slots_ = 0;  // that are intact
};

}  // namespace

bool Scan::has(std::string_view name) const { return std::find(names.begin(), names.end(), name) != names.end(); }

Result<Scan> scan(Disk& disk, const ScanOptions& options) {
  Scan out;
  RUNINK_RETURN_IF_ERROR(Scanner(disk, options, out).run());
  return out;
}

}  // namespace runink::journal
