/* textwords: repetition by the few ways it is told against counting each word
 * with all others, over lengths on both sides of every way's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "filter/textwords.h"

static size_t distinct_words(const struct words *w, size_t n)
{
    size_t distinct = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < i && !str_eq(words_at(w, k), words_at(w, i)))
            k++;
        distinct += k == i;
    }
    return distinct;
}

static bool brute(const struct words *w)
{
    size_t n = w->n < TEXTWORDS_MAX ? w->n : TEXTWORDS_MAX;

    return n >= 8 && distinct_words(w, n) <= n / 4;
}

/* n words of which about `distinct` are distinct: the first ones, in front of
 * or behind their repetitions, or anywhere. */
static void make(struct buf *b, size_t n, size_t distinct, unsigned order,
                 uint64_t seed)
{
    buf_clear(b);
    for (size_t i = 0; i < n; i++) {
        uint64_t in[2] = {seed, i};
        uint64_t r = hash_xxh3(str_make((const char *)in, sizeof in));
        size_t k = order == 0   ? (i < distinct ? i : r % distinct)
                   : order == 1 ? (n - i < distinct ? n - i : 0)
                                : r % distinct;

        /* Words of one length, first and last letter, too. */
        buf_addf(b, k % 3 ? "w%zuz " : "%zu ", k % 3 ? 1000 + k : k);
    }
}

static void check(struct words *w, const struct buf *b, size_t n,
                  size_t told[2])
{
    bool want, got;

    assert_int_equal(words_split(w, QUERY_POLICY_WORDS, buf_str(b)), 0);
    assert_int_equal(w->n, n);
    want = brute(w);
    got = textwords_repeated(w, hash_secret());
    if (want != got)
        fail_msg("%zu words, %zu distinct: %d, expected %d", n,
                 distinct_words(w, n), got, want);
    told[want]++;
}

static void test_textwords__as_by_counting(void **state)
{
    static const size_t lengths[] = {1,  2,  3,  4,   5,   7,   8,   9,  11,
                                     12, 15, 16, 17,  19,  20,  31,  32, 60,
                                     63, 64, 65, 127, 128, 160, 163, 500};
    size_t told[2] = {0, 0};
    struct words w;
    struct buf b;

    (void)state;
    words_init(&w);
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t more = 0; more < 6; more++)
            for (unsigned order = 0; order < 3; order++)
                for (uint64_t seed = 0; seed < 8; seed++) {
                    size_t distinct = lengths[i] / 4 + more;

                    make(&b, lengths[i], distinct > 2 ? distinct - 2 : 1, order,
                         seed);
                    check(&w, &b, lengths[i], told);
                }
    assert_true(told[0] > 1000 && told[1] > 1000);
    words_release(&w);
    buf_release(&b);
}

/* The longest texts, at the bound itself; and behind TEXTWORDS_MAX no word
 * counts. */
static void test_textwords__long(void **state)
{
    size_t told[2] = {0, 0}, most = TEXTWORDS_MAX / 4;
    struct words w;
    struct buf b;

    (void)state;
    words_init(&w);
    buf_init(&b, BUF_NO_LIMIT);
    make(&b, 2048, 512, 0, 1);
    check(&w, &b, 2048, told);
    make(&b, 2048, 513, 0, 1);
    check(&w, &b, 2048, told);
    make(&b, TEXTWORDS_MAX, most, 0, 1);
    check(&w, &b, TEXTWORDS_MAX, told);
    make(&b, TEXTWORDS_MAX + 10, most, 0, 1);
    buf_add(&b, STR("one two three four"));
    check(&w, &b, TEXTWORDS_MAX + 14, told);
    assert_int_equal(told[1], 3);
    make(&b, TEXTWORDS_MAX, most + 1, 0, 1);
    check(&w, &b, TEXTWORDS_MAX, told);
    assert_int_equal(told[0], 2);
    words_release(&w);
    buf_release(&b);
}

/* No secret changes a verdict. */
static void test_textwords__any_secret(void **state)
{
    struct words w;
    struct buf b;

    (void)state;
    words_init(&w);
    buf_init(&b, BUF_NO_LIMIT);
    for (uint64_t secret = 0; secret < 50; secret++)
        for (size_t more = 0; more < 2; more++) {
            make(&b, 400, 100 + more, 0, 7);
            assert_int_equal(words_split(&w, QUERY_POLICY_WORDS, buf_str(&b)),
                             0);
            assert_int_equal(textwords_repeated(&w, secret), !more);
        }
    words_release(&w);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_textwords__as_by_counting),
        cmocka_unit_test(test_textwords__long),
        cmocka_unit_test(test_textwords__any_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
