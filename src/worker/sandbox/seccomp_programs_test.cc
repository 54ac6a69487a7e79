// Ordinary programs under the default filter.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include "platform/os/temp.h"
#include "worker/sandbox/filtered_in_test.h"

namespace runink::sandbox {
namespace {

using testing::ChildEnd;
using testing::has_program;
using testing::in_child;
using testing::run_program;

#define NEED_PROGRAM(name) \
  if (!has_program(name)) GTEST_SKIP() << "no " name " on this machine"

#define FAIL_UNLESS(condition)                                                            \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      dprintf(STDOUT_FILENO, "line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
      return 1;                                                                           \
    }                                                                                     \
  } while (false)

void expect_output(const ChildEnd& end, const std::string& expected) {
  EXPECT_TRUE(end.exited && end.code == 0) << "code " << end.code << " signal " << end.signal << ": " << end.output;
  EXPECT_EQ(end.output, expected);
}

TEST(SeccompPrograms, shell_with_pipes_jobs_and_redirections) {
  NEED_PROGRAM("bash");
  Result<os::TempFolder> folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  ChildEnd end = run_program({"bash", "-ec", R"script(
    cd "$1"
    seq 1 1000 | sort -rn | head -3 | tr '\n' ' '
    (sleep 0.01; echo late) & wait
    cat <(echo substituted) <<<here
    printf 'b\na\n' > file; sort -o file file; cat file
    trap 'echo trapped' USR1; kill -USR1 $$
    ulimit -n 64; ulimit -n
  )script",
                              "bash", folder->path()});
  expect_output(end, "1000 999 998 late\nsubstituted\na\nb\ntrapped\n64\n");
}

TEST(SeccompPrograms, coreutils) {
  NEED_PROGRAM("bash");
  Result<os::TempFolder> folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  ChildEnd end = run_program({"bash", "-ec", R"script(
    cd "$1"
    mkdir -p a/b; touch a/b/c; echo text > a/t; ln -s t a/l; ln a/t a/h; mkfifo a/fifo
    cp -a a copy; mv copy moved; chmod 640 moved/t; stat -c %a moved/t; ls moved | tr '\n' ' '
    find moved -type f | sort | tr '\n' ' '; du -s moved >/dev/null; df . >/dev/null
    dd if=/dev/zero of=d bs=64K count=4 status=none; truncate -s 10 d; wc -c < d
    tar cf - moved | tar tf - | wc -l; grep -c text a/t; sed s/text/other/ a/t; sync d
    tail -n 1 a/t; tee x < a/t; date -u +%Y -d @0; timeout 5 true; nice -n 1 true; id -u >/dev/null
    split -b 2 a/t part.; cat part.*; xargs -n 1 -P 2 echo < /dev/null; rm -rf a moved
  )script",
                              "bash", folder->path()});
  expect_output(end, "640\nb fifo h l t moved/b/c moved/h moved/t 10\n7\n1\nother\ntext\ntext\n1970\ntext\n\n");
}

TEST(SeccompPrograms, python) {
  NEED_PROGRAM("python3");
  ChildEnd end = run_program({"python3", "-c", R"script(
import asyncio, concurrent.futures, multiprocessing, os, socket, sqlite3, subprocess, tempfile
def double(x): return 2 * x
if __name__ == '__main__':
    with concurrent.futures.ThreadPoolExecutor(4) as pool: assert sum(pool.map(double, range(100))) == 9900
    with multiprocessing.get_context('fork').Pool(2) as pool: assert pool.map(double, [1, 2]) == [2, 4]
    assert subprocess.run(['sh', '-c', 'echo out'], capture_output=True).stdout == b'out\n'
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(folder + '/db'); db.execute('create table t (x)')
        db.execute('insert into t values (1)'); db.commit()
    async def main():
        async def serve(reader, writer):
            writer.write(await reader.readline()); await writer.drain(); writer.close()
        server = await asyncio.start_server(serve, '127.0.0.1', 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b'hello\n'); line = await reader.readline(); writer.close()
        process = await asyncio.create_subprocess_exec('true'); await process.wait()
        return line
    assert asyncio.run(main()) == b'hello\n'
    try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW); print('netlink opened')
    except PermissionError: pass
    print('ok', os.cpu_count() > 0)
)script"});
  expect_output(end, "ok True\n");
}

TEST(SeccompPrograms, node) {
  NEED_PROGRAM("node");
  ChildEnd end = run_program({"node", "-e", R"script(
    const { Worker } = require('worker_threads'), { execFileSync } = require('child_process');
    const net = require('net'), fs = require('fs'), os = require('os');
    const crypto = require('crypto'), zlib = require('zlib');
    const folder = fs.mkdtempSync(os.tmpdir() + '/runink-node-');
    fs.writeFileSync(folder + '/f', 'x'); fs.rmSync(folder, { recursive: true });
    if (execFileSync('echo', ['child']).toString() !== 'child\n') throw 1;
    zlib.gzip(crypto.randomBytes(100000), () => {
      const worker = new Worker("require('worker_threads').parentPort.postMessage(42)", { eval: true });
      worker.on('message', (m) => {
        const server = net.createServer((s) => s.end('hello')).listen(0, '127.0.0.1', () => {
          net.connect(server.address().port, '127.0.0.1').on('data', (d) => {
            console.log(m, d.toString()); server.close();
          });
        });
      });
    });
  )script"});
  expect_output(end, "42 hello\n");
}

TEST(SeccompPrograms, java) {
  NEED_PROGRAM("java");
  // Needs no compiler: `java -version` starts the whole machine with its threads and garbage collector.
  ChildEnd end = run_program({"java", "-Xmx64m", "-version"});
  EXPECT_TRUE(end.exited && end.code == 0) << end.output;
  EXPECT_NE(end.output.find("version"), std::string::npos) << end.output;
}

TEST(SeccompPrograms, threads_and_locks) {
  ChildEnd end = in_child([] {
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i)
      threads.emplace_back([&] { sum += std::async(std::launch::async, [] { return 1; }).get(); });
    for (std::thread& thread : threads) thread.join();
    FAIL_UNLESS(sum == 16);
    return 0;
  });
  expect_output(end, "");
}

TEST(SeccompPrograms, descriptors_that_wait) {
  ChildEnd end = in_child([] {
    int epoll = ::epoll_create1(EPOLL_CLOEXEC), timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    int event = ::eventfd(0, EFD_CLOEXEC), watch = ::inotify_init1(IN_CLOEXEC);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    int signals = ::signalfd(-1, &set, SFD_CLOEXEC);
    itimerspec soon = {{0, 0}, {0, 1000}};
    FAIL_UNLESS(epoll >= 0 && timer >= 0 && event >= 0 && watch >= 0 && signals >= 0);
    FAIL_UNLESS(::timerfd_settime(timer, 0, &soon, nullptr) == 0);
    FAIL_UNLESS(::inotify_add_watch(watch, "/", IN_CREATE) >= 0);
    FAIL_UNLESS(::eventfd_write(event, 1) == 0);
    FAIL_UNLESS(::raise(SIGUSR1) == 0);
    for (int fd : {timer, event, signals}) {
      epoll_event interest = {.events = EPOLLIN, .data = {.fd = fd}};
      FAIL_UNLESS(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) == 0);
    }
    epoll_event ready[4];
    pollfd timer_poll = {timer, POLLIN, 0};
    FAIL_UNLESS(::poll(&timer_poll, 1, 10'000) == 1);
    FAIL_UNLESS(::epoll_wait(epoll, ready, 4, 10'000) == 3);
    return 0;
  });
  expect_output(end, "");
}

TEST(SeccompPrograms, memory_files_shared_memory_and_semaphores) {
  ChildEnd end = in_child([] {
    int memory = ::memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FAIL_UNLESS(memory >= 0 && ::ftruncate(memory, 4096) == 0);
    void* mapped = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    FAIL_UNLESS(mapped != MAP_FAILED && ::munmap(mapped, 4096) == 0);
    FAIL_UNLESS(::fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0);
    int segment = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    FAIL_UNLESS(segment >= 0);
    void* attached = ::shmat(segment, nullptr, 0);
    FAIL_UNLESS(::shmctl(segment, IPC_RMID, nullptr) == 0 && attached != MAP_FAILED && ::shmdt(attached) == 0);
    sem_t semaphore;
    FAIL_UNLESS(::sem_init(&semaphore, 1, 1) == 0 && ::sem_wait(&semaphore) == 0);
    return 0;
  });
  expect_output(end, "");
}

TEST(SeccompPrograms, processes_by_fork_vfork_and_spawn) {
  ChildEnd end = in_child([] {
    pid_t forked = ::fork();
    if (forked == 0) ::_exit(3);
    int status = 0;
    FAIL_UNLESS(::waitpid(forked, &status, 0) == forked && WEXITSTATUS(status) == 3);
    char name[] = "true";
    char* argv[] = {name, nullptr};
    pid_t spawned = 0;
    FAIL_UNLESS(::posix_spawnp(&spawned, name, nullptr, nullptr, argv, environ) == 0);
    int descriptor = static_cast<int>(::syscall(__NR_pidfd_open, spawned, 0));
    FAIL_UNLESS(descriptor >= 0);
    FAIL_UNLESS(::waitpid(spawned, &status, 0) == spawned && status == 0);
    FAIL_UNLESS(::system("exit 4") >> 8 == 4);
    return 0;
  });
  expect_output(end, "");
}

// glibc's resolver: sockets of all three families, the files, and no netlink to ask which addresses the host has. What
// it finds depends on the host, so it is compared with what it finds without the filter.
TEST(SeccompPrograms, names_are_resolved) {
  auto resolve = [] {
    addrinfo hints = {}, *found = nullptr;
    hints.ai_flags = AI_ADDRCONFIG;
    hints.ai_socktype = SOCK_STREAM;
    int failed = ::getaddrinfo("localhost", "80", &hints, &found);
    dprintf(STDOUT_FILENO, "%d %d\n", failed, failed == 0 && found != nullptr ? found->ai_family : 0);
    return 0;
  };
  expect_output(in_child(resolve), in_child(resolve, false).output);
}

// A question to a name server over UDP, answered by nobody but a socket of this test.
TEST(SeccompPrograms, a_resolver_asks_over_udp) {
  ChildEnd end = in_child([] {
    int server = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    FAIL_UNLESS(::bind(server, reinterpret_cast<sockaddr*>(&address), length) == 0);
    FAIL_UNLESS(::getsockname(server, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    int client = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    FAIL_UNLESS(::connect(client, reinterpret_cast<sockaddr*>(&address), length) == 0);
    mmsghdr messages[2] = {};
    char text[] = "question";
    iovec part = {text, sizeof text};
    for (mmsghdr& message : messages) message.msg_hdr.msg_iov = &part, message.msg_hdr.msg_iovlen = 1;
    FAIL_UNLESS(::sendmmsg(client, messages, 2, MSG_NOSIGNAL) == 2);  // as glibc asks for A and AAAA at once
    FAIL_UNLESS(::recv(server, text, sizeof text, 0) == sizeof text);
    return 0;
  });
  expect_output(end, "");
}

}  // namespace
}  // namespace runink::sandbox
