// The GGUF reader. The first byte chooses: even, the rest is a file; odd, the rest is a list of
// edits (u16 position, u8 kind, u8 value) of a valid file, so that deep checks are reached without
// the fuzzer having to invent the structure.
#include "core/format/gguf.h"
#include "tests/format/gguf_sketch.h"

namespace {

using namespace realizar;

void edit(std::string &file, std::span<const uint8_t> edits) {
    for (; edits.size() >= 4; edits = edits.subspan(4)) {
        const size_t at = (edits[0] | size_t(edits[1]) << 8) % file.size();
        const uint8_t value = edits[3];
        switch (edits[2] % 4) {
        case 0: file[at] = static_cast<char>(value); break;
        case 1: file[at] = static_cast<char>(file[at] ^ 1 << value % 8); break;
        case 2: file.erase(at, value); break;
        case 3: file.insert(at, value, static_cast<char>(value)); break;
        }
        if (file.empty()) return;
    }
}

// Touches every byte that a loaded file offers.
uint64_t walk(const GgufFile &file) {
    uint64_t sum = 0;
    const auto add = [&](std::string_view text) {
        for (const char c : text)
            sum += static_cast<uint8_t>(c);
    };
    for (const GgufEntry &entry : file.entries()) {
        add(entry.key);
        if (file.find(entry.key) != &entry) __builtin_trap();
        if (const auto *text = std::get_if<std::string_view>(&entry.value)) add(*text);
        const auto *array = std::get_if<GgufArray>(&entry.value);
        if (array == nullptr) continue;
        for (const std::string_view text : array->strings)
            add(text);
        for (uint64_t i = 0; array->element != GgufType::string && i < array->count; ++i)
            sum += static_cast<uint64_t>(array->integer(i)) + (array->number(i) > 0);
    }
    for (const GgufTensor &tensor : file.tensors()) {
        if (file.find_tensor(tensor.name) != &tensor) __builtin_trap();
        add({reinterpret_cast<const char *>(tensor.data.data()), tensor.data.size()});
    }
    return sum;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    std::span<const uint8_t> input(data + 1, size - 1);
    std::string file(reinterpret_cast<const char *>(input.data()), input.size());
    if (data[0] % 2 == 1) {
        file = test::valid_sketch(data[0]).bytes();
        edit(file, input);
    }
    const auto parsed = GgufFile::parse(test::as_bytes(file), "fuzz");
    [[maybe_unused]] static volatile uint64_t sink;
    if (parsed.ok())
        sink = walk(**parsed);
    else if (parsed.error().tag.empty() || parsed.error().code != Code::malformed)
        __builtin_trap();
    return 0;
}
