#include "train/tokenizer.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/stream.h"
#include "base/utf8.h"
#include "train/merge.h"
#include "train/pieces.h"
#include "train/vocabulary.h"

#define CACHE_SETS    (1u << 14)
#define CACHE_WAYS    4  /* pieces of a set */
#define CACHE_KEY_MAX 16 /* bytes of a piece that is kept */
#define CACHE_IDS_MAX 3  /* ids of one */
#define DUE_MAX       16 /* pieces that are cut before they are looked up */

/* Half a cache line. */
struct cached {
    uint64_t key[2]; /* the bytes, zeros behind them */
    int32_t id[CACHE_IDS_MAX];
    uint8_t bytes, ids; /* in use; no bytes: empty */
};

/* A set is two cache lines; of which the first is looked at first, a bit of
 * the hash says.  From there on the latest stands first. */
struct tokenizer_cache {
    struct cached sets[CACHE_SETS][CACHE_WAYS];
};

struct tokenizer {
    struct vocabulary v;
    struct str specials[PIECES_SPECIALS]; /* SOT's and EOT's spelling */
};

/* ---- open and close ---- */

static int parse(struct tokenizer **t, struct str file, const char *name,
                 enum tokenizer_specials specials, struct err *e)
{
    static const char *const spelling[][PIECES_SPECIALS] = {
        [TOKENIZER_CLIP] = {"<|startoftext|>", "<|endoftext|>"},
        [TOKENIZER_OPEN_CLIP] = {"<start_of_text>", "<end_of_text>"},
    };
    struct tokenizer *made = calloc(1, sizeof *made);
    int rc;

    if (!made)
        return err_set(e, E_NOMEM, "%s: no memory", name);
    rc = vocabulary_parse(&made->v, file, name, e);
    if (rc) {
        free(made);
        return rc;
    }
    for (int i = 0; i < PIECES_SPECIALS; i++)
        made->specials[i] = str_of(spelling[specials][i]);
    *t = made;
    return 0;
}

static int parse_stream(struct tokenizer **t, struct stream *in,
                        const char *name, enum tokenizer_specials specials,
                        struct err *e)
{
    struct buf file;
    int rc;

    buf_init(&file, TOKENIZER_FILE_MAX);
    rc = stream_read_all(in, &file, e);
    if (!rc)
        rc = parse(t, buf_str(&file), name, specials, e);
    buf_release(&file);
    return rc;
}

int tokenizer_open(struct tokenizer **t, const char *path,
                   enum tokenizer_specials specials, struct err *e)
{
    struct stream *in;
    int rc = stream_open(&in, path, e);

    *t = NULL;
    if (rc)
        return rc;
    rc = parse_stream(t, in, path, specials, e);
    stream_close(in);
    return rc;
}

int tokenizer_parse(struct tokenizer **t, struct str bytes, const char *name,
                    enum tokenizer_specials specials, struct err *e)
{
    struct stream *in;
    int rc = stream_open_memory(&in, bytes, name, e);

    *t = NULL;
    if (rc)
        return rc;
    rc = parse_stream(t, in, name, specials, e);
    stream_close(in);
    return rc;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    vocabulary_release(&t->v);
    free(t);
}

int tokenizer_vocab(const struct tokenizer *t)
{
    return (int)t->v.n + PIECES_SPECIALS;
}

int32_t tokenizer_sot(const struct tokenizer *t)
{
    return (int32_t)t->v.n;
}

int32_t tokenizer_eot(const struct tokenizer *t)
{
    return (int32_t)t->v.n + 1;
}

struct str tokenizer_bytes(const struct tokenizer *t)
{
    return buf_str(&t->v.file);
}

const char *tokenizer_sha256(const struct tokenizer *t)
{
    return t->v.sha256;
}

/* ---- encode ---- */

void tokenizer_scratch_init(struct tokenizer_scratch *s)
{
    *s = (struct tokenizer_scratch){0};
    clean_init(&s->clean);
    merge_init(&s->merge);
}

void tokenizer_scratch_release(struct tokenizer_scratch *s)
{
    clean_release(&s->clean);
    merge_release(&s->merge);
    free(s->ids);
    free(s->cache);
    *s = (struct tokenizer_scratch){0};
}

/* A piece has at most an id for each of its bytes. */
static int reserve(struct tokenizer_scratch *s, size_t ids)
{
    int32_t *grown;
    size_t cap = ids * 2;

    if (!s->cache) {
        s->cache = aligned_alloc(sizeof *s->cache, sizeof *s->cache);
        if (!s->cache)
            return -E_NOMEM;
        /* one page, where there are such: looks at it are all over the place */
        madvise(s->cache, sizeof *s->cache, MADV_HUGEPAGE);
        memset(s->cache, 0, sizeof *s->cache);
    }
    if (ids <= s->cap)
        return 0;
    grown = realloc(s->ids, cap * sizeof *grown);
    if (!grown)
        return -E_NOMEM;
    s->ids = grown;
    s->cap = cap;
    return 0;
}

/* The bytes of a short piece as numbers; CLEAN_SLACK lets it read on. */
static void key_of(struct str piece, uint64_t key[2])
{
    static const unsigned char ones[2 * CACHE_KEY_MAX] = {
        255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t mask[2];

    memcpy(mask, ones + CACHE_KEY_MAX - piece.n, sizeof mask);
    memcpy(key, piece.p, sizeof mask);
    key[0] &= mask[0];
    key[1] &= mask[1];
}

/* Where to look says nothing about what is found, so a hash of two products
 * does; XXH3 takes longer than the rest of a hit. */
static uint32_t hash_of(const uint64_t key[2])
{
    uint64_t h = key[0] * UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ h >> 32 ^ key[1]) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)((h ^ h >> 29) >> 32);
}

static void keep(struct cached *set, unsigned first, const uint64_t key[2],
                 size_t bytes, const int32_t *ids, size_t n)
{
    struct cached *c = &set[first];

    for (unsigned i = CACHE_WAYS - 1; i; i--)
        set[i ^ first] = set[(i - 1) ^ first];
    memcpy(c->key, key, sizeof c->key);
    memcpy(c->id, ids, n * sizeof *ids);
    c->bytes = (uint8_t)bytes;
    c->ids = (uint8_t)n;
}

/* A piece on its way: the memory of its set is asked for when it is cut, and
 * looked at when some more have been, for that is what takes the time. */
struct due {
    struct str piece;
    int special;        /* or -1 */
    uint64_t key[2];    /* of a short piece */
    struct cached *set; /* for it, NULL for others */
    unsigned first;     /* where to begin in it: 0 or 2 */
};

static bool next_due(struct pieces *cut, struct tokenizer_cache *cache,
                     struct due *d)
{
    uint32_t hash;

    if (!pieces_next(cut, &d->piece, &d->special))
        return false;
    d->set = NULL;
    if (d->special < 0 && d->piece.n <= CACHE_KEY_MAX) {
        key_of(d->piece, d->key);
        hash = hash_of(d->key);
        d->set = cache->sets[hash % CACHE_SETS];
        d->first = hash >> 31 << 1;
        __builtin_prefetch(&d->set[d->first]);
    }
    return true;
}

/* Append its ids. */
static int add_piece(const struct tokenizer *t, struct tokenizer_scratch *s,
                     const struct due *d)
{
    struct str piece = d->piece;
    int32_t *to = s->ids + s->n;
    size_t n = s->n;
    int rc;

    if (d->special >= 0) {
        s->ids[s->n++] = tokenizer_sot(t) + d->special;
        return 0;
    }
    if (!d->set)
        return merge_piece(&s->merge, &t->v, piece, s->ids, &s->n);
    for (unsigned i = 0; i < CACHE_WAYS; i++) {
        const struct cached *c = &d->set[i ^ d->first];

        if (c->key[0] != d->key[0] || c->key[1] != d->key[1] ||
            c->bytes != piece.n)
            continue;
        memcpy(to, c->id, sizeof c->id);
        s->n += c->ids;
        return 0;
    }
    rc = merge_piece(&s->merge, &t->v, piece, s->ids, &s->n);
    n = s->n - n;
    if (!rc && n <= CACHE_IDS_MAX)
        keep(d->set, d->first, d->key, piece.n, to, n);
    return rc;
}

/* Ids until the text ends, or there are `enough`. */
static int encode(const struct tokenizer *t, struct tokenizer_scratch *s,
                  struct str text, size_t enough)
{
    struct pieces cut = {.specials = {t->specials[0], t->specials[1]}};
    struct due due[DUE_MAX];
    size_t n = DUE_MAX;
    int rc;

    s->n = 0;
    s->garbled = false;
    if (text.n > TOKENIZER_TEXT_MAX)
        return -E_TOOBIG;
    rc = clean_text(&s->clean, text, &cut.text);
    if (!rc)
        rc = reserve(s, cut.text.n + CACHE_IDS_MAX);
    s->garbled = s->clean.garbled;
    while (!rc && n == DUE_MAX && s->n < enough) {
        for (n = 0; n < DUE_MAX && next_due(&cut, s->cache, &due[n]);)
            n++;
        for (size_t i = 0; !rc && i < n; i++)
            rc = add_piece(t, s, &due[i]);
    }
    if (rc)
        s->n = 0;
    return rc;
}

int tokenizer_encode(const struct tokenizer *t, struct tokenizer_scratch *s,
                     struct str text)
{
    return encode(t, s, text, SIZE_MAX);
}

int tokenizer_caption(const struct tokenizer *t, struct tokenizer_scratch *s,
                      struct str text, int context, int32_t *ids)
{
    size_t n, room = (size_t)context - 2;
    int rc;

    assert(context >= 2);
    rc = encode(t, s, text, room);
    n = s->n < room ? s->n : room;
    ids[0] = tokenizer_sot(t);
    if (n)
        memcpy(ids + 1, s->ids, n * sizeof *ids);
    ids[n + 1] = tokenizer_eot(t);
    memset(ids + n + 2, 0, (room - n) * sizeof *ids);
    return rc ? rc : (int)n + 2;
}

/* ---- decode ---- */

/* Python writes </w> behind words and makes it a space at last: also where a
 * text spells it. */
static void put_words(struct str s, struct buf *out)
{
    size_t at = 0;

    while (at < s.n) {
        size_t end = str_find(s, STR("</w>"), at);
        bool word = end != SIZE_MAX;

        end = word ? end : s.n;
        while (at < end) {
            uint32_t cp = utf8_next(str_make(s.p, end), &at);

            fold_put(cp == UTF8_BAD ? 0xfffd : cp, out);
        }
        if (word) {
            buf_add_char(out, ' ');
            at += strlen("</w>");
        }
    }
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                     struct buf *out)
{
    struct buf bytes;
    int rc = 0;

    buf_init(&bytes, BUF_NO_LIMIT); /* n tokens, of bounded length */
    for (size_t i = 0; !rc && i < n; i++) {
        uint32_t id = (uint32_t)ids[i];

        if (id < t->v.n) {
            buf_add(&bytes, vocabulary_token(&t->v, id));
            if (t->v.ends[id])
                buf_add(&bytes, STR("</w>"));
        } else if (id < t->v.n + PIECES_SPECIALS) {
            buf_add(&bytes, t->specials[id - t->v.n]);
        } else {
            rc = -E_RANGE;
        }
    }
    rc = rc ? rc : bytes.rc;
    if (!rc)
        put_words(buf_str(&bytes), out);
    buf_release(&bytes);
    return rc ? rc : out->rc;
}
