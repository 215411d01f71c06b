// Derivatives by central differences, compared with the tape's.
#pragma once

#include "tests/op_cases.h"

namespace farsight {

/// What a comparison found.
struct Comparison {
  int64_t derivatives = 0;  // compared
  double worst = 0;         // largest |analytic - numeric| / (tolerance), > 1 means failure
  double relative = 0;      // largest |analytic - numeric| / max(|analytic|, |numeric|, 1e-2)

  bool passed() const { return derivatives > 0 && worst <= 1; }
  /// Tolerance 1e-8 + 1e-6 max(|a|, |n|); NaN counts as infinitely wrong.
  void add(double analytic, double numeric);
  void add(const Comparison& other);
};

/// Compares every derivative of covector · forward() by every element of every tracked input, with
/// a random covector: through a plain sum, the gradient of a softmax would be zero.
Comparison compare_gradients(const OpCase& op_case, Backend& backend);

/// Compares a positional scheme's gradients through a model of two blocks: for each parameter
/// tensor, the derivative in a random direction.
Comparison compare_scheme_gradients(const std::string& scheme, Backend& backend);

}  // namespace farsight
