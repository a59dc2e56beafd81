#include "train/tokenizer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/stream.h"
#include "base/utf8.h"
#include "train/merge.h"
#include "train/pieces.h"
#include "train/vocabulary.h"

#define CACHE_SETS    (1u << 14) /* two pieces each */
#define CACHE_KEY_MAX 32         /* bytes of a piece that is kept */
#define CACHE_IDS_MAX 6          /* ids of one */

/* One cache line. */
struct cached {
    uint32_t tag;       /* of the hash */
    uint8_t bytes, ids; /* in use; no bytes: empty */
    char key[CACHE_KEY_MAX];
    int32_t id[CACHE_IDS_MAX];
};

struct tokenizer_cache {
    struct cached sets[CACHE_SETS][2]; /* the later one first */
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
        s->cache = aligned_alloc(64, sizeof *s->cache);
        if (!s->cache)
            return -E_NOMEM;
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

static bool is_cached(const struct cached *c, uint32_t tag, struct str piece)
{
    return c->tag == tag && c->bytes == piece.n &&
           !memcmp(c->key, piece.p, piece.n);
}

static void keep(struct cached *set, uint32_t tag, struct str piece,
                 const int32_t *ids, size_t n)
{
    set[1] = set[0];
    set[0].tag = tag;
    set[0].bytes = (uint8_t)piece.n;
    set[0].ids = (uint8_t)n;
    memcpy(set[0].key, piece.p, piece.n);
    memcpy(set[0].id, ids, n * sizeof *ids);
}

/* Append the ids of a piece. */
static int add_piece(const struct tokenizer *t, struct tokenizer_scratch *s,
                     struct str piece)
{
    int32_t *to = s->ids + s->n;
    struct cached *set;
    uint64_t hash;
    size_t n;
    int rc;

    if (piece.n > CACHE_KEY_MAX)
        return merge_piece(&s->merge, &t->v, piece, s->ids, &s->n);
    hash = hash_xxh3(piece);
    set = s->cache->sets[hash % CACHE_SETS];
    for (int i = 0; i < 2; i++) {
        if (!is_cached(&set[i], (uint32_t)(hash >> 32), piece))
            continue;
        memcpy(to, set[i].id, sizeof set[i].id);
        s->n += set[i].ids;
        return 0;
    }
    n = s->n;
    rc = merge_piece(&s->merge, &t->v, piece, s->ids, &s->n);
    n = s->n - n;
    if (!rc && n <= CACHE_IDS_MAX)
        keep(set, (uint32_t)(hash >> 32), piece, to, n);
    return rc;
}

/* Ids until the text ends, or there are `enough`. */
static int encode(const struct tokenizer *t, struct tokenizer_scratch *s,
                  struct str text, size_t enough)
{
    struct pieces cut = {.specials = {t->specials[0], t->specials[1]}};
    struct str piece;
    int special, rc;

    s->n = 0;
    s->garbled = false;
    if (text.n > TOKENIZER_TEXT_MAX)
        return -E_TOOBIG;
    rc = clean_text(&s->clean, text, &cut.text);
    if (!rc)
        rc = reserve(s, cut.text.n + CACHE_IDS_MAX);
    s->garbled = s->clean.garbled;
    while (!rc && s->n < enough && pieces_next(&cut, &piece, &special)) {
        if (special >= 0)
            s->ids[s->n++] = tokenizer_sot(t) + special;
        else
            rc = add_piece(t, s, piece);
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
            char *to = buf_reserve(out, UTF8_MAX);

            if (to)
                out->n += utf8_put(to, cp == UTF8_BAD ? 0xfffd : cp);
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
