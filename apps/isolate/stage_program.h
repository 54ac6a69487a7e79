// The program of a slice that runs a stage of a pipeline: `runi-slice serve`.
//
// It is started before anybody knows what it will do, makes the engine ready, and waits on descriptor 3 for its work
// (worker/slice/stage_protocol.h). It runs one stage and ends.
#pragma once

namespace runink::isolate {

// The exit code: 0 when what came of the stage, good or bad, was reported; 1 when nobody could be told, 2 without a
// runner at descriptor 3.
int serve_stage();

}  // namespace runink::isolate
