// System calls that the C library of the oldest supported system has no wrapper for, or whose wrapper does more than
// the call (setresuid changes every thread, and takes locks). Each is one system call: async-signal-safe, allocates
// nothing, and gives -1 with errno. Private to worker/sandbox.
#pragma once

#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace runink::sandbox::raw {

inline long clone3(clone_args* arguments) { return ::syscall(SYS_clone3, arguments, sizeof *arguments); }

inline int openat2(int folder, const char* path, uint64_t flags, uint64_t resolve) {
  open_how how = {};
  how.flags = flags;
  how.resolve = resolve;
  return static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
}

// A copy of the mounts at an open file or folder and below, attached to nothing yet.
inline int clone_tree(int fd) {
  constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE
  constexpr unsigned kEmptyPath = 0x1000;  // AT_EMPTY_PATH
  return static_cast<int>(
      ::syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | kRecursive | kEmptyPath));
}

inline int set_mount(int fd, bool recursive, uint64_t set, uint64_t user_namespace = 0) {
  constexpr unsigned kRecursive = 0x8000, kEmptyPath = 0x1000;
  struct mount_attr attributes = {};
  attributes.attr_set = set;
  attributes.propagation = recursive ? uint64_t{MS_PRIVATE} : 0;
  attributes.userns_fd = user_namespace;
  return static_cast<int>(
      ::syscall(SYS_mount_setattr, fd, "", kEmptyPath | (recursive ? kRecursive : 0), &attributes, sizeof attributes));
}

inline int clear_mount(int fd, uint64_t clear) {
  struct mount_attr attributes = {};
  attributes.attr_clr = clear;
  return static_cast<int>(::syscall(SYS_mount_setattr, fd, "", 0x1000, &attributes, sizeof attributes));
}

inline int attach(int mount, int folder, const char* path) {
  return static_cast<int>(::syscall(SYS_move_mount, mount, "", folder, path, MOVE_MOUNT_F_EMPTY_PATH));
}

inline int pivot_root(const char* root, const char* old) {
  return static_cast<int>(::syscall(SYS_pivot_root, root, old));
}

inline int set_user(uint32_t id) { return static_cast<int>(::syscall(SYS_setresuid, id, id, id)); }
inline int set_group(uint32_t id) { return static_cast<int>(::syscall(SYS_setresgid, id, id, id)); }
inline int drop_groups() { return static_cast<int>(::syscall(SYS_setgroups, 0, nullptr)); }

// Makes exactly these effective and permitted, and none inheritable.
inline int set_capabilities(uint64_t capabilities) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[0].effective = data[0].permitted = static_cast<uint32_t>(capabilities);
  data[1].effective = data[1].permitted = static_cast<uint32_t>(capabilities >> 32);
  return static_cast<int>(::syscall(SYS_capset, &header, data));
}

inline int send_signal(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

}  // namespace runink::sandbox::raw
