/* The binary interface between runi-slice and a shared object of custom steps. Plain C: nothing in it depends on a
 * compiler's C++ library, so a step built by another compiler, or in another language, works too. C++ steps use step.h,
 * which is a layer above this.
 *
 * Versions. runi-slice loads a library only if its abi_version is the one it was built with. The number changes when a
 * structure or the meaning of a field here does; the order of the first two fields of runink_step_library never does.
 *
 * Memory. What the host passes to a step (a batch, its buffers) belongs to the host and holds until `process` returns;
 * it must not be written. What a step passes to the host (answers, reasons, messages) belongs to the step, and is copied
 * before the call returns. Nothing is ever freed by the other side.
 *
 * Threads. `process` is called by one thread, one batch after the other, in the order of the records. A step may use
 * threads of its own inside the call; only the calling thread may call the host.
 *
 * Errors. `process` returns 0, or anything else after it said why by `fail`: the step's process then ends, and with it the
 * run. No exception may leave `process`.
 *
 * Standard output is not the step's: what it prints there goes to standard error, whose last lines are shown when the
 * step fails.
 */
#ifndef RUNINK_STEP_ABI_H
#define RUNINK_STEP_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RUNINK_STEP_ABI_VERSION 1u

/* UTF-8 text; it need not end with NUL. */
typedef struct runink_step_text {
  const char* data;
  uint64_t size; /* bytes */
} runink_step_text;

/* Values of one column, as Apache Arrow lays them out, little endian, with one exception (bool).
 *
 *   bool                     values: one byte each, 0 or 1
 *   int8 … uint64, float32/64   values: native numbers
 *   date                     values: int32 days since 1970-01-01
 *   time                     values: int64 microseconds since midnight
 *   timestamp                values: int64 microseconds since 1970-01-01T00:00:00Z
 *   duration                 values: int64 microseconds
 *   decimal(p,s)             values: 16 bytes, two's complement, the number times 10^s
 *   uuid                     values: 16 bytes
 *   enum                     values: int32, the number of the label in the contract, from 0
 *   string, bytes, json      offsets: length + 1 of them, the first is 0; values: the bytes; string and json are UTF-8
 *   list<T>                  offsets as above; children[0]: the elements of all lists, one after the other
 *   struct (inside lists)    children: one per member, each of this column's length
 */
typedef struct runink_step_column {
  uint64_t length;
  const uint8_t* validity; /* bit i (least significant first) is 1 if value i is not null; NULL: none is null */
  const void* values;      /* may be NULL where there are none; values of null rows are unspecified */
  uint64_t value_bytes;    /* size of `values` */
  const int32_t* offsets;
  const struct runink_step_column* children;
  uint64_t child_count;
} runink_step_column;

typedef struct runink_step_batch {
  uint64_t rows;
  uint64_t first_record; /* how many records the step was sent before this batch; in answers: not used */
  const runink_step_column* columns; /* the contract's, in its order */
  uint64_t column_count;
} runink_step_batch;

/* A contract as the step was compiled for it. */
typedef struct runink_step_contract {
  runink_step_text name, version, hash;
  runink_step_text text; /* the contract itself, in its language, without imports */
} runink_step_contract;

enum {
  RUNINK_STEP_REJECT = 1, /* the record becomes a dead letter */
  RUNINK_STEP_DROP = 2    /* it is left out, and counted by reason */
};

/* What a step may call during `process`. Every row of the batch must be answered, rejected or dropped, once. */
typedef struct runink_step_host {
  uint64_t struct_bytes; /* sizeof(runink_step_host) of the host */
  void* self;            /* first argument of every call */
  /* Rows of the output contract, each the answer to one row of the batch. May be called several times. Not 0: refused,
   * `process` should return. */
  int32_t (*answer)(void* self, const runink_step_batch* rows);
  /* `row` counts from 0 in this batch. Not 0: refused, as above. */
  int32_t (*refuse)(void* self, uint64_t row, int32_t action, runink_step_text reason);
  void (*fail)(void* self, runink_step_text message);
} runink_step_host;

typedef struct runink_step_entry {
  runink_step_text name;
  const runink_step_contract* input;
  const runink_step_contract* output;
  int32_t (*process)(const runink_step_batch* batch, const runink_step_host* host);
} runink_step_entry;

typedef struct runink_step_library {
  uint32_t abi_version; /* RUNINK_STEP_ABI_VERSION of the headers it was compiled with */
  uint32_t step_count;
  const runink_step_entry* steps;
} runink_step_library;

/* The one symbol that a library exports. What it returns holds until the library is unloaded. */
#define RUNINK_STEP_LIBRARY_SYMBOL "runink_step_library_of_this_object"
typedef const runink_step_library* (*runink_step_library_function)(void);

#ifdef __cplusplus
}
#endif

#endif
