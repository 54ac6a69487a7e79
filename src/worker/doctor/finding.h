// What `runi doctor` found out about one thing, by trying it.
#pragma once

#include <string>
#include <vector>

namespace runink::doctor {

enum class Verdict {
  kGood,  // it was tried, and holds
  kNote,  // nothing is lost by it, but it is worth knowing
  kBad,   // this host, or this user on it, cannot do that
};

struct Finding {
  std::string check;  // "limit memory"
  Verdict verdict = Verdict::kGood;
  std::string found;
  std::string advice;  // what to change; empty where there is nothing to
};

using Findings = std::vector<Finding>;

}  // namespace runink::doctor
