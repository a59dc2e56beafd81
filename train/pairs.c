#include "train/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/random.h"

/* Bytes around the middle: a dark or a light channel, the picture's brightness
 * and grain add up to 2..254. */
#define MIDDLE 128
#define COLOUR 72
#define LIGHT  18
#define GRAIN  36

/* In [-1, 1). */
static double centred(uint64_t stream, uint64_t i)
{
    return 2 * random_uniform(stream, i) - 1;
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
    p->table = xmalloc(PAIRS_GRAIN + 3 * (size_t)p->size);
    for (size_t i = 0; i < PAIRS_GRAIN + 3 * (size_t)p->size; i++)
        p->table[i] =
            (int8_t)lround(GRAIN * centred(p->grain, i % PAIRS_GRAIN));
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

struct pixel_norm pairs_norm(void)
{
    const double middle = MIDDLE / 255.0, one = COLOUR / 255.0;
    const double mean[3] = {middle, middle, middle};
    const double std[3] = {one, one, one};

    return pixel_norm_of(mean, std);
}

/* A line through three squares, without grain. */
static void plain_line(const struct pairs *p, uint64_t i, int row, int light,
                       uint8_t *out)
{
    for (int s = 0; s < PAIRS_SIDE; s++) {
        int value = pairs_value(p, i, row * PAIRS_SIDE + s);
        int end = p->size * (s + 1) / PAIRS_SIDE;

        for (int x = p->size * s / PAIRS_SIDE; x < end; x++)
            for (int c = 0; c < 3; c++)
                out[3 * x + c] = (uint8_t)(MIDDLE + light +
                                           (value >> c & 1 ? COLOUR : -COLOUR));
    }
}

void pairs_picture(const struct pairs *p, uint64_t i, uint8_t *pixels)
{
    int light = (int)lround(LIGHT * centred(p->light, i));
    uint64_t here = i * (uint64_t)p->size;
    size_t length = 3 * (size_t)p->size;
    const uint8_t *plain = NULL; /* of these squares: the first line of them,
                                    kept until its own grain is added last */

    for (int y = p->size; y-- > 0;) {
        uint8_t *out = pixels + (size_t)y * length;
        uint64_t from = random_bits(p->grain, PAIRS_GRAIN + here + (uint64_t)y);
        const int8_t *grain = p->table + from % PAIRS_GRAIN;
        int row = y * PAIRS_SIDE / p->size;
        int top = (row * p->size + PAIRS_SIDE - 1) / PAIRS_SIDE;

        if (!plain || plain != pixels + (size_t)top * length) {
            plain_line(p, i, row, light, pixels + (size_t)top * length);
            plain = pixels + (size_t)top * length;
        }
        for (size_t k = 0; k < length; k++)
            out[k] = (uint8_t)(plain[k] + grain[k]);
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
