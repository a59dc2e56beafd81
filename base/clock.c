#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static struct clock_fake *faked;

void clock_set_fake(struct clock_fake *fake)
{
    faked = fake;
}

uint64_t clock_mono_ms(void)
{
    struct timespec t;

    if (faked)
        return faked->mono_ms;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t clock_mono_ns(void)
{
    struct timespec t;

    if (faked)
        return faked->mono_ms * 1000000;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int64_t clock_wall_s(void)
{
    return faked ? faked->wall_s : (int64_t)time(NULL);
}

void clock_iso(int64_t wall_s, char out[24])
{
    time_t t = (time_t)wall_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
