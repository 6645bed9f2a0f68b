// Mamba (Gu and Dao, arXiv:2312.00752): layers of a selective state space instead of attention. What a
// sequence has seen is one state of fixed size per layer.
//
// Shapes: T tokens, W width, D inner width, N state size, L rank of the step size.
#include "core/models/architectures.h"

namespace realizar {
namespace {

TensorId mixer(StepBuilder &step, uint32_t layer, TensorId x) {
    GraphBuilder &g = step.graph();
    const ModelConfig &c = step.config();
    const StateSpaceConfig &s = c.state_space;
    const int64_t inner = s.inner, size = s.state, rank = s.step_rank;
    const int64_t rows = g.shape(x).dims[0];
    const auto name = [&](const char *part) { return layer_name(layer, part); };

    const TensorId both = step.linear(name("ssm_in"), x, 2 * inner); // [T, 2D]
    const TensorId gate = g.slice_inner(both, inner, inner);
    TensorId u = g.ssm_conv(step.sequence_state(layer, "conv_state", {s.convolution - 1, inner}, 0),
                            g.slice_inner(both, 0, inner),
                            step.table(name("ssm_conv1d.weight"), inner, s.convolution),
                            step.optional_vector(name("ssm_conv1d.bias"), inner), step.places());
    u = g.unary(UnaryKind::silu, u); // [T, D]

    const TensorId selected = step.linear(name("ssm_x"), u, rank + 2 * size); // [T, L + 2N]
    TensorId dt = g.slice_inner(selected, 0, rank);
    TensorId b = g.slice_inner(selected, rank, size),
             e = g.slice_inner(selected, rank + size, size);
    if (s.normalises) { // FalconMamba: without weights
        dt = g.rms_norm(dt, kNoTensor, c.norm_epsilon);
        b = g.rms_norm(b, kNoTensor, c.norm_epsilon);
        e = g.rms_norm(e, kNoTensor, c.norm_epsilon);
    }
    ScanInputs scan{};
    scan.x = g.reshape(u, {rows, inner, 1});
    scan.dt = step.linear(name("ssm_dt"), dt, inner); // [T, D]
    scan.a = step.table(name("ssm_a"), inner, size);
    scan.b = g.split_inner(b, size); // [T, 1, N]
    scan.c = g.split_inner(e, size);
    scan.d = step.vector(name("ssm_d"), inner);
    const TensorId y = g.ssm_scan(step.sequence_state(layer, "ssm_state", {inner, 1, size}, 1),
                                  scan, step.places()); // [T, D, 1]
    const TensorId gated = g.glu(UnaryKind::silu, gate, g.reshape(y, {rows, inner}));
    return step.linear(name("ssm_out"), gated, c.width); // [T, W]
}

} // namespace

TensorId build_mamba(StepBuilder &step) {
    GraphBuilder &g = step.graph();
    TensorId x = step.embedding(); // [T, W]
    for (uint32_t layer = 0; layer < step.config().layers; ++layer)
        x = g.add(x, mixer(step, layer, step.norm(layer_name(layer, "attn_norm"), x)));
    x = step.wanted_rows(step.config().layers - 1, x);
    return step.head(step.norm("output_norm", x)); // [R, V]
}

} // namespace realizar
