// What `runi doctor` says beside what client/cli itself can look at: of slices, which only the programs know of.
#pragma once

#include <string>
#include <vector>

namespace runink::cli {

enum class DoctorVerdict { kGood, kNote, kBad };

struct DoctorFinding {
  std::string check;
  DoctorVerdict verdict = DoctorVerdict::kGood;
  std::string found;
  std::string advice;  // what to do about it; empty where nothing is to be done
};

// Said after machine and project, but with --no-slices. Once per process, before run_program.
using DoctorChecks = std::vector<DoctorFinding> (*)();
void offer_slice_checks(DoctorChecks checks);

}  // namespace runink::cli
