// For tests: how the emulator executes kernels, what device it pretends to be, and what it reports.
//
// Reported by every build, as an Error thrown from the launch: barriers and warp operations that
// not all threads reach, deadlocks, accesses outside device memory, writes next to shared
// variables, asynchronous copies nobody waits for, host pointers given to kernels. Memory that
// nobody wrote reads as NaN. Host code that touches device memory faults, and so does work on
// memory that another stream's unawaited work uses. Pinned memory is read as late as can be. With
// -fsanitize=address,undefined also: any access outside a variable or an allocation, misaligned
// vectors. With -fsanitize=thread (and the emulator's own files compiled with -DEMULATOR_TSAN
// instead): races between threads.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_runtime.h"

namespace emulator {

/// A kernel did what is undefined on a device. One line: what, where, and which block and thread.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Which of the threads that can run goes on when another one waits. Greedy ones take the first (or
/// last) that can, so that warps run as far ahead of each other as barriers let them.
enum class Order { kRoundRobin, kReverse, kGreedy, kGreedyReverse, kRandom };

struct Options {
  Order order = Order::kRoundRobin;
  uint64_t seed = 1;  // of the random order

  /// Tensor cores add up as on a device: numbers cut off 24 bits below the largest one. If not,
  /// sums are exact and rounded once.
  bool truncating_mma = true;

  int devices = 1;
  int driver = 13000;  // the CUDA version that the driver knows; 0: none is installed
  int major = 8, minor = 0;
  int multiprocessors = 4;
  size_t memory = size_t{8} << 30;
  bool counting = false;  // launches are counted, and no kernel is executed

  /// The launch of this number from now on, counting from 1, fails with this error: at once if it
  /// is one of launching, else when somebody waits for the kernel, and with every call after that.
  int failing_launch = 0;
  cudaError_t failing_error = cudaErrorLaunchFailure;
};

Options& options();

/// The options' defaults, and a device without errors.
void reset();

struct Stats {
  uint64_t launches, blocks, threads;
  uint64_t switches;  // of fibres
  uint64_t barriers;  // counted once per thread
  uint64_t meetings;  // warp operations, counted once per thread
};

Stats& stats();

/// Device memory that is allocated now.
size_t allocated_bytes();

/// Calls f, which returns a vector, under every order, with three seeds for the random one. Throws
/// Error unless all results agree in every bit; returns them.
template <class F>
auto for_every_order(F&& f) {
  struct Case {
    const char* name;
    Order order;
    uint64_t seed;
  };
  struct Restore {
    const Order order = options().order;
    const uint64_t seed = options().seed;
    ~Restore() {
      options().order = order;
      options().seed = seed;
    }
  } restore;
  decltype(f()) first;
  for (const Case& c : {Case{"round robin", Order::kRoundRobin, 1},
                        {"reverse", Order::kReverse, 1},
                        {"greedy", Order::kGreedy, 1},
                        {"greedy reverse", Order::kGreedyReverse, 1},
                        {"random 1", Order::kRandom, 1},
                        {"random 2", Order::kRandom, 2},
                        {"random 3", Order::kRandom, 3}}) {
    options().order = c.order;
    options().seed = c.seed;
    const auto result = f();
    if (c.order == Order::kRoundRobin) {
      first = result;
      continue;
    }
    if (result.size() != first.size())
      throw Error(std::string("emulator: order dependence: another size in order ") + c.name);
    for (size_t i = 0; i < result.size(); ++i)
      if (std::memcmp(&result[i], &first[i], sizeof(result[i])) != 0)
        throw Error(std::string("emulator: order dependence: in order ") + c.name + ", element " +
                    std::to_string(i) + " differs from round robin's");
  }
  return first;
}

}  // namespace emulator
