// One table of small examples of every op, which the derivative checks walk through.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace farsight {

/// An op on given inputs; those that are tracked get their derivatives checked.
struct OpCase {
  std::string op;    // the registered name
  std::string what;  // what sets this case apart
  std::vector<Tensor> inputs;
  std::function<Tensor()> forward;
};

std::vector<OpCase> op_cases(Backend& backend);

/// Normal values, tracked unless said otherwise; each call draws other ones.
Tensor random_tensor(const Shape& shape, Backend& backend, bool tracked = true);

}  // namespace farsight
