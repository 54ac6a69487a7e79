// A client of a cluster for the storage rigs: writes numbered keys whose values follow from the key, says of each what
// became of it, and later looks whether all that was acknowledged is there, and as it was written.
//
//   barn_writer CLIENT put PREFIX FIRST COUNT BYTES UNDERWAY TIMEOUT_MS [unmarked]
//       COUNT 0: until standard input ends. One line each: "ack N MICROS", "unknown N KIND", "no N CODE KIND MESSAGE"
//       (certainly not carried out). `unmarked`: a write whose answer is lost is not repeated, and is unknown.
//   barn_writer CLIENT check PREFIX TIMEOUT_MS
//       Standard input: lines "ack N" and others. Every acknowledged key must be there, none that was refused, and
//       every value right. Ends with 1 and says which, if not. "present N acknowledged M" if so.
//   barn_writer CLIENT get KEY [serializable]      writes the value
//   barn_writer CLIENT set KEY VALUE
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "client/sdk/client.h"
#include "platform/config/client_folder.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/rpc/client_credentials.h"

namespace runink::testing {
namespace {

namespace v1 = runink::barn::v1;

std::string key_of(const std::string& prefix, uint64_t number) { return fmt::format("{}{:010}", prefix, number); }

// The key, and after it what a generator makes of its number: neither compressible nor equal for two keys.
std::string value_of(const std::string& key, uint64_t number, size_t bytes) {
  std::string out = key + "=";
  uint64_t state = number * 0x9E3779B97F4A7C15 + 1;
  while (out.size() < bytes) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    out.append(reinterpret_cast<const char*>(&state), sizeof state);
  }
  out.resize(std::max(bytes, key.size() + 1));
  return out;
}

Result<std::unique_ptr<sdk::BarnClient>> connect(const std::string& folder, int64_t timeout_nanos, bool mark) {
  const config::ClientFolder client = RUNINK_TRY(config::load_client_folder(folder));
  const crypto::Credentials credentials = RUNINK_TRY(crypto::load_credentials(folder));
  sdk::ClientOptions options;
  options.endpoints = client.endpoints;
  options.trust_domain = RUNINK_TRY(crypto::trust_domain_of(client.cluster_id));
  options.certificate_pem = credentials.certificate.to_pem();
  options.key_pem = RUNINK_TRY(credentials.key.to_pem());
  for (const crypto::Certificate& authority : credentials.authorities) options.authorities_pem += authority.to_pem();
  options.timeout_nanos = timeout_nanos;
  options.mark_writes = mark;
  return sdk::BarnClient::create(std::move(options));
}

// Whole lines, whoever writes.
void say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const std::string text = line + "\n";
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (wrote <= 0) std::_Exit(3);
    done += static_cast<size_t>(wrote);
  }
}

struct PutArguments {
  std::string prefix;
  uint64_t first = 0, count = 0;
  size_t bytes = 0, under_way = 1;
};

void put_one(sdk::BarnClient& client, const PutArguments& arguments, uint64_t number) {
  v1::PutRequest request;
  request.set_key(key_of(arguments.prefix, number));
  request.set_value(value_of(request.key(), number, arguments.bytes));
  const int64_t began = system_clock().steady_nanos();
  const auto answer = client.put(std::move(request), {});
  const Status& status = answer.status();
  if (status.ok()) {
    say(fmt::format("ack {} {}", number, (system_clock().steady_nanos() - began) / 1000));
  } else if (status.code() == Code::kUnknown) {
    say(fmt::format("unknown {} {}", number, status.kind()));
  } else {
    say(fmt::format("no {} {} {} {}", number, code_name(status.code()), status.kind().empty() ? "-" : status.kind(),
                    status.message()));
  }
}

Status put(sdk::BarnClient& client, const PutArguments& arguments) {
  std::atomic<uint64_t> next{arguments.first};
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (size_t i = 0; i < arguments.under_way; ++i) {
    writers.emplace_back([&] {
      while (!stop) {
        const uint64_t number = next++;
        if (arguments.count > 0 && number >= arguments.first + arguments.count) return;
        put_one(client, arguments, number);
      }
    });
  }
  if (arguments.count == 0) {
    std::string line;
    while (std::getline(std::cin, line)) {
    }
    stop = true;
  }
  for (std::thread& writer : writers) writer.join();
  return {};
}

struct Told {
  std::set<uint64_t> acknowledged, refused, unknown;
};

Told read_lines() {
  Told out;
  std::string line, what;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    uint64_t number = 0;
    if (!(words >> what >> number)) continue;
    (what == "ack" ? out.acknowledged : what == "no" ? out.refused : out.unknown).insert(number);
  }
  return out;
}

Status check(sdk::BarnClient& client, const std::string& prefix) {
  const Told told = read_lines();
  std::set<uint64_t> present;
  std::string from = prefix, bad;
  size_t wrong = 0;
  const auto blame = [&](std::string_view what, uint64_t number) {
    if (++wrong <= 10) bad += fmt::format("\n  {} {}", number, what);
  };
  for (bool more = true; more;) {
    v1::RangeRequest request;
    request.set_from(from);
    request.set_to(prefix + "\xFF");
    request.set_limit(10);
    const v1::RangeResponse found = RUNINK_TRY(client.range(std::move(request)));
    for (const auto& item : found.items()) {
      const uint64_t number = std::stoull(item.key().substr(prefix.size()));
      present.insert(number);
      if (item.value() != value_of(item.key(), number, item.value().size())) blame("has a wrong value", number);
      if (item.version() != 1) blame(fmt::format("was written {} times", item.version()), number);
      from = item.key() + '\0';
    }
    more = found.more() && found.items_size() > 0;
  }
  for (const uint64_t number : told.acknowledged) {
    if (!present.contains(number)) blame("was acknowledged and is not there", number);
  }
  for (const uint64_t number : told.refused) {
    if (present.contains(number)) blame("was refused and is there", number);
  }
  for (const uint64_t number : present) {
    if (!told.acknowledged.contains(number) && !told.unknown.contains(number) && !told.refused.contains(number))
      blame("is there and nobody heard of it", number);
  }
  if (wrong > 0) return data_loss("{} keys are not as they were said to be:{}", wrong, bad);
  say(fmt::format("present {} acknowledged {} unknown {} refused {}", present.size(), told.acknowledged.size(),
                  told.unknown.size(), told.refused.size()));
  return {};
}

Status run(const std::vector<std::string>& words) {
  rpc::prepare_grpc();
  const auto word = [&](size_t i) { return i < words.size() ? words[i] : std::string(); };
  const auto number = [&](size_t i) { return std::stoull(word(i)); };
  constexpr int64_t kMillisecond = 1'000'000;
  if (word(1) == "put" && words.size() >= 8) {
    const auto client =
        RUNINK_TRY(connect(words[0], static_cast<int64_t>(number(7)) * kMillisecond, word(8) != "unmarked"));
    return put(*client, {words[2], number(3), number(4), number(5), number(6)});
  }
  if (word(1) == "check" && words.size() == 4) {
    const auto client = RUNINK_TRY(connect(words[0], static_cast<int64_t>(number(3)) * kMillisecond, true));
    return check(*client, words[2]);
  }
  const auto client = RUNINK_TRY(connect(word(0), 4'000 * kMillisecond, true));
  if (word(1) == "get") {
    v1::GetRequest request;
    request.set_key(word(2));
    request.set_serializable(word(3) == "serializable");
    const v1::GetResponse found = RUNINK_TRY(client->get(std::move(request)));
    if (!found.has_item()) return not_found("there is no {}", word(2));
    say(found.item().value());
    return {};
  }
  if (word(1) == "set" && words.size() == 4) {
    v1::PutRequest request;
    request.set_key(words[2]);
    request.set_value(words[3]);
    return status_of(client->put(std::move(request)));
  }
  return invalid_argument("barn_writer: its first lines say how it is used");
}

}  // namespace
}  // namespace runink::testing

int main(int argc, char** argv) {
  const runink::Status status = runink::testing::run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  std::cerr << status.to_string() << "\n";
  return 1;
}
