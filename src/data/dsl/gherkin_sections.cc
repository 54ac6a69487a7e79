#include "data/dsl/gherkin_sections.h"

namespace runink::dsl {
namespace {

constexpr SectionKind kKinds[] = {SectionKind::kMetadata, SectionKind::kAssertions, SectionKind::kGoldenTest,
                                  SectionKind::kNotifications};

bool is_key_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_key_char(char c) { return is_key_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

SectionItem make_item(const Line& line, std::string_view key, std::string_view text) {
  SectionItem item;
  item.key = key;
  item.text = text;
  item.place = line.place();
  item.text_span = {line.offset + static_cast<size_t>(text.data() - line.text.data()), text.size()};
  return item;
}

}  // namespace

std::string_view section_name(SectionKind kind) {
  switch (kind) {
    case SectionKind::kMetadata:
      return "Metadata";
    case SectionKind::kAssertions:
      return "Assertions";
    case SectionKind::kGoldenTest:
      return "GoldenTest";
    case SectionKind::kNotifications:
      return "Notifications";
  }
  return "";
}

std::optional<SectionKind> section_opened_by(const Line& line) {
  const std::string_view text = trim_right(line.trimmed);
  if (text.size() < 2 || text.back() != ':') return std::nullopt;
  for (const SectionKind kind : kKinds) {
    if (text.substr(0, text.size() - 1) == section_name(kind)) return kind;
  }
  return std::nullopt;
}

Section make_section(SectionKind kind, const Line& header, bool after_steps) {
  Section section;
  section.kind = kind;
  section.after_steps = after_steps;
  section.place = header.place();
  return section;
}

std::optional<SectionItem> parse_section_item(const Line& line) {
  const std::string_view text = trim_right(line.trimmed);
  if (text.empty()) return std::nullopt;
  size_t key_size = 0;
  if (text[0] != '-') {
    if (!is_key_start(text[0])) return std::nullopt;
    while (key_size < text.size() && is_key_char(text[key_size]) && space_length(text.substr(key_size)) == 0)
      ++key_size;
    if (key_size == text.size() || text[key_size] != ':') return std::nullopt;
  }
  const std::string_view rest = text.substr(key_size + 1);
  const std::string_view value = trim_left(rest);
  if (value.empty() || value.size() == rest.size()) return std::nullopt;  // nothing there, or no white space before it
  return make_item(line, text.substr(0, key_size), value);
}

std::vector<Section> take_sections(const SourceText& source, const Dialect& dialect, std::vector<Line>* lines,
                                   Diagnostics* diagnostics) {
  std::vector<Section> sections;
  std::vector<Line> kept;
  size_t i = 0;
  while (i < lines->size()) {
    const auto kind = section_opened_by((*lines)[i]);
    if (!kind) {
      kept.push_back((*lines)[i++]);
      continue;
    }
    const size_t header = i++;
    Section section = make_section(*kind, (*lines)[header], /*after_steps=*/false);
    const Line* stranger = nullptr;
    for (; i < lines->size() && !section_opened_by((*lines)[i]); ++i) {
      const Line& line = (*lines)[i];
      if (line.empty()) continue;
      if (starts_with_keyword(dialect, line.trimmed)) break;
      if (auto item = parse_section_item(line)) {
        section.items.push_back(std::move(*item));
      } else if (stranger == nullptr) {
        stranger = &line;
      }
    }
    if (stranger == nullptr) {
      sections.push_back(std::move(section));
      continue;
    }
    if (diagnostics->list().size() < kNotesMax) {
      auto& warning = diagnostics->warning(source, stranger->place().span, "dsl.section",
                                           fmt::format("this line is no item of the section `{}:` (line {}), so all of "
                                                       "it is read as description",
                                                       section_name(*kind), (*lines)[header].number));
      warning.help.emplace_back(kSectionItemHelp);
    }
    kept.insert(kept.end(), lines->begin() + static_cast<std::ptrdiff_t>(header),
                lines->begin() + static_cast<std::ptrdiff_t>(i));
  }
  *lines = std::move(kept);
  return sections;
}

}  // namespace runink::dsl
