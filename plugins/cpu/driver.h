// The driver: host services, the chosen kernels and the threads. One per process is usual.
#pragma once

#include "plugins/cpu/isa.h"
#include "plugins/cpu/pool.h"
#include "plugins/cpu/support.h"

struct rz_driver {
    rz_driver(const rz_host &services, const realizar::cpu::Kernels &table, unsigned threads);

    const rz_host &host;
    const realizar::cpu::Kernels &kernels;
    const rz_ext_decode *decoders; // of the host; null: it lends none
    realizar::cpu::Pool pool;
};

namespace realizar::cpu {
extern const rz_driver_api kDriverApi;
extern const rz_ext_compute_pool kComputePool;
} // namespace realizar::cpu
