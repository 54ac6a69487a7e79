// A state as one stream of bytes: backups, and a way for a state to get from one store into another.
//
// Consistent as of one applied index; index, term and digest at the beginning, checksums of every block, counts and a
// digest of the whole at the end, so that a stream which was cut or damaged anywhere is told from a whole one. Format
// in docs/internals/barn.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "control/barn/ids.h"
#include "control/barn/store.h"

namespace runink::barn {

struct DumpInfo {
  Position position;
  uint64_t incarnation = 0;
  int64_t unix_micros = 0;  // the state's time
  uint64_t records = 0, bytes = 0;
};

// Takes bytes in order; an error ends the export.
using ByteSink = std::function<Status(std::string_view)>;

// Streams what the view shows; memory: one block (256 KiB and the largest record).
Result<DumpInfo> export_dump(const StateView& view, const ByteSink& sink);

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to `size` bytes; 0 only at the end.
  virtual Result<size_t> read(char* data, size_t size) = 0;
  virtual Status rewind() = 0;
};
class StringSource : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : bytes_(bytes) {}
  Result<size_t> read(char* data, size_t size) override;
  Status rewind() override;

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

// Reads all of it and changes nothing. kDataLoss (kind barn.dump.damaged) says where it is cut or damaged,
// kUnimplemented that a newer program wrote it.
Result<DumpInfo> verify_dump(ByteSource& source);

struct ImportOptions {
  // 0: a copy, exactly. Otherwise a restore into a new cluster of this incarnation, which must be larger than that of
  // the dump and than that of any other cluster restored from the same ancestors; an operator's command takes the
  // larger of the dump's + 1 and the Unix time in microseconds. Sessions do not survive a restore, since their clients
  // may have gone on after the backup; leases do, with their old tokens, and expire if nobody renews them.
  uint64_t incarnation = 0;
};
// Verifies, rewinds, then writes into an empty store (kFailedPrecondition otherwise). The record that makes it a state
// is written last. After an error the store is empty again, unless the store itself failed.
Result<DumpInfo> import_dump(ByteSource& source, StateStore& store, const ImportOptions& options = {});

}  // namespace runink::barn
