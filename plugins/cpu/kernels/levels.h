// The levels that nibbles choose in IQ4_NL and IQ4_XS, and the doubled ones of MXFP4 (format constants).
#pragma once

#include <stdint.h>

namespace realizar::cpu {

static constexpr int8_t kLevelsIQ4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};
static constexpr int8_t kLevelsE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

} // namespace realizar::cpu
