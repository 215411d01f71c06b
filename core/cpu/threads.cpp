// Threads: see threads.h.
#include "core/cpu/threads.h"

#include <omp.h>
#include <sched.h>

#include <cstdlib>
#include <vector>

#include "core/error.h"

namespace farsight {

void use_threads(int64_t threads) {
  check(threads >= 0 && threads <= 4096, "threads must be 0 (one per processor) or a number up to ",
        "4096, not ", threads);
  if (threads > 0) omp_set_num_threads(static_cast<int>(threads));
  if (std::getenv("OMP_PROC_BIND") || std::getenv("OMP_PLACES")) return;

  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> processors;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &allowed)) processors.push_back(cpu);
  if (omp_get_max_threads() != static_cast<int>(processors.size())) return;
#pragma omp parallel
  {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processors[omp_get_thread_num()], &one);
    sched_setaffinity(0, sizeof one, &one);
  }
}

}  // namespace farsight
