// The two inner loops of the bf16 matrix product: packing and the product of a tile, for processors
// with AVX512-BF16. Everything here is compiled for such a processor, whatever the rest of the
// program is compiled for, and runs only where has_bf16_products() says so.
//
// The instruction vdpbf16ps works on 16 lanes, each a pair of bf16 numbers: it adds
// a0 b0 + a1 b1 to each lane's float. So both operands are packed into panels of 16 lanes (rows of
// op(a) or columns of op(b)): pair p holds k = 2p and 2p + 1 of each lane,
//   panel[p][lane] = (lane's k = 2p in the lower half, k = 2p + 1 in the upper half),
// and zeros stand where the matrix has ended.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

// gcc takes what its own intrinsics leave undefined on purpose for a mistake.
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace farsight {

#define FARSIGHT_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

inline constexpr int64_t kLanes = 16;      // of a panel
inline constexpr int64_t kTileRows = 8;    // half a panel of op(a)
inline constexpr int64_t kTilePanels = 2;  // of op(b)

/// The first n of 16 lanes.
FARSIGHT_BF16 inline __mmask16 first_lanes(int64_t n) {
  return n >= kLanes ? __mmask16(0xffff) : n <= 0 ? __mmask16(0) : __mmask16((1u << n) - 1);
}

/// Pairs of the numbers at `x`, of which `n` are there: 2i and 2i + 1 in lane i.
FARSIGHT_BF16 inline __m512i load_pairs(const float* x, int64_t n) {
  const __m512 low = _mm512_maskz_loadu_ps(first_lanes(n), x);
  const __m512 high = _mm512_maskz_loadu_ps(first_lanes(n - kLanes), x + kLanes);
  return __m512i(_mm512_cvtne2ps_pbh(high, low));
}

/// Turns row i, lane j into row j, lane i: blocks of 2 x 2, of 4 x 4, then of whole quarters.
FARSIGHT_BF16 inline void transpose(__m512i (&x)[16]) {
  __m512i y[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  // Quarter q of x[4g + j] now holds column 4q + j of the rows 4g … 4g + 3.
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i even_low = _mm512_shuffle_i32x4(x[j], x[4 + j], 0x88);
    const __m512i even_high = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(x[j], x[4 + j], 0xdd);
    const __m512i odd_high = _mm512_shuffle_i32x4(x[8 + j], x[12 + j], 0xdd);
    y[j] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    y[4 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    y[8 + j] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    y[12 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
  std::copy(y, y + 16, x);
}

/// Packs `K` numbers of each of `lanes` lanes, lane after lane in memory: x[lane * stride + k].
/// Panels are `panel_size` apart.
FARSIGHT_BF16 inline void pack_lanes(uint32_t* panel, int64_t panel_size, const float* x,
                                     int64_t stride, int64_t lanes, int64_t K) {
  for (; lanes > 0; lanes -= kLanes, x += kLanes * stride, panel += panel_size) {
    for (int64_t k = 0; k < K; k += 2 * kLanes) {
      __m512i pairs[kLanes];
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const float* const from = x + lane * stride + k;
        pairs[lane] = lane < lanes ? load_pairs(from, K - k) : _mm512_setzero_si512();
        _mm_prefetch(from + kLanes * stride, _MM_HINT_T1);  // of the panel after this one
        _mm_prefetch(from + kLanes * stride + kLanes, _MM_HINT_T1);
      }
      transpose(pairs);
      const int64_t count = std::min(kLanes, (K - k + 1) / 2);
      for (int64_t p = 0; p < count; ++p)
        _mm512_storeu_si512(panel + (k / 2 + p) * kLanes, pairs[p]);
    }
  }
}

/// Packs `K` numbers of each of `lanes` lanes, lanes beside each other in memory:
/// x[k * stride + lane]. Panels are `panel_size` apart.
FARSIGHT_BF16 inline void pack_rows(uint32_t* panel, int64_t panel_size, const float* x,
                                    int64_t stride, int64_t lanes, int64_t K) {
  alignas(64) static constexpr uint16_t kInterleave[32] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i interleave = _mm512_load_si512(kInterleave);
  for (int64_t k = 0; k < K; k += 2) {
    const float *const even_row = x + k * stride, *const odd_row = even_row + stride;
    for (int64_t lane = 0; lane < lanes; lane += kLanes) {
      const __mmask16 mask = first_lanes(lanes - lane);
      const __m512 even = _mm512_maskz_loadu_ps(mask, even_row + lane);
      const __m512 odd = _mm512_maskz_loadu_ps(k + 1 < K ? mask : __mmask16(0), odd_row + lane);
      const __m512i halves = __m512i(_mm512_cvtne2ps_pbh(odd, even));
      _mm_prefetch(even_row + 8 * stride + lane, _MM_HINT_T0);  // harmless past the end
      _mm_prefetch(odd_row + 8 * stride + lane, _MM_HINT_T0);
      _mm512_storeu_si512(panel + lane / kLanes * panel_size + k / 2 * kLanes,
                          _mm512_permutexvar_epi16(interleave, halves));
    }
  }
}

/// What becomes of a tile's sums: c = alpha * sum + beta * c + bias + residual. Rows of c and of
/// the residual are `stride` apart; the pointers are the tile's own, and may be null but for c.
struct TileResult {
  float* c;
  int64_t stride;
  float alpha, beta;
  const float *bias, *residual;
  bool past_caches;  // whether stores go straight to memory, which whole aligned tiles can
};

/// Makes the result for at most kTileRows rows and panels * kLanes columns. `a` points to the first
/// of the rows' lanes; the panels of b are `panel_size` apart.
///
/// With two panels 16 sums stay in registers; each step loads 2 vectors of b and 8 single pairs of
/// a for 16 products, fewer loads than the processor can make beside them.
template <int panels>
FARSIGHT_BF16 inline void multiply_tile(const TileResult& result, const uint32_t* a,
                                        const uint32_t* b, int64_t panel_size, int64_t pairs,
                                        int64_t rows, int64_t columns) {
  __m512 sums[kTileRows][panels];
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r)
#pragma GCC unroll 2
    for (int j = 0; j < panels; ++j) sums[r][j] = _mm512_setzero_ps();
  for (int64_t p = 0; p < pairs; ++p) {
    __m512bh from_b[panels];
#pragma GCC unroll 2
    for (int j = 0; j < panels; ++j)
      from_b[j] = __m512bh(_mm512_loadu_si512(b + j * panel_size + p * kLanes));
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const __m512bh pair = __m512bh(_mm512_set1_epi32(static_cast<int>(a[p * kLanes + r])));
#pragma GCC unroll 2
      for (int j = 0; j < panels; ++j) sums[r][j] = _mm512_dpbf16_ps(sums[r][j], pair, from_b[j]);
    }
  }
  const __m512 alpha = _mm512_set1_ps(result.alpha), beta = _mm512_set1_ps(result.beta);
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
    if (r >= rows) break;
#pragma GCC unroll 2
    for (int j = 0; j < panels; ++j) {
      const int64_t at = r * result.stride + j * kLanes;
      const __mmask16 mask = first_lanes(columns - j * kLanes);
      const auto load = [mask](const float* x)
                            FARSIGHT_BF16 { return _mm512_maskz_loadu_ps(mask, x); };
      __m512 sum = _mm512_mul_ps(sums[r][j], alpha);
      if (result.beta != 0) sum = _mm512_fmadd_ps(beta, load(result.c + at), sum);
      if (result.bias) sum = _mm512_add_ps(sum, load(result.bias + j * kLanes));
      if (result.residual) sum = _mm512_add_ps(sum, load(result.residual + at));
      if (result.past_caches)
        _mm512_stream_ps(result.c + at, sum);
      else
        _mm512_mask_storeu_ps(result.c + at, mask, sum);
    }
  }
}

}  // namespace farsight

#ifndef __clang__
#pragma GCC diagnostic pop
#endif
