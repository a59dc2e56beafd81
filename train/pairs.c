#include "train/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/random.h"

#define LIGHT 0.25f /* of the picture's brightness */
#define GRAIN 0.5f

/* In [-1, 1). */
static float centred(uint64_t stream, uint64_t i)
{
    return (float)(2 * random_uniform(stream, i) - 1);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

int pairs_init(struct pairs *p, const struct clip_config *c, uint64_t seed,
               int caption_tokens, struct err *e)
{
    int context = c->text.context_length;

    memset(p, 0, sizeof *p);
    if (caption_tokens < 3 || caption_tokens > context)
        return err_set(e, E_RANGE,
                       "captions of %d tokens: a word stands between SOT and "
                       "EOT, and this model reads %d",
                       caption_tokens, context);
    *p = (struct pairs){
        .size = c->vision.image_size,
        .context = context,
        .vocab = c->text.vocab_size,
        .mean = caption_tokens,
        .spread =
            smaller(caption_tokens / 2,
                    smaller(caption_tokens - 3, context - caption_tokens)),
        .hidden = random_stream(seed, STR("pairs/hidden")),
        .light = random_stream(seed, STR("pairs/light")),
        .grain = random_stream(seed, STR("pairs/grain")),
        .length = random_stream(seed, STR("pairs/length")),
        .words = random_stream(seed, STR("pairs/words")),
    };
    p->table = xmalloc((PAIRS_GRAIN + (size_t)p->size) * sizeof *p->table);
    for (size_t i = 0; i < PAIRS_GRAIN + (size_t)p->size; i++)
        p->table[i] = centred(p->grain, i % PAIRS_GRAIN);
    return 0;
}

void pairs_release(struct pairs *p)
{
    free(p->table);
    memset(p, 0, sizeof *p);
}

int pairs_value(const struct pairs *p, uint64_t i, int j)
{
    return (int)(random_bits(p->hidden, i) >> (3 * j) & (PAIRS_VALUES - 1));
}

/* One line of a channel: three colours, and grain from some place on. */
static void line(const struct pairs *p, const float *colour, uint64_t from,
                 float *out)
{
    const float *grain = p->table + from % PAIRS_GRAIN;

    for (int s = 0; s < PAIRS_SIDE; s++) {
        int end = p->size * (s + 1) / PAIRS_SIDE;

        for (int x = p->size * s / PAIRS_SIDE; x < end; x++)
            out[x] = colour[s] + GRAIN * grain[x];
    }
}

void pairs_picture(const struct pairs *p, uint64_t i, float *pixels)
{
    float light = LIGHT * centred(p->light, i);
    uint64_t lines = 3 * (uint64_t)p->size;
    uint64_t here = i * lines;

    for (int c = 0; c < 3; c++)
        for (int y = 0; y < p->size; y++, here++, pixels += p->size) {
            float colour[PAIRS_SIDE];
            int row = y * PAIRS_SIDE / p->size;

            for (int s = 0; s < PAIRS_SIDE; s++) {
                int value = pairs_value(p, i, row * PAIRS_SIDE + s);

                colour[s] = light + (value >> c & 1 ? 1.0f : -1.0f);
            }
            line(p, colour, random_bits(p->grain, PAIRS_GRAIN + here), pixels);
        }
}

/* Ids 0 and from SOT on are no words. */
static int32_t word(const struct pairs *p, uint64_t i, uint64_t bits, int turn)
{
    int j = turn % PAIRS_ATTRIBUTES;
    uint64_t words = (uint64_t)p->vocab - 3;
    uint64_t which = bits >> 2;

    if (bits & 3)
        which = (uint64_t)(j * PAIRS_VALUES + pairs_value(p, i, j));
    return (int32_t)(1 + which % words);
}

int pairs_caption(const struct pairs *p, uint64_t i, int32_t *ids)
{
    uint64_t draw = random_bits(p->length, i);
    int length = p->mean - p->spread +
                 (int)((draw >> 8) % (2 * (uint64_t)p->spread + 1));
    int first = (int)(draw & 255) % PAIRS_ATTRIBUTES;
    uint64_t here = i * (uint64_t)p->context;

    memset(ids, 0, (size_t)p->context * sizeof *ids);
    for (int t = 1; t < length - 1; t++)
        ids[t] =
            word(p, i, random_bits(p->words, here + (uint64_t)t), first + t);
    ids[0] = p->vocab - 2;
    ids[length - 1] = p->vocab - 1;
    return length;
}
