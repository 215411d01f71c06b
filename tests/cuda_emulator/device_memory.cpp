// Allocations in one large range of addresses, of which no part is used twice until all is used up.
#include "device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>

#include "block.h"
#include "device.h"
#include "emulator.h"

namespace emulator {
namespace {

constexpr size_t kAlignment = 32;  // of the ends
constexpr char kNan = '\xff';

struct Memory {
  std::map<const char*, Allocation> allocations;  // by their ends
  std::map<const char*, size_t> pinned;
  size_t allocated = 0;
  Allocation* open = nullptr;

  char* range = nullptr;
  size_t range_bytes = 0, used = 0, page = 4096;
};

Memory& memory() {
  static Memory& memory = *new Memory;
  return memory;
}

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

void reserve_range() {
  Memory& m = memory();
  m.page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (m.range_bytes = size_t{1} << 40; m.range_bytes >= size_t{1} << 32; m.range_bytes /= 2) {
    void* const range =
        mmap(nullptr, m.range_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    m.range = static_cast<char*>(range);
    return;
  }
}

/// The start of unused pages, or null. The page before and the one after them stay forbidden.
char* unused_pages(size_t bytes) {
  Memory& m = memory();
  if (!m.range) reserve_range();
  if (!m.range || bytes + 2 * m.page > m.range_bytes) return nullptr;
  if (m.used + bytes + 2 * m.page > m.range_bytes) m.used = 0;
  // After a whole round, allocations that are still there have to be passed over.
  for (auto next = m.allocations.upper_bound(m.range + m.used); next != m.allocations.end();
       ++next) {
    if (next->second.pages >= m.range + m.used + bytes + 2 * m.page) break;
    m.used = static_cast<size_t>(next->second.pages + next->second.page_bytes - m.range);
  }
  if (m.used + bytes + 2 * m.page > m.range_bytes) return nullptr;
  char* const pages = m.range + m.used + m.page;
  m.used += m.page + bytes;
  return pages;
}

}  // namespace

void* allocate_device(size_t bytes) {
  Memory& m = memory();
  if (m.allocated > options().memory || bytes > options().memory - m.allocated) return nullptr;
  Allocation allocation{nullptr, bytes, nullptr, 0, kSanitized, nullptr, nullptr, 0};
  if (kSanitized) {
    void* data = nullptr;
    if (posix_memalign(&data, 256, bytes) != 0) return nullptr;
    allocation.data = static_cast<char*>(data);
    fill_unseen(allocation.data, kNan, bytes);
  } else {
    const size_t room = rounded(bytes, kAlignment);
    allocation.page_bytes = rounded(room, m.page);
    allocation.pages = unused_pages(allocation.page_bytes);
    if (!allocation.pages) return nullptr;
    if (mprotect(allocation.pages, allocation.page_bytes, PROT_READ | PROT_WRITE) != 0)
      return nullptr;
    if (!options().counting) fill_unseen(allocation.pages, kNan, allocation.page_bytes);
    mprotect(allocation.pages, allocation.page_bytes, PROT_NONE);
    allocation.data = allocation.pages + allocation.page_bytes - room;
  }
  m.allocated += bytes;
  m.allocations[allocation.data + bytes] = allocation;
  return allocation.data;
}

bool free_device(void* data) {
  Memory& m = memory();
  const auto found = m.allocations.upper_bound(static_cast<char*>(data));
  if (found == m.allocations.end() || found->second.data != data) return false;
  const Allocation& allocation = found->second;
  m.allocated -= allocation.bytes;
  if (kSanitized) {
    std::free(data);
  } else {
    madvise(allocation.pages, allocation.page_bytes, MADV_DONTNEED);
  }
  m.allocations.erase(found);
  return true;
}

Allocation* find_allocation(const void* from, size_t bytes) {
  Memory& m = memory();
  const char* const p = static_cast<const char*>(from);
  // The first that ends after it, or, for a pointer to an end, at it.
  auto found = bytes ? m.allocations.upper_bound(p) : m.allocations.lower_bound(p);
  if (found == m.allocations.end() || p < found->second.data) return nullptr;
  Allocation& allocation = found->second;
  return p + bytes <= allocation.data + allocation.bytes ? &allocation : nullptr;
}

Allocation* allocation_before(const void* address) {
  Memory& m = memory();
  auto found = m.allocations.upper_bound(static_cast<const char*>(address));
  if (found == m.allocations.begin()) return nullptr;
  return &(--found)->second;
}

void open_allocation(Allocation& allocation) {
  if (allocation.open) return;
  mprotect(allocation.pages, allocation.page_bytes, PROT_READ | PROT_WRITE);
  allocation.open = true;
  allocation.next_open = memory().open;
  memory().open = &allocation;
}

void close_allocations() {
  Memory& m = memory();
  for (; m.open; m.open = m.open->next_open) {
    m.open->open = false;
    mprotect(m.open->pages, m.open->page_bytes, PROT_NONE);
  }
}

const Allocation* overrun_allocation() {
  for (const Allocation* a = memory().open; a; a = a->next_open) {
    char* const end = a->data + a->bytes;
    const size_t left = static_cast<size_t>(a->pages + a->page_bytes - end);
    if (std::all_of(end, end + left, [](char byte) { return byte == kNan; })) continue;
    fill_unseen(end, kNan, left);
    return a;
  }
  return nullptr;
}

size_t allocated_bytes() { return memory().allocated; }

bool is_pinned(const void* address) {
  const char* const p = static_cast<const char*>(address);
  auto found = memory().pinned.upper_bound(p);
  if (found == memory().pinned.begin()) return false;
  --found;
  return p <= found->first + found->second;
}

}  // namespace emulator

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  if (!pointer) return cudaErrorInvalidValue;
  *pointer = std::malloc(bytes ? bytes : 1);
  if (!*pointer) return cudaErrorMemoryAllocation;
  emulator::memory().pinned[static_cast<char*>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return cudaMallocHost(pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) {
  emulator::finish_copies();
  if (pointer && !emulator::memory().pinned.erase(static_cast<char*>(pointer)))
    return cudaErrorInvalidValue;
  std::free(pointer);
  return cudaSuccess;
}
