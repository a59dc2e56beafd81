/*
 * stage_call - run a stage inside a test as its command would: the option
 * table fills the config, the test may then change what options forbid.
 *
 * Model.   call_open() parses "CORPUS ARG ARG..."; config points at the
 *          command's config struct; call_close() frees it.  corpus_of_list()
 *          makes a folder with a query list of the test's own.
 */
#ifndef TESTS_STAGE_CALL_H
#define TESTS_STAGE_CALL_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/corpus.h"
#include "base/io.h"
#include "base/jsonl.h"
#include "base/mem.h"
#include "querylist/qlist.h"
#include "tools/command.h"

struct call {
    const struct opt_table *table;
    struct opt_set set;
    _Alignas(16) char config[4096];
};

/* args: separated by single spaces. */
static inline void call_open(struct call *c, const char *command,
                             const char *dir, const char *args)
{
    struct str rest = str_of(args), word;
    char *argv[64];
    int argc = 0;
    struct err e = ERR_INIT;

    c->table = command_find(command)->options;
    opt_init(&c->set, c->table, c->config);
    argv[argc++] = xstrdup(dir);
    while (str_split(&rest, ' ', &word))
        if (word.n)
            argv[argc++] = xstrndup(word);
    if (opt_argv(&c->set, argc, argv, &e) || opt_finish(&c->set, &e)) {
        fprintf(stderr, "%s\n", e.message);
        abort();
    }
    while (argc)
        free(argv[--argc]);
}

static inline void call_close(struct call *c)
{
    opt_release(&c->set);
}

static inline void must(int rc, const struct err *e)
{
    if (rc) {
        fprintf(stderr, "%d: %s\n", rc, e->message);
        abort();
    }
}

/* A corpus in a new folder; its list in the order given. */
static inline void corpus_of_list(struct corpus *c, const char *const *entries,
                                  size_t n, enum query_policy policy,
                                  uint64_t seed, uint32_t bits)
{
    struct query_candidates file = {0};
    struct query_list list = {0};
    struct query_list_config config = {.size = n, .policy = policy};
    char dir[] = "/tmp/witmill-chain-XXXXXX", path[64];
    struct err e = ERR_INIT;
    struct buf b;

    if (!mkdtemp(dir))
        abort();
    for (size_t i = 0; i < n; i++)
        query_candidates_add(&file, str_of(entries[i]))->synset = QUERY_NONE;
    config.sources[QUERY_FILE] = &file;
    must(query_list_build(&list, &config, &e), &e);
    buf_init(&b, 1 << 24);
    must(qlist_encode(&list, NULL, policy, seed, bits, &b, &e), &e);
    snprintf(path, sizeof path, "%s/queries.bin", dir);
    must(io_write_file(path, buf_str(&b), &e), &e);
    must(corpus_open(c, dir, &e), &e);
    buf_release(&b);
    query_list_release(&list);
    query_candidates_release(&file);
}

static inline void corpus_remove(const struct corpus *c)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %.100s", c->dir);
    if (system(command))
        abort();
}

static inline void corpus_shell(const struct corpus *c, const char *command)
{
    char all[1024];

    snprintf(all, sizeof all, "cd %.100s && %.900s", c->dir, command);
    if (system(all)) {
        fprintf(stderr, "%s\n", all);
        abort();
    }
}

static inline void corpus_write(const struct corpus *c, const char *name,
                                struct str bytes)
{
    char path[IO_PATH_MAX];
    struct err e = ERR_INIT;

    must(corpus_path(c, name, path, &e), &e);
    must(io_write_file(path, bytes, &e), &e);
}

/* All lines of a part, each with its newline, appended to out. */
static inline void corpus_lines(const struct corpus *c, const char *name,
                                struct buf *out)
{
    char path[IO_PATH_MAX];
    struct err e = ERR_INIT;
    struct jsonl_reader r;
    struct str line;
    bool more;

    must(corpus_path(c, name, path, &e), &e);
    must(jsonl_open(&r, path, &e), &e);
    for (;;) {
        must(jsonl_next(&r, &line, &more, &e), &e);
        if (!more)
            break;
        buf_add(out, line);
        buf_add_char(out, '\n');
    }
    jsonl_close(&r);
}

#endif
