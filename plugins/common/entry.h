// What a plugin's entry function answers.
#pragma once

#include "realizar/backend.h"

namespace realizar::plugin {

// Checks the host's hello and sets `*out` to `table`. While the version is 0.x only equal headers may
// meet, and only builds with the same sanitizer.
rz_code answer_hello(const rz_hello *hello, const rz_plugin &table, const rz_plugin **out,
                     rz_error *err);

} // namespace realizar::plugin
