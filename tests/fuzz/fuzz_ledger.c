/* A ledger record that is accepted reads back as what it was written as. */
#include "base/arena.h"
#include "base/ledger.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledger l, again;
    struct buf one, two;
    struct arena a;

    arena_init(&a, 1 << 22);
    buf_init(&one, 1 << 22);
    buf_init(&two, 1 << 22);
    if (ledger_read(str_make((const char *)data, size), &a, &l, NULL) == 0) {
        ledger_write(&l, &one);
        if (ledger_read(buf_str(&one), &a, &again, NULL))
            abort();
        ledger_write(&again, &two);
        if (!str_eq(buf_str(&one), buf_str(&two)))
            abort();
    }
    buf_release(&one);
    buf_release(&two);
    arena_release(&a);
    return 0;
}
