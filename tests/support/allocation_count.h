#pragma once

#include <cstddef>

namespace realizar::test {

// Calls of operator new in this program so far.
size_t allocation_count();

} // namespace realizar::test
