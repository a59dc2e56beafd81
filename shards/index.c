#include "shards/index.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/json.h"
#include "shards/tar_read.h"

#define META_MAX ((size_t)1 << 20) /* bytes of a sample's json that is read */

static const char magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'I'};

static uint32_t get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static uint64_t get_u64(const char *p)
{
    return (uint64_t)get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

void index_writer_init(struct index_writer *w)
{
    *w = (struct index_writer){0};
    buf_init(&w->entries, (size_t)INDEX_FILE_MAX);
    buf_init(&w->keys, (size_t)UINT32_MAX);
}

void index_writer_release(struct index_writer *w)
{
    buf_release(&w->entries);
    buf_release(&w->keys);
}

int index_writer_add(struct index_writer *w, const struct index_entry *entry,
                     struct err *e)
{
    struct buf *b = &w->entries;

    if (entry->key.n > INDEX_KEY_MAX)
        return err_set(e, E_RANGE, "a key of %zu bytes, more than %d",
                       entry->key.n, INDEX_KEY_MAX);
    buf_add_bytes(b, entry->uid, sizeof entry->uid);
    buf_add_u64le(b, entry->image_offset);
    buf_add_u64le(b, entry->json_offset);
    buf_add_u64le(b, entry->text_offset);
    buf_add_u32le(b, entry->image_size);
    buf_add_u32le(b, entry->json_size);
    buf_add_u32le(b, entry->text_size);
    buf_add_u32le(b, (uint32_t)w->keys.n);
    buf_add_u32le(b, (uint32_t)entry->key.n | (uint32_t)entry->image << 16);
    buf_add_u32le(b, 0);
    buf_add(&w->keys, entry->key);
    w->n++;
    if (b->rc || w->keys.rc)
        return err_set(e, b->rc ? -b->rc : -w->keys.rc,
                       "an index of %llu samples is too large",
                       (unsigned long long)w->n);
    return 0;
}

int index_writer_finish(const struct index_writer *w, uint64_t tar_size,
                        struct buf *out, struct err *e)
{
    size_t head = out->n, body = head + INDEX_HEADER_SIZE;
    uint64_t check;

    buf_add_bytes(out, magic, sizeof magic);
    buf_add_u32le(out, INDEX_VERSION);
    buf_add_u32le(out, 0);
    buf_add_u64le(out, w->n);
    buf_add_u64le(out, tar_size);
    buf_add_u64le(out, w->keys.n);
    for (int i = 0; i < 3; i++)
        buf_add_u64le(out, 0);
    buf_add(out, buf_str(&w->entries));
    buf_add(out, buf_str(&w->keys));
    if (out->rc)
        return err_set(e, -out->rc, "index: %s", err_name(out->rc));
    check = hash_xxh3(str_make(out->p + body, out->n - body));
    for (int i = 0; i < 8; i++)
        out->p[head + 40 + i] = (char)(check >> 8 * i);
    return 0;
}

/* ---- of a tar ---- */

/* The uid member of a sample's json, if it is 32 hex digits. */
static void find_uid(struct str meta, uint8_t uid[MD5_SIZE])
{
    struct json j;
    struct str name;

    json_open(&j, meta, NULL);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("uid")) && json_peek(&j) == JSON_STRING) {
            if (hash_unhex(json_string(&j), uid, MD5_SIZE))
                memset(uid, 0, MD5_SIZE);
            return;
        }
        json_skip(&j);
    }
}

static const struct tar_sample_member *
find_image(const struct tar_sample *sample, enum index_image *image)
{
    static const struct {
        const char *ext;
        enum index_image image;
    } kinds[] = {{"jpg", INDEX_JPG},
                 {"png", INDEX_PNG},
                 {"jpeg", INDEX_JPG},
                 {"webp", INDEX_WEBP}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct tar_sample_member *m =
            tar_sample_find(sample, kinds[i].ext);

        if (m) {
            *image = kinds[i].image;
            return m;
        }
    }
    return NULL;
}

/* A sample as an entry; the reason why it has none, or NULL. */
static const char *make_entry(const struct tar_samples *s,
                              const struct tar_sample *sample,
                              enum index_text where, struct index_entry *entry)
{
    const struct tar_sample_member *text = tar_sample_find(sample, "txt");
    const struct tar_sample_member *meta = tar_sample_find(sample, "json");
    const struct tar_sample_member *image;

    *entry =
        (struct index_entry){.key = sample->key, .json_size = INDEX_ABSENT};
    image = find_image(sample, &entry->image);
    if (!image)
        return "no-image";
    if (where == INDEX_TXT ? !text : !meta)
        return "no-text";
    if (image->size >= INDEX_ABSENT || (text && text->size >= INDEX_ABSENT))
        return "too-large";
    entry->image_offset = image->offset;
    entry->image_size = (uint32_t)image->size;
    if (text) {
        entry->text_offset = text->offset;
        entry->text_size = (uint32_t)text->size;
    }
    if (meta && meta->size < INDEX_ABSENT) {
        entry->json_offset = meta->offset;
        entry->json_size = (uint32_t)meta->size;
        find_uid(tar_samples_data(s, meta), entry->uid);
    }
    return NULL;
}

static int index_samples(struct tar_samples *s, enum index_text text,
                         struct index_writer *w, struct tally *skipped,
                         struct err *e)
{
    const struct tar_sample *sample;
    struct index_entry entry;
    bool more;
    int rc;

    while (!(rc = tar_samples_next(s, &sample, &more, e)) && more) {
        const char *reason = make_entry(s, sample, text, &entry);

        if (reason)
            tally_add(skipped, reason, 1);
        else
            rc = index_writer_add(w, &entry, e);
        if (rc)
            break;
    }
    return rc;
}

/* Offsets mean the tar as it lies on disk; a compressed one has none. */
static int refuse_compressed(const char *path, uint64_t *size, struct err *e)
{
    static const char *const magics[] = {"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd"};
    char head[4] = "";
    int fd, rc = io_size(path, size, e);

    if (rc)
        return rc;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, E_IO, "open", path);
    if (*size >= sizeof head)
        rc = io_pread_full(fd, head, sizeof head, 0, path, e);
    close(fd);
    for (size_t i = 0; !rc && i < sizeof magics / sizeof *magics; i++)
        if (!memcmp(head, magics[i], strlen(magics[i])))
            rc = err_set(e, E_FORMAT,
                         "%s is compressed: unpack it, its samples are read "
                         "by offset",
                         path);
    return rc;
}

int index_of_tar(const char *path, enum index_text text, struct buf *out,
                 struct tally *skipped, struct err *e)
{
    static const char *const load[] = {"json", NULL};
    struct index_writer w;
    struct tar_reader r;
    struct tar_samples s;
    uint64_t size = 0;
    int rc = refuse_compressed(path, &size, e);

    if (!rc)
        rc = tar_reader_open(&r, path, INDEX_ABSENT, e);
    if (rc)
        return rc;
    index_writer_init(&w);
    tar_samples_init(&s, &r, load, META_MAX);
    rc = index_samples(&s, text, &w, skipped, e);
    if (!rc)
        rc = index_writer_finish(&w, size, out, e);
    tally_add_all(skipped, &r.skipped);
    tar_samples_release(&s);
    index_writer_release(&w);
    tar_reader_close(&r);
    return rc;
}

void index_put_origin(struct buf *bytes, uint64_t tar_ns, uint64_t left_out)
{
    assert(bytes->n >= INDEX_HEADER_SIZE);
    for (int i = 0; i < 8; i++) {
        bytes->p[48 + i] = (char)(tar_ns >> 8 * i);
        bytes->p[56 + i] = (char)(left_out >> 8 * i);
    }
}

/* ---- reading ---- */

static bool in_tar(uint64_t offset, uint32_t size, uint64_t tar_size)
{
    return offset <= tar_size && size <= tar_size - offset;
}

static int check_entries(const struct index *x, uint64_t n_keys,
                         const char *name, struct err *e)
{
    for (uint64_t i = 0; i < x->n; i++) {
        const char *p = x->bytes.p + INDEX_HEADER_SIZE + i * INDEX_ENTRY_SIZE;
        uint32_t key_at = get_u32(p + 52), packed = get_u32(p + 56);
        uint32_t json_size = get_u32(p + 44);

        if ((uint64_t)key_at + (packed & 0xffff) > n_keys ||
            packed >> 16 > INDEX_WEBP ||
            !in_tar(get_u64(p + 16), get_u32(p + 40), x->tar_size) ||
            !in_tar(get_u64(p + 24), json_size == INDEX_ABSENT ? 0 : json_size,
                    x->tar_size) ||
            !in_tar(get_u64(p + 32), get_u32(p + 48), x->tar_size))
            return err_set(e, E_DAMAGED, "%s: entry %llu is out of range", name,
                           (unsigned long long)i);
    }
    return 0;
}

static int check_head(struct str all, const char *name, struct err *e)
{
    if (all.n < INDEX_HEADER_SIZE || memcmp(all.p, magic, sizeof magic))
        return err_set(e, E_FORMAT, "%s is no shard index", name);
    if (get_u32(all.p + 8) != INDEX_VERSION)
        return err_set(e, E_VERSION,
                       "%s has index version %u; this program reads %d", name,
                       get_u32(all.p + 8), INDEX_VERSION);
    return 0;
}

static int check_index(struct index *x, const char *name, struct err *e)
{
    struct str all = buf_str(&x->bytes);
    uint64_t n_keys, room;
    int rc = check_head(all, name, e);

    if (rc)
        return rc;
    x->n = get_u64(all.p + 16);
    x->tar_size = get_u64(all.p + 24);
    n_keys = get_u64(all.p + 32);
    room = all.n - INDEX_HEADER_SIZE;
    if (x->n > room / INDEX_ENTRY_SIZE ||
        n_keys != room - x->n * INDEX_ENTRY_SIZE)
        return err_set(e, E_DAMAGED,
                       "%s has %zu bytes, not what its header says", name,
                       all.n);
    if (hash_xxh3(str_slice(all, INDEX_HEADER_SIZE, all.n)) !=
        get_u64(all.p + 40))
        return err_set(e, E_DAMAGED, "%s: its checksum does not hold", name);
    return check_entries(x, n_keys, name, e);
}

int index_parse(struct index *x, struct buf *bytes, const char *name,
                struct err *e)
{
    size_t max = bytes->max;
    int rc;

    *x = (struct index){.bytes = *bytes};
    buf_init(bytes, max);
    rc = check_index(x, name, e);
    if (rc)
        index_release(x);
    return rc;
}

int index_read(struct index *x, const char *path, struct err *e)
{
    struct buf b;
    int rc;

    buf_init(&b, (size_t)INDEX_FILE_MAX);
    rc = io_read_file(path, &b, e);
    if (!rc)
        return index_parse(x, &b, path, e);
    buf_release(&b);
    *x = (struct index){0};
    return rc;
}

int index_read_head(struct index_head *h, const char *path, struct err *e)
{
    char head[INDEX_HEADER_SIZE] = {0};
    uint64_t size;
    int fd, rc = io_size(path, &size, e);

    if (rc)
        return rc;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, E_IO, "open", path);
    if (size >= sizeof head)
        rc = io_pread_full(fd, head, sizeof head, 0, path, e);
    close(fd);
    if (!rc)
        rc = check_head(str_make(head, sizeof head), path, e);
    if (!rc &&
        get_u64(head + 16) > (size - INDEX_HEADER_SIZE) / INDEX_ENTRY_SIZE)
        rc = err_set(e, E_DAMAGED, "%s is shorter than its header says", path);
    *h = (struct index_head){.n = get_u64(head + 16),
                             .tar_size = get_u64(head + 24),
                             .check = get_u64(head + 40),
                             .tar_ns = get_u64(head + 48),
                             .left_out = get_u64(head + 56)};
    return rc;
}

void index_release(struct index *x)
{
    buf_release(&x->bytes);
    *x = (struct index){0};
}

void index_get(const struct index *x, uint64_t i, struct index_entry *entry)
{
    const char *p = x->bytes.p + INDEX_HEADER_SIZE + i * INDEX_ENTRY_SIZE;
    const char *keys = x->bytes.p + INDEX_HEADER_SIZE + x->n * INDEX_ENTRY_SIZE;
    uint32_t packed = get_u32(p + 56);

    assert(i < x->n);
    memcpy(entry->uid, p, MD5_SIZE);
    entry->image_offset = get_u64(p + 16);
    entry->json_offset = get_u64(p + 24);
    entry->text_offset = get_u64(p + 32);
    entry->image_size = get_u32(p + 40);
    entry->json_size = get_u32(p + 44);
    entry->text_size = get_u32(p + 48);
    entry->image = (enum index_image)(packed >> 16);
    entry->key = str_make(keys + get_u32(p + 52), packed & 0xffff);
}

uint64_t index_identity(const struct index_entry *entry)
{
    uint8_t any = 0;

    for (int i = 0; i < MD5_SIZE; i++)
        any |= entry->uid[i];
    return any ? get_u64((const char *)entry->uid) : hash_xxh3(entry->key);
}
