// Level 3: regions of many nodes, fused and not, replayed, interleaved and bound anew.
#include "tools/ctk/level3.h"

#include "core/quant/codec.h"
#include "tools/ctk/levels.h"

namespace realizar::ctk {
namespace {

constexpr int kRandomGraphs = 20;

// Judges the region compiled with fusion and node by node: both must be within the tolerance.
Status judge_both_ways(Session &session, const Region &region, uint64_t seed) {
    Random random(seed ^ 0x66757365u);
    for (const bool fuse : {true, false}) {
        DeviceOptions options = random_options(random);
        options.fuse = fuse;
        if (Status status = judge(session, region, seed, options); !status)
            return std::move(status).error().within(fuse ? "with fusion" : "without fusion");
    }
    return {};
}

void add_random_cases(const Offer &offer, CaseList &cases) {
    for (int i = 0; i < kRandomGraphs; ++i) {
        const size_t nodes = 5 + static_cast<size_t>(i) * 35 / (kRandomGraphs - 1);
        cases.push_back({3, "random", "",
                         "graph" + std::to_string(i) + "_n" + std::to_string(nodes),
                         [=](Context &context) -> Status {
                             RZ_ASSIGN(Session * session, context.session());
                             Random random(context.seed);
                             RZ_ASSIGN(const Region region, random_region(offer, nodes, random));
                             return judge_both_ways(*session, region, context.seed);
                         }});
    }
}

using DecoderTest = Status (*)(Session &session, const Region &region, uint64_t seed);

// Two instances of one program take turns with different steps.
Status interleaved(Session &session, const Region &region, uint64_t seed) {
    Random random(seed ^ 0x74776fu);
    RZ_ASSIGN(const auto first, Trial::create(session, region, seed, random_options(random)));
    RZ_ASSIGN(const auto second, Trial::sibling(*first, seed + 1));
    const size_t count = region.steps.size();
    for (size_t i = 0; i < count; ++i) {
        const std::string where = "turn " + std::to_string(i);
        if (Status status = first->step(region.steps[i]); !status)
            return std::move(status).error().within(where + ", first instance");
        if (Status status = second->step(region.steps[(i + 2) % count]); !status)
            return std::move(status).error().within(where + ", second instance");
    }
    return first->weights_unchanged();
}

// In the middle other states are bound, used and left again.
Status bound_anew(Session &session, const Region &region, uint64_t seed) {
    Random random(seed ^ 0x62696e64u);
    RZ_ASSIGN(const auto trial, Trial::create(session, region, seed, random_options(random)));
    const size_t half = region.steps.size() / 2;
    const auto run = [&](size_t begin, size_t end, const char *where) -> Status {
        for (size_t i = begin; i < end; ++i)
            if (Status status = trial->step(region.steps[i]); !status)
                return std::move(status).error().within(where);
        return {};
    };
    RZ_TRY(run(0, half, "first states"));
    RZ_TRY(trial->enter_other_states(seed + 1));
    RZ_TRY(run(0, region.steps.size(), "other states"));
    RZ_TRY(trial->leave_other_states());
    return run(half, region.steps.size(), "first states again");
}

void add_decoder_case(const Offer &offer, CaseList &cases, const std::string &name,
                      const DecoderTypes &types, DecoderTest test) {
    if (!can_decode(offer, types)) return;
    cases.push_back({3, "decoder", "", name, [=](Context &context) -> Status {
                         RZ_ASSIGN(Session * session, context.session());
                         Random random(context.seed);
                         RZ_ASSIGN(const Region region, decoder_region(types, random));
                         return test(*session, region, context.seed);
                     }});
}

void add_decoder_cases(const Offer &offer, CaseList &cases) {
    const size_t before = cases.size();
    std::vector<DType> caches;
    for (const DType type : {DType::F32, DType::F16, DType::Q8_0, DType::Q4_0})
        if (offer.claims(RZ_OP_KV_WRITE, static_cast<rz_dtype>(type)) &&
            offer.claims(RZ_OP_ATTENTION, static_cast<rz_dtype>(type)))
            caches.push_back(type);
    if (caches.empty()) caches.push_back(DType::F32); // not claimed: the cases below say so
    size_t i = 0;
    for (const DType weights : claimed_types(offer, RZ_OP_MATMUL)) {
        if (is_integer(weights) || weights == DType::F64) continue; // no model stores matrices so
        const DType cache = caches[i++ % caches.size()];
        add_decoder_case(offer, cases, std::string("steps_") + dtype_info(weights).name,
                         {weights, cache, cache}, judge_both_ways);
    }
    for (const DType cache : caches) {
        const DecoderTypes types = {DType::F32, cache, cache};
        const char *type = dtype_info(cache).name;
        add_decoder_case(offer, cases, std::string("interleaved_") + type, types, interleaved);
        add_decoder_case(offer, cases, std::string("rebound_") + type, types, bound_anew);
    }
    if (cases.size() == before)
        cases.push_back({3, "decoder", "", "steps", [](Context &) -> Status {
                             return unsupported("the plugin does not claim all operators of a "
                                                "decoder");
                         }});
}

} // namespace

void add_graph_cases(const Offer &offer, CaseList &cases) {
    add_random_cases(offer, cases);
    add_decoder_cases(offer, cases);
}

} // namespace realizar::ctk
