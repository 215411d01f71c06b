// Asynchronous copies: they happen at the wait for them, and until then the target is NaN bits.
#include "block.h"

namespace emulator {
namespace {

AsyncCopies& own_copies() { return block.copies[current_thread->number]; }

/// Copies may touch memory at any time between their start and the wait, so that an access of
/// another thread in between is a race at either end.
void note(const AsyncCopies::Copy& copy) {
  note_write(copy.to, copy.bytes);
  if (copy.valid) note_read(copy.from, copy.bytes);
}

}  // namespace

void copy_async(void* shared, const void* global, unsigned bytes, bool valid, Site site) {
  AsyncCopies& queue = own_copies();
  self().site = site;
  const auto misaligned = [&](const void* p) {
    return reinterpret_cast<uintptr_t>(p) % bytes != 0;
  };
  if (misaligned(shared) || (valid && misaligned(global)))
    fail("asynchronous copy", site, "an address is not a multiple of %u", bytes);
  if (!in_shared_memory(shared, bytes))
    fail("asynchronous copy", site, "the target is not in a variable in shared memory");
  if (queue.copy_count == AsyncCopies::kMost)
    fail("asynchronous copy", site, "more than %u on their way, too many for the emulator",
         AsyncCopies::kMost);
  const AsyncCopies::Copy copy{shared, global, bytes, valid};
  note(copy);
  // Reading it now makes a bad address fault here.
  if (valid) copy_unseen(shared, global, bytes);
  fill_unseen(shared, 0xff, bytes);
  queue.copies[(queue.first_copy + queue.copy_count++) % AsyncCopies::kMost] = copy;
  ++queue.open;
}

void commit_copies(Site site) {
  AsyncCopies& queue = own_copies();
  if (queue.group_count == AsyncCopies::kMost)
    fail("asynchronous copy", site, "too many groups on their way for the emulator");
  queue.groups[(queue.first_group + queue.group_count++) % AsyncCopies::kMost] = queue.open;
  queue.open = 0;
}

void wait_for_copies(int left) {
  AsyncCopies& queue = own_copies();
  while (static_cast<int>(queue.group_count) > left) {
    unsigned count = queue.groups[queue.first_group++ % AsyncCopies::kMost];
    --queue.group_count;
    for (; count > 0; --count, --queue.copy_count) {
      const AsyncCopies::Copy& copy = queue.copies[queue.first_copy++ % AsyncCopies::kMost];
      if (copy.valid) {
        copy_unseen(copy.to, copy.from, copy.bytes);
      } else {
        fill_unseen(copy.to, 0, copy.bytes);
      }
      note(copy);
    }
  }
}

}  // namespace emulator
