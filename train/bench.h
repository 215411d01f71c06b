// Speed of whole steps on random tokens.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/backend.h"
#include "nn/position.h"

namespace farsight {

struct BenchOptions {
  std::string mode = "train";  // train (forward, backward, AdamW) or eval (forward)
  std::string shape = "M";     // S, M or L
  std::string numbers;         // blocks,width,heads,vocabulary,T,B instead of a named shape
  std::string precision = "fp32";
  std::string position = PositionEntry::all().front()->name;
  int64_t steps = 5;  // timed; one more goes before
};

/// Times `steps` steps and returns shape, mode, precision, tokens_per_second (median), peak_mib and
/// parameters. Throws Error for a mode, shape or precision that does not exist.
nlohmann::json bench(const BenchOptions& options, Backend& backend);

}  // namespace farsight
