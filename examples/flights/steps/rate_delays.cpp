// How bad was a delay for the distance flown? Built by `runi compile`, run by features/ratings.dsl.
#include <runink/step/step.h>

#include "flight.h"        // contracts/flight.contract
#include "rated_flight.h"  // contracts/rated_flight.contract

using contracts::Flight;
using contracts::RatedFlight;

namespace {

RatedFlight::RatingValue rating(std::int32_t delay) {
  if (delay < 0) return RatedFlight::RatingValue::kEarly;
  if (delay <= 15) return RatedFlight::RatingValue::kOnTime;
  return delay <= 60 ? RatedFlight::RatingValue::kLate : RatedFlight::RatingValue::kVeryLate;
}

}  // namespace

RUNINK_STEP("RateDelays", Flight, RatedFlight)
(const Flight::Batch& in, RatedFlight::Builder& out, runink::step::Context&) {
  const auto delay = in.column(&Flight::delay);
  const auto distance = in.column(&Flight::distance);
  for (std::size_t row = 0; row < in.size(); ++row) {
    if (distance[row] < 50) {
      out.reject(row, "too short a flight to be rated");
      continue;
    }
    const Flight flight = in[row];
    RatedFlight answer;
    answer.date = flight.date;
    answer.origin = flight.origin;
    answer.destination = flight.destination;
    answer.rating = rating(delay[row]);
    answer.minutes_per_100_miles = 100.0 * delay[row] / distance[row];
    out.answer(row, answer);
  }
}
