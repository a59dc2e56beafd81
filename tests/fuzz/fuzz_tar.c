/* Foreign tars and indexes: whatever the bytes, no crash, no endless loop,
 * and what is given lies within bounds. */
#include <assert.h>

#include "shards/index.h"
#include "shards/tar_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_samples(struct str in)
{
    static const char *const load[] = {"json", "txt", NULL};
    const struct tar_sample *sample;
    struct tar_samples s;
    struct tar_reader r;
    volatile unsigned sum = 0;
    bool more;

    if (tar_reader_open_memory(&r, in, "fuzz", 1 << 20, NULL))
        return;
    tar_samples_init(&s, &r, load, 1 << 16);
    while (!tar_samples_next(&s, &sample, &more, NULL) && more) {
        assert(sample->n <= TAR_SAMPLE_MEMBERS);
        for (unsigned i = 0; i < sample->n; i++) {
            struct str d = tar_samples_data(&s, &sample->v[i]);

            assert(!sample->v[i].loaded || d.n == sample->v[i].size);
            for (size_t k = 0; k < d.n; k++)
                sum += (unsigned char)d.p[k]; /* all of it is readable */
        }
    }
    (void)sum;
    tar_samples_release(&s);
    tar_reader_close(&r);
}

static void read_index(struct str in)
{
    struct index_entry entry;
    struct index x;
    struct buf b;

    buf_init(&b, BUF_NO_LIMIT);
    buf_add(&b, in);
    if (index_parse(&x, &b, "fuzz", NULL))
        return;
    for (uint64_t i = 0; i < x.n; i++) {
        index_get(&x, i, &entry);
        assert(entry.image_offset + entry.image_size <= x.tar_size);
        assert(entry.key.n <= 0xffff);
    }
    index_release(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);

    read_samples(in);
    read_index(in);
    return 0;
}
