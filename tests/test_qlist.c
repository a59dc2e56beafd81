/* querylist/qlist: queries.bin written, read, and refused when damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "querylist/qlist.h"
#include "querylist/qlist_layout.h"

/* canine > dog > puppy, and a city that is an instance of one. */
static const struct synset synsets[] = {
    {{"canine.n.01", 11}, {"canine", 6}, {"a dog or a wolf", 15}, 1, 0, 0, 'n'},
    {{"dog.n.01", 8}, {"dog", 3}, {"it barks", 8}, 1, 0, 1, 'n'},
    {{"puppy.n.01", 10}, {"puppy", 5}, {"a young dog", 11}, 1, 1, 2, 'n'},
    {{".22.n.01", 8}, {"", 0}, {"", 0}, 1, 3, 0, 'n'},
};
static const uint32_t parents[] = {0, 1, 0};

/* A small compiled list: what every test here reads. */
static void compile(enum query_policy policy, struct buf *out)
{
    struct wordnet w = {
        .synsets = xcalloc(4, sizeof *w.synsets),
        .n = 4,
        .parents = xcalloc(3, sizeof *w.parents),
        .n_parents = 3,
    };
    struct query_candidates own = {0}, names = {0};
    struct query_list_config c = {
        .policy = policy,
        .size = 100,
        .sources = {[QUERY_FILE] = &own, [QUERY_WORDNET] = &names},
    };
    struct query_list l;
    struct err e = ERR_INIT;

    memcpy(w.synsets, synsets, sizeof synsets);
    memcpy(w.parents, parents, sizeof parents);
    arena_init(&w.arena, 1);
    query_candidates_lines(&own, STR("Dog\nDOG!\n...\nolive marmalade\n"));
    own.v[3].count = 123456789012345;
    own.v[3].views = 77;
    query_candidates_wordnet(&names, &w);
    assert_int_equal(query_list_build(&l, &c, &e), 0);
    l.v[3].pmi = 17.25;
    assert_int_equal(
        qlist_encode(&l, &w, policy, UINT64_C(0xfedcba9876543210), 6, out, &e),
        0);
    query_list_release(&l);
    query_candidates_release(&own);
    query_candidates_release(&names);
    wordnet_release(&w);
}

static void test_qlist__round_trip(void **state)
{
    static const struct {
        const char *text, *norm;
        uint32_t group, flags, sources, synset;
    } want[] = {
        {"Dog", "dog", 0, 0, 1u << QUERY_FILE, QUERY_NONE},
        {"DOG!", "dog", 0, 0, 1u << QUERY_FILE, QUERY_NONE},
        {"...", "", QUERY_NONE, QUERY_NO_WORDS, 1u << QUERY_FILE, QUERY_NONE},
        {"olive marmalade", "olive marmalade", 3, 0, 1u << QUERY_FILE,
         QUERY_NONE},
        {"canine", "canine", 4, 0, 1u << QUERY_WORDNET, 0},
        {"dog", "dog", 0, 0, 1u << QUERY_WORDNET, 1},
        {"puppy", "puppy", 6, 0, 1u << QUERY_WORDNET, 2},
    };
    struct qlist_synset s;
    struct query_entry q;
    struct buf file;
    struct qlist l;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&file, BUF_NO_LIMIT);
    compile(QUERY_POLICY_WORDS, &file);
    assert_int_equal(qlist_open_memory(&l, buf_str(&file), "mem", &e), 0);
    assert_int_equal(qlist_count(&l), 7);
    assert_int_equal(qlist_groups(&l), 4);
    assert_int_equal(qlist_policy(&l), QUERY_POLICY_WORDS);
    assert_true(l.head.seed == UINT64_C(0xfedcba9876543210));
    for (uint32_t id = 0; id < 7; id++) {
        assert_true(str_eq(qlist_text(&l, id), str_of(want[id].text)));
        assert_true(str_eq(qlist_norm(&l, id), str_of(want[id].norm)));
        assert_int_equal(qlist_group(&l, id), want[id].group);
        assert_int_equal(qlist_flags(&l, id), want[id].flags);
        qlist_entry(&l, id, &q);
        assert_int_equal(q.sources, want[id].sources);
        assert_int_equal(q.synset, want[id].synset);
    }
    qlist_entry(&l, 3, &q);
    assert_true(q.count == 123456789012345 && q.views == 77 && q.pmi == 17.25);
    assert_int_equal(qlist_synsets(&l), 4);
    qlist_synset(&l, 2, &s);
    assert_true(str_eq(s.id, STR("puppy.n.01")));
    assert_true(str_eq(s.name, STR("puppy")));
    assert_true(str_eq(s.gloss, STR("a young dog")));
    assert_int_equal(s.query, 6);
    assert_int_equal(s.n_parents, 2);
    assert_int_equal(qlist_parent(&l, s.first_parent), 1);
    assert_int_equal(qlist_parent(&l, s.first_parent + 1), 0);
    qlist_synset(&l, 3, &s);
    assert_int_equal(s.query, QUERY_NONE);
    qlist_close(&l);
    buf_release(&file);
}

/* The bytes are frozen: whoever changes them changes CORPUS_VERSION. */
static void test_qlist__golden(void **state)
{
    struct buf one, two, golden;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&one, BUF_NO_LIMIT);
    buf_init(&two, BUF_NO_LIMIT);
    buf_init(&golden, 1 << 20);
    compile(QUERY_POLICY_WORDS, &one);
    compile(QUERY_POLICY_WORDS, &two);
    assert_true(str_eq(buf_str(&one), buf_str(&two)));
    if (getenv("WITMILL_WRITE_GOLDEN"))
        io_write_file("tests/golden/queries-v3.bin", buf_str(&one), &e);
    if (io_read_file("tests/golden/queries-v3.bin", &golden, &e))
        fail_msg("%s", e.message);
    assert_true(str_eq(buf_str(&one), buf_str(&golden)));
    buf_release(&one);
    buf_release(&two);
    buf_release(&golden);
}

static void test_qlist__file(void **state)
{
    char path[] = "/tmp/witmill-qlist-XXXXXX";
    int fd = mkstemp(path);
    struct err e = ERR_INIT;
    struct buf file;
    struct qlist l;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(qlist_open(&l, path, &e), -E_FORMAT); /* empty */
    buf_init(&file, BUF_NO_LIMIT);
    compile(QUERY_POLICY_METACLIP, &file);
    assert_int_equal(io_write_file(path, buf_str(&file), NULL), 0);
    assert_int_equal(qlist_open(&l, path, NULL), 0);
    assert_int_equal(qlist_policy(&l), QUERY_POLICY_METACLIP);
    assert_int_equal(qlist_groups(&l), 7);
    assert_int_equal(qlist_flags(&l, 1), QUERY_NEVER);
    qlist_close(&l);
    unlink(path);
    assert_int_equal(qlist_open(&l, path, NULL), -E_NOTFOUND);
    buf_release(&file);
}

static void put32(struct buf *b, size_t at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        b->p[at + (size_t)i] = (char)(v >> (8 * i));
}

static uint32_t get32(const struct buf *b, size_t at)
{
    uint32_t v = 0;

    for (int i = 3; i >= 0; i--)
        v = v << 8 | (unsigned char)b->p[at + (size_t)i];
    return v;
}

/* Make length and hash fit again, so that what is wrong is found by itself. */
static void seal(struct buf *b)
{
    uint64_t h = hash_xxh3(str_slice(buf_str(b), CORPUS_HEADER_SIZE, b->n));

    put32(b, 40, (uint32_t)b->n);
    put32(b, 48, (uint32_t)h);
    put32(b, 52, (uint32_t)(h >> 32));
}

static void test_qlist__damage(void **state)
{
    static const struct {
        enum { HEAD, TABLE, ENTRY, SYNSET, PARENT } where;
        size_t at;
        uint32_t v;
        int rc;
        const char *says;
    } cases[] = {
        {HEAD, 0, 0x31313131, -E_FORMAT, "no compiled query list"},
        {HEAD, 8, 99, -E_VERSION, "format version 99"},
        {HEAD, 12, 2, -E_DAMAGED, "policy"},
        {HEAD, 24, 14, -E_DAMAGED, "bucket bits"},
        {HEAD, 28, 8, -E_DAMAGED, "entries"},
        {HEAD, 32, 5, -E_DAMAGED, "groups"},
        {TABLE, 0, 0x7fffffff, -E_DAMAGED, "section"},
        {TABLE, 4, 0x7fffffff, -E_DAMAGED, "section"},
        {TABLE, 8, 55, -E_DAMAGED, "section"},
        {TABLE, 24, 3, -E_DAMAGED, "string"},
        {TABLE, 40, 32, -E_DAMAGED, "synset"},
        {TABLE, 56, 4, -E_DAMAGED, "hypernyms"},
        {TABLE, 72, 17, -E_DAMAGED, "section"},
        {ENTRY, ENTRY_TEXT_AT, 0xfffffff0, -E_DAMAGED, "string"},
        {ENTRY, ENTRY_NORM_AT, 0xfffffff0, -E_DAMAGED, "string"},
        {ENTRY, ENTRY_GROUP, 1, -E_DAMAGED, "group"},
        {ENTRY, ENTRY_GROUP, QUERY_NONE, -E_DAMAGED, "group"},
        {ENTRY, ENTRY_FLAGS, QUERY_NO_WORDS, -E_DAMAGED, "group"},
        {ENTRY, ENTRY_SYNSET, 4, -E_DAMAGED, "synset"},
        {SYNSET, SYNSET_GLOSS_AT, 0xfffffff0, -E_DAMAGED, "string"},
        {SYNSET, SYNSET_PARENTS, 0xfffffff0, -E_DAMAGED, "hypernyms"},
        {SYNSET, SYNSET_QUERY, 7, -E_DAMAGED, "query"},
        {PARENT, 0, 4, -E_DAMAGED, "hypernym"},
    };
    struct buf b;
    struct qlist l;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        size_t at = cases[i].at;
        int rc;

        buf_clear(&b);
        compile(QUERY_POLICY_WORDS, &b);
        if (cases[i].where == TABLE)
            at += QLIST_TABLE;
        else if (cases[i].where != HEAD)
            at +=
                get32(&b, QLIST_TABLE + 16 * (cases[i].where == ENTRY    ? 0u
                                              : cases[i].where == SYNSET ? 2u
                                                                         : 3u));
        put32(&b, at, cases[i].v);
        seal(&b);
        rc = qlist_open_memory(&l, buf_str(&b), "mem", &e);
        if (rc != cases[i].rc || !strstr(e.message, cases[i].says))
            fail_msg("case %zu: %d %s", i, rc, e.message);
    }
    buf_release(&b);
}

/* Fields of a slot of either table. */
enum {
    SLOT_KEY = 0, /* of a word: its first 4 bytes */
    SLOT_BEFORE = 0,
    SLOT_WORD = 4,
    SLOT_NODE = 8,
    SLOT_GROUP = 12
};

/* Every used slot of either table of the match table, with one field
 * changed. */
static void test_qlist__damaged_table(void **state)
{
    static const struct {
        enum trie_section table;
        size_t at;
        uint32_t v;
        int is_long; /* only of such words; -1 any */
        const char *says;
    } cases[] = {
        {TRIE_WORDS, SLOT_NODE, TRIE_BEGINS, -1, "without a number"},
        {TRIE_WORDS, SLOT_NODE, TRIE_LONG | 1, 0, "another length"},
        {TRIE_WORDS, SLOT_NODE, 1, 1, "another length"},
        {TRIE_WORDS, SLOT_NODE, TRIE_LONG | TRIE_ID, 1, "outside"},
        {TRIE_WORDS, SLOT_KEY + 4, 1u << 24, 0, "zero byte"},
        {TRIE_WORDS, SLOT_KEY, 0x67006f64, 0, "zero byte"},
        {TRIE_WORDS, SLOT_GROUP, 1 + 1, -1, "no group"},
        {TRIE_WORDS, SLOT_GROUP, 1 + 7, -1, "no group"},
        {TRIE_STEPS, SLOT_BEFORE, TRIE_LONG | 1, -1, "no words"},
        {TRIE_STEPS, SLOT_BEFORE, 0, -1, "no words"},
        {TRIE_STEPS, SLOT_WORD, TRIE_BEGINS | 1, -1, "no words"},
        {TRIE_STEPS, SLOT_NODE, TRIE_BEGINS, -1, "no words"},
        {TRIE_STEPS, SLOT_GROUP, 1 + 2, -1, "no group"},
    };
    struct buf b;
    struct qlist l;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t row = QLIST_TABLE + 16 * (QLIST_TRIE + (size_t)cases[i].table);
        size_t from, n, changed = 0;

        buf_clear(&b);
        compile(QUERY_POLICY_WORDS, &b);
        from = get32(&b, row);
        n = get32(&b, row + 8);
        for (size_t at = from; at < from + n; at += TRIE_SLOT_SIZE) {
            uint32_t before = get32(&b, at + cases[i].at);
            uint32_t node = get32(&b, at + SLOT_NODE);
            struct err e = ERR_INIT;

            if (!node || (cases[i].is_long >= 0 &&
                          cases[i].is_long != !!(node & TRIE_LONG)))
                continue;
            changed++;
            put32(&b, at + cases[i].at, cases[i].v);
            seal(&b);
            assert_int_equal(qlist_open_memory(&l, buf_str(&b), "mem", &e),
                             -E_DAMAGED);
            if (!strstr(e.message, cases[i].says))
                fail_msg("case %zu: %s", i, e.message);
            put32(&b, at + cases[i].at, before);
        }
        if (!changed)
            fail_msg("case %zu: no slot", i);
    }
    buf_release(&b);
}

/* Tables, pilots and filter that are not there, or of no such size. */
static void test_qlist__no_table(void **state)
{
    static const struct {
        enum trie_section section;
        uint32_t bytes;
        const char *says;
    } cases[] = {
        {TRIE_WORDS, 0, "no table of words"},
        {TRIE_WORD_PILOTS, 8, "no table of words"},
        {TRIE_WORD_PILOTS, 0, "no table of words"},
        {TRIE_WORD_PILOTS, 9, "outside the file"},
        {TRIE_STEPS, 0, "no table of steps"},
        {TRIE_STEPS, 24, "outside the file"},
        {TRIE_STEP_PILOTS, 0, "no table of steps"},
        {TRIE_FILTER, 0, "power of two"},
        {TRIE_FILTER, 24, "power of two"},
        {TRIE_LONGER, 0, "a word outside"},
    };
    struct buf b;
    struct qlist l;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t row = QLIST_TABLE + 16 * (QLIST_TRIE + (size_t)cases[i].section);
        struct err e = ERR_INIT;

        buf_clear(&b);
        compile(QUERY_POLICY_WORDS, &b);
        put32(&b, row + 8, cases[i].bytes);
        seal(&b);
        assert_int_equal(qlist_open_memory(&l, buf_str(&b), "mem", &e),
                         -E_DAMAGED);
        if (!strstr(e.message, cases[i].says))
            fail_msg("case %zu: %s", i, e.message);
    }
    buf_release(&b);
}

/* Any byte changed, any length cut: never a list. */
static void test_qlist__every_byte_counts(void **state)
{
    struct buf b;
    struct qlist l;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    compile(QUERY_POLICY_WORDS, &b);
    for (size_t i = CORPUS_HEADER_SIZE; i < b.n; i++) {
        b.p[i] ^= 1;
        assert_int_equal(qlist_open_memory(&l, buf_str(&b), "mem", NULL),
                         -E_DAMAGED);
        b.p[i] ^= 1;
    }
    for (size_t n = 0; n < b.n; n++) {
        int rc = qlist_open_memory(&l, str_make(b.p, n), "mem", NULL);

        assert_int_equal(rc, n < CORPUS_HEADER_SIZE ? -E_FORMAT : -E_DAMAGED);
    }
    assert_int_equal(qlist_open_memory(&l, buf_str(&b), "mem", NULL), 0);
    qlist_close(&l);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qlist__round_trip),
        cmocka_unit_test(test_qlist__golden),
        cmocka_unit_test(test_qlist__file),
        cmocka_unit_test(test_qlist__damage),
        cmocka_unit_test(test_qlist__damaged_table),
        cmocka_unit_test(test_qlist__no_table),
        cmocka_unit_test(test_qlist__every_byte_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
