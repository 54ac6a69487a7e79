// What the launcher tells the processes of a slice, and what they report; over one socket between copies of one program
// (worker/wire/framing.h). Process 1 and the process that becomes the program share its end: while the one waits to be
// told what to execute, the other stands still. A report comes from inside the slice, and is read as from a stranger.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/slice_spec.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/slice_end.h"
#include "worker/wire/spec_codec.h"

namespace runink::sandbox {

// A program gets fewer descriptors than this; what the slice's processes need among themselves lies above.
inline constexpr int kAboveStreams = 256;

enum class OrderType : uint16_t {
  // To process 1.
  kGo = 1,       // the ids are mapped: begin
  kPrepare = 2,  // after kStepAside: PrepareOrder; descriptors: the detached mounts, by Operation::source
  kSignal = 3,   // int32: to the program's process group
  kScrub = 4,    // the program has ended: make this a parked slice again; if its order did not say so (scrub)
  // To the process that becomes the program.
  kExecute = 5,    // ExecuteOrder; descriptors: the program's
  kStepAside = 6,  // process 1 has something to do before another such process is made
};

enum class ReportType : uint16_t {
  // Of process 1.
  kStarted = 102,  // the program was executed, or its process killed just before: then its end follows
  kEnded = 103,    // ProgramEnd: the program, and every other process of the slice but process 1
  kUnclean = 104,  // text: what was left in the slice, which is to be destroyed
  // Of the process that becomes the program.
  kReady = 105,  // it has nothing left to give up, and waits
  // Of both.
  kFailed = 106,  // StartFailure; it ends
};

// The start's operations, without what they say.
struct PrepareOrder {
  std::vector<Operation> list;
  std::vector<model::SliceSecret> secrets;
};

// What the process that becomes the program does when it is told to. Every text ends with a NUL: it is handed to the
// kernel where it was received, since that process allocates nothing if it can.
template <typename Text>
struct ProgramStepOf {
  uint32_t operation = 0;  // index into the list of its phase
  Action action = Action::kExecute;
  Text path;
  uint64_t number = 0, second = 0;
};
template <typename Text>
struct ExecuteOrderOf {
  std::vector<ProgramStepOf<Text>> steps;
  std::vector<Text> candidates;         // Operations::program_candidates
  std::vector<Text> argv, environment;  // NAME=VALUE
  std::vector<uint8_t> stream_grants;   // of each descriptor: FenceGrant, as it is open
  bool scrub = false;                   // when it has ended, process 1 makes the slice a parked one again
};
using ExecuteOrder = ExecuteOrderOf<std::string>;
using ProgramStep = ProgramStepOf<std::string_view>;
using ReceivedExecuteOrder = ExecuteOrderOf<std::string_view>;  // in the bytes of a message, which must stay

struct StartFailure {
  uint32_t operation = 0;  // index into the list of its phase
  Phase phase = Phase::kPark;
  int32_t error = 0;  // errno
};

struct ProgramEnd {
  int32_t wait_status = 0;
  SliceUsage usage;  // of all that ended since the slice was parked
};

constexpr Phase last_of(Phase) { return Phase::kStart; }
constexpr Place last_of(Place) { return Place::kProgram; }
constexpr Action last_of(Action) { return Action::kExecute; }

template <typename Archive>
void visit(Archive& archive, Operation& operation) {
  auto& [phase, place, action, says, path, text, source, number, second] = operation;
  archive(phase, place, action, says, path, text, source, number, second);
}

template <typename Archive>
void visit(Archive& archive, PrepareOrder& order) {
  auto& [list, secrets] = order;
  archive(list, secrets);
}

template <typename Archive, typename Text>
void visit(Archive& archive, ProgramStepOf<Text>& step) {
  auto& [operation, action, path, number, second] = step;
  archive(operation, action, path, number, second);
}

template <typename Archive, typename Text>
void visit(Archive& archive, ExecuteOrderOf<Text>& order) {
  auto& [steps, candidates, argv, environment, stream_grants, scrub] = order;
  archive(steps, candidates, argv, environment, stream_grants, scrub);
}

template <typename Archive>
void visit(Archive& archive, StartFailure& failure) {
  auto& [operation, phase, error] = failure;
  archive(operation, phase, error);
}

template <typename Archive>
void visit(Archive& archive, SliceUsage& usage) {
  auto& [user, system, peak, read, written, minor, major] = usage;
  archive(user, system, peak, read, written, minor, major);
}

template <typename Archive>
void visit(Archive& archive, ProgramEnd& end) {
  auto& [wait_status, usage] = end;
  archive(wait_status, usage);
}

}  // namespace runink::sandbox
