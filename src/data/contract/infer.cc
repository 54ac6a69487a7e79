#include "data/contract/infer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/contract/canonical.h"
#include "data/contract/redact.h"
#include "data/contract/text_records.h"
#include "data/contract/value_statistics.h"
#include "platform/os/file.h"

namespace runink::contract {

using columnar::TypeId;
using Json = nlohmann::ordered_json;

namespace {

constexpr size_t kColumnsMax = 4096;
constexpr int kDepthMax = 12;

// One place in the tree of values: a field, a member, or the elements of a list.
struct Place {
  std::string name;
  ValueStatistics values;
  uint64_t objects = 0, lists = 0, nulls = 0;
  bool too_deep = false;
  uint64_t elements_min = UINT64_MAX, elements_max = 0;
  std::vector<std::unique_ptr<Place>> members;  // in order of first appearance
  std::unique_ptr<Place> element;

  uint64_t seen() const { return values.count() + objects + lists; }
};

bool can_be_declared(std::string_view name) {
  return !name.empty() && name != "*" && name.find('.') == std::string_view::npos && name.find('`') == std::string_view::npos &&
         is_valid_utf8(name) && escape_control(name) == name;
}

// Whether the members become columns or fields of a struct.
bool is_struct(const Place& place) {
  return place.objects > 0 && place.values.count() == 0 && place.lists == 0 && !place.too_deep &&
         !place.members.empty() && std::all_of(place.members.begin(), place.members.end(), [](const auto& m) {
           return can_be_declared(m->name);
         });
}

class Profiler {
 public:
  Profiler(const InferOptions& options, bool from_cells) : options_(options), from_cells_(from_cells) {}

  // Adds the columns of a place, of which `records` could have had it.
  void columns(const Place& place, const std::string& name, uint64_t records, std::vector<ColumnProfile>& out) const {
    if (is_struct(place)) {
      for (const auto& member : place.members) columns(*member, name + "." + member->name, records, out);
      return;
    }
    out.push_back(column(place, name, records));
  }

  ColumnProfile column(const Place& place, const std::string& name, uint64_t records) const {
    ColumnProfile out;
    out.name = name;
    const std::string by_name = pii_kind_of_name(name);
    out.pii_kind = !by_name.empty() ? by_name : place.values.pii_kind();
    if (place.objects == 0 && place.lists == 0) {
      place.values.describe(from_cells_, options_.enum_values_max, out);
    } else if (place.lists > 0 && place.objects == 0 && place.values.count() == 0 && !place.too_deep) {
      list(place, out);
    } else {
      out.type = TypeId::kJson;
      place.values.describe(from_cells_, 0, out);
      out.type = TypeId::kJson;
      out.min.reset();
      out.max.reset();
      out.pattern.clear();
      out.all_distinct = false;
    }
    out.saw_nested = place.objects + place.lists > 0;
    out.present = place.seen();
    out.nulls = records - std::min(records, out.present);
    if (!out.pii_kind.empty()) {  // no value of it is to be shown
      out.min.reset();
      out.max.reset();
      out.distinct.clear();
      out.distinct_complete = false;
    }
    return out;
  }

 private:
  void list(const Place& place, ColumnProfile& out) const {
    out.length_min = place.elements_min;
    out.length_max = place.elements_max;
    if (!place.element || place.element->seen() == 0) {
      out.type = columnar::DataType::list(TypeId::kString);
      return;
    }
    const Place& element = *place.element;
    const uint64_t count = element.seen() + element.nulls;
    if (is_struct(element)) {
      std::vector<columnar::Field> fields;
      for (const auto& member : element.members) {
        ColumnProfile profile = column(*member, member->name, element.objects);
        if (is_struct(*member))
          profile.type = TypeId::kJson;  // one level of structs in lists is what a sample can show well
        fields.push_back({member->name, profile.type, profile.nulls > 0, profile.format, {}});
        out.elements.push_back(std::move(profile));
      }
      out.type = columnar::DataType::list(columnar::DataType::structure(std::move(fields)));
      return;
    }
    ColumnProfile profile = column(element, "element", count);
    profile.format.clear();
    const TypeId id = profile.type.id();
    const bool timed = id == TypeId::kDate || id == TypeId::kTime || id == TypeId::kTimestamp;
    out.type = columnar::DataType::list(timed ? columnar::DataType(TypeId::kString) : profile.type);
    out.elements.push_back(std::move(profile));
  }

  const InferOptions& options_;
  bool from_cells_;
};

}  // namespace

class Inferrer::Impl {
 public:
  explicit Impl(InferOptions options) : options_(std::move(options)) { root_.name = "record"; }

  Status add_json(std::string_view record) {
    Json value = Json::parse(record, nullptr, false);
    if (value.is_discarded()) return invalid_argument("record {} is not JSON", records_ + 1);
    if (!value.is_object()) return invalid_argument("record {} is not a JSON object", records_ + 1);
    ++records_;
    return add_object(root_, value, 0);
  }

  Status add_cells(const std::vector<std::string>& names, const std::vector<std::optional<std::string>>& cells) {
    from_cells_ = true;
    ++records_;
    for (size_t i = 0; i < names.size(); ++i) {
      Place* place = cell_place(i, names[i]);
      if (place == nullptr) return too_many();
      if (i < cells.size() && cells[i]) {
        place->values.add_text(*cells[i]);
      } else {
        ++place->nulls;
      }
    }
    return {};
  }

  uint64_t records() const { return records_; }
  uint64_t unreadable() const { return unreadable_; }
  void note_unreadable(std::string place) {
    if (unreadable_++ == 0) first_unreadable_ = std::move(place);
  }

  DataProfile profile() const {
    DataProfile profile;
    profile.records = records_;
    profile.unreadable = unreadable_;
    profile.first_unreadable = first_unreadable_;
    profile.from_text = from_cells_;
    const Profiler profiler(options_, from_cells_);
    for (const auto& member : root_.members) profiler.columns(*member, member->name, records_, profile.columns);
    for (const auto& member : root_.members) find_ambiguous(*member, member->name, profile);
    return profile;
  }

  std::string contract_text() const;

 private:
  static Status too_many() { return resource_exhausted("more than {} different fields", kColumnsMax); }

  Place* member_of(Place& parent, const std::string& name, size_t hint) {
    if (hint < parent.members.size() && parent.members[hint]->name == name) return parent.members[hint].get();
    auto& index = indexes_[&parent];
    if (index.size() != parent.members.size()) {
      for (const auto& member : parent.members) index.emplace(member->name, member.get());
    }
    if (const auto at = index.find(name); at != index.end()) return at->second;
    if (places_ >= kColumnsMax) return nullptr;
    ++places_;
    parent.members.push_back(std::make_unique<Place>());
    parent.members.back()->name = name;
    index.emplace(name, parent.members.back().get());
    return parent.members.back().get();
  }

  // Cells belong to their position: two columns of a table may have the same name.
  Place* cell_place(size_t position, const std::string& name) {
    if (position < root_.members.size()) return root_.members[position].get();
    if (places_ >= kColumnsMax) return nullptr;
    ++places_;
    root_.members.push_back(std::make_unique<Place>());
    root_.members.back()->name = name;
    return root_.members.back().get();
  }

  Status add_object(Place& place, const Json& object, int depth) {
    ++place.objects;
    if (depth >= kDepthMax) {
      place.too_deep = true;
      return {};
    }
    size_t hint = 0;
    for (const auto& [name, value] : object.items()) {
      Place* member = member_of(place, name, hint++);
      if (member == nullptr) return too_many();
      RUNINK_RETURN_IF_ERROR(add_value(*member, value, depth + 1));
    }
    return {};
  }

  Status add_value(Place& place, const Json& value, int depth) {
    switch (value.type()) {
      case Json::value_t::null:
        ++place.nulls;
        return {};
      case Json::value_t::boolean:
        place.values.add_bool(value.get<bool>());
        return {};
      case Json::value_t::number_integer:
      case Json::value_t::number_unsigned:
      case Json::value_t::number_float:
        place.values.add_number(value.dump());
        return {};
      case Json::value_t::string:
        place.values.add_text(value.get_ref<const std::string&>());
        return {};
      case Json::value_t::object:
        return add_object(place, value, depth);
      case Json::value_t::array:
        return add_list(place, value, depth);
      default:
        return {};
    }
  }

  Status add_list(Place& place, const Json& list, int depth) {
    ++place.lists;
    place.elements_min = std::min<uint64_t>(place.elements_min, list.size());
    place.elements_max = std::max<uint64_t>(place.elements_max, list.size());
    if (depth >= kDepthMax) {
      place.too_deep = true;
      return {};
    }
    if (!place.element) {
      if (places_ >= kColumnsMax) return too_many();
      ++places_;
      place.element = std::make_unique<Place>();
      place.element->name = "element";
    }
    for (const auto& value : list) RUNINK_RETURN_IF_ERROR(add_value(*place.element, value, depth + 1));
    return {};
  }

  void find_ambiguous(const Place& place, const std::string& name, const DataProfile&) const {
    if (place.values.ambiguous_date()) ambiguous_.push_back(name);
    for (const auto& member : place.members) find_ambiguous(*member, name + "." + member->name, {});
  }

  InferOptions options_;
  Place root_;
  std::map<const Place*, std::map<std::string, Place*>> indexes_;
  uint64_t records_ = 0, unreadable_ = 0;
  std::string first_unreadable_;
  size_t places_ = 0;
  bool from_cells_ = false;
  mutable std::vector<std::string> ambiguous_;
};

namespace {

// Writes the text of a contract from a profile.
class ContractWriter {
 public:
  ContractWriter(const DataProfile& profile, const InferOptions& options, const std::vector<std::string>& ambiguous)
      : profile_(profile), options_(options), ambiguous_(ambiguous) {}

  std::string write() {
    out_ =
        fmt::format("// Inferred from {} record{}{}. Read it as a first draft: a sample cannot know what is allowed.\n",
                    human_count(profile_.records), profile_.records == 1 ? "" : "s",
                    profile_.source.empty() ? "" : " of " + escape_control(profile_.source));
    if (profile_.unreadable > 0) {
      out_ += fmt::format("// Left out: {} more that could not be read, the first at {}.\n", human_count(profile_.unreadable),
                          profile_.first_unreadable);
    }
    out_ += "[[version(\"0.1.0\")";
    if (!options_.owner.empty()) out_ += fmt::format(", owner({})", quote_text(options_.owner));
    out_ += "]]\n";
    out_ += fmt::format("contract {} {{\n", name_text(contract_name()));
    std::vector<std::string> names;
    for (const auto& column : profile_.columns) {
      if (!declarable(column.name, names)) {
        out_ += fmt::format("  // field {} has a name that a contract cannot hold, or that another field has\n",
                            json_quote(column.name));
        continue;
      }
      names.push_back(column.name);
      field(column);
    }
    if (names.empty()) out_ += "  json value;  // no field was seen\n";
    return out_ + "}\n";
  }

 private:
  std::string contract_name() const {
    return can_be_declared(options_.contract_name) ? options_.contract_name : std::string("Data");
  }

  static bool declarable(const std::string& name, const std::vector<std::string>& taken) {
    for (const auto part : split(name, '.')) {
      if (!can_be_declared(part)) return false;
    }
    for (const auto& other : taken) {
      if (other == name || other.starts_with(name + ".") || name.starts_with(other + ".")) return false;
    }
    return true;
  }

  void field(const ColumnProfile& column) {
    std::vector<std::string> attributes, notes;
    if (column.nulls == 0 && profile_.records > 0) attributes.push_back("required");
    range(column, attributes, notes);
    if (!column.pattern.empty() && column.pii_kind.empty())
      attributes.push_back(fmt::format("pattern({})", quote_text(column.pattern)));
    if (!column.format.empty()) attributes.push_back(fmt::format("format({})", quote_text(column.format)));
    if (!column.pii_kind.empty()) protect(column, attributes, notes);
    if (column.nulls > 0)
      notes.push_back(
          fmt::format("{} of {} without a value", human_count(column.nulls), human_count(profile_.records)));
    if (column.all_distinct && column.nulls == 0 && profile_.records >= 20 && may_be_key(column.type)) {
      notes.push_back("no value came twice: key?");
    }
    if (std::find(ambiguous_.begin(), ambiguous_.end(), column.name) != ambiguous_.end()) {
      notes.push_back("day and month may be the other way round");
    }
    if (column.type.id() == TypeId::kJson && column.present > 0) notes.push_back("values of different kinds");
    std::string line = fmt::format("  {} {}", type(column), name_text(column.name));
    if (!attributes.empty()) line += " [[" + join(attributes, ", ") + "]]";
    line += ";";
    if (!notes.empty()) line += "  // " + join(notes, "; ");
    out_ += line + "\n";
  }

  static bool may_be_key(const columnar::DataType& type) {
    return type.is_integer() || type.id() == TypeId::kString || type.id() == TypeId::kUuid;
  }

  static std::string type(const ColumnProfile& column) {
    ContractField field;
    field.type = column.type;
    if (column.type.id() == TypeId::kList && column.type.element().id() == TypeId::kStruct) {
      for (const auto& member : column.elements) {
        ContractField inner;
        inner.name = member.name;
        inner.type = member.type;
        inner.required = member.nulls == 0;
        inner.format = member.format;
        inner.pii = !member.pii_kind.empty();
        inner.pii_kind = member.pii_kind;
        // Lists of lists of structs are beyond what a sample shows well.
        if (inner.type.id() == TypeId::kList && inner.type.element().id() == TypeId::kStruct)
          inner.type = TypeId::kJson;
        field.elements.push_back(std::move(inner));
      }
    }
    return type_text(field);
  }

  void range(const ColumnProfile& column, std::vector<std::string>& attributes, std::vector<std::string>& notes) const {
    const TypeId id = column.type.id();
    const bool timed = id == TypeId::kDate || id == TypeId::kTimestamp || id == TypeId::kTime;
    if (!column.min || !(column.type.is_numeric() || timed)) return;
    if (options_.ranges_as_comments) {
      notes.push_back(fmt::format("seen: {} to {}", *column.min, *column.max));
    } else {
      attributes.push_back(timed ? fmt::format("range(\"{}\", \"{}\")", *column.min, *column.max)
                                 : fmt::format("range({}, {})", *column.min, *column.max));
    }
  }

  static void protect(const ColumnProfile& column, std::vector<std::string>& attributes,
                      std::vector<std::string>& notes) {
    attributes.push_back(fmt::format("pii({})", quote_text(column.pii_kind)));
    if (column.pii_kind == "email") attributes.push_back("mask(\"email\")");
    for (const char* kind : {"card", "phone", "ssn", "iban", "passport"}) {
      if (column.pii_kind == kind) attributes.push_back("mask(\"last4\")");
    }
    notes.push_back("looks like personal data");
  }

  const DataProfile& profile_;
  const InferOptions& options_;
  const std::vector<std::string>& ambiguous_;
  std::string out_;
};

}  // namespace

std::string Inferrer::Impl::contract_text() const {
  ambiguous_.clear();
  const DataProfile seen = profile();
  return ContractWriter(seen, options_, ambiguous_).write();
}

Inferrer::Inferrer(InferOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Inferrer::~Inferrer() = default;
Inferrer::Inferrer(Inferrer&&) noexcept = default;
Inferrer& Inferrer::operator=(Inferrer&&) noexcept = default;
Status Inferrer::add_json(std::string_view record) { return impl_->add_json(record); }
Status Inferrer::add_cells(const std::vector<std::string>& names,
                           const std::vector<std::optional<std::string>>& cells) {
  return impl_->add_cells(names, cells);
}
uint64_t Inferrer::records() const { return impl_->records(); }
uint64_t Inferrer::unreadable() const { return impl_->unreadable(); }
void Inferrer::note_unreadable(std::string place) { impl_->note_unreadable(std::move(place)); }
DataProfile Inferrer::profile() const { return impl_->profile(); }
std::string Inferrer::contract_text() const { return impl_->contract_text(); }

namespace {

Result<SampleForm> guess_form(const std::string& path) {
  const std::string lower = to_lower_ascii(path);
  for (const auto& [ending, form] :
       {std::pair(".csv", SampleForm::kCsv), std::pair(".tsv", SampleForm::kTsv),
        std::pair(".ndjson", SampleForm::kNdjson), std::pair(".jsonl", SampleForm::kNdjson),
        std::pair(".json", SampleForm::kNdjson)}) {
    if (lower.ends_with(ending)) return form;
  }
  RecordFile file = RUNINK_TRY(RecordFile::open(path, false));
  std::string record;
  const bool any = RUNINK_TRY(file.next(record));
  const std::string_view first = trim(record);
  return any && (first.starts_with('{') || first.starts_with('[')) ? SampleForm::kNdjson : SampleForm::kCsv;
}

constexpr uint64_t kUnreadableAtStartMax = 20;

Status sample_json(RecordFile& file, const std::string& path, uint64_t limit, Inferrer& inferrer, bool* complete) {
  std::string record;
  while (limit == 0 || inferrer.records() < limit) {
    if (!RUNINK_TRY(file.next(record))) {
      *complete = true;
      return {};
    }
    if (trim(record).empty()) continue;
    Status added = inferrer.add_json(record);
    if (added.ok()) continue;
    auto status = Status(added.code(), fmt::format("{}:{}: {}", path, file.line(), added.message()));
    if (added.code() != Code::kInvalidArgument) return status;
    if (inferrer.records() == 0 && trim(record).starts_with('[')) {
      return std::move(status).with_hint("one JSON array is not NDJSON; `jq -c '.[]'` makes one record per line of it");
    }
    // Real feeds hold broken records: they are what a contract is for. A file of nothing else is not a sample.
    if (inferrer.records() == 0 && inferrer.unreadable() >= kUnreadableAtStartMax) return status;
    inferrer.note_unreadable(fmt::format("line {}", file.line()));
  }
  return {};
}

Status sample_cells(RecordFile& file, const std::string& path, char separator, uint64_t limit, Inferrer& inferrer,
                    bool* complete) {
  std::string record;
  std::vector<CsvCell> cells;
  std::vector<std::string> names;
  std::vector<std::optional<std::string>> values;
  while (limit == 0 || inferrer.records() < limit) {
    if (!RUNINK_TRY(file.next(record))) {
      *complete = true;
      break;
    }
    if (record.empty()) continue;
    if (!split_csv(record, separator, cells)) {
      return invalid_argument("{}:{}: the quotes of this row do not match", path, file.line());
    }
    if (names.empty()) {
      for (auto& cell : cells) names.push_back(std::move(cell.text));
      continue;
    }
    if (cells.size() > names.size()) {
      return invalid_argument("{}:{}: this row has {} cells and the header {}", path, file.line(), cells.size(),
                              names.size());
    }
    values.clear();
    for (auto& cell : cells) {
      values.push_back(cell.text.empty() && !cell.quoted ? std::optional<std::string>() : std::move(cell.text));
    }
    RUNINK_RETURN_IF_ERROR(inferrer.add_cells(names, values));
  }
  if (names.empty()) return invalid_argument("{}: there is no header row", path);
  return {};
}

}  // namespace

Status sample_bytes(const std::string& name, ByteReader bytes, SampleForm form, const InferOptions& options,
                    Inferrer& inferrer, bool* complete) {
  *complete = false;
  const std::string context = "sample " + name;
  RecordFile file = RUNINK_TRY_CONTEXT(RecordFile::read(name, std::move(bytes), form != SampleForm::kNdjson), context);
  Status sampled = form == SampleForm::kNdjson ? sample_json(file, name, options.max_records, inferrer, complete)
                                               : sample_cells(file, name, form == SampleForm::kTsv ? '\t' : ',',
                                                              options.max_records, inferrer, complete);
  return std::move(sampled).with_context(context);
}

Result<DataProfile> profile_bytes(const std::string& name, ByteReader bytes, SampleForm form,
                                  const InferOptions& options) {
  Inferrer inferrer(options);
  bool complete = false;
  RUNINK_RETURN_IF_ERROR(sample_bytes(name, std::move(bytes), form, options, inferrer, &complete));
  DataProfile profile = inferrer.profile();
  profile.source = name;
  profile.complete = complete;
  return profile;
}

Result<std::string> infer_contract_from_bytes(const std::string& name, ByteReader bytes, SampleForm form,
                                              const InferOptions& options) {
  Inferrer inferrer(options);
  bool complete = false;
  RUNINK_RETURN_IF_ERROR(sample_bytes(name, std::move(bytes), form, options, inferrer, &complete));
  if (inferrer.records() == 0) return failed_precondition("{}: there is no record to infer from", name);
  return inferrer.contract_text();
}

Status sample_file(const std::string& path, SampleForm form, const InferOptions& options, Inferrer& inferrer,
                   bool* complete) {
  const std::string context = "sample " + path;
  if (form == SampleForm::kGuess) form = RUNINK_TRY_CONTEXT(guess_form(path), context);
  return sample_bytes(path, RUNINK_TRY_CONTEXT(read_plain_file(path), context), form, options, inferrer, complete);
}

Result<DataProfile> profile_file(const std::string& path, SampleForm form, const InferOptions& options) {
  const std::string context = "sample " + path;
  if (form == SampleForm::kGuess) form = RUNINK_TRY_CONTEXT(guess_form(path), context);
  return profile_bytes(path, RUNINK_TRY_CONTEXT(read_plain_file(path), context), form, options);
}

Result<std::string> infer_contract(const std::string& path, SampleForm form, const InferOptions& options) {
  const std::string context = "sample " + path;
  if (form == SampleForm::kGuess) form = RUNINK_TRY_CONTEXT(guess_form(path), context);
  return infer_contract_from_bytes(path, RUNINK_TRY_CONTEXT(read_plain_file(path), context), form, options);
}

}  // namespace runink::contract
