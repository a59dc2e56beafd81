/* querylist/list, ngrams, strset: sources made one list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "querylist/list.h"

#define MANY UINT64_C(1000000)

/* Candidates from texts; their measure falls from 1,000 on. */
static struct query_candidates candidates(const char *const *texts)
{
    struct query_candidates c = {0};
    uint64_t measure = 1000;

    for (; *texts; texts++, measure--) {
        struct query_candidate *to = query_candidates_add(&c, str_of(*texts));

        to->count = measure;
        to->views = measure;
        to->pmi = (double)measure;
    }
    return c;
}

static void build(struct query_list *l, const struct query_list_config *c)
{
    struct err e = ERR_INIT;

    if (query_list_build(l, c, &e))
        fail_msg("%s", e.message);
}

/* The list as "text|text|...". */
static void check_texts(const struct query_list *l, const char *want)
{
    struct buf got;

    buf_init(&got, BUF_NO_LIMIT);
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_add_char(&got, '|');
        buf_add(&got, l->v[i].text);
    }
    assert_string_equal(buf_str(&got).p, want);
    buf_release(&got);
}

static const char *const words[] = {"the", "dog", "oil", NULL};
static const char *const bigrams[] = {"hong kong", "olive oil", NULL};
static const char *const titles[] = {"Dog",  "olive oil", "cat", "Paris",
                                     "Rome", "zebra",     NULL};
static const char *const wordnet[] = {"cat", "dog", "olive oil", "zebra", NULL};

struct sources {
    struct query_candidates word, bigram, title, wordnet;
    struct query_list_config config;
};

static void sources_init(struct sources *s, enum query_order order,
                         uint64_t size)
{
    s->word = candidates(words);
    s->bigram = candidates(bigrams);
    s->title = candidates(titles);
    s->wordnet = candidates(wordnet);
    for (size_t i = 0; i < s->wordnet.n; i++)
        s->wordnet.v[i].count = s->wordnet.v[i].views = 0;
    for (size_t i = 0; i < s->title.n; i++)
        s->title.v[i].count = 0;
    for (size_t i = 0; i < s->bigram.n; i++)
        s->bigram.v[i].views = 0;
    s->config = (struct query_list_config){
        .order = order,
        .policy = QUERY_POLICY_WORDS,
        .size = size,
        .sources = {[QUERY_WORD] = &s->word,
                    [QUERY_BIGRAM] = &s->bigram,
                    [QUERY_TITLE] = &s->title,
                    [QUERY_WORDNET] = &s->wordnet},
    };
}

static void sources_release(struct sources *s)
{
    query_candidates_release(&s->word);
    query_candidates_release(&s->bigram);
    query_candidates_release(&s->title);
    query_candidates_release(&s->wordnet);
}

static void test_list__orders(void **state)
{
    static const struct {
        enum query_order order;
        uint64_t size;
        const char *want;
    } cases[] = {
        {QUERY_ORDER_CLIP, MANY,
         "the|dog|oil|hong kong|olive oil|Dog|cat|Paris|Rome|zebra"},
        {QUERY_ORDER_METACLIP, MANY,
         "cat|dog|olive oil|zebra|the|oil|hong kong|Dog|Paris|Rome"},
        /* words, bigrams and WordNet are 7: two titles fit, and cat, a title
         * that WordNet has as well, takes no room of theirs */
        {QUERY_ORDER_CLIP, 9,
         "the|dog|oil|hong kong|olive oil|Dog|cat|Paris|zebra"},
        {QUERY_ORDER_METACLIP, 9,
         "cat|dog|olive oil|zebra|the|oil|hong kong|Dog|Paris"},
        {QUERY_ORDER_CLIP, 8, "the|dog|oil|hong kong|olive oil|Dog|cat|zebra"},
        {QUERY_ORDER_CLIP, 7, "the|dog|oil|hong kong|olive oil|cat|zebra"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sources s;
        struct query_list l;

        sources_init(&s, cases[i].order, cases[i].size);
        build(&l, &s.config);
        check_texts(&l, cases[i].want);
        assert_int_equal(tally_sum(&l.drops), 0);
        query_list_release(&l);
        sources_release(&s);
    }
}

/* A size that the other sources pass alone cuts the list and says so. */
static void test_list__size_is_a_ceiling(void **state)
{
    struct sources s;
    struct query_list l;

    (void)state;
    sources_init(&s, QUERY_ORDER_CLIP, 6);
    build(&l, &s.config);
    check_texts(&l, "the|dog|oil|hong kong|olive oil|cat");
    assert_int_equal(tally_get(&l.drops, "size"), 1);
    query_list_release(&l);
    sources_release(&s);
}

static void test_list__sources_add_up(void **state)
{
    const uint32_t three =
        1u << QUERY_BIGRAM | 1u << QUERY_TITLE | 1u << QUERY_WORDNET;
    struct sources s;
    struct query_list l;
    const struct query_entry *q;

    (void)state;
    sources_init(&s, QUERY_ORDER_CLIP, MANY);
    s.wordnet.v[2].synset = 7;
    build(&l, &s.config);
    q = &l.v[4]; /* olive oil */
    assert_int_equal(q->sources, three);
    assert_int_equal(q->count, 999);
    assert_int_equal(q->views, 999);
    assert_true(q->pmi == 999);
    assert_int_equal(q->synset, 7);
    assert_int_equal(l.v[0].sources, 1u << QUERY_WORD);
    assert_int_equal(l.v[0].synset, QUERY_NONE);
    assert_int_equal(l.first[QUERY_WORD], 3);
    assert_int_equal(l.first[QUERY_BIGRAM], 2);
    assert_int_equal(l.first[QUERY_TITLE], 5);
    assert_int_equal(l.first[QUERY_WORDNET], 0);
    query_list_release(&l);
    sources_release(&s);
}

static void test_list__groups(void **state)
{
    static const char lines[] = "Dog\n dog \nDOG!\nolive  oil\r\n!!!\n\n"
                                "Olive-Oil\ncat\n";
    static const struct {
        const char *norm;
        uint32_t group, flags;
    } want[] = {
        {"dog", 0, 0},
        {"dog", 0, 0},
        {"dog", 0, 0},
        {"olive oil", 3, 0},
        {"", QUERY_NONE, QUERY_NO_WORDS},
        {"olive oil", 3, 0},
        {"cat", 6, 0},
    };
    struct query_candidates c = {0};
    struct query_list_config config = {.size = MANY,
                                       .sources = {[QUERY_FILE] = &c}};
    struct query_list l;

    (void)state;
    query_candidates_lines(&c, str_of(lines));
    build(&l, &config);
    assert_int_equal(l.n, 7);
    assert_int_equal(l.n_groups, 3);
    for (size_t i = 0; i < l.n; i++) {
        assert_true(str_eq(l.v[i].norm, str_of(want[i].norm)));
        assert_int_equal(l.v[i].group, want[i].group);
        assert_int_equal(l.v[i].flags, want[i].flags);
    }
    query_list_release(&l);
    query_candidates_release(&c);
}

static void test_list__metaclip_norms(void **state)
{
    static const char lines[] = "Dog\ndog\nSt. Louis\ncaf\xc3\xa9\n!\n";
    static const uint32_t flags[] = {0, 0, QUERY_NEVER, 0, 0};
    struct query_candidates c = {0};
    struct query_list_config config = {.size = MANY,
                                       .policy = QUERY_POLICY_METACLIP,
                                       .sources = {[QUERY_FILE] = &c}};
    struct query_list l;

    (void)state;
    query_candidates_lines(&c, str_of(lines));
    build(&l, &config);
    assert_int_equal(l.n_groups, 5);
    for (size_t i = 0; i < l.n; i++) {
        assert_true(str_eq(l.v[i].norm, l.v[i].text));
        assert_int_equal(l.v[i].group, i);
        assert_int_equal(l.v[i].flags, flags[i]);
    }
    query_list_release(&l);
    query_candidates_release(&c);
}

/* ---- what MetaCLIP's rule cannot find ---- */

#define SMALL 5 /* characters of an entry */

/* The published rule, as it is worded: a text, ready to be searched. */
static size_t spaced(const char *text, size_t n, char *to)
{
    size_t k = 0;

    to[k++] = ' ';
    for (size_t i = 0; i < n; i++) {
        if (strchr(",.;:?!`", text[i])) {
            to[k++] = ' ';
            to[k++] = text[i];
            to[k++] = ' ';
        } else {
            to[k++] = strchr("\t\n\r", text[i]) ? ' ' : text[i];
        }
    }
    to[k++] = ' ';
    return k;
}

/* Number of s in base n_letters, a digit more for each length; spelled into
 * text. */
static size_t spell(uint32_t number, const char *letters, uint32_t n_letters,
                    char *text)
{
    size_t n = 0;

    for (; number; number = (number - 1) / n_letters)
        text[n++] = letters[(number - 1) % n_letters];
    return n;
}

static uint32_t spelled(const char *p, size_t n, const char *letters,
                        uint32_t n_letters)
{
    uint32_t number = 0;

    while (n--)
        number = number * n_letters +
                 (uint32_t)(strchr(letters, p[n]) - letters) + 1;
    return number;
}

/* Every entry of up to SMALL characters against every text that is no longer:
 * a text that holds it with fewer spaces about is never longer than it. */
static void test_list__never_is_exact(void **state)
{
    static const char letters[] = "a .,`\t\n";
    const uint32_t base = sizeof letters - 1;
    uint32_t all = 0, found_n = 0;
    bool *found;

    (void)state;
    for (size_t i = 0; i <= SMALL; i++)
        all = all * base + 1;
    found = calloc(all, sizeof *found);
    assert_non_null(found);
    for (uint32_t t = 0; t < all; t++) {
        char text[SMALL], ready[3 * SMALL + 2];
        size_t n = spaced(text, spell(t, letters, base, text), ready);

        for (size_t from = 0; from < n; from++)
            for (size_t to = from + 2;
                 ready[from] == ' ' && to < n && to - from <= SMALL + 1; to++)
                if (ready[to] == ' ')
                    found[spelled(ready + from + 1, to - from - 1, letters,
                                  base)] = true;
    }
    for (uint32_t i = 1; i < all; i++) {
        char entry[SMALL];
        struct str s = str_make(entry, spell(i, letters, base, entry));

        found_n += found[i];
        if (query_is_never(QUERY_POLICY_METACLIP, s) == found[i])
            fail_msg("entry \"%.*s\": %s", STR_ARG(s),
                     found[i] ? "is found" : "is not found");
        assert_false(query_is_never(QUERY_POLICY_WORDS, s));
    }
    assert_in_range(found_n, 100, all - 100);
    free(found);
}

static void test_list__never(void **state)
{
    static const struct {
        const char *entry;
        bool never;
    } cases[] = {
        {"St. Louis", true},    {"St . Louis", false}, {"Apple Inc.", true},
        {"Apple Inc .", false}, {".", false},          {"...", true},
        {". .", true},          {".  .", false},       {"a ? b ! c", false},
        {" dog", false},        {"dog ", false},       {"a  dog", false},
        {"a\tdog", true},       {"dog\n", true},       {"\rdog", true},
        {"(dog)", false},       {"dog-bed", false},    {"it's", false},
        {"12:30", true},        {"a;b", true},         {"`", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            query_is_never(QUERY_POLICY_METACLIP, str_of(cases[i].entry)),
            cases[i].never);
}

static void test_list__drops(void **state)
{
    struct query_candidates c = {0};
    struct query_list_config config = {.size = 2,
                                       .sources = {[QUERY_FILE] = &c}};
    struct query_list l;
    char longest[QUERY_ENTRY_MAX + 1];

    (void)state;
    memset(longest, 'a', sizeof longest);
    query_candidates_lines(&c, STR("\xef\xbb\xbf"
                                   "a\nbad \xff\ntab\there\n"));
    query_candidates_add(&c, str_make(longest, sizeof longest));
    query_candidates_add(&c, str_make(longest, sizeof longest - 1));
    query_candidates_add(&c, STR_NONE);
    query_candidates_add(&c, STR("a"));
    query_candidates_add(&c, STR("one too many"));
    build(&l, &config);
    assert_int_equal(l.n, 2);
    assert_true(str_eq(l.v[0].text, STR("a")));
    assert_int_equal(tally_get(&l.drops, "charset"), 1);
    assert_int_equal(tally_get(&l.drops, "control"), 1);
    assert_int_equal(tally_get(&l.drops, "too-long"), 1);
    assert_int_equal(tally_get(&l.drops, "empty"), 1);
    assert_int_equal(tally_get(&l.drops, "size"), 1);
    query_list_release(&l);
    query_candidates_release(&c);
}

static void test_list__numerals(void **state)
{
    struct query_candidates c = {0};

    (void)state;
    query_candidates_numerals(&c);
    assert_int_equal(c.n, 100);
    assert_true(str_eq(c.v[0].text, STR("0")));
    assert_true(str_eq(c.v[1].text, STR("1")));
    assert_true(str_eq(c.v[2].text, STR("10")));
    assert_true(str_eq(c.v[99].text, STR("99")));
    for (size_t i = 1; i < c.n; i++)
        assert_true(str_cmp(c.v[i - 1].text, c.v[i].text) < 0);
    query_candidates_release(&c);
}

/* --sources wordnet,numeral: the published entries, and a synset for each
 * name that has one. */
static void test_list__wordnet_and_numerals(void **state)
{
    struct query_candidates names = {0}, numerals = {0};
    struct query_list_config config = {.size = MANY};
    struct query_list l;
    struct wordnet w;
    uint32_t id;

    (void)state;
    if (!io_exists(WORDNET_FOLDER "/data.noun")) {
        print_message("skipped: no wordnet-base\n");
        skip();
    }
    assert_int_equal(wordnet_load(&w, NULL, NULL), 0);
    query_candidates_wordnet(&names, &w);
    query_candidates_numerals(&numerals);
    config.sources[QUERY_WORDNET] = &names;
    config.sources[QUERY_NUMERAL] = &numerals;
    build(&l, &config);
    assert_int_equal(l.n, 86654);
    assert_int_equal(l.first[QUERY_NUMERAL], 100);
    id = strset_find(&l.texts, STR("dog"));
    assert_true(str_eq(w.synsets[l.v[id].synset].id, STR("dog.n.01")));
    id = strset_find(&l.texts, STR("olive oil"));
    assert_true(str_eq(l.v[id].norm, STR("olive oil")));
    print_message("%u groups of %zu entries\n", l.n_groups, l.n);
    query_list_release(&l);
    query_candidates_release(&names);
    query_candidates_release(&numerals);
    wordnet_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__orders),
        cmocka_unit_test(test_list__size_is_a_ceiling),
        cmocka_unit_test(test_list__sources_add_up),
        cmocka_unit_test(test_list__groups),
        cmocka_unit_test(test_list__metaclip_norms),
        cmocka_unit_test(test_list__never_is_exact),
        cmocka_unit_test(test_list__never),
        cmocka_unit_test(test_list__drops),
        cmocka_unit_test(test_list__numerals),
        cmocka_unit_test(test_list__wordnet_and_numerals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
