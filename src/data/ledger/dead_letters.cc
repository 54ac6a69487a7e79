// Writing dead letters: the encoding, by hand since a run may reject millions, and the writer of one file.
#include "data/ledger/dead_letters.h"

#include <cstring>

#include "base/clock.h"
#include "base/text.h"
#include "data/ledger/json_access.h"
#include "platform/crypto/base64.h"
#include "platform/os/file.h"

namespace runink::ledger {

namespace {

constexpr size_t kBufferBytes = 256u << 10;

// Which ASCII bytes a JSON text cannot hold as they are.
constexpr std::array<bool, 256> kEscaped = [] {
  std::array<bool, 256> escaped{};
  for (int c = 0; c < 0x20; ++c) escaped[c] = true;
  escaped['"'] = escaped['\\'] = true;
  return escaped;
}();

// `text` is valid UTF-8. Copies the stretches between escapes whole.
void append_valid_quoted(std::string* out, std::string_view text) {
  *out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (!kEscaped[c]) continue;
    out->append(text, begin, i - begin);
    begin = i + 1;
    switch (c) {
      case '"': *out += "\\\""; break;
      case '\\': *out += "\\\\"; break;
      case '\n': *out += "\\n"; break;
      case '\r': *out += "\\r"; break;
      case '\t': *out += "\\t"; break;
      default: {
        constexpr char kDigits[] = "0123456789abcdef";
        const char escape[] = {'\\', 'u', '0', '0', kDigits[c >> 4], kDigits[c & 15]};
        out->append(escape, sizeof escape);
      }
    }
  }
  out->append(text, begin, text.size() - begin);
  *out += '"';
}

void append_quoted(std::string* out, std::string_view text) {
  if (is_valid_utf8(text)) append_valid_quoted(out, text);
  else append_json_quoted(*out, text);
}

void append_integer(std::string* out, int64_t value) {
  const fmt::format_int digits(value);
  out->append(digits.data(), digits.size());
}

std::string id_of(crypto::Sha256* hash, std::string_view lane, std::string_view source, int64_t offset,
                  std::string_view record) {
  uint8_t place[8];
  for (int i = 0; i < 8; ++i) place[i] = static_cast<uint8_t>(static_cast<uint64_t>(offset) >> (8 * i));
  hash->update(lane);
  hash->update(source);
  hash->update(std::string_view("\0", 1));
  hash->update(std::string_view(reinterpret_cast<const char*>(place), sizeof place));
  hash->update(record);
  const crypto::Digest256 digest = hash->finish();
  return to_hex(std::string_view(reinterpret_cast<const char*>(digest.data()), 16));
}

std::string lane_of(std::string_view feature, std::string_view scenario) {
  std::string lane(feature);
  lane += '\0';
  lane += scenario;
  lane += '\0';
  return lane;
}

void count(DeadLetterSummary* summary, std::string_view rule, std::string_view field, uint64_t letters) {
  std::string key(rule);
  if (!field.empty()) key.append(" ").append(field);
  summary->by_rule[key] += letters;
}

}  // namespace

std::string dead_letter_id(std::string_view feature, std::string_view scenario, std::string_view source, int64_t offset,
                           std::string_view record) {
  crypto::Sha256 hash;
  return id_of(&hash, lane_of(feature, scenario), source, offset, record);
}

DeadLetterEncoder::DeadLetterEncoder(const DeadLetterOrigin& origin)
    : step_(origin.step), lane_(lane_of(origin.feature, origin.scenario)) {
  before_step_ = "\",\"run\":";
  append_quoted(&before_step_, origin.run_id);
  before_step_ += ",\"time\":";
  append_quoted(&before_step_, format_utc(origin.time_micros));
  before_step_ += ",\"feature\":";
  append_quoted(&before_step_, origin.feature);
  before_step_ += ",\"scenario\":";
  append_quoted(&before_step_, origin.scenario);
  before_step_ += ",\"step\":";
  after_step_ = ",\"contract\":";
  append_quoted(&after_step_, origin.contract);
  after_step_ += ",\"contract_hash\":";
  append_quoted(&after_step_, origin.contract_hash);
  for (size_t i = 0; i < origin.pii.size(); ++i) {
    after_step_ += i == 0 ? ",\"pii\":[" : ",";
    append_quoted(&after_step_, origin.pii[i]);
  }
  if (!origin.pii.empty()) after_step_ += ']';
  after_step_ += ",\"source\":";
}

void DeadLetterEncoder::encode(const DeadLetterView& letter, std::string* out) { encode(letter, step_, out); }

void DeadLetterEncoder::encode(const DeadLetterView& letter, std::string_view step, std::string* out) {
  *out += "{\"v\":1,\"id\":\"";
  *out += id_of(&hash_, lane_, letter.source, letter.offset, letter.record);
  *out += before_step_;
  append_quoted(out, step);
  *out += after_step_;
  append_quoted(out, letter.source);
  if (letter.offset >= 0) {
    *out += ",\"offset\":";
    append_integer(out, letter.offset);
  }
  if (letter.line > 0) {
    *out += ",\"line\":";
    append_integer(out, letter.line);
  }
  *out += ",\"rules\":[";
  for (size_t i = 0; i < letter.rule_count; ++i) {
    const BrokenRuleView& rule = letter.rules[i];
    *out += i == 0 ? "{\"rule\":" : ",{\"rule\":";
    append_quoted(out, rule.rule);
    if (!rule.field.empty()) {
      *out += ",\"field\":";
      append_quoted(out, rule.field);
    }
    *out += ",\"message\":";
    append_quoted(out, rule.message);
    if (!rule.words.empty()) {
      *out += ",\"words\":";
      append_quoted(out, rule.words);
    }
    *out += '}';
  }
  if (is_valid_utf8(letter.record)) {
    *out += "],\"record\":";
    append_valid_quoted(out, letter.record);
  } else {
    *out += "],\"record_base64\":\"";
    crypto::append_base64(*out, letter.record);
    *out += '"';
  }
  *out += "}\n";
}

Result<DeadLetter> parse_dead_letter(std::string_view line, const std::string& path) {
  const Json j = RUNINK_TRY(parse_json(line, path));
  const int64_t version = get_number(j, "v", -1);
  if (version > 1) {
    return failed_precondition("read {}: a dead letter of format {}, this program knows 1", path, version)
        .with_hint("it was written by a newer runi; use that one");
  }
  DeadLetter letter;
  letter.id = get_text(j, "id");
  if (version < 1 || letter.id.size() != 32) return data_loss("read {}: a line that is no dead letter", path);
  letter.run_id = get_text(j, "run");
  letter.time_micros = get_time(j, "time");
  letter.feature = get_text(j, "feature");
  letter.scenario = get_text(j, "scenario");
  letter.step = get_text(j, "step");
  letter.contract = get_text(j, "contract");
  letter.contract_hash = get_text(j, "contract_hash");
  letter.source = get_text(j, "source");
  letter.offset = get_number(j, "offset", -1);
  letter.line = get_number(j, "line");
  for (const Json& rule : get_array(j, "rules")) {
    letter.rules.push_back({get_text(rule, "rule"), get_text(rule, "field"), get_text(rule, "message"), get_text(rule, "words")});
  }
  for (const Json& name : get_array(j, "pii")) {
    if (name.is_string()) letter.pii.push_back(name.get<std::string>());
  }
  if (j.contains("record_base64")) {
    if (!crypto::decode_base64(get_text(j, "record_base64"), &letter.record)) {
      return data_loss("read {}: the bytes of dead letter {} are damaged", path, escape_control(letter.id));
    }
  } else if (j.contains("record") && j["record"].is_string()) {
    letter.record = get_text(j, "record");
  } else {
    return data_loss("read {}: dead letter {} has no record", path, escape_control(letter.id));
  }
  return letter;
}

Status DeadLetterWriter::append(const DeadLetterView& letter) {
  encoder_->encode(letter, &buffer_);
  ++summary_.letters;
  for (size_t i = 0; i < letter.rule_count; ++i) count(&summary_, letter.rules[i].rule, letter.rules[i].field, 1);
  return buffer_.size() >= kBufferBytes ? flush() : Status();
}

Status DeadLetterWriter::append(const DeadLetterView& letter, std::string_view step) {
  encoder_->encode(letter, step, &buffer_);
  ++summary_.letters;
  for (size_t i = 0; i < letter.rule_count; ++i) count(&summary_, letter.rules[i].rule, letter.rules[i].field, 1);
  return buffer_.size() >= kBufferBytes ? flush() : Status();
}

Status DeadLetterWriter::append_encoded(std::string_view lines, uint64_t letters) {
  summary_.letters += letters;
  if (buffer_.size() + lines.size() >= kBufferBytes) {
    RUNINK_RETURN_IF_ERROR(flush());
    if (lines.size() >= kBufferBytes) {
      summary_.bytes += lines.size();
      return os::write_all(fd_, lines).with_context("write dead letters");
    }
  }
  buffer_ += lines;
  return {};
}

void DeadLetterWriter::count_rule(std::string_view rule, std::string_view field, uint64_t letters) {
  count(&summary_, rule, field, letters);
}

Status DeadLetterWriter::flush() {
  if (buffer_.empty()) return {};
  RUNINK_RETURN_IF_ERROR(os::write_all(fd_, buffer_).with_context("write dead letters"));
  summary_.bytes += buffer_.size();
  buffer_.clear();
  return {};
}

Status DeadLetterWriter::finish() {
  RUNINK_RETURN_IF_ERROR(flush());
  RUNINK_RETURN_IF_ERROR(os::sync_data(fd_).with_context("write dead letters"));
  Json j = {{"format", 1}, {"letters", summary_.letters}, {"bytes", summary_.bytes}};
  j["by_rule"] = summary_.by_rule;
  return os::write_file_atomic(fd_.path() + ".summary", dump_document(j), 0600).with_context("write dead letters");
}

}  // namespace runink::ledger
