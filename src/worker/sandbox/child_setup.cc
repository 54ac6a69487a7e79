// What process 1 does to make the slice's root and namespaces. See child.h for what it may not do.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
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
  const MountSource& source = context.operations->sources[static_cast<size_t>(operation.source)];
  ChildSource& open = context.sources[operation.source];
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
  const Descriptor file(
      ::openat(state.root, operation.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (file.get() < 0) return errno;
  if (operation.text.empty()) return 0;
  const ssize_t n = ::write(file.get(), operation.text.data(), operation.text.size());
  if (n < 0) return errno;
  return static_cast<size_t>(n) == operation.text.size() ? 0 : ENOSPC;
}

int write_secret(const ChildContext& context, const SetupState& state, const Operation& operation) noexcept {
  const auto& secret = context.spec->secrets[operation.number];
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
  // This process lives as long as the slice, and its memory can be swapped: the file is the only copy that stays.
  ::explicit_bzero(const_cast<char*>(secret.bytes.data()), secret.bytes.size());
  return result_of(::fchown(file.get(), context.spec->user, context.spec->group));
}

int make_folder(const SetupState& state, const Operation& operation) noexcept {
  return result_of(::mkdirat(state.root, operation.path.c_str(), static_cast<mode_t>(operation.number)));
}

// What is attached at `path`, or the root; not what is mounted below it.
int protect(const SetupState& state, const Operation& operation) noexcept {
  if (operation.path.empty()) return result_of(raw::set_mount(state.root, false, MOUNT_ATTR_RDONLY));
  const Descriptor place(::openat(state.root, operation.path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (place.get() < 0) return errno;
  return result_of(raw::set_mount(place.get(), false, MOUNT_ATTR_RDONLY));
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
int tie_to_launcher(const ChildContext& context) noexcept {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return errno;
  // It may have ended before.
  struct pollfd launcher = {context.go_read, POLLIN, 0};
  if (::poll(&launcher, 1, 0) > 0 && (launcher.revents & POLLHUP) != 0) ::_exit(1);
  return 0;
}

int raise_loopback() noexcept {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
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
      return tie_to_launcher(context);
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
    case Action::kMakeFolder:
      return make_folder(*state, operation);
    case Action::kMakeLink:
      return result_of(::symlinkat(operation.text.c_str(), state->root, path));
    case Action::kMakeFile:
      return make_file(*state, operation);
    case Action::kAttach:
      return result_of(raw::attach(context.sources[operation.source].tree, state->root, path));
    case Action::kWriteSecret:
      return write_secret(context, *state, operation);
    case Action::kProtect:
      return protect(*state, operation);
    case Action::kPivot:
      return pivot(state);
    case Action::kSetHostName:
      return result_of(::sethostname(operation.text.data(), operation.text.size()));
    case Action::kRaiseLoopback:
      return raise_loopback();
    default:
      return ENOSYS;  // not an operation of process 1: a bug of the plan, told like any other failure
  }
}

}  // namespace runink::sandbox
