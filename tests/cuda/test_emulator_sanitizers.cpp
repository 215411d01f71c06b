// What finds mistakes only in some builds: faults of the host's code in the plain one, and what
// AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer see of kernels in theirs.
#include <omp.h>

#include "tests/cuda/emulator_tests.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

TEST_CASE("emulator: the host may not touch device memory", "[emulator]") {
  const OnDevice<float> x(small_numbers(100));
  const auto faults = [](int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV; };
  CHECK(faults(in_child([&] { x.data()[3] = 1; }).status));
  CHECK(faults(in_child([&] {
                 const volatile float* const inside = x.data() + 99;
                 (void)*inside;
               }).status));
  CHECK(in_child([] {}).status == 0);
}

#elif defined(__SANITIZE_ADDRESS__)

namespace {

__global__ void read_four(float4* y, const float* x, int at) {
  y[threadIdx.x] = *reinterpret_cast<const float4*>(x + at);
}

}  // namespace

TEST_CASE("emulator: with AddressSanitizer", "[emulator][asan]") {
  const OnDevice<float> x(small_numbers(10)), y(10);
  const auto output = [&](int64_t to, int64_t from) {
    return in_child([&] { start(touch, 2, 32, y.data(), x.data(), to, from); }).output;
  };
  CHECK(output(9, 9) == "");
  expect(output(10, 9), {"heap-buffer-overflow", "WRITE of size 4"});
  expect(output(9, 10), {"heap-buffer-overflow", "READ of size 4"});
  expect(in_child([] { start(write_shared, 1, 1, 10); }).output, {"use-after-poison"});
  const OnDevice<float4> z(1);
  CHECK(in_child([&] { start(read_four, 1, 1, z.data(), x.data(), 4); }).output == "");
  expect(in_child([&] { start(read_four, 1, 1, z.data(), x.data(), 3); }).output,
         {"misaligned address"});
}

#else

namespace {

bool expected = false;  // reports are
int reports = 0;

// ThreadSanitizer sees what OpenMP's threads copy and nothing of the barriers between them: the
// CPU's results, with which the kernels' are compared, come from one thread here.
[[maybe_unused]] const bool one_thread = (omp_set_num_threads(1), true);

}  // namespace

/// Shared memory has the same addresses in every block; a race there must not hide another one.
extern "C" const char* __tsan_default_options() { return "suppress_equal_addresses=0"; }

/// ThreadSanitizer asks whether to keep a report to itself. (A process of its own does not do here:
/// in a copy of one that has had several threads, ThreadSanitizer sees nothing.) What it calls
/// while it reports must not be watched itself.
namespace __tsan {
struct ReportDesc;
[[gnu::no_sanitize("thread")]] bool OnReport(const ReportDesc*, bool suppressed) {
  ++reports;
  return suppressed || expected;
}
}  // namespace __tsan

namespace {

__global__ void add_to_first(float* y, bool atomically) {
  if (threadIdx.x > 0) return;
  if (atomically) {
    atomicAdd(y, 1.0f);
  } else {
    *y += 1;
  }
}

/// The last block to come adds up what all have written.
__global__ void sum_in_last_block(float* y, float* parts, unsigned* arrived, bool fence) {
  if (threadIdx.x > 0) return;
  parts[blockIdx.x] = static_cast<float>(blockIdx.x);
  if (fence) __threadfence();
  if (atomicAdd(arrived, 1u) + 1 < gridDim.x) return;
  float sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) sum += parts[i];
  *y = sum;
}

/// Passes a number to the next lane, by a shuffle's side effect or by what orders accesses.
__global__ void pass_on(float* y, bool sync) {
  SHARED(values, float[32]);
  values[threadIdx.x] = 1;
  if (sync) {
    __syncwarp();
  } else {
    __shfl_sync(0xffffffffu, 0, 0);
  }
  y[threadIdx.x] = values[(threadIdx.x + 1) % 32];
}

/// Copies later than another thread may read.
__global__ void copy_for_others(float* y, const float* x, bool barrier) {
  SHARED(values, float[64]);
  farsight::gpu::cp_async4(&values[threadIdx.x], x + threadIdx.x);
  farsight::gpu::cp_async_commit();
  farsight::gpu::cp_async_wait<0>();
  if (barrier) __syncthreads();
  if (threadIdx.x < 32) y[threadIdx.x] = values[63 - threadIdx.x];
}

}  // namespace

TEST_CASE("emulator: with ThreadSanitizer", "[emulator][tsan]") {
  const OnDevice<float> x(small_numbers(192)), y(std::vector<float>(32, 0)), parts(4);
  const OnDevice<unsigned> arrived(std::vector<unsigned>(1, 0));
  const auto races = [](auto&& f) {
    reports = 0;
    expected = true;
    f();
    expected = false;
    return reports > 0;
  };
  for (const bool right : {true, false}) {
    CHECK(races([&] { start(sum_block, 3, 64, y.data(), x.data(), right ? 0 : 1); }) == !right);
    CHECK(races([&] { start(add_to_first, 4, 2, y.data(), right); }) == !right);
    CHECK(races([&] {
            start(sum_in_last_block, 4, 2, y.data(), parts.data(), arrived.data(), right);
          }) == !right);
    CHECK(races([&] { start(copy_for_others, 1, 64, y.data(), x.data(), right); }) == !right);
    CHECK(races([&] { start(pass_on, 1, 32, y.data(), right); }) == !right);
  }
}

#endif
