// For the tests of the emulator: memory on the device, and what a launch throws.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "cuda/gpu.h"
#include "tests/catch.h"
#include "tests/cuda_emulator/emulator.h"

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddresses = true, kRaces = false;
#elif defined(__SANITIZE_THREAD__)
inline constexpr bool kAddresses = false, kRaces = true;
#else
inline constexpr bool kAddresses = false, kRaces = false;
#endif

/// Whether a sanitizer watches instead of the emulator's own detectors.
inline constexpr bool kSanitized = kAddresses || kRaces;

/// Memory on the device with these values, or with none that were written.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(size_t count) : count_(count) {
    REQUIRE(cudaMalloc(&data_, count * sizeof(T)) == cudaSuccess);
  }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
    REQUIRE(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice) ==
            cudaSuccess);
  }
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    REQUIRE(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost) ==
            cudaSuccess);
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

/// Whole numbers from -8 to 8, which every sum here keeps exact.
inline std::vector<float> small_numbers(size_t count, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 17) - 8;
  return values;
}

template <class... P>
void start(void (*kernel)(P...), dim3 grid, dim3 block, std::type_identity_t<P>... args) {
  farsight::gpu::launch(kernel, grid, block, 0, nullptr, args...);
}

/// What f() throws as emulator::Error; empty if it throws nothing.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const emulator::Error& error) {
    return error.what();
  }
  return "";
}

/// Checks that a text has all these parts.
inline void expect(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    INFO('"' << text << "\" has to have \"" << part << '"');
    CHECK(text.find(part) != std::string::npos);
  }
}

/// What f() prints to standard error and how it ends, in a process of its own.
struct Outcome {
  std::string output;
  int status;
};
template <class F>
Outcome in_child(F&& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    std::signal(SIGSEGV, SIG_DFL);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return {output, status};
}

// Kernels with mistakes to choose from.

/// Sums a block's numbers. The mistakes: 1, no barrier before the sum; 2, one in a branch.
inline __global__ void sum_block(float* y, const float* x, int mistake) {
  SHARED(values, float[64]);
  const unsigned t = threadIdx.x;
  values[t] = x[blockIdx.x * 64 + t];
  if (mistake != 1) __syncthreads();
  for (unsigned half = 32; half > 0; half /= 2) {
    if (t < half) {
      values[t] += values[t + half];
      if (mistake == 2) __syncthreads();
    }
    if (mistake != 2) __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = values[0];
}

inline __global__ void touch(float* y, const float* x, int64_t to, int64_t from) {
  if (threadIdx.x == 5 && blockIdx.x == 1) y[to] = x[from];
}

inline __global__ void write_shared(int at) {
  SHARED(values, float[10]);
  float* const first = values;
  first[at] = 1;
}
