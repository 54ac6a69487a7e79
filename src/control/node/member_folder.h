// The folder of one member, as the program finds it:
//
//   <folder>/member.toml      what it is (member_config.h)
//   <folder>/place            proves that this is the folder that was made, not a copy of it
//   <folder>/tls/             its certificate and key, and the authority's certificate; the authority's key only until
//                             the cluster's first entry holds it
//   <folder>/client/          of a founder: what `runi barn` needs to be its operator (client_folder.h)
//   <folder>/journal/, state/, chunks/
//
// A copied folder must not run beside the one it was copied from: both would be the same member, and vote twice. So the
// folder knows its place: the number of a file in its file system, which a copy cannot have, and the machine. Whoever
// has moved a folder, and knows that the old one will never run again, says so (adopt_place).
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "control/node/member_config.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/crypto/seal.h"

namespace runink::node {

struct MemberFolder {
  std::string root;

  std::string config_path() const { return root + "/member.toml"; }
  std::string place_path() const { return root + "/place"; }
  std::string tls() const { return root + "/tls"; }
  std::string client() const { return root + "/client"; }
  std::string chunks() const { return root + "/chunks"; }
};

// What reading its log and state takes.
struct ReadFolder {
  MemberFolder folder;
  MemberConfig config;
  std::optional<crypto::SealingKey> key;
};
struct OpenedFolder : ReadFolder {
  crypto::Credentials credentials;
};

// kNotFound: there is no member. kFailedPrecondition, kinds "member.copied", "key.missing", "key.wrong": see above, and
// the key named in member.toml. `key_file` may be empty.
//
// To run the member.
Result<OpenedFolder> open_member_folder(const std::string& root, const std::string& key_file);
// To look into it, and change nothing: also of a copy, and without its certificate. Never "member.copied".
Result<ReadFolder> read_member_folder(const std::string& root, const std::string& key_file);
Status write_place(const MemberFolder& folder);
// From now on this is the place of the folder.
Status adopt_place(const std::string& root);

}  // namespace runink::node
