/* A record that is accepted is written as one that reads back the same; texts
 * that can be stored are stored as they would be again. */
#include "base/pair.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct buf one, two;
    struct arena a;
    struct pair p;

    /* The first byte makes the arena small now and then. */
    arena_init(&a, size && data[0] == ' ' ? 512 : (size_t)1 << 22);
    buf_init(&one, 1 << 24);
    buf_init(&two, 1 << 24);
    if (pair_read(in, &a, &p, NULL) == 0) {
        for (uint32_t i = 1; i < p.n_q; i++)
            if (p.q[i] <= p.q[i - 1])
                abort();
        pair_write(&p, &one);
        arena_release(&a);
        arena_init(&a, 1 << 24);
        if (pair_read(buf_str(&one), &a, &p, NULL))
            abort();
        pair_write(&p, &two);
        if (!str_eq(buf_str(&one), buf_str(&two)))
            abort();
    }
    if (!pair_text(in, &one)) {
        if (one.n == 0 || one.n > PAIR_TEXT_MAX ||
            pair_text(buf_str(&one), &two) ||
            !str_eq(buf_str(&one), buf_str(&two)))
            abort();
    }
    buf_release(&one);
    buf_release(&two);
    arena_release(&a);
    return 0;
}
