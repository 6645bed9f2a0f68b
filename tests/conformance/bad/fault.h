// What is wrong with this copy of the plugin. Each copy is linked from the same objects with one
// small source file that defines kFault; a test of the kit must catch every fault but none.
#pragma once

#include <cstdint>

enum class Fault : uint32_t {
    none,
    // handshake
    reads_past_hello,
    ignores_hash,
    ignores_hello_flags,
    entry_prints,
    entry_starts_thread,
    null_function,
    invents_extension,
    // lives
    leaks_memory,
    leaks_file,
    leaks_thread,
    enumerate_ignores_stride,
    enumerate_overruns,
    // memory and timelines
    dirty_buffer,
    write_out_of_range,
    read_out_of_range_wraps,
    timeline_falls,
    wait_never_times_out,
    failure_stops_at_wait,
    // submissions
    ignores_required_flags,
    ignores_array_stride,
    accepts_unbound_state,
    accepts_bad_symbol,
    applies_refused_update,
    dies_on_bad_graph,
    shares_scratch,
    // operators
    crashes,
    hangs,
    throws,
    claims_too_much,
    claims_nothing,
    matmul_off_by_one,
    matmul_wrong_last_row,
    add_ignores_stride,
    add_ignores_offset,
    copy_truncates,
    kv_write_truncates,
    kv_write_wrong_cell,
    writes_past_output,
    attention_wrong_head,
    attention_ignores_pages,
    attention_window_off_by_one,
    attention_ignores_sinks,
    attention_sees_padding,
    rope_wrong_pairing,
    rope_ignores_factors,
    nan_leaks,
    argmax_last_of_tie,
    // graphs
    fusion_drops_addend,
    fusion_rounds_coarsely,
    keeps_first_symbols,
};

extern const Fault kFault;
inline bool has(Fault fault) { return kFault == fault; }
