// What the environment asks of this backend; read once per driver.
//   REALIZAR_VULKAN_DISABLE=a,b   leave out optional features (fp16, int_dot, coopmat, coopmat2,
//                                 host_memory), copies of weights in F16 (half_weights) or
//                                 fused forms of decoding (decode_attention, qkv, chain)
//   REALIZAR_VULKAN_TUNE=a:N,b:N  other figures for what the kernels of decoding choose: see Tuning
//   REALIZAR_VULKAN_PROFILE=1     times of all kernels, to the host's log when the device is closed;
//                                 race: the same without barriers, whose results are wrong
//   REALIZAR_VULKAN_VALIDATE=1    Khronos validation layer; a message is an error of the
//                                 host's log, and the next submission fails with it
//   REALIZAR_VULKAN_FAIL=alloc:N  the N-th allocation of a device (from 1) fails, or submit:N the
//                                 N-th submission; chain:N the N-th recorded chain gives up; calls:
//                                 only what x-realizar.fault/1 asks for
#pragma once

#include <cstdint>
#include <string>

namespace realizar::vulkan {

// Choices that are made by measuring; the defaults suit the largest GPUs.
struct Tuning {
    uint32_t matvec_groups = 0;  // workgroups of a mat-vec, at most; 0: three for each core
    uint32_t matvec_batch = 0;   // groups of 32 weights in flight for a thread and row; 0: by size
    uint32_t matvec_split = 0;   // teams of 32 threads for two rows: 1, 2, 4 or 8; 0: by size
    uint32_t matvec_several = 4; // workgroups for each core, for 2 to 8 vectors
    uint32_t attention_groups = 528; // workgroups of attention over cached keys, about
    uint32_t attention_batch = 4;    // keys in flight for each team of threads
    uint32_t half_plain = 0;         // above 0: matmul_half_plain.comp, for tests
    uint32_t chain = 0;              // above 0: chains (Features::chain) on any device, for tests
};

struct Settings {
    bool fp16 = true;
    bool int_dot = true;
    bool coopmat = true;
    bool coopmat_nv = true;       // word coopmat2
    bool half_weights = true;     // half_weights.h
    bool host_memory = true;      // use device memory that the host sees in place
    bool decode_attention = true; // shaders/attention_decode.comp
    bool qkv = true;              // shaders/matvec_qkv.comp
    bool chain = true;            // Features::chain
    bool validate = false;
    bool profile = false;
    bool race = false; // no barriers, only with profile
    Tuning tuning;
    uint64_t fail_allocation = 0; // 0: never
    uint64_t fail_submission = 0;
    uint64_t fail_chain = 0;
    std::string disabled; // as given, for rz_device_info.isa
};

// RZ_INVALID_ARGUMENT (thrown) for a word that is not known: a test must not pass by accident.
Settings read_settings();

} // namespace realizar::vulkan
