// The hot loops for one instruction set; compiled with its flags (see CMakeLists.txt).
#define RUNINK_HOT_LEVEL 3
#include "data/connectors/hot_loops.inc"

}  // namespace

const Loops kLoopsAvx512{"avx512", &ndjson, &csv, &csv_last_border, &find_json_special, &is_ascii};

}  // namespace runink::connectors::hot
