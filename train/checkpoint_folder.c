#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "train/checkpoint.h"

#define PREFIX "step-"
#define TMP    ".tmp"      /* being made */
#define GONE   ".gone.tmp" /* being removed */

int checkpoint_path(char *out, const char *folder, uint64_t step,
                    const char *suffix, struct err *e)
{
    char name[64];

    snprintf(name, sizeof name, PREFIX "%09llu%s", (unsigned long long)step,
             suffix);
    return io_join(out, folder, name, e);
}

/* ---- folders whole ---- */

/* Empty where there is no folder. */
static int list_any(const char *folder, struct io_list *l, struct err *e)
{
    struct err why = ERR_INIT;
    int rc = io_list(folder, l, &why);

    return !rc || rc == -E_NOTFOUND ? 0 : err_set(e, -rc, "%s", why.message);
}

int checkpoint_remove(const char *path, struct err *e)
{
    char file[IO_PATH_MAX];
    struct io_list list;
    int rc = list_any(path, &list, e);

    for (size_t i = 0; i < list.n && !rc; i++) {
        rc = io_join(file, path, list.names[i], e);
        if (!rc)
            rc = io_remove(file, e);
    }
    io_list_release(&list);
    if (!rc && rmdir(path) && errno != ENOENT)
        rc = err_errno(e, E_IO, "remove", path);
    return rc;
}

/* Under its name no more, then gone. */
static int retire(const char *path, struct err *e)
{
    char gone[IO_PATH_MAX];
    int n = snprintf(gone, sizeof gone, "%s" GONE, path), rc;

    if (n < 0 || (size_t)n >= sizeof gone)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    rc = checkpoint_remove(gone, e);
    if (rc)
        return rc;
    if (rename(path, gone))
        return errno == ENOENT ? 0 : err_errno(e, E_IO, "remove", path);
    rc = io_sync_parent(path, e);
    return rc ? rc : checkpoint_remove(gone, e);
}

int checkpoint_publish(const char *from, const char *to, struct err *e)
{
    int rc = io_sync_folder(from, e);

    if (!rc)
        rc = retire(to, e);
    if (!rc && rename(from, to))
        rc = err_errno(e, E_IO, "publish", to);
    return rc ? rc : io_sync_parent(to, e);
}

/* ---- a run's checkpoints ---- */

struct steps {
    uint64_t *list; /* ascending */
    size_t n;
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Exactly as checkpoint_path() would write it. */
static bool is_step(const char *name, uint64_t *step)
{
    char again[64];
    struct str s = str_of(name);

    if (!str_starts(s, STR(PREFIX)) ||
        str_u64(str_slice(s, sizeof PREFIX - 1, s.n), step))
        return false;
    snprintf(again, sizeof again, PREFIX "%09llu", (unsigned long long)*step);
    return !strcmp(again, name);
}

/* None where there is no folder. */
static int list_steps(struct steps *s, const char *folder, struct err *e)
{
    struct io_list list;
    int rc = list_any(folder, &list, e);

    *s = (struct steps){NULL, 0};
    if (rc)
        return rc;
    s->list = xcalloc(list.n + 1, sizeof *s->list);
    for (size_t i = 0; i < list.n; i++)
        if (is_step(list.names[i], &s->list[s->n]))
            s->n++;
    io_list_release(&list);
    qsort(s->list, s->n, sizeof *s->list, by_number);
    return 0;
}

/* ---- what was left behind ---- */

/* Half made or half removed, by us: the names of others' things stay. */
static bool is_left(const char *folder, struct str name, char *path)
{
    const char *ending = str_ends(name, STR(GONE)) ? GONE : TMP;
    char plain[64];
    uint64_t step;
    struct stat st;

    if (!str_ends(name, str_of(ending)) || name.n >= sizeof plain)
        return false;
    name.n -= strlen(ending);
    memcpy(plain, name.p, name.n);
    plain[name.n] = 0;
    return is_step(plain, &step) &&
           !checkpoint_path(path, folder, step, ending, NULL) &&
           !lstat(path, &st) && S_ISDIR(st.st_mode);
}

int checkpoint_sweep(const char *folder, struct err *e)
{
    char path[IO_PATH_MAX];
    struct io_list list;
    int rc = list_any(folder, &list, e);

    for (size_t i = 0; i < list.n && !rc; i++)
        if (is_left(folder, str_of(list.names[i]), path))
            rc = checkpoint_remove(path, e);
    io_list_release(&list);
    return rc;
}

/* ---- which one to go on from ---- */

/* checkpoint.json of a step; path is that of its folder then. */
static int read_meta(const char *folder, uint64_t step, char *path,
                     struct checkpoint_meta *m, struct err *e)
{
    char file[IO_PATH_MAX];
    struct buf text;
    int rc = checkpoint_path(path, folder, step, "", e);

    memset(m, 0, sizeof *m);
    if (!rc)
        rc = io_join(file, path, CHECKPOINT_META, e);
    if (rc)
        return rc;
    buf_init(&text, CHECKPOINT_META_MAX);
    rc = io_read_file(file, &text, e);
    if (!rc)
        rc = checkpoint_meta_parse(m, buf_str(&text), file, true, e);
    m->text = text; /* moved: what m says points into it */
    if (!rc && m->state.step != step)
        rc = err_set(e, E_DAMAGED, "%s: is of step %llu", file,
                     (unsigned long long)m->state.step);
    return rc;
}

/* Sizes and checksums of its files. */
static int check_files(const char *path, const struct checkpoint_meta *m,
                       struct err *e)
{
    char file[IO_PATH_MAX], hex[SHA256_HEX];
    uint64_t size;
    int rc = 0;

    for (size_t i = 0; i < m->n && !rc; i++) {
        const struct checkpoint_file *f = &m->files[i];

        rc = io_join(file, path, f->name, e);
        if (!rc)
            rc = io_size(file, &size, e);
        if (!rc && size != f->bytes)
            rc =
                err_set(e, E_DAMAGED, "%s: %llu bytes, not %llu", file,
                        (unsigned long long)size, (unsigned long long)f->bytes);
        if (!rc)
            rc = io_sha256_file(file, hex, e);
        if (!rc && strcmp(hex, f->sha256))
            rc = err_set(e, E_DAMAGED,
                         "%s: its bytes have the SHA-256 %s, not %s", file, hex,
                         f->sha256);
    }
    return rc;
}

/* Place in s of the one to try first: the last, or the best that can be read;
 * s->n for none. */
static size_t first_choice(const struct steps *s, const char *folder,
                           enum checkpoint_which which)
{
    size_t best = s->n ? s->n - 1 : 0;
    bool has = false;
    double most = 0;

    for (size_t i = 0; which == CHECKPOINT_BEST && i < s->n; i++) {
        struct checkpoint_meta m;
        char path[IO_PATH_MAX];

        /* of two as good the earlier: it is what a later one did not beat */
        if (!read_meta(folder, s->list[i], path, &m, NULL) &&
            m.state.has_metric && (!has || m.state.metric > most)) {
            has = true;
            most = m.state.metric;
            best = i;
        }
        checkpoint_meta_release(&m);
    }
    return best;
}

/* Passed over for damage, but not what a later witmill wrote. */
static bool is_damage(int rc)
{
    return rc == -E_DAMAGED || rc == -E_NOTFOUND || rc == -E_FORMAT ||
           rc == -E_RANGE || rc == -E_TOOBIG;
}

static int find_whole(const struct steps *s, const char *folder,
                      enum checkpoint_which which, char *path,
                      struct checkpoint_meta *m, struct err *e)
{
    size_t i = first_choice(s, folder, which);
    struct err why;

    for (;;) {
        int rc;

        why = (struct err)ERR_INIT;
        rc = read_meta(folder, s->list[i], path, m, &why);
        if (!rc)
            rc = check_files(path, m, &why);
        if (!rc)
            return 0;
        checkpoint_meta_release(m);
        memset(m, 0, sizeof *m);
        if (!is_damage(rc))
            return err_set(e, -rc, "%s", why.message);
        if (which == CHECKPOINT_BEST || i == 0)
            return err_set(e, E_DAMAGED, "%s; no checkpoint before it is whole",
                           why.message);
        i--;
        log_event("warning",
                  "%s; the checkpoint is damaged: going back to step %llu",
                  why.message, (unsigned long long)s->list[i]);
    }
}

int checkpoint_find(const char *folder, enum checkpoint_which which, char *path,
                    struct checkpoint_meta *m, struct err *e)
{
    struct steps s;
    int rc = list_steps(&s, folder, e);

    memset(m, 0, sizeof *m);
    if (!rc && !s.n)
        rc = err_set(e, E_NOTFOUND, "%s: no checkpoint", folder);
    if (!rc)
        rc = find_whole(&s, folder, which, path, m, e);
    free(s.list);
    return rc;
}

static int find_in_run(const char *folder, enum checkpoint_which which,
                       char *out, struct err *e)
{
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX];
    int rc = checkpoint_find(folder, which, path, &meta, e);

    checkpoint_meta_release(&meta);
    if (rc == -E_NOTFOUND)
        return err_wrap(e, rc, "%s: neither weights nor a run's checkpoints",
                        folder);
    return rc ? rc : io_join(out, path, CHECKPOINT_MODEL, e);
}

int checkpoint_find_weights(const char *path, enum checkpoint_which which,
                            char *out, struct err *e)
{
    static const char *const names[] = {CHECKPOINT_MODEL,
                                        "open_clip_model.safetensors"};
    struct stat st;

    if (stat(path, &st))
        return err_errno(e, E_NOTFOUND, "read", path);
    if (!S_ISDIR(st.st_mode)) {
        if (strlen(path) >= IO_PATH_MAX)
            return err_set(e, E_TOOBIG, "path too long: %.400s", path);
        memcpy(out, path, strlen(path) + 1);
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!io_join(out, path, names[i], NULL) && io_exists(out))
            return 0;
    return find_in_run(path, which, out, e);
}

/* ---- which ones stay ---- */

int checkpoint_prune(const char *folder, const struct checkpoint_rules *r,
                     uint64_t step, struct err *e)
{
    uint64_t keep = r->keep ? r->keep : 1, later = 0;
    struct steps s, past;
    size_t best;
    int rc = list_steps(&s, folder, e);

    if (rc)
        return rc;
    past = s;
    while (past.n && past.list[past.n - 1] > step)
        past.n--;
    best = first_choice(&past, folder, CHECKPOINT_BEST);
    for (size_t i = s.n; i-- > 0 && !rc;) {
        uint64_t at = s.list[i];
        char path[IO_PATH_MAX];

        if (at <= step && (later++ < keep || i == best ||
                           (r->keep_every && at % r->keep_every == 0)))
            continue;
        rc = checkpoint_path(path, folder, at, "", e);
        if (!rc)
            rc = retire(path, e);
    }
    free(s.list);
    return rc;
}
