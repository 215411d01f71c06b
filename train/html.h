// The few pieces of HTML that a report is made of. Everything is inside the page: pictures and CSV
// files as data: addresses, no scripts.
#pragma once

#include <string>

#include "train/table.h"

namespace farsight {

/// A text with the characters that mean something in HTML replaced.
std::string html_text(const std::string& text);

/// A table with its title; the first row holds the heads, a row of one field is a heading.
std::string html_table(const Table& table);

/// A picture from its SVG, with a text for who cannot see it.
std::string html_picture(const std::string& svg, const std::string& description);

/// A link that saves a CSV under this name.
std::string html_download(const std::string& name, const std::string& csv);

/// A whole page around its body: light or dark as the reader's system is, readable on a phone.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace farsight
