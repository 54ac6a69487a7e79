// runi-slice: the program in which custom C++ steps run.
#include "worker/slice/step_program.h"

int main(int argc, char** argv) { return runink::slice::slice_main(argc, argv); }
