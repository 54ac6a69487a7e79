#include "data/connectors/csv_border.h"

#include <cstring>

#include "data/connectors/hot.h"

namespace runink::connectors {

Status validate(const CsvDialect& d) {
  const auto bad = [](char c) { return c == '\n' || c == '\r' || static_cast<unsigned char>(c) >= 0x80; };
  if (d.delimiter == 0 || bad(d.delimiter))
    return invalid_argument("the CSV delimiter must be one ASCII character other than a line break");
  if (bad(d.quote) || bad(d.escape) || bad(d.comment)) {
    return invalid_argument("CSV quote, escape and comment must be ASCII characters other than line breaks");
  }
  if (d.quote == d.delimiter) return invalid_argument("the CSV quote and delimiter are the same character");
  if (d.escape != 0 && d.escape == d.delimiter)
    return invalid_argument("the CSV escape and delimiter are the same character");
  if (d.comment != 0 && (d.comment == d.delimiter || d.comment == d.quote)) {
    return invalid_argument("the CSV comment character is also its delimiter or quote");
  }
  return Status();
}

CsvRecord next_csv_record(std::string_view text, const CsvDialect& d, bool lone_cr) {
  CsvRecord out;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* p = begin;
  const auto line_break_at = [&](const char* at) -> size_t {
    if (*at == '\n') return 1;
    if (*at == '\r') {
      if (at + 1 < end && at[1] == '\n') return 2;
      if (lone_cr) return 1;
    }
    return 0;
  };
  const auto finish = [&](size_t break_length) {
    out.length = static_cast<size_t>(p - begin);
    out.break_length = break_length;
    return out;
  };
  const bool comment = d.comment != 0 && p < end && *p == d.comment;
  const char escape = d.escape != 0 && d.escape != d.quote ? d.escape : 0;
  bool cell_start = !comment;
  while (p < end) {
    if (cell_start && d.quote != 0) {
      const char* q = p;
      if (d.trim) {
        while (q < end && (*q == ' ' || *q == '\t') && *q != d.delimiter) ++q;
      }
      if (q < end && *q == d.quote) {
        const char* const opened = q++;
        bool closed = false;
        while (q < end) {
          if (escape != 0 && *q == escape) {
            q += q + 1 < end ? 2 : 1;
          } else if (*q != d.quote) {
            ++q;
          } else if (escape == 0 && q + 1 < end && q[1] == d.quote) {
            q += 2;
          } else {
            closed = true;
            ++q;
            break;
          }
        }
        p = q;
        if (!closed) {
          out.open_quote = true;
          out.quote_at = static_cast<size_t>(opened - begin);
          p = end;
          return finish(0);
        }
        cell_start = false;
        continue;
      }
    }
    cell_start = false;
    // To the end of the unquoted part.
    for (; p < end; ++p) {
      if (!comment && *p == d.delimiter) {
        ++p;
        cell_start = true;
        break;
      }
      if (const size_t length = line_break_at(p); length != 0) return finish(length);
    }
  }
  return finish(0);
}

size_t last_csv_border(std::string_view text, const CsvDialect& d, bool lone_cr) {
  const bool quotes = d.quote != 0 && std::memchr(text.data(), d.quote, text.size()) != nullptr;
  if (!quotes) {
    const void* at = memrchr(text.data(), lone_cr ? '\r' : '\n', text.size());
    // A CR at the very end of a lone-CR text is a border there; CR LF does not occur in such a file but ends at LF.
    const void* line_feed = lone_cr ? memrchr(text.data(), '\n', text.size()) : nullptr;
    if (line_feed > at) at = line_feed;
    return at == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(at) - text.data()) + 1;
  }
  const bool plain = (d.escape == 0 || d.escape == d.quote) && d.comment == 0 && !d.trim && !lone_cr;
  if (plain) {
    const size_t border = hot::loops().csv_last_border(text.data(), text.size(), d.delimiter, d.quote);
    if (border != SIZE_MAX) return border;
  }
  size_t border = 0;
  while (border < text.size()) {
    const CsvRecord record = next_csv_record(text.substr(border), d, lone_cr);
    if (record.break_length == 0) break;
    border += record.length + record.break_length;
  }
  return border;
}

std::optional<bool> uses_lone_cr(std::string_view text, const CsvDialect& dialect, bool whole) {
  const CsvRecord first = next_csv_record(text, dialect, true);
  const bool carriage_return = first.break_length == 1 && text[first.length] == '\r';
  // The CR may be half of CR LF.
  if (!whole && (first.break_length == 0 || (carriage_return && first.length + 1 == text.size()))) return std::nullopt;
  return carriage_return;
}

}  // namespace runink::connectors
