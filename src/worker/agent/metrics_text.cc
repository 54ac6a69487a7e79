#include "worker/agent/metrics_text.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"

namespace runink::agent {
namespace {

bool is_letter(char c, bool colon) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name(std::string_view name, bool colon) {
  return !name.empty() && is_letter(name[0], colon) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c, colon) || is_digit(c); });
}

// A number as Prometheus reads it.
bool is_value(std::string_view text) {
  if (text.starts_with('+'))
    text.remove_prefix(1);
  else if (text.starts_with('-'))
    text.remove_prefix(1);
  if (text.empty() || text[0] == '-' || text.find('(') != std::string_view::npos) return false;  // nan(7)
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool is_timestamp(std::string_view text) {
  int64_t millis = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), millis);
  return error == std::errc() && end == text.data() + text.size();
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"') {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

// A help text as it is written, with nothing behind a backslash that a reader would stumble over.
std::string clean_help(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    out += text[at];
    if (text[at] != '\\') continue;
    out += next == 'n' ? 'n' : '\\';
    if (next == 'n' || next == '\\') ++at;
  }
  return out;
}

// The name of the family that a sample belongs to.
std::string_view family_of(std::string_view sample, const std::map<std::string, size_t, std::less<>>& histograms,
                           const std::map<std::string, size_t, std::less<>>& summaries) {
  for (const std::string_view ending : {"_bucket", "_sum", "_count"}) {
    if (!sample.ends_with(ending)) continue;
    const std::string_view stem = sample.substr(0, sample.size() - ending.size());
    if (histograms.count(stem) != 0) return stem;
    if (ending != "_bucket" && summaries.count(stem) != 0) return stem;
  }
  return sample;
}

class Parser {
 public:
  explicit Parser(const MetricLimits& limits) : limits_(limits) {}

  Status line(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    if (text.empty()) return {};
    return text.front() == '#' ? comment(text) : sample(text);
  }
  std::vector<MetricFamily> take() { return std::move(families_); }

 private:
  Status comment(std::string_view text) {
    const bool help = text.starts_with("# HELP ");
    if (!help && !text.starts_with("# TYPE ")) return {};
    text.remove_prefix(7);
    const size_t space = text.find(' ');
    const std::string_view name = text.substr(0, space);
    const std::string_view rest = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
    if (!is_name(name, true)) return invalid_argument("\"{}\" is no metric's name", escape_control(name));
    RUNINK_RETURN_IF_ERROR(check_size(name, limits_.name_bytes, "a name"));
    const size_t at = RUNINK_TRY(family(name));
    MetricFamily& of = families_[at];
    if (help) {
      RUNINK_RETURN_IF_ERROR(check_size(rest, limits_.value_bytes, "a help text"));
      of.help = clean_help(rest);
      return {};
    }
    static constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram", "summary", "untyped"};
    if (std::find(std::begin(kTypes), std::end(kTypes), rest) == std::end(kTypes)) {
      return invalid_argument("{} is of the type \"{}\", which is none", name, escape_control(rest));
    }
    if (!of.type.empty()) return invalid_argument("{} has a second TYPE", name);
    if (!of.samples.empty()) return invalid_argument("TYPE of {} comes after its samples", name);
    of.type = rest;
    if (rest == "histogram") histograms_.emplace(name, at);
    if (rest == "summary") summaries_.emplace(name, at);
    return {};
  }

  Status sample(std::string_view text) {
    MetricSample sample;
    size_t at = 0;
    while (at < text.size() && (is_letter(text[at], true) || is_digit(text[at]))) ++at;
    const std::string_view name = text.substr(0, at);
    if (!is_name(name, true)) return invalid_argument("a sample does not begin with a name");
    RUNINK_RETURN_IF_ERROR(check_size(name, limits_.name_bytes, "a name"));
    sample.name = name;
    text.remove_prefix(at);
    skip_blanks(&text);
    if (text.starts_with('{')) RUNINK_RETURN_IF_ERROR(labels(&text, &sample));
    skip_blanks(&text);
    const std::string_view value = word(&text);
    if (!is_value(value))
      return invalid_argument("{} has the value \"{}\", which is no number", name, escape_control(value));
    sample.value = value;
    const std::string_view timestamp = word(&text);
    if (!timestamp.empty() && !is_timestamp(timestamp)) return invalid_argument("{} has a bad timestamp", name);
    if (!text.empty()) return invalid_argument("something follows the sample of {}", name);
    return put(std::move(sample));
  }

  Status put(MetricSample sample) {
    if (++samples_ > limits_.samples) return resource_exhausted("more than {} samples", limits_.samples);
    if (!seen_.insert(key_of(sample)).second) return invalid_argument("{} is there twice", sample.name);
    const size_t at = RUNINK_TRY(family(family_of(sample.name, histograms_, summaries_)));
    if (families_[at].type == "histogram") {
      const bool bucket = sample.name.ends_with("_bucket");
      const bool bounded = std::any_of(sample.labels.begin(), sample.labels.end(),
                                       [](const auto& label) { return label.first == "le"; });
      if (sample.name == families_[at].name || (bucket && !bounded)) {
        return invalid_argument("{} is no sample of a histogram", sample.name);
      }
    }
    families_[at].samples.push_back(std::move(sample));
    return {};
  }

  // What tells a series from all others: a label without a value is none, and the order does not count.
  static std::string key_of(const MetricSample& sample) {
    auto labels = sample.labels;
    std::sort(labels.begin(), labels.end());
    std::string key = sample.name;
    for (const auto& [name, value] : labels) {
      if (!value.empty()) key += '\n' + name + '=' + std::to_string(value.size()) + ':' + value;
    }
    return key;
  }

  // {name="value",…}
  Status labels(std::string_view* text, MetricSample* sample) {
    text->remove_prefix(1);
    while (true) {
      skip_blanks(text);
      if (text->starts_with('}')) {
        text->remove_prefix(1);
        return {};
      }
      size_t at = 0;
      while (at < text->size() && (is_letter((*text)[at], false) || is_digit((*text)[at]))) ++at;
      std::string name(text->substr(0, at));
      if (!is_name(name, false)) return invalid_argument("{} has a label without a name", sample->name);
      RUNINK_RETURN_IF_ERROR(check_size(name, limits_.name_bytes, "a label's name"));
      for (const auto& [other, value] : sample->labels) {
        if (other == name) return invalid_argument("{} has the label {} twice", sample->name, name);
      }
      text->remove_prefix(at);
      skip_blanks(text);
      if (!text->starts_with('=')) return invalid_argument("the label {} of {} has no value", name, sample->name);
      text->remove_prefix(1);
      skip_blanks(text);
      std::string value = RUNINK_TRY(quoted(text, sample->name));
      sample->labels.emplace_back(std::move(name), std::move(value));
      if (sample->labels.size() > limits_.labels) return resource_exhausted("more than {} labels", limits_.labels);
      skip_blanks(text);
      if (text->starts_with(',')) {
        text->remove_prefix(1);
      } else if (!text->starts_with('}')) {
        return invalid_argument("the labels of {} do not end", sample->name);
      }
    }
  }

  Result<std::string> quoted(std::string_view* text, const std::string& sample) {
    if (!text->starts_with('"')) return invalid_argument("a label of {} has no quoted value", sample);
    std::string out;
    for (size_t at = 1; at < text->size(); ++at) {
      char c = (*text)[at];
      if (c == '"') {
        text->remove_prefix(at + 1);
        RUNINK_RETURN_IF_ERROR(check_size(out, limits_.value_bytes, "a label's value"));
        if (!is_valid_utf8(out)) return invalid_argument("a label of {} is not UTF-8", sample);
        return out;
      }
      if (c == '\\') {
        if (++at == text->size()) break;
        c = (*text)[at];
        if (c != 'n' && c != '\\' && c != '"') return invalid_argument("a label of {} has a bad escape", sample);
        if (c == 'n') c = '\n';
      }
      out += c;
    }
    return invalid_argument("a label of {} does not end", sample);
  }

  Result<size_t> family(std::string_view name) {
    const auto found = index_.find(name);
    if (found != index_.end()) return found->second;
    if (families_.size() >= limits_.families) return resource_exhausted("more than {} metrics", limits_.families);
    MetricFamily& made = families_.emplace_back();
    made.name = name;
    index_.emplace(name, families_.size() - 1);
    return families_.size() - 1;
  }

  static Status check_size(std::string_view text, size_t most, const char* what) {
    return text.size() <= most ? Status() : resource_exhausted("{} is longer than {} bytes", what, most);
  }
  static void skip_blanks(std::string_view* text) {
    while (text->starts_with(' ') || text->starts_with('\t')) text->remove_prefix(1);
  }
  static std::string_view word(std::string_view* text) {
    skip_blanks(text);
    const std::string_view out = text->substr(0, text->find_first_of(" \t"));
    text->remove_prefix(out.size());
    skip_blanks(text);
    return out;
  }

  const MetricLimits limits_;
  std::vector<MetricFamily> families_;
  std::map<std::string, size_t, std::less<>> index_, histograms_, summaries_;
  std::set<std::string> seen_;
  size_t samples_ = 0;
};

bool is_reserved(std::string_view name) { return name.starts_with("runink_agent") || name.starts_with("runink_node"); }

bool names(const std::vector<std::pair<std::string, std::string>>& labels, std::string_view name) {
  return std::any_of(labels.begin(), labels.end(), [&](const auto& label) { return label.first == name; });
}

}  // namespace

Result<std::vector<MetricFamily>> parse_metrics(std::string_view text, const MetricLimits& limits) {
  if (!text.empty() && !text.ends_with('\n')) return invalid_argument("the text ends within a line");
  Parser parser(limits);
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    if (!is_valid_utf8(line)) return invalid_argument("line {}: not UTF-8", number);
    if (line.ends_with('\r')) line.remove_suffix(1);
    RUNINK_RETURN_IF_ERROR(parser.line(line).with_context(fmt::format("line {}", number)));
  }
  std::vector<MetricFamily> families = parser.take();
  std::erase_if(families, [](const MetricFamily& family) { return family.samples.empty(); });
  for (MetricFamily& family : families) {
    if (family.type.empty()) family.type = "untyped";
  }
  return families;
}

void MetricsMerge::add(const std::vector<MetricFamily>& families,
                       const std::vector<std::pair<std::string, std::string>>& labels) {
  for (const MetricFamily& family : families) {
    const auto [at, fresh] = families_.try_emplace(family.name);
    Merged& merged = at->second;
    if (fresh) {
      merged.type = family.type;
      merged.help = family.help;
    }
    if (is_reserved(family.name) || merged.type != family.type) {
      ++refused_;
      if (fresh) families_.erase(at);
      continue;
    }
    for (const MetricSample& sample : family.samples) {
      merged.lines += sample.name;
      char before = '{';
      const auto put = [&](std::string_view name, std::string_view value) {
        merged.lines += before;
        merged.lines += name;
        merged.lines += "=\"";
        append_escaped(merged.lines, value);
        merged.lines += '"';
        before = ',';
      };
      for (const auto& [name, value] : labels) put(name, value);
      for (const auto& [name, value] : sample.labels) {
        std::string exported = name;
        while (names(labels, exported) || (exported != name && names(sample.labels, exported))) {
          exported = "exported_" + exported;
        }
        put(exported, value);
      }
      merged.lines += "} " + sample.value + "\n";
    }
  }
}

std::string MetricsMerge::render() const {
  std::string out;
  for (const auto& [name, merged] : families_) {
    if (!merged.help.empty()) out += "# HELP " + name + " " + merged.help + "\n";
    out += "# TYPE " + name + " " + merged.type + "\n" + merged.lines;
  }
  return out;
}

}  // namespace runink::agent
