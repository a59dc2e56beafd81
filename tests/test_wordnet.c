/* querylist/wordnet: Debian's files, and small ones of our own. */
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
#include "querylist/wordnet.h"

/* Entries of --sources wordnet,numeral (facts B1), LF behind each. */
#define PUBLISHED_SHA256                                                       \
    "e90ca55aabc684af4d96933bf9b0292b8e8d0b8622e5b90c3decaa3396c3bd17"
#define PUBLISHED_COUNT 86654

static bool load(struct wordnet *w)
{
    struct err e = ERR_INIT;

    if (!io_exists(WORDNET_FOLDER "/data.noun")) {
        print_message("skipped: no wordnet-base\n");
        return false;
    }
    if (wordnet_load(w, NULL, &e))
        fail_msg("%s", e.message);
    return true;
}

static const struct synset *synset(const struct wordnet *w, const char *id)
{
    for (size_t i = 0; i < w->n; i++)
        if (str_eq(w->synsets[i].id, str_of(id)))
            return &w->synsets[i];
    fail_msg("no synset %s", id);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void test_wordnet__published_entries(void **state)
{
    struct wordnet w;
    struct str *names;
    char numerals[100][3], hex[SHA256_HEX];
    size_t n = 0, kept = 0;
    struct sha256 sha;

    (void)state;
    if (!load(&w))
        skip();
    assert_int_equal(w.n, 117659);
    names = xcalloc(w.n + 100, sizeof *names);
    for (int i = 0; i < 100; i++) {
        snprintf(numerals[i], sizeof numerals[i], "%d", i);
        names[n++] = str_of(numerals[i]);
    }
    for (size_t i = 0; i < w.n; i++)
        if (w.synsets[i].name.n)
            names[n++] = w.synsets[i].name;
    qsort(names, n, sizeof *names, compare);
    sha256_init(&sha);
    for (size_t i = 0; i < n; i++) {
        if (i && str_eq(names[i], names[i - 1]))
            continue;
        sha256_add(&sha, names[i]);
        sha256_add(&sha, STR("\n"));
        kept++;
    }
    sha256_final_hex(&sha, hex);
    assert_int_equal(kept, PUBLISHED_COUNT);
    assert_string_equal(hex, PUBLISHED_SHA256);
    free(names);
    wordnet_release(&w);
}

/* Ids as NLTK gives them, satellites (s) included, and cut names. */
static void test_wordnet__ids(void **state)
{
    static const struct {
        const char *id, *name, *gloss;
    } cases[] = {
        {"dog.n.01", "dog", "a member of the genus Canis"},
        {"entity.n.01", "entity", "that which is perceived"},
        {"cad.n.01", "cad", "someone who is morally reprehensible"},
        {"frump.n.01", "frump", "a dull unattractive"},
        {"able.a.01", "able", "(usually followed by `to')"},
        {"abject.s.02", "abject", "most unfortunate"},
        {"olive_oil.n.01", "olive oil", "oil from olives"},
        {"mr._moto.n.01", "mr", "Japanese sleuth"},
        {".22_caliber.a.01", "", "of or relating to the bore"},
        {"quickly.r.01", "quickly", "with rapid movements"},
        {"walk.v.01", "walk", "use one's feet to advance"},
    };
    struct wordnet w;

    (void)state;
    if (!load(&w))
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct synset *s = synset(&w, cases[i].id);

        assert_true(str_eq(s->name, str_of(cases[i].name)));
        if (!str_starts(s->gloss, str_of(cases[i].gloss)))
            fail_msg("%s: %.*s", cases[i].id, STR_ARG(s->gloss));
    }
    wordnet_release(&w);
}

static void test_wordnet__parents(void **state)
{
    const struct synset *dog, *parent;
    struct wordnet w;
    size_t hyponyms = 0;
    bool *under;

    (void)state;
    if (!load(&w))
        skip();
    dog = synset(&w, "dog.n.01");
    assert_int_equal(dog->n_parents, 2);
    parent = &w.synsets[w.parents[dog->first_parent]];
    assert_true(str_eq(parent->id, STR("canine.n.02")));
    parent = &w.synsets[w.parents[dog->first_parent + 1]];
    assert_true(str_eq(parent->id, STR("domestic_animal.n.01")));
    assert_int_equal(synset(&w, "entity.n.01")->n_parents, 0);
    /* instances count as well: a city under city */
    assert_int_equal(synset(&w, "paris.n.01")->n_parents > 0, 1);
    /* 189 hyponyms of dog.n.01, the synset itself apart */
    under = xcalloc(w.n, 1);
    under[dog - w.synsets] = true;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < w.n; i++)
            for (uint32_t k = 0; !under[i] && k < w.synsets[i].n_parents; k++)
                if (under[w.parents[w.synsets[i].first_parent + k]]) {
                    under[i] = more = true;
                    hyponyms++;
                }
    }
    print_message("%zu hyponyms of dog.n.01\n", hyponyms);
    assert_int_equal(hyponyms, 189);
    free(under);
    wordnet_release(&w);
}

/* ---- malformed files ---- */

static const char *const kinds[] = {"index.noun", "data.noun", "index.verb",
                                    "data.verb",  "index.adj", "data.adj",
                                    "index.adv",  "data.adv"};

static void write_files(const char *folder, const char *index, const char *data)
{
    char path[IO_PATH_MAX];

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *text = i == 0 ? index : i == 1 ? data : "  1 licence\n";

        assert_int_equal(io_join(path, folder, kinds[i], NULL), 0);
        assert_int_equal(io_write_file(path, str_of(text), NULL), 0);
    }
}

static void test_wordnet__malformed(void **state)
{
    static const struct {
        const char *index, *data;
        int rc;
    } cases[] = {
        {"a n 1 0 1 0 00000001\n", "00000001 00 n 01 A 0 000 | x\n", 0},
        {"a n 1 0 1 0 00000001\n", "0000000x 00 n 01 a 0 000 | x\n", -E_FORMAT},
        {"a n 1 0 1 0 00000001\n", "00000001 00 q 01 a 0 000 | x\n", -E_FORMAT},
        {"a n 1 0 1 0 00000001\n", "00000001 00 n 00 a 0 000 | x\n", -E_FORMAT},
        {"a n 1 0 1 0 00000001\n", "00000001 00 n 01 a 0 001 @ 1\n", -E_FORMAT},
        {"a n 1 0 1 0 00000001\n",
         "00000001 00 n 01 a 0 001 @ 00000002 n 0000 | x\n", -E_FORMAT},
        {"b n 1 0 1 0 00000001\n", "00000001 00 n 01 a 0 000 | x\n", -E_FORMAT},
        {"a n 1 0 1 0\n", "00000001 00 n 01 a 0 000 | x\n", -E_FORMAT},
        {"a n\n", "00000001 00 n 01 a 0 000 | x\n", -E_FORMAT},
        {"", "00000001\n", -E_FORMAT},
        {"", "", 0},
    };
    char folder[] = "/tmp/witmill-wordnet-XXXXXX", path[IO_PATH_MAX];

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct wordnet w;
        int rc;

        write_files(folder, cases[i].index, cases[i].data);
        rc = wordnet_load(&w, folder, &e);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %d %s", i, rc, e.message);
        if (rc)
            assert_non_null(strchr(e.message, ':'));
        else
            wordnet_release(&w);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        io_join(path, folder, kinds[i], NULL);
        unlink(path);
    }
    rmdir(folder);
}

static void test_wordnet__absent(void **state)
{
    struct err e = ERR_INIT;
    struct wordnet w;

    (void)state;
    assert_int_equal(wordnet_load(&w, "/nonexistent", &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "wordnet-base"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wordnet__published_entries),
        cmocka_unit_test(test_wordnet__ids),
        cmocka_unit_test(test_wordnet__parents),
        cmocka_unit_test(test_wordnet__malformed),
        cmocka_unit_test(test_wordnet__absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
