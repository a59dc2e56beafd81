#include "train/picture.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"
#include "train/random.h"

#define MAGIC 0x63697077u /* "wpic" in a little-endian file */

/* torchvision's RandomResizedCrop as open_clip sets it */
#define AREA_MIN  0.9
#define RATIO_MIN (3.0 / 4.0)
#define RATIO_MAX (4.0 / 3.0)
#define TRIES     10u

#define TIME_MAX UINT64_C(3600000000000) /* ns; more is not believed */

static const char *const rule_names[PICTURE_RULES] = {"eval", "square",
                                                      "resized"};

const char *picture_rule_name(enum picture_rule r)
{
    assert((unsigned)r < PICTURE_RULES);
    return rule_names[r];
}

bool picture_rule_find(struct str name, enum picture_rule *r)
{
    for (unsigned i = 0; i < PICTURE_RULES; i++)
        if (str_eq(name, str_of(rule_names[i]))) {
            *r = (enum picture_rule)i;
            return true;
        }
    return false;
}

/* ---- geometry ---- */

/* A number below n by the draw's i-th bits. */
static uint64_t drawn_below(uint64_t draw, uint64_t i, uint64_t n)
{
    return (uint64_t)((unsigned __int128)random_bits(draw, i) * n >> 64);
}

/* The shorter side to size, the longer by its share, cut: Python's
 * int(size * long / short), whose quotient is a double. */
static uint64_t longer_side(uint32_t size, uint32_t longer, uint32_t shorter)
{
    return (uint64_t)((double)((uint64_t)size * longer) / shorter);
}

/* int(round((side - size) / 2)): halves go to the even one. */
static uint64_t centred(uint64_t side, uint32_t size)
{
    uint64_t twice = side - size, half = twice / 2;

    return twice & 1 ? half + (half & 1) : half;
}

static void plan_whole(const struct picture_request *q, struct picture_plan *p)
{
    bool wide = p->width > p->height;

    p->to_width = p->to_height = q->size;
    if (wide)
        p->to_width = longer_side(q->size, p->width, p->height);
    else
        p->to_height = longer_side(q->size, p->height, p->width);
    if (q->rule == PICTURE_EVAL) {
        p->to_x = centred(p->to_width, q->size);
        p->to_y = centred(p->to_height, q->size);
    } else if (wide) {
        p->to_x = drawn_below(q->draw, 0, p->to_width - q->size + 1);
    } else {
        p->to_y = drawn_below(q->draw, 0, p->to_height - q->size + 1);
    }
}

/* The largest part in the middle whose ratio is within bounds. */
static void plan_fallback(struct picture_plan *p)
{
    uint32_t width = p->width, height = p->height;
    double ratio = (double)width / height;

    if (ratio < RATIO_MIN)
        p->height = (uint32_t)rint(width / RATIO_MIN);
    else if (ratio > RATIO_MAX)
        p->width = (uint32_t)rint(height * RATIO_MAX);
    p->x = (width - p->width) / 2;
    p->y = (height - p->height) / 2;
}

static void plan_resized(const struct picture_request *q,
                         struct picture_plan *p)
{
    uint32_t width = p->width, height = p->height;
    double low = log(RATIO_MIN), high = log(RATIO_MAX);
    double all = (double)width * height;

    p->to_width = p->to_height = q->size;
    for (uint64_t i = 0; i < TRIES; i++) {
        double u = random_uniform(q->draw, 2 * i);
        double v = random_uniform(q->draw, 2 * i + 1);
        double area = all * (AREA_MIN + (1.0 - AREA_MIN) * u);
        double ratio = exp(low + (high - low) * v);
        double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));

        if (w < 1 || w > width || h < 1 || h > height)
            continue;
        p->width = (uint32_t)w;
        p->height = (uint32_t)h;
        p->x = (uint32_t)drawn_below(q->draw, 2 * TRIES,
                                     (uint64_t)width - p->width + 1);
        p->y = (uint32_t)drawn_below(q->draw, 2 * TRIES + 1,
                                     (uint64_t)height - p->height + 1);
        return;
    }
    plan_fallback(p);
}

void picture_plan(const struct picture_request *q, uint32_t width,
                  uint32_t height, struct picture_plan *p)
{
    assert(width && height && q->size && q->size <= PICTURE_SIZE_MAX);
    *p = (struct picture_plan){.width = width, .height = height};
    if (q->rule == PICTURE_RESIZED)
        plan_resized(q, p);
    else
        plan_whole(q, p);
}

/* ---- pixels ---- */

void picture_scratch_release(struct picture_scratch *s)
{
    image_room_release(&s->pixels);
    image_room_release(&s->work);
}

/* How long a side of the picture has to stay so that `part` of it is twice as
 * long as what it becomes. */
static uint32_t keep(uint32_t side, uint32_t part, uint64_t becomes)
{
    double least = 2.0 * (double)becomes * side / part;

    return least < side ? (uint32_t)ceil(least) : side;
}

/* The part in pixels of a picture that was decoded smaller. */
static void shrink(uint32_t *at, uint32_t *part, uint32_t side, uint32_t now)
{
    double by = (double)now / side;
    uint32_t from = (uint32_t)rint(*at * by);
    uint32_t upto = (uint32_t)rint((*at + (double)*part) * by);

    *at = from < now ? from : now - 1;
    *part = upto > *at ? upto - *at : 1;
}

/* The plan in pixels of the picture as it was decoded. */
static void plan_decoded(const struct picture_request *q,
                         const struct image_header *h, uint32_t width,
                         uint32_t height, struct picture_plan *p)
{
    picture_plan(q, h->width, h->height, p);
    if (width != h->width || height != h->height) {
        shrink(&p->x, &p->width, h->width, width);
        shrink(&p->y, &p->height, h->height, height);
    }
}

static struct image_part part_of(const struct picture_request *q,
                                 const struct picture_plan *p)
{
    return (struct image_part){p->to_width, p->to_height, p->to_x,
                               p->to_y,     q->size,      q->size};
}

static struct image_rect wanted(void *ctx, const struct image_header *h,
                                uint32_t width, uint32_t height)
{
    const struct picture_request *q = ctx;
    struct picture_plan p;
    struct image_part part;
    struct image_rect r;

    plan_decoded(q, h, width, height, &p);
    part = part_of(q, &p);
    r = image_part_needs(&part, IMAGE_BICUBIC, p.width, p.height);
    r.x += p.x;
    r.y += p.y;
    return r;
}

static enum image_reason decode(struct picture_scratch *s,
                                struct picture_request *q, struct str bytes,
                                struct picture_plan *p, struct image *m,
                                enum image_kind *kind)
{
    struct image_decode_options o = {
        .limits = image_limits_decodable(), .wanted = wanted, .ctx = q};
    struct image_header h;
    enum image_reason r;

    if (q->fast) {
        r = image_header(bytes, &o.limits, &h);
        if (r)
            return r;
        picture_plan(q, h.width, h.height, p);
        o.flags = IMAGE_QUICK;
        o.keep_width = keep(h.width, p->width, p->to_width);
        o.keep_height = keep(h.height, p->height, p->to_height);
    }
    r = image_decode_raw(bytes, &o, &s->pixels, m, kind, &h);
    if (!r)
        plan_decoded(q, &h, m->width, m->height, p);
    return r;
}

enum image_reason picture_make(struct picture_scratch *s,
                               const struct picture_request *q,
                               struct str bytes, uint8_t *out)
{
    struct picture_request request = *q;
    struct picture_plan p;
    struct image_part part;
    enum image_kind kind;
    struct image m;
    uint64_t began = clock_mono_ns(), decoded;
    enum image_reason r = decode(s, &request, bytes, &p, &m, &kind);

    decoded = clock_mono_ns();
    s->decode_ns = decoded - began;
    s->resize_ns = 0;
    if (r)
        return r;
    if (q->rule == PICTURE_RESIZED && kind != IMAGE_PLAIN) {
        image_raw_to_rgb(&m, kind);
        kind = IMAGE_PLAIN;
    }
    if (p.width != m.width || p.height != m.height)
        m = image_view(&m, p.x, p.y, p.width, p.height);
    part = part_of(q, &p);
    r = image_raw_resize(&m, kind, &part, IMAGE_BICUBIC, &s->work, out);
    s->resize_ns = clock_mono_ns() - decoded;
    return r;
}

/* ---- in a worker ---- */

struct wire_head {
    uint32_t magic, size, rule, fast;
    uint64_t draw;
};

_Static_assert(sizeof(struct wire_head) == PICTURE_HEAD, "PICTURE_HEAD");

struct wire_answer {
    uint32_t magic, reason;
    uint64_t decode_ns, resize_ns;
};

_Static_assert(sizeof(struct wire_answer) == PICTURE_ANSWER_HEAD,
               "PICTURE_ANSWER_HEAD");

void picture_head(const struct picture_request *q, uint8_t head[PICTURE_HEAD])
{
    struct wire_head w = {MAGIC, q->size, (uint32_t)q->rule, q->fast, q->draw};

    memcpy(head, &w, sizeof w);
}

int picture_worker(void *ctx, struct str in, uint8_t *out, size_t cap,
                   size_t *out_bytes)
{
    struct wire_answer a = {MAGIC, IMAGE_OK, 0, 0};
    struct picture_scratch *s = ctx;
    struct picture_request q;
    struct wire_head w;
    size_t n;

    if (in.n < sizeof w)
        return -E_FORMAT;
    memcpy(&w, in.p, sizeof w);
    if (w.magic != MAGIC || w.size < 1 || w.size > PICTURE_SIZE_MAX ||
        w.rule >= PICTURE_RULES || w.fast > 1)
        return -E_FORMAT;
    q = (struct picture_request){(enum picture_rule)w.rule, w.fast != 0, w.size,
                                 w.draw};
    n = picture_bytes(q.size);
    if (cap < sizeof a + n)
        return -E_TOOBIG;
    a.reason =
        picture_make(s, &q, str_slice(in, sizeof w, in.n), out + sizeof a);
    a.decode_ns = s->decode_ns;
    a.resize_ns = s->resize_ns;
    memcpy(out, &a, sizeof a);
    *out_bytes = sizeof a + (a.reason == IMAGE_OK ? n : 0);
    return 0;
}

struct jail_config picture_jail(struct picture_scratch *s, uint32_t size_max)
{
    struct jail_config c = jail_config_default(picture_worker, s);

    assert(size_max && size_max <= PICTURE_SIZE_MAX);
    c.in_max = PICTURE_HEAD + IMAGE_BYTES_MAX;
    c.out_max = sizeof(struct wire_answer) + picture_bytes(size_max);
    return c;
}

int picture_answer(const struct jail_done *done, uint32_t size,
                   enum image_reason *reason, const uint8_t **rgb)
{
    struct wire_answer a;
    size_t n = 0;

    *rgb = NULL;
    if (done->outcome == JAIL_LOST)
        return -E_IO;
    if (done->outcome != JAIL_DONE) {
        *reason = done->outcome == JAIL_TIMEOUT ? IMAGE_TIMEOUT : IMAGE_CRASHED;
        return 0;
    }
    if (done->rc || done->out.n < sizeof a)
        return -E_FORMAT;
    memcpy(&a, done->out.p, sizeof a);
    if (a.magic != MAGIC || a.reason >= IMAGE_REASONS)
        return -E_FORMAT;
    if (a.reason == IMAGE_OK)
        n = picture_bytes(size);
    if (done->out.n != sizeof a + n)
        return -E_FORMAT;
    *reason = (enum image_reason)a.reason;
    *rgb = n ? (const uint8_t *)done->out.p + sizeof a : NULL;
    return 0;
}

void picture_times(const struct jail_done *done, uint64_t *decode_ns,
                   uint64_t *resize_ns)
{
    struct wire_answer a = {0};

    if (done->outcome == JAIL_DONE && done->out.n >= sizeof a)
        memcpy(&a, done->out.p, sizeof a);
    *decode_ns = a.decode_ns < TIME_MAX ? a.decode_ns : TIME_MAX;
    *resize_ns = a.resize_ns < TIME_MAX ? a.resize_ns : TIME_MAX;
}
