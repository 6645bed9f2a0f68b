// Lines of EXPERT_MATMUL in the order of their experts, as expert_sort.comp leaves them in `order`:
//   number of tiles, then (expert, first, count) for each of up to most_tiles, then a cursor for each
//   expert and for lines without one, then the lines.
// A tile is up to kTileLines lines of one expert; expert E stands for none.
const uint kTileLines = 32;

layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer Order { uint v[]; };

uint cursors_at(uint most_tiles) { return 1 + 3 * most_tiles; }
uint lines_at(uint most_tiles, uint experts) { return cursors_at(most_tiles) + experts + 1; }

// The expert of a line; `experts` for one that is not there.
uint expert_of(uint64_t ids, uint ids_stride, uint chosen, uint experts, uint line) {
    const uint token = line / chosen, j = line % chosen;
    const uint e = ids == 0 ? j : uint(I32(ids + uint64_t(token) * ids_stride * 4).v[j]);
    return min(e, experts);
}
