// Rows of canonical blocks -> planes (types/*.h). A thread packs one group of 32, so that all planes of
// a superblock are written by eight threads.
#include "types/type.h"

kernel __attribute__((reqd_work_group_size(64, 1, 1))) void pack(const PackParams p, Bytes source,
                                                                 Bytes w) {
    const uint width = p.blocks * kGroups, total = p.rows * width;
    for (uint i = get_global_id(0); i < total; i += get_global_size(0)) {
        const uint row = i / width, at = i % width;
        const ulong units = (ulong)row * p.stride + (ulong)(at / kGroups) * kUnits;
        pack_group(AT(ushort, source, p.source_at + units * 2), w, p.plane, i, at % kGroups);
    }
}
