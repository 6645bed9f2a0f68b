// Private extension of this plugin: shows which kernels ran.
#pragma once

#include <cstdint>

namespace realizar::cpu {

constexpr const char *kIsaExtensionId = "x-realizar.isa/1";

struct IsaExtension {
    uint32_t struct_size;
    uint32_t flags;
    // Kernel calls with the instruction set of this name ("scalar", "avx2", "avxvnni", "avx512") since the
    // process began; 0 for one that this machine lacks. [any-thread]
    uint64_t (*calls)(const char *isa);
};

} // namespace realizar::cpu
