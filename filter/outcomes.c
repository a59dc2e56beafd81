#include "filter/outcomes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/mem.h"

#define RECORD_ARENA_MAX ((size_t)4 << 20)

/* "GGG-RR..." of a file in images/. */
static bool parse_name(const char *name, unsigned *pass)
{
    struct str s = str_of(name);
    uint64_t group, rr;

    if (s.n < 6 || s.p[3] != '-' || str_u64(str_slice(s, 0, 3), &group) ||
        str_u64(str_slice(s, 4, 6), &rr))
        return false;
    *pass = (unsigned)rr;
    return true;
}

int outcomes_passes(const struct corpus *c, unsigned *passes, struct err *e)
{
    char path[IO_PATH_MAX];
    struct err inner = ERR_INIT;
    struct io_list names;
    int rc = corpus_path(c, "images", path, e);

    *passes = 0;
    if (rc)
        return rc;
    rc = io_list(path, &names, &inner);
    if (rc == -E_NOTFOUND)
        return 0;
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    for (size_t i = 0; i < names.n; i++) {
        unsigned pass;

        if (parse_name(names.names[i], &pass) && pass >= *passes)
            *passes = pass + 1;
    }
    io_list_release(&names);
    return 0;
}

static int read_ledger(struct outcomes *o, const struct corpus *c,
                       const char *name, struct err *e)
{
    char file[STAGE_NAME_MAX], path[IO_PATH_MAX];
    struct jsonl_reader r;
    struct arena arena;
    struct str line;
    bool more;
    int rc;

    snprintf(file, sizeof file, "images/%s.ledger.jsonl.zst", name);
    rc = corpus_path(c, file, path, e);
    if (rc)
        return rc;
    arena_init(&arena, RECORD_ARENA_MAX);
    rc = jsonl_open(&r, path, e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct ledger l;

        arena_reset(&arena);
        rc = ledger_read(line, &arena, &l, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s: line %llu", path,
                          (unsigned long long)r.line);
            break;
        }
        o->v = xgrow(o->v, &o->cap, o->n + 1, sizeof *o->v);
        hash_md5_2(l.url, STR_NONE, o->v[o->n].key);
        o->v[o->n++].image = l.outcome == LEDGER_IMAGE;
    }
    jsonl_close(&r);
    arena_release(&arena);
    return rc;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, MD5_SIZE);
}

int outcomes_read(struct outcomes *o, const struct corpus *c, unsigned passes,
                  struct stage_inputs *in, struct err *e)
{
    struct io_list names;
    int rc = sidecar_list(c, "images", &names, e);

    *o = (struct outcomes){0};
    for (size_t i = 0; !rc && i < names.n; i++) {
        char output[STAGE_NAME_MAX];
        unsigned pass;

        if (!parse_name(names.names[i], &pass) || pass >= passes)
            continue;
        snprintf(output, sizeof output, "images/%s", names.names[i]);
        rc = read_ledger(o, c, names.names[i], e);
        if (!rc && in)
            rc = stage_inputs_add_output(in, c, output, "download", e);
    }
    io_list_release(&names);
    if (o->n)
        qsort(o->v, o->n, sizeof *o->v, by_key);
    return rc;
}

void outcomes_release(struct outcomes *o)
{
    free(o->v);
    *o = (struct outcomes){0};
}

bool outcomes_find(const struct outcomes *o, struct str url, bool *image)
{
    struct outcome key, *hit;

    hash_md5_2(url, STR_NONE, key.key);
    hit = o->n ? bsearch(&key, o->v, o->n, sizeof *o->v, by_key) : NULL;
    if (hit)
        *image = hit->image;
    return hit != NULL;
}
