// Attention windows chosen after training: the implicit ones of a scheme's bias, ones measured from
// where the heads look, or given ones. Keys outside a window are neither computed nor kept.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

struct WindowOptions {
  /// "" = as trained; "auto" = implicit; "measured"; or numbers, one for all heads or one for each.
  std::string window;
  double epsilon = 1e-4;
};

/// --window and --epsilon.
void add_window_options(CLI::App& app, WindowOptions& options);

/// Sets the model's windows for texts of up to `length` tokens; windows it was trained with stay
/// where they are shorter.
///
/// auto: a head's window ends where e^bias stays below epsilon (the Sandwich paper, section 5);
/// heads whose bias never gets there see everything.
/// measured: it ends where all but epsilon of the head's attention is held, on average over
/// sequences of `text` of up to 2048 tokens; heads that use more than half of that see everything.
///
/// Throws Error if the scheme has no bias or none that falls so low (auto), there is no text
/// (measured), or the numbers do not fit the model.
void choose_windows(LanguageModel& model, const WindowOptions& options, int64_t length,
                    const TokenSource* text);

/// "19 37 74 all" for each block, or once if all blocks agree.
std::string describe_windows(const LanguageModel& model);

}  // namespace farsight
