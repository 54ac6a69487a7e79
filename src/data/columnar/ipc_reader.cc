// Arrow IPC streams, read: framing, messages, and what comes in which order.
#include <algorithm>
#include <iterator>
#include <set>

#include "base/check.h"
#include "base/text.h"
#include "data/columnar/ipc_internal.h"
#include "data/columnar/kernels.h"

namespace runink::columnar {

namespace {

constexpr std::string_view kMagic = "ARROW1";
constexpr uint32_t kContinuation = 0xFFFFFFFF;
constexpr size_t kMetadataBytesMax = size_t{64} << 20;

}  // namespace

struct IpcReader::Impl {
  IpcPull pull;
  IpcReadLimits limits;

  bool have_schema = false, ended = false;
  bool file_form = false, file_checked = false;
  Status failed;  // an error is final
  SchemaPtr schema;
  std::vector<ArrowNode> nodes;
  std::map<int64_t, const ArrowNode*> dictionary_nodes;
  Dictionaries dictionaries;
  DictionaryMisfits dictionary_misfits;
  Batch waiting;  // a large record batch, given out in parts
  IpcMisfits waiting_misfits;
  int64_t given = 0;
  Buffer metadata, body;
  const arrow::Message* unread = nullptr;  // a message that read_schema() met and left

  // Reads up to `size` bytes, less only where the stream ends.
  Result<size_t> read(char* into, size_t size) {
    size_t have = 0;
    while (have < size) {
      const size_t got = RUNINK_TRY(pull(into + have, size - have));
      RUNINK_CHECK(got <= size - have);
      if (got == 0) break;
      have += got;
    }
    return have;
  }
  static Status truncated() { return data_loss("the Arrow stream ends in the middle of a message"); }

  Status read_word(uint32_t* word, bool* at_end) {
    const size_t got = RUNINK_TRY(read(reinterpret_cast<char*>(word), 4));
    *at_end = got == 0;
    return got == 0 || got == 4 ? Status() : truncated();
  }

  // The size comes from the stream, so memory is taken only as bytes arrive. False: the stream ended before; the buffer
  // has what came.
  Result<bool> read_into(Buffer* buffer, size_t size) {
    buffer->resize(0);
    while (buffer->size() < size) {
      const size_t at = buffer->size();
      buffer->resize(std::min(size, std::max(at * 2, size_t{1} << 20)));
      const size_t wanted = buffer->size() - at;
      const size_t got = RUNINK_TRY(read(reinterpret_cast<char*>(buffer->data()) + at, wanted));
      if (got < wanted) {
        buffer->resize(at + got);
        return false;
      }
    }
    return true;
  }

  // The next message, or null at the end. It lives until the next call; the body is in `body`.
  Result<const arrow::Message*> next_message() {
    uint32_t word = 0;
    bool at_end = false;
    RUNINK_RETURN_IF_ERROR(read_word(&word, &at_end));
    if (at_end) return nullptr;
    if (!have_schema && !file_form && std::memcmp(&word, kMagic.data(), 4) == 0) {
      char rest[4];  // "W1" and two bytes of padding
      if (RUNINK_TRY(read(rest, 4)) != 4 || std::memcmp(rest, "W1", 2) != 0) {
        return invalid_argument("the input is neither an Arrow IPC stream nor an Arrow file");
      }
      file_form = true;
      RUNINK_RETURN_IF_ERROR(read_word(&word, &at_end));
      if (at_end) return truncated();
    }
    const bool modern = word == kContinuation;  // writers before Arrow 0.15 had the size alone
    if (modern) {
      RUNINK_RETURN_IF_ERROR(read_word(&word, &at_end));
      if (at_end) return truncated();
    }
    if (word == 0) return nullptr;
    if (word > kMetadataBytesMax || word > limits.message_bytes_max) {
      if (!have_schema) return invalid_argument("the input is no Arrow IPC stream");
      return data_loss("an Arrow message claims {} bytes of metadata", word);
    }
    const bool whole = RUNINK_TRY(read_into(&metadata, word));
    flatbuffers::Verifier verifier(metadata.data(), metadata.size(), 128);
    if (!whole || !arrow::VerifyMessageBuffer(verifier)) {
      if (file_form && !modern && is_footer(word)) return nullptr;
      if (!whole) return truncated();
      if (!have_schema) return invalid_argument("the input is no Arrow IPC stream");
      return data_loss("the metadata of an Arrow message is damaged");
    }
    const arrow::Message* message = arrow::GetMessage(metadata.data());
    if (message->header() == nullptr || message->body_length() < 0) {
      return data_loss("the metadata of an Arrow message is damaged");
    }
    if (static_cast<uint64_t>(message->body_length()) > limits.message_bytes_max) {
      return resource_exhausted("an Arrow record batch of {} bytes is larger than {}", message->body_length(),
                                limits.message_bytes_max);
    }
    if (!RUNINK_TRY(read_into(&body, static_cast<size_t>(message->body_length())))) return truncated();
    return message;
  }

  // Files of old writers have no end mark: after the last message comes the footer, its size, and the magic again.
  // `first_word` and what `metadata` holds were taken from it; true if all of that is so.
  bool is_footer(uint32_t first_word) {
    std::string tail(4, '\0');
    std::memcpy(tail.data(), &first_word, 4);
    tail += metadata.view();
    char more[4096];
    while (tail.size() < kMetadataBytesMax) {
      auto got = pull(more, sizeof more);
      if (!got.ok() || *got == 0) break;
      tail.append(more, *got);
    }
    if (!tail.ends_with(kMagic) || tail.size() < 10) return false;
    uint32_t size;
    std::memcpy(&size, tail.data() + tail.size() - 10, 4);
    file_checked = size == tail.size() - 10;
    return file_checked;
  }

  // After the end mark of a file: the footer must follow whole, else the file was cut off.
  Status check_file_end() {
    if (!file_form || file_checked) return {};
    std::string tail;
    char more[4096];
    while (tail.size() < kMetadataBytesMax) {
      const size_t got = RUNINK_TRY(pull(more, sizeof more));
      if (got == 0) break;
      tail.append(more, got);
    }
    if (!tail.ends_with(kMagic)) return data_loss("the Arrow file has no footer: it was cut off");
    file_checked = true;
    return {};
  }

  void collect_dictionaries(const ArrowNode& node) {
    if (node.kind == ArrowNode::Kind::kDictionary) dictionary_nodes.emplace(node.dictionary, &node.children[0]);
    for (const auto& child : node.children) collect_dictionaries(child);
  }

  Status read_schema() {
    if (have_schema) return {};
    const arrow::Message* message = RUNINK_TRY(next_message());
    if (message == nullptr && !file_form) return invalid_argument("the Arrow stream is empty: it has no schema");
    if (message != nullptr && message->version() < arrow::MetadataVersion_V4) {
      return unimplemented("the Arrow stream is older than version 0.8");
    }
    if (message != nullptr && message->header_type() == arrow::MessageHeader_Schema) {
      return take_schema(*message->header_as_Schema());
    }
    if (!file_form) return data_loss("the Arrow stream does not begin with its schema");
    return read_footer(message);
  }

  Status take_schema(const arrow::Schema& from) {
    nodes = RUNINK_TRY(read_arrow_schema(from, limits));
    std::vector<Field> fields;
    for (const auto& node : nodes) {
      collect_dictionaries(node);
      flatten_fields(node, false, &fields);
    }
    std::set<std::string_view> names;
    for (const auto& field : fields) {
      if (!names.insert(field.name).second) {
        return invalid_argument("the Arrow stream has two fields named {}", json_quote(field.name));
      }
    }
    if (fields.empty()) return unimplemented("the Arrow stream has no fields");
    schema = std::make_shared<Schema>(std::move(fields));
    have_schema = true;
    return {};
  }

  // Some writers (apache-arrow for JavaScript) put a file's schema only into its footer. Such a file has to be read to
  // its end first; it is kept in memory.
  Status read_footer(const arrow::Message* first) {
    auto rest = std::make_shared<std::string>();
    while (true) {
      const size_t at = rest->size();
      if (at > limits.message_bytes_max) {
        return resource_exhausted("the Arrow file has its schema only at its end and is larger than {} bytes",
                                  limits.message_bytes_max)
            .with_hint("write it as an Arrow IPC stream");
      }
      rest->resize(at + (size_t{1} << 20));
      const size_t got = RUNINK_TRY(read(rest->data() + at, rest->size() - at));
      rest->resize(at + got);
      if (got == 0) break;
    }
    uint32_t size = 0;
    if (rest->size() < 10 || !rest->ends_with(kMagic)) return data_loss("the Arrow file has no footer: it was cut off");
    std::memcpy(&size, rest->data() + rest->size() - 10, 4);
    if (size > rest->size() - 10) return data_loss("the footer of the Arrow file is damaged");
    Buffer footer(size);  // aligned, as the verifier wants it
    std::memcpy(footer.data(), rest->data() + rest->size() - 10 - size, size);
    flatbuffers::Verifier verifier(footer.data(), size, 128);
    if (!verifier.VerifyBuffer<arrow::Footer>(nullptr)) return data_loss("the footer of the Arrow file is damaged");
    const auto* from = flatbuffers::GetRoot<arrow::Footer>(footer.data())->schema();
    if (from == nullptr) return data_loss("the Arrow file has no schema");
    RUNINK_RETURN_IF_ERROR(take_schema(*from));
    file_checked = true;
    unread = first;
    ended = first == nullptr;
    pull = [rest, at = size_t{0}](char* into, size_t wanted) mutable -> Result<size_t> {
      const size_t count = std::min(wanted, rest->size() - at);
      std::memcpy(into, rest->data() + at, count);
      at += count;
      return count;
    };
    return {};
  }

  static void sort(IpcMisfits* misfits) {
    std::stable_sort(misfits->entries.begin(), misfits->entries.end(), [](const auto& a, const auto& b) {
      return std::pair(a.row, a.column) < std::pair(b.row, b.column);
    });
  }

  Status read_dictionary(const arrow::DictionaryBatch& message, bool with_misfits) {
    const auto known = dictionary_nodes.find(message.id());
    if (known == dictionary_nodes.end()) return {};  // of no field
    if (message.data() == nullptr) return data_loss("an Arrow dictionary has no data");
    IpcMisfits found;
    auto columns = RUNINK_TRY_CONTEXT(read_arrow_columns({known->second}, *message.data(), body.view(), dictionaries, limits,
                                                         dictionary_misfits, with_misfits ? &found : nullptr),
                                      fmt::format("read dictionary {}", message.id()));
    Column& values = dictionaries[message.id()];
    IpcMisfits& misfits = dictionary_misfits[message.id()];
    sort(&found);
    if (message.is_delta() && values.length > 0) {
      const auto base = static_cast<int64_t>(misfits.texts.size());
      for (auto& e : found.entries) {
        e.row += static_cast<int32_t>(values.length);
        if (e.in_texts) e.raw += base;
        misfits.entries.push_back(e);
      }
      std::move(found.texts.begin(), found.texts.end(), std::back_inserter(misfits.texts));
    } else {
      misfits = std::move(found);
    }
    if (message.is_delta() && values.length > 0) {
      const Column parts[] = {values, columns[0]};
      values = RUNINK_TRY(concat(std::span<const Column>(parts)));
      if (values.byte_size() > limits.message_bytes_max) {
        return resource_exhausted("an Arrow dictionary grows beyond {} bytes", limits.message_bytes_max);
      }
    } else {
      values = std::move(columns[0]);
    }
    return {};
  }

  Result<Batch> read_batch(const arrow::RecordBatch& message, IpcMisfits* misfits) {
    std::vector<const ArrowNode*> top;
    for (const auto& node : nodes) top.push_back(&node);
    const auto columns =
        RUNINK_TRY(read_arrow_columns(top, message, body.view(), dictionaries, limits, dictionary_misfits, misfits));
    if (misfits != nullptr) sort(misfits);
    Batch batch;
    batch.schema = schema;
    batch.rows = message.length();
    for (const auto& column : columns) flatten_column(column, nullptr, &batch.columns);
    RUNINK_CHECK(batch.columns.size() == schema->size());
    for (size_t i = 0; i < batch.columns.size(); ++i) {
      if (!schema->field(i).nullable && batch.columns[i].null_count() > 0) {
        return data_loss("the field {} of an Arrow stream is declared without nulls and has some",
                         json_quote(schema->field(i).name));
      }
    }
    return batch;
  }

  // Those of the rows that are given out next.
  void give_misfits(int64_t first, int64_t count, IpcMisfits* out) {
    if (out == nullptr || waiting_misfits.entries.empty()) return;
    const auto before = [](const IpcMisfits::Entry& e, int64_t row) { return e.row < row; };
    const auto& all = waiting_misfits.entries;
    const auto begin = std::lower_bound(all.begin(), all.end(), first, before);
    for (auto e = begin; e != all.end() && e->row < first + count; ++e) {
      IpcMisfits::Entry& given = out->entries.emplace_back(*e);
      given.row -= static_cast<int32_t>(first);
      if (!given.in_texts) continue;
      out->texts.push_back(waiting_misfits.texts[static_cast<size_t>(e->raw)]);
      given.raw = static_cast<int64_t>(out->texts.size()) - 1;
    }
  }

  Result<std::optional<Batch>> next(IpcMisfits* misfits) {
    if (misfits != nullptr) *misfits = IpcMisfits();
    RUNINK_RETURN_IF_ERROR(read_schema());
    while (given == waiting.rows) {
      if (ended) return std::optional<Batch>();
      waiting = Batch();
      waiting_misfits = IpcMisfits();
      given = 0;
      const arrow::Message* message = unread != nullptr ? unread : RUNINK_TRY(next_message());
      unread = nullptr;
      if (message == nullptr) {
        ended = true;
        RUNINK_RETURN_IF_ERROR(check_file_end());
      } else if (message->header_type() == arrow::MessageHeader_DictionaryBatch) {
        RUNINK_RETURN_IF_ERROR(read_dictionary(*message->header_as_DictionaryBatch(), misfits != nullptr));
      } else if (message->header_type() == arrow::MessageHeader_RecordBatch) {
        waiting = RUNINK_TRY(read_batch(*message->header_as_RecordBatch(), misfits == nullptr ? nullptr : &waiting_misfits));
      } else {
        return data_loss("the Arrow stream has a message of kind {} among its batches",
                         static_cast<int>(message->header_type()));
      }
    }
    if (given == 0 && waiting.rows <= limits.rows_max) {
      given = waiting.rows;
      give_misfits(0, given, misfits);
      return std::optional<Batch>(waiting);
    }
    const int64_t count = std::min(limits.rows_max, waiting.rows - given);
    Batch part = slice(waiting, given, count);
    give_misfits(given, count, misfits);
    given += count;
    return std::optional<Batch>(std::move(part));
  }
};

IpcReader::IpcReader(IpcPull pull, IpcReadLimits limits) : impl_(std::make_unique<Impl>()) {
  impl_->pull = std::move(pull);
  impl_->limits = limits;
}
IpcReader::~IpcReader() = default;
IpcReader::IpcReader(IpcReader&&) noexcept = default;
IpcReader& IpcReader::operator=(IpcReader&&) noexcept = default;

Result<SchemaPtr> IpcReader::schema() {
  if (impl_->failed.ok()) impl_->failed = impl_->read_schema();
  RUNINK_RETURN_IF_ERROR(impl_->failed);
  return impl_->schema;
}

std::string IpcMisfits::json(const Entry& entry) const {
  if (entry.in_texts) return texts[static_cast<size_t>(entry.raw)];
  if (entry.why != Why::kNotFinite) return std::to_string(entry.raw);
  return entry.raw == 0 ? "\"NaN\"" : entry.raw > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

Result<std::optional<Batch>> IpcReader::next(IpcMisfits* misfits) {
  RUNINK_RETURN_IF_ERROR(impl_->failed);
  auto result = impl_->next(misfits);
  if (!result.ok()) impl_->failed = result.status();
  return result;
}

Result<std::vector<Batch>> ipc_decode(std::string_view bytes, IpcReadLimits limits) {
  IpcReader reader(
      [&](char* into, size_t size) -> Result<size_t> {
        const size_t count = std::min(size, bytes.size());
        if (count > 0) std::memcpy(into, bytes.data(), count);
        bytes.remove_prefix(count);
        return count;
      },
      limits);
  std::vector<Batch> batches;
  while (true) {
    std::optional<Batch> batch = RUNINK_TRY(reader.next());
    if (!batch) return batches;
    batches.push_back(std::move(*batch));
  }
}

}  // namespace runink::columnar
