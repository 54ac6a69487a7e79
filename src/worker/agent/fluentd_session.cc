#include "worker/agent/fluentd_session.h"

#include "base/text.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/random.h"
#include "platform/crypto/sha512.h"

namespace runink::agent {
namespace {

using msgpack::Value;

constexpr size_t kSaltBytes = 16;

bool is_array(const Value& value, std::string_view name, size_t least) {
  return value.kind == Value::Kind::kArray && value.values.size() >= least &&
         value.values[0].kind == Value::Kind::kText && value.values[0].text == name;
}

std::string text_of(const Value* value) {
  return value != nullptr && value->kind == Value::Kind::kText ? value->text : std::string();
}

Status unauthenticated(std::string message) { return Status(Code::kUnauthenticated, std::move(message)); }

}  // namespace

Result<std::unique_ptr<FluentdSession>> FluentdSession::open(const net::HostPort& where,
                                                             const net::ClientTlsContext* tls,
                                                             const FluentdCredentials& credentials, int64_t deadline,
                                                             const net::Interrupt& interrupt) {
  auto stream = RUNINK_TRY(net::ClientStream::connect(where, tls, deadline, interrupt));
  std::unique_ptr<FluentdSession> session(new FluentdSession(std::move(stream)));
  if (!credentials.shared_key.empty()) {
    RUNINK_RETURN_IF_ERROR(
        session->shake_hands(credentials, deadline).with_context("prove the shared key to " + where.text()));
  }
  return session;
}

Result<Value> FluentdSession::receive(int64_t deadline) {
  while (true) {
    auto decoded = RUNINK_TRY(msgpack::decode(received_));
    if (decoded) {
      received_.erase(0, decoded->size);
      return std::move(decoded->value);
    }
    char buffer[4096];
    const size_t got = RUNINK_TRY(stream_->read(buffer, sizeof buffer, deadline));
    if (got == 0) return unavailable("the server has ended the connection");
    received_.append(buffer, got);
  }
}

// ["HELO", options] ← ; → ["PING", name, salt, digest, user, password digest]; ["PONG", ok, reason, name, digest] ←
Status FluentdSession::shake_hands(const FluentdCredentials& credentials, int64_t deadline) {
  const Value hello = RUNINK_TRY(receive(deadline));
  if (!is_array(hello, "HELO", 2)) return failed_precondition("the server does not begin with HELO");
  const std::string nonce = text_of(hello.values[1].find("nonce"));
  const std::string user_salt = text_of(hello.values[1].find("auth"));
  if (!user_salt.empty() && credentials.user_name.empty()) {
    return unauthenticated("the server asks for a user and a password");
  }
  std::string salt(kSaltBytes, '\0');
  crypto::random_bytes(salt.data(), salt.size());
  const auto digest = [&](const std::string& name) {
    return crypto::sha512_hex(salt + name + nonce + credentials.shared_key);
  };
  std::string ping;
  msgpack::put_array_head(ping, 6);
  msgpack::put_text(ping, "PING");
  msgpack::put_text(ping, credentials.node);
  msgpack::put_bytes_head(ping, salt.size());
  ping += salt;
  msgpack::put_text(ping, digest(credentials.node));
  msgpack::put_text(ping, user_salt.empty() ? "" : credentials.user_name);
  msgpack::put_text(
      ping, user_salt.empty() ? "" : crypto::sha512_hex(user_salt + credentials.user_name + credentials.password));
  RUNINK_RETURN_IF_ERROR(stream_->write(ping, deadline));

  const Value pong = RUNINK_TRY(receive(deadline));
  if (!is_array(pong, "PONG", 5)) return failed_precondition("the server does not answer with PONG");
  if (pong.values[1].kind != Value::Kind::kBool || !pong.values[1].truth) {
    return unauthenticated(fmt::format("the server refuses: {}", escape_control(text_of(&pong.values[2]))));
  }
  if (!crypto::equal_constant_time(text_of(&pong.values[4]), digest(text_of(&pong.values[3])))) {
    return unauthenticated("the server does not know the shared key");
  }
  return {};
}

// [tag, entries, {"size": …, "chunk": …}]; ← {"ack": chunk}
Status FluentdSession::send(std::string_view tag, std::string_view entries, uint64_t count, std::string_view chunk_id,
                            int64_t deadline) {
  std::string head, tail;
  msgpack::put_array_head(head, 3);
  msgpack::put_text(head, tag);
  msgpack::put_bytes_head(head, entries.size());
  msgpack::put_map_head(tail, 2);
  msgpack::put_text(tail, "size");
  msgpack::put_number(tail, count);
  msgpack::put_text(tail, "chunk");
  msgpack::put_text(tail, chunk_id);
  RUNINK_RETURN_IF_ERROR(stream_->write(head, deadline));
  RUNINK_RETURN_IF_ERROR(stream_->write(entries, deadline));
  RUNINK_RETURN_IF_ERROR(stream_->write(tail, deadline));
  const Value answer = RUNINK_TRY_CONTEXT(receive(deadline), "wait for an acknowledgement");
  if (is_array(answer, "HELO", 1)) {
    return unauthenticated("the server asks for a shared key, and none is configured");
  }
  if (text_of(answer.find("ack")) != chunk_id) return failed_precondition("the server acknowledges another chunk");
  return {};
}

}  // namespace runink::agent
