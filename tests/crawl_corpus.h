/*
 * crawl_corpus - what tests of the crawl share: an empty corpus to crawl into,
 * and the pairs that came.
 *
 * Model.   Header only, so that each test stays one program.
 * Fails.   By failing the test.
 */
#ifndef TESTS_CRAWL_CORPUS_H
#define TESTS_CRAWL_CORPUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/pair.h"
#include "crawler/crawl.h"

/* ---- lines of text ---- */

static inline int corpus_compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct corpus_lines {
    char **v;
    size_t n, cap;
};

static inline void corpus_add_line(struct corpus_lines *l, char *line)
{
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = line;
}

static inline void corpus_free_lines(struct corpus_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct corpus_lines){0};
}

static inline void corpus_sort_lines(struct corpus_lines *l)
{
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, corpus_compare_lines);
}

/* ---- the corpus ---- */

static char corpus_dir[64]; /* made by corpus_make() */

static inline int corpus_make(void **state)
{
    struct corpus_header head = {.version = CORPUS_VERSION,
                                 .seed = 7,
                                 .bucket_bits = 2,
                                 .file_size = CORPUS_HEADER_SIZE};
    char bytes[CORPUS_HEADER_SIZE], path[128];

    (void)state;
    snprintf(corpus_dir, sizeof corpus_dir, "/tmp/witmill-crawl-XXXXXX");
    if (!mkdtemp(corpus_dir))
        return -1;
    corpus_header_write(&head, bytes);
    snprintf(path, sizeof path, "%s/queries.bin", corpus_dir);
    log_quiet(true);
    return io_write_file(path, str_make(bytes, sizeof bytes), NULL);
}

static inline int corpus_remove(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", corpus_dir);
    return system(command);
}

static const char *corpus_scope_names[] = {"host", "domain", "any", NULL};
static const struct opt corpus_crawl_rows[] = {
    {.name = "scope",
     .type = OPT_CHOICE,
     .at = offsetof(struct crawl_config, scope),
     .def = "host",
     .help = "x",
     .flags = OPT_BYTES,
     .choices = corpus_scope_names},
};
static const struct opt_table corpus_crawl_table = {
    .command = "crawl",
    .rows = corpus_crawl_rows,
    .n = 1,
    .config_size = sizeof(struct crawl_config)};

/* ---- what was found ---- */

/* All pairs of the corpus, sorted, and the parts' sidecars checked. */
static inline void corpus_collect(struct corpus_lines *out, uint64_t *parts)
{
    struct corpus corpus;
    struct io_list names;
    uint64_t records = 0;

    assert_int_equal(corpus_open(&corpus, corpus_dir, NULL), 0);
    assert_int_equal(sidecar_list(&corpus, "pairs/crawl", &names, NULL), 0);
    for (size_t i = 0; i < names.n; i++) {
        struct jsonl_reader r;
        struct sidecar s;
        struct str line;
        char path[256], name[128], sha256[SHA256_HEX];
        bool more;

        snprintf(name, sizeof name, "pairs/crawl/%s", names.names[i]);
        snprintf(path, sizeof path, "%s/%s.jsonl.zst", corpus_dir, name);
        assert_int_equal(sidecar_read(&s, &corpus, name, NULL), 0);
        assert_int_equal(jsonl_sha256(path, sha256, NULL), 0);
        assert_string_equal(s.files[0].sha256, sha256);
        records += tally_get(&s.counts, "records");
        sidecar_release(&s);
        assert_int_equal(jsonl_open(&r, path, NULL), 0);
        while (jsonl_next(&r, &line, &more, NULL) == 0 && more) {
            struct arena a;
            struct pair p;

            arena_init(&a, 1 << 20);
            assert_int_equal(pair_read(line, &a, &p, NULL), 0);
            assert_true(str_eq(p.origin, STR("crawl")));
            corpus_add_line(out, xasprintf("%.*s %.*s %.*s", STR_ARG(p.page),
                                           STR_ARG(p.url), STR_ARG(p.text)));
            arena_release(&a);
        }
        jsonl_close(&r);
    }
    if (parts)
        *parts = names.n;
    io_list_release(&names);
    assert_int_equal(records, out->n);
    corpus_sort_lines(out);
}

#endif
