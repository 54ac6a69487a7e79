// The allocator of this process, where memory must stay near what is in use.
#pragma once

namespace runink::os {

// From now on freed memory goes back to the system early: large blocks at once, the rest once a mebibyte of it lies
// together. Without this glibc raises its thresholds as large blocks are freed, and a process keeps tens of megabytes that
// nobody uses. For programs that state how much memory they take. Any thread, any number of times.
void keep_allocator_lean();

// Gives back all whole pages that are free, also those between blocks in use. Takes milliseconds: for the moments after
// much was freed.
void return_freed_memory();

}  // namespace runink::os
