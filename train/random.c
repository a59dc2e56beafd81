#include "train/random.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t random_stream(uint64_t seed, struct str name)
{
    uint64_t fnv = 0xcbf29ce484222325u;

    for (size_t i = 0; i < name.n; i++)
        fnv = (fnv ^ (unsigned char)name.p[i]) * 0x100000001b3u;
    return mix(seed ^ fnv);
}

uint64_t random_bits(uint64_t stream, uint64_t i)
{
    return mix(stream + (i + 1) * 0x9e3779b97f4a7c15u);
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
