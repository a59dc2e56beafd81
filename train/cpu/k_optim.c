#include <endian.h>

#include "train/adamw.h"
#include "train/cpu/k.h"
#include "train/cpu/scratch.h"

/* ---- AdamW ---- */

/* A piece by its numbers, of which [i, end) decay alike. */
struct adamw_run {
    const struct adamw_step *s;
    float keep, scale;
    float *p;
    void *m, *v; /* float, or bfloat16 */
    const float *g;
    act_t *copy;                         /* NULL: none */
    const uint16_t *chance;              /* of the piece; NULL: to nearest */
    const uint16_t *chance_m, *chance_v; /* the moments'; NULL: of float */
    int64_t begin, i, end;               /* begin: the piece's */
};

K_INLINE act_t put_by_chance(float x, uint32_t chance)
{
    uint32_t bits = adamw_round(k_bits(x), chance);

#ifdef CPU_ACT_BF16
    return (act_t)(bits >> 16);
#else
    return k_float(bits);
#endif
}

/* Constants in, loops without a branch out. */
K_INLINE void adamw_loop(const struct adamw_run *r, bool copy, bool by_chance)
{
    const struct adamw_step s = *r->s;
    const float keep = r->keep, scale = r->scale;
    const int64_t n = r->end - r->i;
    float *p = r->p + r->i;
    float *m = (float *)r->m + r->i, *v = (float *)r->v + r->i;
    const float *g = r->g + r->i;
    act_t *to = copy ? r->copy + r->i : NULL;
    const uint16_t *chance = by_chance ? r->chance + (r->i - r->begin) : NULL;

    K_SIMD
    for (int64_t c = 0; c < n; c++) {
        adamw_number(&s, keep, g[c] * scale, p + c, m + c, v + c);
        if (copy)
            to[c] = by_chance ? put_by_chance(p[c], chance[c]) : k_put(p[c]);
    }
}

/* The same with moments of bfloat16. */
K_INLINE void adamw_half_loop(const struct adamw_run *r, bool copy,
                              bool by_chance)
{
    const struct adamw_step s = *r->s;
    const float keep = r->keep, scale = r->scale;
    const int64_t n = r->end - r->i, at = r->i - r->begin;
    float *p = r->p + r->i;
    uint16_t *m = (uint16_t *)r->m + r->i, *v = (uint16_t *)r->v + r->i;
    const float *g = r->g + r->i;
    act_t *to = copy ? r->copy + r->i : NULL;
    const uint16_t *chance = by_chance ? r->chance + at : NULL;
    const uint16_t *chance_m = r->chance_m + at, *chance_v = r->chance_v + at;

    K_SIMD
    for (int64_t c = 0; c < n; c++) {
        float m1 = k_float((uint32_t)m[c] << 16);
        float v1 = k_float((uint32_t)v[c] << 16);

        adamw_number(&s, keep, g[c] * scale, p + c, &m1, &v1);
        m[c] = (uint16_t)(adamw_round(k_bits(m1), chance_m[c]) >> 16);
        v[c] = (uint16_t)(adamw_round(k_bits(v1), chance_v[c]) >> 16);
        if (copy)
            to[c] = by_chance ? put_by_chance(p[c], chance[c]) : k_put(p[c]);
    }
}

K_INLINE void adamw_any(const struct adamw_run *r, bool copy, bool by_chance)
{
    if (r->chance_m)
        adamw_half_loop(r, copy, by_chance);
    else
        adamw_loop(r, copy, by_chance);
}

/* Runs of one byte of `decays` after the other, joined where bytes agree. */
static void adamw_piece(const uint8_t *decays, struct adamw_run *r, int64_t end)
{
    for (r->i = r->begin; r->i < end; r->i = r->end) {
        int64_t b = r->i / OP_DECAY_RUN, next = b;

        r->end = end;
        if (decays) {
            while (next * OP_DECAY_RUN < end && !decays[next] == !decays[b])
                next++;
            if (next * OP_DECAY_RUN < end)
                r->end = next * OP_DECAY_RUN;
        }
        r->keep = decays && !decays[b] ? 1.0f : r->s->keep;
        if (r->copy && r->chance)
            adamw_any(r, true, true);
        else if (r->copy)
            adamw_any(r, true, false);
        else
            adamw_any(r, false, false);
    }
}

/* adamw_chance() of a piece's numbers; begin is a multiple of 4. */
static void draw(uint64_t stream, int64_t begin, int64_t end, uint16_t *chance)
{
    K_SIMD
    for (int64_t q = begin / 4; q < (end + 3) / 4; q++) {
        uint64_t bits = htole64(random_bits(stream, (uint64_t)q));

        memcpy(chance + (q * 4 - begin), &bits, sizeof bits);
    }
}

void CPU(adamw)(struct device *d, const struct op_adamw *o)
{
    const struct adamw_step s = adamw_step_of(o);
    const uint64_t stream = adamw_stream(o);
    act_t *copy = o->copy == o->p ? NULL : (act_t *)o->copy;
    double scale;

    if (!adamw_scale(o->sumsq, o->clip_norm, o->skip_norm, &scale))
        return;
    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE) {
        const int64_t end = k_piece_end(i, o->n);
        uint16_t chance[3][K_PIECE];
        struct adamw_run r = {.s = &s,
                              .scale = (float)scale,
                              .p = (float *)o->p,
                              .m = o->m,
                              .v = o->v,
                              .g = (const float *)o->g,
                              .copy = copy,
                              .begin = i};

        if (copy && o->rounding) {
            draw(stream, i, end, chance[0]);
            r.chance = chance[0];
        }
        if (o->half_moments) {
            draw(adamw_moment_stream(o, ADAMW_OF_M), i, end, chance[1]);
            draw(adamw_moment_stream(o, ADAMW_OF_V), i, end, chance[2]);
            r.chance_m = chance[1];
            r.chance_v = chance[2];
        }
        adamw_piece(o->decays, &r, end);
    }
}

/* ---- small change ---- */

static double squares(const float *x, int64_t n)
{
    const int64_t q = n / 4; /* four sums: one would wait for each addition */
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;

#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t c = 0; c < q; c++) {
        s0 += (double)x[c] * (double)x[c];
        s1 += (double)x[q + c] * (double)x[q + c];
        s2 += (double)x[2 * q + c] * (double)x[2 * q + c];
        s3 += (double)x[3 * q + c] * (double)x[3 * q + c];
    }
    for (int64_t c = 4 * q; c < n; c++)
        s0 += (double)x[c] * (double)x[c];
    return (s0 + s1) + (s2 + s3);
}

void CPU(sumsq)(struct device *d, const struct op_sumsq *o)
{
    const int64_t chunks = (o->n + SUMSQ_CHUNK - 1) / SUMSQ_CHUNK;
    double *parts = (double *)cpu_scratch(d, scratch_sumsq(o->n));
    double sum = 0.0;

    if (!parts)
        return;
    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < chunks; i++) {
        int64_t left = o->n - i * SUMSQ_CHUNK;

        parts[i] = squares((const float *)o->x + i * SUMSQ_CHUNK,
                           left < SUMSQ_CHUNK ? left : SUMSQ_CHUNK);
    }
    for (int64_t i = 0; i < chunks; i++)
        sum += parts[i];
    *o->out += sum;
}

void CPU(cast)(struct device *d, const struct op_cast *o)
{
    CPU(from_float)(d, o->n, (const float *)o->x, o->y);
}

void CPU(add)(struct device *d, const struct op_add *o)
{
    CPU(act)(d, ACT_NONE, o->n, o->x, o->y, o->y);
}

void CPU(axpby)(struct device *d, const struct op_axpby *o)
{
    const float a = (float)o->a, b = (float)o->b;
    const float *x = (const float *)o->x;
    float *y = (float *)o->y;

    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, o->n); c++)
            y[c] = a * x[c] + b * y[c];
    }
}

void CPU(clamp)(struct device *d, const struct op_clamp *o)
{
    const float low = (float)o->low, high = (float)o->high;
    float *x = (float *)o->x;

    K_PARALLEL(d, o->n)
    for (int64_t i = 0; i < o->n; i += K_PIECE) {
        K_SIMD
        for (int64_t c = i; c < k_piece_end(i, o->n); c++) {
            float v = x[c] < low ? low : x[c];

            x[c] = v > high ? high : v;
        }
    }
}

void CPU(zero)(struct device *d, const struct op_zero *o)
{
    const int64_t piece = K_PIECE * (int64_t)sizeof(float);
    char *x = (char *)o->x;

    K_PARALLEL(d, o->bytes / (int64_t)sizeof(float))
    for (int64_t i = 0; i < o->bytes; i += piece) {
        int64_t n = o->bytes - i < piece ? o->bytes - i : piece;

        memset(x + i, 0, (size_t)n);
    }
}

void CPU(copy)(struct device *d, const struct op_copy *o)
{
    const int64_t piece = K_PIECE * (int64_t)sizeof(float);
    const char *x = (const char *)o->x;
    char *y = (char *)o->y;

    K_PARALLEL(d, o->bytes / (int64_t)sizeof(float))
    for (int64_t i = 0; i < o->bytes; i += piece) {
        int64_t n = o->bytes - i < piece ? o->bytes - i : piece;

        memcpy(y + i, x + i, (size_t)n);
    }
}
