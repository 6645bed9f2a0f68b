// The grids of the IQ1, IQ2 and IQ3 types: which groups of 8 (or 4) magnitudes a code stands for. They
// belong to the file format, whose authors chose them as those points of a lattice that real weights
// use most; no rule gives them, so they are listed, as the figures that files are decoded with.
// Internal to core/quant.
//
// A row is one group: element j has the index in bits 2 j of a row of 8, or in bits 3 j of a row of 4.
#pragma once

#include <cstdint>

namespace realizar {

extern const uint16_t kGrid1[2048];                                 // 8 of -1, 0, 1
extern const uint16_t kGrid2XXS[256], kGrid2XS[512], kGrid2S[1024]; // 8 of 8, 25, 43
extern const uint16_t kGrid3XXS[256];                               // 4 of 4, 12, ..., 52, 62
extern const uint16_t kGrid3S[512];                                 // 4 of 1, 3, ..., 15

} // namespace realizar
