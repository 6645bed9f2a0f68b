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

Status judge(Session &session, const Region &region, uint64_t seed, const DeviceOptions &options) {
    const Graph &graph = region.graph;
    Random random(seed);
    Leaves leaves = make_constants(region, random);
    const Leaves constants = leaves;
    ReferenceRegion reference(graph, seed ^ 0x6b6974u);
    RZ_TRY(reference.set_constants(leaves));
    RZ_ASSIGN(const auto device, DeviceRegion::create(session, graph, leaves, options));
    Leaves states = leaves, outputs;
    for (size_t s = 0; s < region.steps.size(); ++s) {
        const Step &step = region.steps[s];
        make_inputs(region, step, random, leaves);
        RZ_TRY(reference.run(step.symbols, leaves));
        const auto in_step = [&](Status status) {
            return status ? std::move(status)
                          : Status(std::move(status).error().within("step " + std::to_string(s)));
        };
        RZ_TRY(in_step(device->run(step.symbols, leaves, outputs)));
        for (const TensorId id : graph.outputs())
            RZ_TRY(in_step(compare_tensor(graph, reference, id, outputs[id], &step.free_rows)));
        for (TensorId id = 0; id < leaves.size(); ++id) {
            if (!owns(graph, id, RZ_ROLE_STATE)) continue;
            RZ_ASSIGN(Bytes after, device->read_state(id));
            RZ_TRY(in_step(compare_state(graph, reference, id, states[id], after)));
            states[id] = std::move(after);
        }
    }
    for (TensorId id = 0; id < leaves.size(); ++id)
        if (owns(graph, id, RZ_ROLE_WEIGHT))
            CTK_CHECK(leaves[id] == constants[id], "'%s': the plugin changed the weight's source",
                      name_of(graph, id).c_str());
    return {};
}

Status judge(Session &session, const Region &region, uint64_t seed) {
    Random random(seed ^ 0x6f707469u);
    return judge(session, region, seed, random_options(random));
}

} // namespace realizar::ctk
