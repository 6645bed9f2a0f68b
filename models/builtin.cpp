#include "models/builtin.h"

// The assembler copies the file: no generated source of several times its size, no compile time.
#ifdef REALIZAR_BUILTIN_MODEL_FILE
__asm__(".pushsection .rodata.realizar_model, \"a\", @progbits\n"
        ".balign 64\n"
        "realizar_builtin_model_begin:\n"
        ".incbin \"" REALIZAR_BUILTIN_MODEL_FILE "\"\n"
        "realizar_builtin_model_end:\n"
        ".popsection\n");

extern "C" {
[[gnu::visibility("hidden")]] extern const std::byte realizar_builtin_model_begin[];
[[gnu::visibility("hidden")]] extern const std::byte realizar_builtin_model_end[];
}
#endif

namespace realizar {

BuiltinModel builtin_model() {
#ifdef REALIZAR_BUILTIN_MODEL_FILE
    return {REALIZAR_BUILTIN_MODEL_NAME,
            {realizar_builtin_model_begin, realizar_builtin_model_end}};
#else
    return {};
#endif
}

} // namespace realizar
