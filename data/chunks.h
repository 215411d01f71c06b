// A long text in chunks that can be worked on one after the other, with word of the progress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace farsight {

/// Told of what is being done and how much of it is; may be empty.
using Progress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

/// Where a text can be cut without changing any tokenizer's ids: before a space or a line feed that
/// does not follow white space. No word, piece of GPT-2's pattern or character goes over such a
/// place. The last one up to `limit`, else the first behind it, else text.size().
size_t safe_cut(std::string_view text, size_t limit);

/// Calls f(size_t offset, std::string_view chunk) with chunks of about a megabyte that end where
/// safe_cut() says; together they are the text.
template <class F>
void for_each_chunk(std::string_view text, const std::string& what, const Progress& progress,
                    const F& f) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const std::string_view chunk = rest.substr(0, safe_cut(rest, 1 << 20));
    f(at, chunk);
    at += chunk.size();
    if (progress) progress(what, static_cast<int64_t>(at), static_cast<int64_t>(text.size()));
  }
}

}  // namespace farsight
