// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3"). Every number is a function of (seed, stream, index), so that a run needs only
// its step to resume, threads need no state, and CPU and GPU draw the same dropout.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace farsight {

/// Four independent 32-bit words for one counter.
constexpr std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32);
  uint32_t c2 = static_cast<uint32_t>(stream), c3 = static_cast<uint32_t>(stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {c0, c1, c2, c3};
}

/// The seed's numbers of one stream, by index.
struct Stream {
  uint64_t seed = 0;
  uint64_t stream = 0;

  constexpr uint32_t bits(uint64_t index) const {
    return philox(seed, stream, index / 4)[index % 4];
  }

  /// Uniform in [0, 1), 24 bits.
  constexpr double uniform(uint64_t index) const { return (bits(index) >> 8) * 0x1p-24; }

  /// Uniform integer in [0, bound), bound > 0; the bias is below bound / 2^64.
  uint64_t below(uint64_t index, uint64_t bound) const {
    const auto word = philox(seed, stream, index);
    const uint64_t wide = uint64_t{word[0]} << 32 | word[1];
    return static_cast<uint64_t>((static_cast<unsigned __int128>(wide) * bound) >> 64);
  }

  /// Standard normal (Box-Muller on the two halves of one counter).
  double normal(uint64_t index) const {
    const auto word = philox(seed, stream, index);
    const double u = (word[0] + 0.5) * 0x1p-32, v = word[1] * 0x1p-32;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * 3.141592653589793 * v);
  }
};

}  // namespace farsight
