// A disk that a seed decides about: what a power cut keeps of unsynced writes and names, where a fault comes, which
// bits rot. The same seed and the same calls give the same bytes. There is no time in it: how long an operation takes
// is the simulator's business.
//
// The fault model (docs/internals/journal.md): sectors of 512 bytes are written whole or not at all. Until a sync, a
// power cut may keep, lose or tear any write, sector by sector and in any order, and until a sync of the folder it may
// keep or lose any new, removed or renamed name. A sync that fails leaves some of the writes out and forgets them: the
// cache still shows them, and the next sync succeeds. An operation counts when it changes something: write, sync,
// reserve, create, remove, rename, sync_folder.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/journal/disk.h"

namespace runink::testing {

inline constexpr uint64_t kSimSector = 512;

class SimDisk final : public journal::Disk {
 public:
  enum class Fault { kIo, kNoSpace };
  struct Rates {  // of each kind of operation: 0 never, 1 always; all of them kIo
    double write = 0, sync = 0, read = 0, names = 0;
    double lost_write = 0, misdirected_write = 0;  // told to be done: the drive lies
  };

  explicit SimDisk(uint64_t seed) : random_(seed) {}
  // The same bytes, names and what is not synced of them; faults that were asked for are not copied.
  std::unique_ptr<SimDisk> clone(uint64_t seed) const;

  Result<std::unique_ptr<journal::File>> open(const std::string& name) override;
  Result<std::unique_ptr<journal::File>> create(const std::string& name) override;
  Status remove(const std::string& name) override;
  Status rename(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> list() override;
  Status sync_folder() override;

  // The power is cut and comes back: files that are open are dead, what was not synced is decided.
  void crash();
  // After so many more operations the power is off: the next one happens in part or not at all and fails, as does
  // everything until crash().
  void cut_power_after(uint64_t operations);
  bool power_is_off() const { return off_; }
  // After so many more operations one fails; it says so.
  void fail_after(uint64_t operations, Fault fault);
  void set_rates(const Rates& rates) { rates_ = rates; }
  void set_space(uint64_t bytes) { space_ = bytes; }  // files that would grow beyond it are kNoSpace
  uint64_t used_bytes() const;
  uint64_t operations() const { return operations_; }
  uint64_t faults() const { return faults_; }  // that were injected so far

  // Damage to what is stored, durable and cached alike; the file must be there and have that byte.
  void flip(const std::string& name, uint64_t offset, uint8_t mask = 1);
  void rot(const std::string& name, uint64_t offset, uint64_t size);  // every byte becomes another one
  struct Place {
    std::string name;  // empty: nothing is stored
    uint64_t offset = 0;
  };
  Place rot_somewhere();  // one sector

  bool exists(const std::string& name) const { return names_.count(name) != 0; }
  const std::string& bytes(const std::string& name) const;  // as they are read; the file must be there
  void put(const std::string& name, std::string bytes);     // a whole file, durable, name and all

 private:
  friend class SimFile;
  struct Write {
    uint64_t offset;
    std::string bytes;  // or, if `reserve`, none: the file is `offset` long at least
    bool reserve = false;
  };
  struct Inode {
    std::string cache, durable;
    std::vector<Write> pending;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct NameChange {
    std::string from, to;  // `from` empty: created as `to`; `to` empty: removed
    std::shared_ptr<Inode> inode;
  };
  enum class Kind { kWrite, kSync, kNames, kReserve };

  uint64_t next_random();
  bool chance(double probability);
  // Before every operation that changes something. Says whether it may go on; `*in_part`: it must fail, but may do
  // something.
  Status begin(Kind kind, const std::string& what, bool* in_part);
  Status alive(uint64_t generation) const;
  Status write(Inode& inode, const std::string& name, uint64_t offset, std::string_view bytes);
  Status sync(Inode& inode, const std::string& name);
  Status reserve(Inode& inode, const std::string& name, uint64_t size);
  Result<std::string> read(const Inode& inode, const std::string& name, uint64_t offset, size_t size);
  void settle(Inode& inode);
  static void apply(std::string& bytes, uint64_t offset, std::string_view data);
  static void apply(Names& names, const NameChange& change);

  uint64_t random_;
  Names names_, durable_names_;
  std::vector<NameChange> pending_names_;
  uint64_t generation_ = 0, operations_ = 0, faults_ = 0;
  uint64_t space_ = UINT64_MAX;
  uint64_t cut_at_ = UINT64_MAX, fail_at_ = UINT64_MAX;  // numbers of operations
  Fault fault_ = Fault::kIo;
  bool off_ = false;
  Rates rates_;
};

}  // namespace runink::testing
