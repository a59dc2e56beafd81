/* train/picture's worker: a request whose head is as hostile as its bytes, and
 * the same bytes by every rule as tiny squares. */
#include <assert.h>
#include <stdlib.h>

#include "train/picture.h"

#define SIZE_MAX_HERE 64u
#define PIXELS_MAX    (1u << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_small(struct str picture)
{
    struct image_limits limits = image_limits_decodable();
    struct image_header h;

    limits.max_pixels = PIXELS_MAX;
    return image_header(picture, &limits, &h) == IMAGE_OK;
}

static void check_plan(const struct picture_request *q, uint32_t width,
                       uint32_t height)
{
    struct picture_plan p;

    picture_plan(q, width, height, &p);
    assert(p.width >= 1 && (uint64_t)p.x + p.width <= width);
    assert(p.height >= 1 && (uint64_t)p.y + p.height <= height);
    assert(p.to_x + q->size <= p.to_width);
    assert(p.to_y + q->size <= p.to_height);
}

static enum image_reason ask(struct picture_scratch *s, struct str in,
                             uint32_t size, uint8_t *out, size_t cap)
{
    struct jail_done done = {.outcome = JAIL_DONE};
    enum image_reason reason = IMAGE_CRASHED;
    const uint8_t *rgb;
    size_t n = 0;

    done.rc = picture_worker(s, in, out, cap, &n);
    if (done.rc)
        return reason; /* a head that nobody sends */
    assert(n <= cap);
    done.out = str_make((char *)out, n);
    assert(picture_answer(&done, size, &reason, &rgb) == 0);
    assert((reason == IMAGE_OK) == (rgb != NULL));
    return reason;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct picture_scratch scratch; /* both kept for the next input */
    static uint8_t out[PICTURE_ANSWER_HEAD + SIZE_MAX_HERE * SIZE_MAX_HERE * 3];
    struct str in = str_make((const char *)data, size);
    uint32_t asked = 0, sides[2] = {1, 1};
    struct picture_request q = {PICTURE_EVAL, false, 8, 0};
    struct str picture;
    uint8_t *whole;

    if (size < PICTURE_HEAD)
        return 0;
    picture = str_slice(in, PICTURE_HEAD, in.n);
    memcpy(&asked, data + 4, sizeof asked);
    memcpy(&q.draw, data + 16, sizeof q.draw);
    memcpy(sides, data + 8, sizeof sides);
    for (int rule = 0; rule < PICTURE_RULES; rule++) {
        q.rule = (enum picture_rule)rule;
        check_plan(&q, sides[0] ? sides[0] : 1, sides[1] ? sides[1] : 1);
    }
    if (!is_small(picture))
        return 0;
    ask(&scratch, in, asked, out, sizeof out);

    whole = malloc(size);
    assert(whole);
    memcpy(whole, data, size);
    for (int i = 0; i < 2 * PICTURE_RULES; i++) {
        q.rule = (enum picture_rule)(i / 2);
        q.fast = i % 2;
        picture_head(&q, whole);
        ask(&scratch, str_make((char *)whole, size), q.size, out, sizeof out);
    }
    free(whole);
    return 0;
}
