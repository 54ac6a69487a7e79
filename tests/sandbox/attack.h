// What the attack programs share. Each tries all it knows, prints "reached: WHAT" for what it should not have and "tried
// everything" at its end, and exits with 1 if there was any, else with 0. Static, since a slice may hold no library.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

inline int g_reached = 0;

// Some of what they try would harm a host on which it got through. So they are never run by the host's root outside of
// a slice; the first line of every main.
inline void refuse_to_be_host_root() {
  unsigned inside = 1, outside = 1;
  if (FILE* map = std::fopen("/proc/self/uid_map", "re")) {
    if (std::fscanf(map, "%u %u", &inside, &outside) != 2) outside = 0;
    std::fclose(map);
  }
  if (::geteuid() != 0 || outside != 0) return;
  std::puts("not as root of the host");
  std::exit(2);
}

// `reached`: whether the attempt got through.
inline void attempt(const std::string& what, bool reached) {
  if (!reached) return;
  ++g_reached;
  std::printf("reached: %s\n", what.c_str());
}

inline int verdict() {
  std::puts("tried everything");
  std::fflush(stdout);
  return g_reached == 0 ? 0 : 1;
}
