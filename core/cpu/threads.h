// How many threads the CPU backend uses, and where they run.
#pragma once

#include <cstdint>

namespace farsight {

/// Uses `threads` threads from now on; 0 = one per processor this process may use, or what
/// OMP_NUM_THREADS says. If they are as many as the processors, each is pinned to its own, since
/// schedulers now and then put two on one; OMP_PROC_BIND or OMP_PLACES in the environment, or
/// fewer threads, leave them where they are. Throws Error on a negative number.
void use_threads(int64_t threads);

}  // namespace farsight
