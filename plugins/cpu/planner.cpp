#include "plugins/cpu/planner.h"

namespace realizar::cpu {

uint32_t Planner::scratch_like(uint32_t tensor, int64_t bytes) {
    const Tensor like = region_.tensors[tensor];
    const uint32_t index = scratch(like.rank > 1 ? like.dims[0] : 1, bytes);
    if (like.rank > 1) region_.tensors[index].symbol = like.symbol;
    return index;
}

uint32_t Planner::scratch(int64_t steps, int64_t bytes) {
    Tensor t;
    t.dtype = RZ_DTYPE_I8;
    t.rank = 2;
    t.storage = static_cast<uint32_t>(region_.tensors.size());
    t.dims[0] = steps;
    t.dims[1] = static_cast<int64_t>(align_up(static_cast<uint64_t>(bytes)));
    t.strides[0] = t.dims[1];
    t.strides[1] = 1;
    region_.tensors.push_back(t);
    generation_.push_back(0);
    return t.storage;
}

std::string Planner::shared_key(const std::string &what, uint32_t tensor) const {
    const uint32_t storage = region_.tensors[tensor].storage;
    return what + '@' + std::to_string(tensor) + '.' + std::to_string(generation_[storage]);
}

uint32_t Planner::find_shared(const std::string &what, uint32_t tensor) const {
    const auto found = shared_.find(shared_key(what, tensor));
    return fuse_ && found != shared_.end() ? found->second : RZ_NONE;
}

void Planner::share(const std::string &what, uint32_t tensor, uint32_t scratch) {
    shared_[shared_key(what, tensor)] = scratch;
}

void Planner::add(std::unique_ptr<Step> step) {
    for (const Access &access : step->accesses)
        if (access.write) ++generation_[access.view.storage()];
    steps_.push_back(std::move(step));
}

} // namespace realizar::cpu
