// Which element type each tensor gets when a model is quantised: the targets and their mixes.
#pragma once

#include "core/format/gguf.h"

#include <string>
#include <vector>

namespace realizar {

struct MixRule; // quantize_mix.cpp

// What a file can be quantised to. A mix gives the matrices that lose most by few bits a better type;
// the rules are those that files of the same name in circulation were made with (docs/quantization.md).
struct QuantizeTarget {
    const char *name;   // as users write it, e.g. "Q4_K_M"
    DType base;         // of most matrices
    uint32_t file_type; // general.file_type
    std::span<const MixRule> rules;
};
std::span<const QuantizeTarget> quantize_targets();
// By name, letter case ignored; "Q3_K", "Q4_K" and "Q5_K" mean the M mixes. nullptr for an unknown one.
const QuantizeTarget *find_quantize_target(std::string_view name);

// The type of the tensors whose names hold `pattern`, in which '*' stands for any characters and '?'
// for one: "ffn_down", "blk.0.*weight".
struct TypeOverride {
    std::string pattern;
    DType dtype;
};
// "PATTERN=TYPE". Tag bad_option: no '=', no pattern, or a type that cannot be written.
Result<TypeOverride> parse_type_override(std::string_view text);
// Vectors (norms, biases) never change their type: '*' and 'blk.3.*' mean matrices.
bool applies(const TypeOverride &override, const GgufTensor &tensor);

// What the choice of a type depends on besides the tensor itself.
struct MixFacts {
    uint32_t layers = 0;
    uint32_t query_heads_per_key = 1;
    uint32_t experts = 0;
    bool tied = true;        // no output matrix: the embedding serves as one
    bool importance = false; // there is an importance matrix
};
MixFacts mix_facts(const GgufFile &file);

struct TypeChoice {
    DType wanted, to; // to != wanted: the rows do not fill the blocks of the wanted type
};
// The first override that matches decides, then the target's rules. Vectors become F32; integer tensors
// and the few small matrices that decide more than they weigh (expert routers, position tables) keep
// their type, unless an override names them.
TypeChoice choose_type(const GgufTensor &tensor, const QuantizeTarget &target,
                       std::span<const TypeOverride> overrides, const MixFacts &facts);

} // namespace realizar
