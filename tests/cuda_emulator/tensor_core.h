// Tensor cores and asynchronous copies, under the names that cuda/gpu.h gives to the instructions.
#pragma once

#include <bit>

#include "language.h"

namespace emulator {

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site);
void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Site site);

/// `count` 8x8 matrices of 16-bit numbers; lane i gives the address of row i % 8 of matrix i / 8.
void load_matrix(uint32_t* r, const void* row, int count, bool transposed, Site site);

/// Copies `bytes`, or zeros if not `valid`, at the wait for it; until then the target is NaN bits.
void copy_async(void* shared, const void* global, unsigned bytes, bool valid, Site site);
void commit_copies(Site site);

/// Returns when all groups of copies but the last `left` have arrived.
void wait_for_copies(int left);

}  // namespace emulator

namespace farsight::gpu {

/// d (16, 8) += a (16, 16) b (16, 8): bf16 pairs in, float out.
inline void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                           EMULATOR_SITE) {
  emulator::mma_bf16(d, a, b, site);
}

/// d (16, 8) += a (16, 8) b (8, 8): floats of which 10 bits of mantissa count in, float out.
inline void mma_tf32_1688(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                          EMULATOR_SITE) {
  emulator::mma_tf32(d, a, b, site);
}

/// The nearest number with 10 bits of mantissa, ties away from zero.
inline uint32_t round_to_tf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return 0x7fffffffu;
  return (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & ~0x1fffu;
}

inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, EMULATOR_SITE) {
  emulator::load_matrix(r, row, 4, false, site);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, EMULATOR_SITE) {
  emulator::load_matrix(r, row, 4, true, site);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void* row, EMULATOR_SITE) {
  emulator::load_matrix(r, row, 2, false, site);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, EMULATOR_SITE) {
  emulator::load_matrix(r, row, 2, true, site);
}

inline void cp_async16(void* shared, const void* global, bool valid = true, EMULATOR_SITE) {
  emulator::copy_async(shared, global, 16, valid, site);
}
inline void cp_async4(void* shared, const void* global, bool valid = true, EMULATOR_SITE) {
  emulator::copy_async(shared, global, 4, valid, site);
}
inline void cp_async_commit(EMULATOR_SITE) { emulator::commit_copies(site); }
template <int left>
void cp_async_wait() {
  emulator::wait_for_copies(left);
}

}  // namespace farsight::gpu
