// What launchers left behind that were killed. The next launcher removes it: here it is only told.
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "worker/doctor/doctor.h"
#include "worker/sandbox/leftovers.h"

namespace runink::doctor {
namespace {

constexpr const char* kNextRemoves = "the next `runi exec` with a network removes them, as root";

Finding finding_of(const char* check, const sandbox::InUseAndLeft& count, const char* what, const char* advice) {
  if (count.left.empty()) {
    return {check, Verdict::kGood, fmt::format("{} in use, none left behind", count.in_use.size()), ""};
  }
  std::vector<std::string> names(count.left.begin(), count.left.end());
  const size_t all = names.size();
  if (all > 3) names.resize(3);
  return {check, Verdict::kNote,
          fmt::format("{} in use; {} {} of launchers that were killed: {}{}", count.in_use.size(), all, what,
                      join(names, ", "), all > 3 ? ", …" : ""),
          advice};
}

}  // namespace

void look_for_leftovers(Findings* findings) {
  const sandbox::Leftovers left = sandbox::count_leftovers();
  findings->push_back(finding_of("left: processes", left.processes, "process(es)",
                                 "kill them by these numbers; each is process 1 of a slice, which ends with it"));
  findings->push_back(finding_of("left: groups", left.groups, "control group(s)",
                                 "the next `runi exec` with limits removes them, as root"));
  findings->push_back(finding_of("left: links", left.links, "link(s)", kNextRemoves));
  if (::geteuid() != 0) return;  // rules are root's to see
  if (left.rules_unknown.ok()) {
    findings->push_back(finding_of("left: rules", left.rules, "chain(s) of rules", kNextRemoves));
  } else {
    findings->push_back({"left: rules", Verdict::kNote, left.rules_unknown.to_string(), ""});
  }
}

Findings probe_slices(const DoctorOptions& options) {
  Findings findings;
  probe_kernel(&findings);
  probe_isolation(&findings);
  probe_files(options, &findings);
  probe_limits(&findings);
  probe_network(&findings);
  look_for_leftovers(&findings);
  return findings;
}

}  // namespace runink::doctor
