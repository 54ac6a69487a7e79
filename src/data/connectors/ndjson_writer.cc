#include "data/connectors/ndjson_writer.h"

#include <algorithm>

#include "base/text.h"
#include "data/connectors/open_members.h"

namespace runink::connectors {

using columnar::TypeId;

NdjsonWriter::Node NdjsonWriter::tree(const columnar::Schema& schema, size_t first, size_t last) const {
  Node root;
  for (size_t i = first; i < last; ++i) {
    if (static_cast<int32_t>(i) == open_field_) continue;
    Node* node = &root;
    std::string_view rest = schema.field(i).name;
    while (true) {
      const size_t dot = rest.find('.');
      const std::string_view part = rest.substr(0, dot);
      auto at = std::find_if(node->children.begin(), node->children.end(),
                             [&](const Node& child) { return child.name == part; });
      if (at == node->children.end()) {
        node->children.emplace_back();
        node->children.back().name = std::string(part);
        at = node->children.end() - 1;
      }
      node = &*at;
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    node->field = static_cast<int32_t>(i);
  }
  return root;
}

Status NdjsonWriter::check_names(const columnar::Schema& schema) {
  std::set<std::string_view> names;
  for (const auto& field : schema.fields()) names.insert(field.name);
  for (const std::string_view name : names) {
    for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
      if (!names.contains(name.substr(0, dot))) continue;
      return invalid_argument("fields \"{}\" and \"{}\" cannot both be in one NDJSON record: the second is a member of "
                              "the first there",
                              escape_control(name.substr(0, dot)), escape_control(name))
          .with_hint("rename one of them, or choose csv or arrow");
    }
  }
  return {};
}

NdjsonWriter::Piece NdjsonWriter::piece(const std::string& literal, int32_t field) {
  Piece out;
  out.length = literal.size();
  out.literal = literal;
  out.literal.append(64, '\0');
  out.field = field;
  return out;
}

void NdjsonWriter::emit(const Node& node, std::string& literal, Program& program) {
  bool first = true;
  for (const Node& child : node.children) {
    if (!first) literal += ',';
    first = false;
    append_json_quoted(literal, child.name);
    literal += ':';
    if (child.field >= 0) {
      program.push_back(piece(literal, child.field));
      literal.clear();
      continue;
    }
    literal += '{';
    emit(child, literal, program);
    literal += '}';
  }
}

Result<std::unique_ptr<NdjsonWriter>> NdjsonWriter::make(const WriterOptions& options) {
  const columnar::Schema& schema = *options.schema;
  auto writer = std::unique_ptr<NdjsonWriter>(new NdjsonWriter());
  for (const auto& field : schema.fields()) writer->fields_.push_back(RUNINK_TRY(WriteField::make(field)));
  writer->open_field_ = columnar::open_column(schema);
  const Node all = writer->tree(schema, 0, schema.size());
  for (const Node& node : all.children) writer->own_members_.insert(node.name);
  std::string literal = "{";
  emit(all, literal, writer->whole_);
  writer->whole_.push_back(piece(literal, -1));

  const size_t prefix = std::min(options.verbatim_prefix_columns, schema.size());
  // An added field inside a struct of the source cannot be put after the record's text.
  const Node before = writer->tree(schema, 0, prefix), after = writer->tree(schema, prefix, schema.size());
  bool apart = true;
  for (const Node& node : after.children) {
    for (const Node& other : before.children) apart = apart && node.name != other.name;
  }
  if (prefix > 0 && apart) {
    writer->verbatim_prefix_ = prefix;
    literal = after.children.empty() ? "" : ",";
    emit(after, literal, writer->suffix_);
    writer->suffix_.push_back(piece(literal, -1));
  }
  for (Program* program : {&writer->whole_, &writer->suffix_}) {
    for (Piece& piece : *program) {
      if (piece.field >= 0) piece.type = schema.field(static_cast<size_t>(piece.field)).type.id();
    }
  }
  return writer;
}

void NdjsonWriter::write_value(const WriteField& f, int64_t row, OutCursor& out) {
  const auto null = [&] {
    out.ensure(4);
    out.put("null");
  };
  if (f.is_null(row)) return null();
  switch (f.field.type.id()) {
    case TypeId::kString:
      write_json_string(f.text_at(row), out);
      return;
    case TypeId::kJson:
      write_json_on_one_line(f.text_at(row), out);
      return;
    case TypeId::kBytes:
      scratch_.clear();
      columnar::append_base64(scratch_, f.text_at(row));
      out.ensure(scratch_.size() + 2);
      out.put('"');
      out.put(scratch_);
      out.put('"');
      return;
    case TypeId::kEnum: {
      const auto label = static_cast<size_t>(f.value<int32_t>(row));
      out.ensure(f.labels_json[label].size());
      out.put(f.labels_json[label]);
      return;
    }
    case TypeId::kList:
    case TypeId::kStruct:
      scratch_.clear();
      f.text->append_json(*f.column, row, scratch_);
      write_json_on_one_line(scratch_, out);
      return;
    case TypeId::kNull:
      return null();
    default: {
      out.ensure(scalar_room(f) + 2);
      // A format may hold characters that JSON escapes.
      if (f.text->format() != nullptr) {
        scratch_.clear();
        const bool days = f.field.type.id() == TypeId::kDate;
        f.text->format()->append(scratch_, days ? f.value<int32_t>(row) : f.value<int64_t>(row));
        const size_t size = scratch_.size();
        scratch_.append(64, '\0');
        write_json_string({scratch_.data(), size}, out);
        return;
      }
      const bool quoted = is_quoted_in_json(f.field.type.id());
      if (quoted) out.put('"');
      if (!write_scalar(f, row, out)) out.put("null");
      if (quoted) out.put('"');
    }
  }
}

void NdjsonWriter::run(const Program& program, int64_t row, OutCursor& out) {
  for (const Piece& piece : program) {
    out.ensure(piece.length + 16);
    out.put_padded({piece.literal.data(), piece.length});
    if (piece.field < 0) return;
    const WriteField& field = fields_[static_cast<size_t>(piece.field)];
    // The commonest here, the others in a function of their own.
    if (piece.type == TypeId::kString && !field.is_null(row)) {
      write_json_string(field.text_at(row), out);
    } else if (piece.type == TypeId::kBool && !field.is_null(row)) {
      static constexpr char kWords[2][16] = {"false", "true"};
      const bool value = field.values[row] != 0;
      out.put_small({kWords[value], value ? 4u : 5u});
    } else {
      write_value(field, row, out);
    }
  }
}

void NdjsonWriter::write_open(std::string_view members, bool comma, OutCursor& out) {
  OpenMembers open(members);
  for (OpenMember member; open.next(&member);) {
    if (own_members_.contains(plain_text(member.key, &scratch_))) continue;
    out.ensure(member.key.size() + 4);
    if (comma) out.put(',');
    comma = true;
    out.put('"');
    out.put(member.key);
    out.put("\":");
    write_json_on_one_line(member.value, out);
  }
}

Status NdjsonWriter::append(const columnar::Batch& batch, columnar::Buffer& out) {
  return append_rows(batch, 0, batch.rows, out);
}

Status NdjsonWriter::append_rows(const columnar::Batch& batch, int64_t first, int64_t last, columnar::Buffer& buffer) {
  if (batch.columns.size() != fields_.size()) {
    return internal_error("a batch of {} columns came to a writer of {}", batch.columns.size(), fields_.size());
  }
  for (size_t i = 0; i < fields_.size(); ++i) fields_[i].attach(batch.columns[i]);
  const columnar::RowOrigin* origin = batch.origin.get();
  const bool raw = verbatim_prefix_ > 0 && origin != nullptr && !origin->verbatim.empty();
  const bool padded = raw && origin->chunk != nullptr;
  OutCursor out(buffer);
  for (int64_t row = first; row < last; ++row) {
    bool open_comma = true;
    if (raw && origin->verbatim[static_cast<size_t>(row)]) {
      std::string_view text = origin->bytes(row);
      if (__builtin_expect(text.back() != '}', 0)) {  // white space after the object
        text = text.substr(0, text.rfind('}') + 1);
      }
      text.remove_suffix(1);
      out.ensure(text.size());
      if (padded) {
        out.put_padded_record(text);
      } else {
        out.put(text);
      }
      run(suffix_, row, out);
    } else {
      run(whole_, row, out);
      open_comma = whole_.size() > 1;
    }
    if (open_field_ >= 0) {
      const WriteField& open = fields_[static_cast<size_t>(open_field_)];
      if (!open.is_null(row)) write_open(open.text_at(row), open_comma, out);
    }
    out.ensure(2);
    out.put('}');
    out.put('\n');
  }
  return Status();
}

}  // namespace runink::connectors
