// Linked into a runi-server of its own: the next version, as mixed_versions.py needs one. It knows one type of entries
// more, with a field that the others have not, and writes puts below "next/" as such.
//
// The linker (--wrap) leads the calls of command.h here that come from other files.
#include <deque>
#include <string>

#include "control/barn/command.h"

namespace runink::barn {

// Of their names as the linker knows them.
Result<Command> next_decode(std::string_view bytes) asm(
    "__wrap__ZN6runink4barn14decode_commandESt17basic_string_viewIcSt11char_traitsIcEE");
Result<Command> decode_of_this_version(std::string_view bytes) asm(
    "__real__ZN6runink4barn14decode_commandESt17basic_string_viewIcSt11char_traitsIcEE");
Result<std::string> next_prepare(const Command& command, const Limits& limits) asm(
    "__wrap__ZN6runink4barn15prepare_commandB5cxx11ERKNS0_7CommandERKNS0_6LimitsE");
Result<std::string> prepare_of_this_version(const Command& command, const Limits& limits) asm(
    "__real__ZN6runink4barn15prepare_commandB5cxx11ERKNS0_7CommandERKNS0_6LimitsE");

namespace {

// Behind the version: the type, and the field.
constexpr char kNextType = static_cast<char>(200);
constexpr std::string_view kField = "field";

}  // namespace

Result<Command> next_decode(std::string_view bytes) {
  if (bytes.size() < 2 + kField.size() || bytes[1] != kNextType) return decode_of_this_version(bytes);
  // A command's views are into what it was decoded from.
  static thread_local std::deque<std::string> kept;
  std::string& known = kept.emplace_back(bytes.substr(0, 1));
  known += bytes.substr(2 + kField.size());
  return decode_of_this_version(known);
}

Result<std::string> next_prepare(const Command& command, const Limits& limits) {
  std::string bytes = RUNINK_TRY(prepare_of_this_version(command, limits));
  const Put* const put = std::get_if<Put>(&command.body);
  if (put == nullptr || !std::string_view(put->key).starts_with("next/")) return bytes;
  return bytes.substr(0, 1) + kNextType + std::string(kField) + bytes.substr(1);
}

}  // namespace runink::barn
