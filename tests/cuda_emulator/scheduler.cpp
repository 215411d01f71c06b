// Which thread goes on, and when.
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>

#include "block.h"

namespace emulator {

Thread* current_thread = nullptr;
Geometry geometry;
Block block;

namespace {

void run_threads();

Fibre& new_fibre(unsigned stagger) {
  Fibre& fibre = block.fibres.emplace_back();
  prepare(fibre, run_threads, stagger);
  return fibre;
}

/// The fibre of a thread that begins.
Fibre* idle_fibre(unsigned stagger) {
  if (block.idle.empty()) return &new_fibre(stagger);
  Fibre* const fibre = block.idle.back();
  block.idle.pop_back();
  return fibre;
}

void go_on_with(BlockThread* thread, Fibre& from) {
  release(&stats());  // the host sees what a thread has done, also if it never goes on
  if (!thread->fibre) thread->fibre = idle_fibre(thread->number);
  current_thread = thread;
  ++stats().switches;
  switch_fibre(from, *thread->fibre);
}

/// Back to run_block().
void leave(Fibre& from) {
  release(&stats());
  current_thread = nullptr;
  switch_fibre(from, block.host);
}

void report_deadlock() {
  std::map<std::string, unsigned> census;
  for (unsigned i = 0; i < block.size; ++i) {
    const BlockThread& thread = block.threads[i];
    std::string where = "returned";
    if (thread.state == State::kAtBarrier)
      where = std::string("at __syncthreads ") + place(thread.site);
    else if (thread.state == State::kInWarp)
      where = std::string("in ") + name_of(block.warps[i / kWarpLanes].slots[i % kWarpLanes].what) +
              " " + place(thread.site);
    ++census[where];
  }
  std::string text;
  for (const auto& [where, count] : census)
    text += (text.empty() ? "" : "; ") + std::to_string(count) + " threads " + where;
  const uint3& b = geometry.block_index;
  block.failed = true;
  std::snprintf(block.error, sizeof block.error, "deadlock: %s [block (%u,%u,%u)]", text.c_str(),
                b.x, b.y, b.z);
}

/// The thread has returned from the kernel. Returns when its fibre has another one to execute.
void end_thread() {
  BlockThread& thread = self();
  if (block.copies[thread.number].copy_count)
    fail("asynchronous copy", thread.site, "the thread ended without waiting for it");
  thread.state = State::kDone;
  block.clear_ready(thread.number);
  --block.alive;
  own_warp().done |= 1u << (thread.number % kWarpLanes);
  Fibre* const fibre = thread.fibre;
  BlockThread* const next = block.alive ? pick_thread() : nullptr;
  if (next && !next->fibre) {
    next->fibre = fibre;
    current_thread = next;
    return;
  }
  if (!kThreadSanitizer) block.idle.push_back(fibre);
  if (next) {
    go_on_with(next, *fibre);
  } else {
    leave(*fibre);
  }
}

void run_threads() {
  arrived_first_time();
  while (true) {
    acquire(&block.host);
    block.call->run(block.call->context);
    end_thread();
  }
}

void start_threads(dim3 shape) {
  block.size = block.alive = shape.x * shape.y * shape.z;
  block.waiting = block.barriers = 0;
  block.predicates = 0;
  if (block.threads.size() < block.size) {
    block.threads.resize(block.size);
    block.copies.resize(block.size);
  }
  block.warps.resize((block.size + kWarpLanes - 1) / kWarpLanes);
  for (Warp& warp : block.warps) warp.members = warp.arrived = warp.done = 0;
  std::memset(block.ready, 0, sizeof block.ready);
  unsigned i = 0;
  for (unsigned z = 0; z < shape.z; ++z)
    for (unsigned y = 0; y < shape.y; ++y)
      for (unsigned x = 0; x < shape.x; ++x, ++i) {
        BlockThread& thread = block.threads[i];
        static_cast<Thread&>(thread) = {{x, y, z}, i};
        thread.fenced = false;
        thread.state = State::kReady;
        thread.site = {};
        thread.fibre = nullptr;
        thread.warp_syncs = 0;
        AsyncCopies& copies = block.copies[i];
        copies.first_copy = copies.copy_count = copies.first_group = 0;
        copies.group_count = copies.open = 0;
        block.warps[i / kWarpLanes].members |= 1u << (i % kWarpLanes);
        block.set_ready(i);
      }
}

/// A race detector tells fibres apart, not threads: those of a launch have one each, as long as
/// there are not too many. It takes its time to make one, so that the next launch uses them again.
void give_own_fibres() {
  constexpr size_t kMost = 2500;  // no multiple of usual sizes of blocks
  for (unsigned i = 0; i < block.size; ++i) {
    const size_t number = block.next_fibre++ % kMost;
    block.threads[i].fibre = number < block.fibres.size() ? &block.fibres[number] : &new_fibre(i);
  }
  release(&block.host);
}

/// Threads that will not go on left their frames on their stacks.
void abandon_fibres() {
  for (unsigned i = 0; i < block.size; ++i) {
    Fibre* const fibre = block.threads[i].fibre;
    if (!fibre || block.threads[i].state == State::kDone) continue;
    prepare(*fibre, run_threads, i);
    if (!kThreadSanitizer) block.idle.push_back(fibre);
  }
}

}  // namespace

void wait_for_others() {
  BlockThread& thread = self();
  BlockThread* const next = pick_thread();
  if (next == &thread) return;
  if (next) {
    go_on_with(next, *thread.fibre);
  } else {
    leave(*thread.fibre);
  }
}

void run_block(const Call& call, dim3 shape, size_t shared_bytes) {
  block.call = &call;
  block.failed = false;
  start_threads(shape);
  start_shared_memory(shared_bytes);
  start_picking();
  describe_host(block.host);
  if (kThreadSanitizer) give_own_fibres();
  go_on_with(pick_thread(), block.host);
  if (block.alive && !block.failed) report_deadlock();
  if (!block.failed) check_shared_memory();
  if (block.failed) abandon_fibres();
}

void fail(const char* kind, Site site, const char* format, ...) {
  char text[800];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const uint3 &b = geometry.block_index, &t = current_thread->index;
  block.failed = true;
  std::snprintf(block.error, sizeof block.error, "%s: %s [%s, block (%u,%u,%u), thread (%u,%u,%u)]",
                kind, text, place(site), b.x, b.y, b.z, t.x, t.y, t.z);
  leave(*self().fibre);
  __builtin_unreachable();
}

void fence() { self().fenced = true; }
bool fenced() { return current_thread && self().fenced; }

void trap(Site site) { fail("trap", site, "the kernel gave up"); }

const char* place(Site site) {
  static char texts[4][256];
  static unsigned next = 0;
  if (!site.file) return "?";
  char* const text = texts[next++ % 4];
  const char* const slash = std::strrchr(site.file, '/');
  std::snprintf(text, sizeof texts[0], "%s:%d", slash ? slash + 1 : site.file, site.line);
  return text;
}

}  // namespace emulator
