// ROPE: a step that makes the cosines and sines of all positions, shared by the nodes with the same
// positions and attributes (all layers of a model), and a step that rotates.
#include "plugins/common/positions.h"
#include "plugins/opencl/ops/op.h"

namespace realizar::opencl {

namespace {

// Nodes with equal keys have equal angles: the pairing does not change them.
std::string key_of(const Node &node, bool factors) {
    auto attributes = attributes_of<rz_attr_rope>(node);
    attributes.pairing = 0;
    std::string key = "angles " + std::to_string(node.inputs[1]) + ' ' +
                      (factors ? std::to_string(node.inputs[2]) : "none");
    key.append(reinterpret_cast<const char *>(&attributes), sizeof(attributes));
    return key;
}

View plan_angles(Planner &planner, const Node &node, std::optional<View> factors) {
    const auto a = attributes_of<rz_attr_rope>(node);
    const View positions = planner.view(node.inputs[1]);
    const View angles =
        planner.scratch(uint64_t{positions.max_inner()} * a.rotated * sizeof(float));
    const std::vector<float> values = plugin::rope_turns(a);
    const View turns = planner.constant(values.data(), values.size() * sizeof(float));
    const uint32_t pairs = a.rotated / 2;
    const float magnitude = plugin::rope_magnitude(a);
    std::vector<View> touches = {positions, turns, angles};
    if (factors) touches.push_back(*factors);
    planner.add({touches, [=](Recorder &r) {
                     const uint32_t rows = positions.inner(r.symbols);
                     const AnglesParams p = {r.at(positions),
                                             r.at(turns),
                                             factors ? r.at(*factors) : kNone,
                                             r.at(angles),
                                             pairs,
                                             rows,
                                             magnitude,
                                             0};
                     r.launch("rope_angles", "", p,
                              {r.buffer(positions), r.buffer(turns),
                               r.buffer(factors.value_or(turns)), r.buffer(angles)},
                              {groups_for(uint64_t{rows} * pairs, 256)});
                 }});
    return angles;
}

} // namespace

Rotation plan_rotation(Planner &planner, const Node &node) {
    const auto a = attributes_of<rz_attr_rope>(node);
    const Region &region = planner.region();
    const std::optional<View> factors = planner.optional_view(node, 2);
    const std::string key = key_of(node, factors.has_value());
    // Inputs, weights and temporaries never change within a submission; a state might.
    const bool steady = region.input(node, 1).role != RZ_ROLE_STATE &&
                        (!factors || region.input(node, 2).role != RZ_ROLE_STATE);
    View angles;
    if (const View *shared = planner.find_shared(key); shared && steady)
        angles = *shared;
    else
        planner.share(key, angles = plan_angles(planner, node, factors));
    return {angles, a.rotated / 2, a.pairing == RZ_ROPE_HALVES};
}

void plan_rope(Planner &planner, const Node &node) {
    const Rotation rotation = plan_rotation(planner, node);
    const View x = planner.view(node.inputs[0]), y = planner.view(node.outputs[0]);
    planner.add({{x, rotation.angles, y}, [=](Recorder &r) {
                     const uint32_t inner = x.max_inner(), total = x.rows(r.symbols) * inner;
                     Rows rows = r.rows(x); // [T, H] as [T, 1, H]
                     rows.s0 = x.stride(1);
                     const RopeParams p = {
                         rows,           r.at(rotation.angles),     r.at(y), x.n2(), inner,
                         rotation.pairs, rotation.halves ? 1u : 0u, total,   0};
                     r.launch("rope", "", p, {r.buffer(x), r.buffer(rotation.angles), r.buffer(y)},
                              {groups_for(total, 256)});
                 }});
}

} // namespace realizar::opencl
