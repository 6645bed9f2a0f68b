#include "core/scheduler/atoms.h"

#include "core/scheduler/planner.h"
#include "core/tensor/dtype.h"

#include <algorithm>
#include <map>

namespace realizar {
namespace {

uint64_t bytes_of(const rz_tensor &tensor, std::span<const int64_t> symbols) {
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor.rank; ++i)
        elements *= static_cast<uint64_t>(
            tensor.dims[i] < 0 ? symbols[RZ_SYMBOL_INDEX(tensor.dims[i])] : tensor.dims[i]);
    return row_bytes(static_cast<DType>(tensor.dtype), elements);
}

// Cuts where no more than the least passes, counted for a single row. What a model computes once for
// all layers passes everywhere and changes nothing.
std::vector<uint8_t> narrow_cuts(const Graph &graph) {
    const std::vector<int64_t> one(graph.symbols().size(), 1);
    const std::vector<uint64_t> bytes = crossing_bytes(graph, one);
    std::vector<uint8_t> cuts(bytes.size(), 0);
    if (bytes.size() < 3) return cuts;
    // The least over the second half: the first nodes may come before such values.
    const auto middle = bytes.begin() + static_cast<ptrdiff_t>(bytes.size() / 2);
    const uint64_t least = *std::min_element(middle, bytes.end() - 1);
    for (size_t i = 1; i + 1 < bytes.size(); ++i)
        cuts[i] = bytes[i] <= least;
    return cuts;
}

struct Contents {
    bool weight = false, state = false;
    std::string name;
};

Contents contents_of(const Graph &graph, size_t begin, size_t end) {
    Contents contents;
    for (size_t n = begin; n < end; ++n) {
        const rz_node &node = graph.nodes()[n];
        for (uint32_t k = 0; k < node.input_count; ++k) {
            if (node.inputs[k] == kNoTensor) continue;
            const rz_tensor &tensor = graph.tensors()[graph.tensors()[node.inputs[k]].storage];
            contents.state |= tensor.role == RZ_ROLE_STATE;
            if (tensor.role != RZ_ROLE_WEIGHT) continue;
            if (!contents.weight && tensor.name) contents.name = tensor.name;
            contents.weight = true;
        }
    }
    return contents;
}

// Numbers the groups of states that more than one atom touches; those whose spans overlap count as
// one.
void find_groups(std::vector<Atom> &atoms, const std::vector<size_t> &group_of_node) {
    std::map<size_t, std::pair<size_t, size_t>> spans; // by group of nodes: first and last atom
    for (size_t a = 0; a < atoms.size(); ++a)
        for (size_t n = atoms[a].begin; n < atoms[a].end; ++n) {
            const auto [entry, fresh] = spans.try_emplace(group_of_node[n], a, a);
            entry->second.second = a;
        }
    std::vector<std::pair<size_t, size_t>> wide;
    for (const auto &[group, span] : spans)
        if (span.first != span.second) wide.push_back(span);
    std::ranges::sort(wide);
    size_t number = 0, end = 0;
    std::map<std::pair<size_t, size_t>, size_t> number_of;
    for (const auto &span : wide) {
        if (span.first > end || number == 0) ++number;
        end = std::max(end, span.second);
        number_of[span] = number;
    }
    for (Atom &atom : atoms)
        for (size_t n = atom.begin; n < atom.end; ++n) {
            const auto found = number_of.find(spans.at(group_of_node[n]));
            if (found != number_of.end()) atom.group = found->second;
        }
}

} // namespace

std::vector<uint64_t> crossing_bytes(const Graph &graph, std::span<const int64_t> symbols) {
    const size_t count = graph.nodes().size();
    std::vector<size_t> made(graph.tensors().size(), SIZE_MAX);
    std::vector<size_t> used(graph.tensors().size(), 0);
    for (size_t n = 0; n < count; ++n) {
        const rz_node &node = graph.nodes()[n];
        for (uint32_t i = 0; i < node.input_count; ++i)
            if (node.inputs[i] != kNoTensor) used[graph.tensors()[node.inputs[i]].storage] = n;
        for (uint32_t i = 0; i < node.output_count; ++i)
            if (graph.tensors()[node.outputs[i]].role == RZ_ROLE_TEMP) made[node.outputs[i]] = n;
    }
    std::vector<int64_t> change(count + 2, 0); // prefix sums are the bytes at a cut
    for (size_t id = 0; id < made.size(); ++id) {
        if (made[id] == SIZE_MAX || used[id] <= made[id]) continue;
        const auto bytes = static_cast<int64_t>(bytes_of(graph.tensors()[id], symbols));
        change[made[id] + 1] += bytes;
        change[used[id] + 1] -= bytes;
    }
    std::vector<uint64_t> at(count + 1, 0);
    int64_t sum = 0;
    for (size_t cut = 0; cut <= count; ++cut) {
        sum += change[cut];
        at[cut] = static_cast<uint64_t>(sum);
    }
    return at;
}

std::vector<Atom> cut_into_atoms(std::span<const Graph> variants, const Support &support) {
    const Graph &graph = variants.front();
    const size_t count = graph.nodes().size();
    std::vector<uint8_t> cuts = narrow_cuts(graph);
    const auto runs = [&](size_t node) {
        std::vector<uint8_t> by_device;
        for (const auto &device : support.runs)
            by_device.push_back(device[node]);
        return by_device;
    };
    std::vector<Atom> atoms;
    for (size_t begin = 0, end = 1; begin < count; begin = end, ++end) {
        Atom atom;
        atom.runs = runs(begin);
        while (end < count && !cuts[end] && runs(end) == atom.runs)
            ++end;
        const Contents contents = contents_of(graph, begin, end);
        // Without weights and states it is worth no choice of its own.
        const bool small = !contents.weight && !contents.state;
        if (small && !atoms.empty() && atoms.back().runs == atom.runs) {
            atoms.back().end = end;
            continue;
        }
        atom.begin = begin;
        atom.end = end;
        atom.state = contents.state;
        atom.name = contents.name;
        atoms.push_back(std::move(atom));
    }
    for (Atom &atom : atoms)
        for (const Graph &variant : variants)
            atom.signature.push_back(variant.extract(atom.begin, atom.end).graph.hash());
    find_groups(atoms, support.group);
    return atoms;
}

} // namespace realizar
