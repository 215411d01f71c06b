// Which kernel makes a matrix product: fp32 on the ordinary units (gemm_simt.cuh), bf16 or TF32 on
// tensor cores (gemm_bf16.cuh, gemm_tf32.cuh), in large tiles if those fill the device, else small;
// for a token's few rows gemm_thin.cuh.
//
// A product of few tiles and a long inner dimension (a weight's gradient) is split along k: partial
// products go to scratch memory, and a second kernel adds them in order.
#include "cuda/cuda_backend.h"
#include "cuda/gemm_bf16.cuh"
#include "cuda/gemm_simt.cuh"
#include "cuda/gemm_tf32.cuh"
#include "cuda/gemm_thin.cuh"

namespace farsight {
namespace {

constexpr int kThreads = 256;

/// c = beta * c + the sum of the splits' partial products, with the epilogue; `rounded` as
/// Product's.
__global__ void __launch_bounds__(kThreads)
    add_splits(real* c, const real* partial, int64_t n, int64_t N, int64_t splits, real beta,
               Epilogue epilogue, Bf16* rounded) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  real total = 0;
  for (int64_t s = 0; s < splits; ++s) total += partial[s * n + i];
  if (beta != 0) total += beta * c[i];
  if (epilogue.bias) total += epilogue.bias[i % N];
  if (epilogue.residual) total += epilogue.residual[i];
  c[i] = total;
  if (!epilogue.gelu) return;
  const real y = gelu_of(total, epilogue.kind);
  epilogue.gelu[i] = y;
  if (rounded) store_rounded<1>(rounded, i / N, static_cast<int>(i % N), static_cast<int>(N), &y);
}

/// Starts the kernel for a product. `copies` are its operands rounded where bf16_gemm is to make
/// it, else null.
template <bool a_along_k, bool b_along_k>
void start_product(const Queue& queue, const Product& p, Precision precision, bool large, dim3 grid,
                   const Bf16* const (&copies)[2]) {
  if constexpr (std::is_same_v<real, float>) {
    if (precision == Precision::kBf16) {
      if (large)
        return queue.start(bf16_gemm<a_along_k, b_along_k>, grid, LargeBf16Shape::kThreads,
                           LargeBf16<a_along_k, b_along_k>::kSharedBytes, p, copies[0], copies[1]);
      return queue.start(bf16_gemm_small<a_along_k, b_along_k>, grid, SmallBf16Shape::kThreads, 0,
                         p);
    }
    if (precision == Precision::kTf32) {
      if (large)
        return queue.start(tf32_gemm<LargeTf32Shape, a_along_k, b_along_k>, grid,
                           LargeTf32Shape::kThreads,
                           Tf32Product<LargeTf32Shape, a_along_k, b_along_k>::kSharedBytes, p);
      return queue.start(tf32_gemm<SmallTf32Shape, a_along_k, b_along_k>, grid,
                         SmallTf32Shape::kThreads,
                         Tf32Product<SmallTf32Shape, a_along_k, b_along_k>::kSharedBytes, p);
    }
    if (large)
      return queue.start(simt_gemm<128, 8, a_along_k, b_along_k>, grid, kSimtThreads, 0, p);
  }
  queue.start(simt_gemm<64, 16, a_along_k, b_along_k>, grid, kSimtThreads, 0, p);
}

/// Into how many parts of at least 256 to split a product along k so that it takes the least time.
/// Blocks go to the multiprocessors in turn, and the last turn takes as long as if it were full; a
/// block that is alone on one takes half as long again as beside another, which works while it
/// waits. A block's time is counted in steps of 32 along k: those of its part, and what it takes to
/// begin and, if parts have to be added, to store one and read it again.
int64_t best_splits(int64_t tiles, int64_t K, int64_t processors) {
  constexpr int64_t kBegin = 4, kAdd = 8, kMost = 64;
  int64_t best = 1, least = std::numeric_limits<int64_t>::max();
  for (int64_t splits = 1; splits <= std::max<int64_t>(1, std::min(K / 256, kMost)); ++splits) {
    const int64_t steps = blocks_of(K, splits * 32) + kBegin + (splits > 1 ? kAdd : 0);
    const int64_t turns = blocks_of(tiles * splits, processors);
    const int64_t time = std::max<int64_t>(3, 2 * turns) * steps;  // halves of a turn's
    if (time < least) best = splits;
    least = std::min(least, time);
  }
  return best;
}

constexpr int64_t kNotWorthRounding = 128;  // rows of a result in one row of tiles

/// How a product is cut into blocks.
struct Plan {
  bool large;            // tiles of 128 x 128, not of 64 x 64
  int64_t down, across;  // tiles
  bool across_first;     // as Product's
  int64_t k_per_split, splits;

  Plan(int64_t M, int64_t N, int64_t K, int64_t processors, Precision precision) {
    const int64_t large_tiles = blocks_of(M, 128) * blocks_of(N, 128);
    // Rounding an operand beforehand does not pay if it is read once.
    const int64_t too_short = precision == Precision::kBf16 ? kNotWorthRounding : 64;
    large = std::is_same_v<real, float> && std::min(M, N) > too_short &&
            large_tiles * best_splits(large_tiles, K, processors) >= processors;
    const int64_t tile = large ? 128 : 64;
    down = blocks_of(M, tile);
    across = blocks_of(N, tile);
    check(std::min(down, across) <= 65535 && std::max({M, N, K}) < (int64_t{1} << 30),
          "a matrix product of ", M, " x ", N, " x ", K,
          " is larger than a grid; use a smaller model");
    // Blocks that run together then need all of the shorter side and little of the longer, which
    // comes from memory once.
    across_first = std::max(down, across) <= 65535 ? across < down : down < across;
    k_per_split =
        blocks_of(std::max<int64_t>(K, 1), best_splits(down * across, K, processors) * 32) * 32;
    splits = std::max<int64_t>(1, blocks_of(K, k_per_split));
  }

  dim3 grid() const {
    return dim3(grid_x(across_first ? across : down, 1), grid_yz(across_first ? down : across),
                static_cast<unsigned>(splits));
  }
};

}  // namespace

const Bf16* CudaBackend::rounded(const Operand& x, int64_t rows, int64_t columns,
                                 RoundedCopy& scratch) {
  RoundedCopy* copy = x.rounded ? x.rounded : &scratch;
  // Rows of other lengths lie alike if none of them is padded.
  const auto padded = [](int64_t length) { return rounded_stride(length) != length; };
  if (copy->memory && copy->columns != columns && (padded(columns) || padded(copy->columns)))
    copy = &scratch;
  if (!copy->memory) {
    const int64_t pieces = rows * rounded_stride(columns) / 8;
    *copy = {Buffer(pieces * sizeof(uint4), *this), columns};
    queue_.start(round_rows, grid_x(pieces, kRoundThreads), kRoundThreads, 0,
                 static_cast<Bf16*>(copy->memory.data()), x.data, pieces, static_cast<int>(columns),
                 columns % 4 == 0 && aligned(x.data));
  }
  return static_cast<const Bf16*>(copy->memory.data());
}

Bf16* CudaBackend::to_round(RoundedCopy* copy, int64_t rows, int64_t columns) {
  if (!copy || precision_ != Precision::kBf16 || rows <= kNotWorthRounding) return nullptr;
  *copy = {Buffer(rows * rounded_stride(columns) * sizeof(Bf16), *this), columns};
  return static_cast<Bf16*>(copy->memory.data());
}

void CudaBackend::gemm(real* c, const Operand& a, const Operand& b, bool ta, bool tb, int64_t M,
                       int64_t N, int64_t K, real alpha, real beta, const Epilogue& epilogue) {
  if (M * N == 0) return;
  count_flops(2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K));
  const Plan plan(M, N, K, device_.multiProcessorCount, precision_);
  Bf16* const gelu_copy = epilogue.gelu ? to_round(epilogue.rounded, M, N) : nullptr;
  const bool thin = !ta && tb && M <= kThinRows, splitting = !thin && plan.splits > 1;
  Scratch<real> partial(splitting ? plan.splits * M * N : 0, *this);
  Product p{splitting ? partial.data() : c,
            a.data,
            b.data,
            static_cast<int>(M),
            static_cast<int>(N),
            static_cast<int>(K),
            alpha,
            splitting ? 0 : beta,
            static_cast<int>(plan.k_per_split),
            (ta ? M : K) % 4 == 0 && aligned(a.data),
            (tb ? K : N) % 4 == 0 && aligned(b.data),
            false,
            plan.across_first,
            splitting ? Epilogue{} : epilogue,
            splitting ? nullptr : gelu_copy};
  p.c_fours = N % 4 == 0 && aligned(p.c, epilogue.bias, epilogue.residual, epilogue.gelu);
  if (thin) return queue_.start(thin_gemm, grid_x(N, kThinThreads / kWarp), kThinThreads, 0, p);

  RoundedCopy a_scratch, b_scratch;
  const bool rounding = plan.large && precision_ == Precision::kBf16 && K > 0;
  const Bf16* const copies[] = {rounding ? rounded(a, ta ? K : M, ta ? M : K, a_scratch) : nullptr,
                                rounding ? rounded(b, tb ? N : K, tb ? K : N, b_scratch) : nullptr};
  const auto start = ta ? (tb ? start_product<false, true> : start_product<false, false>)
                        : (tb ? start_product<true, true> : start_product<true, false>);
  start(queue_, p, precision_, plan.large, plan.grid(), copies);
  if (splitting)
    queue_.start(add_splits, grid_x(M * N, kThreads), kThreads, 0, c, partial.data(), M * N, N,
                 plan.splits, beta, epilogue, gelu_copy);
}

}  // namespace farsight
