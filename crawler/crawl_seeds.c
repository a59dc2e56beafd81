#include "crawler/crawl_seeds.h"
#include "base/mem.h"
#include "base/stream.h"
#include "base/url.h"
#include <stdlib.h>

#define LINE_MAX_BYTES (64u << 10)

/* where: "FILE:LINE: " or "". */
static int add(struct crawl_seeds *s, struct str text, const char *where,
               struct err *e)
{
    struct buf url;
    enum url_reason reason;
    int rc = 0;

    buf_init(&url, BUF_NO_LIMIT);
    reason = url_resolve(STR_NONE, text, &url);
    if (reason != URL_OK) {
        rc = err_set(e, E_USAGE,
                     "%sseed \"%.*s\" is no URL (%s); expected something "
                     "like https://example.org/",
                     where, (int)(text.n < 200 ? text.n : 200),
                     text.p ? text.p : "", url_reason_name(reason));
    } else {
        s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof *s->v);
        s->v[s->n++] = xstrndup(buf_str(&url));
    }
    buf_release(&url);
    return rc;
}

static int read_file(struct crawl_seeds *s, const char *file, struct err *e)
{
    struct stream *in;
    struct lines lines;
    struct str line;
    bool more;
    int rc = stream_open(&in, file, e);

    if (rc)
        return rc;
    lines_init(&lines, in, LINE_MAX_BYTES);
    while (!(rc = lines_next(&lines, &line, &more, e)) && more) {
        char *where;

        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        where = xasprintf("%s:%llu: ", file, (unsigned long long)lines.number);
        rc = add(s, line, where, e);
        free(where);
        if (rc)
            break;
    }
    if (!rc && lines.too_long)
        rc = err_set(e, E_USAGE, "%s: a line is longer than %u bytes", file,
                     LINE_MAX_BYTES);
    lines_release(&lines);
    stream_close(in);
    return rc;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct crawl_seeds *s)
{
    struct sha256 hash;
    size_t n = 0;

    qsort(s->v, s->n, sizeof *s->v, compare);
    for (size_t i = 0; i < s->n; i++) {
        if (n && !strcmp(s->v[n - 1], s->v[i]))
            free(s->v[i]);
        else
            s->v[n++] = s->v[i];
    }
    s->n = n;
    sha256_init(&hash);
    for (size_t i = 0; i < n; i++) {
        sha256_add(&hash, str_of(s->v[i]));
        sha256_add(&hash, STR("\n"));
    }
    sha256_final_hex(&hash, s->sha256);
}

int crawl_seeds_read(struct crawl_seeds *s, const char *const *given, size_t n,
                     const char *file, struct err *e)
{
    int rc = 0;

    *s = (struct crawl_seeds){0};
    for (size_t i = 0; !rc && i < n; i++)
        rc = add(s, str_of(given[i]), "", e);
    if (!rc && file)
        rc = read_file(s, file, e);
    if (!rc && s->n == 0)
        rc = err_set(e, E_USAGE, "no seeds: give --seed URL or --seeds FILE");
    if (!rc)
        sort(s);
    return rc;
}

void crawl_seeds_release(struct crawl_seeds *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct crawl_seeds){0};
}
