// The model inside the program, so that it has something to say without any file.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace realizar {

struct BuiltinModel {
    std::string_view name;            // e.g. "fable-21m-q8_0"
    std::span<const std::byte> bytes; // a GGUF file, 64-byte aligned; empty if built without one
};

BuiltinModel builtin_model();

} // namespace realizar
