// Matrix products on tensor cores, bf16 in and fp32 out.
//
// Operands lie in memory as floats. In a large product each number goes to many blocks, as many as
// the product has tiles in its direction. So it is rounded once, by round_rows(), into a copy that
// goes to all of them at half the size: 16 KiB for the half million multiply-adds of a step, where
// floats would be 32, more than the second-level cache can deliver in the time. bf16_gemm makes
// tiles of 128 x 128 with 4 warps of 64 x 64 in steps of 32 along k by the pipeline of
// gemm_tensor.cuh, and two blocks share a multiprocessor. Its tiles have no padding, so that three
// stages take 48 KiB (SwizzledTile).
//
// A small product, such as a short prompt's, reads its numbers once or twice.
// bf16_gemm_small rounds them on their way to shared memory, and no copy is made: tiles of 64 x 64
// with 4 warps of 32 x 32, two buffers, the next step's floats on their way in registers meanwhile.
//
// Either way a warp reads its fragments with ldmatrix (transposed on the way where the operand's
// rows do not run along k) and multiplies them with mma.m16n8k16.
#pragma once

#include "cuda/fragments.cuh"
#include "cuda/gemm_tensor.cuh"

namespace farsight {

using LargeBf16Shape = TensorShape<128, 64, 64>;
using SmallBf16Shape = TensorShape<64, 32, 32>;

inline constexpr int kBf16Depth = 32;

/// Fragments of an operand's tile. `along_k`: the operand's rows run along k, and so do the tile's.
template <bool along_k>
struct Bf16Fragments {
  /// The (16, 16) fragment of a at (m, k).
  template <class Tile>
  __device__ static void of_a(uint32_t (&a)[4], const Tile& tile, int m, int k) {
    along_k ? load_a(a, tile, m, k) : load_a_transposed(a, tile, m, k);
  }

  /// The (16, 8) fragments of b at (k, n) and (k, n + 8), one after the other.
  template <class Tile>
  __device__ static void of_b(uint32_t (&b)[4], const Tile& tile, int n, int k) {
    along_k ? load_b_transposed(b, tile, n, k) : load_b(b, tile, n, k);
  }
};

/// Adds a step along k to the sums of a warp whose part of the tile begins at (row, column).
template <class S, bool a_along_k, bool b_along_k>
struct Bf16Step {
  template <class TileA, class TileB>
  __device__ void operator()(typename S::Sums& sum, const TileA& a_tile, const TileB& b_tile,
                             int row, int column) const {
    constexpr int kM = S::kWarpM / 16, kN = S::kWarpN / 8;  // fragments of a warp
#pragma unroll
    for (int k = 0; k < kBf16Depth; k += 16) {
      uint32_t a[kM][4], b[kN / 2][4];
#pragma unroll
      for (int i = 0; i < kM; ++i) Bf16Fragments<a_along_k>::of_a(a[i], a_tile, row + i * 16, k);
#pragma unroll
      for (int j = 0; j < kN / 2; ++j)
        Bf16Fragments<b_along_k>::of_b(b[j], b_tile, column + j * 16, k);
#pragma unroll
      for (int i = 0; i < kM; ++i)
#pragma unroll
        for (int j = 0; j < kN; ++j) multiply(sum[i][j], a[i], b[j / 2], j % 2);
    }
  }
};

// Large products ---------------------------------------------------------------------------------

inline constexpr int kRoundThreads = 256;

/// y (rows, rounded_stride(columns)) = x (rows, columns), rounded. A thread makes a piece of 16
/// bytes.
__global__ void __launch_bounds__(kRoundThreads)
    round_rows(Bf16* y, const real* x, int64_t pieces, int columns, bool fours) {
  const int64_t piece = static_cast<int64_t>(blockIdx.x) * kRoundThreads + threadIdx.x;
  if (piece >= pieces) return;
  const int in_row = static_cast<int>(rounded_stride(columns)) / 8;
  const int row = static_cast<int>(piece / in_row), column = static_cast<int>(piece % in_row) * 8;
  const Four left = fetch_four(x, columns, row, row + 1, column, columns, fours);
  const Four right = fetch_four(x, columns, row, row + 1, column + 4, columns, fours);
  reinterpret_cast<uint4*>(y)[piece] =
      make_uint4(pack_bf16(left.v[0], left.v[1]), pack_bf16(left.v[2], left.v[3]),
                 pack_bf16(right.v[0], right.v[1]), pack_bf16(right.v[2], right.v[3]));
}

/// Brings tiles of a rounded copy to shared memory.
template <int tile, int threads, bool along_k>
struct Bf16Loader {
  static constexpr int kDepth = kBf16Depth;
  static constexpr int kRows = along_k ? tile : kDepth;
  static constexpr int kPieces = (along_k ? kDepth : tile) / 8;  // in a row
  using Tile = SwizzledTile<kRows, kPieces * 8>;

  const Bf16* from;
  int extent, first;  // of the operand's other index: its end, and where the tile begins
  int64_t stride;

  /// Starts the copies of the step at k.
  __device__ void start(Tile& to, int k, int k_end) const {
    const int row = threadIdx.x / kPieces, column = threadIdx.x % kPieces * 8;
    const int m = (along_k ? first : k) + row, n = (along_k ? k : first) + column;
    const int m_end = along_k ? extent : k_end, n_end = along_k ? k_end : extent;
    const Bf16* at = from + m * stride + n;
#pragma unroll
    for (int down = 0; down < kRows; down += threads / kPieces) {
      const bool valid = m + down < m_end && n < n_end;
      gpu::cp_async16(to.at(row + down, column), valid ? at + down * stride : from, valid);
    }
  }
};

template <bool a_along_k, bool b_along_k>
struct LargeBf16 {
  using S = LargeBf16Shape;
  using LoadA = Bf16Loader<S::kTile, S::kThreads, a_along_k>;
  using LoadB = Bf16Loader<S::kTile, S::kThreads, b_along_k>;
  static constexpr size_t kSharedBytes = kStages * sizeof(Stage<LoadA, LoadB>);
};

/// The product of the rounded copies a and b; p's own operands are not read.
template <bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(LargeBf16Shape::kThreads, 2)
    bf16_gemm(Product p, const Bf16* a, const Bf16* b) {
  using Large = LargeBf16<a_along_k, b_along_k>;
  const int row = p.row(LargeBf16Shape::kTile);
  const int column = p.column(LargeBf16Shape::kTile);
  const typename Large::LoadA load_a{a, p.M, row, rounded_stride(a_along_k ? p.K : p.M)};
  const typename Large::LoadB load_b{b, p.N, column, rounded_stride(b_along_k ? p.K : p.N)};
  pipelined_product<LargeBf16Shape>(p, load_a, load_b,
                                    Bf16Step<LargeBf16Shape, a_along_k, b_along_k>());
}

// Small products ---------------------------------------------------------------------------------

/// Brings tiles of one operand to shared memory. Rows are 16 bytes longer than needed, which puts
/// the eight rows of an 8 x 8 matrix into different banks.
template <int tile, int threads, bool along_k>
struct RoundingLoader {
  static constexpr int kRows = along_k ? tile : kBf16Depth;
  static constexpr int kFours = (along_k ? kBf16Depth : tile) / 4;  // in a row
  static constexpr int kCount = kRows * kFours / threads;           // of a thread
  using Tile = Bf16Tile<kRows, kFours * 4>;

  const real* from;
  int extent, first;  // of the operand's other index: its end, and where the tile begins
  int64_t stride;
  bool fours;

  /// Where a thread's ith four neighbours lie.
  __device__ static int row_of(int i) {
    const int row = (static_cast<int>(threadIdx.x) + i * threads) / kFours;
    return along_k ? spread_row(row) : row;
  }
  __device__ static int column_of() { return static_cast<int>(threadIdx.x) % kFours * 4; }
  static_assert(threads % kFours == 0);

  __device__ void fetch(Four (&x)[kCount], int k, int k_end) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int row = row_of(i), column = column_of();
      x[i] = along_k ? fetch_four(from, stride, first + row, extent, k + column, k_end, fours)
                     : fetch_four(from, stride, k + row, k_end, first + column, extent, fours);
    }
  }

  __device__ static void store(Tile& to, const Four (&x)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int row = row_of(i), column = column_of();
      *reinterpret_cast<uint2*>(&to[row][column]) =
          make_uint2(pack_bf16(x[i].v[0], x[i].v[1]), pack_bf16(x[i].v[2], x[i].v[3]));
    }
  }
};

template <bool a_along_k, bool b_along_k>
__global__ void __launch_bounds__(SmallBf16Shape::kThreads, 3) bf16_gemm_small(Product p) {
  using S = SmallBf16Shape;
  using LoadA = RoundingLoader<S::kTile, S::kThreads, a_along_k>;
  using LoadB = RoundingLoader<S::kTile, S::kThreads, b_along_k>;
  SHARED(a_tiles, typename LoadA::Tile[2]);
  SHARED(b_tiles, typename LoadB::Tile[2]);
  const Bf16Step<S, a_along_k, b_along_k> multiply;
  const int row = p.row(S::kTile);
  const int column = p.column(S::kTile);
  const LoadA load_a{p.a, p.M, row, a_along_k ? p.K : p.M, p.a_fours};
  const LoadB load_b{p.b, p.N, column, b_along_k ? p.K : p.N, p.b_fours};
  const int k_begin = p.k_begin(), k_end = p.k_end();

  typename S::Sums sum = {};
  Four next_a[LoadA::kCount], next_b[LoadB::kCount];
  load_a.fetch(next_a, k_begin, k_end);
  load_b.fetch(next_b, k_begin, k_end);
  LoadA::store(a_tiles[0], next_a);
  LoadB::store(b_tiles[0], next_b);
  __syncthreads();
  int buffer = 0;
  for (int k = k_begin; k < k_end; k += kBf16Depth) {
    const bool more = k + kBf16Depth < k_end;
    if (more) {
      load_a.fetch(next_a, k + kBf16Depth, k_end);
      load_b.fetch(next_b, k + kBf16Depth, k_end);
    }
    multiply(sum, a_tiles[buffer], b_tiles[buffer], S::warp_row(), S::warp_column());
    if (more) {
      buffer ^= 1;
      LoadA::store(a_tiles[buffer], next_a);
      LoadB::store(b_tiles[buffer], next_b);
      __syncthreads();
    }
  }
  store_fragments<S>(p, row + S::warp_row(), column + S::warp_column(), sum);
}

}  // namespace farsight
