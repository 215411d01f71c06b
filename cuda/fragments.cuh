// Fragments of bf16 matrices for the tensor cores, from tiles in shared memory.
//
// mma.m16n8k16 multiplies a (16, 16) by b (16, 8). Of a, lane i holds pairs of neighbours along k
// at rows i / 4 and i / 4 + 8, columns 2 (i % 4) and 2 (i % 4) + 8; of b, pairs along k in column i
// / 4; of the product, pairs of neighbours in rows i / 4 and i / 4 + 8. ldmatrix reads 8 x 8
// matrices whose rows are 16 bytes, each from the address that a lane gives, into this layout;
// transposed on the way, it serves tiles that run along the other index. Rows of tiles are 16 bytes
// longer than needed, which puts the eight rows of a matrix into different banks.
#pragma once

#include "cuda/bf16.h"
#include "cuda/kernel.h"

namespace farsight {

template <int rows, int columns>
using Bf16Tile = Bf16[rows][columns + 8];

/// a at (m, k) of a tile with element (m, k) in row m.
template <int stride>
__device__ void load_a(uint32_t (&a)[4], const Bf16 (*tile)[stride], int m, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4(a, &tile[m + lane % 16][k + lane / 16 * 8]);
}

/// a at (m, k) of a tile with element (m, k) in row k.
template <int stride>
__device__ void load_a_transposed(uint32_t (&a)[4], const Bf16 (*tile)[stride], int m, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4_trans(a, &tile[k + lane % 8 + lane / 16 * 8][m + lane / 8 % 2 * 8]);
}

/// b at (k, n) and (k, n + 8), one after the other, of a tile with element (k, n) in row k.
template <int stride>
__device__ void load_b(uint32_t (&b)[4], const Bf16 (*tile)[stride], int n, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4_trans(b, &tile[k + lane % 16][n + lane / 16 * 8]);
}

/// b at (k, n) and (k, n + 8), one after the other, of a tile with element (k, n) in row n.
template <int stride>
__device__ void load_b_transposed(uint32_t (&b)[4], const Bf16 (*tile)[stride], int n, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4(b, &tile[n + lane % 8 + lane / 16 * 8][k + lane / 8 % 2 * 8]);
}

/// sum (16, 8) += a times the first or the second of two b.
__device__ inline void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[4],
                                int which) {
  const uint32_t one[2] = {b[2 * which], b[2 * which + 1]};
  gpu::mma_bf16_16816(sum, a, one);
}

/// Two products (16, 8) side by side, rounded, as the a of the next multiplication: the layouts
/// agree.
__device__ inline void pack_a(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = pack_bf16(left[0], left[1]);
  a[1] = pack_bf16(left[2], left[3]);
  a[2] = pack_bf16(right[0], right[1]);
  a[3] = pack_bf16(right[2], right[3]);
}

}  // namespace farsight
