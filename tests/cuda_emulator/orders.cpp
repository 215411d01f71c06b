// The orders in which threads take turns.
#include "block.h"

namespace emulator {
namespace {

uint64_t random_number() {
  block.random ^= block.random << 13;
  block.random ^= block.random >> 7;
  block.random ^= block.random << 17;
  return block.random >> 11;
}

/// The first ready thread from `start` on, going around; -1 if there is none.
int first_ready(unsigned start) {
  const unsigned words = (block.size + 63) / 64;
  unsigned word = start / 64;
  uint64_t bits = block.ready[word] & (~uint64_t{0} << (start % 64));
  for (unsigned i = 0; i <= words; ++i) {
    if (bits) return static_cast<int>(word * 64) + __builtin_ctzll(bits);
    word = word + 1 < words ? word + 1 : 0;
    bits = block.ready[word];
  }
  return -1;
}

/// The first ready thread from `start` downwards, going around; -1 if there is none.
int last_ready(unsigned start) {
  const unsigned words = (block.size + 63) / 64;
  unsigned word = start / 64;
  uint64_t bits = block.ready[word] & (~uint64_t{0} >> (63 - start % 64));
  for (unsigned i = 0; i <= words; ++i) {
    if (bits) return static_cast<int>(word * 64) + 63 - __builtin_clzll(bits);
    word = word ? word - 1 : words - 1;
    bits = block.ready[word];
  }
  return -1;
}

/// Stays with one warp for a while, then goes to another.
int random_ready() {
  if (random_number() % block.stay == 0)
    block.random_warp = static_cast<unsigned>(random_number() % block.warps.size());
  const unsigned shift = block.random_warp % 2 * 32;
  const auto lanes = static_cast<uint32_t>(block.ready[block.random_warp / 2] >> shift);
  if (lanes) {
    const unsigned start = random_number() % 32;
    const uint32_t turned = (lanes >> start) | (start ? lanes << (32 - start) : 0);
    const unsigned lane = (static_cast<unsigned>(__builtin_ctz(turned)) + start) % 32;
    return static_cast<int>(block.random_warp * kWarpLanes + lane);
  }
  const int thread = first_ready(static_cast<unsigned>(random_number() % block.size));
  if (thread >= 0) block.random_warp = static_cast<unsigned>(thread) / kWarpLanes;
  return thread;
}

int next_number() {
  int thread = -1;
  switch (options().order) {
    case Order::kRoundRobin:
      thread = first_ready(block.position);
      if (thread >= 0) block.position = (static_cast<unsigned>(thread) + 1) % block.size;
      return thread;
    case Order::kReverse:
      thread = last_ready(block.position);
      if (thread >= 0)
        block.position = (static_cast<unsigned>(thread) + block.size - 1) % block.size;
      return thread;
    case Order::kGreedy:
      return first_ready(0);
    case Order::kGreedyReverse:
      return last_ready(block.size - 1);
    case Order::kRandom:
      return random_ready();
  }
  return thread;
}

}  // namespace

BlockThread* pick_thread() {
  const int number = next_number();
  return number < 0 ? nullptr : &block.threads[static_cast<unsigned>(number)];
}

void start_picking() {
  block.position = options().order == Order::kReverse ? block.size - 1 : 0;
  block.random_warp = 0;
  block.stay = 1u << (random_number() % 4 * 3);
}

}  // namespace emulator
