// A journal whose files were changed in any way: it is refused, or it opens and goes on. Without forged checksums every
// entry that it gives is one that was written.
//
// The input is a row of changes of 8 bytes each: what, file (2), offset (3), how much or which value (2).
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "control/journal/inspect.h"
#include "control/journal/journal_in_test.h"
#include "platform/crypto/crc32c.h"
#include "testing/sim_disk.h"

using namespace runink;           // NOLINT: one program
using namespace runink::journal;  // NOLINT

namespace {

struct Made {
  std::unique_ptr<testing::SimDisk> disk;
  std::vector<std::string> names;
  std::map<raft::Index, std::vector<raft::Entry>> written;
};

Options options_of(bool sealed, uint64_t file_id) {
  Options options = small_options(file_id);
  if (sealed) options.key = crypto::SealingKey::from_bytes({7});
  return options;
}

Made make(bool sealed) {
  Made made;
  made.disk = std::make_unique<testing::SimDisk>(1);
  RUNINK_CHECK(Journal::create(*made.disk, this_member(), options_of(sealed, 1)).ok());
  Recovered found;
  auto journal = Journal::open(*made.disk, this_member(), options_of(sealed, 100), &found);
  RUNINK_CHECK(journal.ok());
  const auto append = [&](raft::Index from, size_t count, size_t bytes, raft::Term term) {
    std::vector<raft::Entry> entries;
    for (size_t i = 0; i < count; ++i) {
      entries.push_back(entry(from + i, term, std::string(bytes, static_cast<char>('a' + from + i + term))));
      made.written[from + i].push_back(entries.back());
    }
    RUNINK_CHECK((*journal)->append(entries).ok());
  };
  append(1, 1, 10, 1);
  append(2, 5, 3000, 1);
  append(7, 6, 2500, 2);
  append(10, 2, 100, 3);
  RUNINK_CHECK((*journal)->save_hard_state({3, 1, 9}).ok() && (*journal)->rest().ok());
  append(12, 1, 5000, 3);
  made.names = *made.disk->list();
  return made;
}

uint32_t number(const uint8_t* at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= static_cast<uint32_t>(at[i]) << (8 * i);
  return value;
}

void put_checksum(std::string& file, uint64_t at, uint32_t sum) {
  for (size_t i = 0; i < 4; ++i) file[at + i] = static_cast<char>(sum >> (8 * i));
}

// Makes the checksums right that a change of this block has broken: what is read then is senseless, and looks well.
void forge(std::string& file, uint64_t block) {
  if (file.size() < block + kBlock) return;
  const std::string_view bytes = std::string_view(file).substr(block, kBlock);
  if (bytes.starts_with("RNKSEG1\n")) return put_checksum(file, block + 100, crypto::crc32c(bytes.substr(0, 100)));
  if (bytes.starts_with("RNKHARD1")) return put_checksum(file, block + 72, crypto::crc32c(bytes.substr(0, 72)));
  if (bytes.starts_with("RNKBNDS1")) return put_checksum(file, block + 68, crypto::crc32c(bytes.substr(0, 68)));
  if (!bytes.starts_with("RNKB")) return;
  const auto* raw = reinterpret_cast<const uint8_t*>(file.data() + block);
  const uint64_t payload = number(raw + 40, 4);
  if (payload <= file.size() - block - kBatchHeaderBytes) {
    put_checksum(
        file, block + 48,
        crypto::crc32c(std::string_view(file).substr(block + kBatchHeaderBytes, payload), number(raw + 44, 4)));
  }
  std::string covered = file.substr(72, 16);  // the file's id
  for (size_t i = 0; i < 8; ++i) covered += static_cast<char>(block >> (8 * i));
  put_checksum(file, block + 60, crypto::crc32c(covered + file.substr(block, 60)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Made plain = make(false), sealed = make(true);
  if (size == 0) return 0;
  const bool is_sealed = data[0] & 1;
  const Made& made = is_sealed ? sealed : plain;
  auto disk = made.disk->clone(1);
  bool forged = false;
  for (size_t at = 1; at + 8 <= size && at < 800; at += 8) {
    const std::string& name = made.names[number(data + at + 1, 2) % made.names.size()];
    if (!disk->exists(name)) continue;
    std::string bytes = disk->bytes(name);
    const uint64_t offset = bytes.empty() ? 0 : number(data + at + 3, 3) % bytes.size();
    const uint32_t value = number(data + at + 6, 2);
    switch (data[at] % 7) {
      case 0:
        bytes[offset] = static_cast<char>(bytes[offset] ^ (value | 1));
        break;
      case 1:
        bytes.resize(offset);
        break;
      case 2:
        bytes.replace(offset, value, std::string(std::min<size_t>(value, bytes.size() - offset), '\0'));
        break;
      case 3: {  // a block from elsewhere
        const std::string& from_name = made.names[value % made.names.size()];
        if (!disk->exists(from_name)) continue;
        const std::string& other = disk->bytes(from_name);
        const uint64_t from = offset / kBlock * kBlock;
        if (other.size() >= from + kBlock)
          bytes.replace(offset / kBlock * kBlock, kBlock, other.substr(other.size() - from - kBlock, kBlock));
        break;
      }
      case 4:
        (void)disk->remove(name);
        continue;
      case 5:
      case 6: {  // a field of some block's head
        const uint64_t block = offset / kBlock * kBlock;
        const uint64_t field = block + value % 104;
        if (field < bytes.size()) bytes[field] = static_cast<char>(data[at + 7] ^ data[at + 3]);
        if (data[at] % 7 == 6) {
          forge(bytes, block);
          forged = true;
        }
        break;
      }
    }
    disk->put(name, std::move(bytes));
  }
  const auto key = options_of(is_sealed, 0).key;
  const Status verified = verify(*disk, key);
  (void)inspect(*disk, std::nullopt);
  Recovered found;
  auto journal = Journal::open(*disk, this_member(), options_of(is_sealed, 1000), &found);
  if (!journal.ok()) return 0;
  for (size_t i = 0; i < found.entries.size(); ++i) {
    const raft::Entry& e = found.entries[i];
    RUNINK_CHECK(e.index == found.first_index + i);
    if (forged) continue;
    RUNINK_CHECK(made.written.count(e.index));
    const auto& versions = made.written.at(e.index);
    RUNINK_CHECK(std::any_of(versions.begin(), versions.end(), [&](const raft::Entry& v) { return same(v, e); }));
  }
  RUNINK_CHECK(found.whole || !verified.ok() || forged);
  // It goes on from there, and keeps it.
  const raft::Index last = (*journal)->last_index();
  if (last > 1'000'000'000) return 0;
  RUNINK_CHECK((*journal)->append(std::vector{entry(last + 1, 1'000'000, "more")}).ok());
  Recovered again;
  journal = Journal::open(*disk, this_member(), options_of(is_sealed, 2000), &again);
  RUNINK_CHECK(journal.ok() && again.whole == found.whole && (*journal)->last_index() == last + 1);
  RUNINK_CHECK(again.first_index == found.first_index && again.entries.size() == found.entries.size() + 1);
  return 0;
}
