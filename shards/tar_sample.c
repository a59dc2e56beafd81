/* The second half of shards/tar_read.h: members grouped into samples. */
#include "shards/tar_read.h"

#include <stdio.h>

bool tar_split_name(struct str name, struct str *key, struct str *ext)
{
    size_t base = name.n, dot;

    while (base && name.p[base - 1] != '/')
        base--;
    dot = str_find_char(name, '.', base);
    if (dot == SIZE_MAX || dot == base)
        return false;
    *key = str_slice(name, 0, dot);
    *ext = str_slice(name, dot + 1, name.n);
    return true;
}

static bool reserved(struct str name)
{
    return str_starts(name, STR("__")) && str_ends(name, STR("__"));
}

void tar_samples_init(struct tar_samples *s, struct tar_reader *r,
                      const char *const *load, size_t data_max)
{
    *s = (struct tar_samples){.reader = r, .load = load};
    buf_init(&s->data, data_max);
}

void tar_samples_release(struct tar_samples *s)
{
    buf_release(&s->data);
}

/* The next member that belongs to a sample, into s->pending. */
static int next_member(struct tar_samples *s, bool *more, struct err *e)
{
    struct str key, ext;

    for (;;) {
        int rc = tar_reader_next(s->reader, &s->pending, more, e);

        if (rc || !*more)
            return rc;
        if (reserved(s->pending.name)) {
            tally_add(&s->reader->skipped, "reserved", 1);
            continue;
        }
        if (tar_split_name(s->pending.name, &key, &ext))
            return 0;
        tally_add(&s->reader->skipped, "no-extension", 1);
    }
}

static bool wanted(const struct tar_samples *s, const char *ext)
{
    for (size_t i = 0; s->load && s->load[i]; i++)
        if (!strcmp(s->load[i], ext))
            return true;
    return false;
}

/* Take s->pending into the sample.  A repeated extension spoils the sample,
 * which is then read to its end and left out: nobody can say which of the two
 * was meant. */
static int take_pending(struct tar_samples *s, struct str ext, struct err *e)
{
    struct tar_sample *sample = &s->sample;
    struct tar_sample_member *m = &sample->v[sample->n];

    if (sample->n == TAR_SAMPLE_MEMBERS) {
        tally_add(&s->reader->skipped, "too-many-members", 1);
        return 0;
    }
    *m = (struct tar_sample_member){.offset = s->pending.offset,
                                    .size = s->pending.size};
    for (size_t i = 0; i < ext.n && i + 1 < sizeof m->ext; i++)
        m->ext[i] = str_lower_char(ext.p[i]);
    if (tar_sample_find(sample, m->ext)) {
        s->bad = true;
        return 0;
    }
    sample->n++;
    if (wanted(s, m->ext) && m->size <= s->data.max - s->data.n) {
        m->loaded = true;
        m->data_at = s->data.n;
        return tar_reader_data(s->reader, &s->data, e);
    }
    return 0;
}

/* Gather one sample, good or bad; its first member is pending. */
static int gather(struct tar_samples *s, struct err *e)
{
    struct str key, ext;
    bool more = true;
    int rc = 0;

    buf_clear(&s->data);
    s->bad = false;
    s->sample.n = 0;
    tar_split_name(s->pending.name, &key, &ext);
    memcpy(s->key, key.p, key.n); /* shorter than a name, TAR_PATH_MAX */
    s->sample.key = str_make(s->key, key.n);
    while (more) {
        rc = take_pending(s, ext, e);
        if (rc)
            break;
        rc = next_member(s, &more, &s->late);
        if (rc && s->reader->ended) {
            rc = 0; /* only the end is missing: this sample is whole */
            more = false;
        } else if (rc) {
            err_set(e, -rc, "%s", s->late.message);
        }
        if (rc)
            break;
        if (more) {
            tar_split_name(s->pending.name, &key, &ext);
            if (!str_eq(key, s->sample.key))
                break;
        }
    }
    s->has_pending = !rc && more;
    return rc;
}

int tar_samples_next(struct tar_samples *s, const struct tar_sample **sample,
                     bool *more, struct err *e)
{
    int rc;

    *more = false;
    if (!s->has_pending) {
        if (s->late.code)
            return err_set(e, -s->late.code, "%s", s->late.message);
        if (s->sample.key.p)
            return 0; /* the last sample has been given */
        rc = next_member(s, &s->has_pending, e);
        if (rc)
            return rc;
    }
    while (s->has_pending) {
        rc = gather(s, e);
        if (rc)
            return rc;
        if (!s->bad) {
            *sample = &s->sample;
            *more = true;
            return 0;
        }
        tally_add(&s->reader->skipped, "repeated-extension", 1);
    }
    return s->late.code ? err_set(e, -s->late.code, "%s", s->late.message) : 0;
}

const struct tar_sample_member *tar_sample_find(const struct tar_sample *s,
                                                const char *ext)
{
    for (unsigned i = 0; i < s->n; i++)
        if (!strcmp(s->v[i].ext, ext))
            return &s->v[i];
    return NULL;
}

struct str tar_samples_data(const struct tar_samples *s,
                            const struct tar_sample_member *m)
{
    return m->loaded ? str_make(s->data.p + m->data_at, (size_t)m->size)
                     : STR_NONE;
}
