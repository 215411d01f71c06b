// GPT-2's pre-tokenisation: text is cut into words, numbers, runs of other characters and runs of
// white space before byte-pair merges apply inside each. Its pattern is
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// with Unicode's letters, numbers and white space. A byte that is not valid UTF-8 counts as an
// "other" character by itself, so that every input has exactly one cut and none is lost.
#pragma once

#include <cstddef>
#include <string_view>

namespace farsight {

/// The length in bytes of the first piece of `text`, which is not empty.
size_t next_pretoken(std::string_view text);

/// Whether the last character is white space in the pattern's sense; not so of an empty text.
bool ends_in_white_space(std::string_view text);

/// Calls f(std::string_view) with each piece in order; together they are the text.
template <class F>
void for_each_pretoken(std::string_view text, const F& f) {
  while (!text.empty()) {
    const size_t length = next_pretoken(text);
    f(text.substr(0, length));
    text.remove_prefix(length);
  }
}

}  // namespace farsight
