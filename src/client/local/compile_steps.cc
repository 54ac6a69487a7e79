#include "client/local/compile_steps.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "base/nearest.h"
#include "base/text.h"
#include "client/local/step_headers.h"
#include "client/local/step_sources.h"
#include "platform/crypto/digest.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/process.h"
#include "platform/os/shell_words.h"
#include "runink/step/abi.h"

namespace runink::local {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kLoadLimitNanos = 30'000'000'000;  // a library whose static constructors take longer does not load

struct ToolResult {
  os::ExitStatus status;
  std::string output;
};

// Runs a program to its end and takes its standard output. limit_nanos 0: none.
Result<ToolResult> run_tool(const std::vector<std::string>& argv, const std::string& folder, int standard_error,
                            const StopFlag* stop, int64_t limit_nanos = 0) {
  os::Pipe out = RUNINK_TRY(os::make_pipe("standard output of " + argv[0]));
  os::SpawnOptions spawn;
  spawn.argv = argv;
  spawn.working_directory = folder;
  spawn.standard_output = out.write.get();
  spawn.standard_error = standard_error;
  os::Child child = RUNINK_TRY(os::Child::spawn(spawn));
  out.write.reset();
  ToolResult result;
  const int64_t begin = os::monotonic_nanos();
  char buffer[4096];
  for (;;) {
    pollfd p{out.read.get(), POLLIN, 0};
    const int ready = ::poll(&p, 1, 100);
    if (stop != nullptr && stop->requested()) return cancelled("interrupted").with_kind("run.interrupted");
    if (limit_nanos > 0 && os::monotonic_nanos() - begin > limit_nanos) {
      return deadline_exceeded("{} did not end within {}", argv[0], human_duration(static_cast<double>(limit_nanos) * 1e-9));
    }
    if (ready <= 0) continue;
    const ssize_t n = ::read(out.read.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return from_errno(errno, "read what " + argv[0] + " printed");
    if (n == 0) break;
    if (result.output.size() < (1u << 20)) result.output.append(buffer, static_cast<size_t>(n));
  }
  result.status = *RUNINK_TRY(child.wait());
  return result;
}

std::string environment_text(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

// The compiler and the flags of every file.
struct Toolchain {
  std::vector<std::string> compiler, flags, link_flags;
  std::string key;  // changes with anything above, with the compiler's version, and with the SDK

  static Result<Toolchain> find(const CompileStepsOptions& options, const StepHeaders& headers, const std::string& sdk);
};

Result<std::string> sdk_hash(const std::string& sdk) {
  crypto::Sha256 all;
  const std::string folder = sdk + "/runink/step";
  for (const auto& name : RUNINK_TRY(os::list_directory(folder))) all.update(RUNINK_TRY(os::read_file(os::join_path(folder, name))));
  return crypto::hex(all.finish());
}

Result<Toolchain> Toolchain::find(const CompileStepsOptions& options, const StepHeaders& headers, const std::string& sdk) {
  Toolchain t;
  const std::string command = environment_text("CXX", "c++");
  const auto words = [](const char* name, const std::string& text) -> Result<std::vector<std::string>> {
    if (text.empty()) return std::vector<std::string>();
    return RUNINK_TRY_CONTEXT(os::split_command(text), fmt::format("split {} into words", name));
  };
  t.compiler = RUNINK_TRY(words("CXX", command));
  std::vector<std::string> ask = t.compiler;
  ask.push_back("--version");
  auto version = run_tool(ask, options.project_root, -1, options.stop, kLoadLimitNanos);
  if (!version.ok() && version.status().kind() == "run.interrupted") return version.status();
  if (!version.ok() || !version->status.success()) {
    return not_found("there is no C++ compiler: {} --version {}", command,
                     version.ok() ? "ends with " + version->status.to_string() : "fails (" + version.status().message() + ")")
        .with_hint("install one (Debian: apt-get install g++), or name it in the environment variable CXX");
  }
  // Names of generated headers must not stand in the way of the system's: hence -iquote.
  t.flags = {"-std=c++20", "-O2", "-g", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter",
             "-iquote", "steps", "-iquote", headers.folder, "-I", sdk};
  for (auto& word : RUNINK_TRY(words("CXXFLAGS", environment_text("CXXFLAGS")))) t.flags.push_back(std::move(word));
  t.link_flags = {"-shared", "-Wl,--no-undefined"};
  for (const char* name : {"LDFLAGS", "LDLIBS"}) {
    for (auto& word : RUNINK_TRY(words(name, environment_text(name)))) t.link_flags.push_back(std::move(word));
  }
  t.key = crypto::sha256_hex(fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", RUNINK_STEP_ABI_VERSION, os::join_command(t.compiler), version->output,
                                         os::join_command(t.flags), os::join_command(t.link_flags), headers.hash,
                                         RUNINK_TRY(sdk_hash(sdk))));
  return t;
}

// Which files `only` means.
Result<std::vector<std::string>> chosen(const CompileStepsOptions& options, const StepSources& sources) {
  if (options.only.empty()) return sources.files;
  std::map<std::string, std::string> names;  // every word that names a file
  for (const auto& file : sources.files) {
    if (const auto text = os::read_file(os::join_path(options.project_root, file)); text.ok()) {
      for (const auto& step : step_names_in_text(*text)) names[step] = file;
    }
    if (const auto record = read_step_record(step_record_path(options.project_root, step_stem(file)))) {
      for (const auto& step : record->steps) names.emplace(step, file);
    }
  }
  for (const auto& file : sources.files) names[file] = names[os::file_name_of(file)] = names[step_stem(file)] = file;
  std::set<std::string> files;
  for (const auto& word : options.only) {
    const auto found = names.find(word);
    if (found != names.end()) {
      files.insert(found->second);
      continue;
    }
    std::vector<std::string> all;
    for (const auto& entry : names) all.push_back(entry.first);
    const auto near = nearest(word, all);
    return not_found("no step and no file in steps/ is named \"{}\"", escape_control(word))
        .with_hint(near.empty() ? (sources.files.empty() ? std::string("there is no steps/*.cpp") : "there are " + join(sources.files, ", "))
                                : "is \"" + near[0] + "\" meant?");
  }
  return std::vector<std::string>(files.begin(), files.end());
}

class Builder {
 public:
  Builder(const CompileStepsOptions& options, const Toolchain& tools, const StepSources& sources, std::string slice)
      : options_(options), tools_(tools), sources_(sources), slice_(std::move(slice)),
        folder_(options.project_root + "/" + kStepFolder) {
    for (const auto& file : sources.files) {
      if (auto record = read_step_record(step_record_path(options.project_root, step_stem(file)))) records_[file] = std::move(*record);
    }
  }

  Result<StepFile> build(const std::string& source) {
    StepFile file;
    file.source = source;
    file.library = fmt::format("{}/lib/{}.so", kStepFolder, step_stem(source));
    const std::string library = os::join_path(options_.project_root, file.library);
    StepRecord record;
    record.source = source;
    record.source_hash = RUNINK_TRY(step_source_hash(options_.project_root, source, sources_));
    record.key = crypto::sha256_hex(tools_.key + record.source_hash);
    const auto before = records_.find(source);
    if (!options_.force && before != records_.end() && before->second.key == record.key && os::exists(library)) {
      file.steps = before->second.steps;
      file.was_current = true;
      return file;
    }
    if (options_.on_start) options_.on_start(source);
    const int64_t begin = os::monotonic_nanos();
    const std::string temp = fmt::format("{}/lib/.{}.{}.so", folder_, step_stem(source), ::getpid());
    auto built = build_to(temp, source);
    if (!built.ok()) {
      (void)os::remove_file(temp);
      return std::move(built).status();
    }
    record.steps = file.steps = std::move(*built);
    RUNINK_RETURN_IF_ERROR(os::rename_file(temp, library));
    RUNINK_RETURN_IF_ERROR(write_step_record(step_record_path(options_.project_root, step_stem(source)), record));
    records_[source] = std::move(record);
    file.seconds = static_cast<double>(os::monotonic_nanos() - begin) * 1e-9;
    return file;
  }

  // One link per step, and nothing left of files and steps that are gone.
  Status link_all() {
    std::map<std::string, std::string> wanted;  // "NAME.so" → "lib/STEM.so"
    std::set<std::string> kept;                 // in lib/
    for (const auto& [source, record] : records_) {
      const std::string stem = step_stem(source);
      kept.insert({stem + ".so", stem + ".json"});
      for (const auto& step : record.steps) wanted[step + ".so"] = "lib/" + stem + ".so";
    }
    for (const auto& name : RUNINK_TRY(os::list_directory(folder_ + "/lib"))) {
      if (!kept.contains(name) && name[0] != '.') RUNINK_RETURN_IF_ERROR(os::remove_file(folder_ + "/lib/" + name));
    }
    std::error_code error;
    for (const auto& name : RUNINK_TRY(os::list_directory(folder_))) {
      if (name.ends_with(".so") && !wanted.contains(name)) RUNINK_RETURN_IF_ERROR(os::remove_file(folder_ + "/" + name));
    }
    for (const auto& [name, target] : wanted) {
      const std::string link = folder_ + "/" + name;
      if (fs::read_symlink(link, error) == target && !error) continue;
      const std::string temp = fmt::format("{}/.{}.{}", folder_, name, ::getpid());
      (void)os::remove_file(temp);
      fs::create_symlink(target, temp, error);
      if (error) return from_errno(error.value(), "make the link " + link);
      RUNINK_RETURN_IF_ERROR(os::rename_file(temp, link));
    }
    return {};
  }

 private:
  // The names of the steps in the library.
  Result<std::vector<std::string>> build_to(const std::string& library, const std::string& source) {
    std::vector<std::string> argv = tools_.compiler;
    argv.insert(argv.end(), tools_.flags.begin(), tools_.flags.end());
    argv.insert(argv.end(), {"-o", library, source});
    argv.insert(argv.end(), tools_.link_flags.begin(), tools_.link_flags.end());
    const ToolResult compiled = RUNINK_TRY_CONTEXT(run_tool(argv, options_.project_root, options_.diagnostics, options_.stop), "compile " + source);
    if (!compiled.status.success()) {
      return failed_precondition("{} does not compile ({})", source, compiled.status.to_string()).with_kind("step.compile");
    }
    const ToolResult listed = RUNINK_TRY_CONTEXT(
        run_tool({slice_, "steps", "--library", library}, options_.project_root, options_.diagnostics, options_.stop, kLoadLimitNanos),
        "look at the steps of " + source);
    if (!listed.status.success()) {
      return failed_precondition("{} was compiled, and cannot be used ({})", source, listed.status.to_string()).with_kind("step.compile");
    }
    std::vector<std::string> names;
    for (const auto line : split(listed.output, '\n')) {
      if (line.empty()) continue;
      names.emplace_back(line.substr(0, line.find('\t')));
      for (const auto& [other, record] : records_) {
        if (other != source && std::find(record.steps.begin(), record.steps.end(), names.back()) != record.steps.end()) {
          return failed_precondition("{} and {} both define the step {}", other, source, names.back()).with_kind("step.compile");
        }
      }
    }
    return names;
  }

  const CompileStepsOptions& options_;
  const Toolchain& tools_;
  const StepSources& sources_;
  std::string slice_, folder_;
  std::map<std::string, StepRecord> records_;  // by source, of those that are there
};

}  // namespace

Result<std::vector<StepFile>> compile_steps(const CompileStepsOptions& given) {
  CompileStepsOptions options = given;
  options.project_root = RUNINK_TRY(os::absolute_path(given.project_root));
  const StepSources sources = RUNINK_TRY(find_step_sources(options.project_root));
  const std::vector<std::string> files = RUNINK_TRY(chosen(options, sources));
  std::vector<StepFile> out;
  if (sources.files.empty() && !os::exists(options.project_root + "/" + kStepFolder)) return out;

  RUNINK_RETURN_IF_ERROR(os::make_directories(options.project_root + "/" + kStepFolder + "/lib", 0700));
  // Headers also where there is no step yet: an editor wants them to write one.
  const StepHeaders headers = RUNINK_TRY(make_step_headers(options.project_root));
  Toolchain tools;
  std::string slice;
  if (!files.empty()) {
    const std::string sdk = options.sdk_include.empty() ? RUNINK_TRY(find_step_sdk()) : options.sdk_include;
    slice = options.runi_slice.empty() ? RUNINK_TRY(find_runi_slice()) : options.runi_slice;
    tools = RUNINK_TRY(Toolchain::find(options, headers, sdk));
  }
  Builder builder(options, tools, sources, slice);
  std::vector<Status> failures;
  for (const auto& source : files) {
    auto file = builder.build(source);
    if (!file.ok() && file.status().kind() == "run.interrupted") return std::move(file).status();
    if (!file.ok()) {
      failures.push_back(std::move(file).status());
      continue;
    }
    if (options.on_done) options.on_done(*file);
    out.push_back(std::move(*file));
  }
  RUNINK_RETURN_IF_ERROR(builder.link_all());
  if (failures.empty()) return out;
  Status status = failures.size() == 1 && files.size() == 1
                      ? std::move(failures[0])
                      : failed_precondition("{} of {} files in steps/ were not built", failures.size(), files.size()).with_kind("step.compile");
  if (failures.size() > 1 || files.size() > 1) {
    for (const auto& failure : failures) status = std::move(status).with_detail(failure.to_string());
  }
  return status;
}

}  // namespace runink::local
