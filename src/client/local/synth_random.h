// Random numbers of synthetic data: the same sequence for the same seed on every machine and with every compiler.
#pragma once

#include <bit>
#include <cstdint>

namespace runink::local {

class SynthRandom {
 public:
  // Several streams of one seed: each combination of numbers gives one of its own.
  explicit SynthRandom(uint64_t seed, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0)
      : state_(mix(mix(mix(mix(seed) ^ a) + b) ^ (c * 0x9e3779b97f4a7c15ull))) {}

  uint64_t next() {  // splitmix64
    state_ += 0x9e3779b97f4a7c15ull;
    return mix(state_);
  }
  // 0 ≤ result < bound; bound at least 1.
  uint64_t below(uint64_t bound) { return scale(next(), bound); }
  // lo ≤ result ≤ hi.
  int64_t between(int64_t lo, int64_t hi) {
    const uint64_t width = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
    return static_cast<int64_t>(static_cast<uint64_t>(lo) + (width == UINT64_MAX ? next() : below(width + 1)));
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // 0 ≤ result < 1
  bool chance(double share) { return unit() < share; }
  // Mean 1, each distance half as likely as half of it, without logarithms: those differ from library to library.
  double distance() {
    const uint64_t bits = next();
    const int halvings = std::countl_zero(bits | 1);
    return (halvings + static_cast<double>(bits & 0xfffffff) * 0x1p-28) / 1.5;
  }

  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // A number below `bound` from random bits.
  static uint64_t scale(uint64_t bits, uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

}  // namespace runink::local
