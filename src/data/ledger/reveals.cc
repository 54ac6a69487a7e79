#include "data/ledger/reveals.h"

#include "base/clock.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"

namespace runink::ledger {

Status record_reveal(const std::string& ledger_root, const Reveal& reveal) {
  const int64_t now = reveal.time_micros != 0 ? reveal.time_micros : system_clock().unix_micros();
  const std::string line = fmt::format("{{\"v\":1,\"time\":{},\"user\":{},\"what\":{},\"letter\":{},\"run\":{}}}\n", json_quote(format_utc(now)),
                                       json_quote(os::user_name()), json_quote(reveal.what), json_quote(reveal.letter), json_quote(reveal.run_id));
  const std::string path = ledger_root + "/revealed.ndjson";
  const os::Fd fd = RUNINK_TRY_CONTEXT(os::open_file(path, os::OpenMode::kAppend, 0600), "record that personal data is shown");
  RUNINK_RETURN_IF_ERROR(os::write_all(fd, line).with_context("record that personal data is shown"));
  return os::sync_data(fd).with_context("record that personal data is shown");
}

}  // namespace runink::ledger
