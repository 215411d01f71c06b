// bf16: the upper half of a float, 8 bits of exponent and 7 of mantissa.
#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/gpu.h"

namespace farsight {

struct Bf16 {
  uint16_t bits;
};

/// The nearest bf16, ties to even; NaN stays NaN.
__host__ __device__ inline uint32_t round_to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}

/// Elements from one row of a rounded copy of a matrix to the next: rows are padded with zeros to
/// 16 bytes.
__host__ __device__ constexpr int64_t rounded_stride(int64_t columns) {
  return (columns + 7) / 8 * 8;
}

/// The nearest bf16 as a float.
__device__ inline float through_bf16(float x) {
  const uint32_t bits = round_to_bf16(x) << 16;
  float y;
  memcpy(&y, &bits, sizeof y);
  return y;
}

/// Two neighbours in one register, the first in the lower half.
__device__ inline uint32_t pack_bf16(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  return round_to_bf16(first) | round_to_bf16(second) << 16;
#endif
}

/// `count` neighbours of a row of a rounded copy of a matrix with N columns. Whoever stores the
/// last one pads the row.
template <int count, class T>
__device__ void store_rounded(Bf16* copy, int64_t row, int column, int N, const T* x) {
  const int stride = static_cast<int>(rounded_stride(N));
  Bf16* const to = copy + row * stride + column;
  if constexpr (count % 2 == 0) {
    for (int j = 0; j < count; j += 2)
      *reinterpret_cast<uint32_t*>(to + j) =
          pack_bf16(static_cast<float>(x[j]), static_cast<float>(x[j + 1]));
  } else {
    for (int j = 0; j < count; ++j)
      to[j].bits = static_cast<uint16_t>(round_to_bf16(static_cast<float>(x[j])));
  }
  if (column + count == N)
    for (int j = count; column + j < stride; ++j) to[j].bits = 0;
}

}  // namespace farsight
