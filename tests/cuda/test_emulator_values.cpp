// What the emulated operations compute, and what the runtime API answers.
#include <cstring>
#include <numeric>

#include "tests/cuda/emulator_tests.h"

namespace {

using namespace farsight::gpu;

constexpr unsigned kAll = 0xffffffffu;

__global__ void shuffles(int* y) {
  const unsigned lane = threadIdx.x;
  const int x = static_cast<int>(lane) * 10;
  y[lane] = __shfl_sync(kAll, x, 5);
  y[lane + 32] = __shfl_xor_sync(kAll, x, 6);
  y[lane + 64] = __shfl_up_sync(kAll, x, 3);
  y[lane + 96] = __shfl_down_sync(kAll, x, 3);
  y[lane + 128] = __shfl_xor_sync(kAll, x, 9, 8);
  y[lane + 160] = __shfl_down_sync(kAll, x, 5, 8);
  y[lane + 192] = static_cast<int>(__shfl_sync(kAll, 0.5 * lane, 31) * 2);
  y[lane + 224] = static_cast<int>(__ballot_sync(kAll, lane % 3 == 0));
}

__global__ void votes(int* y) {
  const int n = static_cast<int>(threadIdx.x);
  const int results[] = {__syncthreads_count(n < 5), __syncthreads_and(n < 40),
                         __syncthreads_or(n == 39)};
  if (n < 32) y[3 + n] = __any_sync(kAll, n == 7) + 2 * __all_sync(kAll, n == 7);
  if (n < 3) y[n] = results[n];
}

__global__ void count(unsigned* at, float* sum, int* largest) {
  const int number = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(at, 2u);
  atomicAdd(sum, 1.0f);
  atomicMax(largest, number);
  atomicCAS(at + 1, 0u, 7u);
}

/// d += a b by one warp; a (16, depth) and b (depth, 8) row by row, with ldmatrix for bf16.
__global__ void multiply_bf16(float* d, const uint16_t* a, const uint16_t* b, int how) {
  SHARED(tile_a, uint16_t[16][16]);
  SHARED(tile_b, uint16_t[16][8]);
  SHARED(turned_b, uint16_t[8][16]);
  const unsigned lane = threadIdx.x, group = lane / 4, first = lane % 4 * 2;
  for (unsigned i = lane; i < 256; i += 32) tile_a[i / 16][i % 16] = a[i];
  for (unsigned i = lane; i < 128; i += 32) tile_b[i / 8][i % 8] = turned_b[i % 8][i / 8] = b[i];
  __syncwarp();
  uint32_t x[4], y[2], four[4];
  ldmatrix_x4(x, &tile_a[lane % 16][lane / 16 * 8]);
  if (how == 0) ldmatrix_x2_trans(y, &tile_b[lane % 16][0]);
  if (how == 1) ldmatrix_x2(y, &turned_b[lane % 8][lane / 8 % 2 * 8]);
  if (how == 2) {
    ldmatrix_x4_trans(four, &tile_b[lane % 16][0]);
    y[0] = four[2], y[1] = four[3];
  }
  float sum[4];
  for (unsigned i = 0; i < 4; ++i) sum[i] = d[(group + i / 2 * 8) * 8 + first + i % 2];
  mma_bf16_16816(sum, x, y);
  for (unsigned i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + first + i % 2] = sum[i];
}

__global__ void multiply_tf32(float* d, const float* a, const float* b) {
  const unsigned lane = threadIdx.x, group = lane / 4, column = lane % 4;
  uint32_t x[4], y[2];
  for (unsigned i = 0; i < 4; ++i)
    x[i] = round_to_tf32(a[(group + i % 2 * 8) * 8 + column + i / 2 * 4]);
  for (unsigned i = 0; i < 2; ++i) y[i] = round_to_tf32(b[(column + i * 4) * 8 + group]);
  float sum[4];
  for (unsigned i = 0; i < 4; ++i) sum[i] = d[(group + i / 2 * 8) * 8 + column * 2 + i % 2];
  mma_tf32_1688(sum, x, y);
  for (unsigned i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + column * 2 + i % 2] = sum[i];
}

__global__ void nothing() {}
__global__ void use_shared(int64_t last) {
  DYN_SHARED(char, bytes);
  bytes[last] = 1;
}
__global__ void use_both() {
  SHARED(values, float[1024]);
  values[0] = 1;
}

std::vector<float> product(std::vector<float> d, const std::vector<float>& a,
                           const std::vector<float>& b, size_t depth) {
  for (size_t i = 0; i < 16; ++i)
    for (size_t j = 0; j < 8; ++j)
      for (size_t k = 0; k < depth; ++k) d[i * 8 + j] += a[i * depth + k] * b[k * 8 + j];
  return d;
}

std::vector<uint16_t> as_bf16(const std::vector<float>& x) {
  std::vector<uint16_t> y;
  for (const float value : x) y.push_back(static_cast<uint16_t>(__float_as_uint(value) >> 16));
  return y;
}

/// The emulator's defaults again at the end of a test.
struct Fresh {
  ~Fresh() { emulator::reset(); }
};

}  // namespace

TEST_CASE("emulator: shuffles and votes", "[emulator]") {
  const OnDevice<int> y(256), z(35);
  start(shuffles, 1, 32, y.data());
  const std::vector<int> values = y.values();
  for (int lane = 0; lane < 32; ++lane) {
    const auto row = [&](int i) { return values[static_cast<size_t>(i * 32 + lane)]; };
    CHECK(row(0) == 50);
    CHECK(row(1) == (lane ^ 6) * 10);
    CHECK(row(2) == (lane < 3 ? lane : lane - 3) * 10);
    CHECK(row(3) == (lane > 28 ? lane : lane + 3) * 10);
    // A lane of an earlier segment can be read, one of a later segment cannot.
    CHECK(row(4) == ((lane ^ 9) > (lane | 7) ? lane : lane ^ 9) * 10);
    CHECK(row(5) == (lane % 8 > 2 ? lane : lane + 5) * 10);
    CHECK(row(6) == 31);
    CHECK(row(7) == 0x49249249);
  }
  start(votes, 1, 40, z.data());
  std::vector<int> expected(35, 1);
  expected[0] = 5;
  CHECK(z.values() == expected);
}

TEST_CASE("emulator: atomics", "[emulator]") {
  const OnDevice<unsigned> at(std::vector<unsigned>{0, 0});
  const OnDevice<float> sum(std::vector<float>{0});
  const OnDevice<int> largest(std::vector<int>{-1});
  start(count, 3, 50, at.data(), sum.data(), largest.data());
  CHECK(at.values() == std::vector<unsigned>{300, 7});
  CHECK(sum.values()[0] == 150);
  CHECK(largest.values()[0] == 149);
}

TEST_CASE("emulator: tensor cores multiply matrices", "[emulator]") {
  const std::vector<float> a = small_numbers(256, 1), b = small_numbers(128, 2),
                           d = small_numbers(128, 3);
  for (int how = 0; how < 3; ++how) {
    const OnDevice<uint16_t> device_a(as_bf16(a)), device_b(as_bf16(b));
    const OnDevice<float> sum(d);
    start(multiply_bf16, 1, 32, sum.data(), device_a.data(), device_b.data(), how);
    CHECK(sum.values() == product(d, a, b, 16));
  }
  const std::vector<float> left = small_numbers(128, 4), right = small_numbers(64, 5);
  const OnDevice<float> device_left(left), device_right(right), sum(d);
  start(multiply_tf32, 1, 32, sum.data(), device_left.data(), device_right.data());
  CHECK(sum.values() == product(d, left, right, 8));
}

TEST_CASE("emulator: tensor cores cut off what is small", "[emulator]") {
  const Fresh fresh;
  // 1 + 3 * 2^-25: each of the small ones is lost, though their sum would round up.
  std::vector<float> a(128, 0), b(64, 0);
  a[0] = b[0] = 1;
  a[1] = a[2] = a[3] = std::ldexp(1.0f, -12);
  b[8] = b[16] = b[24] = std::ldexp(1.0f, -13);
  const OnDevice<float> x(a), y(b);
  const auto sum = [&] {
    const OnDevice<float> d(std::vector<float>(128, 0));
    start(multiply_tf32, 1, 32, d.data(), x.data(), y.data());
    return d.values()[0];
  };
  CHECK(sum() == 1);
  emulator::options().truncating_mma = false;
  CHECK(sum() == 1 + std::ldexp(1.0f, -23));
  CHECK(__uint_as_float(round_to_tf32(1 + std::ldexp(1.0f, -11))) == 1 + std::ldexp(1.0f, -10));
  CHECK(__uint_as_float(round_to_tf32(1 + std::ldexp(0.99f, -11))) == 1);
  CHECK(round_to_tf32(INFINITY) == 0x7f800000u);
}

TEST_CASE("emulator: limits of a launch", "[emulator]") {
  const auto code = [](auto kernel, dim3 grid, dim3 block, size_t shared, auto... arguments) {
    launch(kernel, grid, block, shared, nullptr, arguments...);
    const cudaError_t error = cudaGetLastError();
    CHECK(cudaGetLastError() == cudaSuccess);
    return error;
  };
  CHECK(code(nothing, 1, 1024, 0) == cudaSuccess);
  for (const dim3 block : {dim3(1025), dim3(0), dim3(33, 32), dim3(1, 1, 65)})
    CHECK(code(nothing, 1, block, 0) == cudaErrorInvalidConfiguration);
  for (const dim3 grid : {dim3(0), dim3(1, 65536), dim3(1, 1, 65536), dim3(0x80000000u)})
    CHECK(code(nothing, grid, 1, 0) == cudaErrorInvalidConfiguration);
  CHECK(code(use_shared, 1, 1, 48 << 10, (48 << 10) - 1) == cudaSuccess);
  CHECK(code(use_shared, 1, 1, (48 << 10) + 1, 0) == cudaErrorInvalidValue);
  const auto raise = [](int bytes) {
    return cudaFuncSetAttribute(use_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  CHECK(raise(99 << 10) == cudaSuccess);
  CHECK(code(use_shared, 1, 1, 99 << 10, (99 << 10) - 1) == cudaSuccess);
  CHECK(raise((99 << 10) + 1) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  expect(error_of([] { launch(use_both, 1, 1, 48 << 10, nullptr); }),
         {"4096 static and 49152 dynamic bytes"});
}

TEST_CASE("emulator: errors of the device", "[emulator]") {
  const Fresh fresh;
  int devices = -1;
  emulator::options().driver = 12080;
  CHECK(cudaGetDeviceCount(&devices) == cudaErrorInsufficientDriver);
  CHECK(devices == -1);
  emulator::reset();
  emulator::options().devices = 0;
  CHECK(cudaGetDeviceCount(&devices) == cudaErrorNoDevice);
  emulator::reset();

  float* data = nullptr;
  emulator::options().memory = emulator::allocated_bytes() + 1000;
  CHECK(cudaMalloc(&data, 1001) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaMalloc(&data, 1000) == cudaSuccess);
  float host[250] = {};
  CHECK(cudaMemcpy(data, host, 1000, cudaMemcpyHostToDevice) == cudaSuccess);
  CHECK(cudaMemcpy(data + 1, host, 1000, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  CHECK(cudaMemcpy(data, host, 1000, cudaMemcpyDeviceToHost) == cudaErrorInvalidValue);
  CHECK(cudaFree(data + 1) == cudaErrorInvalidValue);

  // What goes wrong in a kernel shows when somebody waits, and does not go away.
  emulator::options().failing_launch = 2;
  emulator::options().failing_error = cudaErrorIllegalAddress;
  cudaGetLastError();
  start(nothing, 1, 1);
  CHECK(cudaDeviceSynchronize() == cudaSuccess);
  start(nothing, 1, 1);
  CHECK(cudaGetLastError() == cudaSuccess);
  CHECK(cudaDeviceSynchronize() == cudaErrorIllegalAddress);
  CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
  CHECK(cudaMemcpy(data, host, 4, cudaMemcpyHostToDevice) == cudaErrorIllegalAddress);
  CHECK(cudaGetErrorName(cudaErrorIllegalAddress) == std::string("cudaErrorIllegalAddress"));
  emulator::reset();
  CHECK(cudaFree(data) == cudaSuccess);

  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream) == cudaSuccess);
  OnDevice<float> x(std::vector<float>(4, 1));
  CHECK(cudaMemsetAsync(x.data(), 0, 16, stream) == cudaSuccess);
  expect(error_of([&] { cudaMemsetAsync(x.data(), 0, 16); }), {"that another stream's work"});
  CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
  CHECK(cudaMemsetAsync(x.data(), 0, 16) == cudaSuccess);
  CHECK(cudaStreamDestroy(stream) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
  cudaGetLastError();
}
