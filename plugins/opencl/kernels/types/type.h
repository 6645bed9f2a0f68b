// The quantised type that the program was built for (plan/plane_type.cpp). Each type's header gives, for
// group g of its planes:
//   load_quants  8 words of signed bytes: low[p] holds elements 4p..4p+3, high[p] 16+4p..16+4p+3
//   load_part    low[p] and high[p] alone
//   load_scale   element = scale * byte - minimum: scales of the two halves of the group, the minimum
//   pack_group         the same from the canonical block in units of 2 bytes; `j`: which group of the block
// and kGroups, kUnits: groups and 2-byte units of a canonical block.
#include "common.h"
#if defined(TYPE_Q4_0)
#include "types/q4_0.h"
#elif defined(TYPE_Q8_0)
#include "types/q8_0.h"
#elif defined(TYPE_Q4_K)
#include "types/q4_k.h"
#elif defined(TYPE_Q5_K)
#include "types/q5_k.h"
#elif defined(TYPE_Q6_K)
#include "types/q6_k.h"
#endif
