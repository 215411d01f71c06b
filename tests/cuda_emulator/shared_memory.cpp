// Shared memory: full of NaN bits in every block, with red zones behind every variable.
#include <sys/mman.h>

#include <cstdio>

#include "block.h"

namespace emulator {
namespace {

constexpr size_t kRedZone = 128;
constexpr size_t kStaticArena = 96 << 10;  // variables and their red zones
constexpr int kNan = 0xff;

size_t rounded(size_t bytes) { return (bytes + 127) / 128 * 128; }

/// Memory for a variable, filled with NaN bits as is the red zone behind it.
char* new_variable(const void* key, const char* name, char* data, size_t bytes) {
  allow(data, rounded(bytes) + kRedZone);
  fill_unseen(data, kNan, rounded(bytes) + kRedZone);
  forbid(data + bytes, rounded(bytes) - bytes + kRedZone);
  block.variables[block.variable_count++] = {key, name, data, bytes};
  return data;
}

}  // namespace

void fill_unseen(void* to, int value, size_t bytes) {
#ifdef __x86_64__
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
#else
  volatile char* const data = static_cast<volatile char*>(to);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>(value);
#endif
}

void copy_unseen(void* to, const void* from, size_t bytes) {
  volatile char* const target = static_cast<volatile char*>(to);
  const volatile char* const source = static_cast<const volatile char*>(from);
  for (size_t i = 0; i < bytes; ++i) target[i] = source[i];
}

void start_shared_memory(size_t dynamic_bytes) {
  const size_t bytes = kStaticArena + rounded(dynamic_bytes) + kRedZone;
  // A new one for every block where its history would look like a race between blocks.
  if (block.arena && (kThreadSanitizer || bytes > block.arena_bytes)) {
    munmap(block.arena, block.arena_bytes);
    block.arena = nullptr;
  }
  if (!block.arena) {
    block.arena = static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    block.arena_bytes = bytes;
  }
  forbid(block.arena, block.arena_bytes);
  block.arena_used = block.static_bytes = 0;
  block.variable_count = 0;
  block.dynamic_bytes = dynamic_bytes;
  new_variable(&block, "dynamic shared memory", block.arena + kStaticArena, dynamic_bytes);
}

void* dynamic_shared() { return block.arena + kStaticArena; }

void* static_shared(const void* key, const char* name, size_t bytes) {
  for (unsigned i = 1; i < block.variable_count; ++i)
    if (block.variables[i].key == key) return block.variables[i].data;
  block.static_bytes += bytes;
  const size_t room = rounded(bytes) + kRedZone;
  if (block.static_bytes + block.dynamic_bytes > block.shared_limit || block.variable_count == 64 ||
      block.static_bytes > kSharedUnasked || block.arena_used + room > kStaticArena)
    fail("shared memory", {}, "%zu static and %zu dynamic bytes are more than a block may have",
         block.static_bytes, block.dynamic_bytes);
  char* const data = block.arena + block.arena_used;
  block.arena_used += room;
  return new_variable(key, name, data, bytes);
}

void check_shared_memory() {
  if (kAddressSanitizer) return;
  for (unsigned i = 0; i < block.variable_count; ++i) {
    const SharedVariable& variable = block.variables[i];
    const char* const end = variable.data + rounded(variable.bytes) + kRedZone;
    for (const char* p = variable.data + variable.bytes; p < end; ++p) {
      if (*p == static_cast<char>(kNan)) continue;
      const uint3& b = geometry.block_index;
      block.failed = true;
      std::snprintf(block.error, sizeof block.error,
                    "shared memory: written %zd bytes past the start of %s, which has %zu "
                    "[block (%u,%u,%u)]",
                    p - variable.data, variable.name, variable.bytes, b.x, b.y, b.z);
      return;
    }
  }
}

bool in_shared_memory(const void* from, size_t bytes) {
  const char* const p = static_cast<const char*>(from);
  for (unsigned i = 0; i < block.variable_count; ++i) {
    const SharedVariable& variable = block.variables[i];
    if (p >= variable.data && p + bytes <= variable.data + variable.bytes) return true;
  }
  return false;
}

}  // namespace emulator
