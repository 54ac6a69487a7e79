#include "worker/sandbox/device_filter.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

namespace runink::sandbox {
namespace {

enum Register : uint8_t { kResult = 0, kScratch = 1, kType = 2, kAccess = 3, kMajor = 4, kMinor = 5 };

long bpf_call(int command, bpf_attr* attributes) { return ::syscall(SYS_bpf, command, attributes, sizeof *attributes); }

bpf_insn instruction(uint8_t code, uint8_t to, uint8_t from, int16_t jump, int32_t value) {
  bpf_insn out = {};
  out.code = code;
  out.dst_reg = to & 0xf;
  out.src_reg = from & 0xf;
  out.off = jump;
  out.imm = value;
  return out;
}

bpf_insn load_word(Register to, size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, kScratch, static_cast<int16_t>(offset), 0);
}

bpf_insn set(Register to, int32_t value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }

}  // namespace

std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules) {
  // The context, in register 1: the type in the low half of access_type and the wanted access above, major, minor.
  std::vector<bpf_insn> code = {
      load_word(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      instruction(BPF_ALU | BPF_MOV | BPF_X, kAccess, kType, 0, 0),
      instruction(BPF_ALU | BPF_AND | BPF_K, kType, 0, 0, 0xffff),
      instruction(BPF_ALU | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
      load_word(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load_word(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (const DeviceRule& rule : rules) {
    std::vector<size_t> to_next;  // jumps to the next rule, patched once it is known where it begins
    auto unless_equal = [&](Register reg, uint32_t value) {
      to_next.push_back(code.size());
      // JMP32: the numbers are unsigned words, an immediate of a 64-bit comparison would be sign-extended.
      code.push_back(instruction(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, static_cast<int32_t>(value)));
    };
    unless_equal(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    int32_t refused = (rule.read ? 0 : BPF_DEVCG_ACC_READ) | (rule.write ? 0 : BPF_DEVCG_ACC_WRITE) |
                      (rule.make_node ? 0 : BPF_DEVCG_ACC_MKNOD);
    if (refused != 0) {
      to_next.push_back(code.size());
      code.push_back(instruction(BPF_JMP32 | BPF_JSET | BPF_K, kAccess, 0, 0, refused));
    }
    if (rule.major) unless_equal(kMajor, *rule.major);
    if (rule.minor) unless_equal(kMinor, *rule.minor);
    code.push_back(set(kResult, 1));
    code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    for (size_t at : to_next) code[at].off = static_cast<int16_t>(code.size() - at - 1);
  }
  code.push_back(set(kResult, 0));
  code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return code;
}

Result<os::Fd> attach_device_filter(int group, const std::vector<DeviceRule>& rules, const os::Fd& replaced) {
  std::vector<bpf_insn> code = device_program(rules);
  bpf_attr load = {};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = reinterpret_cast<uintptr_t>(code.data());
  load.insn_cnt = static_cast<uint32_t>(code.size());
  load.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  std::strncpy(load.prog_name, "slice_devices", sizeof load.prog_name - 1);
  os::Fd program(static_cast<int>(bpf_call(BPF_PROG_LOAD, &load)), "device program");
  if (!program) {
    return from_errno(errno, "load the program that limits devices (bpf BPF_PROG_LOAD)").with_kind("sandbox.limit");
  }
  bpf_attr attach = {};
  attach.target_fd = static_cast<uint32_t>(group);
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf_call(BPF_PROG_ATTACH, &attach) != 0) {
    return from_errno(errno, "attach the program that limits devices (bpf BPF_PROG_ATTACH)").with_kind("sandbox.limit");
  }
  if (replaced) {
    bpf_attr detach = {};
    detach.target_fd = static_cast<uint32_t>(group);
    detach.attach_bpf_fd = static_cast<uint32_t>(replaced.get());
    detach.attach_type = BPF_CGROUP_DEVICE;
    if (bpf_call(BPF_PROG_DETACH, &detach) != 0) return from_errno(errno, "detach the earlier device program");
  }
  return program;
}

}  // namespace runink::sandbox
