// A checked rz_submit. Vectors keep their memory, so a warm queue allocates nothing.
#pragma once

#include "plugins/vulkan/instance.h"
#include "plugins/vulkan/timeline.h"

namespace realizar::vulkan {

struct Submission {
    struct Piece {
        uint32_t tensor, step;
        uint64_t offset, size;
        uint64_t staged; // updates: where the bytes begin in `bytes`
        void *to;        // reads
    };
    rz_instance *instance = nullptr;
    // Where the host finds what a read asks for; null: it must be copied.
    const std::byte *in_place(const Piece &read) const {
        return read.step + 1 == steps ? instance->in_place(read.tensor) : nullptr;
    }

    uint32_t steps = 1;
    std::vector<Chain> chains;
    std::vector<int64_t> symbols;
    std::vector<Piece> updates, reads;
    std::vector<rz_point> waits, signals;
    std::vector<std::byte> bytes; // of the updates
};

// Fills `out` or says what is wrong; nothing has happened then. Under rz_device::mutex, because it
// looks at timelines.
rz_code read_submit(const rz_submit &submit, Submission &out, rz_error *err);

} // namespace realizar::vulkan
