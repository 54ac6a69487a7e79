// The buffers of an Arrow record batch, checked and turned into columns.
#include <zstd.h>
#ifdef RUNINK_HAVE_LZ4
#include <lz4frame.h>
#endif

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/columnar/calendar.h"
#include "data/columnar/ipc_internal.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

constexpr int64_t kRowsWithoutBytesMax = int64_t{1} << 24;

bool is_ascii(std::string_view text) {
  uint64_t any = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + i, 8);
    any |= eight;
  }
  for (; i < text.size(); ++i) any |= static_cast<uint8_t>(text[i]);
  return (any & 0x8080808080808080ULL) == 0;
}

int128 power_of_10(int exponent) {
  int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

class ColumnReader {
 public:
  ColumnReader(const arrow::RecordBatch& batch, std::string_view body, const Dictionaries& dictionaries,
               const IpcReadLimits& limits, const DictionaryMisfits& known, IpcMisfits* misfits)
      : batch_(batch),
        body_(body),
        dictionaries_(dictionaries),
        known_misfits_(known),
        misfits_(misfits),
        budget_(4 * limits.message_bytes_max) {}

  Result<Column> read(const ArrowNode& node) {
    Column out = RUNINK_TRY(read_one(node));
    // The members of a struct outside lists have counted themselves.
    if (list_depth_ == 0 && node.kind != ArrowNode::Kind::kStruct) leaf_ += leaves_of(node.type);
    return out;
  }

 private:
  static uint32_t leaves_of(const DataType& type) {
    if (type.id() != TypeId::kStruct) return 1;
    uint32_t count = 0;
    for (const auto& field : type.fields()) count += leaves_of(field.type);
    return count;
  }

  Result<Column> read_one(const ArrowNode& node) {
    const auto* nodes = batch_.nodes();
    if (nodes == nullptr || next_node_ >= nodes->size()) return damaged(node, "the message has too few field nodes");
    const int64_t length = nodes->Get(next_node_)->length();
    const bool no_nulls = nodes->Get(next_node_)->null_count() == 0;
    ++next_node_;
    if (length < 0 || length > INT32_MAX) return damaged(node, fmt::format("a length of {}", length));

    Column out;
    out.type = node.type;
    out.length = length;
    if (node.kind == ArrowNode::Kind::kNull) {
      if (length > kRowsWithoutBytesMax) return damaged(node, fmt::format("{} nulls", length));
      return out;
    }
    RUNINK_RETURN_IF_ERROR(read_validity(node, no_nulls, &out));
    switch (node.kind) {
      case ArrowNode::Kind::kBool: RUNINK_RETURN_IF_ERROR(read_bools(node, &out)); break;
      case ArrowNode::Kind::kSame: RUNINK_RETURN_IF_ERROR(read_same(node, &out)); break;
      case ArrowNode::Kind::kScaled: RUNINK_RETURN_IF_ERROR(read_scaled(node, &out)); break;
      case ArrowNode::Kind::kText: RUNINK_RETURN_IF_ERROR(read_text(node, &out)); break;
      case ArrowNode::Kind::kFixedBytes: RUNINK_RETURN_IF_ERROR(read_fixed_bytes(node, &out)); break;
      case ArrowNode::Kind::kList:
      case ArrowNode::Kind::kFixedList: RUNINK_RETURN_IF_ERROR(read_list(node, &out)); break;
      case ArrowNode::Kind::kDictionary: return read_dictionary(node, std::move(out));
      default: {
        const size_t mark = misfits_ == nullptr ? 0 : misfits_->entries.size();
        for (const auto& child : node.children) {
          out.children.push_back(RUNINK_TRY(read(child)));
          if (out.children.back().length != length) return damaged(child, "it differs in length from its struct");
        }
        if (misfits_ != nullptr) drop_misfits(mark, [&](const IpcMisfits::Entry& e) { return out.is_null(e.row); });
      }
    }
    return out;
  }

  // ---- what does not fit ----

  template <typename F>
  void drop_misfits(size_t mark, F f) {
    auto& all = misfits_->entries;
    all.erase(std::remove_if(all.begin() + static_cast<std::ptrdiff_t>(mark), all.end(), f), all.end());
  }
  Status misfit(const ArrowNode& node, IpcMisfits::Why why, int64_t row, int64_t raw) {
    RUNINK_RETURN_IF_ERROR(charge(node, sizeof(IpcMisfits::Entry)));
    misfits_->entries.push_back({raw, static_cast<int32_t>(row), leaf_, why, false, list_depth_ > 0});
    return {};
  }
  Status misfit(const ArrowNode& node, IpcMisfits::Why why, int64_t row, std::string json) {
    RUNINK_RETURN_IF_ERROR(charge(node, json.size() + sizeof json));
    RUNINK_RETURN_IF_ERROR(misfit(node, why, row, static_cast<int64_t>(misfits_->texts.size())));
    misfits_->entries.back().in_texts = true;
    misfits_->texts.push_back(std::move(json));
    return {};
  }

  // Dates and timestamps of the years that text formats know; anything else is.
  static bool in_calendar(TypeId type, int64_t value) {
    static const int64_t first = civil_to_days(1, 1, 1), end = civil_to_days(9999, 12, 31) + 1;
    if (type == TypeId::kDate) return value >= first && value < end;
    return type != TypeId::kTimestamp || (value >= first * kMicrosPerDay && value < end * kMicrosPerDay);
  }

  // Floats that are no number, and days outside the years that text formats know.
  Status check_sayable(const ArrowNode& node, Column* out) {
    const auto floats = [&](auto* values) -> Status {
      for (int64_t i = 0; i < out->length; ++i) {
        if (std::isfinite(values[i])) continue;
        const int64_t raw = std::isnan(values[i]) ? 0 : values[i] > 0 ? 1 : -1;
        values[i] = 0;
        if (out->is_valid(i)) RUNINK_RETURN_IF_ERROR(misfit(node, IpcMisfits::Why::kNotFinite, i, raw));
      }
      return {};
    };
    const auto times = [&](auto* values) -> Status {
      for (int64_t i = 0; i < out->length; ++i) {
        if (in_calendar(node.type.id(), values[i])) continue;
        const int64_t raw = values[i];
        values[i] = 0;
        if (out->is_valid(i)) RUNINK_RETURN_IF_ERROR(misfit(node, IpcMisfits::Why::kOutOfRange, i, raw));
      }
      return {};
    };
    switch (node.type.id()) {
      case TypeId::kFloat32: return floats(out->mutable_data<float>());
      case TypeId::kFloat64: return floats(out->mutable_data<double>());
      case TypeId::kDate: return times(out->mutable_data<int32_t>());
      case TypeId::kTimestamp: return times(out->mutable_data<int64_t>());
      default: return {};
    }
  }

  static Status damaged(const ArrowNode& node, std::string_view why) {
    return data_loss("the field {} of an Arrow record batch is damaged: {}", json_quote(node.path), why);
  }

  Status charge(const ArrowNode& node, size_t bytes) {
    if (bytes > budget_) return resource_exhausted("the field {} of an Arrow record batch is too large", json_quote(node.path));
    budget_ -= bytes;
    return {};
  }
  Result<BufferPtr> room(const ArrowNode& node, size_t bytes) {
    RUNINK_RETURN_IF_ERROR(charge(node, bytes));
    return make_buffer(bytes);
  }

  // The next buffer, decompressed, with at least `needed` bytes.
  Result<std::string_view> take(const ArrowNode& node, size_t needed) {
    const auto* buffers = batch_.buffers();
    if (buffers == nullptr || next_buffer_ >= buffers->size()) return damaged(node, "the message has too few buffers");
    const auto* place = buffers->Get(next_buffer_++);
    if (place->offset() < 0 || place->length() < 0 || static_cast<uint64_t>(place->offset()) > body_.size() ||
        static_cast<uint64_t>(place->length()) > body_.size() - static_cast<uint64_t>(place->offset())) {
      return damaged(node, "a buffer reaches beyond the message");
    }
    std::string_view bytes = body_.substr(static_cast<size_t>(place->offset()), static_cast<size_t>(place->length()));
    if (batch_.compression() != nullptr && !bytes.empty()) bytes = RUNINK_TRY(decompressed(node, bytes));
    if (bytes.size() < needed) {
      return damaged(node, fmt::format("a buffer has {} bytes where {} are needed", bytes.size(), needed));
    }
    return bytes;
  }

  Result<std::string_view> decompressed(const ArrowNode& node, std::string_view bytes) {
    int64_t size;
    if (bytes.size() < 8) return damaged(node, "a compressed buffer is too short");
    std::memcpy(&size, bytes.data(), 8);
    bytes.remove_prefix(8);
    if (size == -1) return bytes;
    if (size < 0) return damaged(node, "a compressed buffer has a negative size");
    BufferPtr out = RUNINK_TRY(room(node, static_cast<size_t>(size)));
    if (batch_.compression()->codec() == arrow::CompressionType_ZSTD) {
      const size_t got = ZSTD_decompress(out->data(), out->size(), bytes.data(), bytes.size());
      if (ZSTD_isError(got) || got != out->size()) return damaged(node, "a zstd buffer does not decompress to its size");
    } else {
#ifdef RUNINK_HAVE_LZ4
      LZ4F_dctx* context = nullptr;
      if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) return internal_error("start lz4");
      size_t into = 0, from = 0, rest = 1;
      while (rest != 0 && !LZ4F_isError(rest)) {
        size_t written = out->size() - into, consumed = bytes.size() - from;
        rest = LZ4F_decompress(context, out->data() + into, &written, bytes.data() + from, &consumed, nullptr);
        into += written;
        from += consumed;
        if (written == 0 && consumed == 0) break;
      }
      LZ4F_freeDecompressionContext(context);
      if (rest != 0 || into != out->size()) return damaged(node, "an lz4 buffer does not decompress to its size");
#else
      return unimplemented("the Arrow stream is lz4 compressed, and this build has no lz4")
          .with_hint("write the stream uncompressed or with zstd");
#endif
    }
    owned_.push_back(out);
    return out->view();
  }

  Status read_validity(const ArrowNode& node, bool no_nulls, Column* out) {
    const std::string_view bits = RUNINK_TRY(take(node, 0));
    if (no_nulls || bits.empty()) return {};
    const size_t bytes = bitmap_bytes(out->length);
    if (bits.size() < bytes) return damaged(node, "its validity bitmap is too short");
    if (count_bits(reinterpret_cast<const uint8_t*>(bits.data()), out->length) == out->length) return {};
    out->validity = RUNINK_TRY(room(node, bytes));
    std::memcpy(out->validity->data(), bits.data(), bytes);
    return {};
  }

  Status read_bools(const ArrowNode& node, Column* out) {
    const std::string_view bits = RUNINK_TRY(take(node, bitmap_bytes(out->length)));
    out->values = RUNINK_TRY(room(node, static_cast<size_t>(out->length)));
    bits_to_bytes(reinterpret_cast<const uint8_t*>(bits.data()), out->length, out->values->data());
    return {};
  }

  Status read_same(const ArrowNode& node, Column* out) {
    const size_t size = static_cast<size_t>(out->length) * static_cast<size_t>(node.width);
    const std::string_view bytes = RUNINK_TRY(take(node, size));
    out->values = RUNINK_TRY(room(node, size));
    if (size > 0) std::memcpy(out->values->data(), bytes.data(), size);
    if (node.type.id() == TypeId::kDecimal) {
      const int128 limit = power_of_10(node.type.precision());
      for (int64_t i = 0; i < out->length; ++i) {
        int128& value = out->mutable_data<int128>()[i];
        if (value < limit && value > -limit) continue;
        if (out->is_valid(i) && misfits_ != nullptr) {
          std::string json;
          append_value_json(node.type, Value(value), json);
          RUNINK_RETURN_IF_ERROR(misfit(node, IpcMisfits::Why::kOutOfRange, i, std::move(json)));
        } else if (out->is_valid(i)) {
          return damaged(node, fmt::format("row {} has more than {} digits", i, node.type.precision()));
        }
        value = 0;
      }
    }
    return misfits_ == nullptr ? Status() : check_sayable(node, out);
  }

  Status read_scaled(const ArrowNode& node, Column* out) {
    const auto rows = static_cast<size_t>(out->length);
    const std::string_view bytes = RUNINK_TRY(take(node, rows * static_cast<size_t>(node.width)));
    const int to_width = node.type.width();
    out->values = RUNINK_TRY(room(node, rows * static_cast<size_t>(to_width)));
    const int64_t day = kMicrosPerDay;
    for (size_t i = 0; i < rows; ++i) {
      int64_t value = 0;
      if (out->is_valid(static_cast<int64_t>(i))) {
        if (node.width == 4) {
          int32_t narrow;
          std::memcpy(&narrow, bytes.data() + 4 * i, 4);
          value = narrow;
        } else {
          std::memcpy(&value, bytes.data() + 8 * i, 8);
        }
        const int64_t raw = value;
        const bool fine = value % node.divide != 0;
        const bool far = __builtin_mul_overflow(value / node.divide, node.multiply, &value) ||
                         (to_width == 4 && value != static_cast<int32_t>(value));
        const bool no_time = node.type.id() == TypeId::kTime && (value < 0 || value >= day);
        const bool no_day = misfits_ != nullptr && !fine && !far && !in_calendar(node.type.id(), value);
        if (misfits_ != nullptr && (fine || far || no_time || no_day)) {
          const auto why = fine ? IpcMisfits::Why::kTooFine : IpcMisfits::Why::kOutOfRange;
          RUNINK_RETURN_IF_ERROR(misfit(node, why, static_cast<int64_t>(i), raw));
          value = 0;
        } else if (fine) {
          return invalid_argument("the field {}: row {} of an Arrow record batch is finer than {}", json_quote(node.path), i,
                                  node.type.id() == TypeId::kDate ? "a day" : "a microsecond");
        } else if (far) {
          return out_of_range("the field {}: row {} of an Arrow record batch is outside {}", json_quote(node.path), i,
                              node.type.to_string());
        } else if (no_time) {
          return out_of_range("the field {}: row {} of an Arrow record batch is no time of day", json_quote(node.path), i);
        }
      }
      if (to_width == 4) out->mutable_data<int32_t>()[i] = static_cast<int32_t>(value);
      else out->mutable_data<int64_t>()[i] = value;
    }
    return {};
  }

  // Offsets as ours: rising, from 0, within `limit` (which the caller knows only afterwards when it is 0). `first` is
  // where they began.
  Status read_offsets(const ArrowNode& node, int width, Column* out, int64_t* first) {
    const auto count = static_cast<size_t>(out->length) + 1;
    const std::string_view bytes =
        RUNINK_TRY(take(node, out->length == 0 ? 0 : count * static_cast<size_t>(width)));
    out->offsets = RUNINK_TRY(room(node, count * sizeof(int32_t)));
    auto* to = out->offsets->as<int32_t>();
    *first = 0;
    to[0] = 0;
    if (out->length == 0) return {};
    int64_t previous = 0;
    for (size_t i = 0; i < count; ++i) {
      int64_t offset = 0;
      if (width == 4) {
        int32_t narrow;
        std::memcpy(&narrow, bytes.data() + 4 * i, 4);
        offset = narrow;
      } else {
        std::memcpy(&offset, bytes.data() + 8 * i, 8);
      }
      if (i == 0) *first = previous = offset;
      if (offset < previous || *first < 0) return damaged(node, "its offsets fall");
      if (offset - *first > INT32_MAX) return resource_exhausted("the field {} holds more than 2 GiB in one record batch", json_quote(node.path));
      to[i] = static_cast<int32_t>(offset - *first);
      previous = offset;
    }
    return {};
  }

  Status read_text(const ArrowNode& node, Column* out) {
    int64_t first = 0;
    RUNINK_RETURN_IF_ERROR(read_offsets(node, node.width, out, &first));
    const auto size = static_cast<size_t>(out->offset_data()[out->length]);
    const std::string_view bytes = RUNINK_TRY(take(node, static_cast<size_t>(first) + size));
    out->values = RUNINK_TRY(room(node, size));
    if (size > 0) std::memcpy(out->values->data(), bytes.data() + first, size);
    return check_text(node, out);
  }

  Status text_misfit(const ArrowNode& node, int64_t row, std::string_view text) {
    if (is_valid_utf8(text)) return misfit(node, IpcMisfits::Why::kNotJson, row, json_quote(text));
    std::string json = "{\"base64\":\"";
    append_base64(json, text);
    return misfit(node, IpcMisfits::Why::kNotUtf8, row, json + "\"}");
  }

  // Text is UTF-8 (json: JSON) in every row; what null rows hold is dropped where it is not.
  Status check_text(const ArrowNode& node, Column* out) {
    if (node.type.id() == TypeId::kBytes) return {};
    const bool json = node.type.id() == TypeId::kJson;
    if (!json && is_ascii(out->values->view())) return {};
    bool clean = true;
    for (int64_t i = 0; i < out->length; ++i) {
      const bool valid = json ? is_valid_json(out->text(i)) : is_valid_utf8(out->text(i));
      if (valid) continue;
      if (out->is_valid(i) && misfits_ == nullptr) {
        return invalid_argument("the field {}: row {} of an Arrow record batch is not {}", json_quote(node.path), i,
                                json ? "JSON" : "UTF-8");
      }
      if (out->is_valid(i)) RUNINK_RETURN_IF_ERROR(text_misfit(node, i, out->text(i)));
      clean = false;
    }
    if (clean) return {};
    RUNINK_RETURN_IF_ERROR(charge(node, out->byte_size()));
    ColumnBuilder builder(out->type, out->length);
    for (int64_t i = 0; i < out->length; ++i) {
      const bool valid = out->is_null(i) || (json ? is_valid_json(out->text(i)) : is_valid_utf8(out->text(i)));
      if (valid) {
        builder.append_from(*out, i);
      } else {
        builder.append_text(json ? "null" : "");
      }
    }
    *out = builder.finish();
    return {};
  }

  Status read_fixed_bytes(const ArrowNode& node, Column* out) {
    const auto rows = static_cast<size_t>(out->length), width = static_cast<size_t>(node.width);
    if (width > INT32_MAX / (rows + 1)) return damaged(node, "it is larger than 2 GiB");
    const std::string_view bytes = RUNINK_TRY(take(node, rows * width));
    out->offsets = RUNINK_TRY(room(node, (rows + 1) * sizeof(int32_t)));
    out->values = RUNINK_TRY(room(node, rows * width));
    for (size_t i = 0; i <= rows; ++i) out->offsets->as<int32_t>()[i] = static_cast<int32_t>(i * width);
    if (!bytes.empty()) std::memcpy(out->values->data(), bytes.data(), rows * width);
    return {};
  }

  Status read_list(const ArrowNode& node, Column* out) {
    int64_t first = 0;
    if (node.kind == ArrowNode::Kind::kList) {
      RUNINK_RETURN_IF_ERROR(read_offsets(node, node.width, out, &first));
    } else {
      const auto rows = static_cast<size_t>(out->length), width = static_cast<size_t>(node.width);
      if (width > INT32_MAX / (rows + 1)) return damaged(node, "it is longer than 2^31 elements");
      out->offsets = RUNINK_TRY(room(node, (rows + 1) * sizeof(int32_t)));
      for (size_t i = 0; i <= rows; ++i) out->offsets->as<int32_t>()[i] = static_cast<int32_t>(i * width);
    }
    const size_t mark = misfits_ == nullptr ? 0 : misfits_->entries.size();
    ++list_depth_;
    Column child = RUNINK_TRY(read(node.children[0]));
    --list_depth_;
    const int64_t used = out->offset_data()[out->length];
    if (child.length < first + used) return damaged(node, "its offsets reach beyond its elements");
    if (first != 0 || child.length != used) {
      RUNINK_RETURN_IF_ERROR(charge(node, child.byte_size()));
      child = slice(child, first, used);
    }
    out->children.push_back(std::move(child));
    if (misfits_ != nullptr) lists_with_misfits(*out, first, mark);
    return {};
  }

  // Elements become the lists that they are in.
  void lists_with_misfits(const Column& lists, int64_t first, size_t mark) {
    const int32_t* offsets = lists.offset_data();
    const int32_t used = offsets[lists.length];
    drop_misfits(mark, [&](const IpcMisfits::Entry& e) { return e.row < first || e.row - first >= used; });
    for (size_t i = mark; i < misfits_->entries.size(); ++i) {
      int32_t& row = misfits_->entries[i].row;
      const auto at = static_cast<int32_t>(row - first);
      row = static_cast<int32_t>(std::upper_bound(offsets, offsets + lists.length + 1, at) - offsets - 1);
    }
    drop_misfits(mark, [&](const IpcMisfits::Entry& e) { return lists.is_null(e.row); });
  }

  Result<Column> read_dictionary(const ArrowNode& node, Column out) {
    const auto rows = static_cast<size_t>(out.length);
    const std::string_view bytes = RUNINK_TRY(take(node, rows * static_cast<size_t>(node.width)));
    const auto known = dictionaries_.find(node.dictionary);
    const bool all_null = out.null_count() == out.length;
    if (known == dictionaries_.end() && !all_null) return damaged(node, "its dictionary has not come");
    if (all_null) return make_null_column(node.type, out.length);
    const Column& values = known->second;
    if (!(values.type == node.children[0].type)) return damaged(node, "its dictionary is of another type");

    RUNINK_RETURN_IF_ERROR(charge(node, rows * sizeof(int32_t)));
    std::vector<int32_t> chosen(rows, -1);
    for (size_t i = 0; i < rows; ++i) {
      if (out.is_null(static_cast<int64_t>(i))) continue;
      uint64_t index = 0;
      std::memcpy(&index, bytes.data() + i * static_cast<size_t>(node.width), static_cast<size_t>(node.width));
      // A negative index has its top bit set and so is too large, in its own width as in 64 bits.
      if (index >= static_cast<uint64_t>(values.length) || (node.is_signed && index >> (node.width * 8 - 1) != 0)) {
        return damaged(node, fmt::format("row {} points beyond its dictionary", i));
      }
      chosen[i] = static_cast<int32_t>(index);
    }
    if (misfits_ != nullptr) RUNINK_RETURN_IF_ERROR(choose_misfits(node, chosen));
    if (node.type.id() != TypeId::kEnum) {
      if (gather_fits({&values, 1}, chosen, budget_ / 2) != rows) return charge(node, SIZE_MAX);
      Column plain = gather_or_null(values, chosen);
      RUNINK_RETURN_IF_ERROR(charge(node, plain.byte_size()));
      return plain;
    }
    return enum_column(node, values, chosen, std::move(out));
  }

  // Each row that chose a value of the dictionary which does not fit.
  Status choose_misfits(const ArrowNode& node, const std::vector<int32_t>& chosen) {
    const auto found = known_misfits_.find(node.dictionary);
    if (found == known_misfits_.end() || found->second.entries.empty()) return {};
    const IpcMisfits& known = found->second;
    size_t bytes = 0;
    for (const auto& text : known.texts) bytes += text.size() + sizeof text;
    RUNINK_RETURN_IF_ERROR(charge(node, bytes));
    const auto base = static_cast<int64_t>(misfits_->texts.size());
    misfits_->texts.insert(misfits_->texts.end(), known.texts.begin(), known.texts.end());
    const auto before = [](const IpcMisfits::Entry& e, int32_t row) { return e.row < row; };
    for (size_t row = 0; row < chosen.size(); ++row) {
      if (chosen[row] < 0) continue;
      auto e = std::lower_bound(known.entries.begin(), known.entries.end(), chosen[row], before);
      for (; e != known.entries.end() && e->row == chosen[row]; ++e) {
        RUNINK_RETURN_IF_ERROR(charge(node, sizeof *e));
        IpcMisfits::Entry& made = misfits_->entries.emplace_back(*e);
        made.row = static_cast<int32_t>(row);
        made.column = leaf_ + (list_depth_ > 0 ? 0 : e->column);
        made.in_list = made.in_list || list_depth_ > 0;
        if (made.in_texts) made.raw += base;
      }
    }
    return {};
  }

  Result<Column> enum_column(const ArrowNode& node, const Column& values, const std::vector<int32_t>& chosen, Column out) {
    std::map<std::string_view, int32_t> labels;
    for (size_t i = 0; i < node.type.labels().size(); ++i) labels.emplace(node.type.labels()[i], static_cast<int32_t>(i));
    std::vector<int32_t> label_of(static_cast<size_t>(values.length), -1);
    for (int64_t i = 0; i < values.length; ++i) {
      if (values.is_null(i)) continue;
      const auto label = labels.find(values.text(i));
      if (label != labels.end()) label_of[static_cast<size_t>(i)] = label->second;
    }
    std::vector<uint8_t> valid(chosen.size());
    out.values = RUNINK_TRY(room(node, chosen.size() * sizeof(int32_t)));
    for (size_t i = 0; i < chosen.size(); ++i) {
      const bool null = chosen[i] < 0 || values.is_null(chosen[i]);
      int32_t label = null ? 0 : label_of[static_cast<size_t>(chosen[i])];
      if (label < 0 && misfits_ == nullptr) {
        return invalid_argument("the field {}: row {} of an Arrow record batch is none of its labels", json_quote(node.path), i);
      }
      if (label < 0) {
        if (!is_misfit(node.dictionary, chosen[i])) {
          RUNINK_RETURN_IF_ERROR(misfit(node, IpcMisfits::Why::kNoLabel, static_cast<int64_t>(i), json_quote(values.text(chosen[i]))));
        }
        label = 0;
      }
      valid[i] = !null;
      out.mutable_data<int32_t>()[i] = label;
    }
    out.validity = validity_from_bytes(valid.data(), out.length);
    return out;
  }

  bool is_misfit(int64_t dictionary, int32_t value) const {
    const auto found = known_misfits_.find(dictionary);
    if (found == known_misfits_.end()) return false;
    const auto& all = found->second.entries;
    return std::any_of(all.begin(), all.end(), [&](const auto& e) { return e.row == value; });
  }

  const arrow::RecordBatch& batch_;
  std::string_view body_;
  const Dictionaries& dictionaries_;
  const DictionaryMisfits& known_misfits_;
  IpcMisfits* misfits_;     // null: they are errors
  uint32_t leaf_ = 0;       // the column, of those laid open, that is being read
  int list_depth_ = 0;
  size_t budget_;
  flatbuffers::uoffset_t next_node_ = 0, next_buffer_ = 0;
  std::vector<BufferPtr> owned_;
};

}  // namespace

Result<std::vector<Column>> read_arrow_columns(const std::vector<const ArrowNode*>& nodes, const arrow::RecordBatch& batch,
                                               std::string_view body, const Dictionaries& dictionaries,
                                               const IpcReadLimits& limits, const DictionaryMisfits& known,
                                               IpcMisfits* misfits) {
  ColumnReader reader(batch, body, dictionaries, limits, known, misfits);
  std::vector<Column> columns;
  for (const ArrowNode* node : nodes) {
    columns.push_back(RUNINK_TRY(reader.read(*node)));
    if (columns.back().length != batch.length()) {
      return data_loss("the field {} of an Arrow record batch has {} rows where the batch has {}", json_quote(node->path),
                       columns.back().length, batch.length());
    }
  }
  return columns;
}

}  // namespace runink::columnar
