// Barriers of a block, and the meetings of a warp's lanes.
#include <cstring>

#include "block.h"

namespace emulator {
namespace {

void complete_barrier() {
  const int count = block.predicates, all = static_cast<int>(block.waiting);
  switch (block.barrier_kind) {
    case Barrier::kSync:
    case Barrier::kCount:
      block.result = count;
      break;
    case Barrier::kAnd:
      block.result = count == all;
      break;
    case Barrier::kOr:
      block.result = count > 0;
      break;
  }
  block.waiting = 0;
  block.predicates = 0;
  ++block.barriers;
  for (unsigned i = 0; i < block.size; ++i) {
    block.threads[i].state = State::kReady;
    block.set_ready(i);
  }
}

bool same(Site a, Site b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

/// All lanes of the mask are here: computes, and lets them go on.
void complete_meeting(Warp& warp, unsigned first_thread, unsigned mask) {
  const Slot& slot = warp.slots[__builtin_ctz(mask)];
  if (slot.complete) slot.complete(warp.slots, mask);
  warp.arrived &= ~mask;
  for (unsigned lanes = mask; lanes; lanes &= lanes - 1)
    block.threads[first_thread + static_cast<unsigned>(__builtin_ctz(lanes))].state = State::kReady;
  block.ready[first_thread / 64] |= uint64_t{mask} << (first_thread % 64);
}

/// Fails unless the waiting lane does what this one does.
void require_agreement(const Slot& own, const Slot& other, int lane) {
  if (other.what != own.what || other.mask != own.mask)
    fail("warp operation", own.site,
         "%s with mask %08x, but lane %d waits in %s with mask %08x at %s", name_of(own.what),
         own.mask, lane, name_of(other.what), other.mask, place(other.site));
  if (!same(own.site, other.site))
    fail("warp operation", own.site, "%s, but lane %d waits in another one at %s",
         name_of(own.what), lane, place(other.site));
}

/// The mask without lanes that the block is too small to have. Fails if it names ones that it must
/// not.
unsigned checked_mask(const Warp& warp, Together what, unsigned mask, unsigned lane, Site site) {
  if (!(mask >> lane & 1))
    fail("warp mask", site, "%s: lane %u is not in its own mask %08x", name_of(what), lane, mask);
  if (mask & ~warp.members) {
    if (mask != 0xffffffffu)
      fail("warp mask", site, "%s: mask %08x names lanes that do not exist (the warp has %08x)",
           name_of(what), mask, warp.members);
    mask &= warp.members;
  }
  if (mask & warp.done)
    fail("warp mask", site, "%s: mask %08x names lanes that have returned (%08x)", name_of(what),
         mask, warp.done);
  return mask;
}

struct Shuffled {
  uint64_t value, result;
  int from;
};

void complete_shuffle(Slot* slots, unsigned mask) {
  for (unsigned lanes = mask; lanes; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    Shuffled& own = *static_cast<Shuffled*>(slots[lane].data);
    if (!(mask >> own.from & 1))
      fail("shuffle", slots[lane].site, "lane %d reads lane %d, which is not in mask %08x", lane,
           own.from, mask);
    own.result = static_cast<Shuffled*>(slots[own.from].data)->value;
  }
}

void complete_vote(Slot* slots, unsigned mask) {
  unsigned votes = 0;
  for (unsigned lanes = mask; lanes; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    if (*static_cast<unsigned*>(slots[lane].data)) votes |= 1u << lane;
  }
  for (unsigned lanes = mask; lanes; lanes &= lanes - 1)
    *static_cast<unsigned*>(slots[__builtin_ctz(lanes)].data) = votes;
}

}  // namespace

int block_barrier(Barrier kind, int predicate, Site site) {
  BlockThread& thread = self();
  ++stats().barriers;
  if (block.alive != block.size)
    fail("divergent barrier", site, "%u of %u threads have returned from the kernel",
         block.size - block.alive, block.size);
  if (block.waiting == 0) {
    block.barrier_kind = kind;
    block.first_waiting = &thread;
  } else if (block.barrier_kind != kind || !same(block.first_waiting->site, site)) {
    const uint3& other = block.first_waiting->index;
    fail("divergent barrier", site, "thread (%u,%u,%u) waits in another one at %s", other.x,
         other.y, other.z, place(block.first_waiting->site));
  }
  thread.site = site;
  thread.state = State::kAtBarrier;
  block.clear_ready(thread.number);
  ++block.waiting;
  block.predicates += predicate != 0;
  char* const order = &block.barrier_order[block.barriers % 2];
  release(order);
  if (block.waiting == block.size) complete_barrier();
  wait_for_others();
  acquire(order);
  return block.result;
}

void meet_in_warp(Together what, unsigned mask, void* data, Complete complete, Site site) {
  BlockThread& thread = self();
  Warp& warp = own_warp();
  const unsigned lane = thread.number % kWarpLanes;
  ++stats().meetings;
  mask = checked_mask(warp, what, mask, lane, site);
  warp.slots[lane] = {what, mask, site, data, complete};
  const unsigned others = warp.arrived & mask;
  if (others) {
    const int other = __builtin_ctz(others);
    require_agreement(warp.slots[lane], warp.slots[other], other);
  }
  warp.arrived |= 1u << lane;
  thread.site = site;
  thread.state = State::kInWarp;
  block.clear_ready(thread.number);
  const bool orders = what == Together::kSync;
  char* const order = &warp.order[thread.warp_syncs % 2];
  if (orders) {
    release(order);
    ++thread.warp_syncs;
  }
  if ((warp.arrived & mask) == mask) complete_meeting(warp, thread.number - lane, mask);
  wait_for_others();
  if (orders) acquire(order);
}

uint64_t shuffle(uint64_t value, unsigned mask, int from, Site site) {
  Shuffled shuffled{value, 0, from & 31};
  meet_in_warp(Together::kShuffle, mask, &shuffled, complete_shuffle, site);
  return shuffled.result;
}

unsigned vote(bool predicate, unsigned mask, Site site) {
  unsigned votes = predicate;
  meet_in_warp(Together::kVote, mask, &votes, complete_vote, site);
  return votes;
}

const char* name_of(Together what) {
  switch (what) {
    case Together::kSync:
      return "__syncwarp";
    case Together::kShuffle:
      return "a shuffle";
    case Together::kVote:
      return "a vote";
    case Together::kMma:
      return "mma";
    case Together::kLoadMatrix:
      return "ldmatrix";
  }
  return "?";
}

}  // namespace emulator
