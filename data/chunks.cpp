// Cutting long texts: see chunks.h.
#include "data/chunks.h"

#include <algorithm>

#include "data/pretokenize.h"

namespace farsight {

size_t safe_cut(std::string_view text, size_t limit) {
  const auto is_safe = [&](size_t at) {
    return (text[at] == ' ' || text[at] == '\n') && !ends_in_white_space(text.substr(0, at));
  };
  if (limit >= text.size()) return text.size();
  for (size_t at = limit; at > 0; --at) {
    if (is_safe(at)) return at;
  }
  for (size_t at = std::max<size_t>(limit, 1); at < text.size(); ++at) {
    if (is_safe(at)) return at;
  }
  return text.size();
}

}  // namespace farsight
