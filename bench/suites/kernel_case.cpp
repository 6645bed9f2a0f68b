#include "bench/suites/kernel_case.h"

#include "bench/statistics.h"
#include "core/quant/codec.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

namespace realizar::bench {
namespace {

using Clock = std::chrono::steady_clock;

uint64_t bytes_of(const rz_tensor &tensor) {
    uint64_t rows = 1;
    for (uint32_t i = 0; i + 1 < tensor.rank; ++i)
        rows *= static_cast<uint64_t>(tensor.dims[i]);
    return rows * row_bytes(static_cast<DType>(tensor.dtype),
                            static_cast<uint64_t>(tensor.dims[tensor.rank - 1]));
}

} // namespace

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
float made_up(uint64_t seed, uint64_t index) {
    uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<float>(static_cast<int64_t>(z) >> 40) / 0x1p23f;
}

// FNV-1a.
uint64_t seed_of(std::string_view name) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

Result<std::vector<std::byte>> made_up_rows(DType dtype, uint64_t rows, uint64_t row_elements,
                                            uint64_t seed) {
    std::vector<float> values(row_elements);
    const uint64_t stride = row_bytes(dtype, row_elements);
    std::vector<std::byte> bytes(rows * stride);
    const float scale = 1 / std::sqrt(static_cast<float>(row_elements));
    for (uint64_t r = 0; r < rows; ++r) {
        for (uint64_t i = 0; i < row_elements; ++i)
            values[i] = scale * made_up(seed, r * row_elements + i);
        RZ_TRY(
            encode_rows(dtype, values, std::span(bytes).subspan(r * stride, stride), row_elements));
    }
    return bytes;
}

Result<KernelCase> KernelCase::create(const DevicePtr &device, Graph graph) {
    KernelCase made;
    made.device_ = device;
    made.graph_ = std::make_unique<Graph>(std::move(graph));
    RZ_TRY(made.load());
    rz_compile_options options{};
    options.struct_size = sizeof options;
    RZ_ASSIGN(made.program_,
              Program::compile(device, made.graph_->view(), &made.weights_.weights, options));
    RZ_ASSIGN(made.instance_, Instance::create(made.program_));
    RZ_ASSIGN(made.queue_, Queue::create(device));
    RZ_ASSIGN(made.timeline_, Timeline::create(device, 0));
    RZ_TRY(made.bind());
    return made;
}

Status KernelCase::load() {
    const auto tensors = graph_->tensors();
    for (TensorId id = 0; id < tensors.size(); ++id) {
        const rz_tensor &tensor = tensors[id];
        if (tensor.role != RZ_ROLE_WEIGHT || tensor.storage != id) continue;
        const auto inner = static_cast<uint64_t>(tensor.dims[tensor.rank - 1]);
        const auto dtype = static_cast<DType>(tensor.dtype);
        RZ_ASSIGN(
            sources_[tensor.key],
            made_up_rows(dtype, bytes_of(tensor) / row_bytes(dtype, inner), inner, tensor.key));
    }
    RunnerOptions options;
    options.weights = [&](uint64_t key) -> Result<WeightBytes> {
        for (const rz_tensor &tensor : tensors)
            if (tensor.role == RZ_ROLE_WEIGHT && tensor.key == key)
                return WeightBytes{{sources_[key]}, static_cast<DType>(tensor.dtype)};
        return make_error(Code::internal, "no_weight", "the graph has no such weight");
    };
    uint64_t done = 0;
    RZ_ASSIGN(weights_,
              load_weights(device_, *graph_, options, {}, done, weight_source_bytes(*graph_)));
    return {};
}

Status KernelCase::bind() {
    std::vector<rz_binding> bindings;
    const auto tensors = graph_->tensors();
    for (TensorId id = 0; id < tensors.size(); ++id) {
        const rz_tensor &tensor = tensors[id];
        if (tensor.storage != id) continue;
        if (tensor.role == RZ_ROLE_STATE) {
            RZ_ASSIGN(Buffer buffer, Buffer::create(device_, bytes_of(tensor)));
            states_.push_back(std::move(buffer));
            bindings.push_back({sizeof(rz_binding), 0, id, 0, states_.back().get(), 0});
        }
        if (tensor.role != RZ_ROLE_INPUT) continue;
        std::vector<std::byte> &bytes = inputs_[id];
        bytes.assign(bytes_of(tensor), std::byte{0});
        if (static_cast<DType>(tensor.dtype) == DType::F32) {
            std::vector<float> values(bytes.size() / sizeof(float));
            const uint64_t seed = seed_of(tensor.name ? tensor.name : "");
            for (uint64_t i = 0; i < values.size(); ++i)
                values[i] = made_up(seed, i);
            std::memcpy(bytes.data(), values.data(), bytes.size());
        }
        updates_.push_back({sizeof(rz_update), 0, id, 0, 0, bytes.size(), bytes.data()});
    }
    for (const TensorId id : graph_->outputs()) {
        std::vector<std::byte> &bytes = outputs_[id];
        bytes.resize(bytes_of(tensors[id]));
        reads_.push_back({sizeof(rz_read), 0, id, 0, 0, bytes.size(), bytes.data()});
    }
    return bindings.empty() ? Status() : instance_.bind(bindings);
}

void KernelCase::set(std::string_view input, std::span<const std::byte> bytes) {
    const TensorId id = graph_->find(input);
    if (const auto found = inputs_.find(id);
        found != inputs_.end() && found->second.size() == bytes.size())
        std::ranges::copy(bytes, found->second.begin());
}

Status KernelCase::submit(bool transfers) {
    const rz_point signal{timeline_.get(), ++submitted_};
    rz_submit submit{};
    submit.instance = instance_.get();
    if (transfers) {
        submit.updates = updates_.data();
        submit.update_count = static_cast<uint32_t>(updates_.size());
        submit.reads = reads_.data();
        submit.read_count = static_cast<uint32_t>(reads_.size());
    }
    submit.signals = &signal;
    submit.signal_count = 1;
    return queue_.submit(submit);
}

Status KernelCase::wait() {
    return timeline_.wait(submitted_, std::numeric_limits<uint64_t>::max());
}

Status KernelCase::step(bool transfers) {
    RZ_TRY(submit(transfers));
    return wait();
}

std::span<const float> KernelCase::output(std::string_view name) const {
    const auto found = outputs_.find(graph_->find(name));
    if (found == outputs_.end()) return {};
    // Vectors of bytes are aligned for every plain type.
    return {reinterpret_cast<const float *>(found->second.data()),
            found->second.size() / sizeof(float)};
}

Result<double> median_seconds(double budget, const std::function<Status()> &call) {
    constexpr size_t kLeast = 3, kMost = 1000;
    RZ_TRY(call());
    std::vector<double> seconds;
    double sum = 0;
    while (seconds.size() < kLeast || (sum < budget && seconds.size() < kMost)) {
        const auto start = Clock::now();
        RZ_TRY(call());
        seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        sum += seconds.back();
        if (sum > 4 * budget) break; // one call took longer than all of them should
    }
    return median(seconds);
}

double distance(std::span<const float> a, std::span<const float> b) {
    double difference = 0, length = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        const double d = double{a[i]} - double{b[i]};
        difference += d * d;
        length += double{b[i]} * double{b[i]};
    }
    const double result = std::sqrt(difference / std::max(length, 1e-300));
    return a.size() == b.size() && std::isfinite(result) ? result
                                                         : std::numeric_limits<double>::infinity();
}

} // namespace realizar::bench
