#include "worker/sandbox/slice_errors.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "base/text.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox {
namespace {

Status program_failed(int error, const StartWords& words) {
  const std::string name = escape_control(words.program);
  if (error == ENOENT || error == ENOTDIR) {
    const bool path = words.program.find('/') != std::string::npos;
    return not_found("run {}: there is no such program in the slice", name)
        .with_kind(kKindProgramMissing)
        .with_hint(path ? "a slice sees /usr of the host and what is mounted; for a script, the interpreter named in "
                          "its first line must be there, too"
                        : "it is looked for in the folders of PATH inside the slice; mount its folder and name it by "
                          "its path there");
  }
  if (error == ENOEXEC) {
    return failed_precondition("run {}: it is no program for this machine", name)
        .with_kind(kKindProgramRefused)
        .with_hint(
            "built for another processor? a script needs a first line that names its interpreter, such as #!/bin/sh");
  }
  if (error == EISDIR) {
    return failed_precondition("run {}: it is a folder", name).with_kind(kKindProgramRefused);
  }
  return from_errno(error, fmt::format("run {}", name))
      .with_kind(kKindProgramRefused)
      .with_hint(error == EACCES ? fmt::format("user {} of the slice may not execute it: chmod +x, or chmod o+rx where "
                                               "it belongs to another user",
                                               words.user)
                                 : "");
}

}  // namespace

Status operation_failed(const Operation& operation, int error, const StartWords& words) {
  switch (operation.action) {
    case Action::kOpenProgram:
    case Action::kExecute:
      return program_failed(error, words);
    case Action::kEnterFolder:
      return from_errno(error, fmt::format("enter {} in the slice", escape_control(words.working_directory)))
          .with_hint("the slice sees only what is mounted: --mount FOLDER:" + escape_control(operation.path));
    case Action::kCloneSource:
      if (error == ESTALE) {
        return aborted("{}: it was replaced while the slice was being made", operation.says)
            .with_hint("start it again");
      }
      return from_errno(error, operation.says);
    case Action::kFilterCalls:
      if (Status probe = probe_seccomp(); !probe.ok()) return probe;
      return from_errno(error, operation.says);
    default:
      return from_errno(error, operation.says);
  }
}

Status clone_failed(const Operation& operation, int error) {
  Status status = from_errno(error, operation.says);
  if (error == ENOSPC || error == EPERM) {
    return std::move(status).with_hint(
        "this host lets nobody, or not this user, make user namespaces: sysctl user.max_user_namespaces, and on some "
        "kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns");
  }
  if (error == ENOSYS) {
    return std::move(status).with_hint(
        "a filter of system calls keeps clone3 from this process, as those of containers do, or the kernel is older than "
        "Linux 5.12: start slices on the host itself");
  }
  return status;
}

}  // namespace runink::sandbox
