// The lines of EXPERT_MATMUL by their experts (include/experts.glsl): one workgroup.
#version 460
#include "common.glsl"
#include "experts.glsl"

const uint kThreads = 256;
layout(local_size_x = kThreads) in;
layout(push_constant) uniform Push { ExpertSortParams p; };

void wait() {
    memoryBarrierBuffer();
    barrier();
}

uint expert_of_line(uint line) {
    return expert_of(p.ids, p.ids_stride, p.chosen, p.experts, line);
}

// Counts become cursors, each at the first line of its expert; tiles are listed on the way.
void list_tiles(Order order, uint cursors) {
    uint tiles = 0, first = 0;
    for (uint e = 0; e <= p.experts; ++e) {
        const uint count = order.v[cursors + e];
        order.v[cursors + e] = first;
        for (uint at = 0; at < count; at += kTileLines, ++tiles) {
            order.v[1 + 3 * tiles] = e;
            order.v[2 + 3 * tiles] = first + at;
            order.v[3 + 3 * tiles] = min(kTileLines, count - at);
        }
        first += count;
    }
    order.v[0] = tiles;
}

void main() {
    const uint self = gl_LocalInvocationID.x;
    const uint cursors = cursors_at(p.most_tiles), lines = lines_at(p.most_tiles, p.experts);
    Order order = Order(p.order);
    for (uint e = self; e <= p.experts; e += kThreads)
        order.v[cursors + e] = 0;
    wait();
    for (uint line = self; line < p.lines; line += kThreads)
        atomicAdd(order.v[cursors + expert_of_line(line)], 1);
    wait();
    if (self == 0) list_tiles(order, cursors);
    wait();
    for (uint line = self; line < p.lines; line += kThreads)
        order.v[lines + atomicAdd(order.v[cursors + expert_of_line(line)], 1)] = line;
}
