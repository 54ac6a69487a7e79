// Masking in the text of records: what must not be shown is replaced, every other byte stays as it came.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/contract/redact.h"
#include "data/contract/text_records.h"
#include "platform/os/temp.h"

namespace runink::contract {
namespace {

constexpr int kJsonDepthMax = 128;

// Walks one JSON object and copies it, asking for each value by the path of its keys what to do with it.
class JsonMasker {
 public:
  enum class Verdict { kKeep, kDescend, kMask, kMaskNameToo };
  using Judge = std::function<Verdict(const std::string& path, const Mask** mask)>;

  JsonMasker(std::string_view text, const Judge& judge, const MaskKey& key) : text_(text), judge_(judge), key_(key) {}

  bool run(std::string& out) {
    skip_blank();
    if (!object(out, "", 0)) return false;
    skip_blank();
    out += text_.substr(copied_, at_ - copied_);
    return at_ == text_.size();
  }

 private:
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void skip_blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  bool object(std::string& out, const std::string& prefix, int depth) {
    if (!is('{') || depth > kJsonDepthMax) return false;
    ++at_;
    skip_blank();
    if (is('}')) {
      ++at_;
      return true;
    }
    while (true) {
      skip_blank();
      std::string name;
      const size_t begin = at_;
      if (!string(name)) return false;
      skip_blank();
      if (!is(':')) return false;
      ++at_;
      skip_blank();
      if (!member(out, begin, prefix.empty() ? name : prefix + "." + name, depth)) return false;
      skip_blank();
      if (is('}')) {
        ++at_;
        return true;
      }
      if (!is(',')) return false;
      ++at_;
    }
  }

  bool member(std::string& out, size_t name_begin, const std::string& path, int depth) {
    const Mask* mask = nullptr;
    Verdict verdict = judge_(path, &mask);
    if (verdict == Verdict::kDescend) {
      if (is('{')) return object(out, path, depth + 1);
      verdict = Verdict::kMask;  // something else stands where protected fields should be
    }
    const size_t begin = at_;
    if (!skip_value(depth)) return false;
    if (verdict == Verdict::kKeep) return true;
    const bool name_too = verdict == Verdict::kMaskNameToo;
    out += text_.substr(copied_, (name_too ? name_begin : begin) - copied_);
    copied_ = at_;
    if (name_too) {
      out += "\"****\":\"****\"";
      return true;
    }
    out += masked(text_.substr(begin, at_ - begin), mask == nullptr ? Mask{} : *mask);
    return true;
  }

  std::string masked(std::string_view value, const Mask& mask) const {
    if (value == "null" || mask.method == MaskMethod::kNull) return "null";
    if (value[0] != '"') return json_quote(mask_text(mask, value, key_));
    std::string text;
    JsonMasker inner(value, judge_, key_);
    if (!inner.string(text)) return "\"****\"";
    return json_quote(mask_text(mask, text, key_));
  }

  bool skip_value(int depth) {
    if (at_ >= text_.size() || depth > kJsonDepthMax) return false;
    if (is('"')) {
      std::string ignored;
      return string(ignored);
    }
    if (is('{') || is('[')) return skip_nested(depth);
    const size_t begin = at_;
    while (at_ < text_.size() && std::string_view(",]} \t\r\n\":").find(text_[at_]) == std::string_view::npos) ++at_;
    return at_ > begin;
  }

  bool skip_nested(int depth) {
    const char close = is('{') ? '}' : ']';
    ++at_;
    skip_blank();
    if (is(close)) {
      ++at_;
      return true;
    }
    while (true) {
      skip_blank();
      if (close == '}') {
        std::string ignored;
        if (!string(ignored)) return false;
        skip_blank();
        if (!is(':')) return false;
        ++at_;
        skip_blank();
      }
      if (!skip_value(depth + 1)) return false;
      skip_blank();
      if (is(close)) {
        ++at_;
        return true;
      }
      if (!is(',')) return false;
      ++at_;
    }
  }

  bool hex4(size_t at, uint32_t& code) const {
    if (at + 4 > text_.size()) return false;
    code = 0;
    for (size_t i = at; i < at + 4; ++i) {
      const char c = text_[i];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return true;
  }

  bool string(std::string& out) {
    if (!is('"')) return false;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (at_ >= text_.size()) return false;
      const char escape = text_[at_++];
      switch (escape) {
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case 'r':
          out += '\r';
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'u': {
          uint32_t code = 0, low = 0;
          if (!hex4(at_, code)) return false;
          at_ += 4;
          if (code >= 0xD800 && code < 0xDC00 && text_.substr(at_, 2) == "\\u" && hex4(at_ + 2, low) && low >= 0xDC00 &&
              low < 0xE000) {
            at_ += 6;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          }
          append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
          break;
        }
        default:
          out += escape;
      }
    }
    return false;
  }

  std::string_view text_;
  const Judge& judge_;
  const MaskKey& key_;
  size_t at_ = 0, copied_ = 0;
};

}  // namespace

namespace {
// Of what is not known, the name may say as much as the value.
constexpr Mask kOfTheUnknown;
}  // namespace

RecordRedactor::RecordRedactor(const Contract& contract, const Reader& reader, MaskKey key) : key_(std::move(key)) {
  for (const auto& field : contract.fields) {
    const auto mask = mask_for(field, reader);
    fields_.push_back(field.name);
    if (!mask) continue;
    masks_.push_back({field.name, *mask});
    protected_.push_back(field.name);
  }
  find_whole();
}

std::string RecordRedactor::lost_in(const std::vector<std::string>& names) const {
  const auto in = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  if (std::all_of(names.begin(), names.end(), [&](const std::string& name) { return in(fields_, name); })) return {};
  const auto lost =
      std::find_if(protected_.begin(), protected_.end(), [&](const std::string& name) { return !in(names, name); });
  return lost == protected_.end() ? std::string() : *lost;
}

void RecordRedactor::mask_wholly(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    masks_.insert(masks_.begin(), {name, Mask{}});
    unknown_too_ = unknown_too_ || name == columnar::kOpenColumn;
  }
  find_whole();
}

void RecordRedactor::find_whole() {
  const auto for_outer = [](const std::string& name, const auto& f) {
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) f(name.substr(0, dot));
  };
  whole_.clear();
  for (const auto& entry : masks_) {
    whole_.insert(entry.name);
    for_outer(entry.name, [&](std::string outer) { whole_.insert(std::move(outer)); });
  }
  for (const auto& name : fields_) {
    const bool hidden = std::any_of(masks_.begin(), masks_.end(), [&](const auto& entry) { return entry.name == name; });
    if (!hidden) for_outer(name, [&](const std::string& outer) { whole_.erase(outer); });
  }
}

bool RecordRedactor::holds_masked(std::string_view name) const {
  return std::any_of(masks_.begin(), masks_.end(), [&](const auto& entry) {
    return entry.name.size() > name.size() && entry.name.starts_with(name) && entry.name[name.size()] == '.';
  });
}

const Mask* RecordRedactor::find(std::string_view name) const {
  for (const auto& entry : masks_) {
    if (entry.name == name) return &entry.mask;
  }
  return nullptr;
}

bool RecordRedactor::has_members(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const std::string& field) {
    return field.size() > name.size() && field.starts_with(name) && field[name.size()] == '.';
  });
}

const Mask* RecordRedactor::find_unknown(std::string_view name) const {
  static constexpr Mask kWholly;
  if (std::find(fields_.begin(), fields_.end(), name) != fields_.end()) return nullptr;
  if (unknown_too_ && !has_members(name)) return &kOfTheUnknown;
  for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    if (whole_.contains(name.substr(0, dot))) return &kWholly;
  }
  return nullptr;
}

std::string RecordRedactor::json(std::string_view record) const {
  if (masks_.empty()) return std::string(record);
  const JsonMasker::Judge judge = [this](const std::string& path, const Mask** mask) {
    *mask = find(path);
    const bool descend = holds_masked(path) || (unknown_too_ && has_members(path));
    if (*mask == nullptr && descend) return JsonMasker::Verdict::kDescend;
    if (*mask == nullptr) *mask = find_unknown(path);
    if (*mask == &kOfTheUnknown) return JsonMasker::Verdict::kMaskNameToo;
    return *mask == nullptr ? JsonMasker::Verdict::kKeep : JsonMasker::Verdict::kMask;
  };
  std::string out;
  if (!JsonMasker(record, judge, key_).run(out)) return json_quote(mask_text(Mask{}, record, key_));
  return out;
}

std::string RecordRedactor::csv(std::string_view record, const std::vector<std::string>& names, char separator) const {
  if (masks_.empty()) return std::string(record);
  std::vector<CsvCell> cells;
  // A row that is torn or shifted may hold anything anywhere.
  if (!split_csv(record, separator, cells) || cells.size() != names.size()) return mask_text(Mask{}, record, key_);
  std::string out;
  size_t copied = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    static constexpr Mask kWholly;
    const Mask* mask = find(names[i]);
    if (mask == nullptr) mask = holds_masked(names[i]) ? &kWholly : find_unknown(names[i]);
    const bool is_null = cells[i].text.empty() && !cells[i].quoted;
    if (mask == nullptr || is_null) continue;
    out += record.substr(copied, cells[i].begin - copied);
    copied = cells[i].end;
    if (mask->method == MaskMethod::kNull) continue;
    out += '"';
    for (const char c : mask_text(*mask, cells[i].text, key_)) out += c == '"' ? "\"\"" : std::string(1, c);
    out += '"';
  }
  return out + std::string(record.substr(copied));
}

namespace {

bool ends_with_word(const std::string& path, std::string_view word) {
  const std::string lower = to_lower_ascii(path);
  return lower.size() >= word.size() && lower.compare(lower.size() - word.size(), word.size(), word) == 0;
}

}  // namespace

Status redact_records(const Contract& contract, const std::string& in_path, const Reader& reader, const MaskKey& key,
                      const std::function<Status(std::string_view)>& write, uint64_t* records) {
  const char separator = ends_with_word(in_path, ".tsv") ? '\t' : ends_with_word(in_path, ".csv") ? ',' : '\0';
  ByteReader bytes = RUNINK_TRY_CONTEXT(read_plain_file(in_path), fmt::format("redact {}", in_path));
  return redact_bytes(contract, in_path, std::move(bytes), separator, reader, key, write, records);
}

Status redact_bytes(const Contract& contract, const std::string& name, ByteReader bytes, char separator,
                    const Reader& reader, const MaskKey& key, const std::function<Status(std::string_view)>& write,
                    uint64_t* records) {
  const bool table = separator != '\0';
  const std::string context = fmt::format("redact {}", name);
  RecordFile file = RUNINK_TRY_CONTEXT(RecordFile::read(name, std::move(bytes), table), context);
  const RecordRedactor redactor(contract, reader, key);
  std::vector<std::string> names;
  std::string record, buffer;
  *records = 0;
  while (RUNINK_TRY_CONTEXT(file.next(record), context)) {
    if (table && names.empty()) {
      std::vector<CsvCell> cells;
      if (!split_csv(record, separator, cells)) {
        return invalid_argument("{}:{}: the header row has quotes that do not match", name, file.line());
      }
      for (auto& cell : cells) names.push_back(std::move(cell.text));
      if (const std::string lost = redactor.lost_in(names); !lost.empty()) {
        return failed_precondition(
                   "{}:{}: the header does not name {}, which is to be masked, and has cells that the contract does "
                   "not name",
                   name, file.line(), lost)
            .with_hint(
                "cells are known by the header: it must be the first record, separated by commas (tabs in TSV), with "
                "the contract's names");
      }
      buffer += record;
    } else if (record.empty()) {
      continue;
    } else {
      buffer += table ? redactor.csv(record, names, separator) : redactor.json(record);
      ++*records;
    }
    buffer += '\n';
    if (buffer.size() > (1u << 20)) {
      RUNINK_RETURN_IF_ERROR(write(buffer));
      buffer.clear();
    }
  }
  return buffer.empty() ? Status() : write(buffer);
}

Status redact_file(const Contract& contract, const std::string& in_path, const std::string& out_path,
                   const Reader& reader, const MaskKey& key, uint64_t* records) {
  os::AtomicFile out = RUNINK_TRY_CONTEXT(os::AtomicFile::create(out_path), fmt::format("redact {}", in_path));
  RUNINK_RETURN_IF_ERROR(redact_records(
      contract, in_path, reader, key, [&out](std::string_view bytes) { return out.write(bytes); }, records));
  RUNINK_RETURN_IF_ERROR(out.sync());
  return out.publish();
}

}  // namespace runink::contract
