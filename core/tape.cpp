// The tape and the registry of ops: see tape.h.
#include "core/tape.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "core/error.h"

namespace farsight {
namespace {

thread_local Tape* current_tape = nullptr;

std::set<std::string>& registry() {
  static std::set<std::string> names;
  return names;
}

#ifndef NDEBUG
void require_finite_gradients(const Op& op, const std::vector<Tensor>& inputs) {
  for (const Tensor& input : inputs) {
    if (!input.differentiable()) continue;
    for (const real value : input.grad_to_vector())
      op.require(std::isfinite(value), "a gradient of an input of shape ", input.shape(), " is ",
                 value);
  }
}
#endif

}  // namespace

Tape::Tape() {
  check(!current_tape, "a tape is recording already; nested tapes are not supported");
  current_tape = this;
}

Tape::~Tape() { current_tape = nullptr; }

Tape::Pause::Pause() : paused_(std::exchange(current_tape, nullptr)) {}

Tape::Pause::~Pause() { current_tape = paused_; }

Tape* Tape::current() { return current_tape; }

void Tape::push(const Op& op, std::vector<Tensor> inputs, const Tensor& y,
                std::function<void()> backward) {
  y.track();
  steps_.push_back({&op, std::move(inputs), y, std::move(backward)});
}

void Tape::backward(const Tensor& loss) {
  check(loss.size() == 1, "backward needs a loss of one element, not shape ", loss.shape());
  backward(loss, Tensor::full(loss.shape(), 1, loss.backend()));
}

void Tape::backward(const Tensor& y, const Tensor& covector) {
  check(y.differentiable(), "backward: this tensor depends on nothing that is tracked");
  check(covector.shape() == y.shape(), "backward: a covector of shape ", covector.shape(),
        " for an output of shape ", y.shape());
  y.backend().accumulate(y.grad(), covector.data(), 1, y.size());
  propagate();
}

void Tape::propagate() {
  while (!steps_.empty()) {
    const Step step = std::move(steps_.back());
    steps_.pop_back();
    if (!step.y.has_grad()) continue;  // nothing that the result depends on
    const auto pass = Profile::Pass::kBackward;
    const double bytes = Profile::active() ? step.op->bytes(step.inputs, step.y, pass) : 0;
    step.backward();
    Profile::lap(step.op->name(), pass, bytes);
#ifndef NDEBUG
    require_finite_gradients(*step.op, step.inputs);
#endif
  }
}

Op::Op(std::string name, bool looks_up) : name_(std::move(name)), looks_up_(looks_up) {
  if (!registry().insert(name_).second) fail("two ops are called ", name_);
}

double Op::bytes(const std::vector<Tensor>& inputs, const Tensor& y, Profile::Pass pass) const {
  if (inputs.empty()) return 0;  // it runs other ops, which count for themselves
  int64_t elements = y.size();
  for (const Tensor& input : inputs) {
    if (!input.defined()) continue;
    const int64_t times = pass == Profile::Pass::kBackward && input.differentiable() ? 2 : 1;
    elements += times * (looks_up_ ? std::min(input.size(), y.size()) : input.size());
  }
  return static_cast<double>(sizeof(real) * elements);
}

std::vector<std::string> Op::names() { return {registry().begin(), registry().end()}; }

}  // namespace farsight
