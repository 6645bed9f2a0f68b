// NVIDIA's matrix units and the ways to them (PTX ISA, "Warp-level matrix instructions" and
// "cp.async"): only in kernels that run where Features::mma is true.
uint half_pair(float low, float high) {
    uint result;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}

// c += a b: 16 by 16 by 8, F16 products, F32 sums.
void mma(float *c, const uint *a, const uint *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
                 : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(c[0]),
                   "f"(c[1]), "f"(c[2]), "f"(c[3]));
}

// An address in local memory as the instructions below take it.
uint address_of(const local void *at) { return (uint)(ulong)at; }

// Four matrices of 8 by 8: lane l gives where row l % 8 of matrix l / 8 begins.
void load_matrices(uint *to, uint address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}
void load_transposed(uint *to, uint address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(address)
                 : "memory");
}

// 16 bytes to local memory without waiting; zeros where `bytes` is 0, else 16.
void copy_ahead(uint to, global const void *from, uint bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
                 : "memory");
}
// Closes a group of copies; wait_ahead(n) waits until at most n groups are under way.
void close_group(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }
#define wait_ahead(n) asm volatile("cp.async.wait_group " #n ";" ::: "memory")
