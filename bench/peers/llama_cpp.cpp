#include "bench/peers/llama_cpp.h"

#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace realizar::bench {
namespace {

// Leading fields of llama_model_params and llama_context_params (include/llama.h of llama.cpp).
struct ModelParams {
    void *devices;
    const void *buffer_overrides;
    int32_t gpu_layers;
    char rest[1024];
};
struct ContextParams {
    uint32_t context, batch, micro_batch, sequences;
    char rest[1024];
};
struct Batch {
    int32_t count;
    int32_t *tokens;
    float *embeddings;
    int32_t *positions;
    int32_t *sequence_counts;
    int32_t **sequences;
    int8_t *logits;
};

struct Api {
    void (*backend_load_all)(const char *folder);
    void (*backend_init)();
    ModelParams (*model_params)();
    ContextParams (*context_params)();
    void *(*model_load)(const char *path, ModelParams params);
    void *(*context_create)(void *model, ContextParams params);
    void (*set_threads)(void *context, int32_t decode, int32_t batch);
    int32_t (*decode)(void *context, Batch batch);
    void (*synchronize)(void *context);
    void *(*memory)(void *context);
    void (*memory_clear)(void *memory, bool data);
    bool (*memory_remove)(void *memory, int32_t sequence, int32_t begin, int32_t end);
    const void *(*vocab)(const void *model);
    int32_t (*vocab_size)(const void *vocab);
    void (*log_set)(void (*callback)(int, const char *, void *), void *data);
    void (*context_free)(void *context);
    void (*model_free)(void *model);
};

void ignore_log(int, const char *, void *) {}

// The one file of the folder whose name starts with `prefix`, followed by ".so" or a version.
Result<void *> open_library(const std::filesystem::path &folder, const std::string &prefix) {
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with(prefix + ".") || name.find(".so") == std::string::npos) continue;
        if (void *library = dlopen(entry.path().c_str(), RTLD_NOW | RTLD_GLOBAL)) return library;
        return make_error(Code::unavailable, "peer_missing", "%s", dlerror());
    }
    return make_error(Code::not_found, "peer_missing", "no %s*.so in '%s'", prefix.c_str(),
                      folder.c_str());
}

template <class F>
Status resolve(void *library, const char *name, F *&out) {
    out = reinterpret_cast<F *>(dlsym(library, name));
    if (out) return {};
    return make_error(Code::unsupported, "peer_version", "this llama.cpp has no function '%s'",
                      name);
}

Result<Api> open_api(const std::filesystem::path &folder) {
    RZ_ASSIGN([[maybe_unused]] void *base, open_library(folder, "libggml-base"));
    RZ_ASSIGN(void *ggml, open_library(folder, "libggml"));
    RZ_ASSIGN(void *llama, open_library(folder, "libllama"));
    Api api{};
    RZ_TRY(resolve(ggml, "ggml_backend_load_all_from_path", api.backend_load_all));
    RZ_TRY(resolve(llama, "llama_backend_init", api.backend_init));
    RZ_TRY(resolve(llama, "llama_model_default_params", api.model_params));
    RZ_TRY(resolve(llama, "llama_context_default_params", api.context_params));
    RZ_TRY(resolve(llama, "llama_model_load_from_file", api.model_load));
    RZ_TRY(resolve(llama, "llama_init_from_model", api.context_create));
    RZ_TRY(resolve(llama, "llama_set_n_threads", api.set_threads));
    RZ_TRY(resolve(llama, "llama_decode", api.decode));
    RZ_TRY(resolve(llama, "llama_synchronize", api.synchronize));
    RZ_TRY(resolve(llama, "llama_get_memory", api.memory));
    RZ_TRY(resolve(llama, "llama_memory_clear", api.memory_clear));
    RZ_TRY(resolve(llama, "llama_memory_seq_rm", api.memory_remove));
    RZ_TRY(resolve(llama, "llama_model_get_vocab", api.vocab));
    RZ_TRY(resolve(llama, "llama_vocab_n_tokens", api.vocab_size));
    RZ_TRY(resolve(llama, "llama_log_set", api.log_set));
    RZ_TRY(resolve(llama, "llama_free", api.context_free));
    RZ_TRY(resolve(llama, "llama_model_free", api.model_free));
    api.log_set(ignore_log, nullptr);
    api.backend_load_all(folder.c_str());
    api.backend_init();
    return api;
}

// Once for each folder: backends that are loaded again would be there twice.
Result<Api> shared_api(const std::filesystem::path &folder) {
    static std::map<std::filesystem::path, Api> opened;
    const auto found = opened.find(folder);
    if (found != opened.end()) return found->second;
    RZ_ASSIGN(const Api api, open_api(folder));
    return opened.emplace(folder, api).first->second;
}

} // namespace

struct LlamaCpp::State {
    Api api{};
    void *model = nullptr, *context = nullptr;
    uint32_t most = 0;  // tokens per call
    int32_t filled = 0; // positions of sequence 0
    int32_t sequence_count = 1;
    std::vector<int32_t> tokens, positions, sequence_counts, sequence_ids;
    std::vector<int32_t *> sequences;
    std::vector<int8_t> logits;

    ~State() {
        if (context) api.context_free(context);
        if (model) api.model_free(model);
    }
    Status run();
};

LlamaCpp::LlamaCpp() : state_(std::make_unique<State>()) {}
LlamaCpp::~LlamaCpp() = default;

Result<std::unique_ptr<LlamaCpp>> LlamaCpp::load(const LlamaCppOptions &options) {
    std::unique_ptr<LlamaCpp> peer(new LlamaCpp);
    State &state = *peer->state_;
    RZ_ASSIGN(state.api, shared_api(options.libraries));
    ModelParams model = state.api.model_params();
    model.gpu_layers = options.gpu_layers;
    state.model = state.api.model_load(options.model.c_str(), model);
    if (!state.model)
        return make_error(Code::malformed, "peer_failed", "llama.cpp cannot load '%s'",
                          options.model.c_str());
    ContextParams context = state.api.context_params();
    context.context = options.context * options.sequences;
    context.batch = std::max(options.batch, options.sequences);
    context.micro_batch = options.micro_batch;
    context.sequences = options.sequences;
    state.context = state.api.context_create(state.model, context);
    if (!state.context)
        return make_error(Code::out_of_memory, "peer_failed", "llama.cpp cannot make a context");
    state.api.set_threads(state.context, options.threads, options.threads);
    state.most = context.batch;
    state.sequence_count = static_cast<int32_t>(options.sequences);
    return peer;
}

uint32_t LlamaCpp::vocabulary() const {
    return static_cast<uint32_t>(state_->api.vocab_size(state_->api.vocab(state_->model)));
}

void LlamaCpp::clear() {
    state_->api.memory_clear(state_->api.memory(state_->context), true);
    state_->filled = 0;
}

bool LlamaCpp::cut(uint32_t length) {
    State &s = *state_;
    constexpr int32_t kEnd = -1; // up to the last position
    void *memory = s.api.memory(s.context);
    for (int32_t i = 1; i < s.sequence_count; ++i)
        s.api.memory_remove(memory, i, 0, kEnd);
    s.filled = static_cast<int32_t>(length);
    return s.api.memory_remove(memory, 0, s.filled, kEnd);
}

Status LlamaCpp::State::run() {
    const size_t n = tokens.size();
    sequence_counts.assign(n, 1);
    sequences.resize(n);
    for (size_t i = 0; i < n; ++i)
        sequences[i] = &sequence_ids[i];
    const Batch batch{static_cast<int32_t>(n), tokens.data(),    nullptr,      positions.data(),
                      sequence_counts.data(),  sequences.data(), logits.data()};
    if (const int32_t code = api.decode(context, batch); code != 0)
        return make_error(Code::internal, "peer_failed", "llama_decode returned %d", code);
    return {};
}

Status LlamaCpp::prompt(std::span<const int32_t> tokens) {
    State &s = *state_;
    for (size_t begin = 0; begin < tokens.size(); begin += s.most) {
        const size_t count = std::min<size_t>(s.most, tokens.size() - begin);
        s.tokens.assign(tokens.begin() + static_cast<ptrdiff_t>(begin),
                        tokens.begin() + static_cast<ptrdiff_t>(begin + count));
        s.positions.resize(count);
        for (auto &position : s.positions)
            position = s.filled++;
        s.sequence_ids.assign(count, 0);
        s.logits.assign(count, 0);
        if (begin + count == tokens.size()) s.logits.back() = 1;
        RZ_TRY(s.run());
    }
    s.api.synchronize(s.context);
    return {};
}

Status LlamaCpp::decode(std::span<const int32_t> tokens, int32_t position) {
    State &s = *state_;
    s.tokens.assign(tokens.begin(), tokens.end());
    s.positions.assign(tokens.size(), position);
    s.sequence_ids.resize(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i)
        s.sequence_ids[i] = static_cast<int32_t>(i);
    s.logits.assign(tokens.size(), 1);
    s.filled = position + 1;
    RZ_TRY(s.run());
    s.api.synchronize(s.context);
    return {};
}

} // namespace realizar::bench
