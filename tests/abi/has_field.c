/* RZ_HAS: a field counts as present only when the struct's size covers all of it. */
#include "realizar/backend.h"

#include <stdio.h>

int main(void) {
    const struct {
        uint32_t size;
        int expected;
    } cases[] = {{0, 0},
                 {offsetof(rz_counters, barriers), 0},
                 {offsetof(rz_counters, barriers) + 7, 0},
                 {offsetof(rz_counters, barriers) + 8, 1},
                 {sizeof(rz_counters), 1},
                 {sizeof(rz_counters) + 64, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        const rz_counters counters = {.struct_size = cases[i].size};
        const int found = RZ_HAS(&counters, rz_counters, barriers);
        if (found != cases[i].expected) {
            printf("struct_size %u: expected %d, found %d\n", cases[i].size, cases[i].expected,
                   found);
            return 1;
        }
    }
    return 0;
}
