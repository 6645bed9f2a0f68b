// The decoders as a service for backends: the host extension RZ_EXT_DECODE of backend.h.
#pragma once

#include "realizar/backend.h"

namespace realizar {

// The table for rz_host.get_extension; a constant.
const rz_ext_decode *lent_decoders();

} // namespace realizar
