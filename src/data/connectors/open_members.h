// The members of an object that a reader put into kOpenColumn, one at a time, for writers.
//
// The text is read as far as it is well formed (a custom step may have answered anything as the column): where it is not,
// the members end. Nothing is copied.
#pragma once

#include <string>
#include <string_view>

namespace runink::connectors {

struct OpenMember {
  std::string_view key;    // as it is written, escapes and all, without its quotes
  std::string_view value;  // JSON text
};

class OpenMembers {
 public:
  explicit OpenMembers(std::string_view object);
  bool next(OpenMember* out);

 private:
  void skip_space();
  bool take(char wanted);
  bool string(std::string_view* inside);
  bool value(std::string_view* out);

  std::string_view rest_;
  bool first_ = true;
};

// The text that the inside of a JSON string means; into `scratch` where it holds escapes.
std::string_view plain_text(std::string_view escaped, std::string* scratch);

}  // namespace runink::connectors
