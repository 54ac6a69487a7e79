// Space that a member keeps for itself on its disk, so that a full disk refuses what is new instead of ending members.
//
// The journal has reserved what it accepts; the state store cannot: it writes its log, its tables and, when it is
// opened, a new manifest, and a write of it that fails for want of space ends the member, and again at the next start.
// So a file of zeros is held (<folder>/ballast). Where less than `low_bytes` are free, has_room() becomes false (the
// member then accepts no entries, raft/driver/storage.h) and the file is removed: what was accepted can be applied, and
// the member starts again. Once there is space for the file again, it is made, and has_room() is true.
//
// This holds while whoever fills the disk does not take what was given up, too.
//
// One thread.
#pragma once

#include <cstdint>
#include <string>

namespace runink::server {

class DiskReserve {
 public:
  // `low_bytes`: at least what one look() may be late by, and what the journal reserves at once.
  DiskReserve(std::string folder, uint64_t bytes, uint64_t low_bytes);

  // Looks at the disk, and gives the reserve up or makes it again. To be called often: costs a system call mostly.
  void look();
  bool has_room() const { return held_; }

 private:
  bool make() const;

  const std::string folder_, path_;
  const uint64_t bytes_, low_bytes_;
  bool held_ = false;
};

}  // namespace runink::server
