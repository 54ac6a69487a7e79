// What process 1 does to make the slice's namespaces and root, and what a specification adds to them.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/sources.h"

namespace runink::sandbox {
namespace {

// Where the slice's root is while it is being made: a folder that every host has. Only this mount namespace sees it.
constexpr const char* kWorkshop = "/tmp";

int result_of(long returned) noexcept { return returned == 0 ? 0 : errno; }

// snprintf may allocate; the numbers here are few.
void write_number(uint64_t number, unsigned base, char* out) noexcept {
  char digits[24];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % base);
    number /= base;
  } while (number != 0);
  while (count > 0) *out++ = digits[--count];
  *out = '\0';
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      const int saved = errno;
      ::close(fd_);
      errno = saved;
    }
  }
  int get() const noexcept { return fd_; }
  int release() noexcept {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

struct FileSystem {
  const char* type;
  uint64_t flags;  // MOUNT_ATTR_…
  const char* options[4][2] = {};
};

// A new mount that is attached nowhere, or -1.
int make_mount(const FileSystem& what) noexcept {
  const Descriptor context(::fsopen(what.type, FSOPEN_CLOEXEC));
  if (context.get() < 0) return -1;
  for (const auto& [name, value] : what.options) {
    if (name != nullptr && ::fsconfig(context.get(), FSCONFIG_SET_STRING, name, value, 0) != 0) return -1;
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return ::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(what.flags));
}

int attach_new(const SetupState& state, const FileSystem& what, const char* path) noexcept {
  const Descriptor mount(make_mount(what));
  if (mount.get() < 0) return errno;
  return result_of(raw::attach(mount.get(), state.root, path));
}

int mount_tmpfs(const SetupState& state, const Operation& operation) noexcept {
  char bytes[24], mode[24];
  write_number(operation.number, 10, bytes);
  write_number(operation.second, 8, mode);
  uint64_t flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (operation.path.starts_with("dev")) flags |= MOUNT_ATTR_NOEXEC;
  return attach_new(
      state, {.type = "tmpfs", .flags = flags, .options = {{"size", bytes}, {"mode", mode}, {"nr_inodes", "65536"}}},
      operation.path.c_str());
}

int mount_root(SetupState* state) noexcept {
  state->root = make_mount({.type = "tmpfs",
                            .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                            .options = {{"size", "1048576"}, {"mode", "0755"}, {"nr_inodes", "4096"}}});
  if (state->root < 0) return errno;
  return result_of(raw::attach(state->root, AT_FDCWD, kWorkshop));
}

int clone_source(const ChildContext& context, const Operation& operation) noexcept {
  const auto index = static_cast<size_t>(operation.source);
  const MountSource& source = context.parking->sources[index];
  ChildSource& open = context.sources->at(index);
  const Descriptor place(raw::openat2(AT_FDCWD, source.path.c_str(), O_PATH | O_CLOEXEC, kSourceResolve));
  if (place.get() < 0) return errno;
  struct stat info = {};
  if (::fstat(place.get(), &info) != 0) return errno;
  if (info.st_dev != open.device || info.st_ino != open.inode) return ESTALE;  // swapped since the launcher looked
  Descriptor tree(raw::clone_tree(place.get()));
  if (tree.get() < 0) return errno;
  if (raw::set_mount(tree.get(), true, mount_flags(source)) != 0) return errno;
  open.tree = tree.release();
  return 0;
}

int make_file(const SetupState& state, const Operation& operation) noexcept {
  const int how = operation.action == Action::kMakeFile ? O_CREAT | O_EXCL : O_TRUNC;
  const Descriptor file(
      ::openat(state.root, operation.path.c_str(), O_WRONLY | how | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (file.get() < 0) return errno;
  if (operation.text.empty()) return 0;
  const ssize_t n = ::write(file.get(), operation.text.data(), operation.text.size());
  if (n < 0) return errno;
  return static_cast<size_t>(n) == operation.text.size() ? 0 : ENOSPC;
}

int write_secret(const ChildContext& context, const SetupState& state, const Operation& operation) noexcept {
  const model::SliceSecret& secret = context.secrets->at(operation.number);
  const Descriptor file(
      ::openat(state.root, operation.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400));
  if (file.get() < 0) return errno;
  size_t written = 0;
  while (written < secret.bytes.size()) {
    const ssize_t n = ::write(file.get(), secret.bytes.data() + written, secret.bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : ENOSPC;
    written += static_cast<size_t>(n);
  }
  const auto user = static_cast<uint32_t>(operation.second >> 32), group = static_cast<uint32_t>(operation.second);
  return result_of(::fchown(file.get(), user, group));
}

int make_folder(const SetupState& state, const Operation& operation) noexcept {
  return result_of(::mkdirat(state.root, operation.path.c_str(), static_cast<mode_t>(operation.number)));
}

// Of what is attached at `path`, or of the root; not of what is mounted below it.
int protect(const SetupState& state, const Operation& operation, bool read_only) noexcept {
  const char* path = operation.path.empty() ? "." : operation.path.c_str();
  const Descriptor place(::openat(state.root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (place.get() < 0) return errno;
  return result_of(read_only ? raw::set_mount(place.get(), false, MOUNT_ATTR_RDONLY)
                             : raw::clear_mount(place.get(), MOUNT_ATTR_RDONLY));
}

int resize(const SetupState& state, const Operation& operation) noexcept {
  char bytes[24];
  write_number(operation.number, 10, bytes);
  const Descriptor context(::fspick(state.root, operation.path.c_str(), FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW));
  if (context.get() < 0) return errno;
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", bytes, 0) != 0) return errno;
  return result_of(::fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
}

// By descriptors that the launcher opened: who may move processes is decided by who opened the file.
int enter_group(const ChildContext& context) noexcept {
  for (const int file : *context.group_files) {
    if (::write(file, "0", 1) != 1) return errno;
  }
  return 0;
}

int pivot(SetupState* state) noexcept {
  if (::fchdir(state->root) != 0) return errno;
  // The old root lands on top of the new one, and is taken off at once.
  if (raw::pivot_root(".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  if (::chdir("/") != 0) return errno;
  ::close(state->root);
  state->root = -1;
  return 0;
}

int become_root() noexcept {
  if (raw::drop_groups() != 0) return errno;
  if (raw::set_group(0) != 0) return errno;
  return result_of(raw::set_user(0));
}

// After the last change of ids of this process, since such a change forgets what is asked for here.
int tie_to_launcher() noexcept {
  // Had it ended before, its socket would say so.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  return result_of(::prctl(PR_SET_DUMPABLE, 0));
}

int raise_loopback() noexcept {
  // Any socket will do. A closed one of UDP would be counted for a moment longer, as left in the slice.
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno;
  struct ifreq request = {};
  ::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return result_of(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
}

}  // namespace

int set_up(const ChildContext& context, const Operation& operation, SetupState* state) noexcept {
  const char* path = operation.path.c_str();
  switch (operation.action) {
    case Action::kBecomeRoot:
      return become_root();
    case Action::kTieToLauncher:
      ::umask(0);  // of files made from here on, whose modes are given; the program gets its own
      return tie_to_launcher();
    case Action::kEnterGroup:
      return enter_group(context);
    case Action::kUnshare:
      return result_of(::unshare(static_cast<int>(operation.number)));
    case Action::kPrivateMounts:
      return result_of(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
    case Action::kCloneSource:
      return clone_source(context, operation);
    case Action::kMountRoot:
      return mount_root(state);
    case Action::kMountTmpfs:
      return mount_tmpfs(*state, operation);
    case Action::kMountRamfs:
      return attach_new(*state,
                        {.type = "ramfs",
                         .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                         .options = {{"mode", "0755"}}},
                        path);
    case Action::kMountProc:
      return attach_new(*state,
                        {.type = "proc",
                         .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                         .options = {{"subset", "pid"}, {"hidepid", "2"}}},
                        path);
    case Action::kMountTerminals:
      return attach_new(*state,
                        {.type = "devpts",
                         .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                         .options = {{"ptmxmode", "0666"}, {"mode", "0600"}, {"max", "64"}}},
                        path);
    case Action::kMakeFolder:
      return make_folder(*state, operation);
    case Action::kMakeLink:
      return result_of(::symlinkat(operation.text.c_str(), state->root, path));
    case Action::kMakeFile:
    case Action::kRewriteFile:
      return make_file(*state, operation);
    case Action::kAttach:
      return result_of(
          raw::attach(context.sources->at(static_cast<size_t>(operation.source)).tree, state->root, path));
    case Action::kAttachPart:
      return attach_part(state->root, context.sources->at(static_cast<size_t>(operation.source)).tree,
                         operation.text.c_str(), path);
    case Action::kWriteSecret:
      return write_secret(context, *state, operation);
    case Action::kProtect:
      return protect(*state, operation, true);
    case Action::kUnprotect:
      return protect(*state, operation, false);
    case Action::kResize:
      return resize(*state, operation);
    case Action::kPivot:
      return pivot(state);
    case Action::kSetHostName:
      return result_of(::sethostname(operation.text.data(), operation.text.size()));
    case Action::kRaiseLoopback:
      return raise_loopback();
    default:
      return hold_to_limits(operation);
  }
}

}  // namespace runink::sandbox
