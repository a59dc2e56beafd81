/* The scanner of plain lines against the reader of any JSON, which a space in
 * front of the line sends it to: both take the same lines and find the same in
 * them; what is plain is written as it stands, and what is written without a
 * backslash is plain. */
#include "base/pair.h"
#include "base/pair_scan.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_ids(const uint32_t *a, uint32_t n_a, const uint32_t *b,
                     uint32_t n_b)
{
    if (n_a != n_b || (n_a && memcmp(a, b, n_a * sizeof *a)))
        abort();
}

static void same(const struct pair *a, const struct pair *b)
{
    if (memcmp(a->uid, b->uid, MD5_SIZE) || !str_eq(a->url, b->url) ||
        !str_eq(a->text, b->text) || !str_eq(a->from, b->from) ||
        !str_eq(a->page, b->page) || !str_eq(a->origin, b->origin) ||
        !str_eq(a->list_uid, b->list_uid) || a->matched != b->matched ||
        a->selected != b->selected || a->s != b->s)
        abort();
    same_ids(a->q, a->n_q, b->q, b->n_q);
    same_ids(a->keep, a->n_keep, b->keep, b->n_keep);
}

static void put_back(const struct pair_scan *s, struct str ids, uint32_t n)
{
    uint32_t *v = malloc((n + 1) * sizeof *v);
    char *text = malloc((size_t)n * PAIR_ID_BYTES + 1);

    if (!v || !text)
        abort();
    pair_scan_ids(ids, v);
    if (!str_eq(str_make(text, pair_put_ids(v, n, text)), ids))
        abort();
    free(v);
    free(text);
    if (s->n_q != n && s->n_keep != n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = str_make((const char *)data, size);
    struct buf spaced, back;
    struct pair_scan s;
    struct pair any, p;
    struct str first;
    struct arena a;
    bool plain;
    int rc;

    buf_init(&spaced, 1 << 24);
    buf_init(&back, 1 << 24);
    arena_init(&a, 1 << 26);
    buf_add_char(&spaced, ' ');
    buf_add(&spaced, line);
    rc = pair_read(buf_str(&spaced), &a, &any, NULL);
    if (rc != pair_read(line, &a, &p, NULL))
        abort();
    if (rc == 0) {
        same(&any, &p);
        pair_write(&any, &back);
    }
    if (pair_scan(line, &s)) {
        if (rc || !str_eq(buf_str(&back), line) || s.base >= line.n)
            abort();
        put_back(&s, s.q, s.n_q);
        put_back(&s, s.keep, s.n_keep);
    }
    buf_clear(&spaced);
    buf_add(&spaced, str_slice(line, 0, str_find_char(line, '\n', 0)));
    plain = pair_scan(buf_str(&spaced), &s);
    buf_add_char(&spaced, '\n');
    if (plain != pair_scan_first(buf_str(&spaced), &first, &s) ||
        (plain && first.n + 1 != spaced.n))
        abort();
    if (rc == 0 && str_find_char(buf_str(&back), '\\', 0) == SIZE_MAX &&
        (any.selected || !any.keep) && !pair_scan(buf_str(&back), &s))
        abort();
    buf_release(&spaced);
    buf_release(&back);
    arena_release(&a);
    return 0;
}
