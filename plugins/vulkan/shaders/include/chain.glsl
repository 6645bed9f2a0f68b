// Dispatches that follow each other without a barrier of the API (CHAIN). A workgroup of a chain may start
// while those of the dispatch before it still run: it asks for what never changes, such as weights, then
// waits until the counter says that all workgroups before are done, and at its end counts itself. It gives
// up when its patience is over; the mark that it leaves in the counter stops all others, and the host runs
// the step again without chains. Only where dispatches start in their order is there no deadlock.
#ifdef CHAIN
#extension GL_KHR_memory_scope_semantics : require
#pragma use_vulkan_memory_model

const uint kGaveUp = 0x80000000u; // kChainGaveUp of vk/gpu.h

layout(buffer_reference, std430, buffer_reference_align = 4) buffer ChainCounter {
    devicecoherent uint v;
};
// What another dispatch of the chain writes: chain_begin and chain_end keep its order, which is quicker than
// coherent loads and stores.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer FreshF32 {
    nonprivate float v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) buffer FreshF32x4 {
    nonprivate vec4 v[];
};

shared bool chain_goes_on;

void chain_barrier() {
    controlBarrier(gl_ScopeWorkgroup, gl_ScopeWorkgroup,
                   gl_StorageSemanticsBuffer | gl_StorageSemanticsShared,
                   gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable |
                       gl_SemanticsMakeVisible);
}

// All threads of a workgroup call. False: leave at once. One thread keeps order for all: more would each
// wait for the memory.
bool chain_begin(Link link) {
    if (link.before == 0) return true;
    if (gl_LocalInvocationIndex == 0) {
        ChainCounter counter = ChainCounter(link.counter);
        uint done = 0;
        [[dont_unroll]] for (uint i = 0; i < link.patience && done < link.before; ++i)
            done = atomicLoad(counter.v, gl_ScopeDevice, gl_StorageSemanticsNone,
                              gl_SemanticsRelaxed);
        if (done < link.before)
            atomicOr(counter.v, kGaveUp, gl_ScopeDevice, gl_StorageSemanticsNone,
                     gl_SemanticsRelaxed);
        memoryBarrier(gl_ScopeDevice, gl_StorageSemanticsBuffer,
                      gl_SemanticsAcquire | gl_SemanticsMakeVisible);
        chain_goes_on = done >= link.before && done < kGaveUp;
    }
    chain_barrier();
    return chain_goes_on;
}

// The same, when everything is written.
void chain_end(Link link) {
    chain_barrier();
    if (gl_LocalInvocationIndex == 0)
        atomicAdd(ChainCounter(link.counter).v, 1, gl_ScopeDevice, gl_StorageSemanticsBuffer,
                  gl_SemanticsRelease | gl_SemanticsMakeAvailable);
}
#else
#define FreshF32 F32
#define FreshF32x4 F32x4
bool chain_begin(Link link) { return true; }
void chain_end(Link link) {}
#endif
