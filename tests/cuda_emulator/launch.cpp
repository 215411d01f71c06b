// Launches: their limits, what the arguments point to, and the blocks one after the other.
#include "launch.h"

#include <cstring>

#include "block.h"
#include "device.h"
#include "device_memory.h"
#include "faults.h"

namespace emulator {
namespace {

/// Why a launch like this is refused.
cudaError_t launch_error(const void* kernel, dim3 grid, dim3 shape, size_t shared_bytes) {
  const uint64_t threads = uint64_t{shape.x} * shape.y * shape.z;
  if (threads == 0 || threads > kMostThreads || shape.z > 64) return cudaErrorInvalidConfiguration;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return cudaErrorInvalidConfiguration;
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    return cudaErrorInvalidConfiguration;
  const size_t allowed = allowed_shared(kernel);
  return shared_bytes > (allowed ? allowed : kSharedUnasked) ? cudaErrorInvalidValue : cudaSuccess;
}

/// Opens the memory that the arguments point to. Throws Error if one points elsewhere.
void open_arguments(const Call& call, cudaStream_t stream) {
  for (int i = 0; i < call.argument_count; ++i) {
    const Argument& argument = call.arguments[i];
    const char* const data = static_cast<const char*>(argument.data);
    for (size_t offset = 0; offset + sizeof(void*) <= argument.bytes; offset += sizeof(void*)) {
      void* pointer;
      std::memcpy(&pointer, data + offset, sizeof pointer);
      Allocation* allocation = find_allocation(pointer, 1);
      if (allocation) {
        use_allocation(*allocation, stream);
        open_allocation(*allocation);
      } else if (argument.is_pointer && pointer && !find_allocation(pointer, 0) &&
                 !is_pinned(pointer)) {
        close_allocations();
        throw Error("emulator: host pointer: argument " + std::to_string(i + 1) +
                    " does not point into device memory, kernel " + kernel_name(call.kernel));
      }
    }
  }
}

/// The number of the block that comes `i`th.
uint64_t block_at(uint64_t i, uint64_t blocks) {
  constexpr uint64_t kPrime = 2654435761;  // larger than most grids, and else no divisor of them
  switch (options().order) {
    case Order::kReverse:
    case Order::kGreedyReverse:
      return blocks - 1 - i;
    case Order::kRandom:
      return blocks % kPrime == 0 ? i : (i * kPrime + options().seed) % blocks;
    default:
      return i;
  }
}

void run_blocks(const Call& call, dim3 grid, dim3 shape, size_t shared_bytes) {
  geometry.grid = grid;
  geometry.block = shape;
  block.shared_limit = allowed_shared(call.kernel) ? kSharedMost : kSharedUnasked;
  block.random = options().seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
  block.failed = false;
  block.next_fibre = 0;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  ++stats().launches;
  for (uint64_t i = 0; i < blocks && !block.failed; ++i) {
    const uint64_t number = block_at(i, blocks);
    geometry.block_index = {static_cast<unsigned>(number % grid.x),
                            static_cast<unsigned>(number / grid.x % grid.y),
                            static_cast<unsigned>(number / grid.x / grid.y)};
    ++stats().blocks;
    run_block(call, shape, shared_bytes);
    stats().threads += block.size;
  }
  acquire(&stats());
}

}  // namespace

void launch(const Call& call, dim3 grid, dim3 shape, size_t shared_bytes, cudaStream_t stream) {
  if (const cudaError_t error = device_error()) return void(record(error));
  if (const cudaError_t error = launch_error(call.kernel, grid, shape, shared_bytes))
    return void(record(error));
  if (options().failing_launch > 0 && --options().failing_launch == 0) {
    break_device(options().failing_error);
    return;
  }
  if (device_broken()) return;
  if (options().counting) return void(++stats().launches);
  finish_copies();
  open_arguments(call, stream);
  const Allocation* overrun = nullptr;
  {
    FaultGuard guard;
    run_blocks(call, grid, shape, shared_bytes);
    overrun = overrun_allocation();
  }
  close_allocations();
  if (block.failed)
    throw Error(std::string("emulator: ") + block.error + ", kernel " + kernel_name(call.kernel));
  if (overrun)
    throw Error("emulator: out of bounds: written past the end of an allocation of " +
                std::to_string(overrun->bytes) + " bytes, kernel " + kernel_name(call.kernel));
}

}  // namespace emulator
