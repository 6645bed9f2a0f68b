#include "tools/ctk/judge.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>

namespace realizar::ctk {
namespace {

// A rounding to blocks may fall to the other side of a boundary now and then, not all the time. The
// scale may be rounded to F16 before or after the division by it, which moves a quotient by up to
// 127 * 2^-11 steps: at most 6 % of the elements differ by a step, a root mean square of 0.25.
// Cutting instead of rounding gives 0.7.
constexpr double kBlockRoundingRms = 0.3;

std::string index_text(size_t flat, std::span<const int64_t> dims) {
    std::string text = "]";
    for (size_t d = dims.size(); d-- > 0;) {
        const auto size = static_cast<size_t>(std::max<int64_t>(1, dims[d]));
        text = std::to_string(flat % size) + (d + 1 == dims.size() ? "" : ", ") + text;
        flat /= size;
    }
    return "[" + text;
}

std::string name_of(const Graph &graph, TensorId id) {
    const char *name = graph.tensors()[id].name;
    return name != nullptr && name[0] != 0 ? printable(name) : "tensor " + std::to_string(id);
}

Status compare_tensor(const Graph &graph, const ReferenceRegion &reference, TensorId id,
                      const Bytes &bytes, const std::set<int64_t> *free_rows) {
    const RefValue &expected = reference.value(id);
    RZ_ASSIGN(const RefValue got, ref_from_bytes(graph.tensors()[id].dtype, expected.dims, bytes));
    const std::vector<double> limit = reference.limits(id);
    return compare(name_of(graph, id), {got.data, expected.data, limit, expected.dims, free_rows});
}

// Indices of ARGMAX and TOP_K behind other nodes: another index is right if its element is within the
// tolerance of the one that the reference chose. Where the device also shows the elements, its choice
// must be exact for them.
Status compare_indices(const Graph &graph, const ReferenceRegion &reference, TensorId id,
                       const Leaves &outputs) {
    const auto makes = [&](const rz_node &node) {
        return std::count(node.outputs, node.outputs + node.output_count, id) > 0;
    };
    const auto node = std::ranges::find_if(graph.nodes(), makes);
    const TensorId x = node->inputs[0];
    const RefValue &wanted = reference.value(id), &elements = reference.value(x);
    RZ_ASSIGN(const RefValue got, ref_from_bytes(RZ_DTYPE_I32, wanted.dims, outputs[id]));
    const std::vector<double> limit = reference.limits(x);
    const auto width = static_cast<size_t>(elements.dims.back());
    const size_t per_row = wanted.data.size() / (elements.data.size() / width);
    std::vector<double> shown;
    if (!outputs[x].empty()) {
        RZ_ASSIGN(RefValue value, ref_from_bytes(RZ_DTYPE_F32, elements.dims, outputs[x]));
        shown = std::move(value.data);
    }
    for (size_t i = 0; i < got.data.size(); ++i) {
        const size_t row = i / per_row * width;
        CTK_CHECK(got.data[i] >= 0 && got.data[i] < static_cast<double>(width),
                  "'%s': index %g in rows of %zu", name_of(graph, id).c_str(), got.data[i], width);
        const size_t a = row + static_cast<size_t>(got.data[i]);
        const size_t b = row + static_cast<size_t>(wanted.data[i]);
        CTK_CHECK(std::fabs(elements.data[a] - elements.data[b]) <= limit[a] + limit[b],
                  "'%s': expected index %g with %.9g, found %g with %.9g",
                  name_of(graph, id).c_str(), wanted.data[i], elements.data[b], got.data[i],
                  elements.data[a]);
        if (shown.empty()) continue;
        const auto begin = shown.begin() + static_cast<int64_t>(row);
        const auto larger = std::count_if(begin, begin + static_cast<int64_t>(width),
                                          [&](double value) { return value > shown[a]; });
        CTK_CHECK(larger <= static_cast<int64_t>(i % per_row),
                  "'%s': index %g, but %zd elements of the row that the device shows are larger",
                  name_of(graph, id).c_str(), got.data[i], larger);
    }
    return {};
}

// What one submission must leave alone: cells that no node wrote keep their bytes, and a block type
// is rounded, not cut.
Status compare_state(const Graph &graph, const ReferenceRegion &reference, TensorId id,
                     const Bytes &before, const Bytes &after) {
    RZ_TRY(compare_tensor(graph, reference, id, after, nullptr));
    const rz_tensor &tensor = graph.tensors()[id];
    const RefValue &expected = reference.value(id);
    RZ_ASSIGN(const RefValue old, ref_from_bytes(tensor.dtype, expected.dims, before));
    RZ_ASSIGN(const RefValue now, ref_from_bytes(tensor.dtype, expected.dims, after));
    const auto cells = static_cast<size_t>(tensor.dims[0]);
    const size_t width = old.data.size() / cells, bytes = before.size() / cells;
    const std::vector<double> steps = rounding_steps(tensor.dtype, expected.data);
    double square = 0;
    size_t written = 0;
    for (size_t c = 0; c < cells; ++c) {
        const auto begin = static_cast<int64_t>(c * width);
        if (std::equal(old.data.begin() + begin,
                       old.data.begin() + begin + static_cast<int64_t>(width),
                       expected.data.begin() + begin)) {
            const bool same = std::equal(before.begin() + static_cast<int64_t>(c * bytes),
                                         before.begin() + static_cast<int64_t>((c + 1) * bytes),
                                         after.begin() + static_cast<int64_t>(c * bytes));
            CTK_CHECK(same, "'%s': cell %zu changed, though no row names it",
                      name_of(graph, id).c_str(), c);
            continue;
        }
        for (size_t i = c * width; i < (c + 1) * width; ++i) {
            if (steps[i] == 0) continue;
            const double difference = (now.data[i] - expected.data[i]) / steps[i];
            square += difference * difference;
            ++written;
        }
    }
    const double rms = written > 0 ? std::sqrt(square / static_cast<double>(written)) : 0;
    CTK_CHECK(!reference.single() || rms <= kBlockRoundingRms,
              "'%s': expected values rounded to the nearest, found them %.2f steps off on average",
              name_of(graph, id).c_str(), rms);
    return {};
}

} // namespace

Status compare(const std::string &name, const Comparison &c) {
    CTK_CHECK(c.got.size() == c.expected.size(), "'%s': expected %zu elements, found %zu",
              name.c_str(), c.expected.size(), c.got.size());
    if (c.got.empty()) return {};
    const size_t per_row = c.got.size() / static_cast<size_t>(c.dims[0]);
    double error = 0, power = 0, worst = 1;
    size_t worst_at = c.got.size(), bad = 0;
    for (size_t i = 0; i < c.got.size(); ++i) {
        if (c.free_rows != nullptr && c.free_rows->count(static_cast<int64_t>(i / per_row)) > 0)
            continue;
        if (c.got[i] == c.expected[i] || (std::isnan(c.got[i]) && std::isnan(c.expected[i])))
            continue; // also equal infinities
        const double difference = std::fabs(c.got[i] - c.expected[i]);
        const bool number = std::isfinite(difference);
        const double ratio = !number ? HUGE_VAL : difference / std::max(c.limit[i], 1e-300);
        error += number ? difference * difference : 0;
        bad += ratio > 1;
        if (ratio > worst) {
            worst = ratio;
            worst_at = i;
        }
    }
    if (bad == 0) return {};
    for (const double value : c.expected)
        power += std::isfinite(value) ? value * value : 0;
    return make_error(Code::internal, "wrong_values",
                      "'%s': %zu of %zu elements are outside of their tolerance; worst at %s: "
                      "expected %.9g within %.3g, found %.9g; NMSE %.3g",
                      name.c_str(), bad, c.got.size(), index_text(worst_at, c.dims).c_str(),
                      c.expected[worst_at], c.limit[worst_at], c.got[worst_at],
                      error / std::max(power, 1e-300));
}

Result<std::unique_ptr<Trial>> Trial::create(Session &session, const Region &region, uint64_t seed,
                                             const DeviceOptions &options) {
    auto trial = std::unique_ptr<Trial>(new Trial(region, seed));
    trial->leaves_ = make_constants(region, trial->random_);
    trial->constants_ = trial->states_ = trial->leaves_;
    RZ_TRY(trial->reference_.set_constants(trial->leaves_));
    RZ_ASSIGN(trial->device_, DeviceRegion::create(session, region.graph, trial->leaves_, options));
    return trial;
}

Result<std::unique_ptr<Trial>> Trial::sibling(const Trial &first, uint64_t seed) {
    const Graph &graph = first.region_.graph;
    auto trial = std::unique_ptr<Trial>(new Trial(first.region_, seed));
    trial->leaves_ = make_constants(first.region_, trial->random_);
    for (TensorId id = 0; id < trial->leaves_.size(); ++id)
        if (owns(graph, id, RZ_ROLE_WEIGHT)) trial->leaves_[id] = first.constants_[id];
    trial->constants_ = trial->states_ = trial->leaves_;
    RZ_TRY(trial->reference_.set_constants(trial->leaves_));
    RZ_ASSIGN(trial->device_, DeviceRegion::sibling(*first.device_, trial->leaves_));
    return trial;
}

Status Trial::step(const Step &step) {
    make_inputs(region_, step, random_, leaves_);
    RZ_TRY(reference_.run(step.symbols, leaves_));
    RZ_TRY(device_->run(step.symbols, leaves_, outputs_));
    RZ_TRY(compare_outputs(step));
    return compare_states();
}

Status Trial::compare_outputs(const Step &step) {
    const Graph &graph = region_.graph;
    for (const TensorId id : graph.outputs()) {
        const bool index = graph.tensors()[id].dtype == RZ_DTYPE_I32;
        if (index && !reference_.single())
            RZ_TRY(compare_indices(graph, reference_, id, outputs_));
        else
            RZ_TRY(compare_tensor(graph, reference_, id, outputs_[id], &step.free_rows));
    }
    return {};
}

Status Trial::compare_states() {
    const Graph &graph = region_.graph;
    for (TensorId id = 0; id < leaves_.size(); ++id) {
        if (!owns(graph, id, RZ_ROLE_STATE)) continue;
        RZ_ASSIGN(Bytes after, device_->read_state(id));
        RZ_TRY(compare_state(graph, reference_, id, states_[id], after));
        states_[id] = std::move(after);
    }
    return {};
}

Status Trial::enter_other_states(uint64_t seed) {
    Random random(seed);
    Leaves fresh = make_constants(region_, random);
    for (TensorId id = 0; id < fresh.size(); ++id)
        if (owns(region_.graph, id, RZ_ROLE_WEIGHT)) fresh[id] = constants_[id];
    kept_reference_ = std::make_unique<ReferenceRegion>(reference_);
    kept_states_ = std::move(states_);
    states_ = fresh;
    RZ_TRY(reference_.set_constants(fresh));
    return device_->exchange_states(fresh);
}

Status Trial::leave_other_states() {
    reference_.take_values(*kept_reference_);
    states_ = std::move(kept_states_);
    return device_->exchange_states();
}

Status Trial::weights_unchanged() const {
    for (TensorId id = 0; id < leaves_.size(); ++id)
        if (owns(region_.graph, id, RZ_ROLE_WEIGHT))
            CTK_CHECK(leaves_[id] == constants_[id], "'%s': the plugin changed the weight's source",
                      name_of(region_.graph, id).c_str());
    return {};
}

Status judge(Session &session, const Region &region, uint64_t seed, const DeviceOptions &options) {
    RZ_ASSIGN(const auto trial, Trial::create(session, region, seed, options));
    for (size_t s = 0; s < region.steps.size(); ++s)
        if (Status status = trial->step(region.steps[s]); !status)
            return std::move(status).error().within("step " + std::to_string(s));
    return trial->weights_unchanged();
}

Status judge(Session &session, const Region &region, uint64_t seed) {
    Random random(seed ^ 0x6f707469u);
    return judge(session, region, seed, random_options(random));
}

} // namespace realizar::ctk
