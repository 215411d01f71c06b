// Pieces of HTML: see html.h.
#include "train/html.h"

#include <cstdint>

#include "core/error.h"

namespace farsight {
namespace {

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// Pictures are drawn on white; in the dark they are turned over, hues kept.
constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #d5dae0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --paper: #000000; --line: #3a4048; }
  img { filter: invert(1) hue-rotate(180deg); }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.wide { overflow-x: auto; }
img { width: 100%; min-width: 34rem; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
caption { text-align: left; padding: .3rem 0; font-weight: 600; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
a { color: inherit; } p { max-width: 44rem; }
)";

}  // namespace

std::string html_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string html_table(const Table& table) {
  std::string html =
      concat("<div class=\"wide\"><table><caption>", html_text(table.title), "</caption>\n");
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const auto& fields = table.rows[row];
    html += "<tr>";
    if (fields.size() == 1) {
      html += concat("<th colspan=\"", table.rows[0].size(), "\">", html_text(fields[0]), "</th>");
    } else {
      const char* const tag = row == 0 ? "th" : "td";
      for (const std::string& field : fields)
        html += concat('<', tag, '>', html_text(field), "</", tag, '>');
    }
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string html_picture(const std::string& svg, const std::string& description) {
  return concat("<div class=\"wide\"><img alt=\"", html_text(description),
                "\" src=\"data:image/svg+xml;base64,", base64(svg), "\"></div>\n");
}

std::string html_download(const std::string& name, const std::string& csv) {
  return concat("<p><a download=\"", html_text(name), "\" href=\"data:text/csv;base64,",
                base64(csv), "\">", html_text(name), "</a></p>\n");
}

std::string html_page(const std::string& title, const std::string& body) {
  return concat("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
                html_text(title), "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>",
                html_text(title), "</h1>\n", body, "</body>\n</html>\n");
}

}  // namespace farsight
