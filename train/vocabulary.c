#include "train/vocabulary.h"

#include <stdlib.h>

#include "base/fold.h"
#include "base/utf8.h"
#include "train/tokenizer.h"

#define WORD_END     "</w>"
#define HEAD_OURS    "#witmill-vocabulary "
#define HEAD_VERSION 1
#define HEAD_THEIRS  "#version: 0.2"
#define CHARS        0x144 /* code points that stand for bytes lie below */

/* ---- bytes as characters ---- */

/* Printable characters of Latin 1 stand for themselves. */
static bool stands_for_itself(unsigned b)
{
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
}

/* The others are the code points from U+0100 on, in the order of bytes; ids
 * follow code points. */
struct alphabet {
    uint16_t cp[256];    /* of a byte */
    int16_t byte[CHARS]; /* of a code point, -1: none */
    uint8_t id[256];     /* of a byte */
};

static void alphabet_make(struct alphabet *a)
{
    unsigned next = 0x100, id = 0;

    for (unsigned b = 0; b < 256; b++)
        a->cp[b] = (uint16_t)(stands_for_itself(b) ? b : next++);
    for (unsigned cp = 0; cp < CHARS; cp++)
        a->byte[cp] = -1;
    for (unsigned b = 0; b < 256; b++)
        a->byte[a->cp[b]] = (int16_t)b;
    for (unsigned cp = 0; cp < CHARS; cp++)
        if (a->byte[cp] >= 0)
            a->id[a->byte[cp]] = (uint8_t)id++;
}

static void put_token(const struct alphabet *a, struct str bytes, bool ends,
                      struct buf *out)
{
    for (size_t i = 0; i < bytes.n; i++)
        fold_put(a->cp[(unsigned char)bytes.p[i]], out);
    if (ends)
        buf_add(out, STR(WORD_END));
}

void vocabulary_head(uint32_t ids, struct buf *out)
{
    buf_addf(out, HEAD_OURS "%d %u\n", HEAD_VERSION, ids);
}

void vocabulary_line(struct str left, struct str right, bool ends,
                     struct buf *out)
{
    struct alphabet a;

    alphabet_make(&a);
    put_token(&a, left, false, out);
    buf_add_char(out, ' ');
    put_token(&a, right, ends, out);
    buf_add_char(out, '\n');
}

/* ---- tokens while a file is read ---- */

struct reading {
    struct vocabulary *v;
    struct alphabet alphabet;
    const char *name;               /* of the file */
    uint64_t line;                  /* in hand, from 1 */
    uint32_t *slots;                /* ids + 1 by hash of the token, 0: empty */
    uint32_t mask;                  /* slots - 1 */
    char left[TOKENIZER_TOKEN_MAX]; /* bytes of the tokens in hand */
    char right[TOKENIZER_TOKEN_MAX];
};

static uint32_t *slot_of(struct reading *r, struct str bytes, bool ends)
{
    uint32_t at = (uint32_t)hash_xxh3_seeded(bytes, ends) & r->mask;

    for (; r->slots[at]; at = (at + 1) & r->mask) {
        uint32_t id = r->slots[at] - 1;

        if (r->v->ends[id] == ends && str_eq(vocabulary_token(r->v, id), bytes))
            break;
    }
    return &r->slots[at];
}

/* A token that is not there yet; false when it is. */
static bool add_token(struct reading *r, struct str a, struct str b, bool ends)
{
    struct vocabulary *v = r->v;
    uint32_t *begin = v->begin + v->n;
    struct str both;
    uint32_t *slot;

    if (a.n)
        memcpy(v->bytes + begin[0], a.p, a.n);
    if (b.n)
        memcpy(v->bytes + begin[0] + a.n, b.p, b.n);
    both = str_make(v->bytes + begin[0], a.n + b.n);
    slot = slot_of(r, both, ends);
    if (*slot)
        return false;
    begin[1] = begin[0] + (uint32_t)both.n;
    v->ends[v->n] = ends;
    *slot = ++v->n;
    return true;
}

static int wrong(const struct reading *r, const char *why, struct err *e)
{
    return err_set(e, E_FORMAT, "%s:%llu: %s", r->name,
                   (unsigned long long)r->line, why);
}

/* The bytes that s spells, into out[TOKENIZER_TOKEN_MAX]. */
static int spelled(struct reading *r, struct str s, char *out,
                   struct str *bytes, bool *ends, struct err *e)
{
    size_t at = 0, n = 0;

    *ends = s.n > strlen(WORD_END) && str_ends(s, STR(WORD_END));
    if (*ends)
        s.n -= strlen(WORD_END);
    while (at < s.n) {
        uint32_t cp = utf8_next(s, &at);

        if (cp >= CHARS || r->alphabet.byte[cp] < 0)
            return wrong(r, "a character that stands for no byte", e);
        if (n == TOKENIZER_TOKEN_MAX)
            return wrong(r, "a token is too long", e);
        out[n++] = (char)r->alphabet.byte[cp];
    }
    *bytes = str_make(out, n);
    return 0;
}

static void add_pair(struct vocabulary *v, uint32_t left, uint32_t right,
                     uint32_t merged)
{
    uint32_t at = vocabulary_hash(left, right) & v->mask;

    while (v->pairs[at].merged)
        at = (at + 1) & v->mask;
    v->pairs[at] = (struct vocabulary_pair){left, right, merged};
}

/* "LEFT RIGHT" */
static int read_merge(struct reading *r, struct str line, struct err *e)
{
    struct str right = line, left, a, b;
    bool a_ends, b_ends;
    uint32_t *known;
    uint32_t a_id, b_id;
    int rc;

    if (!str_split(&right, ' ', &left) || !left.n || !right.p || !right.n)
        return wrong(r, "not two tokens and a space", e);
    rc = spelled(r, left, r->left, &a, &a_ends, e);
    if (!rc)
        rc = spelled(r, right, r->right, &b, &b_ends, e);
    if (rc)
        return rc;
    if (a_ends)
        return wrong(r, "the first token ends a word", e);
    if (a.n + b.n > TOKENIZER_TOKEN_MAX)
        return wrong(r, "a token is too long", e);
    known = slot_of(r, a, false);
    a_id = *known - 1;
    if (!*known)
        return wrong(r, "the first token is not known before", e);
    known = slot_of(r, b, b_ends);
    b_id = *known - 1;
    if (!*known)
        return wrong(r, "the second token is not known before", e);
    if (!add_token(r, a, b, b_ends))
        return wrong(r, "makes a token that is there", e);
    add_pair(r->v, a_id, b_id, r->v->n - 1);
    return 0;
}

/* ---- a file ---- */

static bool next_line(struct reading *r, struct str *rest, struct str *line)
{
    if (!rest->n || !str_split(rest, '\n', line))
        return false;
    if (str_ends(*line, STR("\r")))
        line->n--;
    r->line++;
    return true;
}

/* How many ids the head line promises; *ours: that many and not a line more. */
static int read_head(struct reading *r, struct str head, uint32_t *ids,
                     bool *ours, struct err *e)
{
    struct str field;
    uint64_t number;

    *ours = str_starts(head, STR(HEAD_OURS));
    *ids = TOKENIZER_PUBLISHED;
    if (!*ours) {
        if (str_find(head, STR(HEAD_THEIRS), 0) == SIZE_MAX)
            return wrong(r, "no head line of a vocabulary", e);
        return 0;
    }
    head = str_slice(head, strlen(HEAD_OURS), head.n);
    if (!str_split(&head, ' ', &field) || str_u64(field, &number))
        return wrong(r, "no version in the head line", e);
    if (number != HEAD_VERSION)
        return err_set(e, E_VERSION, "%s: version %llu of a vocabulary",
                       r->name, (unsigned long long)number);
    if (!head.p || str_u64(head, &number))
        return wrong(r, "no size in the head line", e);
    if (number > TOKENIZER_VOCAB_MAX)
        return err_set(e, E_TOOBIG, "%s: %llu ids, %u at most", r->name,
                       (unsigned long long)number, TOKENIZER_VOCAB_MAX);
    if (number < TOKENIZER_BYTES + 2)
        return wrong(r, "fewer ids than bytes and specials take", e);
    *ids = (uint32_t)number;
    return 0;
}

/* Room for what the head promises: a token is never longer than its line. */
static int reserve(struct reading *r, uint32_t tokens, size_t file_bytes,
                   struct err *e)
{
    struct vocabulary *v = r->v;
    size_t slots = 1024;

    while (slots < 2 * (size_t)tokens)
        slots *= 2;
    v->bytes = malloc(file_bytes + TOKENIZER_BYTES);
    v->begin = calloc((size_t)tokens + 1, sizeof *v->begin);
    v->ends = calloc(tokens, sizeof *v->ends);
    v->pairs = calloc(slots, sizeof *v->pairs);
    v->mask = r->mask = (uint32_t)slots - 1;
    r->slots = calloc(slots, sizeof *r->slots);
    if (!v->bytes || !v->begin || !v->ends || !v->pairs || !r->slots)
        return err_set(e, E_NOMEM, "%s: no memory for %u tokens", r->name,
                       tokens);
    return 0;
}

static void add_bytes(struct reading *r)
{
    for (int ends = 0; ends < 2; ends++) {
        for (unsigned cp = 0; cp < CHARS; cp++) {
            char c = (char)r->alphabet.byte[cp];

            if (r->alphabet.byte[cp] >= 0)
                add_token(r, str_make(&c, 1), STR_NONE, ends);
        }
    }
    for (unsigned b = 0; b < 256; b++)
        r->v->of_byte[b] = r->alphabet.id[b];
}

static int read_file(struct reading *r, struct str rest, struct err *e)
{
    struct vocabulary *v = r->v;
    size_t bytes = rest.n;
    uint32_t ids = 0, tokens;
    struct str line = STR_NONE;
    bool ours = false;
    int rc;

    next_line(r, &rest, &line);
    rc = read_head(r, line, &ids, &ours, e);
    tokens = ids - 2;
    if (!rc && (size_t)tokens - TOKENIZER_BYTES > rest.n / 4)
        rc = wrong(r, "fewer merges than the head line says", e);
    if (!rc)
        rc = reserve(r, tokens, bytes, e);
    if (rc)
        return rc;
    add_bytes(r);
    buf_init(&v->file, BUF_NO_LIMIT);
    vocabulary_head(ids, &v->file);
    while (!rc && v->n < tokens) {
        if (!next_line(r, &rest, &line))
            return wrong(r, "fewer merges than the head line says", e);
        rc = read_merge(r, line, e);
        buf_add(&v->file, line);
        buf_add_char(&v->file, '\n');
    }
    if (!rc && ours && rest.n)
        rc = wrong(r, "more merges than the head line says", e);
    return rc ? rc : v->file.rc;
}

int vocabulary_parse(struct vocabulary *v, struct str file, const char *name,
                     struct err *e)
{
    struct reading *r = calloc(1, sizeof *r);
    struct sha256 hash;
    int rc;

    *v = (struct vocabulary){0};
    if (!r)
        return err_set(e, E_NOMEM, "%s: no memory", name);
    r->v = v;
    r->name = name;
    alphabet_make(&r->alphabet);
    rc = file.n > TOKENIZER_FILE_MAX
             ? err_set(e, E_TOOBIG, "%s: more than %u bytes", name,
                       TOKENIZER_FILE_MAX)
             : read_file(r, file, e);
    if (!rc) {
        sha256_init(&hash);
        sha256_add(&hash, buf_str(&v->file));
        sha256_final_hex(&hash, v->sha256);
    } else {
        vocabulary_release(v);
    }
    free(r->slots);
    free(r);
    return rc;
}

void vocabulary_release(struct vocabulary *v)
{
    free(v->bytes);
    free(v->begin);
    free(v->ends);
    free(v->pairs);
    buf_release(&v->file);
    *v = (struct vocabulary){0};
}
