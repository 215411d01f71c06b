// Device memory. Each allocation begins as NaN bits and ends at a page that nobody may touch, and
// is open to accesses only while a kernel runs that was given a pointer into it, or a copy. Where a
// sanitizer watches, it is ordinary memory, always open.
#pragma once

#include <cstddef>
#include <cstdint>

#include "host_api.h"

namespace emulator {

struct Allocation {
  char* data;
  size_t bytes;
  char* pages;
  size_t page_bytes;
  bool open;
  Allocation* next_open;
  cudaStream_t user;  // the stream whose work used it last
  uint64_t work;      // and the number of that work
};

/// Null if there is not as much.
void* allocate_device(size_t bytes);

/// False if no allocation begins there.
bool free_device(void* data);

/// The allocation in which all these bytes lie, or null. One byte more, for a pointer to its end.
Allocation* find_allocation(const void* from, size_t bytes);

/// The allocation that ends before the address, or null.
Allocation* allocation_before(const void* address);

bool is_pinned(const void* address);

/// Opens it until close_allocations(). May be called from a signal's handler.
void open_allocation(Allocation& allocation);
void close_allocations();

/// Notes that work on a stream uses it. Throws Error if work on another stream does that nobody has
/// waited for.
void use_allocation(Allocation& allocation, cudaStream_t stream);

/// An open allocation that was written past its end where no page can tell, or null.
const Allocation* overrun_allocation();

}  // namespace emulator
