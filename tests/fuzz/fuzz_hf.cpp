// The files of a Hugging Face folder, by the first byte: safetensors (the rest is the header; its
// length and 64 bytes of data are added, or the whole file), config.json, tokenizer.model.
#include "core/format/hf_config.h"
#include "core/format/safetensors.h"
#include "core/format/sentencepiece_model.h"

#include <cstring>

namespace {

using namespace realizar;

void safetensors(std::string bytes) {
    const auto file = SafetensorsFile::parse(std::as_bytes(std::span(bytes)), "fuzz");
    [[maybe_unused]] static volatile uint64_t sink;
    uint64_t sum = 0;
    if (file.ok())
        for (const SafeTensor &tensor : (*file)->tensors()) {
            if ((*file)->find(tensor.name) != &tensor) __builtin_trap();
            for (const std::byte b : tensor.data)
                sum += static_cast<uint64_t>(b);
        }
    sink = sum;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const std::string rest(reinterpret_cast<const char *>(data) + 1, size - 1);
    switch (data[0] % 4) {
    case 0: safetensors(rest); break;
    case 1: {
        std::string length(8, '\0');
        const uint64_t header = rest.size();
        std::memcpy(length.data(), &header, sizeof header);
        safetensors(length + rest + std::string(64, 'x'));
        break;
    }
    case 2: (void)parse_hf_config(rest).ok(); break;
    case 3: (void)parse_sentencepiece_model(std::as_bytes(std::span(rest))).ok(); break;
    }
    return 0;
}
