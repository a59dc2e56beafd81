#include "train/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/workq.h"

#define THREADS_MAX 64

static const char *const endings[] = {
    [INDEX_TXT] = ".idx", [INDEX_JSON] = ".json.idx"};

static uint64_t written_ns(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000000000u +
           (uint64_t)st->st_mtim.tv_nsec;
}

/* ---- which tars ---- */

static void add_shard(struct source *s, size_t *cap, const char *path)
{
    s->shards = xgrow(s->shards, cap, s->n_shards + 1, sizeof *s->shards);
    s->shards[s->n_shards++] = (struct source_shard){.path = xstrdup(path)};
}

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int list_folder(struct source *s, struct err *e)
{
    char path[IO_PATH_MAX];
    struct io_list l;
    size_t cap = 0;
    int rc = io_list(s->folder, &l, e);

    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < l.n; i++) {
        if (!str_ends(str_of(l.names[i]), STR(".tar")))
            continue;
        rc = s->n_shards == SOURCE_SHARDS_MAX
                 ? err_set(e, E_TOOBIG, "%s: more than %zu tars", s->folder,
                           SOURCE_SHARDS_MAX)
                 : io_join(path, s->folder, l.names[i], e);
        if (!rc)
            add_shard(s, &cap, path);
    }
    io_list_release(&l);
    if (!rc && !s->n_shards)
        rc = err_set(e, E_NOTFOUND, "%s: no .tar in this folder", s->folder);
    return rc;
}

/* A name may hold an @; where there is no such file, and tars end otherwise, it
 * was meant to be a weight. */
static int check_weight(const char *name, struct err *e)
{
    const char *at = strrchr(name, '@');

    if (!at || strpbrk(at, "/}") || str_ends(str_of(at), STR(".tar")))
        return 0;
    return err_set(e, E_USAGE, "data %s: no such file, and \"%s\" is no weight",
                   name, at + 1);
}

static int list_names(struct source *s, struct err *e)
{
    size_t n, cap = 0;
    char **names;
    int rc = check_weight(s->name, e);

    if (!rc)
        rc = source_expand(str_of(s->name), &names, &n, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        add_shard(s, &cap, names[i]);
        free(names[i]);
    }
    free(names);
    return 0;
}

/* A corpus, a folder, or names; a file whose name has braces is that file. */
static int list(struct source *s, struct err *e)
{
    char path[IO_PATH_MAX];
    size_t cap = 0;

    if (is_folder(s->name)) {
        int rc = io_join(path, s->name, "shards", e);

        if (rc)
            return rc;
        s->folder = xstrdup(is_folder(path) ? path : s->name);
        return list_folder(s, e);
    }
    if (io_exists(s->name)) {
        add_shard(s, &cap, s->name);
        return 0;
    }
    return list_names(s, e);
}

/* ---- indexes ---- */

static bool is_fresh(const struct source_shard *t, const struct index_head *h)
{
    return h->tar_size == t->tar_size && (!h->tar_ns || h->tar_ns == t->tar_ns);
}

static bool look_at_index(const struct source *s, struct source_shard *t,
                          bool cached)
{
    char path[IO_PATH_MAX];
    struct index_head h;

    if (source_beside(s, (size_t)(t - s->shards), endings[s->text], cached,
                      path, NULL) ||
        index_read_head(&h, path, NULL) || !is_fresh(t, &h))
        return false;
    t->n = h.n;
    t->left_out = h.left_out;
    t->check = h.check;
    t->cached = cached;
    return true;
}

/* False also for one that cannot be read: it is made anew. */
static bool have_index(const struct source *s, size_t i)
{
    struct source_shard *t = &s->shards[i];

    return look_at_index(s, t, false) || look_at_index(s, t, true);
}

/* The file is ours while it is open, so it comes first. */
static int make_index(const struct source *s, size_t i, struct io_file *f,
                      struct err *e)
{
    const struct source_shard *t = &s->shards[i];
    struct tally skipped;
    struct buf b;
    uint64_t left_out;
    int rc;

    buf_init(&b, (size_t)INDEX_FILE_MAX);
    tally_init(&skipped);
    rc = index_of_tar(t->path, s->text, &b, &skipped, e);
    if (!rc) {
        left_out = tally_get(&skipped, "no-image") +
                   tally_get(&skipped, "no-text") +
                   tally_get(&skipped, "too-large");
        index_put_origin(&b, t->tar_ns, left_out);
        rc = io_file_write(f, buf_str(&b), e);
    }
    if (rc)
        io_file_abandon(f);
    else
        rc = io_file_publish(f, e);
    tally_release(&skipped);
    buf_release(&b);
    return rc;
}

struct item {
    size_t shard;
    bool made;
};

struct looked {
    const struct source *s;
    size_t shard;
};

static bool found_index(void *ctx)
{
    const struct looked *l = ctx;

    return have_index(l->s, l->shard);
}

/* Where a tar's index is to be made.  Other programs keep indexes of their own
 * under such names (NVIDIA DALI's wds2idx): those stay. */
static int index_place(const struct source *s, size_t i, char path[],
                       struct err *e)
{
    const char *ending = endings[s->text];
    struct index_head h;
    uint64_t size;
    bool cached;
    int rc = source_writable(s, i, &cached, e);

    if (!rc)
        rc = source_beside(s, i, ending, cached, path, e);
    if (rc || cached || index_read_head(&h, path, NULL) != -E_FORMAT ||
        io_size(path, &size, NULL) || !size)
        return rc;
    if (!source_has_cache(s))
        return err_set(e, E_USAGE,
                       "%s is no index of ours, and stays: name a folder for "
                       "indexes (--cache DIR), or remove it",
                       path);
    return source_beside(s, i, ending, true, path, e);
}

static int index_shard(void *ctx, void *item, struct err *e)
{
    const struct source *s = ctx;
    struct item *m = item;
    struct looked l = {s, m->shard};
    char path[IO_PATH_MAX];
    struct io_file f;
    bool there = false;
    int rc = source_look(s, m->shard, e);

    m->made = false;
    if (rc || have_index(s, m->shard))
        return rc;
    rc = index_place(s, m->shard, path, e);
    if (!rc)
        rc = source_make(&f, path, found_index, &l, &there, e);
    if (rc || there)
        return rc;
    rc = make_index(s, m->shard, &f, e);
    m->made = !rc;
    if (!rc && !have_index(s, m->shard))
        rc = err_set(e, E_IO, "%s: changed while its index was made",
                     s->shards[m->shard].path);
    return rc;
}

struct walk {
    struct source *s;
    size_t next;
    bool speaks; /* indexes are being made, which takes a while */
    struct progress progress;
};

static int walk_produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct walk *w = ctx;
    struct item *m = item;

    (void)e;
    *more = w->next < w->s->n_shards;
    if (*more)
        m->shard = w->next++;
    return 0;
}

static int walk_work(void *ctx, void *item, struct err *e)
{
    const struct walk *w = ctx;

    return index_shard(w->s, item, e);
}

static int walk_consume(void *ctx, void *item, struct err *e)
{
    struct walk *w = ctx;
    const struct item *m = item;
    const struct source_shard *t = &w->s->shards[m->shard];

    (void)e;
    w->s->n += t->n;
    w->s->left_out += t->left_out;
    w->s->made += m->made;
    if (m->made && !w->speaks) {
        w->speaks = true;
        progress_begin(&w->progress, "index", "tars",
                       w->s->n_shards - m->shard);
    }
    if (w->speaks)
        progress_add(&w->progress, 1);
    return 0;
}

/* Nobody asked for that place: say where things are. */
static void tell_cached(const struct source *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_shards; i++)
        n += s->shards[i].cached;
    if (n)
        log_event("index",
                  "%s: no place for %zu indexes beside their tars; they lie in "
                  "%s (--cache DIR for another folder)",
                  s->name, n, s->cache);
}

static int index_all(struct source *s, unsigned threads, struct err *e)
{
    static const struct workq_ops ops = {walk_produce, walk_work, walk_consume};
    struct item items[2 * THREADS_MAX];
    struct walk w = {.s = s};
    long here = sysconf(_SC_NPROCESSORS_ONLN);
    int rc;

    if (!threads)
        threads = here > 0 ? (unsigned)here : 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    memset(items, 0, sizeof items);
    rc = workq_run(&ops, &w, items, sizeof *items, 2 * threads, threads, e);
    if (w.speaks)
        progress_end(&w.progress, rc);
    if (!rc && s->users)
        tell_cached(s);
    return rc;
}

/* ---- a source ---- */

static int look_first(struct source *s, size_t i, struct err *e)
{
    struct source_shard *t = &s->shards[i];
    struct stat st;

    if (stat(t->path, &st))
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "read",
                         t->path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_FORMAT, "%s is no tar: not a file", t->path);
    if (!st.st_size)
        return err_set(e, E_FORMAT, "%s is no tar: it is empty", t->path);
    t->tar_size = (uint64_t)st.st_size;
    t->tar_ns = written_ns(&st);
    return 0;
}

int source_open(struct source *s, struct str spec,
                const struct source_options *o, struct err *e)
{
    struct source_spec read;
    int rc = source_spec_read(spec, &read, e);

    *s = (struct source){.text = o->text};
    if (rc)
        return rc;
    s->name = xstrndup(read.path);
    s->users = !o->cache;
    s->cache = o->cache ? xstrdup(o->cache) : source_users_cache();
    s->weight = read.weight;
    if (o->cache)
        rc = io_mkdirs(s->cache, e);
    if (!rc)
        rc = list(s, e);
    for (size_t i = 0; !rc && i < s->n_shards; i++)
        rc = look_first(s, i, e);
    if (!rc)
        rc = index_all(s, o->threads, e);
    if (!rc && !s->n)
        rc = err_set(e, E_FORMAT,
                     "%s: no sample with a picture and %s in %zu tar%s%s",
                     s->name, s->text == INDEX_TXT ? "a .txt" : "a .json",
                     s->n_shards, s->n_shards == 1 ? "" : "s",
                     s->text == INDEX_TXT
                         ? " (where captions stand in .json: --caption-key)"
                         : "");
    if (rc)
        source_close(s);
    return rc;
}

void source_close(struct source *s)
{
    for (size_t i = 0; i < s->n_shards; i++)
        free(s->shards[i].path);
    free(s->shards);
    free(s->name);
    free(s->folder);
    free(s->cache);
    *s = (struct source){0};
}

/* ---- later ---- */

static int same(const struct source_shard *t, const struct stat *st,
                struct err *e)
{
    if ((uint64_t)st->st_size == t->tar_size && written_ns(st) == t->tar_ns)
        return 0;
    return err_set(
        e, E_IO, "%s changed since the start: it has %lld bytes, not %llu%s",
        t->path, (long long)st->st_size, (unsigned long long)t->tar_size,
        (uint64_t)st->st_size == t->tar_size ? ", but was written since" : "");
}

int source_look(const struct source *s, size_t shard, struct err *e)
{
    const struct source_shard *t = &s->shards[shard];
    struct stat st;

    if (stat(t->path, &st))
        return err_errno(e, E_IO, "read", t->path);
    return same(t, &st, e);
}

int source_shard_open(const struct source *s, size_t shard, int *fd,
                      struct index *x, struct err *e)
{
    const struct source_shard *t = &s->shards[shard];
    char path[IO_PATH_MAX];
    struct stat st;
    int rc;

    *x = (struct index){0};
    *fd = open(t->path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return err_errno(e, E_IO, "open", t->path);
    rc = fstat(*fd, &st) ? err_errno(e, E_IO, "look at", t->path)
                         : same(t, &st, e);
    if (!rc)
        rc = source_beside(s, shard, endings[s->text], t->cached, path, e);
    if (!rc) {
        rc = index_read(x, path, e);
        if (rc == -E_DAMAGED)
            err_wrap(e, rc, "remove this index, and it is made anew");
    }
    if (!rc && (x->n != t->n || x->tar_size != t->tar_size))
        rc = err_set(e, E_IO, "%s changed since the start", path);
    if (rc) {
        index_release(x);
        close(*fd);
        *fd = -1;
        rc = rc == -E_NOTFOUND || rc == -E_FORMAT ? -E_IO : rc;
    }
    return rc;
}
