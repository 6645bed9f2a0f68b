// A checked rz_submit. Vectors keep their memory, so a warm queue allocates nothing.
#pragma once

#include "plugins/opencl/instance.h"
#include "plugins/opencl/timeline.h"

namespace realizar::opencl {

constexpr uint64_t kCopyAlignment = 16; // of results on the host

struct Submission {
    struct Piece {
        uint32_t tensor, step;
        uint64_t offset, size;
        uint64_t staged; // where the bytes begin: of updates in `bytes`, of reads in `results`
        void *to;        // reads
    };
    struct Chain {
        uint32_t from, to;
        uint64_t size;
    };
    rz_instance *instance = nullptr;
    std::vector<int64_t> symbols;
    uint32_t steps = 1;
    std::vector<Piece> updates, reads;
    std::vector<Chain> chains;
    std::vector<rz_point> waits, signals;
    std::vector<std::byte> bytes; // of the updates
    uint64_t result_bytes = 0;    // of the reads, each aligned to kCopyAlignment
    std::byte *results = nullptr;
    std::shared_ptr<const Event> end; // once it runs
};

// Fills `out` or says what is wrong; nothing has happened then. Under rz_device::mutex, because it
// looks at timelines.
rz_code read_submit(const rz_submit &submit, Submission &out, rz_error *err);

} // namespace realizar::opencl
