// Looking into the folder of a member that does not run. Inspecting and verifying change nothing in it. What its log
// and state hold is not changed by a dump either, but RocksDB may write its own bookkeeping. A running member keeps
// others out of its state (kAborted, kind "lock.held"). A copy of a folder does as well as the folder. kNotFound: a
// member that was never started has no state yet.
#pragma once

#include <string>

#include "base/status.h"
#include "control/barn/dump.h"
#include "control/journal/inspect.h"
#include "control/node/member_config.h"
#include "platform/crypto/certificate_authority.h"

namespace runink::node {

// What its state and its log hold, as a backup: everything that was acknowledged and reached this member, and possibly
// entries that were never acknowledged. Works on a copy beside the folder, for which there has to be room.
Result<barn::DumpInfo> dump_stopped_member(const std::string& root, const std::string& key_file,
                                           const barn::ByteSink& sink);

struct StoppedMember {
  MemberConfig config;
  journal::Inspection log;
  barn::Position state;  // up to which entry it was applied
  uint64_t incarnation = 0;
  std::vector<std::string> snapshots;  // folders, the newest first
};
Result<StoppedMember> inspect_stopped_member(const std::string& root, const std::string& key_file);

// Reads all of log (and where it begins), state, snapshots and chunks. kDataLoss names what is damaged.
struct Verified {
  uint64_t log_entries = 0, state_bytes = 0, snapshots = 0, chunks = 0;
};
Result<Verified> verify_stopped_member(const std::string& root, const std::string& key_file);

// What it is; with the checks of the others.
Result<MemberConfig> config_of_stopped_member(const std::string& root, const std::string& key_file);

// The cluster's certificate authority, as that member's state holds it: whoever may read the folder may issue
// certificates. Works on a copy beside the folder.
Result<crypto::CertificateAuthority> authority_of_stopped_member(const std::string& root, const std::string& key_file);

}  // namespace runink::node
