#include "control/cluster/cluster_frontend.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "platform/net/join_token.h"
#include "platform/net/socket.h"

namespace runink::cluster {

namespace {

barn::Compare unchanged(std::string_view key, barn::Index modified) {
  barn::Compare out;
  out.target = barn::CompareTarget::kModifyIndex;
  out.key = key;
  out.number = modified;
  return out;
}

constexpr std::string_view kOvertaken = "barn.overtaken";
Status overtaken() {
  return aborted("somebody else changed the cluster at the same time")
      .with_kind(std::string(kOvertaken))
      .with_hint("try again");
}

Status no_such_token() {
  // The same for one that is unknown, used up or proven wrongly: whoever asks here has shown no certificate.
  return permission_denied("the token is not known, or has been used").with_hint("make a new one: runi barn add");
}

Status check_addresses(const v1::Addresses& addresses) {
  for (const auto& [what, text] : {std::pair<const char*, const std::string&>{"api", addresses.api()},
                                   {"members", addresses.members()},
                                   {"join", addresses.join()},
                                   {"metrics", addresses.metrics()}}) {
    if (Status bad = status_of(net::parse_host_port(text)); !bad.ok())
      return std::move(bad).with_context(fmt::format("read the {} address", what));
  }
  return {};
}

}  // namespace

Result<crypto::CertificateAuthority> load_authority(const barn::StateMachine& machine) {
  const auto stored = RUNINK_TRY(find_authority(machine));
  if (!stored)
    return failed_precondition("this cluster has no certificate authority yet").with_hint("try again in a moment");
  return crypto::CertificateAuthority::from_pem(stored->record.certificate_pem(), stored->record.key_pem());
}

// The state is read in the turn in which the leader is confirmed, and what is written compares with what was read.
template <typename T>
void ClusterFrontend::as_leader(Done<T> done, std::function<void(Done<T>)> work) {
  replica_.read([alive = alive_, done = std::move(done), work = std::move(work)](const Status& status) mutable {
    if (!*alive) return;
    if (!status.ok()) return done(status);
    work(std::move(done));
  });
}

// `kept` holds the strings that the transaction looks into.
void ClusterFrontend::execute(barn::Txn txn, std::shared_ptr<std::vector<std::string>> kept, Done<barn::Answer> done) {
  barn::Command command;
  command.body = std::move(txn);
  replica_.execute(std::move(command), [kept, done = std::move(done)](Result<barn::Answer> answer) {
    if (!answer.ok()) return done(answer.status());
    if (Status refused = barn::to_status(*answer); !refused.ok()) return done(std::move(refused));
    if (!answer->succeeded) return done(overtaken());
    done(std::move(answer));
  });
}

Result<v1::ClusterRecord> ClusterFrontend::own_cluster() const {
  const auto stored = RUNINK_TRY(find_cluster(replica_.machine()));
  if (!stored || stored->record.id() != cluster_id_)
    return failed_precondition("the cluster is still being founded").with_hint("try again in a moment");
  return stored->record;
}

void ClusterFrontend::found(const std::string& name, const v1::Addresses& addresses,
                            const crypto::CertificateAuthority& authority, Done<bool> done) {
  as_leader<bool>(std::move(done), [this, name, addresses, authority](Done<bool> done) {
    const auto before = find_cluster(replica_.machine());
    if (!before.ok()) return done(before.status());
    if (before->has_value() && (*before)->record.id() == cluster_id_) return done(false);

    v1::ClusterRecord cluster;
    cluster.set_id(cluster_id_);
    cluster.set_name(name);
    cluster.set_next_node(self_ + 1);
    cluster.set_founded_micros(clock_.unix_micros());
    v1::AuthorityRecord keys;
    keys.set_certificate_pem(authority.certificate().to_pem());
    auto key_pem = authority.key_pem();
    if (!key_pem.ok()) return done(key_pem.status());
    keys.set_key_pem(*key_pem);
    v1::MemberRecord member;
    member.set_node(self_);
    *member.mutable_addresses() = addresses;
    member.set_stage(v1::MemberRecord::MEMBER);
    member.set_joined_micros(clock_.unix_micros());

    // Of a restored cluster: the members and tokens of the old one first, whose ids are not given again.
    const auto members = all_members(replica_.machine());
    if (!members.ok()) return done(members.status());
    const auto tokens = all_tokens(replica_.machine());
    if (!tokens.ok()) return done(tokens.status());
    auto kept = std::make_shared<std::vector<std::string>>();
    kept->reserve(16 + members->size() + tokens->size());  // views into it stay good
    const auto keep = [&](std::string text) -> std::string_view { return kept->emplace_back(std::move(text)); };
    barn::Txn txn;
    const std::string_view cluster_at = keep(cluster_key());
    txn.compares.push_back(unchanged(cluster_at, before->has_value() ? (*before)->modified : 0));
    for (const auto& [node, stored] : *members) {
      cluster.set_next_node(std::max(cluster.next_node(), node + 1));
      if (node != self_) txn.then_ops.push_back(barn::Delete{.key = keep(member_key(node))});
    }
    for (const auto& [id, stored] : *tokens) txn.then_ops.push_back(barn::Delete{.key = keep(token_key(id))});
    if (before->has_value()) cluster.set_next_node(std::max(cluster.next_node(), (*before)->record.next_node()));
    txn.then_ops.push_back(barn::Put{.key = cluster_at, .value = keep(cluster.SerializeAsString())});
    txn.then_ops.push_back(barn::Put{.key = keep(authority_key()), .value = keep(keys.SerializeAsString())});
    txn.then_ops.push_back(barn::Put{.key = keep(member_key(self_)), .value = keep(member.SerializeAsString())});
    execute(std::move(txn), kept, [done = std::move(done)](Result<barn::Answer> answer) {
      answer.ok() ? done(true) : done(answer.status());
    });
  });
}

void ClusterFrontend::add_member(const v1::AddMemberRequest& request, Done<v1::AddMemberResponse> done) {
  const int64_t ttl = request.ttl_micros() == 0 ? kTokenMicros : request.ttl_micros();
  if (ttl < 1'000'000 || ttl > kTokenMicrosMost)
    return done(invalid_argument("a token lives between one second and {}", human_duration(kTokenMicrosMost / 1e6)));
  as_leader<v1::AddMemberResponse>(
      std::move(done), [this, ttl, votes = request.votes_when_ready()](Done<v1::AddMemberResponse> done) {
        auto cluster = find_cluster(replica_.machine());
        if (const auto own = own_cluster(); !own.ok()) return done(own.status());
        const auto authority = load_authority(replica_.machine());
        if (!authority.ok()) return done(authority.status());
        const auto self = find_member(replica_.machine(), self_);
        if (!self.ok() || !self->has_value())
          return done(internal_error("the leader is not in the cluster's directory"));

        v1::ClusterRecord after = (*cluster)->record;
        const uint64_t node = after.next_node();
        after.set_next_node(node + 1);
        auto token = net::make_join_token(cluster_id_, node, (*self)->record.addresses().join(),
                                          authority->certificate().fingerprint(), clock_.unix_micros() + ttl);
        if (!token.ok()) return done(token.status());
        v1::TokenRecord record;
        record.set_node(node);
        record.set_key(net::join_key(token->secret));
        record.set_expires_micros(token->expires_micros);
        record.set_votes_when_ready(votes);

        auto kept = std::make_shared<std::vector<std::string>>(std::vector<std::string>{
            cluster_key(), after.SerializeAsString(), token_key(token->id), record.SerializeAsString()});
        barn::Txn txn;
        txn.compares.push_back(unchanged((*kept)[0], (*cluster)->modified));
        txn.then_ops.push_back(barn::Put{.key = (*kept)[0], .value = (*kept)[1]});
        txn.then_ops.push_back(barn::Put{.key = (*kept)[2], .value = (*kept)[3]});
        execute(std::move(txn), kept, [done = std::move(done), token = *token, node](Result<barn::Answer> answer) {
          if (!answer.ok()) return done(answer.status());
          v1::AddMemberResponse response;
          response.set_node(node);
          response.set_token(token.text());
          response.set_expires_micros(token.expires_micros);
          done(std::move(response));
        });
      });
}

void ClusterFrontend::admit(net::JoinRequest request, Done<net::JoinGrant> done) {
  // A node asks whom its token names; where that one leads no more, it says who does, which is no secret to anybody
  // who may find the port.
  Done<net::JoinGrant> redirecting = [this, done = std::move(done)](Result<net::JoinGrant> grant) {
    if (grant.ok() || grant.status().kind() != "barn.not_leader") return done(std::move(grant));
    Status status = unavailable("this member does not lead").with_kind("barn.not_leader");
    const auto leader = find_member(replica_.machine(), member_.raft().leader());
    if (leader.ok() && leader->has_value())
      status = std::move(status).with_detail((*leader)->record.addresses().join());
    done(std::move(status));
  };
  as_leader<net::JoinGrant>(std::move(redirecting), [this, request = std::move(request)](Done<net::JoinGrant> done) {
    const auto cluster = own_cluster();
    if (!cluster.ok()) return done(cluster.status());
    const auto token = find_token(replica_.machine(), request.token_id);
    if (!token.ok()) return done(token.status());
    if (!token->has_value() || !request.proves((*token)->record.key())) return done(no_such_token());
    const v1::TokenRecord& ticket = (*token)->record;
    if (ticket.expires_micros() <= clock_.unix_micros())
      return done(permission_denied("the token has expired").with_hint("make a new one: runi barn add"));

    const auto authority = load_authority(replica_.machine());
    if (!authority.ok()) return done(authority.status());
    const auto identity = crypto::barn_identity(authority->trust_domain(), ticket.node());
    const auto asked = crypto::CertificateRequest::from_pem(request.request_pem);
    if (!asked.ok()) return done(asked.status());
    const auto certificate = authority->issue(*asked, *identity, clock_.unix_micros());
    if (!certificate.ok()) return done(certificate.status());

    v1::MemberRecord record;
    record.set_node(ticket.node());
    if (!record.mutable_addresses()->ParseFromString(request.information))
      return done(invalid_argument("where the node listens cannot be read"));
    if (Status bad = check_addresses(record.addresses()); !bad.ok()) return done(std::move(bad));
    const auto members = all_members(replica_.machine());
    if (!members.ok()) return done(members.status());
    v1::JoinInformation information;
    information.set_cluster_id(cluster_id_);
    information.set_cluster_name(cluster->name());
    information.set_node(ticket.node());
    for (const auto& [node, stored] : *members) {
      if (stored.record.addresses().members() == record.addresses().members()) {
        return done(failed_precondition("member {} listens at {} already", node, record.addresses().members())
                        .with_hint("give this one addresses of its own"));
      }
      // What it needs to find them: all of it has to fit into one answer.
      v1::MemberRecord* const told = information.add_members();
      told->set_node(node);
      told->mutable_addresses()->set_api(stored.record.addresses().api());
      told->mutable_addresses()->set_members(stored.record.addresses().members());
    }
    // Before the token is used up.
    if (information.ByteSizeLong() > net::kMaxJoinInformationBytes) {
      return done(failed_precondition("the addresses of {} members do not fit into the answer to a new one ({} bytes)",
                                      members->size(), net::kMaxJoinInformationBytes)
                      .with_hint("give members shorter names of hosts"));
    }
    record.set_stage(v1::MemberRecord::JOINING);
    record.set_joined_micros(clock_.unix_micros());
    record.set_votes_when_ready(ticket.votes_when_ready());

    auto kept = std::make_shared<std::vector<std::string>>(
        std::vector<std::string>{token_key(request.token_id), member_key(ticket.node()), record.SerializeAsString()});
    barn::Txn txn;
    txn.compares.push_back(unchanged((*kept)[0], (*token)->modified));
    txn.then_ops.push_back(barn::Delete{.key = (*kept)[0]});
    txn.then_ops.push_back(barn::Put{.key = (*kept)[1], .value = (*kept)[2]});
    net::JoinGrant grant{certificate->to_pem(), authority->certificate().to_pem(), information.SerializeAsString()};
    execute(std::move(txn), kept, [done = std::move(done), grant = std::move(grant)](Result<barn::Answer> answer) {
      if (!answer.ok() && answer.status().kind() == kOvertaken) return done(no_such_token());
      answer.ok() ? done(grant) : done(answer.status());
    });
  });
}

void ClusterFrontend::change(const raft::Change& change, Done<v1::ChangeResponse> done) {
  as_leader<v1::ChangeResponse>(std::move(done), [this, change](Done<v1::ChangeResponse> done) {
    const auto index = member_.change_membership(change);
    if (!index.ok()) return done(index.status());
    const raft::Term term = member_.raft().term();
    waiting_.push_back([this, index = *index, term, done = std::move(done)] {
      if (replica_.position().index >= index) {
        // Only a leader of the same term knows that what was applied there is what it proposed.
        if (member_.raft().term() != term) {
          done(Status(Code::kUnknown, "another leader took over; look at the members to see whether it was carried out")
                   .with_kind("barn.unknown"));
        } else {
          v1::ChangeResponse response;
          response.set_index(index);
          done(std::move(response));
        }
        return true;
      }
      return false;
    });
  });
}

void ClusterFrontend::remove_member(raft::NodeId node, Done<v1::ChangeResponse> done) {
  as_leader<v1::ChangeResponse>(std::move(done), [this, node](Done<v1::ChangeResponse> done) {
    const auto member = find_member(replica_.machine(), node);
    if (!member.ok()) return done(member.status());
    if (!member->has_value()) {
      const auto tokens = all_tokens(replica_.machine());
      if (!tokens.ok()) return done(tokens.status());
      for (const auto& [id, stored] : *tokens) {
        if (stored.record.node() == node) return revoke(id, stored.modified, std::move(done));
      }
    }
    const bool joining = member->has_value() && (*member)->record.stage() == v1::MemberRecord::JOINING;
    if (!joining) return change({raft::ChangeKind::kRemove, node}, std::move(done));
    // Its record asks for it to be added, and would do so again: that goes first.
    auto kept = std::make_shared<std::vector<std::string>>(std::vector<std::string>{member_key(node)});
    barn::Txn txn;
    txn.compares.push_back(unchanged((*kept)[0], (*member)->modified));
    txn.then_ops.push_back(barn::Delete{.key = (*kept)[0]});
    execute(std::move(txn), kept,
            [this, alive = alive_, node, done = std::move(done)](const Result<barn::Answer>& answer) mutable {
              if (!*alive) return;
              if (!answer.ok()) return done(answer.status());
              if (member_.raft().membership().has(node))
                return change({raft::ChangeKind::kRemove, node}, std::move(done));
              v1::ChangeResponse response;
              response.set_index(replica_.position().index);
              done(std::move(response));
            });
  });
}

// Of one that has not joined there is but its token.
void ClusterFrontend::revoke(const std::string& token, barn::Index modified, Done<v1::ChangeResponse> done) {
  auto kept = std::make_shared<std::vector<std::string>>(std::vector<std::string>{token_key(token)});
  barn::Txn txn;
  txn.compares.push_back(unchanged((*kept)[0], modified));
  txn.then_ops.push_back(barn::Delete{.key = (*kept)[0]});
  execute(std::move(txn), kept, [this, alive = alive_, done = std::move(done)](const Result<barn::Answer>& answer) {
    if (!*alive) return;
    if (!answer.ok()) return done(answer.status());
    v1::ChangeResponse response;
    response.set_index(replica_.position().index);
    done(std::move(response));
  });
}

void ClusterFrontend::promote_member(raft::NodeId node, Done<v1::ChangeResponse> done) {
  as_leader<v1::ChangeResponse>(std::move(done), [this, node](Done<v1::ChangeResponse> done) {
    if (Status known = must_be_member(node); !known.ok()) return done(std::move(known));
    change({raft::ChangeKind::kPromote, node}, std::move(done));
  });
}

Status ClusterFrontend::must_be_member(raft::NodeId node) const {
  if (member_.raft().membership().has(node)) return {};
  return not_found("node {} is not a member", node);
}

void ClusterFrontend::transfer(raft::NodeId to, Done<v1::TransferResponse> done) {
  as_leader<v1::TransferResponse>(std::move(done), [this, to](Done<v1::TransferResponse> done) {
    v1::TransferResponse response;
    if (to == self_) {
      response.set_leader(self_);
      return done(std::move(response));
    }
    // 0: whoever is best fit.
    Status refused = to == 0 ? Status() : must_be_member(to);
    if (refused.ok()) refused = member_.transfer(to);
    if (!refused.ok()) return done(std::move(refused));
    waiting_.push_back([this, to, done = std::move(done)] {
      if (!member_.leads() && member_.raft().leader() != 0) {
        v1::TransferResponse response;
        response.set_leader(member_.raft().leader());
        done(std::move(response));
        return true;
      }
      if (!member_.leads() || member_.raft().transferee() != 0) return false;
      done(unavailable("the member that was to lead did not take over in time; this one goes on leading"));
      return true;
    });
  });
}

void ClusterFrontend::members(Done<v1::MembersResponse> done) {
  as_leader<v1::MembersResponse>(std::move(done), [this](Done<v1::MembersResponse> done) {
    const auto members = all_members(replica_.machine());
    if (!members.ok()) return done(members.status());
    const auto tokens = all_tokens(replica_.machine());
    if (!tokens.ok()) return done(tokens.status());
    const raft::Raft& raft = member_.raft();
    v1::MembersResponse response;
    response.set_last(raft.log().last());
    for (const auto& [node, stored] : *members) {
      auto* const out = response.add_members();
      *out->mutable_record() = stored.record;
      const bool leads = node == self_;
      out->set_role(leads                                                ? "leader"
                    : raft.membership().votes(node)                      ? "voter"
                    : raft.membership().learns(node)                     ? "learner"
                    : stored.record.stage() == v1::MemberRecord::JOINING ? "joining"
                                                                         : "leaving");
      out->set_connected(leads);
      out->set_match(leads ? raft.log().last() : 0);
      if (const auto peer = raft.peers().find(node); peer != raft.peers().end()) {
        out->set_match(peer->second.match);
        out->set_rejoining(peer->second.rejoining);
      }
    }
    // Their ids are random.
    std::vector<std::pair<raft::NodeId, int64_t>> sorted;
    for (const auto& [id, stored] : *tokens) sorted.emplace_back(stored.record.node(), stored.record.expires_micros());
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [node, expires_micros] : sorted) {
      auto* const out = response.add_tokens();
      out->set_node(node);
      out->set_expires_micros(expires_micros);
    }
    done(std::move(response));
  });
}

void ClusterFrontend::tick() {
  // An answer may lead to another change.
  auto waiting = std::exchange(waiting_, {});
  std::erase_if(waiting, [](const auto& over) { return over(); });
  waiting_.insert(waiting_.begin(), std::make_move_iterator(waiting.begin()), std::make_move_iterator(waiting.end()));
}

}  // namespace runink::cluster
