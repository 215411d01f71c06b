// GPT-2's pre-tokenisation by hand: see pretokenize.h. Unicode categories come from utf8proc.
#include "data/pretokenize.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace farsight {
namespace {

enum class Class : uint8_t { kLetter, kNumber, kSpace, kOther };

struct Character {
  Class what;
  size_t bytes;
};

Class class_of(utf8proc_int32_t point) {
  switch (point) {  // Unicode's White_Space
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000:
      return Class::kSpace;
  }
  if (point == ' ' || (point >= 9 && point <= 13) || (point >= 0x2000 && point <= 0x200A))
    return Class::kSpace;
  const auto category = utf8proc_category(point);
  if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return Class::kLetter;
  if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return Class::kNumber;
  return Class::kOther;
}

/// The character at `at`, which is inside the text.
Character character_at(std::string_view text, size_t at) {
  static const auto ascii = [] {
    std::array<Class, 128> classes;
    for (int c = 0; c < 128; ++c) classes[c] = class_of(c);
    return classes;
  }();
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
  if (*bytes < 128) return {ascii[*bytes], 1};
  utf8proc_int32_t point;
  const auto length =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - at), &point);
  if (length <= 0) return {Class::kOther, 1};
  return {class_of(point), static_cast<size_t>(length)};
}

}  // namespace

bool ends_in_white_space(std::string_view text) {
  // Back to the byte that may begin the last character, which has four bytes at most.
  const size_t earliest = text.size() - std::min<size_t>(4, text.size());
  for (size_t at = text.size(); at-- > earliest;) {
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) continue;
    const Character last = character_at(text, at);
    return last.what == Class::kSpace && at + last.bytes == text.size();
  }
  return false;
}

size_t next_pretoken(std::string_view text) {
  if (text[0] == '\'') {
    for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"})
      if (text.starts_with(ending)) return ending.size();
  }
  // A single space joins what follows, unless that is white space too.
  const size_t start = text[0] == ' ' && text.size() > 1 ? 1 : 0;
  const Character first = character_at(text, start);
  if (first.what != Class::kSpace) {
    size_t end = start + first.bytes;
    while (end < text.size()) {
      const Character next = character_at(text, end);
      if (next.what != first.what) break;
      end += next.bytes;
    }
    return end;
  }
  // White space up to the end of the text is one piece; before anything else, the last of several
  // white characters is left for the next piece.
  size_t end = 0, last = 0;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (next.what != Class::kSpace) return last > 0 ? last : end;
    last = end;
    end += next.bytes;
  }
  return end;
}

}  // namespace farsight
