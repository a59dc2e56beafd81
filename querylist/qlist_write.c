#include "querylist/qlist.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "querylist/qlist_layout.h"
#include "querylist/trie_make.h"

struct encoder {
    struct buf strings;
    const struct query_list *list;
    struct err *e;
    int rc; /* sticky */
};

static void put(char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (char)(v >> (8 * i));
}

/* Append s to the strings and note it as (offset, bytes). */
static void put_string(struct encoder *x, struct str s, char *at, char *n)
{
    if (x->rc)
        return;
    if (s.n > UINT16_MAX || x->strings.n + s.n > UINT32_MAX) {
        x->rc = err_set(x->e, E_TOOBIG,
                        "the strings of the query list pass 4 GiB, or one of "
                        "them 64 KiB");
        return;
    }
    put(at, x->strings.n, 4);
    put(n, s.n, 2);
    buf_add(&x->strings, s);
}

static void put_entry(struct encoder *x, const struct query_entry *q, char *to)
{
    uint64_t bits;

    memcpy(&bits, &q->pmi, sizeof bits);
    put_string(x, q->text, to + ENTRY_TEXT_AT, to + ENTRY_TEXT_N);
    if (str_eq(q->norm, q->text)) {
        memcpy(to + ENTRY_NORM_AT, to + ENTRY_TEXT_AT, 4);
        memcpy(to + ENTRY_NORM_N, to + ENTRY_TEXT_N, 2);
    } else {
        put_string(x, q->norm, to + ENTRY_NORM_AT, to + ENTRY_NORM_N);
    }
    put(to + ENTRY_GROUP, q->group, 4);
    put(to + ENTRY_SOURCES, q->sources, 4);
    put(to + ENTRY_FLAGS, q->flags, 4);
    put(to + ENTRY_SYNSET, q->synset, 4);
    put(to + ENTRY_COUNT, q->count, 8);
    put(to + ENTRY_VIEWS, q->views, 8);
    put(to + ENTRY_PMI, bits, 8);
}

static void put_synset(struct encoder *x, const struct synset *s, char *to)
{
    put_string(x, s->id, to + SYNSET_ID_AT, to + SYNSET_ID_N);
    put_string(x, s->name, to + SYNSET_NAME_AT, to + SYNSET_NAME_N);
    put_string(x, s->gloss, to + SYNSET_GLOSS_AT, to + SYNSET_GLOSS_N);
    put(to + SYNSET_N_PARENTS, s->n_parents, 2);
    put(to + SYNSET_PARENTS, s->first_parent, 4);
    put(to + SYNSET_QUERY, strset_find(&x->list->texts, s->name), 4);
}

/* Begin section s at its place; its bytes are known. */
static char *begin(struct buf *out, size_t from, enum qlist_section s,
                   size_t bytes)
{
    char *to;

    while ((out->n - from) % QLIST_ALIGN)
        buf_add_char(out, 0);
    to = buf_reserve(out, bytes);
    if (!to)
        return NULL;
    memset(to, 0, bytes);
    put(out->p + from + QLIST_TABLE + 16 * s, out->n - from, 8);
    put(out->p + from + QLIST_TABLE + 16 * s + 8, bytes, 8);
    out->n += bytes;
    return to;
}

static void put_sections(struct encoder *x, const struct wordnet *w,
                         struct buf *out, size_t from)
{
    size_t n_synsets = w ? w->n : 0, n_parents = w ? w->n_parents : 0;
    char *entries = xcalloc(x->list->n + 1, ENTRY_SIZE);
    char *synsets = xcalloc(n_synsets + 1, SYNSET_SIZE), *to;

    for (size_t i = 0; i < x->list->n; i++)
        put_entry(x, &x->list->v[i], entries + i * ENTRY_SIZE);
    for (size_t i = 0; i < n_synsets; i++)
        put_synset(x, &w->synsets[i], synsets + i * SYNSET_SIZE);
    if (x->strings.rc && !x->rc)
        x->rc = err_set(x->e, -x->strings.rc, "strings of the query list");
    if (x->rc)
        goto out;
    to = begin(out, from, QLIST_ENTRIES, x->list->n * ENTRY_SIZE);
    if (to)
        memcpy(to, entries, x->list->n * ENTRY_SIZE);
    to = begin(out, from, QLIST_STRINGS, x->strings.n);
    if (to && x->strings.n)
        memcpy(to, x->strings.p, x->strings.n);
    to = begin(out, from, QLIST_SYNSETS, n_synsets * SYNSET_SIZE);
    if (to)
        memcpy(to, synsets, n_synsets * SYNSET_SIZE);
    to = begin(out, from, QLIST_PARENTS, n_parents * PARENT_SIZE);
    for (size_t i = 0; to && i < n_parents; i++)
        put(to + i * PARENT_SIZE, w->parents[i], 4);
out:
    free(entries);
    free(synsets);
}

/* The match table: a norm once, by its group. */
static void put_trie(struct encoder *x, struct buf *out, size_t from)
{
    struct str sections[TRIE_SECTIONS];
    struct trie_maker m;
    char *to;
    int rc = 0;

    if (x->rc)
        return;
    trie_maker_init(&m);
    for (size_t i = 0; !rc && i < x->list->n; i++)
        if (x->list->v[i].group == i)
            rc = trie_maker_add(&m, x->list->v[i].norm, (uint32_t)i);
    if (!rc)
        rc = trie_maker_finish(&m, sections);
    for (int s = 0; !rc && s < TRIE_SECTIONS; s++) {
        to = begin(out, from, QLIST_TRIE + s, sections[s].n);
        if (to)
            memcpy(to, sections[s].p, sections[s].n);
    }
    trie_maker_release(&m);
    if (rc)
        x->rc = err_set(x->e, -rc, "the match table of the query list");
}

int qlist_encode(const struct query_list *l, const struct wordnet *w,
                 enum query_policy policy, uint64_t seed, uint32_t bucket_bits,
                 struct buf *out, struct err *e)
{
    struct encoder x = {.list = l, .e = e};
    struct corpus_header head = {
        .version = CORPUS_VERSION,
        .policy = policy,
        .seed = seed,
        .bucket_bits = bucket_bits,
        .n_queries = (uint32_t)l->n,
        .n_groups = l->n_groups,
    };
    size_t from = out->n;
    char *to;

    buf_init(&x.strings, UINT32_MAX);
    to = buf_reserve(out, CORPUS_HEADER_SIZE + QLIST_TABLE_SIZE);
    if (to) {
        memset(to, 0, CORPUS_HEADER_SIZE + QLIST_TABLE_SIZE);
        out->n += CORPUS_HEADER_SIZE + QLIST_TABLE_SIZE;
        put_sections(&x, w, out, from);
        put_trie(&x, out, from);
    }
    buf_release(&x.strings);
    if (!x.rc && out->rc)
        x.rc = err_set(e, -out->rc, "the compiled query list");
    if (x.rc)
        return x.rc;
    head.file_size = out->n - from;
    head.body_xxh3 =
        hash_xxh3(str_slice(buf_str(out), from + CORPUS_HEADER_SIZE, out->n));
    corpus_header_write(&head, out->p + from);
    return 0;
}
