#include "shards/pack_shard.h"

#include <stdio.h>

#include "shards/index.h"
#include "shards/sample.h"
#include "shards/tar_write.h"

#define TEXT_MEMORY ((size_t)16 << 20) /* bytes of one pair, decoded */

/* What writing one shard needs. */
struct making {
    struct pack_shard *shard;
    struct pack_plan *plan;
    struct pack_rows rows;
    struct tar_writer tar;
    struct index_writer index;
    struct buf image, meta, caption;
    struct arena arena; /* of one text */
    uint64_t done;      /* samples in the tar */
    bool in_sample;     /* image, meta and caption hold one */
    bool full;          /* meta takes no further text */
    char key[SAMPLE_KEY_MAX];
    uint8_t uid[MD5_SIZE];
};

static int add_texts(struct making *m, const struct survivor *s, struct err *e)
{
    struct json j;
    struct pair p;
    bool more;
    int rc;

    survivor_texts_open(&j, s);
    for (;;) {
        arena_reset(&m->arena);
        rc = survivor_texts_next(&j, &m->arena, &p, &more, e);
        if (rc || !more)
            return rc;
        if (!s->more && m->caption.n == 0) {
            /* The smallest (s, uid) of the URL: its sample's own text. */
            buf_add(&m->caption, p.text);
            memcpy(m->uid, p.uid, MD5_SIZE);
            sample_begin(s, &p, m->key, &m->meta);
        }
        m->full = m->full || !sample_text(&p, &m->meta);
        m->shard->texts += !m->full;
        m->shard->texts_cut += m->full;
    }
}

static int begin_sample(struct making *m, const struct survivor *s,
                        struct err *e)
{
    int rc = pack_image(m->plan, s, &m->image, e);

    if (rc)
        return rc;
    sample_key(m->shard->number, m->done, m->shard->digits, m->key);
    buf_clear(&m->caption);
    buf_clear(&m->meta);
    m->in_sample = true;
    m->full = false;
    rc = add_texts(m, s, e);
    if (!rc && m->caption.n == 0)
        rc = err_set(e, E_DAMAGED, "%.*s survives without a text",
                     STR_ARG(s->url));
    return rc;
}

static int add_member(struct making *m, const char *ext, struct str data,
                      uint64_t *offset, struct err *e)
{
    char name[SAMPLE_KEY_MAX + 8];

    snprintf(name, sizeof name, "%s.%s", m->key, ext);
    return tar_writer_add(&m->tar, str_of(name), data, offset, e);
}

static int finish_sample(struct making *m, struct err *e)
{
    struct index_entry entry = {.key = str_of(m->key),
                                .image = INDEX_JPG,
                                .image_size = (uint32_t)m->image.n,
                                .text_size = (uint32_t)m->caption.n};
    int rc;

    sample_end(&m->meta);
    if (m->meta.rc || m->caption.rc)
        return err_set(e, E_NOMEM, "no memory for sample %s", m->key);
    entry.json_size = (uint32_t)m->meta.n;
    memcpy(entry.uid, m->uid, MD5_SIZE);
    rc = add_member(m, "jpg", buf_str(&m->image), &entry.image_offset, e);
    if (!rc)
        rc = add_member(m, "json", buf_str(&m->meta), &entry.json_offset, e);
    if (!rc)
        rc = add_member(m, "txt", buf_str(&m->caption), &entry.text_offset, e);
    if (!rc)
        rc = index_writer_add(&m->index, &entry, e);
    m->shard->image_bytes += m->image.n;
    m->in_sample = false;
    m->done++;
    return rc;
}

/* Lines of further texts in front of the first row belong to the row before
 * it, which is another shard's. */
static int add_samples(struct making *m, struct err *e)
{
    struct survivor s;
    bool more = true;
    int rc = 0;

    while (!rc && m->done < m->shard->n && more) {
        rc = pack_rows_next(&m->rows, &s, &more, e);
        if (rc)
            break;
        if (more && s.more) {
            if (m->in_sample)
                rc = add_texts(m, &s, e);
            continue;
        }
        if (m->in_sample)
            rc = finish_sample(m, e);
        if (!rc && more && m->done < m->shard->n)
            rc = begin_sample(m, &s, e);
    }
    if (!rc && m->done < m->shard->n)
        rc = err_set(e, E_DAMAGED,
                     "survivors/ has fewer rows than its sidecars count; run "
                     "`witmill verify`");
    return rc;
}

/* img2dataset's members; times are 0, so that equal shards have equal
 * stats. */
static int write_stats(struct pack_shard *s, struct err *e)
{
    char path[IO_PATH_MAX + 16];
    struct io_file f;
    struct buf b;
    int rc;

    buf_init(&b, 4096);
    buf_addf(&b,
             "{\n"
             "    \"count\": %llu,\n"
             "    \"successes\": %llu,\n"
             "    \"failed_to_download\": 0,\n"
             "    \"failed_to_resize\": 0,\n"
             "    \"duration\": 0,\n"
             "    \"start_time\": 0,\n"
             "    \"end_time\": 0,\n"
             "    \"status_dict\": {\n"
             "        \"success\": %llu\n"
             "    }\n"
             "}\n",
             (unsigned long long)s->n, (unsigned long long)s->n,
             (unsigned long long)s->n);
    snprintf(path, sizeof path, "%s_stats.json", s->base);
    rc = io_file_open(&f, path, e);
    if (!rc) {
        io_file_write(&f, buf_str(&b), e);
        rc = io_file_publish(&f, e);
        memcpy(s->stats_sha256, f.sha256, SHA256_HEX);
    }
    buf_release(&b);
    return rc;
}

static int write_index(struct making *m, struct err *e)
{
    char path[IO_PATH_MAX + 16];
    struct io_file f;
    struct buf b;
    int rc;

    buf_init(&b, (size_t)INDEX_FILE_MAX);
    snprintf(path, sizeof path, "%s.idx", m->shard->base);
    rc = index_writer_finish(&m->index, m->shard->tar_bytes, &b, e);
    if (!rc)
        rc = io_file_open(&f, path, e);
    if (!rc) {
        io_file_write(&f, buf_str(&b), e);
        rc = io_file_publish(&f, e);
        memcpy(m->shard->index_sha256, f.sha256, SHA256_HEX);
    }
    buf_release(&b);
    return rc;
}

static int make(struct making *m, struct err *e)
{
    struct pack_shard *s = m->shard;
    char path[IO_PATH_MAX + 16];
    int rc;

    snprintf(path, sizeof path, "%s.tar", s->base);
    rc = tar_writer_open(&m->tar, path, e);
    if (rc)
        return rc;
    rc = add_samples(m, e);
    if (rc) {
        tar_writer_abandon(&m->tar);
        return rc;
    }
    rc = tar_writer_publish(&m->tar, e);
    if (rc)
        return rc;
    s->tar_bytes = m->tar.file.bytes;
    memcpy(s->tar_sha256, m->tar.file.sha256, SHA256_HEX);
    rc = write_index(m, e);
    return rc ? rc : write_stats(s, e);
}

int pack_shard_write(struct pack_shard *s, struct pack_plan *p, struct err *e)
{
    struct making m = {.shard = s, .plan = p};
    int rc;

    s->texts = s->texts_cut = s->image_bytes = s->tar_bytes = 0;
    rc = pack_rows_open(&m.rows, p, s->first, e);
    if (rc)
        return rc;
    buf_init(&m.image, (size_t)TAR_MEMBER_MAX + 1);
    buf_init(&m.meta, BUF_NO_LIMIT); /* sample_text() bounds it */
    buf_init(&m.caption, PAIR_TEXT_MAX);
    arena_init(&m.arena, TEXT_MEMORY);
    index_writer_init(&m.index);
    rc = make(&m, e);
    index_writer_release(&m.index);
    arena_release(&m.arena);
    buf_release(&m.image);
    buf_release(&m.meta);
    buf_release(&m.caption);
    pack_rows_close(&m.rows);
    return rc;
}
