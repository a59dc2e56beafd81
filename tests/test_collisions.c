/* The tables whose keys strangers choose: keys that were made to collide do so
 * under the secret they were made for, and under no other.  Measured is the
 * longest stretch of used slots, which is what a search may have to pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "querylist/aliases.h"
#include "querylist/keytab.h"
#include "querylist/pairtab.h"
#include "querylist/strset.h"

#define KEYS 4000u
/* At three quarters full chance gives some 200; the bad ones give KEYS. */
#define STRETCH_MAX 1000u

static size_t longest(const char *slots, size_t n, size_t size, size_t at,
                      size_t bytes)
{
    static const char empty[8];
    size_t most = 0, now = 0;

    for (size_t i = 0; i < 2 * n; i++) { /* the first follow the last */
        now = memcmp(slots + i % n * size + at, empty, bytes) ? now + 1 : 0;
        most = now > most ? now : most;
    }
    return most;
}

static void test_hash__secrets_differ(void **state)
{
    uint64_t a = hash_secret(), b = hash_secret();

    (void)state;
    assert_true(a != b);
}

/* Short keys whose first half is key[0], but for the length: one factor of the
 * hash is 0 then. */
static size_t stretch_short(struct keytab *t, uint64_t key)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        uint64_t bytes[2] = {key ^ UINT64_C(16) << 56, i + 1};
        uint32_t id;

        assert_int_equal(
            keytab_add(t, str_make((const char *)bytes, 16), 1, &id), 0);
        assert_int_equal(id, i);
    }
    return longest((const char *)t->slots, t->n_slots, sizeof *t->slots,
                   offsetof(struct keytab_slot, meta), 8);
}

static void test_keytab__short_keys(void **state)
{
    struct keytab known, other;

    (void)state;
    keytab_init(&known, 16 << 20);
    keytab_init(&other, 16 << 20);
    assert_true(stretch_short(&known, known.key[0]) >= KEYS);
    assert_true(stretch_short(&other, known.key[0]) < STRETCH_MAX);
    keytab_release(&known);
    keytab_release(&other);
}

/* A key of n bytes, 17 to 128, that collides under XXH3 with any other such:
 * its first eight are those of the seed 0's secret. */
static struct str colliding(char *to, size_t n, uint32_t i)
{
    static const unsigned char secret[8] = {0xb8, 0xfe, 0x6c, 0x39,
                                            0x23, 0xa4, 0x4b, 0xbe};

    memset(to, 'x', n);
    memcpy(to, secret, 8);
    memcpy(to + 8, &i, sizeof i);
    return str_make(to, n);
}

static size_t stretch_long(struct keytab *t)
{
    char key[8 + 32] = "the same";
    uint32_t id;

    for (uint32_t i = 0; i < KEYS; i++) {
        colliding(key + 8, 32, i);
        assert_int_equal(keytab_add(t, str_make(key, sizeof key), 1, &id), 0);
    }
    return longest((const char *)t->slots, t->n_slots, sizeof *t->slots,
                   offsetof(struct keytab_slot, meta), 8);
}

static void test_keytab__long_keys(void **state)
{
    struct keytab known, other;

    (void)state;
    keytab_init(&known, 16 << 20);
    keytab_init(&other, 16 << 20);
    known.key[0] = 0;
    assert_true(stretch_long(&known) >= KEYS);
    assert_true(stretch_long(&other) < STRETCH_MAX);
    keytab_release(&known);
    keytab_release(&other);
}

/* A look-up made before a reset is finished behind it. */
static void test_keytab__key_outlives_reset(void **state)
{
    char word[KEYTAB_SHORT] = "word";
    struct keytab_lookup l;
    struct keytab t;
    uint32_t id;

    (void)state;
    keytab_init(&t, 1 << 20);
    keytab_look_up(&t, &l, str_make(word, 4));
    keytab_reset(&t);
    assert_int_equal(keytab_finish(&t, &l, 1, &id), 0);
    assert_int_equal(keytab_add(&t, str_make(word, 4), 1, &id), 0);
    assert_int_equal(id, 0);
    assert_int_equal(t.n, 1);
    keytab_release(&t);
}

/* Of many pairs those that come to lie in a 1024th of the known table. */
static size_t stretch_pairs(struct pairtab *t, uint64_t key)
{
    uint32_t n = 0;

    for (uint32_t i = 0; n < KEYS; i++) {
        uint64_t h = ((uint64_t)i + 1) << PAIRTAB_BITS | i % 1000;

        h *= UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
        if (h * key >> 54)
            continue;
        assert_int_equal(pairtab_add(t, i, i % 1000), 0);
        assert_false(pairtab_full(t));
        n++;
    }
    return longest((const char *)t->slots, t->n_slots, sizeof *t->slots, 0, 8);
}

static void test_pairtab__pairs(void **state)
{
    struct pairtab known, other;

    (void)state;
    pairtab_init(&known, 4 << 20);
    pairtab_init(&other, 4 << 20);
    assert_true(stretch_pairs(&known, known.key) >= KEYS / 2);
    assert_true(stretch_pairs(&other, known.key) < STRETCH_MAX);
    pairtab_release(&known);
    pairtab_release(&other);
}

static size_t stretch_set(uint64_t *seed)
{
    struct strset s;
    char key[32];
    size_t most;

    strset_init(&s, 64 << 20);
    if (seed)
        s.seed = *seed;
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t id;
        bool is_new;

        assert_int_equal(
            strset_add(&s, colliding(key, sizeof key, i), &id, &is_new), 0);
        assert_true(is_new);
    }
    most = longest((const char *)s.slots, s.n_slots, sizeof *s.slots,
                   offsetof(struct strset_slot, id), 4);
    strset_release(&s);
    return most;
}

static void test_strset__strings(void **state)
{
    (void)state;
    assert_true(stretch_set(&(uint64_t){0}) >= KEYS);
    assert_true(stretch_set(NULL) < STRETCH_MAX);
}

static size_t stretch_aliases(uint64_t *seed)
{
    struct titles_aliases a;
    char key[32];
    size_t most;

    titles_aliases_init(&a, 64 << 20);
    if (seed)
        a.seed = *seed;
    for (uint32_t i = 0; i < KEYS; i++)
        assert_int_equal(titles_aliases_add(&a, colliding(key, sizeof key, i),
                                            STR("Target")),
                         0);
    assert_int_equal(a.n, KEYS);
    most = longest((const char *)a.slots, a.n_slots, sizeof *a.slots, 0, 8);
    titles_aliases_release(&a);
    return most;
}

static void test_aliases__names(void **state)
{
    (void)state;
    assert_true(stretch_aliases(&(uint64_t){0}) >= KEYS);
    assert_true(stretch_aliases(NULL) < STRETCH_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash__secrets_differ),
        cmocka_unit_test(test_keytab__short_keys),
        cmocka_unit_test(test_keytab__long_keys),
        cmocka_unit_test(test_keytab__key_outlives_reset),
        cmocka_unit_test(test_pairtab__pairs),
        cmocka_unit_test(test_strset__strings),
        cmocka_unit_test(test_aliases__names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
