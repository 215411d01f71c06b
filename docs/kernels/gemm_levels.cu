// Matrix product, level by level: see docs/kernels.md. The last level is cuda/gemm_simt.cuh, and
// cuda/gemm_bf16.cuh on tensor cores.
#include "cuda/fragments.cuh"
#include "docs/kernels/levels.h"

namespace farsight::levels {
namespace {

// Level 1. Each element's thread reads a row of a and a column of b: 2 K floats for K
// multiply-adds.

__global__ void naive(float* c, const float* a, const float* b, int N, int K) {
  const int m = blockIdx.y * 16 + threadIdx.x / 16, n = blockIdx.x * 16 + threadIdx.x % 16;
  float sum = 0;
  for (int k = 0; k < K; ++k) sum += a[m * K + k] * b[k * N + n];
  c[m * N + n] = sum;
}

// Level 2. A block brings a tile of a and one of b to shared memory and uses each of their floats
// 32 times: global memory is read 32 times less.

constexpr int kSide = 32;

__global__ void tiled(float* c, const float* a, const float* b, int N, int K) {
  SHARED(a_tile, float[kSide][kSide]);
  SHARED(b_tile, float[kSide][kSide]);
  const int x = threadIdx.x % kSide, y = threadIdx.x / kSide;
  const int m = blockIdx.y * kSide + y, n = blockIdx.x * kSide + x;
  float sum = 0;
  for (int k = 0; k < K; k += kSide) {
    a_tile[y][x] = a[m * K + k + x];
    b_tile[y][x] = b[(k + y) * N + n];
    __syncthreads();  // the tiles are complete
    for (int i = 0; i < kSide; ++i) sum += a_tile[y][i] * b_tile[i][x];
    __syncthreads();  // nobody needs them any more
  }
  c[m * N + n] = sum;
}

// Level 3. In level 2 each multiply-add loads two floats from shared memory, which then is the
// limit. A thread that keeps 4 x 4 sums loads 8 floats for 16 multiply-adds.

__global__ void registers(float* c, const float* a, const float* b, int N, int K) {
  constexpr int kTile = 64, kDepth = 16;
  // a's tile lies transposed, so that a thread's four rows are neighbours; 4 more floats a row let
  // the threads that store a column of it meet other banks.
  SHARED(a_tile, float[kDepth][kTile + 4]);
  SHARED(b_tile, float[kDepth][kTile + 4]);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  const int row = blockIdx.y * kTile, column = blockIdx.x * kTile;
  float sum[4][4] = {};
  for (int k = 0; k < K; k += kDepth) {
    for (int i = threadIdx.x; i < kTile * kDepth; i += 256) {
      a_tile[i % kDepth][i / kDepth] = a[(row + i / kDepth) * K + k + i % kDepth];
      b_tile[i / kTile][i % kTile] = b[(k + i / kTile) * N + column + i % kTile];
    }
    __syncthreads();
    for (int step = 0; step < kDepth; ++step) {
      const float4 a4 = *reinterpret_cast<const float4*>(&a_tile[step][ty * 4]);
      const float4 b4 = *reinterpret_cast<const float4*>(&b_tile[step][tx * 4]);
      const float as[4] = {a4.x, a4.y, a4.z, a4.w}, bs[4] = {b4.x, b4.y, b4.z, b4.w};
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sum[i][j] += as[i] * bs[j];
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) c[(row + ty * 4 + i) * N + column + tx * 4 + j] = sum[i][j];
}

// Level 4. A warp multiplies (16, 16) by (16, 8) in one instruction. Four warps share the tile, 32
// x 32 each: two fragments of a and four of b give eight products.

__global__ void tensor(float* c, const float* a, const float* b, int N, int K) {
  constexpr int kTile = 64, kDepth = 16;
  SHARED(a_tile, Bf16Tile<kTile, kDepth>);
  SHARED(b_tile, Bf16Tile<kDepth, kTile>);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
  const int row = blockIdx.y * kTile, column = blockIdx.x * kTile;
  float sum[2][4][4] = {};
  for (int k = 0; k < K; k += kDepth) {
    for (int i = threadIdx.x; i < kTile * kDepth; i += 128) {
      const float x = a[(row + i / kDepth) * K + k + i % kDepth];
      const float y = b[(k + i / kTile) * N + column + i % kTile];
      a_tile[i / kDepth][i % kDepth].bits = static_cast<uint16_t>(round_to_bf16(x));
      b_tile[i / kTile][i % kTile].bits = static_cast<uint16_t>(round_to_bf16(y));
    }
    __syncthreads();
    uint32_t as[2][4], bs[2][4];
    for (int i = 0; i < 2; ++i) load_a(as[i], a_tile, warp_row + i * 16, 0);
    for (int j = 0; j < 2; ++j) load_b(bs[j], b_tile, warp_column + j * 16, 0);
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 4; ++j) multiply(sum[i][j], as[i], bs[j / 2], j % 2);
    __syncthreads();
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int e = 0; e < 4; ++e) {
        const int m = row + warp_row + i * 16 + lane / 4 + e / 2 * 8;
        const int n = column + warp_column + j * 8 + lane % 4 * 2 + e % 2;
        c[m * N + n] = sum[i][j][e];
      }
}

/// Starts a kernel on a grid of tiles and waits for it.
void run(void (*kernel)(float*, const float*, const float*, int, int), int tile, int threads,
         float* c, const float* a, const float* b, int M, int N, int K) {
  gpu::launch(kernel, dim3(N / tile, M / tile), dim3(threads), 0, nullptr, c, a, b, N, K);
  cudaDeviceSynchronize();
}

}  // namespace

void gemm_naive(float* c, const float* a, const float* b, int M, int N, int K) {
  run(naive, 16, 256, c, a, b, M, N, K);
}
void gemm_tiled(float* c, const float* a, const float* b, int M, int N, int K) {
  run(tiled, kSide, kSide * kSide, c, a, b, M, N, K);
}
void gemm_registers(float* c, const float* a, const float* b, int M, int N, int K) {
  run(registers, 64, 256, c, a, b, M, N, K);
}
void gemm_tensor(float* c, const float* a, const float* b, int M, int N, int K) {
  run(tensor, 64, 128, c, a, b, M, N, K);
}

}  // namespace farsight::levels
