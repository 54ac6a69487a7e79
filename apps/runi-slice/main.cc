// runi-slice: the program of slices that run pipelines. It runs a stage (serve), or a custom C++ step.
#include <cstring>

#include "isolate/stage_program.h"
#include "worker/slice/step_program.h"

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "serve") == 0) return runink::isolate::serve_stage();
  return runink::slice::slice_main(argc, argv);
}
