/* Plugins that are wrong in one way each, chosen by -DBAD=NAME. The rest is the null plugin. */
#include "plugins/null/null.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    NOTHING, /* a good plugin */
    OTHER_ID,
    NO_NOTE,
    FUTURE_MAJOR,
    OLD_MINOR,
    OTHER_HASH,
    OTHER_SANITIZER,
    NO_ENTRY,
    EXTRA_EXPORT,
    UNRESOLVED,
    CRASH_IN_CONSTRUCTOR,
    CRASH_IN_ENTRY,
    CRASH_IN_CREATE,
    CRASH_IN_ENUMERATE,
    CRASH_IN_OPEN,
    CRASH_AT_EXIT,
    HANG_IN_CONSTRUCTOR,
    HANG_IN_ENTRY,
    HANG_IN_ENUMERATE,
    HANG_AT_EXIT,
    ABORT_IN_ENTRY,
    EXIT_IN_ENTRY,
    THROW_IN_ENTRY,
    THROW_IN_CREATE,
    PRINTS,
    PRINTS_A_REPORT,
    NOISY_STDERR,
    CLOSES_EVERYTHING,
    LEAVES_A_PROCESS,
    NULL_PLUGIN,
    NULL_TABLE,
    NULL_FUNCTION,
    NULL_STRING,
    SHORT_PLUGIN,
    SHORT_TABLE,
    REQUIRED_FLAG,
    TABLE_HASH,
    BAD_ID,
    LONG_ID,
    RESERVED_ID,
    REFUSES_VERSION,
    ENTRY_FAILS,
    UNKNOWN_CODE,
    NO_DRIVER,
    NO_DEVICE,
    NULL_DRIVER,
    NULL_DEVICE,
    MANY_DEVICES,
    NAMELESS_DEVICE,
    ODD_ALIGNMENT,
    UNTERMINATED_TEXT
};

void bad_throw(void); /* throw.cpp */

#ifdef BAD_UNRESOLVED
void rz_nobody_has_this(void);
#endif

/* RZ_PLUGIN_NOTE with what a variant changes. */
__attribute__((section(".note.realizar"), used, aligned(4))) static const rz_plugin_note note = {
    .name_size = 9,
    .desc_size = 20,
    .type = BAD == NO_NOTE ? 2 : 1,
    .name = "realizar",
    .abi_major = BAD == FUTURE_MAJOR ? 7 : RZ_ABI_MAJOR,
    .abi_minor = BAD == OLD_MINOR ? RZ_ABI_MINOR - 1 : RZ_ABI_MINOR,
    .abi_hash_low = (uint32_t)(RZ_ABI_HASH & 0xffffffffu) ^ (BAD == OTHER_HASH),
    .abi_hash_high = (uint32_t)(RZ_ABI_HASH >> 32),
    .sanitizer = (REALIZAR_SANITIZER_KIND + (BAD == OTHER_SANITIZER)) % 3,
};

/* volatile: the compiler must not see what comes of it. */
static void crash(void) {
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

static void hang(void) {
    for (;;)
        pause();
}

__attribute__((constructor)) static void constructed(void) {
    if (BAD == CRASH_IN_CONSTRUCTOR) crash();
    if (BAD == HANG_IN_CONSTRUCTOR) hang();
}

__attribute__((destructor)) static void destructed(void) {
    if (BAD == CRASH_AT_EXIT) crash();
    if (BAD == HANG_AT_EXIT) hang();
}

static rz_code create(const rz_host *host, rz_driver **out, rz_error *err) {
    if (BAD == CRASH_IN_CREATE) crash();
    if (BAD == THROW_IN_CREATE) bad_throw();
    if (BAD == UNKNOWN_CODE) return 4711;
    if (BAD == NO_DRIVER)
        return null_fail(err, RZ_UNAVAILABLE, "install libbad.so.1 (apt: libbad1)");
    if (BAD == NULL_DRIVER) return RZ_OK;
    return null_driver_api.create(host, out, err);
}

static rz_code enumerate(rz_driver *driver, rz_device_info *infos, uint32_t stride, uint32_t *count,
                         rz_error *err) {
    if (BAD == CRASH_IN_ENUMERATE) crash();
    if (BAD == HANG_IN_ENUMERATE) hang();
    const rz_code code = null_driver_api.enumerate(driver, infos, stride, count, err);
    if (BAD == NO_DEVICE) *count = 0;
    if (BAD == MANY_DEVICES) *count = 1000000000;
    if (infos && BAD == NAMELESS_DEVICE) infos->id[0] = 0;
    if (infos && BAD == ODD_ALIGNMENT) infos->alignment = 48;
    if (infos && BAD == UNTERMINATED_TEXT) memset(infos->name, '\xff', sizeof infos->name);
    return code;
}

static rz_code open_device(rz_driver *driver, uint32_t index, rz_device **out, rz_error *err) {
    if (BAD == CRASH_IN_OPEN) crash();
    if (BAD == NULL_DEVICE) return RZ_OK;
    return null_driver_api.open(driver, index, out, err);
}

static const void *get_extension(const char *id) {
    (void)id;
    return NULL;
}

/* Filled once at load, because the pieces are in other files. */
static rz_driver_api driver_api;
static rz_plugin plugin;

__attribute__((constructor)) static void fill_tables(void) {
    driver_api = null_driver_api;
    driver_api.create = create;
    driver_api.enumerate = enumerate;
    driver_api.open = open_device;
    if (BAD == NULL_FUNCTION) driver_api.destroy = NULL;
    if (BAD == SHORT_TABLE) driver_api.struct_size -= 8;
    plugin = (rz_plugin){
        .struct_size = sizeof(rz_plugin) - (BAD == SHORT_PLUGIN ? 8 : 0),
        .flags = BAD == REQUIRED_FLAG ? 4 : 0,
        .abi_major = RZ_ABI_MAJOR,
        .abi_minor = RZ_ABI_MINOR,
        .abi_hash = RZ_ABI_HASH ^ (BAD == TABLE_HASH),
        .id = BAD == OTHER_ID      ? "other"
              : BAD == BAD_ID      ? "Bad Id!"
              : BAD == LONG_ID     ? "a234567890123456789012345678901234567890"
              : BAD == RESERVED_ID ? "reference"
                                   : "good",
        .version = BAD == NULL_STRING ? NULL : "1.2.3",
        .vendor = "test",
        .build = "",
        .license = "MIT",
        .driver = &driver_api,
        .device = &null_device_api,
        .buffer = &null_buffer_api,
        .weights = BAD == NULL_TABLE ? NULL : &null_weights_api,
        .program = &null_program_api,
        .instance = &null_instance_api,
        .queue = &null_queue_api,
        .timeline = &null_timeline_api,
        .get_extension = get_extension,
    };
}

static void misbehave(void) {
    if (BAD == CRASH_IN_ENTRY) crash();
    if (BAD == HANG_IN_ENTRY) hang();
    if (BAD == ABORT_IN_ENTRY) abort();
    if (BAD == EXIT_IN_ENTRY) _exit(3);
    if (BAD == THROW_IN_ENTRY) bad_throw();
    if (BAD == PRINTS) printf("\x1b[31mhello world\n");
    if (BAD == PRINTS_A_REPORT)
        printf("{\"stage\":\"done\",\"state\":\"ready\",\"id\":\"forged\",\"devices\":[{}]}\n");
    if (BAD == NOISY_STDERR)
        for (int i = 0; i < 100000; ++i)
            fprintf(stderr, "a driver's chatter, line %d\n", i);
    if (BAD == CLOSES_EVERYTHING)
        for (int fd = 0; fd < 1024; ++fd)
            close(fd);
    if (BAD == LEAVES_A_PROCESS && fork() == 0) hang();
}

RZ_EXPORT rz_code rz_plugin_entry_v1(const rz_hello *hello, const rz_plugin **out, rz_error *err) {
    (void)hello;
    misbehave();
    if (BAD == REFUSES_VERSION)
        return null_fail(err, RZ_VERSION_MISMATCH, "expected a host of next year");
    if (BAD == ENTRY_FAILS) return null_fail(err, RZ_INTERNAL, "my table is gone");
#ifdef BAD_UNRESOLVED
    rz_nobody_has_this();
#endif
    *out = BAD == NULL_PLUGIN ? NULL : &plugin;
    return RZ_OK;
}

RZ_EXPORT int rz_extra(void);
RZ_EXPORT int rz_extra(void) { return 1; }
