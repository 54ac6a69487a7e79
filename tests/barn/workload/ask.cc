// barn_ask: one question to a cluster; prints the answer as one line of JSON, with the status's code and kind.
//
//   barn_ask FOLDER ENDPOINTS SECONDS get KEY | peek KEY | put KEY VALUE | lease TTL_MILLIS | keep INCARNATION INDEX
//
// FOLDER is a client folder. ENDPOINTS, with commas between, are asked instead of those that it names; "" for those.
// `peek` reads what a member has, without asking anybody. Exit code 1: it was not answered, or refused.
#include <fmt/format.h>

#include <cstdio>
#include <sstream>

#include "base/clock.h"
#include "base/text.h"
#include "platform/rpc/client_credentials.h"
#include "store.h"

namespace runink::workload {
namespace {

namespace v1 = runink::barn::v1;

Result<std::string> ask(sdk::BarnClient& client, const std::vector<std::string>& words) {
  const std::string& verb = words[0];
  const auto word = [&](size_t n) { return n < words.size() ? words[n] : std::string(); };
  if (verb == "get" || verb == "peek") {
    v1::GetRequest request;
    request.set_key(word(1));
    request.set_serializable(verb == "peek");
    const v1::GetResponse got = RUNINK_TRY(client.get(request));
    const std::string value = got.has_item() ? json_quote(got.item().value()) : "null";
    return fmt::format(R"("index": {}, "value": {}, "version": {})", got.index(), value, got.item().version());
  }
  if (verb == "put") {
    v1::PutRequest request;
    request.set_key(word(1));
    request.set_value(word(2));
    const v1::WriteResponse done = RUNINK_TRY(client.put(request));
    return fmt::format(R"("index": {})", done.index());
  }
  if (verb == "lease") {
    v1::GrantLeaseRequest request;
    request.set_ttl_micros(std::stoll(word(1)) * 1000);
    const v1::GrantLeaseResponse done = RUNINK_TRY(client.grant_lease(request));
    return fmt::format(R"("token": [{}, {}])", done.lease().incarnation(), done.lease().index());
  }
  if (verb == "keep") {
    v1::KeepLeaseRequest request;
    request.mutable_lease()->set_incarnation(std::stoull(word(1)));
    request.mutable_lease()->set_index(std::stoull(word(2)));
    const v1::KeepLeaseResponse done = RUNINK_TRY(client.keep_lease(request));
    return fmt::format(R"("remaining_micros": {})", done.remaining_micros());
  }
  return invalid_argument("what does '{}' mean?", verb);
}

Result<std::string> run(int argc, char** argv) {
  if (argc < 5) return invalid_argument("usage: barn_ask FOLDER ENDPOINTS SECONDS VERB …");
  Access access;
  std::istringstream endpoints(argv[2]);
  for (std::string each; std::getline(endpoints, each, ',');) access.endpoints.push_back(each);
  access.timeout_nanos = static_cast<int64_t>(std::stod(argv[3]) * 1e9);
  RUNINK_RETURN_IF_ERROR(read_cluster(argv[1], &access));
  rpc::prepare_grpc();
  const std::unique_ptr<sdk::BarnClient> client = RUNINK_TRY(connect(access));
  return ask(*client, {argv + 4, argv + argc});
}

}  // namespace
}  // namespace runink::workload

int main(int argc, char** argv) {
  const auto answer = runink::workload::run(argc, argv);
  const runink::Status& status = answer.status();
  fmt::print("{{\"code\": \"{}\", \"kind\": {}, \"message\": {}{}{}}}\n", runink::code_name(status.code()),
             runink::json_quote(status.kind()), runink::json_quote(status.to_string()), answer.ok() ? ", " : "",
             answer.ok() ? *answer : "");
  return answer.ok() ? 0 : 1;
}
