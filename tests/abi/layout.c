/* Compiled as C11, C17 and C++20: backend.h alone, with every warning an error. */
#include "realizar/backend.h"

#ifdef __cplusplus
#define CHECK(condition, text) static_assert(condition, text)
#else
#define CHECK(condition, text) _Static_assert(condition, text)
#endif

#define ENDS_AT(T, field) (offsetof(T, field) + sizeof(((T *)0)->field))

#define FIELD(T, field, offset) CHECK(offsetof(T, field) == (offset), #T "." #field " has moved");
#define LAST(T, field, size)                                                                       \
    CHECK(sizeof(T) == (size), "the size of " #T " has changed");                                  \
    CHECK(ENDS_AT(T, field) == sizeof(T), #T " has tail padding, or its last field is another");
#include "layout.inc"

/* The padding check sees padding. */
typedef struct padded {
    uint64_t wide;
    uint32_t narrow;
} padded;
CHECK(ENDS_AT(padded, narrow) != sizeof(padded), "the padding check is blind");

/* Element types: the table and the constants agree, and the ids fit a mask. */
#define ROW(name, id, elements, bytes)                                                             \
    CHECK(RZ_DTYPE_##name == (id) && (id) < 64, "RZ_DTYPE_" #name " and its row differ");
RZ_DTYPES(ROW)

RZ_PLUGIN_NOTE(RZ_SANITIZER_NONE);
CHECK(sizeof(rz_plugin_note_data) == 44, "the note is a header, a padded name and five words");
