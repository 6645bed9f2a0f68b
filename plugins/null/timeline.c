/* Timelines: a counter with a condition variable. */
#define _POSIX_C_SOURCE 200809L /* pthread_condattr_setclock */
#include "null.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static rz_code create(rz_device *device, uint64_t initial, rz_timeline **out, rz_error *err) {
    if (!device || !out)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a device and a place, found NULL");
    *out = NULL;
    rz_timeline *timeline = calloc(1, sizeof *timeline);
    if (!timeline) return null_fail(err, RZ_OUT_OF_MEMORY, "no memory for a timeline");
    /* The monotonic clock, so that a change of the wall clock cannot stretch a wait. */
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&timeline->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&timeline->mutex, NULL);
    timeline->value = initial;
    *out = timeline;
    return RZ_OK;
}

static void destroy(rz_timeline *timeline) {
    if (!timeline) return;
    pthread_cond_destroy(&timeline->changed);
    pthread_mutex_destroy(&timeline->mutex);
    free(timeline);
}

uint64_t null_timeline_value(rz_timeline *timeline) {
    pthread_mutex_lock(&timeline->mutex);
    const uint64_t value = timeline->value;
    pthread_mutex_unlock(&timeline->mutex);
    return value;
}

void null_timeline_advance(rz_timeline *timeline, uint64_t value) {
    pthread_mutex_lock(&timeline->mutex);
    if (value > timeline->value) timeline->value = value;
    pthread_cond_broadcast(&timeline->changed);
    pthread_mutex_unlock(&timeline->mutex);
}

void null_timeline_break(rz_timeline *timeline, const rz_error *failure) {
    pthread_mutex_lock(&timeline->mutex);
    if (timeline->failure.code == RZ_OK) timeline->failure = *failure;
    pthread_cond_broadcast(&timeline->changed);
    pthread_mutex_unlock(&timeline->mutex);
}

static rz_code query(rz_timeline *timeline, uint64_t *value, rz_error *err) {
    if (!timeline || !value)
        return null_fail(err, RZ_INVALID_ARGUMENT, "expected a timeline and a place, found NULL");
    *value = null_timeline_value(timeline);
    return RZ_OK;
}

/* now + timeout_ns; a sum beyond what time_t holds in practice becomes some centuries from now. */
static struct timespec deadline_after(uint64_t timeout_ns) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_sec += (time_t)(timeout_ns / 1000000000u);
    time.tv_nsec += (long)(timeout_ns % 1000000000u);
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        ++time.tv_sec;
    }
    return time;
}

static rz_code wait(rz_timeline *timeline, uint64_t value, uint64_t timeout_ns, rz_error *err) {
    if (!timeline) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a timeline, found NULL");
    const struct timespec deadline = deadline_after(timeout_ns);
    int ended = 0;
    pthread_mutex_lock(&timeline->mutex);
    while (timeline->failure.code == RZ_OK && timeline->value < value && ended != ETIMEDOUT) {
        if (timeout_ns == UINT64_MAX)
            pthread_cond_wait(&timeline->changed, &timeline->mutex);
        else
            ended = pthread_cond_timedwait(&timeline->changed, &timeline->mutex, &deadline);
    }
    const rz_error failure = timeline->failure;
    const uint64_t reached = timeline->value;
    pthread_mutex_unlock(&timeline->mutex);
    if (failure.code != RZ_OK) return null_fail(err, failure.code, "%s", failure.message);
    if (reached >= value) return RZ_OK;
    return null_fail(err, RZ_TIMEOUT, "expected value %llu, found %llu when the time was over",
                     (unsigned long long)value, (unsigned long long)reached);
}

static rz_code signal_value(rz_timeline *timeline, uint64_t value, rz_error *err) {
    if (!timeline) return null_fail(err, RZ_INVALID_ARGUMENT, "expected a timeline, found NULL");
    pthread_mutex_lock(&timeline->mutex);
    const uint64_t before = timeline->value;
    if (value > before) {
        timeline->value = value;
        pthread_cond_broadcast(&timeline->changed);
    }
    pthread_mutex_unlock(&timeline->mutex);
    if (value > before) return RZ_OK;
    return null_fail(err, RZ_INVALID_ARGUMENT, "expected a value above %llu, found %llu",
                     (unsigned long long)before, (unsigned long long)value);
}

const rz_timeline_api null_timeline_api = {
    .struct_size = sizeof(rz_timeline_api),
    .create = create,
    .query = query,
    .wait = wait,
    .signal = signal_value,
    .destroy = destroy,
};
