#include "train/checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "train/safetensors.h"
#include "train/weights.h"

/* ---- moments: both classes, number by number as the device has them ---- */

static const struct {
    char letter;
    size_t at; /* of the class in struct store */
} classes[] = {{'m', offsetof(struct store, m)},
               {'v', offsetof(struct store, v)}};

#define CLASSES 2

static char *class_of(const struct store *s, int k)
{
    return *(char *const *)((const char *)s + classes[k].at);
}

/* The moments' type, and a number's bytes. */
static enum safetensors_dtype moments_dtype(const struct clip *m, size_t *bytes)
{
    *bytes = m->store.moment_size;
    return m->store.half_moments ? ST_BF16 : ST_F32;
}

/* The file's tensors, by which one and of which class. */
struct moments {
    struct safetensor *list; /* in the file's order */
    char *names;             /* of all, each with its terminator */
    size_t n;
};

static void moments_release(struct moments *t)
{
    free(t->list);
    free(t->names);
}

static int moments_list(struct moments *t, const struct clip *m, struct err *e)
{
    const struct store *s = &m->store;
    size_t bytes = 0, number;
    char *at;

    for (int i = 0; i < s->n; i++)
        bytes += strlen(s->list[i].name) + 3;
    *t = (struct moments){.n = 0};
    t->list = calloc((size_t)s->n * CLASSES + 1, sizeof *t->list);
    t->names = at = malloc(CLASSES * bytes + 1);
    if (!t->list || !t->names) {
        moments_release(t);
        return err_set(e, E_NOMEM, "no room for the names of moments");
    }
    for (int i = 0; i < s->n * CLASSES; i++) {
        const struct tensor *from = &s->list[i / CLASSES];
        size_t length = strlen(from->name);
        struct safetensor *to = &t->list[t->n];

        if (from->buffer)
            continue;
        at[0] = classes[i % CLASSES].letter;
        at[1] = '.';
        memcpy(at + 2, from->name, length);
        *to = (struct safetensor){.name = str_make(at, length + 2),
                                  .dtype = moments_dtype(m, &number),
                                  .rank = from->rank};
        for (int k = 0; k < from->rank; k++)
            to->shape[k] = (uint64_t)from->shape[k];
        at += length + 2;
        t->n++;
    }
    safetensors_sort(t->list, t->n);
    return 0;
}

/* Where a tensor of the file stands on the device, and its numbers. */
static char *moments_at(const struct clip *m, const struct safetensor *t,
                        int64_t *count)
{
    const struct store *s = &m->store;
    struct str name = str_slice(t->name, 2, t->name.n);
    int i = store_find(s, name), k = t->name.p[0] != classes[0].letter;
    size_t number;

    assert(i >= 0);
    moments_dtype(m, &number);
    *count = s->list[i].count;
    return class_of(s, k) + (size_t)s->list[i].at * number;
}

static int write_moments(const struct clip *m, const char *path, char *hex,
                         struct err *e)
{
    static const struct str meta[] = {{"witmill.version", 15}, {"1", 1}};
    struct safetensors_out out;
    struct moments t;
    size_t number;
    char *part;
    int rc = moments_list(&t, m, e);

    if (rc)
        return rc;
    moments_dtype(m, &number);
    part = malloc(CHECKPOINT_PART * number);
    rc = part ? safetensors_create(&out, path, t.list, t.n, meta, 1, e)
              : err_set(e, E_NOMEM, "%s: no room to write", path);
    if (rc)
        goto done;
    for (size_t i = 0; i < t.n && !rc; i++) {
        int64_t left;
        const char *from = moments_at(m, &t.list[i], &left);

        while (left > 0 && !rc) {
            size_t now =
                (size_t)(left < CHECKPOINT_PART ? left : CHECKPOINT_PART);

            device_get(m->d, part, from, now * number);
            rc = safetensors_write_part(&out, str_make(part, now * number), e);
            from += now * number;
            left -= (int64_t)now;
        }
    }
    if (!rc)
        rc = device_check(m->d, e);
    if (rc) {
        safetensors_abandon(&out);
        goto done;
    }
    rc = safetensors_publish(&out, e);
    memcpy(hex, out.file.sha256, SHA256_HEX);
done:
    free(part);
    moments_release(&t);
    return rc;
}

static int load_moment(struct clip *m, const struct safetensors *file,
                       const struct safetensor *t, const char *path,
                       struct err *e)
{
    const struct safetensor *at = safetensors_find(file, t->name);
    int64_t count;
    char *to;

    if (!at)
        return err_set(e, E_NOTFOUND, "%s: tensor %.*s is missing", path,
                       STR_ARG(t->name));
    if (at->dtype != t->dtype || at->rank != t->rank ||
        memcmp(at->shape, t->shape, (size_t)t->rank * sizeof *t->shape) != 0)
        return err_set(e, E_RANGE,
                       "%s: tensor %.*s has another type or shape than this "
                       "run's",
                       path, STR_ARG(t->name));
    to = moments_at(m, t, &count);
    device_put(m->d, to, at->data, at->size);
    return 0;
}

static int load_moments(struct clip *m, const char *path, struct err *e)
{
    struct safetensors file;
    struct moments t;
    int rc = moments_list(&t, m, e);

    if (rc)
        return rc;
    rc = safetensors_open(&file, path, e);
    if (!rc && file.n != t.n)
        rc =
            err_set(e, E_FORMAT, "%s: %zu tensors, not %zu", path, file.n, t.n);
    for (size_t i = 0; i < t.n && !rc; i++)
        rc = load_moment(m, &file, &t.list[i], path, e);
    if (!rc)
        rc = device_check(m->d, e);
    safetensors_close(&file);
    moments_release(&t);
    return rc;
}

/* ---- a folder ---- */

/* Files as they become whole. */
struct writing {
    const struct checkpoint_out *c;
    char tmp[IO_PATH_MAX];
    struct checkpoint_meta meta;
};

/* "TMP/NAME", and the file's place in the list. */
static int next_file(struct writing *w, const char *name, char *path,
                     struct checkpoint_file **f, struct err *e)
{
    struct checkpoint_meta *m = &w->meta;

    assert(m->n < CHECKPOINT_FILES_MAX && strlen(name) < CHECKPOINT_NAME_MAX);
    *f = &m->files[m->n++];
    memcpy((*f)->name, name, strlen(name) + 1);
    return io_join(path, w->tmp, name, e);
}

static int add_model(struct writing *w, struct err *e)
{
    struct checkpoint_file *f, *config;
    char path[IO_PATH_MAX], beside[IO_PATH_MAX];
    int rc = next_file(w, CHECKPOINT_MODEL, path, &f, e);

    if (!rc)
        rc = weights_write(w->c->m, WEIGHTS_OPEN_CLIP, path, f->sha256, e);
    if (!rc)
        rc = io_size(path, &f->bytes, e);
    if (!rc)
        rc = next_file(w, "open_clip_config.json", beside, &config, e);
    if (!rc)
        rc = io_sha256_file(beside, config->sha256, e);
    return rc ? rc : io_size(beside, &config->bytes, e);
}

static int add_moments(struct writing *w, struct err *e)
{
    struct checkpoint_file *f;
    char path[IO_PATH_MAX];
    int rc = next_file(w, CHECKPOINT_MOMENTS, path, &f, e);

    if (!rc)
        rc = write_moments(w->c->m, path, f->sha256, e);
    return rc ? rc : io_size(path, &f->bytes, e);
}

static int add_beside(struct writing *w, const struct checkpoint_beside *b,
                      struct err *e)
{
    struct checkpoint_file *f;
    struct io_file out;
    char path[IO_PATH_MAX];
    int rc = next_file(w, b->name, path, &f, e);

    if (!rc)
        rc = io_file_open(&out, path, e);
    if (rc)
        return rc;
    io_file_write(&out, b->bytes, e);
    rc = io_file_publish(&out, e);
    f->bytes = b->bytes.n;
    memcpy(f->sha256, out.sha256, sizeof f->sha256);
    return rc;
}

/* What makes the folder a checkpoint: last. */
static int add_meta(struct writing *w, struct err *e)
{
    char path[IO_PATH_MAX];
    struct buf text;
    int rc = io_join(path, w->tmp, CHECKPOINT_META, e);

    if (rc)
        return rc;
    w->meta.state = *w->c->state;
    w->meta.agree = w->c->agree;
    w->meta.made = w->c->made;
    buf_init(&text, CHECKPOINT_META_MAX);
    checkpoint_meta_write(&w->meta, &text);
    rc = text.rc ? err_set(e, -text.rc, "%s", path)
                 : io_write_file(path, buf_str(&text), e);
    buf_release(&text);
    return rc;
}

static int fill(struct writing *w, struct err *e)
{
    int rc = add_model(w, e);

    if (!rc)
        rc = add_moments(w, e);
    for (size_t i = 0; i < w->c->beside_n && !rc; i++)
        rc = add_beside(w, &w->c->beside[i], e);
    return rc ? rc : add_meta(w, e);
}

int checkpoint_write(const struct checkpoint_out *c, struct err *e)
{
    struct writing w = {.c = c};
    char path[IO_PATH_MAX];
    int rc;

    assert(c->m->store.m && c->beside_n + 3 <= CHECKPOINT_FILES_MAX);
    if (c->m->d->real != DTYPE_F32)
        return err_set(e, E_UNSUPPORTED,
                       "a checkpoint holds floats; this device computes in %s",
                       dtype_name(c->m->d->real));
    rc = checkpoint_path(path, c->folder, c->state->step, "", e);
    if (!rc)
        rc = checkpoint_path(w.tmp, c->folder, c->state->step, ".tmp", e);
    if (!rc)
        rc = checkpoint_remove(w.tmp, e);
    if (rc)
        return rc;
    if (mkdir(w.tmp, 0777))
        return err_errno(e, E_IO, "make folder", w.tmp);
    rc = fill(&w, e);
    if (!rc)
        rc = checkpoint_publish(w.tmp, path, e);
    if (rc)
        checkpoint_remove(w.tmp, NULL); /* room for who goes on */
    return rc;
}

int checkpoint_load(const char *path, struct clip *m, struct err *e)
{
    char file[IO_PATH_MAX];
    int rc = io_join(file, path, CHECKPOINT_MODEL, e);

    assert(m->store.m);
    if (!rc)
        rc = weights_load(m, file, false, e);
    if (!rc)
        rc = io_join(file, path, CHECKPOINT_MOMENTS, e);
    return rc ? rc : load_moments(m, file, e);
}
