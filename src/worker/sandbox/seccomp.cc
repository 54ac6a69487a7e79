#include "worker/sandbox/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <map>

#include "base/check.h"
#include "worker/sandbox/syscall_list.h"

namespace runink::sandbox {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kNativeArch = AUDIT_ARCH_X86_64;
// Numbers from here on are x32's: the same architecture to the kernel's audit, other calls to a filter.
constexpr uint32_t kForeignNumbers = 0x40000000;
#elif defined(__aarch64__)
constexpr uint32_t kNativeArch = AUDIT_ARCH_AARCH64;
constexpr uint32_t kForeignNumbers = 0x80000000;
#else
#error "the system call list was reviewed for x86_64 and aarch64 only"
#endif
// syscall(-1): not a call of any architecture; some programs probe with it.
constexpr uint32_t kNoNumber = 0xffffffff;

constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr uint32_t kEperm = SECCOMP_RET_ERRNO | EPERM;
constexpr uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;

// Numbers of headers newer than those this is built with, and of ones whose headers clash.
constexpr uint32_t kTiocsti = 0x5412, kTioclinux = 0x541c, kTiocsetd = 0x5423, kTioccons = 0x541d;
constexpr uint32_t kPrGetAuxv = 0x41555856, kPrSetVma = 0x53564d41, kPrSetMdwe = 65, kPrGetMdwe = 66;
constexpr uint32_t kNamespaceFlags = 0x00020000 /* NEWNS */ | 0x02000000 /* NEWCGROUP */ | 0x04000000 /* NEWUTS */ |
                                     0x08000000 /* NEWIPC */ | 0x10000000 /* NEWUSER */ | 0x20000000 /* NEWPID */ |
                                     0x40000000 /* NEWNET */;

// What a range of numbers is answered with: a return value, or a rule about arguments.
struct Verdict {
  uint32_t value = kEperm;
  SyscallRule rule = SyscallRule::kDeny;  // kDeny here: no rule, `value` counts
  bool checked() const { return rule != SyscallRule::kDeny; }
  bool operator==(const Verdict&) const = default;
};

struct Range {
  uint32_t first;  // up to the next range's first
  Verdict verdict;
};

Verdict verdict_of(SyscallRule rule) {
  switch (rule) {
    case SyscallRule::kDeny:
      return {kEperm};
    case SyscallRule::kMissing:
      return {kEnosys};
    case SyscallRule::kAllow:
      return {kAllow};
    default:
      return {0, rule};
  }
}

// Every number from 0 to 2^32 - 1, as ranges; neighbours differ.
std::vector<Range> ranges_of_list() {
  std::map<uint32_t, Verdict> by_number;
  for (const SyscallEntry& entry : syscall_list()) {
    bool fresh = by_number.emplace(entry.number, verdict_of(entry.rule)).second;
    RUNINK_CHECK(fresh);  // a call named twice in the list
  }
  uint32_t newest = by_number.rbegin()->first;
  std::vector<Range> ranges;
  auto begin = [&](uint32_t first, Verdict verdict) {
    if (ranges.empty() || !(ranges.back().verdict == verdict)) ranges.push_back({first, verdict});
  };
  uint32_t next = 0;
  for (const auto& [number, verdict] : by_number) {
    if (number > next) begin(next, {kEperm});
    begin(number, verdict);
    next = number + 1;
  }
  begin(newest + 1, {kEnosys});
  begin(kForeignNumbers, {kKill});
  begin(kNoNumber, {kEnosys});
  return ranges;
}

// Writes the program front to back. Jumps that are not known yet are patched once their target is.
class Assembler {
 public:
  size_t size() const { return code_.size(); }
  void emit(uint16_t code, uint32_t k, uint8_t jt = 0, uint8_t jf = 0) { code_.push_back({code, jt, jf, k}); }
  void load(size_t offset) { emit(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  // Little-endian: the low half of a 64-bit argument comes first. It is the half the kernel uses where the call's
  // parameter is an int, and every rule here is about such a one or about flags that lie in it.
  void load_argument(int index) { load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(index)); }
  void load_argument_top(int index) { load(offsetof(seccomp_data, args) + 8 * static_cast<size_t>(index) + 4); }
  void mask(uint32_t bits) { emit(BPF_ALU | BPF_AND | BPF_K, bits); }
  void answer(uint32_t value) { emit(BPF_RET | BPF_K, value); }
  // `value` where the accumulator equals k (or has a bit of k), else on to the next instruction.
  void answer_if_equal(uint32_t k, uint32_t value) {
    emit(BPF_JMP | BPF_JEQ | BPF_K, k, 0, 1);
    answer(value);
  }
  void answer_if_bits(uint32_t bits, uint32_t value) {
    emit(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    answer(value);
  }
  // EPERM unless the accumulator is one of these.
  void require_one_of(std::initializer_list<uint32_t> values) {
    size_t left = values.size();
    for (uint32_t value : values) {
      // Over the comparisons that follow, and over the answer.
      emit(BPF_JMP | BPF_JEQ | BPF_K, value, static_cast<uint8_t>(left), 0);
      --left;
    }
    answer(kEperm);
  }
  // A jump of unknown length; returns what patch() takes.
  size_t jump() {
    emit(BPF_JMP | BPF_JA, 0);
    return code_.size() - 1;
  }
  void patch(size_t at) { code_[at].k = static_cast<uint32_t>(code_.size() - at - 1); }
  // A comparison that goes on if the accumulator is smaller than k; patch_else() sets where it goes else.
  size_t go_on_if_below(uint32_t k) {
    emit(BPF_JMP | BPF_JGE | BPF_K, k);
    return code_.size() - 1;
  }
  void patch_else(size_t at) {
    size_t distance = code_.size() - at - 1;
    RUNINK_CHECK(distance <= 255);  // what a conditional jump reaches; a list of 500 ranges would need a trampoline
    code_[at].jt = static_cast<uint8_t>(distance);
  }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  std::vector<sock_filter> code_;
};

// The flags of clone(2) are its first argument on both architectures. NEWTIME is not among them: that bit is part of
// the exit signal here, and only clone3 and unshare know it.
void check_clone(Assembler& out) {
  out.load_argument(0);
  out.answer_if_bits(kNamespaceFlags, kEperm);
  out.answer(kAllow);
}

// Typing into a terminal that others read (TIOCSTI, TIOCLINUX), taking the console's output, line disciplines (which
// load kernel modules). The kernel takes the request as 32 bits, so the upper half must not hide it.
void check_ioctl(Assembler& out) {
  out.load_argument(1);
  for (uint32_t request : {kTiocsti, kTioclinux, kTioccons, kTiocsetd}) out.answer_if_equal(request, kEperm);
  out.answer(kAllow);
}

// FIFOs, sockets and plain files; no device nodes, overlay whiteouts (device 0:0, which needs no capability) included.
void check_mknod(Assembler& out, int mode_argument) {
  out.load_argument(mode_argument);
  out.mask(S_IFMT);
  out.answer_if_equal(S_IFCHR, kEperm);
  out.answer_if_equal(S_IFBLK, kEperm);
  out.answer(kAllow);
}

// Linux, 32-bit Linux (it only changes what uname says), and the question which one is on. No switched-off address
// randomisation, no executable-by-default memory, no page 0.
void check_personality(Assembler& out) {
  out.load_argument(0);
  out.require_one_of({0x0, 0x8, 0xffffffff});
  out.answer(kAllow);
}

// Limits of others may be asked for, and set only of oneself (pid 0): process 1 of the slice can have the same user.
void check_prlimit(Assembler& out) {
  out.load_argument(0);
  out.answer_if_equal(0, kAllow);
  out.load_argument(2);
  out.require_one_of({0});
  out.load_argument_top(2);
  out.require_one_of({0});
  out.answer(kAllow);
}

// What a program sets about itself. Left out: the layout of its memory map (PR_SET_MM), performance counters, machine
// checks, I/O flushing, core scheduling, syscall user dispatch, memory merging (a side channel), weaker speculation
// settings, secure bits.
void check_prctl(Assembler& out) {
  out.load_argument(0);
  out.require_one_of({
      PR_SET_PDEATHSIG,
      PR_GET_PDEATHSIG,
      PR_GET_DUMPABLE,
      PR_SET_DUMPABLE,
      PR_GET_KEEPCAPS,
      PR_SET_KEEPCAPS,
      PR_GET_TIMING,
      PR_SET_NAME,
      PR_GET_NAME,
      PR_GET_SECCOMP,
      PR_SET_SECCOMP,
      PR_CAPBSET_READ,
      PR_CAPBSET_DROP,
      PR_GET_TSC,
      PR_GET_SECUREBITS,
      PR_SET_TIMERSLACK,
      PR_GET_TIMERSLACK,
      PR_SET_CHILD_SUBREAPER,
      PR_GET_CHILD_SUBREAPER,
      PR_SET_NO_NEW_PRIVS,
      PR_GET_NO_NEW_PRIVS,
      PR_GET_TID_ADDRESS,
      PR_SET_THP_DISABLE,
      PR_GET_THP_DISABLE,
      PR_CAP_AMBIENT,
      PR_GET_SPECULATION_CTRL,
      kPrSetMdwe,
      kPrGetMdwe,
      kPrGetAuxv,
      kPrSetVma,
#ifdef __aarch64__
      PR_SVE_SET_VL,
      PR_SVE_GET_VL,
      PR_PAC_RESET_KEYS,
      PR_SET_TAGGED_ADDR_CTRL,
      PR_GET_TAGGED_ADDR_CTRL,
#endif
  });
  out.answer(kAllow);
}

// More filters only take more away (the strictest answer of all filters counts). Not the listener, by which a process
// answers another one's calls.
void check_seccomp(Assembler& out) {
  out.load_argument(0);
  out.require_one_of({SECCOMP_SET_MODE_STRICT, SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL});
  out.load_argument(1);
  out.answer_if_bits(SECCOMP_FILTER_FLAG_NEW_LISTENER, kEperm);
  out.answer(kAllow);
}

void check_socket_type(Assembler& out) {
  out.load_argument(1);
  out.mask(0xf);  // SOCK_CLOEXEC and SOCK_NONBLOCK lie above
  out.require_one_of({SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET});
}

// Unix, IPv4, IPv6; streams, datagrams, sequenced packets; TCP and UDP. So no raw or packet sockets, netlink, vsock,
// AF_ALG, XDP, and of the Internet families no SCTP, DCCP, MPTCP, UDP-Lite, ICMP.
void check_socket(Assembler& out) {
  out.load_argument(0);
  out.require_one_of({AF_UNIX, AF_INET, AF_INET6});
  check_socket_type(out);
  out.load_argument(2);
  out.require_one_of({0, 1 /* AF_UNIX calls it PF_UNIX; to AF_INET it is ICMP, taken out below */, 6, 17});
  out.emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0);
  out.answer(kAllow);
  out.load_argument(0);
  out.answer_if_equal(AF_UNIX, kAllow);
  out.answer(kEperm);
}

void check_socketpair(Assembler& out) {
  out.load_argument(0);
  out.require_one_of({AF_UNIX});
  check_socket_type(out);
  out.answer(kAllow);
}

void emit_rule(Assembler& out, SyscallRule rule) {
  switch (rule) {
    case SyscallRule::kClone:
      return check_clone(out);
    case SyscallRule::kIoctl:
      return check_ioctl(out);
    case SyscallRule::kMknod:
      return check_mknod(out, 1);
    case SyscallRule::kMknodat:
      return check_mknod(out, 2);
    case SyscallRule::kPersonality:
      return check_personality(out);
    case SyscallRule::kPrlimit:
      return check_prlimit(out);
    case SyscallRule::kPrctl:
      return check_prctl(out);
    case SyscallRule::kSeccomp:
      return check_seccomp(out);
    case SyscallRule::kSocket:
      return check_socket(out);
    case SyscallRule::kSocketpair:
      return check_socketpair(out);
    case SyscallRule::kDeny:
    case SyscallRule::kMissing:
    case SyscallRule::kAllow:
      break;
  }
  RUNINK_CHECK(false);  // not a rule about arguments
}

// A balanced binary search over ranges: about log2(ranges) comparisons for any number. `jumps` collects the jumps to
// the rules, which stand after the tree.
void emit_search(Assembler& out, const std::vector<Range>& ranges, size_t begin, size_t end,
                 std::multimap<SyscallRule, size_t>* jumps) {
  if (end - begin == 1) {
    const Verdict& verdict = ranges[begin].verdict;
    if (verdict.checked()) {
      jumps->emplace(verdict.rule, out.jump());
    } else {
      out.answer(verdict.value);
    }
    return;
  }
  size_t middle = begin + (end - begin) / 2;
  size_t branch = out.go_on_if_below(ranges[middle].first);
  emit_search(out, ranges, begin, middle, jumps);
  out.patch_else(branch);
  emit_search(out, ranges, middle, end, jumps);
}

SeccompFilter build_filter() {
  Assembler out;
  out.load(offsetof(seccomp_data, arch));
  out.emit(BPF_JMP | BPF_JEQ | BPF_K, kNativeArch, 1, 0);
  out.answer(kKill);
  out.load(offsetof(seccomp_data, nr));
  std::vector<Range> ranges = ranges_of_list();
  std::multimap<SyscallRule, size_t> jumps;
  emit_search(out, ranges, 0, ranges.size(), &jumps);
  for (auto it = jumps.begin(); it != jumps.end();) {
    SyscallRule rule = it->first;
    for (; it != jumps.end() && it->first == rule; ++it) out.patch(it->second);
    emit_rule(out, rule);
  }
  RUNINK_CHECK(out.size() <= BPF_MAXINSNS);
  return {out.take()};
}

long seccomp_call(unsigned operation, unsigned flags, const void* argument) {
  return ::syscall(__NR_seccomp, operation, flags, argument);
}

}  // namespace

const SeccompFilter& default_filter() {
  static const SeccompFilter filter = build_filter();
  return filter;
}

int install_filter(const SeccompFilter& filter) noexcept {
  sock_fprog program = {};
  program.len = static_cast<unsigned short>(filter.program.size());
  program.filter = const_cast<sock_filter*>(filter.program.data());  // the kernel only reads it
  constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  return seccomp_call(SECCOMP_SET_MODE_FILTER, kFlags, &program) == 0 ? 0 : errno;
}

Status probe_seccomp() {
  constexpr const char* kHint =
      "boot a kernel of 5.7 or newer with CONFIG_SECCOMP_FILTER, outside a container that denies seccomp(2)";
  for (uint32_t action : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW}) {
    if (seccomp_call(SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
      return from_errno(errno, fmt::format("ask the kernel for seccomp action {:#x}", action)).with_hint(kHint);
    }
  }
  // Flags are judged before the program is read, which is nowhere: EFAULT says that filters and flags are known.
  constexpr unsigned kFlags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  long done = seccomp_call(SECCOMP_SET_MODE_FILTER, kFlags, nullptr);
  RUNINK_CHECK(done != 0);
  if (errno != EFAULT) return from_errno(errno, "ask the kernel for seccomp filters of all threads").with_hint(kHint);
  return {};
}

std::string describe_default_filter() {
  size_t allowed = 0;
  std::string checked, missing;
  std::map<std::string, std::string> denied;  // names by reason
  auto add = [](std::string* to, const char* name) { *to += (to->empty() ? "" : " ") + std::string(name); };
  for (const SyscallEntry& entry : syscall_list()) {
    switch (entry.rule) {
      case SyscallRule::kAllow:
        ++allowed;
        break;
      case SyscallRule::kMissing:
        add(&missing, entry.name);
        break;
      case SyscallRule::kDeny:
        add(&denied[entry.reason], entry.name);
        break;
      default:
        add(&checked, entry.name);
    }
  }
  std::string text = fmt::format("{} system calls allowed\nchecked by their arguments: {}\n", allowed, checked);
  text += fmt::format("answered ENOSYS: {}, and those newer than the list\n", missing);
  for (const auto& [reason, names] : denied) text += fmt::format("denied ({}): {}\n", reason, names);
  text += "killed: calls of another architecture, x32\n";
  return text;
}

}  // namespace runink::sandbox
