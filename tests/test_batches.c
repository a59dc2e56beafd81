/* A run's batches: the ring's order and what it lets its maker do; generated
 * pairs as a maker, alone and as one of several ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/batches.h"
#include "train/feed.h"
#include "train/pairs.h"
#include "train/ref/ref.h"

enum { N = 3, SIZE = 4, CONTEXT = 5, PIXELS = N * SIZE * SIZE * 3 };

/* A maker that writes down what it is asked for and fills in finish(). */
struct slow {
    int buffers;
    uint64_t started, finished;
    uint8_t *pixels[BATCHES_MAX];
    int32_t *ids[BATCHES_MAX];
    uint64_t fails; /* the step that does */
    long sleep_ns;
    int closed;
};

static void slow_start(void *ctx, uint64_t step, uint8_t *pixels, int32_t *ids)
{
    struct slow *s = ctx;
    int at = (int)(step % (uint64_t)s->buffers);

    assert_int_equal(step, s->started);
    assert_true(step - s->finished < (uint64_t)s->buffers);
    s->started++;
    s->pixels[at] = pixels;
    s->ids[at] = ids;
    memset(pixels, 0xee, PIXELS);
}

static int slow_finish(void *ctx, uint64_t step, struct err *e)
{
    struct slow *s = ctx;
    int at = (int)(step % (uint64_t)s->buffers);

    assert_int_equal(step, s->finished);
    assert_true(step < s->started);
    if (step == s->fails)
        return err_set(e, E_FORMAT, "step %d is bad", (int)step);
    s->finished++;
    nanosleep(&(struct timespec){.tv_nsec = s->sleep_ns}, NULL);
    memset(s->pixels[at], (int)step, PIXELS);
    for (int i = 0; i < N * CONTEXT; i++)
        s->ids[at][i] = (int32_t)step * 100 + i;
    return 0;
}

static void slow_close(void *ctx)
{
    ((struct slow *)ctx)->closed++;
}

static struct batch_maker slow_maker(struct slow *s)
{
    return (struct batch_maker){.ctx = s,
                                .norm = pairs_norm(),
                                .start = slow_start,
                                .finish = slow_finish,
                                .close = slow_close};
}

static void open_ring(struct batches *b, int buffers, uint64_t begin,
                      uint64_t end)
{
    const struct batches_config c = {.buffers = buffers,
                                     .n = N,
                                     .size = SIZE,
                                     .context = CONTEXT,
                                     .begin = begin,
                                     .end = end};

    assert_int_equal(batches_open(b, &c, NULL), 0);
}

static void check_batch(const struct clip_batch *b, uint64_t step)
{
    assert_int_equal(b->n, N);
    assert_int_equal(b->pixels.kind, PIXEL_BYTE);
    assert_int_equal(b->captions.n, N);
    assert_int_equal(b->captions.context, CONTEXT);
    for (int i = 0; i < PIXELS; i++)
        assert_int_equal(((const uint8_t *)b->pixels.x)[i], step);
    for (int i = 0; i < N * CONTEXT; i++)
        assert_int_equal(b->captions.ids[i], (int)step * 100 + i);
}

/* As a run does: the next one is taken while the one before is out, and that
 * one is whole until it is given back; buffers not out are all under way. */
static void test_batches__ring(void **state)
{
    (void)state;
    for (int buffers = 2; buffers <= BATCHES_MAX; buffers++) {
        uint64_t k = (uint64_t)buffers, begin = 7, end = 19;
        struct slow s = {.buffers = buffers,
                         .started = begin,
                         .finished = begin,
                         .fails = UINT64_MAX};
        struct batch_maker m = slow_maker(&s);
        struct clip_batch now, behind;
        struct batches b;

        open_ring(&b, buffers, begin, end);
        assert_int_equal(s.started, begin);
        batches_begin(&b, &m);
        assert_int_equal(s.started, begin + k);
        assert_int_equal(batches_next(&b, &now, NULL), 0);
        for (uint64_t step = begin; step < end; step++) {
            if (step + 1 < end) {
                assert_int_equal(batches_next(&b, &behind, NULL), 0);
                check_batch(&behind, step + 1);
                assert_ptr_not_equal(now.pixels.x, behind.pixels.x);
            }
            check_batch(&now, step);
            batches_done(&b);
            assert_int_equal(s.started,
                             step + 1 + k < end ? step + 1 + k : end);
            now = behind;
        }
        assert_int_equal(s.finished, end);
        batches_close(&b);
        assert_int_equal(s.closed, 1);
    }
}

static void test_batches__waits(void **state)
{
    struct slow s = {.buffers = 2, .fails = UINT64_MAX, .sleep_ns = 3000000};
    struct batch_maker m = slow_maker(&s);
    struct clip_batch now;
    struct batches b;

    (void)state;
    open_ring(&b, 2, 0, 2);
    batches_begin(&b, &m);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(batches_next(&b, &now, NULL), 0);
        assert_true(b.waited_ns >= (uint64_t)i * 3000000);
        batches_done(&b);
    }
    batches_close(&b);
}

static void test_batches__fails(void **state)
{
    struct slow s = {.buffers = 3, .fails = 2};
    struct batch_maker m = slow_maker(&s);
    const struct batches_config huge = {
        .buffers = 2, .n = 1 << 30, .size = 20000, .context = 5};
    struct err e = ERR_INIT;
    struct clip_batch now;
    struct batches b;

    (void)state;
    open_ring(&b, 3, 0, 9);
    batches_begin(&b, &m);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(batches_next(&b, &now, &e), 0);
        batches_done(&b);
    }
    assert_int_equal(batches_next(&b, &now, &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "step 2 is bad"));
    batches_close(&b);
    assert_int_equal(s.closed, 1);

    /* closed before there was a maker; none to make; no room */
    open_ring(&b, 2, 0, 9);
    batches_close(&b);
    s = (struct slow){.buffers = 2};
    open_ring(&b, 2, 0, 0);
    batches_begin(&b, &m);
    assert_int_equal(s.started, 0);
    batches_close(&b);
    assert_int_equal(s.closed, 1);
    assert_int_equal(batches_open(&b, &huge, NULL), -E_NOMEM);
}

/* What a process forked behind batches_open() writes is seen here. */
static void test_batches__shared(void **state)
{
    struct batches b;
    int status;
    pid_t pid;

    (void)state;
    open_ring(&b, 2, 0, 9);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        memset(b.memory[1], 0x5a, b.bytes);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < b.bytes; i++)
        assert_int_equal(b.memory[1][i], 0x5a);
    batches_close(&b);
}

/* Where the device is the host it reads the buffers themselves. */
static void test_batches__in_place(void **state)
{
    struct slow s = {.buffers = 2, .fails = UINT64_MAX};
    struct batch_maker m = slow_maker(&s);
    struct clip_batch now;
    struct batches b;
    struct device d;

    (void)state;
    open_ring(&b, 2, 0, 2);
    batches_begin(&b, &m);
    assert_int_equal(ref_open(&d, DTYPE_F32, NULL), 0);
    batches_pin(&b, &d);
    assert_int_equal(batches_next(&b, &now, NULL), 0);
    assert_false(device_sends(&d));
    device_send(&d, now.pixels.x, PIXELS);
    assert_ptr_equal(device_bring(&d, now.pixels.x, PIXELS), now.pixels.x);
    assert_int_equal(d.used, 0);
    assert_true(device_stood(&d) == 0);
    batches_unpin(&b);
    device_close(&d);
    batches_close(&b);
}

/* ---- generated pairs ---- */

static void open_pairs(struct pairs *p)
{
    struct clip_config c;

    assert_int_equal(clip_config_find(&c, "tiny-vit", NULL), 0);
    assert_int_equal(pairs_init(p, &c, 3, 8, NULL), 0);
}

static void open_feed(struct batches *b, struct feed *f, const struct pairs *p,
                      const struct feed_config *c, int buffers, uint64_t end)
{
    const struct batches_config ring = {.buffers = buffers,
                                        .n = c->n,
                                        .size = p->size,
                                        .context = p->context,
                                        .begin = 2,
                                        .end = end};
    struct batch_maker m;

    assert_int_equal(batches_open(b, &ring, NULL), 0);
    assert_int_equal(feed_open(f, c, &m, NULL), 0);
    batches_begin(b, &m);
}

static void check_pairs(const struct pairs *p, const struct clip_batch *b,
                        uint64_t first)
{
    enum { NUMBERS = 3 * 32 * 32 };
    uint8_t x[NUMBERS];
    int32_t ids[77];

    for (int i = 0; i < b->n; i++) {
        pairs_picture(p, first + (uint64_t)i, x);
        pairs_caption(p, first + (uint64_t)i, ids);
        assert_memory_equal((const uint8_t *)b->pixels.x + (size_t)i * NUMBERS,
                            x, NUMBERS);
        assert_memory_equal(b->captions.ids + (size_t)i * (size_t)p->context,
                            ids, sizeof(int32_t) * (size_t)p->context);
    }
}

/* Batches hold the pairs one by one, whoever fills them. */
static void test_feed__batches(void **state)
{
    static const struct {
        int threads, buffers;
        uint64_t first, stride;
    } ways[] = {{1, 2, 0, 5}, {3, 3, 0, 5}, {8, 4, 0, 5}, {2, 2, 10, 20}};
    struct pairs p;

    (void)state;
    open_pairs(&p);
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        const struct feed_config c = {.pairs = &p,
                                      .n = 5,
                                      .first = ways[k].first,
                                      .stride = ways[k].stride,
                                      .threads = ways[k].threads};
        struct clip_batch now, behind;
        struct batches b;
        struct feed f;

        open_feed(&b, &f, &p, &c, ways[k].buffers, 9);
        assert_int_equal(batches_next(&b, &now, NULL), 0);
        for (uint64_t step = 2; step < 9; step++) {
            if (step < 8)
                assert_int_equal(batches_next(&b, &behind, NULL), 0);
            check_pairs(&p, &now, step * c.stride + c.first);
            batches_done(&b);
            now = behind;
        }
        batches_close(&b);
    }
    pairs_release(&p);
}

/* Closed while batches are under way, before or behind the first. */
static void test_feed__closes(void **state)
{
    struct pairs p;

    (void)state;
    open_pairs(&p);
    for (int taken = 0; taken < 3; taken++) {
        const struct feed_config c = {
            .pairs = &p, .n = 64, .stride = 64, .threads = 3};
        struct clip_batch now;
        struct batches b;
        struct feed f;

        open_feed(&b, &f, &p, &c, 4, 100);
        for (int i = 0; i < taken; i++) {
            assert_int_equal(batches_next(&b, &now, NULL), 0);
            check_pairs(&p, &now, (uint64_t)(2 + i) * 64);
            batches_done(&b);
        }
        batches_close(&b);
    }
    pairs_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches__ring),
        cmocka_unit_test(test_batches__waits),
        cmocka_unit_test(test_batches__fails),
        cmocka_unit_test(test_batches__shared),
        cmocka_unit_test(test_batches__in_place),
        cmocka_unit_test(test_feed__batches),
        cmocka_unit_test(test_feed__closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
