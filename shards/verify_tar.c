/* Tars of verify: blocks, members, and what they are said to hold. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/image.h"
#include "base/json.h"
#include "base/pair.h"
#include "shards/index.h"
#include "shards/sample.h"
#include "shards/tar_write.h"
#include "shards/verify_output.h"

#define PLACE_MAX 160

/* One walk through a tar of ours. Other dialects have no place here. */
struct walk {
    struct verify_output *o;
    const char *path;
    int fd;
    uint64_t size, at;           /* bytes of the file; the next header */
    char name[TAR_NAME_MAX + 2]; /* of the member in hand */
    uint64_t data, bytes;        /* its data: offset and length */
    struct buf content;          /* scratch */
    char place[PLACE_MAX];
};

static int walk_open(struct walk *w, struct verify_output *o, const char *path)
{
    struct err e = ERR_INIT;

    *w = (struct walk){.o = o, .path = path};
    buf_init(&w->content, (size_t)TAR_MEMBER_MAX + 1);
    w->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (w->fd < 0) {
        verify_say(o, "", "cannot be opened: %s", strerror(errno));
        return -E_IO;
    }
    if (io_size(path, &w->size, &e)) {
        verify_say(o, "", "%s", e.message);
        return -E_IO;
    }
    return 0;
}

static void walk_close(struct walk *w)
{
    if (w->fd >= 0)
        close(w->fd);
    buf_release(&w->content);
}

static bool octal(const unsigned char *p, size_t n, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < n && p[i] && p[i] != ' '; i++) {
        if (p[i] < '0' || p[i] > '7')
            return false;
        *v = *v << 3 | (uint64_t)(p[i] - '0');
    }
    return true;
}

/* The sum of a header's bytes, its own field counted as spaces. */
static uint64_t header_sum(const unsigned char *b)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    return sum;
}

static bool is_zero(const unsigned char *b)
{
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (b[i])
            return false;
    return true;
}

static bool walk_broken(struct walk *w, const char *what)
{
    snprintf(w->place, sizeof w->place, "byte %llu", (unsigned long long)w->at);
    verify_say(w->o, w->place, "%s", what);
    return false;
}

static bool read_block(struct walk *w, uint64_t at, unsigned char *b)
{
    struct err e = ERR_INIT;

    if (at > w->size || w->size - at < TAR_BLOCK)
        return walk_broken(w, "the tar ends without its two zero blocks");
    if (io_pread_full(w->fd, b, TAR_BLOCK, at, w->path, &e)) {
        verify_say(w->o, "", "%s", e.message);
        return false;
    }
    return true;
}

/* The end must be two zero blocks and the file's end. */
static bool check_end(struct walk *w, unsigned char *b)
{
    if (!read_block(w, w->at + TAR_BLOCK, b))
        return false;
    if (!is_zero(b) || w->at + 2 * TAR_BLOCK != w->size)
        return walk_broken(w, "no end of a tar behind its zero block");
    return true;
}

/* The next member; *more false at the end. False when the tar is broken. */
static bool walk_next(struct walk *w, bool *more)
{
    unsigned char b[TAR_BLOCK];
    uint64_t sum;

    *more = false;
    if (!read_block(w, w->at, b))
        return false;
    if (is_zero(b))
        return check_end(w, b);
    if (memcmp(b + 257, "ustar\00000", 8) || !octal(b + 148, 8, &sum) ||
        sum != header_sum(b))
        return walk_broken(w, "no header of a member");
    if (b[156] != '0' || b[345] || !b[0] || b[TAR_NAME_MAX] ||
        !octal(b + 124, 12, &w->bytes))
        return walk_broken(w, "a header that witmill does not write");
    w->data = w->at + TAR_BLOCK;
    if (w->bytes > w->size || w->data > w->size - w->bytes)
        return walk_broken(w, "a member that reaches past the end");
    memcpy(w->name, b, TAR_NAME_MAX);
    w->name[TAR_NAME_MAX] = 0;
    w->at = w->data + (w->bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    snprintf(w->place, sizeof w->place, "%s at byte %llu", w->name,
             (unsigned long long)w->data);
    *more = true;
    return true;
}

/* Bytes [from, from + n) of the member into w->content. */
static bool walk_read(struct walk *w, uint64_t from, size_t n)
{
    struct err e = ERR_INIT;
    char *to;

    buf_clear(&w->content);
    to = buf_reserve(&w->content, n);
    if (!to) {
        verify_say(w->o, w->place, "%zu bytes do not fit in memory", n);
        return false;
    }
    if (io_pread_full(w->fd, to, n, w->data + from, w->path, &e)) {
        verify_say(w->o, w->place, "%s", e.message);
        return false;
    }
    w->content.n = n;
    to[n] = 0;
    return true;
}

static void decode(struct walk *w)
{
    struct image_decode_options options = {.limits = image_limits_decodable()};
    struct image image = IMAGE_INIT;
    struct image_header header;
    enum image_reason reason;

    options.limits.max_bytes = (size_t)TAR_MEMBER_MAX;
    if (w->bytes > TAR_MEMBER_MAX || !walk_read(w, 0, (size_t)w->bytes))
        return;
    reason =
        image_decode(buf_str(&w->content), &options, &image, &header, NULL);
    if (reason != IMAGE_OK)
        verify_say(w->o, w->place, "does not decode: %s",
                   image_reason_name(reason));
    else
        image_release(&image);
}

static void check_jpeg(struct walk *w)
{
    if (w->bytes < 4) {
        verify_say(w->o, w->place, "%llu bytes are no JPEG",
                   (unsigned long long)w->bytes);
        return;
    }
    if (walk_read(w, 0, 2) && memcmp(w->content.p, "\xff\xd8", 2))
        verify_say(w->o, w->place, "does not begin as a JPEG");
    if (walk_read(w, w->bytes - 2, 2) && memcmp(w->content.p, "\xff\xd9", 2))
        verify_say(w->o, w->place, "does not end as a JPEG");
    if (w->o->deep)
        decode(w);
}

/* ---- images/ ---- */

static uint64_t get_u64(const char *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

void verify_image_tar(struct verify_output *o, const char *path)
{
    size_t n = 0, said = o->image_ranges.n / 16;
    struct walk w;
    bool more = true;

    if (walk_open(&w, o, path)) {
        walk_close(&w);
        return;
    }
    while (walk_next(&w, &more) && more) {
        check_jpeg(&w);
        if (n < said &&
            (get_u64(o->image_ranges.p + 16 * n) != w.data ||
             get_u64(o->image_ranges.p + 16 * n + 8) != w.bytes))
            verify_say(o, w.place, "the ledger has another offset or size");
        n++;
    }
    if (!more && o->has_ledger && n != said && w.at + 2 * TAR_BLOCK == w.size)
        verify_say(o, "", "%zu images, its ledger has %zu", n, said);
    walk_close(&w);
}

/* ---- shards/ ---- */

struct shard {
    struct walk w;
    uint64_t number;
    uint64_t samples; /* said by the sidecar */
    unsigned digits;
    uint64_t done; /* samples read */
    char key[SAMPLE_KEY_MAX];
    struct buf meta;
    struct index_entry entry;
    struct index_writer index;
    bool whole; /* the index can be made */
};

/* Per-shard samples out of the sidecar's options. */
static uint64_t option_samples(const struct sidecar *s)
{
    struct json j;
    struct str name;
    uint64_t samples = 0;

    json_open(&j, s->options, NULL);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("samples")))
            samples = json_u64(&j);
        else
            json_skip(&j);
    }
    return samples;
}

/* The json against key and text; its uid for the index. */
static void check_meta(struct shard *s, struct str text)
{
    struct arena arena;
    struct str caption = STR_NONE, key = STR_NONE, uid = STR_NONE, name,
               url = STR_NONE;
    uint8_t want[MD5_SIZE];
    struct json j;
    struct err e = ERR_INIT;

    arena_init(&arena, 1 << 20);
    json_open(&j, buf_str(&s->meta), &arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("caption")))
            caption = json_string(&j);
        else if (str_eq(name, STR("key")))
            key = json_string(&j);
        else if (str_eq(name, STR("uid")))
            uid = json_string(&j);
        else if (str_eq(name, STR("url")))
            url = json_string(&j);
        else
            json_skip(&j);
    }
    if (json_close(&j, &e)) {
        verify_say(s->w.o, s->key, "%s", e.message);
    } else {
        pair_uid(text, url, want);
        if (!str_eq(caption, text))
            verify_say(s->w.o, s->key, "json and txt have different captions");
        if (!str_eq(key, str_of(s->key)))
            verify_say(s->w.o, s->key, "the json is of another key");
        if (hash_unhex(uid, s->entry.uid, MD5_SIZE) ||
            memcmp(want, s->entry.uid, MD5_SIZE))
            verify_say(s->w.o, s->key,
                       "its uid is not the md5 of text and url");
    }
    arena_release(&arena);
}

/* The member in hand is KEY.ext of sample s->done, in this order. */
static void check_member(struct shard *s, unsigned which)
{
    static const char *const ext[] = {"jpg", "json", "txt"};
    static const uint64_t max[] = {TAR_MEMBER_MAX, SAMPLE_META_MAX,
                                   PAIR_TEXT_MAX};
    struct walk *w = &s->w;
    char want[SAMPLE_KEY_MAX + 8];

    snprintf(want, sizeof want, "%s.%s", s->key, ext[which]);
    if (strcmp(w->name, want)) {
        verify_say(w->o, w->place, "expected %s here", want);
        s->whole = false;
    }
    if (w->bytes > max[which]) {
        verify_say(w->o, w->place, "%llu bytes, more than %llu",
                   (unsigned long long)w->bytes,
                   (unsigned long long)max[which]);
        s->whole = false;
        return;
    }
    if (which == 0) {
        s->entry.image_offset = w->data;
        s->entry.image_size = (uint32_t)w->bytes;
        check_jpeg(w);
        return;
    }
    if (!walk_read(w, 0, (size_t)w->bytes)) {
        s->whole = false;
        return;
    }
    if (which == 1) {
        s->entry.json_offset = w->data;
        s->entry.json_size = (uint32_t)w->bytes;
        buf_clear(&s->meta);
        buf_add(&s->meta, buf_str(&w->content));
        return;
    }
    s->entry.text_offset = w->data;
    s->entry.text_size = (uint32_t)w->bytes;
    check_meta(s, buf_str(&w->content));
}

static void check_samples(struct shard *s)
{
    bool more = true;

    for (unsigned which = 0;; which = (which + 1) % 3) {
        if (!walk_next(&s->w, &more)) {
            s->whole = false;
            return;
        }
        if (!more) {
            if (which)
                verify_say(s->w.o, s->key, "the sample is not complete");
            s->whole = s->whole && which == 0;
            return;
        }
        if (which == 0) {
            sample_key(s->number, s->done, s->digits, s->key);
            s->entry =
                (struct index_entry){.key = str_of(s->key), .image = INDEX_JPG};
        }
        check_member(s, which);
        if (which == 2) {
            index_writer_add(&s->index, &s->entry, NULL);
            s->done++;
        }
    }
}

/* The index that the tar gives, against the one beside it. */
static void check_index(struct shard *s)
{
    struct verify_output *o = s->w.o;
    const char *tar = o->file;
    char name[STAGE_NAME_MAX + 8], there[IO_PATH_MAX];
    struct buf want, have;
    struct err e = ERR_INIT;

    buf_init(&want, (size_t)INDEX_FILE_MAX);
    buf_init(&have, (size_t)INDEX_FILE_MAX);
    snprintf(name, sizeof name, "%s.idx", o->name);
    o->file = name;
    if (index_writer_finish(&s->index, s->w.size, &want, &e) ||
        corpus_path(o->corpus, name, there, &e) ||
        io_read_file(there, &have, &e))
        verify_say(o, "", "%s", e.message);
    else if (!str_eq(buf_str(&want), buf_str(&have)))
        verify_say(o, "", "is not the index of its tar");
    o->file = tar;
    buf_release(&want);
    buf_release(&have);
}

void verify_shard_tar(struct verify_output *o, const char *path)
{
    struct shard s = {.whole = true};

    s.samples = tally_get(&o->sidecar.counts, "samples");
    s.digits = sample_digits(option_samples(&o->sidecar));
    if (str_u64(str_of(strrchr(o->name, '/') + 1), &s.number)) {
        verify_say(o, "", "a shard without a number");
        return;
    }
    if (walk_open(&s.w, o, path)) {
        walk_close(&s.w);
        return;
    }
    buf_init(&s.meta, SAMPLE_META_MAX);
    index_writer_init(&s.index);
    check_samples(&s);
    if (s.whole && s.done != s.samples)
        verify_say(o, "", "%llu samples, its sidecar counts %llu",
                   (unsigned long long)s.done, (unsigned long long)s.samples);
    if (s.whole)
        check_index(&s);
    index_writer_release(&s.index);
    buf_release(&s.meta);
    walk_close(&s.w);
}
