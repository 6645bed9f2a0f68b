// The optional plugin extension "x-realizar.fault/1": lets the kit see how failures travel, which
// healthy hardware cannot show. For test builds of a plugin; described in docs/conformance.md.
#pragma once

#include "realizar/backend.h"

#define RZ_EXT_FAULT "x-realizar.fault/1"

typedef struct rz_ext_fault {
    uint32_t struct_size;
    uint32_t flags;
    /* [any-thread] The next submission of this device that starts fails with `code`. */
    rz_code (*fail_next)(rz_device *device, rz_code code);
} rz_ext_fault;
