// Entries of the host's cache that notice damage.
#pragma once

#include "plugins/opencl/cl/failure.h"

#include <string_view>
#include <vector>

namespace realizar::opencl {

// FNV-1a, 64 bits (Fowler, Noll, Vo): tells sources and damaged entries apart, no more.
uint64_t hash(std::string_view bytes, uint64_t start = 0xcbf29ce484222325ull);

// What write_cache stored; empty where there is nothing, or something damaged.
std::vector<unsigned char> read_cache(const rz_host &host, const char *key);
// Without success nothing is lost but time.
void write_cache(const rz_host &host, const char *key, std::string_view content);

} // namespace realizar::opencl
