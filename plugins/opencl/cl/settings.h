// What the environment asks of this backend; read once per driver.
//   REALIZAR_OPENCL_DISABLE=a,b   leave out optional features: dot (packed products of bytes), ptx
//                                 (everything that is written in NVIDIA's assembly), mma (of that
//                                 the matrix units)
//   REALIZAR_OPENCL_CLBLAST=0|1|auto  CLBlast makes no large products, all that it can, or those that it
//                                 was measured to be faster with. Without a word: auto, but 0 on CPUs,
//                                 where building its kernels takes far longer than a prompt
//   REALIZAR_OPENCL_TUNE=a:N,b:N  other figures for choices that follow the device: see Tuning
//   REALIZAR_OPENCL_PROFILE=1     times of all kernels, to the host's log when the device is closed
//   REALIZAR_OPENCL_FAIL=alloc:N  the N-th allocation of a device (from 1) fails, or submit:N the
//                                 N-th submission; calls: only what x-realizar.fault/1 asks for
#pragma once

#include <cstdint>
#include <string>

namespace realizar::opencl {

// Choices that are made by measuring; 0: the default.
struct Tuning {
    uint32_t matvec_rows = 0;   // of a team of 32 threads in a mat-vec
    uint32_t matvec_batch = 0;  // groups of 32 weights under way for each thread and row
    uint32_t single_batch = 0;  // the same where there is one vector (kernels/single.h)
    uint32_t single_groups = 0; // workgroups of that for each compute unit
    uint32_t decode_groups = 0; // workgroups of attention_decode for each compute unit
    uint32_t decode_batch = 0;  // keys under way for each team there
    uint32_t clblast_slice = 0; // MiB of a matrix in F32 that CLBlast takes at a time
};

enum class UseClblast { by_device, never, always, measured };

struct Settings {
    bool dot = true;
    bool ptx = true;
    bool mma = true;
    bool profile = false;
    UseClblast clblast = UseClblast::by_device;
    Tuning tuning;
    uint64_t fail_allocation = 0; // 0: never
    uint64_t fail_submission = 0;
    std::string disabled; // as given, for rz_device_info.isa
};

// RZ_INVALID_ARGUMENT (thrown) for a word that is not known: a test must not pass by accident.
Settings read_settings();

} // namespace realizar::opencl
