/* An evaluation set of any bytes: each sample's strings can be read, and
 * looked up in a set that was made of them. */
#include "filter/exclude.h"
#include "tools/against.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int add(void *ctx, const struct against_sample *s, struct err *e)
{
    struct exclude *x = ctx;
    struct exclude_scratch scratch;
    enum exclude_why why;
    const char *name;
    uint64_t texts = tally_get(&x->counts, "texts");
    int rc = exclude_add(x, s->name, s->url, s->texts, s->n_texts, e);

    if (rc)
        abort();
    if (s->name.n == 0 || s->n_texts > AGAINST_TEXTS_MAX)
        abort();
    if (tally_get(&x->counts, "texts") == texts)
        return 0;
    exclude_scratch_init(&scratch);
    for (size_t i = 0, found = 0; i < s->n_texts; i++) {
        if (exclude_find(x, &scratch, STR("none"), s->texts[i], &why, &name, e))
            abort();
        found += why == EXCLUDE_TEXT;
        if (i + 1 == s->n_texts && !found)
            abort();
    }
    exclude_scratch_release(&scratch);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("set", 0);
    struct err e = ERR_INIT;
    struct exclude x;
    struct tally skipped;
    char path[64];

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    exclude_open(&x, size % 4, 1 << 20);
    tally_init(&skipped);
    if (against_walk(path, true, add, &x, &skipped, &e) == -E_RANGE)
        abort();
    tally_release(&skipped);
    exclude_close(&x);
    close(fd);
    return 0;
}
