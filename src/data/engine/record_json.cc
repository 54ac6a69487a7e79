#include "data/engine/record_json.h"

#include <string_view>
#include <vector>

#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/columnar/text.h"
#include "data/columnar/value.h"

namespace runink::engine {

namespace {

struct Member {
  std::string_view name;  // what is left of it at this depth
  size_t column;
};

void append_value(const columnar::Batch& batch, size_t c, int64_t row, std::string& out) {
  const columnar::Column& column = batch.columns[c];
  const columnar::Field& field = batch.schema->field(c);
  if (column.is_null(row)) {
    out += "null";
  } else if (!field.format.empty()) {
    std::string text;
    columnar::append_value_text(column, row, field, text);
    append_json_quoted(out, text);
  } else {
    columnar::append_value_json(column.type, columnar::value_at(column, row), out);
  }
}

void append_members(const columnar::Batch& batch, const std::vector<Member>& members, int64_t row, std::string& out) {
  std::vector<bool> done(members.size());
  bool first = true;
  for (size_t i = 0; i < members.size(); ++i) {
    if (done[i]) continue;
    if (!first) out += ',';
    first = false;
    const size_t dot = members[i].name.find('.');
    const std::string_view name = members[i].name.substr(0, dot);
    append_json_quoted(out, name);
    out += ':';
    if (dot == std::string_view::npos) {
      append_value(batch, members[i].column, row, out);
      continue;
    }
    std::vector<Member> inner;
    for (size_t k = i; k < members.size(); ++k) {
      if (members[k].name.size() <= dot || members[k].name[dot] != '.' || !members[k].name.starts_with(name)) continue;
      inner.push_back({members[k].name.substr(dot + 1), members[k].column});
      done[k] = true;
    }
    out += '{';
    append_members(batch, inner, row, out);
    out += '}';
  }
}

}  // namespace

std::string record_json(const columnar::Batch& batch, int64_t row) {
  const int open = columnar::open_column(*batch.schema);
  std::vector<Member> members;
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    if (static_cast<int>(c) != open) members.push_back({batch.schema->field(c).name, c});
  }
  std::string out = "{";
  append_members(batch, members, row, out);
  if (open >= 0 && batch.columns[static_cast<size_t>(open)].is_valid(row)) {
    const std::string_view object = trim(batch.columns[static_cast<size_t>(open)].text(row));
    if (object.size() > 2 && object.front() == '{') {
      if (out.size() > 1) out += ',';
      out += object.substr(1, object.size() - 2);
    }
  }
  return out + "}";
}

}  // namespace runink::engine
