// What this host can and cannot enforce for slices: everything is tried for real, in children and control groups that
// are gone afterwards, never looked up in a table of kernels.
//
// To be called from a process with one thread: children go on in its copy. Takes a second or two, most of it the
// kernel's waiting in cgroup v1. Every probe has a deadline.
#pragma once

#include <string>
#include <vector>

#include "worker/doctor/finding.h"

namespace runink::doctor {

struct DoctorOptions {
  // Folders whose file systems slices are to be shown parts of.
  std::vector<std::string> folders = {"/", "/tmp", "/home", "/var/tmp", "/dev/shm"};
};

// In this order; each adds its lines.
void probe_kernel(Findings* findings);     // its version, core dumps, programs in memory, clock
void probe_isolation(Findings* findings);  // namespaces, mounts, system calls, Landlock
void probe_files(const DoctorOptions& options, Findings* findings);  // id-mapped mounts, room, the run folder
void probe_limits(Findings* findings);                               // control groups: each limit, and that it bites
void probe_network(Findings* findings);                              // veth, nf_tables, rates, forwarding
void look_for_leftovers(Findings* findings);

Findings probe_slices(const DoctorOptions& options);

}  // namespace runink::doctor
