// The program runi-slice.
//
//   runi-slice step --library X.so --name NAME    Arrow IPC on standard input and output, refusals on descriptor 3
//                                                 (or on standard error where that is not open)
//   runi-slice steps --library X.so               the steps of a library, one a line, fields separated by tabs:
//                                                 NAME  INPUT  VERSION  HASH  OUTPUT  VERSION  HASH
//   runi-slice serve                              a stage of a pipeline (apps/isolate)
//   runi-slice --version | --help
//
// Exit code 0: all records were answered, rejected or dropped. 1: failed, standard error says why. 2: wrong usage.
#pragma once

namespace runink::slice {

int slice_main(int argc, char** argv);

}  // namespace runink::slice
