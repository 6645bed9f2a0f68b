// The one translation unit that holds the loader.
#define VOLK_IMPLEMENTATION
#include <volk.h>
