// Manifests come from peers: whatever the bytes, decoding says no or gives one that encodes to the same bytes.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "control/barn/rocks/snapshot_manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace runink;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)barn::decode_manifest(bytes);
  // The checksum at the end would stop nearly every mutation: give the body one that fits.
  std::string whole(bytes);
  const crypto::Digest256 sum = crypto::sha256(whole);
  whole.append(reinterpret_cast<const char*>(sum.data()), sum.size());
  const Result<barn::SnapshotManifest> manifest = barn::decode_manifest(whole);
  if (manifest.ok()) RUNINK_CHECK(barn::encode_manifest(*manifest) == whole);
  return 0;
}
