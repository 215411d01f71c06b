// What the kernels of gemm.cu share: the product to be made, and how its tiles come from memory.
#pragma once

#include "cuda/bf16.h"
#include "cuda/gelu.h"
#include "cuda/kernel.h"

namespace farsight {

/// c (M, N) = alpha * op(a) op(b) + beta * c with the epilogue, over the inner indices of split
/// blockIdx.z. With several splits c is the first of as many partial products, without beta and
/// epilogue.
struct Product {
  real* c;
  const real *a, *b;
  int M, N, K;  // 32 bits, since registers are dear
  real alpha, beta;
  int k_per_split;
  bool a_fours, b_fours, c_fours;  // whether rows can be moved four numbers at a time
  bool across_first;  // whether successive blocks make tiles side by side, not below each other
  Epilogue epilogue;
  Bf16* rounded;  // gets the epilogue's GELU, rounded, if not null

  /// The block's tile of c begins here.
  __device__ int row(int tile) const {
    return static_cast<int>(across_first ? blockIdx.y : blockIdx.x) * tile;
  }
  __device__ int column(int tile) const {
    return static_cast<int>(across_first ? blockIdx.x : blockIdx.y) * tile;
  }

  __device__ int k_begin() const { return static_cast<int>(blockIdx.z) * k_per_split; }
  __device__ int k_end() const { return min(K, k_begin() + k_per_split); }
};

/// Four neighbours of a row-major matrix with rows of `stride`, of which (row, column) is the
/// first; zeros beyond (row_end, column_end).
__device__ inline Four fetch_four(const real* from, int64_t stride, int row, int row_end,
                                  int column, int column_end, bool fours) {
  Four x{{0, 0, 0, 0}};
  if (row >= row_end) return x;
  const real* at = from + row * stride + column;
  if (fours && column + 4 <= column_end) return load_four(at);
  for (int j = 0; j < 4; ++j)
    if (column + j < column_end) x.v[j] = at[j];
  return x;
}

/// What the epilogue's `gelu` gets for a number of c. Not inlined into the dozens of places where a
/// thread stores its sums: the instructions would not fit their cache.
[[gnu::noinline]] __device__ inline real gelu_of(real y, Map kind) {
  return kind == Map::kGelu ? Gelu::value(y) : GeluTanh::value(y);
}

/// c = alpha * x + beta * c with the epilogue for `count` neighbours of a row of c that start at
/// `column`.
template <int count>
__device__ void store_product(const Product& p, int row, int column, const real* x) {
  if (row >= p.M) return;
  using Group = Neighbours<count>;
  const int64_t at = static_cast<int64_t>(row) * p.N + column;
  real* to = p.c + static_cast<int64_t>(blockIdx.z) * p.M * p.N + at;
  if (p.c_fours && column + count <= p.N) {
    Group y{};
    if (p.beta != 0) y = *reinterpret_cast<Group*>(to);  // else what is there may be NaN
    for (int j = 0; j < count; ++j) y.v[j] = p.alpha * x[j] + p.beta * y.v[j];
    for (const real* addend : {p.epilogue.bias ? p.epilogue.bias + column : nullptr,
                               p.epilogue.residual ? p.epilogue.residual + at : nullptr}) {
      if (!addend) continue;
      const Group more = *reinterpret_cast<const Group*>(addend);
      for (int j = 0; j < count; ++j) y.v[j] += more.v[j];
    }
    *reinterpret_cast<Group*>(to) = y;
    if (p.epilogue.gelu) {
      for (int j = 0; j < count; ++j) y.v[j] = gelu_of(y.v[j], p.epilogue.kind);
      *reinterpret_cast<Group*>(p.epilogue.gelu + at) = y;
      if (p.rounded) store_rounded<count>(p.rounded, row, column, p.N, y.v);
    }
  } else {
    for (int j = 0; j < count && column + j < p.N; ++j) {
      real y = p.alpha * x[j] + (p.beta != 0 ? p.beta * to[j] : 0);
      if (p.epilogue.bias) y += p.epilogue.bias[column + j];
      if (p.epilogue.residual) y += p.epilogue.residual[at + j];
      to[j] = y;
      if (!p.epilogue.gelu) continue;
      y = gelu_of(y, p.epilogue.kind);
      p.epilogue.gelu[at + j] = y;
      if (p.rounded) store_rounded<1>(p.rounded, row, column + j, p.N, &y);
    }
  }
}

}  // namespace farsight
