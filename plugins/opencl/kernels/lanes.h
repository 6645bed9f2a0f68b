// Values of other threads of a warp, on NVIDIA.
#ifdef USE_PTX
float from_lane(float x, int distance) {
    float other;
    asm("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=f"(other) : "f"(x), "r"(distance));
    return other;
}
int int_from_lane(int x, int distance) {
    int other;
    asm("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(other) : "r"(x), "r"(distance));
    return other;
}
#endif
