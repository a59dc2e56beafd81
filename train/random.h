/*
 * random - numbers that are a function of who asks.
 *
 * Model.   random_stream(seed, name) names a stream; random_bits(stream, i)
 *          is its i-th number: no state, no order, the same on any number of
 *          threads, and simple enough to write again in any language:
 *
 *              fnv(name)  = FNV-1a, 64 bits, of the name's bytes
 *              mix(z)     = SplitMix64's finaliser (Steele et al. 2014)
 *              stream     = mix(seed ^ fnv(name))
 *              bits(i)    = mix(stream + (i + 1) * 0x9e3779b97f4a7c15)
 *              uniform(i) = (bits(i) >> 40) * 2^-24, in [0, 1)
 *              normal(i)  = Box-Muller of the uniforms 2i and 2i + 1:
 *                           sqrt(-2 ln(1 - u)) cos(2 pi u'), in double
 * Threads. Pure functions.
 */
#ifndef TRAIN_RANDOM_H
#define TRAIN_RANDOM_H

#include <stdint.h>
#include "base/str.h"
#include "train/random_bits.h" /* random_bits() */

uint64_t random_stream(uint64_t seed, struct str name);
double random_uniform(uint64_t stream, uint64_t i);
double random_normal(uint64_t stream, uint64_t i);

#endif
