/* sizes.json, by which open_clip knows how much there is to read. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/json.h"
#include "shards/verify_output.h"

#define SIZES_MAX ((size_t)1 << 30) /* bytes of sizes.json */

/* Samples that the sidecar of a shard counts; false when there is none. */
static bool shard_samples(struct verify_output *o, struct str tar,
                          uint64_t *samples)
{
    struct sidecar s;
    char name[STAGE_NAME_MAX];

    if (!str_ends(tar, STR(".tar")) || tar.n > 64)
        return false;
    snprintf(name, sizeof name, "shards/%.*s", (int)tar.n - 4, tar.p);
    if (sidecar_read(&s, o->corpus, name, NULL))
        return false;
    *samples = tally_get(&s.counts, "samples");
    sidecar_release(&s);
    return true;
}

static void check_entry(struct verify_output *o, struct str tar, uint64_t n)
{
    uint64_t samples;
    char place[96];

    snprintf(place, sizeof place, "%.*s", (int)(tar.n < 64 ? tar.n : 64),
             tar.p);
    if (!shard_samples(o, tar, &samples))
        verify_say(o, place,
                   "is listed, and no such shard is done: run "
                   "`witmill pack`");
    else if (samples != n)
        verify_say(o, place, "%llu samples listed, its sidecar counts %llu",
                   (unsigned long long)n, (unsigned long long)samples);
}

/* Shards on disk, sizes and other outputs left out. */
static uint64_t count_shards(struct verify_output *o)
{
    struct io_list names;
    uint64_t n = 0, number;

    if (sidecar_list(o->corpus, "shards", &names, NULL))
        return 0;
    for (size_t i = 0; i < names.n; i++)
        n += !str_u64(str_of(names.names[i]), &number);
    io_list_release(&names);
    return n;
}

void verify_sizes(struct verify_output *o, const char *path)
{
    struct arena arena;
    struct buf bytes;
    struct json j;
    struct str tar;
    struct err e = ERR_INIT;
    uint64_t listed = 0;

    buf_init(&bytes, SIZES_MAX);
    arena_init(&arena, 1 << 20);
    if (io_read_file(path, &bytes, &e)) {
        verify_say(o, "", "%s", e.message);
    } else {
        json_open(&j, buf_str(&bytes), &arena);
        json_object(&j);
        while (json_member(&j, &tar)) {
            uint64_t n = json_u64(&j);

            if (j.rc)
                break;
            check_entry(o, tar, n);
            listed++;
        }
        if (json_close(&j, &e))
            verify_say(o, "", "%s", e.message);
        else if (count_shards(o) > listed)
            verify_say(o, "", "lists %llu shards, %llu are there",
                       (unsigned long long)listed,
                       (unsigned long long)count_shards(o));
    }
    arena_release(&arena);
    buf_release(&bytes);
}
