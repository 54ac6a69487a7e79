// slices_bench: how fast slices start and what they cost, beside a bare process, bubblewrap and runc, which all take
// turns in one run. bench/slices.sh builds and calls it; docs/internals/performance.md says how to read it.
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/status.h"
#include "record_rows.h"
#include "setting.h"
#include "start_rows.h"
#include "steady_rows.h"
#include "stream_rows.h"

namespace runink::bench {
namespace {

constexpr const char* kUsage =
    "usage: slices_bench --runi PROGRAM --payload PROGRAM [--json] [--only NAME] [--rounds N] [--seconds N]\n";

Result<Options> read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--json") {
      options.json = true;
      continue;
    }
    if (i + 1 >= argc) return invalid_argument("{} needs a value\n{}", flag, kUsage);
    const std::string value = argv[++i];
    if (flag == "--runi") {
      options.runi = value;
    } else if (flag == "--payload") {
      options.payload = value;
    } else if (flag == "--only") {
      options.only = value;
    } else if (flag == "--rounds" && std::atoi(value.c_str()) > 0) {
      options.rounds = std::atoi(value.c_str());
    } else if (flag == "--seconds" && std::atoi(value.c_str()) > 0) {
      options.seconds = std::atoi(value.c_str());
    } else {
      return invalid_argument("{} {} is not known\n{}", flag, value, kUsage);
    }
  }
  if (options.runi.empty() || options.payload.empty()) return invalid_argument("{}", kUsage);
  return options;
}

Status run(int argc, char** argv) {
  const Options options = RUNINK_TRY(read_options(argc, argv));
  Setting setting = RUNINK_TRY(Setting::make(options));
  RUNINK_RETURN_IF_ERROR(start_rows(setting));
  RUNINK_RETURN_IF_ERROR(steady_rows(setting));
  RUNINK_RETURN_IF_ERROR(record_rows(setting));
  return stream_rows(setting);
}

}  // namespace
}  // namespace runink::bench

int main(int argc, char** argv) {
  const runink::Status status = runink::bench::run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "slices_bench: %s\n", status.to_string().c_str());
  if (!status.hint().empty()) std::fprintf(stderr, "  help: %s\n", status.hint().c_str());
  return 1;
}
