// What no plugin may let out of its functions.
#include <stdexcept>

extern "C" void bad_throw() { throw std::runtime_error("an exception of the plugin"); }
