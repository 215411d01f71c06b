// Extensions of a trained model to longer texts, as options of the commands that take them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "nn/language_model.h"
#include "train/token_source.h"

namespace farsight {

struct ExtendOptions {
  std::string name;        // of an extension (nn/extension.h), or "align"; "" = none
  double temperature = 1;  // of the extension "temperature"
};

/// --extend and --extend-temperature.
void add_extend_options(CLI::App& app, ExtendOptions& options);

/// Throws Error if there is no such extension, the scheme has nothing for it to act on or the
/// temperature is not positive.
void check_extension(LanguageModel& model, const ExtendOptions& options);

/// Extends the model to texts of up to `length` tokens. Returns what there is to say of it, "" if
/// nothing.
///
/// align (attention alignment, Chi et al. 2023): the temperature at which the entropy of attention,
/// averaged over all heads and eight sequences of `text`, is at `length` what it is at the training
/// length; 1 if it is no larger there.
///
/// Throws Error as check_extension() does, or if there is no text to align on.
std::string extend_model(LanguageModel& model, const ExtendOptions& options, int64_t length,
                         const TokenSource* text);

}  // namespace farsight
