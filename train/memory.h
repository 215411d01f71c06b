// How much memory a job will need, so that one that this machine cannot hold is refused before it
// starts.
#pragma once

#include <string>

#include "train/config.h"

namespace farsight {

/// Bytes of the backend's memory that a training run needs with its positional scheme, beside what
/// the system takes.
double training_bytes(const Config& config, const PositionScheme& scheme, const Backend& backend);

/// Bytes of a forward and backward pass over `tokens` tokens through a model that is there.
double backward_bytes(const ModelConfig& config, double tokens, const Backend& backend);

/// Bytes of a forward pass over `tokens` tokens.
double forward_bytes(const ModelConfig& config, double tokens, const Backend& backend);

/// Bytes of the scheme's bias for texts of this length, where it is dense.
double bias_bytes(const PositionScheme& scheme, int64_t length);

/// Throws Error, "JOB needs about … MiB and the device has …", if its memory is smaller.
void require_memory(double bytes, const Backend& backend, const std::string& job);

}  // namespace farsight
