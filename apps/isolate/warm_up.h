// Makes the engine ready before there is work: its code and tables are in memory, and what is made at first use is
// made.
#pragma once

namespace runink::isolate {

// Compiles a small feature and runs it over a few records in memory. A failure changes nothing but the time that the
// first record takes.
void warm_up();

}  // namespace runink::isolate
