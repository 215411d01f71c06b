// The one exception type of the library: its message says what was expected, what came and, where
// somebody can act on it, what to do next. main() prints it as one line and returns 1.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace farsight {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Everything streamable, one after the other, as one string.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

/// Throws an Error whose message is the concatenation of the parts.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

/// Throws as fail() does unless the condition holds.
template <class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) fail(parts...);
}

}  // namespace farsight
