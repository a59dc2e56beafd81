#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define ARENA_BLOCK_MIN ((size_t)64 << 10)
#define ARENA_ALIGN     ((size_t)16)

struct arena_block {
    struct arena_block *older;
    size_t size; /* bytes in data */
    alignas(16) char data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max = max_bytes};
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;

    /* The newest block is the largest: keep that one. */
    if (!b)
        return;
    for (struct arena_block *o = b->older, *next; o; o = next) {
        next = o->older;
        free(o);
    }
    b->older = NULL;
    a->used = 0;
    a->total = b->size;
}

void arena_release(struct arena *a)
{
    arena_reset(a);
    free(a->head);
    *a = (struct arena){.max = a->max};
}

static struct arena_block *block_new(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : ARENA_BLOCK_MIN;
    struct arena_block *b;

    if (a->total >= a->max || need > a->max - a->total)
        return NULL;
    if (size > a->max - a->total)
        size = a->max - a->total;
    if (size < need)
        size = need;
    b = malloc(sizeof *b + size);
    if (!b)
        return NULL;
    b->older = a->head;
    b->size = size;
    a->head = b;
    a->used = 0;
    a->total += size;
    return b;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
    size_t need;
    void *p;

    if (size_bytes > SIZE_MAX / 2)
        return NULL;
    need = (size_bytes + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN;
    if ((!a->head || need > a->head->size - a->used) && !block_new(a, need))
        return NULL;
    p = a->head->data + a->used;
    a->used += need;
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (!p)
        return STR_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return str_make(p, s.n);
}
