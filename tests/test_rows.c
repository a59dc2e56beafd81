/* rows: captions padded and packed, pictures; where attention looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/ref/ref.h"
#include "train/rows.h"

#define CONTEXT 6

static struct device *open_device(int row_step)
{
    struct device *d = xcalloc(1, sizeof *d);
    struct err e = ERR_INIT;

    assert_int_equal(0, ref_open(d, DTYPE_F32, &e));
    d->row_step = row_step;
    return d;
}

static void close_device(struct device *d)
{
    device_close(d);
    free(d);
}

static void check_index(struct device *d, const int32_t *device, int64_t n,
                        const int32_t *want)
{
    int32_t *got = xcalloc((size_t)n, sizeof *got);

    device_get(d, got, device, (size_t)n * sizeof *got);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(got[i], want[i]);
    free(got);
}

static const struct {
    int32_t ids[CONTEXT];
    int eot;
} eots[] = {
    {{8, 1, 2, 9, 0, 0}, 3}, /* an ordinary caption: SOT, two words, EOT */
    {{8, 9, 0, 0, 0, 0}, 1}, /* empty */
    {{8, 1, 2, 3, 4, 9}, 5}, /* full */
    {{8, 9, 7, 9, 8, 9}, 1}, /* the first of several */
    {{9, 0, 0, 0, 0, 0}, 0},
    {{0, 0, 0, 0, 0, 0}, 0}, /* none: all are as large */
};

static void test_rows__eot(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof eots / sizeof *eots; i++)
        assert_int_equal(caption_eot(eots[i].ids, CONTEXT), eots[i].eot);
    assert_int_equal(caption_eot((const int32_t[]){3}, 1), 0);
}

static const int32_t ids[] = {
    8, 1, 2, 9, 5, 5, /* 4 rows */
    8, 9, 5, 5, 5, 5, /* 2 rows */
    8, 1, 2, 3, 4, 9, /* 6 rows */
};
static const struct captions captions = {3, CONTEXT, ids};

/* Plan, then lay out for real. */
static void lay_out(struct device *d, bool packed, struct caption_rows *planned,
                    struct caption_rows *out)
{
    const struct captions none = {captions.n, captions.context, NULL};
    struct err e = ERR_INIT;

    device_plan_begin(d);
    rows_captions(d, &none, packed, 0, planned);
    assert_int_equal(0, device_plan_end(d, &e));
    rows_captions(d, &captions, packed, 0, out);
    assert_int_equal(d->host_used, 0);
    assert_true(d->used <= d->peak);
    assert_int_equal(0, device_check(d, &e));
}

static void test_rows__padded(void **state)
{
    static const int32_t begin[] = {0, 6, 12}, end[] = {6, 12, 18};
    static const int32_t read[] = {3, 7, 17}, see[] = {4, 8, 18};
    static const int32_t one[] = {0, 1, 2, 3};
    struct device *d = open_device(4); /* of no matter here */
    struct caption_rows planned, at;
    int32_t places[3 * CONTEXT];

    (void)state;
    lay_out(d, false, &planned, &at);
    for (int i = 0; i < 3 * CONTEXT; i++)
        places[i] = i % CONTEXT;
    assert_int_equal(at.rows.total, 18);
    assert_int_equal(planned.rows.total, 18);
    assert_int_equal(at.rows.seqs, 3);
    assert_int_equal(at.rows.reads, 3);
    assert_int_equal(at.rows.max_len, 6);
    assert_true(at.rows.causal);
    assert_int_equal(at.rows.pairs, 3 * 21);
    assert_int_equal(at.rows.read_pairs, 4 + 2 + 6);
    check_index(d, at.rows.begin, 3, begin);
    check_index(d, at.rows.end, 3, end);
    check_index(d, at.rows.read, 3, read);
    check_index(d, at.rows.see, 3, see);
    check_index(d, at.rows.one, 4, one);
    check_index(d, at.ids, 18, ids);
    check_index(d, at.places, 18, places);
    close_device(d);
}

/* Rows 4 + 2 + 6 = 12 in steps of 8: 4 rows of pads, one sequence; of the 7
 * that there may be, two sequences. */
static void test_rows__packed(void **state)
{
    static const int32_t begin[] = {0, 4, 6, 12, 16};
    static const int32_t end[] = {4, 6, 12, 16, 16};
    static const int32_t read[] = {3, 5, 11}, see[] = {4, 6, 12};
    static const int32_t one[] = {0, 1, 2, 3};
    static const int32_t want[] = {8, 1, 2, 9, 8, 9, 8, 1,
                                   2, 3, 4, 9, 0, 0, 0, 0};
    static const int32_t places[] = {0, 1, 2, 3, 0, 1, 0, 1,
                                     2, 3, 4, 5, 0, 1, 2, 3};
    struct device *d = open_device(8);
    struct caption_rows planned, at;

    (void)state;
    assert_int_equal(rows_captions_max(d, 3, CONTEXT), 24);
    lay_out(d, true, &planned, &at);
    assert_int_equal(planned.rows.total, 24);
    assert_int_equal(at.rows.total, 16);
    assert_int_equal(at.rows.seqs, 5);
    assert_int_equal(at.rows.reads, 3);
    assert_int_equal(at.rows.max_len, 6);
    assert_int_equal(at.rows.pairs, 10 + 3 + 21 + 10);
    assert_int_equal(at.rows.read_pairs, 12);
    assert_true(planned.rows.pairs >= at.rows.pairs);
    assert_true(planned.rows.read_pairs >= at.rows.read_pairs);
    check_index(d, at.rows.begin, 5, begin);
    check_index(d, at.rows.end, 5, end);
    check_index(d, at.rows.read, 3, read);
    check_index(d, at.rows.see, 3, see);
    check_index(d, at.rows.one, 4, one);
    check_index(d, at.ids, 16, want);
    check_index(d, at.places, 16, places);
    close_device(d);
}

/* Whatever the step: pads fill it, none is longer than a caption may be, and a
 * plan has room for them. */
static void test_rows__steps(void **state)
{
    (void)state;
    for (int step = 1; step <= 40; step++) {
        struct device *d = open_device(step);
        struct caption_rows planned, at;
        int32_t begin[16], end[16];
        int64_t row = 0;

        lay_out(d, true, &planned, &at);
        assert_int_equal(at.rows.total % step, 0);
        assert_true(at.rows.total >= 12 && at.rows.total < 12 + step);
        assert_true(planned.rows.total >= at.rows.total);
        assert_int_equal(planned.rows.seqs, at.rows.seqs);
        assert_int_equal(planned.rows.max_len, at.rows.max_len);
        assert_true(at.rows.seqs <= 16);
        device_get(d, begin, at.rows.begin, (size_t)at.rows.seqs * 4);
        device_get(d, end, at.rows.end, (size_t)at.rows.seqs * 4);
        for (int s = 0; s < at.rows.seqs; s++) {
            assert_int_equal(begin[s], row);
            assert_true(end[s] >= begin[s] && end[s] - begin[s] <= CONTEXT);
            assert_true(s >= 3 || end[s] > begin[s]);
            row = end[s];
        }
        assert_int_equal(row, at.rows.total);
        close_device(d);
    }
}

/* A plan for fewer rows than come says so instead of writing beyond. */
static void test_rows__plan_too_small(void **state)
{
    struct device *d = open_device(4);
    struct caption_rows at;
    struct err e = ERR_INIT;

    (void)state;
    device_plan_begin(d);
    rows_captions(d, &captions, true, 4, &at);
    assert_int_equal(at.rows.total, 4);
    device_take(d, 1 << 16); /* the stack has room, the host has none */
    assert_int_equal(0, device_plan_end(d, &e));
    d->host_size = 64;
    rows_captions(d, &captions, true, 0, &at);
    assert_int_equal(-E_TOOBIG, device_check(d, &e));
    assert_int_equal(d->host_used, 0);
    close_device(d);
}

static void test_rows__pictures(void **state)
{
    static const int32_t begin[] = {0, 5}, end[] = {5, 10};
    static const int32_t one[] = {0, 1, 2};
    struct device *d = open_device(64);
    struct op_attention a = {.heads = 2};
    struct err e = ERR_INIT;
    struct rows r;

    (void)state;
    device_plan_begin(d);
    rows_pictures(d, 2, 5, &r);
    assert_int_equal(0, device_plan_end(d, &e));
    rows_pictures(d, 2, 5, &r);
    assert_int_equal(0, device_check(d, &e));
    assert_int_equal(r.total, 10);
    assert_int_equal(r.pairs, 50);
    assert_int_equal(r.read_pairs, 10);
    assert_false(r.causal);
    check_index(d, r.begin, 2, begin);
    check_index(d, r.end, 2, end);
    check_index(d, r.read, 2, begin);
    check_index(d, r.see, 2, end);
    check_index(d, r.one, 3, one);

    rows_attend(&r, &a);
    assert_true(a.seqs == 2 && a.max_q == 5 && a.max_k == 5 && a.heads == 2);
    assert_true(a.q_begin == r.begin && a.k_end == r.end && a.q_rows == 10);
    rows_attend_read(&r, &a);
    assert_true(a.seqs == 2 && a.max_q == 1 && a.max_k == 5);
    assert_true(a.q_rows == 2 && a.pairs == 10);
    check_index(d, a.q_begin, 2, one);
    check_index(d, a.q_end, 2, one + 1);
    check_index(d, a.k_end, 2, end);
    close_device(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__eot),
        cmocka_unit_test(test_rows__padded),
        cmocka_unit_test(test_rows__packed),
        cmocka_unit_test(test_rows__steps),
        cmocka_unit_test(test_rows__plan_too_small),
        cmocka_unit_test(test_rows__pictures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
