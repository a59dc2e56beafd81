#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/weights_names.h"

/* As the format's own library orders tensors: I64 before F32, then by name. */
static int in_order(const void *a, const void *b)
{
    const struct weights_piece *x = a, *y = b;

    if ((x->tensor < 0) != (y->tensor < 0))
        return x->tensor < 0 ? -1 : 1;
    return str_cmp(x->name, y->name);
}

#define PART (1 << 20) /* numbers on the host at a time */

/* A model being saved. */
struct saving {
    const struct clip *m;
    struct weights_pieces pieces;
    struct safetensor *list; /* of the pieces, in their order */
    float *host, *turned;    /* a part of a tensor; a piece transposed */
    struct safetensors_out out;
};

/* The file's list, and host memory for parts; for the largest tensor that is
 * transposed. */
static int prepare(struct saving *s, const char *path, struct err *e)
{
    size_t most = 1, turned = 1;

    qsort(s->pieces.list, s->pieces.n, sizeof *s->pieces.list, in_order);
    for (size_t i = 0; i < s->pieces.n; i++) {
        const struct weights_piece *p = &s->pieces.list[i];
        size_t count = (size_t)p->count;

        if (!p->transposed && count > PART)
            count = PART;
        if (p->tensor >= 0 && count > most)
            most = count;
        if (p->transposed && (size_t)p->count > turned)
            turned = (size_t)p->count;
    }
    s->list = calloc(s->pieces.n + 1, sizeof *s->list);
    s->host = malloc(most * sizeof *s->host);
    s->turned = malloc(turned * sizeof *s->turned);
    if (!s->list || !s->host || !s->turned)
        return err_set(e, E_NOMEM, "%s: no room for a tensor of %zu numbers",
                       path, most);
    for (size_t i = 0; i < s->pieces.n; i++) {
        const struct weights_piece *p = &s->pieces.list[i];

        s->list[i] =
            (struct safetensor){.name = p->name,
                                .dtype = p->tensor < 0 ? ST_I64 : ST_F32,
                                .rank = p->rank};
        for (int k = 0; k < p->rank; k++)
            s->list[i].shape[k] = p->shape[k];
    }
    return 0;
}

static int write_piece(struct saving *s, const struct weights_piece *p,
                       struct err *e)
{
    static const char zero[8]; /* a counter that nobody counted */
    const float *from = s->host;
    int64_t step = p->transposed ? p->count : PART;
    int rc = 0;

    if (p->tensor < 0)
        return safetensors_write(&s->out, str_make(zero, sizeof zero), e);
    for (int64_t i = 0; i < p->count && !rc; i += step) {
        int64_t n = p->count - i < step ? p->count - i : step;

        store_get_some(&s->m->store, s->m->d, p->tensor, p->from + i, n,
                       s->host, DTYPE_F32);
        if (p->transposed) {
            weights_transpose(s->turned, s->host, (size_t)p->shape[1],
                              (size_t)p->shape[0]);
            from = s->turned;
        }
        rc = safetensors_write_part(
            &s->out, str_make((const char *)from, (size_t)n * sizeof *from), e);
    }
    return rc;
}

static int write_file(struct saving *s, const char *path, char *sha256,
                      struct err *e)
{
    const struct clip_config *c = &s->m->config;
    struct buf config;
    struct str meta[8];
    int rc;

    buf_init(&config, CONFIG_JSON_MAX);
    clip_config_write(c, &config);
    meta[0] = STR("format"); /* transformers asks for it */
    meta[1] = STR("pt");
    meta[2] = STR(WEIGHTS_META_ACTIVATION);
    meta[3] = str_of(weights_activation(c->quick_gelu));
    meta[4] = STR(WEIGHTS_META_CONFIG);
    meta[5] = buf_str(&config);
    meta[6] = STR(WEIGHTS_META_VERSION);
    meta[7] = STR(WEIGHTS_VERSION);
    rc = safetensors_create(&s->out, path, s->list, s->pieces.n, meta, 4, e);
    buf_release(&config);
    if (rc)
        return rc;
    for (size_t i = 0; i < s->pieces.n && !rc; i++)
        rc = write_piece(s, &s->pieces.list[i], e);
    /* Numbers that the device could not give are none to publish. */
    if (!rc)
        rc = device_check(s->m->d, e);
    if (rc) {
        safetensors_abandon(&s->out);
        return rc;
    }
    rc = safetensors_publish(&s->out, e);
    if (!rc)
        memcpy(sha256, s->out.file.sha256, SHA256_HEX);
    return rc;
}

static int write_beside(const struct clip_config *c, enum weights_layout layout,
                        const char *path, struct err *e)
{
    char beside[IO_PATH_MAX];
    struct buf b;
    int rc = weights_beside(beside, path, layout, e);

    if (rc)
        return rc;
    buf_init(&b, CONFIG_JSON_MAX);
    if (layout == WEIGHTS_OPEN_CLIP)
        clip_config_write_hub(c, &b);
    else
        clip_config_write_transformers(c, &b);
    rc = b.rc ? err_set(e, E_NOMEM, "%s: no room", beside)
              : io_write_file(beside, buf_str(&b), e);
    buf_release(&b);
    return rc;
}

int weights_save(const struct clip *m, enum weights_layout layout,
                 const char *path, struct err *e)
{
    char unused[SHA256_HEX];

    return weights_write(m, layout, path, unused, e);
}

int weights_write(const struct clip *m, enum weights_layout layout,
                  const char *path, char *sha256, struct err *e)
{
    struct saving s = {.m = m};
    int rc = weights_pieces_make(&s.pieces, m, layout, e);

    if (rc)
        return rc;
    rc = prepare(&s, path, e);
    if (!rc)
        rc = write_file(&s, path, sha256, e);
    if (!rc)
        rc = write_beside(&m->config, layout, path, e);
    free(s.list);
    free(s.host);
    free(s.turned);
    weights_pieces_release(&s.pieces);
    return rc;
}
