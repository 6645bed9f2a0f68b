#include "plugins/common/qkv.h"

#include "plugins/common/contract.h"

#include <algorithm>
#include <cstring>

namespace realizar::plugin {

namespace {

constexpr uint32_t kWindow = 64; // nodes behind the first one in which the others must lie

// Follows the results of `matmul`; `next` gives the one reader of a tensor's bytes, or nothing.
template <class Next>
Chain follow(const Region &region, const Node &matmul, Next next) {
    Chain chain;
    chain.matmul = &matmul;
    uint32_t at = matmul.outputs[0];
    for (;;) {
        const std::optional<uint32_t> reader = next(at);
        if (!reader) return chain;
        const Node &node = region.nodes[*reader];
        const bool first = region.tensors[node.inputs[0]].storage == at;
        if (node.op == RZ_OP_ADD && !chain.add && !chain.rope && node.inputs[0] == at) {
            chain.add = &node;
            chain.addend = node.inputs[1];
        } else if (node.op == RZ_OP_ROPE && !chain.rope && first) {
            chain.rope = &node;
        } else if (node.op == RZ_OP_KV_WRITE && region.tensors[node.inputs[1]].storage == at) {
            chain.write = &node;
            return chain;
        } else {
            return chain;
        }
        at = node.outputs[0];
    }
}

// Whether `tensor` is the whole of rows of `rows` floats, as heads of `width`.
bool is_heads(const Region &region, uint32_t tensor, int64_t rows, int64_t width) {
    const Tensor &t = region.tensors[tensor];
    const auto size = static_cast<int64_t>(sizeof(float));
    return t.offset == 0 && t.rank == 3 && t.dims[2] == width && t.dims[1] * width == rows &&
           t.strides[2] == size && t.strides[1] == width * size && t.strides[0] == rows * size;
}

int64_t rows_of(const Region &region, const Chain &chain) {
    return region.output(*chain.matmul, 0).inner();
}

bool turns_alike(const Chain &q, const Chain &k) {
    if (!q.rope || !k.rope) return q.rope == k.rope;
    const auto a = attributes_of<rz_attr_rope>(*q.rope), b = attributes_of<rz_attr_rope>(*k.rope);
    const auto others = [](const Node &rope) {
        return std::vector<uint32_t>(rope.inputs.begin() + 1, rope.inputs.end());
    };
    return std::memcmp(&a, &b, sizeof(a)) == 0 && others(*q.rope) == others(*k.rope);
}

bool has_bias_only(const Region &region, const Chain &chain) {
    return !chain.add || is_vector(region.tensors[chain.addend], rows_of(region, chain));
}

// `width` of a head in the cache that `chain` writes; 0: not as the group wants it.
int64_t written_width(const Region &region, const Chain &chain) {
    const Tensor &cache = region.input(*chain.write, 0);
    const int64_t width = cache.inner();
    const bool right = cache.dtype == RZ_DTYPE_F16 && width % 2 == 0;
    const uint32_t source = chain.rope ? chain.rope->inputs[0] : chain.write->inputs[1];
    return right && is_heads(region, source, rows_of(region, chain), width) ? width : 0;
}

bool fits(const Region &region, const QkvChains &chains, const Node &attention,
          bool (*fits_weight)(const Tensor &)) {
    const auto &[q, k, v] = chains.chain;
    const int64_t width = written_width(region, k);
    const auto &all = chains.chain;
    const bool right = std::all_of(std::begin(all), std::end(all), [&](const Chain &chain) {
        return fits_weight(region.input(*chain.matmul, 0)) && has_bias_only(region, chain);
    });
    const uint32_t source = q.rope ? q.rope->inputs[0] : attention.inputs[0];
    return right && !v.rope && turns_alike(q, k) && width > 0 && written_width(region, v) > 0 &&
           is_heads(region, source, rows_of(region, q), width) &&
           k.write->inputs[2] == v.write->inputs[2];
}

std::vector<uint32_t> indices_of(const Region &region, const QkvChains &chains) {
    std::vector<uint32_t> result;
    for (const Chain &chain : chains.chain)
        for (const Node *node : {chain.matmul, chain.add, chain.rope, chain.write})
            if (node) result.push_back(static_cast<uint32_t>(node - region.nodes.data()));
    std::sort(result.begin(), result.end());
    return result;
}

// Whether the nodes can run together at the place of the last one.
bool may_wait(const Uses &uses, const std::vector<uint32_t> &nodes) {
    const Region &region = uses.region();
    for (const uint32_t node : nodes) {
        if (!uses.may_move(node, nodes.back())) return false;
        const uint32_t result = region.output(region.nodes[node], 0).storage;
        for (uint32_t i = node + 1; i < nodes.back(); ++i) {
            if (std::binary_search(nodes.begin(), nodes.end(), i)) continue;
            for (const uint32_t input : region.nodes[i].inputs)
                if (input != RZ_NONE && region.tensors[input].storage == result) return false;
        }
    }
    return true;
}

} // namespace

std::vector<uint32_t> match_qkv(const Uses &uses, uint32_t index,
                                bool (*fits_weight)(const Tensor &)) {
    const Region &region = uses.region();
    if (region.nodes[index].op != RZ_OP_MATMUL) return {};
    const auto next = [&](uint32_t tensor) { return uses.only_node(tensor); };
    std::vector<Chain> all;
    const auto end = std::min<size_t>(region.nodes.size(), index + kWindow);
    for (size_t i = index; i < end; ++i)
        if (region.nodes[i].op == RZ_OP_MATMUL &&
            region.nodes[i].inputs[1] == region.nodes[index].inputs[1])
            all.push_back(follow(region, region.nodes[i], next));
    for (const Chain &q : all) {
        const auto reader = q.write ? std::nullopt : next(q.last().outputs[0]);
        if (!reader || region.nodes[*reader].op != RZ_OP_ATTENTION) continue;
        const Node &attention = region.nodes[*reader];
        const auto writer = [&](size_t input) {
            return std::find_if(all.begin(), all.end(), [&](const Chain &chain) {
                return chain.write && region.output(*chain.write, 0).storage ==
                                          region.input(attention, input).storage;
            });
        };
        const auto k = writer(1), v = writer(2);
        if (k == all.end() || v == all.end() || k == v) continue;
        const QkvChains chains = {{q, *k, *v}};
        const std::vector<uint32_t> nodes = indices_of(region, chains);
        if (nodes.front() == index && fits(region, chains, attention, fits_weight) &&
            may_wait(uses, nodes))
            return nodes;
    }
    return {};
}

QkvChains qkv_chains(const Region &region, const std::vector<uint32_t> &nodes) {
    // Within the group every result has one reader at most.
    const auto next = [&](uint32_t tensor) -> std::optional<uint32_t> {
        for (const uint32_t i : nodes)
            for (const uint32_t input : region.nodes[i].inputs)
                if (input != RZ_NONE && region.tensors[input].storage == tensor) return i;
        return std::nullopt;
    };
    QkvChains result;
    std::vector<Chain> writing;
    for (const uint32_t i : nodes) {
        if (region.nodes[i].op != RZ_OP_MATMUL) continue;
        const Chain chain = follow(region, region.nodes[i], next);
        if (chain.write)
            writing.push_back(chain);
        else
            result.chain[0] = chain;
    }
    // The cache that the attention reads as keys.
    const auto attention = std::find_if(
        region.nodes.begin() + nodes.back(), region.nodes.end(), [&](const Node &node) {
            return node.op == RZ_OP_ATTENTION &&
                   region.input(node, 0).storage ==
                       region.tensors[result.chain[0].last().outputs[0]].storage;
        });
    const bool in_order =
        region.output(*writing[0].write, 0).storage == region.input(*attention, 1).storage;
    result.chain[1] = writing[in_order ? 0 : 1];
    result.chain[2] = writing[in_order ? 1 : 0];
    return result;
}

} // namespace realizar::plugin
