// Matrix products in bf16 (after Goto & van de Geijn 2008, "Anatomy of high-performance matrix
// multiplication"): three levels of blocks, one for each level of cache.
//
// * A tile of c, 8 x 32, stays in registers while kDepth numbers of k go by: 8 x 2 vectors of sums
//   need 8 + 2 loads for 16 vdpbf16ps. Both panels of b, 2 x 16 x 384 numbers, take 24 KiB and are
//   used for all rows of the block, a panel of a 12 KiB: the first-level cache holds them.
// * A block of c, at most kBlockRows x kBlockColumns and as large as the others, is one thread's
// piece
//   of work: its panels of a and b over kDepth are 192 KiB each, and it itself 256 KiB, within the
//   second-level cache. Rows of c that are a power of 2 apart crowd each other out of it: a tile's
//   are asked for while its sums are made.
// * A slab, up to kSlab in each of M, N and K, is packed by all threads together before they work
//   through its blocks: 8 MiB for each of a and b, in the third-level cache.
//
// A result too large for the caches (logits) that needs no second pass is written past them: else
// each of its lines would be read from memory first.
//
// Packing rounds to bf16 and brings pairs of k together. It reads each number once per slab: of
// M K + K N numbers for 2 M N K operations. Nothing is gained by keeping packed weights from one
// product to the next: a step uses a weight twice, once along each of its sides.
#include "core/cpu/gemm_bf16.h"

#include <omp.h>

#include <algorithm>

#include "core/backend.h"
#include "core/buffer.h"

#if defined(__x86_64__)
#include "core/cpu/bf16_tile.h"
#endif

namespace farsight {

#if defined(__x86_64__)

namespace {

constexpr int64_t kDepth = 384;
constexpr int64_t kBlockRows = 256, kBlockColumns = 256;
constexpr int64_t kSlab = 2048;
constexpr int64_t kCached = int64_t{1} << 22;  // elements of c that caches may hold until read
constexpr int64_t kPackLanes = 128;  // lanes that a thread packs at once: neighbours in memory

int64_t divide_up(int64_t n, int64_t size) { return (n + size - 1) / size; }

/// The size of pieces of n, all but the last the same, a multiple of `unit`.
int64_t piece(int64_t n, int64_t pieces, int64_t unit) {
  return divide_up(divide_up(n, pieces), unit) * unit;
}

/// One operand of a product: rows of op(a) or columns of op(b), each of K numbers.
struct Matrix {
  const float* x;
  int64_t stride;     // between lanes, or between k if lanes are neighbours
  bool lanes_beside;  // x[k * stride + lane] in place of x[lane * stride + k]

  const float* at(int64_t lane, int64_t k) const {
    return lanes_beside ? x + k * stride + lane : x + lane * stride + k;
  }
};

/// A part of an operand, packed: one depth of k after the other, in each the panels side by side,
/// so that what a block reads at a time lies together.
struct Slab {
  uint32_t* memory;
  int64_t lanes, K;

  /// Numbers of k that are packed side by side, the same for all but the last part.
  int64_t depth() const { return piece(K, divide_up(K, kDepth), 2); }

  /// An odd number of panels gets one more, which the last tile reads and nobody stores.
  int64_t panels() const { return divide_up(lanes, kTilePanels * kLanes) * kTilePanels; }
  int64_t pairs(int64_t k) const { return divide_up(std::min(depth(), K - k), 2); }
  /// The panel of a lane at k, a multiple of the depth.
  uint32_t* panel(int64_t lane, int64_t k) const {
    return memory + k / 2 * kLanes * panels() + lane * pairs(k);
  }
  size_t bytes() const { return sizeof(uint32_t) * divide_up(K, 2) * kLanes * panels(); }
};

/// By the threads of a parallel region together: the operand from (lane, k) on into the slab.
FARSIGHT_BF16 void pack(const Slab& slab, const Matrix& from, int64_t lane, int64_t k) {
  const int64_t depth = slab.depth();
  const int64_t strips = divide_up(slab.lanes, kPackLanes), depths = divide_up(slab.K, depth);
  const auto pack_strip = from.lanes_beside ? pack_rows : pack_lanes;
  // Rows of memory, which are tokens, stay with the thread that made them.
  const int64_t next_strip = from.lanes_beside ? 1 : depths;
  const int64_t next_depth = from.lanes_beside ? strips : 1;
#pragma omp for schedule(static)
  for (int64_t unit = 0; unit < strips * depths; ++unit) {
    const int64_t begin = unit / next_depth % depths * depth;
    const int64_t first = unit / next_strip % strips * kPackLanes;
    pack_strip(slab.panel(first, begin), slab.pairs(begin) * kLanes,
               from.at(lane + first, k + begin), from.stride,
               std::min(kPackLanes, slab.lanes - first), std::min(depth, slab.K - begin));
  }
}

struct BlockSize {
  int64_t high, wide;
};

/// Blocks as even as can be, small enough for the caches, of which the thread with the most has the
/// least to do: the product itself, and the panels at a block's edges to bring from afar.
BlockSize block_size(int64_t rows, int64_t columns, int64_t threads) {
  constexpr int64_t kEdge = 16;  // what a row or column costs, in elements
  constexpr int64_t kTileColumns = kTilePanels * kLanes;
  BlockSize best{};
  int64_t least = INT64_MAX;
  const auto more = [](int64_t pieces) { return pieces + 1 + pieces / 4; };
  for (int64_t down = divide_up(rows, kBlockRows); down <= divide_up(rows, kLanes);
       down = more(down)) {
    for (int64_t across = divide_up(columns, kBlockColumns);
         across <= divide_up(columns, kTileColumns); across = more(across)) {
      const int64_t high = piece(rows, down, kLanes), wide = piece(columns, across, kTileColumns);
      const int64_t blocks = divide_up(rows, high) * divide_up(columns, wide);
      const int64_t cost = divide_up(blocks, threads) * (high * wide + kEdge * (high + wide));
      if (cost < least) best = {high, wide};
      least = std::min(least, cost);
    }
  }
  return best;
}

/// The part of a result that begins at row m and column n.
TileResult part(const TileResult& all, int64_t m, int64_t n) {
  const int64_t at = m * all.stride + n;
  return {all.c + at,
          all.stride,
          all.alpha,
          all.beta,
          all.bias ? all.bias + n : nullptr,
          all.residual ? all.residual + at : nullptr,
          all.past_caches};
}

/// The result when some of the sum is there already.
TileResult sum_on(const TileResult& all) {
  return {all.c, all.stride, all.alpha, 1, nullptr, nullptr, false};
}

/// Brings what a tile's sums will be added to into the first-level cache while they are made.
FARSIGHT_BF16 void prefetch(const TileResult& tile, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    _mm_prefetch(tile.c + r * tile.stride, _MM_HINT_ET0);
    _mm_prefetch(tile.c + r * tile.stride + kLanes, _MM_HINT_ET0);
  }
}

/// The block of the result whose first row and column in the slabs are m0 and n0.
FARSIGHT_BF16 void multiply_block(const TileResult& block, const Slab& a, const Slab& b, int64_t m0,
                                  int64_t n0, int64_t rows, int64_t columns) {
  for (int64_t k = 0; k < a.K; k += a.depth()) {
    const int64_t pairs = a.pairs(k), panel_size = pairs * kLanes;
    const uint32_t *const a_panels = a.panel(m0, k), *const b_panels = b.panel(n0, k);
    for (int64_t n = 0; n < columns; n += kTilePanels * kLanes) {
      for (int64_t m = 0; m < rows; m += kTileRows) {
        const TileResult tile = part(block, m, n);
        if (!tile.past_caches) prefetch(tile, std::min(kTileRows, rows - m));
        multiply_tile<kTilePanels>(
            k == 0 ? tile : sum_on(tile), a_panels + m / kLanes * panel_size + m % kLanes,
            b_panels + n / kLanes * panel_size, panel_size, pairs, rows - m, columns - n);
      }
    }
  }
  if (block.past_caches) _mm_sfence();  // before other threads are told that it is there
}

}  // namespace

bool has_bf16_products() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw");
}

void gemm_bf16(float* c, const float* a, const float* b, bool ta, bool tb, int64_t M, int64_t N,
               int64_t K, float alpha, float beta, const float* bias, const float* residual) {
  const bool past_caches = M * N > kCached && beta == 0 && K <= kDepth && M % kTileRows == 0 &&
                           N % (kTilePanels * kLanes) == 0 &&
                           reinterpret_cast<uintptr_t>(c) % 64 == 0;
  const TileResult result{c, N, alpha, beta, bias, residual, past_caches};
  const Matrix left{a, ta ? M : K, ta}, right{b, tb ? K : N, !tb};
  Slab a_slab{nullptr, std::min(M, kSlab), std::min(K, kSlab)};
  Slab b_slab{nullptr, std::min(N, kSlab), std::min(K, kSlab)};
  const Buffer a_memory(a_slab.bytes(), cpu_backend()), b_memory(b_slab.bytes(), cpu_backend());
  a_slab.memory = static_cast<uint32_t*>(a_memory.data());
  b_slab.memory = static_cast<uint32_t*>(b_memory.data());

#pragma omp parallel firstprivate(a_slab, b_slab)
  for (int64_t n0 = 0; n0 < N; n0 += kSlab) {
    for (int64_t k0 = 0; k0 < K; k0 += kSlab) {
      b_slab.lanes = std::min(kSlab, N - n0);
      a_slab.K = b_slab.K = std::min(kSlab, K - k0);
      pack(b_slab, right, n0, k0);
      for (int64_t m0 = 0; m0 < M; m0 += kSlab) {
        a_slab.lanes = std::min(kSlab, M - m0);
        pack(a_slab, left, m0, k0);
        const BlockSize size = block_size(a_slab.lanes, b_slab.lanes, omp_get_num_threads());
        const int64_t across = divide_up(b_slab.lanes, size.wide);
        const int64_t count = divide_up(a_slab.lanes, size.high) * across;
#pragma omp for schedule(static)
        for (int64_t block = 0; block < count; ++block) {
          const int64_t m = block / across * size.high, n = block % across * size.wide;
          const TileResult to = part(result, m0 + m, n0 + n);
          multiply_block(k0 == 0 ? to : sum_on(to), a_slab, b_slab, m, n,
                         std::min(size.high, a_slab.lanes - m),
                         std::min(size.wide, b_slab.lanes - n));
        }
      }
    }
  }
}

#else

bool has_bf16_products() { return false; }
void gemm_bf16(float*, const float*, const float*, bool, bool, int64_t, int64_t, int64_t, float,
               float, const float*, const float*) {}

#endif

}  // namespace farsight
