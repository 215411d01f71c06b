// Measuring ops: see profile.h.
#include "core/profile.h"

#include "core/error.h"

namespace farsight {
namespace {

thread_local Profile* current = nullptr;

}  // namespace

double Profile::seconds() const {
  double total = 0;
  for (const auto& [name, op] : ops_) total += op.forward.seconds + op.backward.seconds;
  return total;
}

Profile::Scope::Scope(Profile& profile, Backend& backend) {
  check(!current, "a profile is being taken already");
  backend.wait();
  current = &profile;
  profile.backend_ = &backend;
  profile.last_ = Clock::now();
  profile.last_flops_ = backend.flops();
}

Profile::Scope::~Scope() { current = nullptr; }

bool Profile::active() { return current; }

void Profile::lap(const std::string& name, Pass pass, double bytes) {
  if (!current) return;
  current->backend_->wait();
  Op& op = current->ops_[name];
  Entry& entry = pass == Pass::kForward ? op.forward : op.backward;
  const Clock::time_point now = Clock::now();
  ++entry.calls;
  entry.seconds += std::chrono::duration<double>(now - current->last_).count();
  entry.flops += current->backend_->flops() - current->last_flops_;
  entry.bytes += bytes;
  current->last_ = now;
  current->last_flops_ = current->backend_->flops();
}

}  // namespace farsight
