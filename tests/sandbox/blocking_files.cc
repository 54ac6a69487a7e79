// A file system that never answers a read (FUSE, by the kernel's protocol, for tests): whoever reads from it cannot
// even be killed until it ends.
//
//   blocking_files FOLDER COMMAND…    root only
//
// Mounts it at FOLDER in a mount namespace of its own, in which it runs COMMAND; prints "reading PID" when a read of
// FOLDER/file arrives; ends, and lets the reader go, at the end of its standard input. Exit code: COMMAND's; 77 and
// "unavailable: WHY" where there is no FUSE.
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint64_t kFile = 2;  // its inode; the folder's is FUSE_ROOT_ID

class Server {
 public:
  explicit Server(int device) : device_(device) {}

  void serve() {
    std::vector<char> request(1 << 17);
    for (;;) {
      struct pollfd waiting[] = {{device_, POLLIN, 0}, {0, POLLIN, 0}};
      if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
      if (waiting[1].revents != 0) return;
      if ((waiting[0].revents & POLLIN) == 0) return;
      const ssize_t n = read(device_, request.data(), request.size());
      if (n < 0 && (errno == ENOENT || errno == EINTR || errno == EAGAIN)) continue;
      if (n < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
      fuse_in_header head;
      std::memcpy(&head, request.data(), sizeof head);
      answer(head, request.data() + sizeof head);
    }
  }

 private:
  void reply(const fuse_in_header& head, int error, const void* body = nullptr, size_t size = 0) {
    fuse_out_header out = {};
    out.len = static_cast<uint32_t>(sizeof out + size);
    out.error = -error;
    out.unique = head.unique;
    std::vector<char> bytes(out.len);
    std::memcpy(bytes.data(), &out, sizeof out);
    if (size > 0) std::memcpy(bytes.data() + sizeof out, body, size);
    (void)!write(device_, bytes.data(), bytes.size());
  }

  static fuse_attr attributes(uint64_t inode) {
    fuse_attr out = {};
    out.ino = inode;
    out.mode = inode == kFile ? S_IFREG | 0644 : S_IFDIR | 0755;
    out.nlink = 1;
    out.size = inode == kFile ? 4096 : 0;
    out.blksize = 4096;
    return out;
  }

  void answer(const fuse_in_header& head, const char* body) {
    switch (head.opcode) {
      case FUSE_INIT: {
        fuse_init_out out = {};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = 31;
        out.max_write = 4096;
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_GETATTR: {
        fuse_attr_out out = {};
        out.attr_valid = 3600;
        out.attr = attributes(head.nodeid);
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_LOOKUP: {
        if (std::strcmp(body, "file") != 0) return reply(head, ENOENT);
        fuse_entry_out out = {};
        out.nodeid = kFile;
        out.entry_valid = out.attr_valid = 3600;
        out.attr = attributes(kFile);
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_OPEN:
      case FUSE_OPENDIR: {
        const fuse_open_out out = {};
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_READ:
        std::printf("reading %u\n", head.pid);
        std::fflush(stdout);
        return;
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // they have no answer
      default:
        return reply(head, ENOSYS);
    }
  }

  int device_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0 || unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::printf("unavailable: /dev/fuse, or the right to mount: %s\n", std::strerror(errno));
    return 77;
  }
  const std::string options =
      "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
  if (mount("blocking", argv[1], "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
    std::printf("unavailable: mount it: %s\n", std::strerror(errno));
    return 77;
  }
  const pid_t server = fork();
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Server(device).serve();
    _exit(0);
  }
  close(device);
  const pid_t command = fork();
  if (command == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[2], argv + 2);
    _exit(127);
  }
  int status = 0;
  waitpid(command, &status, 0);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
