// What a snapshot of the state consists of: the position it was taken at, the membership of the cluster there, and each
// file with its size and the SHA-256 of its plain content. Read from files and from peers, hence bounded everywhere.
//
// Hashes and sizes are those of plain content, since each member seals its files with a key of its own: chunks travel
// plain inside the mutual TLS of the members and are sealed anew by who receives them. One member's key file thus opens
// that member's disk and no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/barn/ids.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/seal.h"

namespace runink::barn {

inline constexpr size_t kSnapshotChunkBytes = 1 << 20;
inline constexpr size_t kSnapshotFiles = 65536;                // at most
inline constexpr size_t kMembershipBytes = 256 << 10;          // at most
inline constexpr size_t kManifestBytes = 16 << 20;             // encoded, at most
inline constexpr std::string_view kManifestName = "SNAPSHOT";  // its file's, beside those that it names

struct SnapshotFile {
  std::string name;  // without folders: letters, digits, '.', '-', '_'; not beginning with '.'; at most 64 bytes
  uint64_t size = 0;
  crypto::Digest256 hash{};
  bool operator==(const SnapshotFile&) const = default;
};

struct SnapshotManifest {
  Position position;
  std::string membership;           // as the cluster's members encode it; not looked into here
  std::vector<SnapshotFile> files;  // sorted by name, no name twice

  uint64_t bytes() const;  // of all files
  // Names this snapshot: the first 16 bytes of the SHA-256 of its encoding, as 32 hexadecimal digits.
  std::string id() const;
  bool operator==(const SnapshotManifest&) const = default;
};

// Little-endian: "RNKSNAP\n" | version u8 = 1 | index u64 | term u64 | digest 2 x u64 | size u32, membership | count
// u32, files: (size u8, name, size u64, hash 32) | SHA-256 of all before it.
std::string encode_manifest(const SnapshotManifest& manifest);
// kDataLoss for what is damaged, cut or not as described above; kUnimplemented for another version.
Result<SnapshotManifest> decode_manifest(std::string_view bytes);

// In `folder`, under kManifestName, sealed where a key is given; the file is either the old or the new one.
Status write_manifest(const std::string& folder, const SnapshotManifest& manifest,
                      const std::optional<crypto::SealingKey>& key);
Result<SnapshotManifest> read_manifest(const std::string& folder, const std::optional<crypto::SealingKey>& key);

}  // namespace runink::barn
