/* querylist/trie_make, trie, displace: norms in, values out. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#include "base/hash.h"
#include "querylist/displace.h"
#include "querylist/trie_make.h"

/* ---- displace ---- */

/* Slots of n hashes are in range, and no two are one. */
static void check_displaced(const uint64_t *hash, size_t n)
{
    uint64_t n_pilots = displace_pilots(n), n_slots = displace_slots(n);
    uint16_t *pilot = calloc(n_pilots, sizeof *pilot);
    unsigned char *taken = calloc(n_slots, 1);

    assert_int_equal(displace_build(hash, n, pilot), 0);
    for (size_t i = 0; i < n; i++) {
        uint64_t group = displace_group(hash[i], n_pilots), slot;

        assert_true(group < n_pilots);
        slot = displace_slot(hash[i], pilot[group], n_slots);
        assert_true(slot < n_slots);
        if (taken[slot]++)
            fail_msg("of %zu: two keys in slot %llu", n,
                     (unsigned long long)slot);
    }
    free(pilot);
    free(taken);
}

static void test_trie__displace_any_number(void **state)
{
    static const size_t sizes[] = {100, 1000, 4096, 300000};
    uint64_t *hash = calloc(300000, sizeof *hash);

    (void)state;
    for (size_t i = 0; i < 300000; i++)
        hash[i] = hash_xxh3(str_make((char *)&i, sizeof i));
    for (size_t n = 0; n <= 40; n++)
        check_displaced(hash, n);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        check_displaced(hash, sizes[k]);
    free(hash);
}

/* Equal hashes, and more keys of one pilot than any could place. */
static void test_trie__displace_refuses(void **state)
{
    uint64_t two[] = {77, UINT64_C(1) << 63, 77}, *many;
    uint16_t pilot[1000];

    (void)state;
    assert_int_equal(displace_build(two, 3, pilot), -E_NOTFOUND);
    assert_int_equal(displace_build(two, (size_t)DISPLACE_KEYS_MAX + 1, pilot),
                     -E_TOOBIG);
    many = calloc(1000, sizeof *many);
    for (size_t i = 0; i < 1000; i++)
        many[i] = i;
    assert_int_equal(displace_build(many, 1000, pilot), -E_NOTFOUND);
    free(many);
}

/* ---- the tables ---- */

struct made {
    struct trie_maker m;
    struct trie t;
};

static void make(struct made *d, const struct str *norms, size_t n)
{
    struct str sections[TRIE_SECTIONS];
    const unsigned char *at[TRIE_SECTIONS];
    uint64_t bytes[TRIE_SECTIONS], where;
    const char *why;

    trie_maker_init(&d->m);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(trie_maker_add(&d->m, norms[i], (uint32_t)i), 0);
    assert_int_equal(trie_maker_finish(&d->m, sections), 0);
    for (int s = 0; s < TRIE_SECTIONS; s++) {
        at[s] = (const unsigned char *)sections[s].p;
        bytes[s] = sections[s].n;
    }
    why = trie_open(&d->t, at, bytes, &where);
    if (why)
        fail_msg("%s (%llu)", why, (unsigned long long)where);
}

/* The value of a word, as whoever looks it up finds it. */
static uint64_t value_of(const struct trie *t, const char *word, size_t n)
{
    unsigned char padded[4096] = {0};
    struct trie_head head;
    uint64_t key, value;

    memcpy(padded, word, n);
    head = trie_head(padded, n);
    key = trie_word_key(head, padded, n, t->words.seed);
    value = trie_at(&t->words,
                    trie_slot(&t->words, trie_hash(key, t->words.seed)), key);
    if (n > TRIE_SHORT && value &&
        !trie_spells(t, trie_node(value), head, padded, n))
        return 0;
    return value;
}

/* Words of every length about the limits of short words, heads and units; none
 * is taken for one that begins alike or is a byte longer or shorter. */
static void test_trie__lengths(void **state)
{
    enum { LONGEST = 100 };
    struct str norms[LONGEST];
    char bytes[LONGEST + 1];
    struct made d;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 7);
    for (size_t n = 1; n < LONGEST; n += 2)
        norms[n / 2] = str_make(bytes, n);
    make(&d, norms, LONGEST / 2);
    for (size_t n = 1; n <= LONGEST; n++) {
        uint64_t value = value_of(&d.t, bytes, n);

        if (n % 2)
            assert_int_equal(trie_group(value), n / 2);
        else
            assert_true(value == 0);
        bytes[n - 1] ^= 1;
        assert_true(value_of(&d.t, bytes, n) == 0);
        bytes[n - 1] ^= 1;
    }
    trie_maker_release(&d.m);
}

/* A long word of more than a unit ends within its section, however that is
 * cut, and whatever length is stated. */
static void test_trie__long_word_outside(void **state)
{
    enum { BYTES = 40, END = 2 * TRIE_UNIT + 2 + BYTES - TRIE_UNIT };
    const char *word = "pneumonoultramicroscopicsilicovolcanosis";
    const char *says = "a word outside the file, slot";
    struct str norm = str_make(word, BYTES), sections[TRIE_SECTIONS];
    const unsigned char *at[TRIE_SECTIONS];
    uint64_t bytes[TRIE_SECTIONS], where;
    struct trie_maker m;
    struct trie t;
    char *length;

    (void)state;
    trie_maker_init(&m);
    assert_int_equal(trie_maker_add(&m, norm, 0), 0);
    assert_int_equal(trie_maker_finish(&m, sections), 0);
    for (int s = 0; s < TRIE_SECTIONS; s++) {
        at[s] = (const unsigned char *)sections[s].p;
        bytes[s] = sections[s].n;
    }
    for (uint64_t n = 0; n < END; n++) {
        bytes[TRIE_LONGER] = n;
        assert_string_equal(trie_open(&t, at, bytes, &where), says);
    }
    bytes[TRIE_LONGER] = END;
    assert_null(trie_open(&t, at, bytes, &where));
    length = m.longer.p + 2 * TRIE_UNIT;
    assert_int_equal(*length, BYTES);
    *length = BYTES + 1;
    assert_string_equal(trie_open(&t, at, bytes, &where), says);
    trie_maker_release(&m);
}

/* Words whose keys are one under the first seed: under another they are not. */
static void test_trie__chosen_words(void **state)
{
    char words[64][17];
    struct str norms[64];
    struct made d;
    uint64_t lo = htole64(TRIE_K0);

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        memcpy(words[i], &lo, 8);
        snprintf(words[i] + 8, 9, "%08x", i);
        norms[i] = str_make(words[i], 16);
    }
    make(&d, norms, 64);
    assert_true(d.t.words.seed != 0);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(trie_group(value_of(&d.t, words[i], 16)), i);
    trie_maker_release(&d.m);
}

static void test_trie__no_norm(void **state)
{
    struct made d;

    (void)state;
    make(&d, NULL, 0);
    assert_true(value_of(&d.t, "dog", 3) == 0);
    assert_true(value_of(&d.t, "", 0) == 0);
    trie_maker_release(&d.m);
}

/* The group of norms of two words. */
static uint32_t group_of_pair(const struct trie *t, struct str one,
                              struct str two)
{
    uint64_t before = value_of(t, one.p, one.n);
    uint64_t word = value_of(t, two.p, two.n);
    uint64_t key = trie_step_key(trie_node(before), trie_node(word));
    uint64_t hash = trie_hash(key, t->steps.seed);

    assert_true(trie_goes_on(trie_node(before), trie_node(word)));
    assert_true(trie_may_step(t, hash));
    return trie_group(trie_at(&t->steps, trie_slot(&t->steps, hash), key));
}

/* Many of both lengths, and of two words each: all are found, with their
 * groups. */
static void test_trie__many(void **state)
{
    enum { N = 20000 };
    char(*text)[64] = calloc(N, sizeof *text);
    struct str *norms = calloc(N, sizeof *norms), *first;
    struct made d;

    (void)state;
    first = calloc(N, sizeof *first);
    for (uint32_t i = 0; i < N; i++) {
        int n = snprintf(text[i], sizeof *text, "%s%u",
                         i % 3 ? "" : "transformation", i * 2654435761u);

        first[i] = norms[i] = str_make(text[i], (size_t)n);
        if (i % 4 == 1) /* the word before it, once more, and it */
            norms[i].n +=
                (size_t)snprintf(text[i] + n, sizeof *text - 32, " %.*s",
                                 (int)first[i - 1].n, first[i - 1].p);
    }
    make(&d, norms, N);
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(
            i % 4 == 1 ? group_of_pair(&d.t, first[i], first[i - 1])
                       : trie_group(value_of(&d.t, norms[i].p, norms[i].n)),
            i);
    trie_maker_release(&d.m);
    free(text);
    free(norms);
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trie__displace_any_number),
        cmocka_unit_test(test_trie__displace_refuses),
        cmocka_unit_test(test_trie__lengths),
        cmocka_unit_test(test_trie__long_word_outside),
        cmocka_unit_test(test_trie__chosen_words),
        cmocka_unit_test(test_trie__no_norm),
        cmocka_unit_test(test_trie__many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
