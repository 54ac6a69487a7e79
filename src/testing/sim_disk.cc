#include "testing/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/check.h"

namespace runink::testing {

class SimFile final : public journal::File {
 public:
  SimFile(SimDisk& disk, std::string name, std::shared_ptr<SimDisk::Inode> inode)
      : disk_(disk), name_(std::move(name)), inode_(std::move(inode)), generation_(disk.generation_) {}

  Result<std::string> read(uint64_t offset, size_t size) override {
    RUNINK_RETURN_IF_ERROR(disk_.alive(generation_));
    return disk_.read(*inode_, name_, offset, size);
  }
  Status write(uint64_t offset, std::string_view bytes) override {
    RUNINK_RETURN_IF_ERROR(disk_.alive(generation_));
    return disk_.write(*inode_, name_, offset, bytes);
  }
  Status sync() override {
    RUNINK_RETURN_IF_ERROR(disk_.alive(generation_));
    return disk_.sync(*inode_, name_);
  }
  Status reserve(uint64_t size) override {
    RUNINK_RETURN_IF_ERROR(disk_.alive(generation_));
    return disk_.reserve(*inode_, name_, size);
  }
  Result<uint64_t> size() override {
    RUNINK_RETURN_IF_ERROR(disk_.alive(generation_));
    return uint64_t{inode_->cache.size()};
  }

 private:
  SimDisk& disk_;
  std::string name_;  // that it was opened by
  std::shared_ptr<SimDisk::Inode> inode_;
  uint64_t generation_;
};

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014): small, and the same everywhere.
uint64_t SimDisk::next_random() {
  uint64_t z = random_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

bool SimDisk::chance(double probability) {
  if (probability <= 0) return false;  // and no random number, so that a rate of zero changes no other decision
  return static_cast<double>(next_random() >> 11) * 0x1p-53 < probability;
}

std::unique_ptr<SimDisk> SimDisk::clone(uint64_t seed) const {
  auto copy = std::make_unique<SimDisk>(seed);
  std::map<const Inode*, std::shared_ptr<Inode>> made;
  const auto inode = [&made](const std::shared_ptr<Inode>& original) {
    auto& place = made[original.get()];
    if (!place) place = std::make_shared<Inode>(*original);
    return place;
  };
  for (const auto& [name, original] : names_) copy->names_[name] = inode(original);
  for (const auto& [name, original] : durable_names_) copy->durable_names_[name] = inode(original);
  for (const NameChange& change : pending_names_)
    copy->pending_names_.push_back({change.from, change.to, inode(change.inode)});
  copy->space_ = space_;
  return copy;
}

Status SimDisk::alive(uint64_t generation) const {
  if (off_) return unavailable("the power is off");
  if (generation != generation_) return unavailable("the file was opened before the power was cut");
  return {};
}

void SimDisk::cut_power_after(uint64_t operations) { cut_at_ = operations_ + operations; }

void SimDisk::fail_after(uint64_t operations, Fault fault) {
  fail_at_ = operations_ + operations;
  fault_ = fault;
}

Status SimDisk::begin(Kind kind, const std::string& what, bool* in_part) {
  *in_part = false;
  const uint64_t number = operations_++;
  if (number >= cut_at_) {
    off_ = *in_part = true;
    ++faults_;
    return unavailable("{}: the power is off", what);
  }
  const double rate = kind == Kind::kSync ? rates_.sync : kind == Kind::kNames ? rates_.names : rates_.write;
  const bool asked = number == fail_at_;
  if (!asked && !chance(rate)) return {};
  ++faults_;
  if (asked && fault_ == Fault::kNoSpace) return from_errno(ENOSPC, what);
  *in_part = true;
  return from_errno(EIO, what);
}

void SimDisk::apply(std::string& bytes, uint64_t offset, std::string_view data) {
  if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
  std::copy(data.begin(), data.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

Status SimDisk::write(Inode& inode, const std::string& name, uint64_t offset, std::string_view bytes) {
  const std::string what = fmt::format("write {} at byte {}", name, offset);
  bool in_part = false;
  Status status = begin(Kind::kWrite, what, &in_part);
  if (!status.ok()) {
    // What a failed write has done ends somewhere, at the border of a sector.
    const uint64_t done =
        in_part ? std::min<uint64_t>(bytes.size(), next_random() % (bytes.size() / kSimSector + 2) * kSimSector) : 0;
    if (done == 0 || offset + done > inode.cache.size()) return status;
    apply(inode.cache, offset, bytes.substr(0, done));
    inode.pending.push_back({offset, std::string(bytes.substr(0, done))});
    return status;
  }
  const uint64_t end = offset + bytes.size();
  if (end > inode.cache.size() && end - inode.cache.size() > space_ - std::min(space_, used_bytes())) {
    ++faults_;
    return from_errno(ENOSPC, what);
  }
  if (chance(rates_.lost_write)) return ++faults_, Status();
  if (chance(rates_.misdirected_write) && inode.cache.size() > bytes.size()) {
    ++faults_;
    offset = next_random() % ((inode.cache.size() - bytes.size()) / kSimSector + 1) * kSimSector;
  }
  apply(inode.cache, offset, bytes);
  inode.pending.push_back({offset, std::string(bytes)});
  return {};
}

Status SimDisk::reserve(Inode& inode, const std::string& name, uint64_t size) {
  const std::string what = fmt::format("reserve {} bytes for {}", size, name);
  bool in_part = false;
  RUNINK_RETURN_IF_ERROR(begin(Kind::kReserve, what, &in_part));
  if (size <= inode.cache.size()) return {};
  if (size - inode.cache.size() > space_ - std::min(space_, used_bytes())) {
    ++faults_;
    return from_errno(ENOSPC, what);
  }
  inode.cache.resize(size);
  inode.pending.push_back({size, "", true});
  return {};
}

Status SimDisk::sync(Inode& inode, const std::string& name) {
  bool in_part = false;
  Status status = begin(Kind::kSync, fmt::format("sync {}", name), &in_part);
  if (status.ok()) {
    for (const Write& write : inode.pending) {
      if (write.reserve) {
        if (inode.durable.size() < write.offset) inode.durable.resize(write.offset);
      } else {
        apply(inode.durable, write.offset, write.bytes);
      }
    }
    inode.pending.clear();
  } else if (!off_) {
    settle(inode);  // the cache goes on showing what is lost
  }
  return status;
}

// Decides which of the unsynced writes reach the disk, and forgets the rest.
void SimDisk::settle(Inode& inode) {
  const uint64_t mode = next_random() % 4;  // all lost, all kept, torn
  for (const Write& write : inode.pending) {
    if (write.reserve) {
      if (mode != 0 && (mode == 1 || next_random() % 2) && inode.durable.size() < write.offset)
        inode.durable.resize(write.offset);
      continue;
    }
    for (uint64_t done = 0; done < write.bytes.size();) {
      const uint64_t at = write.offset + done;
      const uint64_t piece = std::min<uint64_t>(kSimSector - at % kSimSector, write.bytes.size() - done);
      if (mode == 1 || (mode >= 2 && next_random() % 2))
        apply(inode.durable, at, std::string_view(write.bytes).substr(done, piece));
      done += piece;
    }
  }
  inode.pending.clear();
}

Result<std::string> SimDisk::read(const Inode& inode, const std::string& name, uint64_t offset, size_t size) {
  if (chance(rates_.read)) {
    ++faults_;
    return from_errno(EIO, fmt::format("read {} at byte {}", name, offset));
  }
  if (offset >= inode.cache.size()) return std::string();
  return inode.cache.substr(offset, size);
}

Result<std::unique_ptr<journal::File>> SimDisk::open(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  const auto found = names_.find(name);
  if (found == names_.end()) return from_errno(ENOENT, fmt::format("open {}", name));
  return std::unique_ptr<journal::File>(std::make_unique<SimFile>(*this, name, found->second));
}

void SimDisk::apply(Names& names, const NameChange& change) {
  if (change.to.empty()) {
    const auto found = names.find(change.from);
    if (found != names.end() && found->second == change.inode) names.erase(found);
    return;
  }
  // A file has one name: also when the change that gave it the one before was lost.
  if (!change.from.empty()) std::erase_if(names, [&](const auto& entry) { return entry.second == change.inode; });
  names[change.to] = change.inode;
}

Result<std::unique_ptr<journal::File>> SimDisk::create(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  bool in_part = false;
  Status status = begin(Kind::kNames, fmt::format("create {}", name), &in_part);
  if (!status.ok() && !(in_part && off_ && next_random() % 2)) return status;
  pending_names_.push_back({"", name, std::make_shared<Inode>()});
  apply(names_, pending_names_.back());
  if (!status.ok()) return status;
  return std::unique_ptr<journal::File>(std::make_unique<SimFile>(*this, name, names_[name]));
}

Status SimDisk::remove(const std::string& name) {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  const auto found = names_.find(name);
  if (found == names_.end()) return {};
  bool in_part = false;
  Status status = begin(Kind::kNames, fmt::format("remove {}", name), &in_part);
  if (!status.ok() && !(in_part && off_ && next_random() % 2)) return status;
  pending_names_.push_back({name, "", found->second});
  apply(names_, NameChange(pending_names_.back()));
  return status;
}

Status SimDisk::rename(const std::string& from, const std::string& to) {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  const auto found = names_.find(from);
  if (found == names_.end()) return from_errno(ENOENT, fmt::format("rename {} to {}", from, to));
  bool in_part = false;
  Status status = begin(Kind::kNames, fmt::format("rename {} to {}", from, to), &in_part);
  if (!status.ok() && !(in_part && off_ && next_random() % 2)) return status;
  pending_names_.push_back({from, to, found->second});
  apply(names_, NameChange(pending_names_.back()));
  return status;
}

Result<std::vector<std::string>> SimDisk::list() {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  std::vector<std::string> out;
  for (const auto& [name, inode] : names_) out.push_back(name);
  return out;
}

Status SimDisk::sync_folder() {
  RUNINK_RETURN_IF_ERROR(alive(generation_));
  bool in_part = false;
  Status status = begin(Kind::kSync, "sync the folder", &in_part);
  if (off_) return status;
  for (const NameChange& change : pending_names_) {
    if (status.ok() || next_random() % 2) apply(durable_names_, change);
  }
  pending_names_.clear();
  return status;
}

void SimDisk::crash() {
  // A file system that keeps a log of its names loses the last ones, another one any of them.
  const bool in_order = next_random() % 2;
  const size_t kept = pending_names_.empty() ? 0 : next_random() % (pending_names_.size() + 1);
  std::set<Inode*> seen;
  std::vector<std::shared_ptr<Inode>> inodes;
  const auto note = [&](const std::shared_ptr<Inode>& inode) {
    if (seen.insert(inode.get()).second) inodes.push_back(inode);
  };
  for (const auto& [name, inode] : durable_names_) note(inode);
  for (const NameChange& change : pending_names_) note(change.inode);
  for (size_t i = 0; i < pending_names_.size(); ++i) {
    if (in_order ? i < kept : next_random() % 2 != 0) apply(durable_names_, pending_names_[i]);
  }
  pending_names_.clear();
  for (const auto& inode : inodes) {
    settle(*inode);
    inode->cache = inode->durable;
  }
  names_ = durable_names_;
  off_ = false;
  cut_at_ = fail_at_ = UINT64_MAX;
  ++generation_;
}

uint64_t SimDisk::used_bytes() const {
  uint64_t sum = 0;
  for (const auto& [name, inode] : names_) sum += inode->cache.size();
  return sum;
}

void SimDisk::flip(const std::string& name, uint64_t offset, uint8_t mask) {
  Inode& inode = *names_.at(name);
  RUNINK_CHECK(offset < inode.cache.size());
  for (std::string* bytes : {&inode.cache, &inode.durable}) {
    if (offset < bytes->size()) (*bytes)[offset] = static_cast<char>((*bytes)[offset] ^ mask);
  }
}

void SimDisk::rot(const std::string& name, uint64_t offset, uint64_t size) {
  for (uint64_t i = 0; i < size; ++i) flip(name, offset + i, static_cast<uint8_t>(1 + next_random() % 255));
}

SimDisk::Place SimDisk::rot_somewhere() {
  std::vector<std::string> names;
  for (const auto& [name, inode] : names_) {
    if (!inode->cache.empty()) names.push_back(name);
  }
  if (names.empty()) return {};
  Place place{names[next_random() % names.size()], 0};
  const uint64_t size = bytes(place.name).size();
  place.offset = next_random() % ((size + kSimSector - 1) / kSimSector) * kSimSector;
  rot(place.name, place.offset, std::min(kSimSector, size - place.offset));
  return place;
}

const std::string& SimDisk::bytes(const std::string& name) const { return names_.at(name)->cache; }

void SimDisk::put(const std::string& name, std::string bytes) {
  auto inode = std::make_shared<Inode>();
  inode->cache = inode->durable = std::move(bytes);
  names_[name] = durable_names_[name] = inode;
}

}  // namespace runink::testing
