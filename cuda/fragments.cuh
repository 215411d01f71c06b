// Fragments of bf16 matrices for the tensor cores, from tiles in shared memory.
//
// mma.m16n8k16 multiplies a (16, 16) by b (16, 8). Of a, lane i holds pairs of neighbours along k
// at rows i / 4 and i / 4 + 8, columns 2 (i % 4) and 2 (i % 4) + 8; of b, pairs along k in column i
// / 4; of the product, pairs of neighbours in rows i / 4 and i / 4 + 8. ldmatrix reads 8 x 8
// matrices whose rows are 16 bytes, each from the address that a lane gives, into this layout;
// transposed on the way, it serves tiles that run along the other index. The eight rows of a matrix
// have to lie in different banks. There are two kinds of tiles that see to it: with rows that are
// 16 bytes longer than needed, or with pieces of 16 bytes that trade places within their row.
#pragma once

#include "cuda/bf16.h"
#include "cuda/kernel.h"

namespace farsight {

template <int rows, int columns>
using Bf16Tile = Bf16[rows][columns + 8];

/// A tile without padding. Eight successive rows have piece c of theirs at places c ^ 0 … c ^ 7,
/// or, where a row has four pieces and two rows share the banks, at c ^ 0, c ^ 0, c ^ 1, c ^ 1, …
template <int rows, int columns>
struct SwizzledTile {
  static constexpr int kPieces = columns / 8;  // in a row
  static_assert(kPieces == 4 || kPieces % 8 == 0);
  static constexpr int kTogether = kPieces == 4 ? 2 : 1;  // rows that share the banks

  uint4 pieces[rows][kPieces];

  /// Where the piece that begins with element (row, column) lies.
  __device__ uint4* at(int row, int column) { return &pieces[row][place(row, column)]; }
  __device__ const uint4* at(int row, int column) const { return &pieces[row][place(row, column)]; }

  __device__ static int place(int row, int column) {
    return column / 8 ^ row / kTogether % (8 / kTogether);
  }
};

/// The 16 bytes that begin with element (row, column) of a tile of either kind.
template <int stride>
__device__ const void* piece_of(const Bf16 (*tile)[stride], int row, int column) {
  return &tile[row][column];
}
template <int rows, int columns>
__device__ const void* piece_of(const SwizzledTile<rows, columns>& tile, int row, int column) {
  return tile.at(row, column);
}

/// a at (m, k) of a tile with element (m, k) in row m.
template <class Tile>
__device__ void load_a(uint32_t (&a)[4], const Tile& tile, int m, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4(a, piece_of(tile, m + lane % 16, k + lane / 16 * 8));
}

/// a at (m, k) of a tile with element (m, k) in row k.
template <class Tile>
__device__ void load_a_transposed(uint32_t (&a)[4], const Tile& tile, int m, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4_trans(a, piece_of(tile, k + lane % 8 + lane / 16 * 8, m + lane / 8 % 2 * 8));
}

/// b at (k, n) and (k, n + 8), one after the other, of a tile with element (k, n) in row k.
template <class Tile>
__device__ void load_b(uint32_t (&b)[4], const Tile& tile, int n, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4_trans(b, piece_of(tile, k + lane % 16, n + lane / 16 * 8));
}

/// b at (k, n) and (k, n + 8), one after the other, of a tile with element (k, n) in row n.
template <class Tile>
__device__ void load_b_transposed(uint32_t (&b)[4], const Tile& tile, int n, int k) {
  const int lane = threadIdx.x % kWarp;
  gpu::ldmatrix_x4(b, piece_of(tile, n + lane % 8 + lane / 16 * 8, k + lane / 8 % 2 * 8));
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
