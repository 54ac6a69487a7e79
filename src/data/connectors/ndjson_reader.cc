#include "data/connectors/ndjson_reader.h"

#include <simdjson.h>

#include <cstring>

#include "data/connectors/reader_columns.h"

namespace runink::connectors {

using columnar::kBatchRows;

Result<std::unique_ptr<NdjsonReader>> NdjsonReader::make(const ReaderOptions& options, const hot::Loops* loops) {
  ReaderColumns columns = RUNINK_TRY(reader_columns(options));
  return std::unique_ptr<NdjsonReader>(new NdjsonReader(options, std::move(columns.schema), std::move(columns.codecs),
                                                        loops == nullptr ? &hot::loops() : loops));
}

NdjsonReader::NdjsonReader(const ReaderOptions& options, columnar::SchemaPtr schema, std::vector<FieldCodec> codecs,
                           const hot::Loops* loops)
    : options_(options),
      schema_(std::move(schema)),
      codecs_(std::move(codecs)),
      rows_(schema_, &codecs_, options.origin, false),
      walker_(codecs_, options.open, options.schema->size(), &rows_, &drift_),
      loops_(loops) {
  context_.self = this;
  context_.columns = rows_.hot_columns();
  context_.row_limit = kBatchRows;
  context_.grow = [](void* self, uint32_t column, size_t size) {
    static_cast<NdjsonReader*>(self)->rows_.grow_text(column, size);
  };
  context_.null = [](void* self, uint32_t column, int64_t row) {
    static_cast<NdjsonReader*>(self)->rows_.set_null(column, row);
  };
  context_.general = [](void* self, int32_t column, const char* p) -> const char* {
    auto* reader = static_cast<NdjsonReader*>(self);
    reader->rows_.set_row(reader->context_.row);
    bool coerced = false;
    const char* next = reader->walker_.value_at(p, reader->context_.end, column, &coerced);
    return coerced ? nullptr : next;
  };
}

void NdjsonReader::begin_batch(const ChunkPtr& chunk) {
  rows_.start(chunk);
  const auto arrays = rows_.origin_arrays();
  context_.origin_offset = arrays.offset;
  context_.origin_length = arrays.length;
  context_.origin_line = arrays.line;
  context_.origin_verbatim = arrays.verbatim;
  context_.row = 0;
}

Status NdjsonReader::flush(const ChunkPtr& chunk, const BatchCallback& callback, ChunkReport& report, bool more) {
  if (rows_.row() > 0) {
    report.rows += static_cast<uint64_t>(rows_.row());
    RUNINK_RETURN_IF_ERROR(callback(rows_.finish()));
    if (more) begin_batch(chunk);
  }
  return Status();
}

Result<ChunkReport> NdjsonReader::parse(const ChunkPtr& chunk, const BatchCallback& callback) {
  ChunkReport report;
  const char* const base = chunk->bytes.data();
  const char* const end = base + chunk->bytes.size();
  const bool all_utf8 =
      loops_->is_ascii(base, chunk->bytes.size()) || simdjson::validate_utf8(base, chunk->bytes.size());
  context_.base = base;
  context_.p = base;
  context_.end = end;
  context_.line = 0;
  begin_batch(chunk);
  while (context_.p < end) {
    if (rows_.full()) RUNINK_RETURN_IF_ERROR(flush(chunk, callback, report, true));
    const char* line_end = nullptr;
    const auto find_line = [&] {
      const auto* at = static_cast<const char*>(std::memchr(context_.p, '\n', static_cast<size_t>(end - context_.p)));
      line_end = at == nullptr ? end : at;
    };
    if (!all_utf8) {
      find_line();
      if (!simdjson::validate_utf8(context_.p, static_cast<size_t>(line_end - context_.p))) {
        UndecodableRecord bad;
        bad.offset = static_cast<uint32_t>(context_.p - base);
        bad.length = static_cast<uint32_t>(line_end - context_.p);
        if (bad.length > 0 && line_end[-1] == '\r') --bad.length;
        bad.line = context_.line;
        bad.reason = Undecodable::kInvalidUtf8;
        while (bad.at < bad.length && simdjson::validate_utf8(context_.p, bad.at + 1)) ++bad.at;
        report.undecodable.push_back(bad);
        ++report.records;
        if (line_end < end) ++context_.line;
        context_.p = line_end < end ? line_end + 1 : end;
        continue;
      }
      context_.end = line_end < end ? line_end + 1 : end;
    }
    const bool taken = run_plans();
    context_.end = end;
    if (taken) continue;
    if (line_end == nullptr) find_line();
    general_record(line_end, line_end < end ? line_end + 1 : end, report);
  }
  RUNINK_RETURN_IF_ERROR(flush(chunk, callback, report, false));
  report.records += report.rows;
  report.drift = drift_.take();
  chunk->line_count = context_.line;
  return report;
}

bool NdjsonReader::run_plans() {
  const int64_t first = rows_.row();
  for (size_t tried = 0; tried < plans_.size(); ++tried) {
    const size_t index = tried == 0 ? current_ : (current_ + tried) % plans_.size();
    const Plan& plan = *plans_[index];
    context_.steps = plan.steps.data();
    context_.step_count = static_cast<uint32_t>(plan.steps.size());
    context_.verbatim = plan.verbatim;
    context_.row = first;
    stop_ = loops_->ndjson(context_);
    if (stop_ == hot::Stop::kMiss) {
      rows_.set_row(context_.row);
      rows_.restart_row();
    }
    if (context_.row > first) {
      apply(plan, first);
      rows_.set_row(context_.row);
      current_ = index;
      learned_in_vain_ = 0;
      return true;
    }
  }
  return false;
}

void NdjsonReader::apply(const Plan& plan, int64_t first_row) {
  const int64_t last = context_.row;
  for (const uint32_t id : plan.drift) drift_.count(id, static_cast<uint64_t>(last - first_row));
  for (const int32_t column : plan.missing) {
    const auto index = static_cast<size_t>(column);
    const auto& otherwise = codecs_[index].options.default_value;
    for (int64_t row = first_row; row < last; ++row) {
      rows_.set_row(row);
      if (otherwise) {
        rows_.set_value(index, *otherwise);
      } else {
        rows_.set_null(index);
      }
    }
  }
}

void NdjsonReader::general_record(const char* line_end, const char* next, ChunkReport& report) {
  const char* const record = context_.p;
  uint32_t break_length = static_cast<uint32_t>(next - line_end);
  if (line_end > record && line_end[-1] == '\r') {
    --line_end;
    if (break_length > 0) ++break_length;
  }
  const uint32_t line = context_.line;
  if (next[-1] == '\n') ++context_.line;
  context_.p = next;

  const char* text = record;
  while (text < line_end && (*text == ' ' || *text == '\t' || *text == '\r')) ++text;
  if (text == line_end) {
    ++report.blank;
    return;
  }
  const std::string_view bytes(record, static_cast<size_t>(line_end - record));
  rows_.restart_row();
  const auto offset = static_cast<uint32_t>(record - context_.base);
  if (walker_.walk(bytes)) {
    rows_.commit_row(offset, static_cast<uint32_t>(bytes.size()), line, walker_.verbatim());
    context_.row = rows_.row();
    if (break_length > 0) learn(record, next, break_length);
    return;
  }
  rows_.restart_row();
  UndecodableRecord bad;
  bad.offset = offset;
  bad.length = static_cast<uint32_t>(bytes.size());
  bad.line = line;
  bad.at = walker_.failure().at;
  bad.field = walker_.failure().field;
  bad.reason = walker_.failure().reason;
  bad.struct_parts = walker_.failure().struct_parts;
  report.undecodable.push_back(bad);
  ++report.records;
}

Result<Reread> NdjsonReader::reread(const ChunkPtr& chunk, std::span<const UndecodableRecord> bad) {
  Reread out;
  begin_batch(chunk);
  for (const UndecodableRecord& record : bad) {
    Reread::Record& found = out.records.emplace_back();
    if (record.field < 0) {
      found.errors.push_back(record);
      continue;
    }
    JsonWalker::Findings findings;
    rows_.restart_row();
    if (walker_.walk_on(chunk->bytes.substr(record.offset, record.length), &findings)) {
      found.row = rows_.row();
      found.unread = std::move(findings.unread);
      rows_.commit_row(record.offset, record.length, record.line, false);
    } else {
      rows_.restart_row();
    }
    for (const auto& failure : findings.failures) {
      UndecodableRecord& error = found.errors.emplace_back(record);
      error.at = failure.at;
      error.field = failure.field;
      error.reason = failure.reason;
      error.struct_parts = failure.struct_parts;
    }
  }
  if (rows_.row() > 0) out.rows = rows_.finish();
  return out;
}

void NdjsonReader::learn(const char* record, const char* next, uint32_t break_length) {
  const auto& places = walker_.places();
  if (places.empty()) return;
  // Records that never look like one before: learning costs more than it brings, so it is tried less and less often.
  if (++learned_in_vain_ > 16 && (learned_in_vain_ & 63) != 0) return;
  auto plan = std::make_unique<Plan>();
  const char* from = record;
  const auto add = [&](const char* to, hot::Op op, int32_t column) {
    while (true) {
      hot::Step step;
      std::memset(step.expected, 0, sizeof step.expected);
      std::memset(step.mask, 0, sizeof step.mask);
      const size_t length = std::min(static_cast<size_t>(to - from), hot::kStepBytes);
      std::memcpy(step.expected, from, length);
      std::memset(step.mask, 0xFF, length);
      from += length;
      step.length = static_cast<uint32_t>(length);
      step.op = from == to ? op : hot::Op::kText;
      step.column = static_cast<uint32_t>(std::max(column, 0));
      step.target = rows_.hot_columns() + step.column;
      plan->steps.push_back(step);
      if (from == to) return;
    }
  };
  for (const auto& place : places) {
    add(place.begin, place.column < 0 ? hot::Op::kSkip : codecs_[static_cast<size_t>(place.column)].op, place.column);
    if (place.column < 0 && std::find(plan->drift.begin(), plan->drift.end(), place.drift) == plan->drift.end()) {
      plan->drift.push_back(place.drift);
    }
    from = place.end;
  }
  add(next, hot::Op::kEnd, -1);
  plan->steps.back().break_length = break_length;
  plan->missing = walker_.missing();
  // A default in the place of an explicit null is not part of the shape: such a null is a miss in the hot loop.
  plan->verbatim =
      walker_.places().size() == options_.schema->size() && plan->missing.size() == (options_.open ? 1u : 0u);
  for (size_t i = 0; i < places.size() && plan->verbatim; ++i) {
    plan->verbatim = places[i].column == static_cast<int32_t>(i);
  }
  if (plans_.size() < kPlans) {
    current_ = plans_.size();
    plans_.push_back(std::move(plan));
  } else {
    current_ = next_replaced_;
    plans_[next_replaced_] = std::move(plan);
    next_replaced_ = (next_replaced_ + 1) % kPlans;
  }
}

}  // namespace runink::connectors
