// The emulator finds planted bugs, each with its own detector, and nothing in their correct twins.
#include "tests/cuda/emulator_tests.h"

namespace {

std::vector<float> sums(int mistake) {
  const OnDevice<float> x(small_numbers(192)), y(3);
  start(sum_block, 3, 64, y.data(), x.data(), mistake);
  return y.values();
}

__global__ void barrier_in_both_branches() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void return_before_barrier() {
  if (threadIdx.x == 63) return;
  __syncthreads();
}

__global__ void lanes(int mistake) {
  const unsigned lane = threadIdx.x % 32;
  int x = static_cast<int>(lane);
  if (mistake == 0) x = __shfl_xor_sync(0xffffffffu, x, 1);
  if (mistake == 1 && lane < 16) x = __shfl_xor_sync(0xffffffffu, x, 1);
  if (mistake == 2) x = __shfl_sync(0x0000ffffu, x, 0);
  if (mistake == 3 && lane < 16) x = __shfl_sync(0x0000ffffu, x, 20);
  if (mistake == 4 && lane < 16) x = __shfl_sync(0xffffffffu, x, 0);
  if (mistake == 4 && lane >= 16) x += __any_sync(0xffffffffu, x);
  if (mistake == 5 && lane == 3) return;
  if (mistake == 5) __syncwarp();
}

__global__ void divide(int* y, int by) { *y = 7 / by; }

__global__ void read_shared(float* y) {
  SHARED(values, float[10]);
  y[threadIdx.x] = values[threadIdx.x];
}

/// Mistakes in asynchronous copies: 1, no wait; 2, a wait for too few; 3, a misaligned source;
/// 4, a target outside shared memory.
__global__ void copy_later(float* y, const float* x, int mistake) {
  SHARED(buffer, float[2][4]);
  using namespace farsight::gpu;
  if (mistake == 4) cp_async16(y, x);
  cp_async16(buffer[0], x);
  cp_async_commit();
  cp_async16(buffer[1], x + (mistake == 3 ? 1 : 4), mistake != 5);
  cp_async_commit();
  if (mistake == 2) {
    cp_async_wait<1>();
  } else if (mistake != 1) {
    cp_async_wait<0>();
  }
  for (int i = 0; i < 8; ++i) y[i] = buffer[i / 4][i % 4];
  if (mistake == 2) cp_async_wait<0>();
}

}  // namespace

TEST_CASE("emulator: a missing barrier shows as dependence on the order", "[emulator]") {
  const std::vector<float> x = small_numbers(192),
                           y = emulator::for_every_order([] { return sums(0); });
  for (size_t block = 0; block < 3; ++block) {
    float sum = 0;
    for (size_t i = 0; i < 64; ++i) sum += x[block * 64 + i];
    CHECK(y[block] == sum);
  }
  if (!kRaces) {
    const auto racing = [] { return emulator::for_every_order([] { return sums(1); }); };
    expect(error_of(racing), {"order dependence"});
  }
}

TEST_CASE("emulator: barriers that not all threads reach", "[emulator]") {
  const auto divergent = [] { start(barrier_in_both_branches, 1, 64); };
  expect(error_of(divergent),
         {"divergent barrier", "test_emulator.cpp:", "barrier_in_both_branches"});
  emulator::for_every_order([] {
    // Whoever comes after others have returned is told so; who was there before waits for ever.
    const auto expect_either = [](const std::string& error, const char* census) {
      expect(error, {error.find("deadlock") == std::string::npos ? "divergent barrier" : census});
    };
    expect_either(error_of([] { start(return_before_barrier, 2, 64); }),
                  "deadlock: 63 threads at __syncthreads test_emulator.cpp:");
    expect_either(error_of([] { sums(2); }), "threads at __syncthreads emulator_tests.h:");
    return std::vector<int>();
  });
  CHECK(sums(0).size() == 3);  // works again
}

TEST_CASE("emulator: warp operations that lack lanes", "[emulator]") {
  const auto error = [](int mistake) { return error_of([=] { start(lanes, 1, 64, mistake); }); };
  CHECK(error(0) == "");
  expect(error(1), {"deadlock: ", "threads in a shuffle", "32 threads returned"});
  expect(error(2), {"lane 16 is not in its own mask 0000ffff"});
  expect(error(3), {"reads lane 20, which is not in mask 0000ffff"});
  expect(error(4), {"warp operation", "waits in a shuffle"});
  expect(error(5), {"warp mask", "thread (4,0,0)"});
}

TEST_CASE("emulator: shared memory", "[emulator]") {
  CHECK(error_of([] { start(write_shared, 1, 1, 9); }) == "");
  if (!kAddresses) {
    expect(error_of([] { start(write_shared, 1, 1, 10); }),
           {"40 bytes past the start of values, which has 40"});
  }
  const OnDevice<float> y(10);
  start(read_shared, 1, 10, y.data());
  for (const float value : y.values()) CHECK(std::isnan(value));
}

TEST_CASE("emulator: asynchronous copies", "[emulator]") {
  const OnDevice<float> x(small_numbers(12)), y(8);
  const auto run = [&](int mistake) {
    return error_of([&] { start(copy_later, 1, 1, y.data(), x.data(), mistake); });
  };
  CHECK(run(0) == "");
  std::vector<float> expected = small_numbers(8);
  CHECK(y.values() == expected);
  expect(run(1), {"the thread ended without waiting"});
  CHECK(run(2) == "");
  for (size_t i = 0; i < 8; ++i) CHECK(std::isnan(y.values()[i]) == (i >= 4));
  expect(run(3), {"an address is not a multiple of 16"});
  expect(run(4), {"not in a variable in shared memory"});
  CHECK(run(5) == "");
  std::fill(expected.begin() + 4, expected.end(), 0.0f);
  CHECK(y.values() == expected);
}

TEST_CASE("emulator: what a kernel may not touch", "[emulator]") {
  const OnDevice<float> x(std::vector<float>(1024, 2)), y(10);
  const auto run = [&](int64_t to, int64_t from) {
    return error_of([&] { start(touch, 2, 32, y.data(), x.data(), to, from); });
  };
  CHECK(run(9, 1023) == "");
  CHECK(y.values()[9] == 2);
  CHECK(std::isnan(y.values()[8]));  // nobody wrote it
  float on_host = 0;
  expect(error_of([&] { start(touch, 2, 32, y.data(), &on_host, 0, 0); }),
         {"argument 2 does not point into device memory"});
  if (!kSanitized) {
    expect(run(0, 1024), {"read 0 bytes past the end of an allocation of 4096",
                          "block (1,0,0), thread (5,0,0)", "touch"});
    expect(run(1 << 12, 0), {"out of bounds: written"});
    expect(run(11, 0), {"written past the end of an allocation of 40 bytes"});
    expect(error_of([&] { start(touch, 2, 32, y.data(), nullptr, 0, 0); }), {"a null pointer"});
    const OnDevice<int> z(1);
    expect(error_of([&] { start(divide, 1, 1, z.data(), 0); }), {"division by zero"});
  }
  CHECK(run(9, 0) == "");
}

TEST_CASE("emulator: threads that never wait need no switches", "[emulator]") {
  const OnDevice<float> x(std::vector<float>(1, 2)), y(1);
  const emulator::Stats before = emulator::stats();
  start(touch, 4, 256, y.data(), x.data(), 0, 0);
  CHECK(emulator::stats().threads == before.threads + 1024);
  if (!kRaces) {
    CHECK(emulator::stats().switches == before.switches + 4);
  }
}
