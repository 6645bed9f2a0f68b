// printf into a string, for tables and notes.
#pragma once

#include <string>

namespace realizar::bench {

// At most 255 bytes; what is longer is cut.
[[gnu::format(printf, 1, 2)]] std::string format_text(const char *pattern, ...);

} // namespace realizar::bench
