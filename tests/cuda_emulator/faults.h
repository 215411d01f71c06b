// Faults of kernels become Errors.
#pragma once

namespace emulator {

/// While it lives, a thread of a kernel that touches what is not its ends the kernel with an Error.
/// Memory of allocations that are still closed opens on the first access. Not where a sanitizer
/// watches, which reports faults itself.
class FaultGuard {
 public:
  FaultGuard();
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;
};

}  // namespace emulator
