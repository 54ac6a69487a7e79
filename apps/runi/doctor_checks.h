// What `runi doctor` tries of slices: each thing by itself (worker/doctor), and whole slices, by this very program.
#pragma once

#include <vector>

#include "client/cli/doctor.h"

namespace runink {

std::vector<cli::DoctorFinding> check_slices();

}  // namespace runink
