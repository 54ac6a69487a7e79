// Arrow schemas as others write them, turned into what our columns can hold.
#include "base/text.h"
#include "data/columnar/ipc_internal.h"
#include "data/columnar/kernels.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

constexpr int64_t kMicrosOfUnit[] = {1000000, 1000, 1, 0};  // second, millisecond, microsecond

std::string_view text_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

std::string_view metadata_of(const arrow::Field& field, std::string_view key) {
  if (field.custom_metadata() == nullptr) return {};
  for (const auto* pair : *field.custom_metadata()) {
    if (text_of(pair->key()) == key) return text_of(pair->value());
  }
  return {};
}

class NodeReader {
 public:
  explicit NodeReader(const IpcReadLimits& limits) : limits_(limits) {}

  Result<ArrowNode> read(const arrow::Field& field, const std::string& prefix, int depth) {
    ArrowNode node;
    node.path = prefix + std::string(text_of(field.name()));
    node.nullable = field.nullable();
    if (!is_valid_utf8(node.path)) return invalid_argument("the name of a field is not UTF-8");
    if (depth > limits_.depth_max) {
      return resource_exhausted("the field {} is nested deeper than {}", shown(node), limits_.depth_max);
    }
    if (++fields_ > limits_.fields_max) return resource_exhausted("the schema has more than {} fields", limits_.fields_max);
    RUNINK_RETURN_IF_ERROR(read_type(field, depth, &node));
    if (field.dictionary() != nullptr) return read_dictionary(field, std::move(node));
    return node;
  }

 private:
  static std::string shown(const ArrowNode& node) { return json_quote(node.path); }
  static Status refused(const ArrowNode& node, std::string_view what) {
    return unimplemented("the field {} is {}, which Runink's types cannot hold", shown(node), what)
        .with_hint("cast it in the program that writes the stream");
  }

  // Dictionary values are plain, unless our own metadata says that they are the labels of an enum.
  Result<ArrowNode> read_dictionary(const arrow::Field& field, ArrowNode value) {
    ArrowNode node;
    node.kind = ArrowNode::Kind::kDictionary;
    node.path = value.path;
    node.nullable = value.nullable;
    node.type = value.type;
    node.format = value.format;
    node.zone = value.zone;
    node.dictionary = field.dictionary()->id();
    const arrow::Int* index = field.dictionary()->index_type();  // absent means int32
    node.width = index == nullptr ? 4 : index->bit_width() / 8;
    node.is_signed = index == nullptr || index->is_signed();
    if (index != nullptr && (index->bit_width() != node.width * 8 || !is_integer_width(node.width))) {
      return invalid_argument("the field {} has a dictionary index of {} bits", shown(node), index->bit_width());
    }
    const std::string_view labels_text = metadata_of(field, "runink.enum");
    if (!labels_text.empty() && value.type.id() == TypeId::kString) {
      Value labels;
      if (parse_json_value(labels_text, DataType::list(TypeId::kString), &labels) != TextError::kOk) {
        return invalid_argument("the field {} has metadata runink.enum that is no list of labels", shown(node));
      }
      std::vector<std::string> names;
      for (const auto& label : labels.as_vector()) {
        if (label.is_null()) return invalid_argument("the field {} has a null among its labels", shown(node));
        names.push_back(label.as_string());
      }
      if (names.empty()) return invalid_argument("the field {} is an enum without labels", shown(node));
      node.type = DataType::enumeration(std::move(names));
    }
    node.children.push_back(std::move(value));
    return node;
  }

  static bool is_integer_width(int width) { return width == 1 || width == 2 || width == 4 || width == 8; }

  Status read_children(const arrow::Field& field, int depth, size_t expected, ArrowNode* node) {
    const size_t count = field.children() == nullptr ? 0 : field.children()->size();
    if (expected != SIZE_MAX && count != expected) {
      return invalid_argument("the field {} has {} children where its type has {}", shown(*node), count, expected);
    }
    for (size_t i = 0; i < count; ++i) {
      node->children.push_back(RUNINK_TRY(
          read(*field.children()->Get(static_cast<flatbuffers::uoffset_t>(i)), node->path + ".", depth + 1)));
    }
    return {};
  }

  static Field field_of(const ArrowNode& node) {
    const size_t dot = node.path.rfind('.');
    return {dot == std::string::npos ? node.path : node.path.substr(dot + 1), node.type, node.nullable, node.format,
            node.zone};
  }

  Status read_struct(const arrow::Field& field, int depth, ArrowNode* node) {
    node->kind = ArrowNode::Kind::kStruct;
    RUNINK_RETURN_IF_ERROR(read_children(field, depth, SIZE_MAX, node));
    std::vector<Field> fields;
    for (size_t i = 0; i < node->children.size(); ++i) {
      fields.push_back(field_of(node->children[i]));
      // A name with a dot in it was cut by field_of; the field itself has it whole.
      fields.back().name = text_of(field.children()->Get(static_cast<flatbuffers::uoffset_t>(i))->name());
    }
    node->type = DataType::structure(std::move(fields));
    return {};
  }

  Status read_type(const arrow::Field& field, int depth, ArrowNode* node) {
    using Kind = ArrowNode::Kind;
    const auto same = [&](DataType type) {
      node->kind = Kind::kSame;
      node->width = type.width();
      node->type = std::move(type);
      return Status();
    };
    const auto text = [&](TypeId type, int offset_width) {
      node->kind = Kind::kText;
      node->width = offset_width;
      node->type = type;
      if (type == TypeId::kString && metadata_of(field, "ARROW:extension:name") == "arrow.json") node->type = TypeId::kJson;
      return Status();
    };
    // A count of a unit; divides when the unit is finer than ours.
    const auto scaled = [&](TypeId type, int width, arrow::TimeUnit unit) {
      if (unit < arrow::TimeUnit_SECOND || unit > arrow::TimeUnit_NANOSECOND) {
        return invalid_argument("the field {} has an unknown unit of time", shown(*node));
      }
      node->format = metadata_of(field, "runink.format");
      node->zone = metadata_of(field, "runink.zone");
      if (unit == arrow::TimeUnit_MICROSECOND && width == 8 && type != TypeId::kTime) return same(type);
      node->kind = Kind::kScaled;
      node->type = type;
      node->width = width;
      node->multiply = unit == arrow::TimeUnit_NANOSECOND ? 1 : kMicrosOfUnit[unit];
      node->divide = unit == arrow::TimeUnit_NANOSECOND ? 1000 : 1;
      return Status();
    };
    if (field.type() == nullptr) return invalid_argument("the field {} has no type", shown(*node));
    switch (field.type_type()) {
      case arrow::Type_Null:
        node->kind = Kind::kNull;
        node->nullable = true;  // whatever the writer says: every row is null
        return {};
      case arrow::Type_Bool:
        node->kind = Kind::kBool;
        node->type = TypeId::kBool;
        return {};
      case arrow::Type_Int: {
        const auto* type = field.type_as_Int();
        const int bits = type->bit_width();
        if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
          return invalid_argument("the field {} is an integer of {} bits", shown(*node), bits);
        }
        const int step = bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
        const auto first = static_cast<int>(type->is_signed() ? TypeId::kInt8 : TypeId::kUInt8);
        return same(static_cast<TypeId>(first + step));
      }
      case arrow::Type_FloatingPoint:
        switch (field.type_as_FloatingPoint()->precision()) {
          case arrow::Precision_SINGLE: return same(TypeId::kFloat32);
          case arrow::Precision_DOUBLE: return same(TypeId::kFloat64);
          default: return refused(*node, "float16");
        }
      case arrow::Type_Decimal: {
        const auto* type = field.type_as_Decimal();
        if (type->bit_width() != 128) return refused(*node, fmt::format("a decimal of {} bits", type->bit_width()));
        if (type->precision() < 1 || type->precision() > 38 || type->scale() < 0 || type->scale() > type->precision()) {
          return refused(*node, fmt::format("decimal({},{})", type->precision(), type->scale()));
        }
        return same(DataType::decimal(type->precision(), type->scale()));
      }
      case arrow::Type_Utf8: return text(TypeId::kString, 4);
      case arrow::Type_LargeUtf8: return text(TypeId::kString, 8);
      case arrow::Type_Binary: return text(TypeId::kBytes, 4);
      case arrow::Type_LargeBinary: return text(TypeId::kBytes, 8);
      case arrow::Type_FixedSizeBinary: {
        node->width = field.type_as_FixedSizeBinary()->byte_width();
        if (node->width < 1) return refused(*node, fmt::format("fixed_size_binary({})", node->width));
        if (node->width == 16 && metadata_of(field, "ARROW:extension:name") == "arrow.uuid") return same(TypeId::kUuid);
        node->kind = Kind::kFixedBytes;
        node->type = TypeId::kBytes;
        return {};
      }
      case arrow::Type_Date:
        node->format = metadata_of(field, "runink.format");
        if (field.type_as_Date()->unit() == arrow::DateUnit_DAY) return same(TypeId::kDate);
        node->kind = Kind::kScaled;
        node->type = TypeId::kDate;
        node->width = 8;
        node->divide = 86400000;
        return {};
      case arrow::Type_Time: {
        const auto* type = field.type_as_Time();
        const bool coarse = type->unit() == arrow::TimeUnit_SECOND || type->unit() == arrow::TimeUnit_MILLISECOND;
        if (type->bit_width() != (coarse ? 32 : 64)) {
          return invalid_argument("the field {} is a time of {} bits", shown(*node), type->bit_width());
        }
        return scaled(TypeId::kTime, type->bit_width() / 8, type->unit());
      }
      case arrow::Type_Timestamp: return scaled(TypeId::kTimestamp, 8, field.type_as_Timestamp()->unit());
      case arrow::Type_Duration: return scaled(TypeId::kDuration, 8, field.type_as_Duration()->unit());
      case arrow::Type_List:
      case arrow::Type_LargeList:
      case arrow::Type_Map:
        node->kind = Kind::kList;
        node->width = field.type_type() == arrow::Type_LargeList ? 8 : 4;
        RUNINK_RETURN_IF_ERROR(read_children(field, depth, 1, node));
        node->type = DataType::list(node->children[0].type);
        return {};
      case arrow::Type_FixedSizeList:
        node->kind = Kind::kFixedList;
        node->width = field.type_as_FixedSizeList()->list_size();
        if (node->width < 1) return refused(*node, fmt::format("a list of {} elements", node->width));
        RUNINK_RETURN_IF_ERROR(read_children(field, depth, 1, node));
        node->type = DataType::list(node->children[0].type);
        return {};
      case arrow::Type_Struct_: return read_struct(field, depth, node);
      case arrow::Type_Interval: return refused(*node, "an interval");
      case arrow::Type_Union: return refused(*node, "a union");
      case arrow::Type_RunEndEncoded: return refused(*node, "run-end encoded");
      case arrow::Type_BinaryView:
      case arrow::Type_Utf8View:
      case arrow::Type_ListView:
      case arrow::Type_LargeListView: return refused(*node, "a view");
      default: return refused(*node, fmt::format("of the unknown type {}", static_cast<int>(field.type_type())));
    }
  }

  const IpcReadLimits& limits_;
  size_t fields_ = 0;
};

}  // namespace

Result<std::vector<ArrowNode>> read_arrow_schema(const arrow::Schema& schema, const IpcReadLimits& limits) {
  if (schema.endianness() != arrow::Endianness_LITTLE) {
    return unimplemented("the stream is big endian; Runink reads little endian");
  }
  NodeReader reader(limits);
  std::vector<ArrowNode> nodes;
  if (schema.fields() == nullptr) return nodes;
  for (const auto* field : *schema.fields()) nodes.push_back(RUNINK_TRY(reader.read(*field, "", 1)));
  return nodes;
}

void flatten_fields(const ArrowNode& node, bool nullable, std::vector<Field>* fields) {
  const bool may_be_null = nullable || node.nullable;
  if (node.type.id() != TypeId::kStruct) {
    fields->push_back({node.path, node.type, may_be_null, node.format, node.zone});
    return;
  }
  const auto& members = node.kind == ArrowNode::Kind::kDictionary ? node.children[0].children : node.children;
  for (const auto& child : members) flatten_fields(child, may_be_null, fields);
}

void flatten_column(const Column& column, const BufferPtr& validity, std::vector<Column>* columns) {
  Column out = column;
  if (column.type.id() != TypeId::kNull) out.validity = and_validity(column.validity, validity, column.length);
  if (column.type.id() != TypeId::kStruct) {
    columns->push_back(std::move(out));
    return;
  }
  for (const auto& child : column.children) flatten_column(child, out.validity, columns);
}

}  // namespace runink::columnar
