#include "base/stream_bunzip.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_BYTES  ((size_t)256 << 10)
#define CARRY_BYTES (BZIP2_PIECE + READ_BYTES)
#define STEP_MAX    ((size_t)1 << 30) /* libbz2 counts in 32 bits */
#define WAKE_MS     200               /* a reader that closes waits so long */

/* ---- one after the other ---- */

static unsigned step_size(size_t n)
{
    return (unsigned)(n < STEP_MAX ? n : STEP_MAX);
}

enum bunzip_end bunzip_step(struct bunzip *z, const char *in, size_t n,
                            size_t *used, void *out, size_t room, size_t *got)
{
    int rc;

    *used = *got = 0;
    if (!z->open) {
        if (n == 0)
            return BUNZIP_MORE;
        if (*in != 'B')
            return BUNZIP_GARBAGE;
        memset(&z->bz, 0, sizeof z->bz);
        if (BZ2_bzDecompressInit(&z->bz, 0, 0) != BZ_OK)
            return BUNZIP_NOMEM;
        z->open = true;
    }
    z->bz.next_in = (char *)(uintptr_t)in; /* it only reads there */
    z->bz.avail_in = step_size(n);
    z->bz.next_out = out;
    z->bz.avail_out = step_size(room);
    rc = BZ2_bzDecompress(&z->bz);
    *used = step_size(n) - z->bz.avail_in;
    *got = step_size(room) - z->bz.avail_out;
    if (rc == BZ_STREAM_END)
        bunzip_release(z);
    return rc == BZ_OK || rc == BZ_STREAM_END ? BUNZIP_MORE : BUNZIP_DAMAGED;
}

void bunzip_release(struct bunzip *z)
{
    if (z->open)
        BZ2_bzDecompressEnd(&z->bz);
    z->open = false;
}

/* ---- pieces ---- */

struct piece {
    bool done;       /* the reader may have it */
    bool starts;     /* it looks like the beginning of a stream */
    bool last;       /* no input is behind it */
    int error;       /* errno of the read() behind it */
    uint64_t offset; /* of its input */
    char *in;        /* [BZIP2_PIECE] */
    size_t in_n;
    /* What a thread made of it. */
    struct bunzip *z;
    size_t used;
    enum bunzip_end end;
    char *out;
    size_t out_n, out_cap;
};

/*
 * A ring: pieces [served, taken) are with threads or done.  Whoever fills one
 * holds `input` from taking its number to the end of reading, so that numbers
 * follow the input.
 */
struct bzip2_pool {
    struct piece *pieces;
    unsigned n_pieces;
    pthread_t *ids;
    unsigned n_threads;

    pthread_mutex_t input; /* guards what follows */
    int fd;
    bool eof;
    bool next_starts;
    uint64_t offset; /* of carry */
    char *carry;     /* [CARRY_BYTES] */
    size_t carry_at; /* there begins what is read, but in no piece yet, */
    size_t carry_n;  /* so many bytes, a piece's at most */

    pthread_mutex_t lock; /* guards what follows, and every piece's done */
    pthread_cond_t freed, done;
    uint64_t taken, served;
    bool stop;

    /* The reader's. */
    bool entered; /* the piece `served` is being read */
    struct bunzip *z;
    size_t used;   /* of its input */
    size_t out_at; /* of its output */
    enum bunzip_end end;
    uint64_t position;
    bool over;
};

/* The first beginning of a stream in s at or behind `from`, or SIZE_MAX. */
static size_t find_start(struct str s, size_t from)
{
    /* The 48 bits of pi that open a block, behind "BZh" and the block size. */
    size_t at = from + 4;

    while ((at = str_find(s, STR("1AY&SY"), at)) != SIZE_MAX) {
        const char *p = s.p + at - 4;

        if (!memcmp(p, "BZh", 3) && p[3] >= '1' && p[3] <= '9')
            return at - 4;
        at++;
    }
    return SIZE_MAX;
}

static bool stopped(struct bzip2_pool *p)
{
    bool stop;

    pthread_mutex_lock(&p->lock);
    stop = p->stop;
    pthread_mutex_unlock(&p->lock);
    return stop;
}

/* More input to[n), or eof.  Looks up now and then: on a pipe that stays
 * silent, read() alone would hold up whoever closes. */
static size_t pull(struct bzip2_pool *p, char *to, size_t n, int *error)
{
    struct pollfd ready = {.fd = p->fd, .events = POLLIN};
    ssize_t got = 0;

    while (p->fd >= 0 && !stopped(p)) {
        if (poll(&ready, 1, WAKE_MS) == 0)
            continue;
        got = read(p->fd, to, n);
        if (got >= 0 || errno != EINTR)
            break;
    }
    if (got < 0)
        *error = errno;
    p->eof = got <= 0;
    return got > 0 ? (size_t)got : 0;
}

/* More behind what is carried, in one stretch: moved to the front only when
 * there is no room behind it, so that pieces of a few bytes each do not move
 * all the others again and again. */
static void fill_carry(struct bzip2_pool *p, int *error)
{
    size_t room = BZIP2_PIECE - p->carry_n;

    if (room > READ_BYTES)
        room = READ_BYTES;
    if (p->carry_at + p->carry_n + room > CARRY_BYTES) {
        memmove(p->carry, p->carry + p->carry_at, p->carry_n);
        p->carry_at = 0;
    }
    p->carry_n += pull(p, p->carry + p->carry_at + p->carry_n, room, error);
}

/* The next piece: to where a stream seems to begin, or full.  What is behind
 * that, and what might be half of a beginning, stays to be carried over. */
static void read_piece(struct bzip2_pool *p, struct piece *x)
{
    const size_t magic = 10;
    size_t cut = SIZE_MAX, searched;

    x->offset = p->offset;
    x->starts = p->next_starts;
    x->error = 0;
    searched = x->starts ? 1 : 0;
    for (;;) {
        cut =
            find_start(str_make(p->carry + p->carry_at, p->carry_n), searched);
        if (cut == 0) { /* half of it ended the piece before */
            x->starts = true;
            searched = 1;
            continue;
        }
        if (cut != SIZE_MAX || p->eof || p->carry_n == BZIP2_PIECE)
            break;
        if (p->carry_n > magic)
            searched = p->carry_n - magic + 1;
        fill_carry(p, &x->error);
    }
    p->next_starts = cut != SIZE_MAX;
    if (cut == SIZE_MAX)
        cut = p->eof ? p->carry_n : p->carry_n - magic + 1;
    memcpy(x->in, p->carry + p->carry_at, cut);
    x->in_n = cut;
    p->carry_at += cut;
    p->carry_n -= cut;
    p->offset += cut;
    x->last = p->eof && p->carry_n == 0;
}

static bool grow(struct piece *x)
{
    size_t cap = x->out_cap ? 2 * x->out_cap : (size_t)1 << 20;
    char *out;

    if (x->out_n < x->out_cap)
        return true;
    out = realloc(x->out, cap);
    if (!out)
        return false;
    x->out = out;
    x->out_cap = cap;
    return true;
}

/* A thread's part: all of the piece, or as much as may lie about. */
static void decode(struct piece *x)
{
    size_t used, got;

    x->used = x->out_n = 0;
    x->end = BUNZIP_MORE;
    while (x->starts && x->end == BUNZIP_MORE && x->out_n < BZIP2_AHEAD) {
        if (!grow(x)) {
            x->end = BUNZIP_NOMEM;
            break;
        }
        x->end = bunzip_step(x->z, x->in + x->used, x->in_n - x->used, &used,
                             x->out + x->out_n, x->out_cap - x->out_n, &got);
        x->used += used;
        x->out_n += got;
        if (!used && !got)
            break;
    }
}

/* The piece to fill next, once there is room; NULL when there is nothing more
 * to do.  With `input` held. */
static struct piece *take(struct bzip2_pool *p)
{
    struct piece *x = NULL;

    pthread_mutex_lock(&p->lock);
    while (!p->stop && p->taken - p->served == p->n_pieces)
        pthread_cond_wait(&p->freed, &p->lock);
    if (!p->stop && !(p->eof && p->carry_n == 0 && p->taken > 0)) {
        x = &p->pieces[p->taken % p->n_pieces];
        x->done = false;
        p->taken++;
    }
    pthread_mutex_unlock(&p->lock);
    return x;
}

static void *worker(void *arg)
{
    struct bzip2_pool *p = arg;

    for (;;) {
        struct piece *x;

        pthread_mutex_lock(&p->input);
        x = take(p);
        if (x)
            read_piece(p, x);
        pthread_mutex_unlock(&p->input);
        if (!x)
            return NULL;
        decode(x);
        pthread_mutex_lock(&p->lock);
        x->done = true;
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

/* ---- the reader ---- */

/* Wait for the next piece.  If it begins a stream and we are in none, what the
 * thread made of it counts; else it is so much more input. */
static struct piece *enter(struct bzip2_pool *p)
{
    struct piece *x = &p->pieces[p->served % p->n_pieces];

    if (p->entered)
        return x;
    pthread_mutex_lock(&p->lock);
    while (p->taken == p->served || !x->done)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    p->entered = true;
    p->used = p->out_at = 0;
    p->end = BUNZIP_MORE;
    if (x->starts && !p->z->open) {
        struct bunzip *mine = p->z;

        p->z = x->z;
        x->z = mine;
        p->used = x->used;
        p->end = x->end;
    } else {
        bunzip_release(x->z);
        x->out_n = 0;
    }
    return x;
}

static void leave(struct bzip2_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->served++;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
    p->entered = false;
}

/* All of piece x is used up. */
static void at_end(struct bzip2_pool *p, const struct piece *x)
{
    if (x->error) {
        errno = x->error;
        p->end = BUNZIP_IO;
    } else if (x->last) {
        p->end = p->z->open ? BUNZIP_CUT : BUNZIP_MORE;
        p->over = true;
    } else {
        leave(p);
    }
}

enum bunzip_end bzip2_pool_read(struct bzip2_pool *p, void *out, size_t room,
                                size_t *got)
{
    *got = 0;
    while (!p->over) {
        struct piece *x = enter(p);
        size_t ready = x->out_n - p->out_at, used;

        p->position = x->offset + p->used;
        if (ready) {
            *got = ready < room ? ready : room;
            memcpy(out, x->out + p->out_at, *got);
            p->out_at += *got;
            return BUNZIP_MORE;
        }
        if (p->end != BUNZIP_MORE) {
            p->over = true;
            break;
        }
        p->end = bunzip_step(p->z, x->in + p->used, x->in_n - p->used, &used,
                             out, room, got);
        p->used += used;
        p->position += used;
        if (*got)
            return BUNZIP_MORE;
        if (!used && p->end == BUNZIP_MORE)
            at_end(p, x);
    }
    return p->end;
}

uint64_t bzip2_pool_position(const struct bzip2_pool *p)
{
    return p->position;
}

/* ---- open and close ---- */

struct bzip2_pool *bzip2_pool_open(struct str first, int fd, unsigned threads)
{
    struct bzip2_pool *p = xcalloc(1, sizeof *p);

    assert(first.n <= READ_BYTES);
    p->n_pieces = threads + threads / 2 + 2;
    p->pieces = xcalloc(p->n_pieces, sizeof *p->pieces);
    for (unsigned i = 0; i < p->n_pieces; i++) {
        p->pieces[i].in = xmalloc(BZIP2_PIECE);
        p->pieces[i].z = xcalloc(1, sizeof *p->z);
    }
    p->z = xcalloc(1, sizeof *p->z);
    p->ids = xcalloc(threads, sizeof *p->ids);
    p->carry = xmalloc(CARRY_BYTES);
    memcpy(p->carry, first.p, first.n);
    p->carry_n = first.n;
    p->next_starts = true;
    p->fd = fd;
    p->eof = fd < 0;
    pthread_mutex_init(&p->input, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->freed, NULL);
    pthread_cond_init(&p->done, NULL);
    while (p->n_threads < threads &&
           !pthread_create(&p->ids[p->n_threads], NULL, worker, p))
        p->n_threads++;
    if (p->n_threads)
        return p;
    bzip2_pool_close(p);
    return NULL;
}

void bzip2_pool_close(struct bzip2_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->freed);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->input);
    for (unsigned i = 0; i < p->n_pieces; i++) {
        bunzip_release(p->pieces[i].z);
        free(p->pieces[i].z);
        free(p->pieces[i].in);
        free(p->pieces[i].out);
    }
    bunzip_release(p->z);
    free(p->z);
    free(p->pieces);
    free(p->ids);
    free(p->carry);
    free(p);
}
