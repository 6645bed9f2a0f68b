// What the environment asks of this backend; read once per driver.
//   REALIZAR_VULKAN_DISABLE=a,b   leave out optional features: fp16, int_dot, coopmat, host_memory
//   REALIZAR_VULKAN_VALIDATE=1    Khronos validation layer; a message is an error of the
//                                 host's log, and the next submission fails with it
//   REALIZAR_VULKAN_FAIL=alloc:N  the N-th allocation of a device (from 1) fails, or submit:N the
//                                 N-th submission; calls: only what x-realizar.fault/1 asks for
#pragma once

#include <cstdint>
#include <string>

namespace realizar::vulkan {

struct Settings {
    bool fp16 = true;
    bool int_dot = true;
    bool coopmat = true;
    bool host_memory = true; // use device memory that the host sees in place
    bool validate = false;
    uint64_t fail_allocation = 0; // 0: never
    uint64_t fail_submission = 0;
    std::string disabled; // as given, for rz_device_info.isa
};

// RZ_INVALID_ARGUMENT (thrown) for a word that is not known: a test must not pass by accident.
Settings read_settings();

} // namespace realizar::vulkan
