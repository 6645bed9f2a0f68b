// Rows of a Q4_0 cache: rotated, then rounded (KV_WRITE in backend.h).
#pragma once

#include "plugins/cpu/kernels/kernels.h"

namespace realizar::cpu {

// In place; its own inverse. n is a multiple of 32.
void rotate_row(float *row, uint64_t n);

// A rotated row as blocks of Q4_0.
void encode_rotated(const Kernels &kernels, const float *row, uint8_t *blocks, uint64_t n);

} // namespace realizar::cpu
