#include "tools/against_images.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/image.h"
#include "base/jail.h"
#include "base/log.h"
#include "base/stage.h"
#include "tools/against.h"

#define OPTIONS_ARENA  ((size_t)1 << 16) /* bytes of strings with escapes */
#define IMAGE_SIZE_MAX 65500             /* as download's option has it */

struct reading {
    struct dedup_set *set;
    struct tally *counts;
    struct image_config config;
    struct image_result result;
    struct jail *jail;
    size_t waiting; /* images in the jail */
};

static bool hex_bytes(struct str s, uint8_t *out, size_t n)
{
    if (s.n != 2 * n)
        return false;
    memset(out, 0, n);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int v = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;

        if (v < 0)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | v);
    }
    return true;
}

/* An answer of the jail goes to the image that it was asked for. */
static int take(struct reading *r, struct err *e)
{
    struct jail_done done;
    struct dedup_set_image *to;

    if (!jail_wait(r->jail, -1, &done))
        return err_set(e, E_IO, "the picture decoders gave no answer");
    if (done.outcome == JAIL_LOST)
        return err_set(e, E_IO, "the picture decoders' processes are gone");
    r->waiting--;
    if (done.outcome != JAIL_DONE || done.rc ||
        image_unpack(done.out, &r->result) || r->result.reason != IMAGE_OK) {
        tally_add(r->counts, "undecoded", 1);
        return 0;
    }
    to = &r->set->images[(size_t)(uintptr_t)done.user];
    to->has_phash = !r->result.flat;
    to->phash = r->result.phash;
    tally_add(r->counts, "phashes", to->has_phash);
    return 0;
}

/* Ask for the phash of the image last added. */
static int ask(struct reading *r, struct str image, struct err *e)
{
    int rc = 0;

    if (image.n > r->config.limits.max_bytes) {
        tally_add(r->counts, "undecoded", 1);
        return 0;
    }
    while (!rc && !jail_free(r->jail))
        rc = take(r, e);
    if (!rc)
        rc = jail_submit(r->jail, image, (void *)(uintptr_t)(r->set->n - 1), e);
    r->waiting += !rc;
    return rc;
}

static int add_sample(void *ctx, const struct against_sample *s, struct err *e)
{
    struct reading *r = ctx;
    uint8_t sha[SHA256_SIZE], bytes[8];
    uint64_t phash = 0;
    bool has_sha = hex_bytes(s->sha256, sha, sizeof sha);
    bool has_phash = hex_bytes(s->phash, bytes, sizeof bytes);
    int rc;

    for (size_t i = 0; has_phash && i < sizeof bytes; i++)
        phash = phash << 8 | bytes[i];
    if (!has_sha && s->image.n) {
        hash_sha256(s->image, sha);
        has_sha = true;
    }
    if (!has_sha && !has_phash) {
        tally_add(r->counts, "without-image", 1);
        return 0;
    }
    rc = dedup_set_add(r->set, s->name, has_sha ? sha : NULL,
                       has_phash ? &phash : NULL, e);
    if (rc)
        return rc;
    tally_add(r->counts, "images", 1);
    tally_add(r->counts, "phashes", has_phash);
    return has_phash || !s->image.n ? 0 : ask(r, s->image, e);
}

/* ---- how the corpus' images were made ---- */

static int read_mode(struct str name, enum image_resize_mode *mode)
{
    for (int i = 0; i < IMAGE_RESIZE_MODES; i++)
        if (str_eq(name, str_of(image_resize_names[i]))) {
            *mode = (enum image_resize_mode)i;
            return 0;
        }
    return -E_FORMAT;
}

/* The options of one group's sidecar. */
static int read_config(const struct corpus *c, const char *output,
                       struct image_config *config, struct err *e)
{
    struct arena arena;
    struct sidecar s;
    struct str name;
    struct json j;
    int bad = 0, rc = sidecar_read(&s, c, output, e);

    if (rc)
        return rc;
    *config = image_config_default();
    arena_init(&arena, OPTIONS_ARENA);
    json_open(&j, s.options, &arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("image-size")))
            config->size = (uint32_t)json_u64(&j);
        else if (str_eq(name, STR("quality")))
            config->quality = (int)json_u64(&j);
        else if (str_eq(name, STR("resize")))
            bad = read_mode(json_string(&j), &config->mode);
        else
            json_skip(&j);
    }
    if (json_close(&j, NULL) || bad || config->size < 1 ||
        config->size > IMAGE_SIZE_MAX || config->quality < 1 ||
        config->quality > 100)
        rc = err_set(e, E_DAMAGED,
                     "%s/%s.meta.json: resize, image-size or quality is none "
                     "of download's",
                     c->dir, output);
    arena_release(&arena);
    sidecar_release(&s);
    return rc;
}

static bool made_alike(const struct image_config *a,
                       const struct image_config *b)
{
    return a->mode == b->mode && a->size == b->size && a->quality == b->quality;
}

int against_images_config(const struct corpus *c, struct image_config *config,
                          struct err *e)
{
    char output[STAGE_NAME_MAX], first[STAGE_NAME_MAX] = "";
    struct io_list names;
    int rc = sidecar_list(c, "images", &names, e);

    *config = image_config_default();
    for (size_t i = 0; !rc && i < names.n; i++) {
        struct image_config one;

        snprintf(output, sizeof output, "images/%s", names.names[i]);
        rc = read_config(c, output, &one, e);
        if (rc)
            break;
        if (i == 0) {
            *config = one;
            snprintf(first, sizeof first, "%s", output);
        } else if (!made_alike(config, &one)) {
            log_event("warning",
                      "%s/%s was downloaded with another --resize, "
                      "--image-size or --quality than %s: --against compares "
                      "looks as with those of %s, and may miss pictures of "
                      "the others",
                      c->dir, output, first, first);
            break;
        }
    }
    if (!rc || names.n)
        io_list_release(&names);
    return rc;
}

/* ---- reading ---- */

static int open_jail(struct reading *r, unsigned workers, struct err *e)
{
    struct jail_config j;

    r->config.limits = image_limits_decodable();
    image_result_init(&r->result);
    j = jail_config_default(image_worker, &r->config);
    j.workers = workers;
    j.in_max = IMAGE_BYTES_MAX;
    j.out_max = IMAGE_PACKED_MAX;
    return jail_open(&r->jail, &j, e);
}

int against_images(const struct opt_list *paths, unsigned workers,
                   const struct image_config *config, struct dedup_set *set,
                   struct tally *counts, struct err *e)
{
    struct reading r = {.set = set, .counts = counts, .config = *config};
    struct tally skipped;
    int rc = against_inputs(paths, &set->inputs, e);

    if (!rc)
        rc = open_jail(&r, workers, e);
    tally_init(&skipped);
    for (size_t i = 0; !rc && i < paths->n; i++)
        rc = against_walk(paths->v[i], true, add_sample, &r, &skipped, e);
    while (!rc && r.waiting)
        rc = take(&r, e);
    tally_add_all(counts, &skipped);
    if (!rc && tally_get(counts, "images") == 0)
        rc = err_set(e, E_USAGE,
                     "--against: no sample with an image, sha256 or phash");
    tally_release(&skipped);
    jail_close(r.jail);
    image_result_release(&r.result);
    return rc;
}
