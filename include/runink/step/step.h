// The step SDK: custom steps in C++ (17 or later).
//
//   #include <runink/step/step.h>
//   #include "flight.h"   // contracts/flight.contract, made by `runi compile`
//   #include "scored.h"   // contracts/scored.contract
//
//   using contracts::Flight, contracts::ScoredFlight;
//
//   RUNINK_STEP("ScoreDelays", Flight, ScoredFlight)
//   (const Flight::Batch& in, ScoredFlight::Builder& out, runink::step::Context& context) {
//     const auto delay = in.column(&Flight::delay);
//     for (std::size_t row = 0; row < in.size(); ++row) {
//       if (delay[row] < -1000) {
//         out.reject(row, "nobody is that early");
//         continue;
//       }
//       ScoredFlight answer;
//       answer.origin = in.column(&Flight::origin)[row];
//       answer.score = delay[row] * 0.5;
//       out.answer(row, answer);
//     }
//   }
//
// A step is a pure function: what it says about a record depends on that record only. It is called with some records at
// a time (at most a few thousand, in order), in a process of its own (runi-slice), by one thread; how records are cut into
// batches is not promised. It may use threads of its own inside the call.
//
// A feature names it by @step("ScoreDelays", contract="contracts/scored.contract"). The rows it is sent may have more
// columns than its input contract names; those it names must be there, with the same types, and required ones not null.
// What it answers is checked against the contract like any other data.
//
// Errors: an exception that leaves the function fails the step, and with it the run, with its what(). Prefer reject()
// where one record is bad. Standard output is not the step's: what it prints there, and on standard error, is shown when
// the step fails.
//
// Units: a date is days since 1970-01-01, a time microseconds since midnight, a timestamp microseconds since the epoch in
// UTC, a duration microseconds, a decimal(p,s) the number times 10^s. The generated header says it for each member.
//
// Lifetime: `in`, and every string_view read from it, holds until the function returns. What is given to `out` is copied.
#pragma once

#include <cstdio>
#include <exception>

#include <runink/step/batch.h>
#include <runink/step/builder.h>

namespace runink::step {

class Context {
 public:
  Context(std::string_view step, std::uint64_t first_record) : step_(step), first_record_(first_record) {}
  std::string_view step() const { return step_; }
  // How many records the step was sent before this batch.
  std::uint64_t first_record() const { return first_record_; }
  // A line on standard error. The last ones are shown when the step fails.
  void log(std::string_view line) const {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }

 private:
  std::string_view step_;
  std::uint64_t first_record_;
};

namespace detail {

inline runink_step_text text(std::string_view view) { return {view.data(), view.size()}; }

template <typename Record>
const runink_step_contract* contract_of() {
  static const runink_step_contract contract = {text(Record::kContractName), text(Record::kContractVersion),
                                                text(Record::kContractHash), text(Record::kContractText)};
  return &contract;
}

inline std::vector<runink_step_entry>& registry() {
  static std::vector<runink_step_entry> steps;
  return steps;
}

template <typename Input, typename Output>
using Function = void (*)(const Batch<Input>&, Builder<Output>&, Context&);

template <typename Input, typename Output, Function<Input, Output> function, typename Name>
std::int32_t process(const runink_step_batch* rows, const runink_step_host* host) noexcept {
  const auto fail = [host](std::string_view message) {
    host->fail(host->self, text(message));
    return 1;
  };
  try {
    const Batch<Input> in(*rows);
    Builder<Output> out(*host, rows->rows, rows->first_record);
    Context context(Name::text(), rows->first_record);
    function(in, out, context);
    out.finish();
    return 0;
  } catch (const HostRefused&) {
    return 1;
  } catch (const std::exception& e) {
    return fail(e.what());
  } catch (...) {
    return fail("an exception that is no std::exception");
  }
}

struct Registration {
  Registration(std::string_view name, const runink_step_contract* input, const runink_step_contract* output,
               std::int32_t (*process)(const runink_step_batch*, const runink_step_host*)) {
    registry().push_back({text(name), input, output, process});
  }
};

}  // namespace detail
}  // namespace runink::step

// Found by runi-slice. Every file that is a library of its own has it once.
extern "C" __attribute__((visibility("default"), used)) inline const runink_step_library* runink_step_library_of_this_object() {
  static const runink_step_library library = {RUNINK_STEP_ABI_VERSION,
                                              static_cast<std::uint32_t>(::runink::step::detail::registry().size()),
                                              ::runink::step::detail::registry().data()};
  return &library;
}

// RUNINK_STEP("Name", Input, Output) (const Input::Batch& in, Output::Builder& out, runink::step::Context& context) { … }
//
// Name: letters, digits, `_`, `-` and `.`, beginning with a letter; unique in the project. Input, Output: records of
// generated headers. One file may hold several steps.
#define RUNINK_STEP(name, Input, Output) RUNINK_STEP_EXPAND_(name, Input, Output, __COUNTER__)
#define RUNINK_STEP_EXPAND_(name, Input, Output, number) RUNINK_STEP_DEFINE_(name, Input, Output, number)
#define RUNINK_STEP_DEFINE_(name, Input, Output, number)                                                               \
  static void runink_step_function_##number(const ::runink::step::Batch<Input>&, ::runink::step::Builder<Output>&,     \
                                            ::runink::step::Context&);                                                 \
  namespace {                                                                                                          \
  struct runink_step_name_##number {                                                                                   \
    static constexpr std::string_view text() { return name; }                                                          \
  };                                                                                                                   \
  const ::runink::step::detail::Registration runink_step_registration_##number(                                        \
      name, ::runink::step::detail::contract_of<Input>(), ::runink::step::detail::contract_of<Output>(),               \
      &::runink::step::detail::process<Input, Output, &runink_step_function_##number, runink_step_name_##number>);     \
  }                                                                                                                    \
  static void runink_step_function_##number
