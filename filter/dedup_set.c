#include "filter/dedup_set.h"

#include <stdlib.h>
#include <string.h>

void dedup_set_init(struct dedup_set *s)
{
    *s = (struct dedup_set){0};
    buf_init(&s->names, BUF_NO_LIMIT);
    stage_inputs_init(&s->inputs);
}

void dedup_set_release(struct dedup_set *s)
{
    free(s->images);
    buf_release(&s->names);
    stage_inputs_release(&s->inputs);
    s->images = NULL;
    s->n = s->cap = 0;
}

int dedup_set_add(struct dedup_set *s, struct str name, const uint8_t *sha,
                  const uint64_t *phash, struct err *e)
{
    struct dedup_set_image *to;

    if (!sha && !phash)
        return 0;
    if (s->n == DEDUP_SET_IMAGES)
        return err_set(e, E_TOOBIG, "an evaluation set of over %u images",
                       DEDUP_SET_IMAGES);
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        void *more = realloc(s->images, cap * sizeof *s->images);

        if (!more)
            return err_set(e, E_NOMEM, "no memory for %zu images", cap);
        s->images = more;
        s->cap = cap;
    }
    if (name.n > DEDUP_SET_NAME)
        name.n = DEDUP_SET_NAME;
    to = &s->images[s->n++];
    *to = (struct dedup_set_image){.has_sha = sha != NULL,
                                   .has_phash = phash != NULL,
                                   .phash = phash ? *phash : 0,
                                   .name_n = (uint32_t)name.n,
                                   .name_at = s->names.n};
    if (sha)
        memcpy(to->sha, sha, sizeof to->sha);
    buf_add(&s->names, name);
    return 0;
}
