#include "train/random.h"

#include <math.h>

uint64_t random_stream(uint64_t seed, struct str name)
{
    uint64_t fnv = 0xcbf29ce484222325u;

    for (size_t i = 0; i < name.n; i++)
        fnv = (fnv ^ (unsigned char)name.p[i]) * 0x100000001b3u;
    return random_mix(seed ^ fnv);
}

double random_uniform(uint64_t stream, uint64_t i)
{
    return (double)(random_bits(stream, i) >> 40) * 0x1p-24;
}

double random_normal(uint64_t stream, uint64_t i)
{
    const double two_pi = 6.283185307179586;
    double u = random_uniform(stream, 2 * i);
    double v = random_uniform(stream, 2 * i + 1);

    return sqrt(-2 * log(1 - u)) * cos(two_pi * v);
}
