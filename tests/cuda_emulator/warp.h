// Where threads meet: barriers of a block, and shuffles and votes of a warp.
#pragma once

#include <cstring>
#include <type_traits>

#include "language.h"

namespace emulator {

enum class Barrier : uint8_t { kSync, kCount, kAnd, kOr };

/// Waits for all threads of the block; returns what the predicates of all amount to.
int block_barrier(Barrier kind, int predicate, Site site);

/// What the lanes of a warp do together. A lane may go on when all lanes of the mask have come.
enum class Together : uint8_t { kSync, kShuffle, kVote, kMma, kLoadMatrix };

struct Slot;

/// Computes for all lanes of the mask at once, run when the last of them has come.
using Complete = void (*)(Slot* slots, unsigned mask);

/// What one lane brings.
struct Slot {
  Together what;
  unsigned mask;
  Site site;
  void* data;
  Complete complete;
};

void meet_in_warp(Together what, unsigned mask, void* data, Complete complete, Site site);

/// The value of lane `from`.
uint64_t shuffle(uint64_t value, unsigned mask, int from, Site site);

/// One bit per lane: whether its predicate holds.
unsigned vote(bool predicate, unsigned mask, Site site);

template <class T>
T shuffle_any(T value, unsigned mask, int from, Site site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(bits, mask, from, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline int lane() { return static_cast<int>(current_thread->number & 31); }

}  // namespace emulator

inline void __syncthreads(EMULATOR_SITE) {
  emulator::block_barrier(emulator::Barrier::kSync, 0, site);
}
inline int __syncthreads_count(int predicate, EMULATOR_SITE) {
  return emulator::block_barrier(emulator::Barrier::kCount, predicate, site);
}
inline int __syncthreads_and(int predicate, EMULATOR_SITE) {
  return emulator::block_barrier(emulator::Barrier::kAnd, predicate, site);
}
inline int __syncthreads_or(int predicate, EMULATOR_SITE) {
  return emulator::block_barrier(emulator::Barrier::kOr, predicate, site);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATOR_SITE) {
  emulator::meet_in_warp(emulator::Together::kSync, mask, nullptr, nullptr, site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32, EMULATOR_SITE) {
  const int segment = emulator::lane() & ~(width - 1);
  return emulator::shuffle_any(value, mask, segment | (from & (width - 1)), site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane(), from = lane ^ bits, last = lane | (width - 1);
  return emulator::shuffle_any(value, mask, from <= last ? from : lane, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane(), from = lane + static_cast<int>(distance);
  return emulator::shuffle_any(value, mask, from <= (lane | (width - 1)) ? from : lane, site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32, EMULATOR_SITE) {
  const int lane = emulator::lane(), from = lane - static_cast<int>(distance);
  return emulator::shuffle_any(value, mask, from >= (lane & ~(width - 1)) ? from : lane, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return emulator::vote(predicate != 0, mask, site);
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return emulator::vote(predicate != 0, mask, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATOR_SITE) {
  return emulator::vote(predicate == 0, mask, site) == 0;
}
