// Case and accents off, as BERT's "uncased" models have it.
#pragma once

#include <string>
#include <string_view>

namespace realizar {

// Each character in lower case and canonically decomposed (Unicode NFD), without the marks (Mn) that
// come out of decomposition; marks in the text itself stay. Bytes that are not UTF-8 are left out.
std::string folded_text(std::string_view text);

} // namespace realizar
