#include "plugins/cpu/isa.h"

#include <array>
#include <cstdlib>
#include <cstring>
#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace realizar::cpu {

namespace {

struct Row {
    const char *name;
    const Kernels *(*kernels)();
    bool (*supported)();
};

#ifdef __x86_64__
// __builtin_cpu_supports looks at XCR0 too: the system must save the wide registers.
bool has_avx2() {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}
bool has_avxvnni() { // not every compiler of ours knows its name
    unsigned a = 0, b = 0, c = 0, d = 0;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
bool has_avx512() {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

#endif

constexpr Row kRows[] = {
    {"scalar", scalar_kernels, [] { return true; }},
#ifdef __x86_64__
    {"avx2", avx2_kernels, has_avx2},
    {"avxvnni", avxvnni_kernels, has_avxvnni},
    {"avx512", avx512_kernels, has_avx512},
#endif
};

} // namespace

std::span<const Kernels *const> available_kernels() {
    static const auto list = [] {
        struct {
            std::array<const Kernels *, std::size(kRows)> tables;
            size_t count = 0;
        } found;
        for (const Row &row : kRows)
            if (row.supported()) found.tables[found.count++] = row.kernels();
        return found;
    }();
    return {list.tables.data(), list.count};
}

rz_code choose_kernels(const Kernels **out, rz_error *err) {
    *out = available_kernels().back();
    const char *forced = std::getenv("REALIZAR_CPU_ISA");
    if (!forced || !*forced) return RZ_OK;
    for (const Row &row : kRows) {
        if (std::strcmp(row.name, forced) != 0) continue;
        if (!row.supported())
            return fail(err, RZ_UNAVAILABLE, RZ_NONE,
                        "REALIZAR_CPU_ISA asks for %s, which this processor does not have", forced);
        *out = row.kernels();
        return RZ_OK;
    }
    return fail(err, RZ_UNAVAILABLE, RZ_NONE,
                "REALIZAR_CPU_ISA: expected scalar, avx2, avxvnni or avx512, found '%.64s'",
                forced);
}

} // namespace realizar::cpu
