#include "tools/match_stdin.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "filter/matcher.h"

#define READ_SIZE (256u << 10) /* bytes */

struct ask {
    struct qlist list;
    struct matcher matcher;
    struct matcher_batch batch;
    uint32_t *next; /* by id: the next entry of its group, or QUERY_NONE */
    int rc[MATCHER_BATCH]; /* of each line waiting: its error, or 0 */
    size_t waiting;        /* lines; those without error are in batch */
    struct buf in, out;
    bool too_long; /* the rest of the line is passed over */
};

static int open_ask(struct ask *a, const struct corpus *c, struct err *e)
{
    char path[IO_PATH_MAX];
    uint32_t n, *last;
    int rc = corpus_path(c, QLIST_FILE, path, e);

    *a = (struct ask){0};
    buf_init(&a->in, BUF_NO_LIMIT);
    buf_init(&a->out, BUF_NO_LIMIT);
    matcher_batch_init(&a->batch);
    if (!rc)
        rc = qlist_open(&a->list, path, e);
    if (rc)
        return rc;
    matcher_open(&a->matcher, &a->list);
    n = qlist_count(&a->list);
    a->next = xcalloc(n + (size_t)1, sizeof *a->next);
    last = xcalloc(n + (size_t)1, sizeof *last);
    for (uint32_t id = 0; id < n; id++) {
        uint32_t group = qlist_group(&a->list, id);

        a->next[id] = QUERY_NONE;
        if (group == QUERY_NONE)
            continue;
        if (group != id)
            a->next[last[group]] = id;
        last[group] = id;
    }
    free(last);
    return 0;
}

static void close_ask(struct ask *a)
{
    matcher_batch_release(&a->batch);
    qlist_close(&a->list);
    buf_release(&a->in);
    buf_release(&a->out);
    free(a->next);
}

/* ---- answers ---- */

static void put_ids(struct ask *a, struct json_out *o, const uint32_t *ids,
                    size_t n)
{
    json_out_name(o, "q");
    json_out_array(o);
    for (size_t i = 0; i < n; i++)
        json_out_u64(o, ids[i]);
    json_out_end_array(o);
    json_out_name(o, "queries");
    json_out_array(o);
    for (size_t i = 0; i < n; i++)
        for (uint32_t id = ids[i]; id != QUERY_NONE; id = a->next[id]) {
            json_out_object(o);
            json_put_u64(o, "id", id);
            json_put_string(o, "text", qlist_text(&a->list, id));
            json_put_u64(o, "group", ids[i]);
            json_out_end_object(o);
        }
    json_out_end_array(o);
}

/* Lines waiting get their answers. */
static void answer(struct ask *a)
{
    size_t text = 0;

    matcher_batch_find(&a->matcher, &a->batch);
    for (size_t i = 0; i < a->waiting; i++) {
        struct json_out o;

        json_out_init(&o, &a->out);
        json_out_object(&o);
        if (a->rc[i]) {
            json_put_string(&o, "error", str_of(err_name(a->rc[i])));
        } else {
            size_t n;
            const uint32_t *ids = matcher_batch_ids(&a->batch, text++, &n);

            put_ids(a, &o, ids, n);
        }
        json_out_end_object(&o);
        buf_add_char(&a->out, '\n');
    }
    a->waiting = 0;
    matcher_batch_clear(&a->batch);
}

static void wait_for(struct ask *a, int rc)
{
    a->rc[a->waiting++] = rc;
    if (a->waiting == MATCHER_BATCH)
        answer(a);
}

static void take_line(struct ask *a, struct str line)
{
    int rc = a->too_long || line.n > MATCH_STDIN_LINE_MAX ? -E_TOOBIG : 0;

    a->too_long = false;
    if (!rc)
        rc = matcher_batch_cut(&a->matcher, &a->batch, line, NULL, NULL);
    if (!rc)
        matcher_batch_add(&a->batch);
    wait_for(a, rc);
}

static int write_out(struct ask *a, int out, struct err *e)
{
    int rc = a->out.rc ? err_set(e, -a->out.rc, "answers")
                       : io_write_full(out, a->out.p ? a->out.p : "", a->out.n,
                                       "standard output", e);

    buf_clear(&a->out);
    return rc;
}

/* The whole lines of what has been read; the rest moves to the front. */
static int take_lines(struct ask *a, int out, struct err *e)
{
    struct str rest = buf_str(&a->in);
    int rc = 0;

    while (!rc && rest.n) {
        const char *end = memchr(rest.p, '\n', rest.n);

        if (!end)
            break;
        take_line(a, str_make(rest.p, (size_t)(end - rest.p)));
        rest = str_make(end + 1, rest.n - (size_t)(end + 1 - rest.p));
        if (a->out.n > READ_SIZE)
            rc = write_out(a, out, e);
    }
    if (rest.n > MATCH_STDIN_LINE_MAX) {
        a->too_long = true;
        rest.n = 0;
    }
    if (rest.n)
        memmove(a->in.p, rest.p, rest.n);
    a->in.n = rest.n;
    if (a->waiting)
        answer(a);
    return rc ? rc : write_out(a, out, e);
}

int match_stdin(const struct corpus *c, int in, int out, struct err *e)
{
    struct ask a;
    ssize_t got = 1;
    int rc = open_ask(&a, c, e);

    while (!rc && got) {
        char *to = buf_reserve(&a.in, READ_SIZE);

        if (!to) {
            rc = err_set(e, -a.in.rc, "a line");
            break;
        }
        got = read(in, to, READ_SIZE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = err_errno(e, E_IO, "read", "standard input");
            break;
        }
        a.in.n += (size_t)got;
        if (!got && (a.in.n || a.too_long))
            buf_add_char(&a.in, '\n'); /* the last line may lack it */
        rc = take_lines(&a, out, e);
    }
    close_ask(&a);
    return rc;
}
