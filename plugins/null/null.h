/* The null backend: a device that runs no operator.
 *
 * It is the template for new backends. Everything around the kernels is here and follows the rules
 * of backend.h: handles, argument checks, buffers, weights loading, timelines, an in-order queue. The
 * one region that it compiles is the empty one. docs/adding-a-backend.md says what to change.
 */
#ifndef REALIZAR_PLUGIN_NULL_H
#define REALIZAR_PLUGIN_NULL_H

#include "realizar/backend.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define NULL_PLUGIN_ID "null"
#define NULL_PLUGIN_VERSION "0.1.0"
#define NULL_ALIGNMENT 64u /* of buffers and bound offsets: a cache line */

struct rz_driver {
    const rz_host *host;
};

/* Counters of rz_counters that this plugin keeps. */
typedef struct null_counters {
    atomic_uint_fast64_t submissions;
    atomic_uint_fast64_t allocations;
    atomic_uint_fast64_t bytes_written;
    atomic_uint_fast64_t bytes_read;
    atomic_uint_fast64_t memory_used;
    atomic_uint_fast64_t memory_peak;
} null_counters;

struct rz_device {
    const rz_host *host;
    null_counters counters;
};

struct rz_buffer {
    rz_device *device;
    uint64_t size;
    unsigned char *data;
};

/* Loading progress of one WEIGHT. */
typedef struct null_weight {
    uint64_t key;
    uint64_t rows;
    uint64_t row_bytes;
    uint64_t loaded; /* rows so far */
    char name[64];
} null_weight;

struct rz_weights {
    rz_device *device;
    uint32_t count;
    null_weight items[]; /* one per key */
};

struct rz_program {
    rz_device *device;
    uint32_t tensor_count;
    uint32_t symbol_count;
    rz_tensor *tensors; /* copies; names dropped */
    rz_symbol *symbols;
};

struct rz_instance {
    rz_program *program;
    unsigned char *bound; /* per tensor: has a buffer been bound? */
};

struct rz_queue {
    rz_device *device;
};

struct rz_timeline {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t value;
    rz_error failure; /* code RZ_OK while no submission has failed */
};

/* check.c: fills *err when there is one, returns `code`. */
rz_code null_fail(rz_error *err, rz_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* check.c: the struct rules of the ABI, for any struct that starts with struct_size and flags: not
 * NULL, at least `size` bytes, no required flag but those in `known`. */
rz_code null_check_struct(const void *object, uint64_t size, uint32_t known, const char *name,
                          rz_error *err);

/* buffer.c: zeroed host memory that the device's counters know. NULL when there is none left. */
unsigned char *null_allocate(rz_device *device, uint64_t size);
void null_release(rz_device *device, unsigned char *memory, uint64_t size);

/* graph.c: element `index` of an array whose elements are `stride` bytes apart. */
const void *null_at(const void *array, uint32_t stride, uint32_t index);
/* graph.c: every count, index and stride of the graph; RZ_INVALID_ARGUMENT or RZ_UNSUPPORTED. After
 * RZ_OK the graph can be read without further checks. */
rz_code null_check_graph(const rz_graph *graph, rz_error *err);
/* graph.c: canonical bytes of one innermost row; 0 for an unknown dtype or a dimension that is no
 * multiple of its block. */
uint64_t null_row_bytes(const rz_tensor *tensor);
/* graph.c: bytes from the first to one past the last, with `rows` as dims[0]. */
uint64_t null_tensor_bytes(const rz_tensor *tensor, int64_t rows);

/* timeline.c: what the queue needs besides the ABI functions. */
uint64_t null_timeline_value(rz_timeline *timeline);
void null_timeline_advance(rz_timeline *timeline, uint64_t value);
void null_timeline_break(rz_timeline *timeline, const rz_error *failure);

extern const rz_driver_api null_driver_api;
extern const rz_device_api null_device_api;
extern const rz_buffer_api null_buffer_api;
extern const rz_weights_api null_weights_api;
extern const rz_program_api null_program_api;
extern const rz_instance_api null_instance_api;
extern const rz_queue_api null_queue_api;
extern const rz_timeline_api null_timeline_api;

#endif /* REALIZAR_PLUGIN_NULL_H */
