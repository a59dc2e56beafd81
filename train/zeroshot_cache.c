/* Classifiers kept in a folder, under what they were made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "train/npy.h"
#include "train/zeroshot.h"

#define SAID_MAX ((size_t)256 << 20) /* bytes of the JSON */

static void put_lines(struct json_out *o, const char *name,
                      const struct zeroshot_lines *l)
{
    json_out_name(o, name);
    json_out_array(o);
    for (size_t i = 0; i < l->n; i++)
        json_out_string(o, l->v[i]);
    json_out_end_array(o);
}

/* All that decides about the numbers, as the JSON beside them, up to their
 * checksum. */
static int say(const struct zeroshot_prompts *p, const struct encoder *n,
               const char *model, struct buf *out, struct err *e)
{
    struct json_out o;
    struct buf config;

    buf_init(&config, CONFIG_JSON_MAX);
    clip_config_write(&n->m->config, &config);
    json_out_init(&o, out);
    json_out_object(&o);
    json_put_u64(&o, "version", 1);
    json_put_string(&o, "model_sha256", str_of(model));
    /* not all weights say it themselves: of the activation a file beside them
     * may be the only one that knows */
    json_out_name(&o, "config");
    json_out_raw(&o, buf_str(&config));
    json_put_string(&o, "vocabulary_sha256", str_of(tokenizer_sha256(n->t)));
    json_put_string(&o, "precision", str_of(dtype_name(n->m->d->act)));
    json_put_u64(&o, "context", (uint64_t)n->context);
    json_put_u64(&o, "dim", (uint64_t)n->dim);
    put_lines(&o, "names", &p->names);
    put_lines(&o, "templates", &p->templates);
    if (config.rc && !out->rc)
        out->rc = config.rc;
    buf_release(&config);
    return out->rc ? err_set(e, -out->rc, "what a classifier is made of") : 0;
}

static int path_of(const struct zeroshot_cache *c, struct str said,
                   const char *ending, char *path, struct err *e)
{
    uint8_t sha[SHA256_SIZE];
    char name[64] = "classifier-";
    size_t n = strlen(name);

    hash_sha256(said, sha);
    hash_hex(sha, 8, name + n);
    n = strlen(name);
    snprintf(name + n, sizeof name - n, "%s", ending);
    return io_join(path, c->folder, name, e);
}

static void end_said(struct buf *said, struct str numbers)
{
    uint8_t sha[SHA256_SIZE];
    char hex[SHA256_HEX];

    hash_sha256(numbers, sha);
    hash_hex(sha, sizeof sha, hex);
    buf_addf(said, ",\"npy_sha256\":\"%s\"}\n", hex);
}

/* -E_STALE for another classifier's, or a damaged one. */
static int take(const struct zeroshot_prompts *p, const struct encoder *n,
                struct str file, const char *path, float **rows, struct err *e)
{
    struct npy a;
    int rc = npy_parse(&a, file, path, e);

    if (rc)
        return rc;
    if (a.type != NPY_F32 || a.dims != 2 || a.shape[0] != p->names.n ||
        a.shape[1] != (uint64_t)n->dim)
        return err_set(e, E_STALE, "%s: of another shape", path);
    *rows = malloc(a.count * sizeof **rows);
    if (!*rows)
        return err_set(e, E_NOMEM, "no room for %zu classes", p->names.n);
    memcpy(*rows, a.data, a.count * sizeof **rows);
    return 0;
}

static int load(const struct zeroshot_prompts *p, const struct encoder *n,
                const struct zeroshot_cache *c, struct str said, float **rows,
                struct err *e)
{
    char path[IO_PATH_MAX], beside[IO_PATH_MAX];
    struct buf file, whole, there;
    int rc = path_of(c, said, ".npy", path, e);

    buf_init(&file, NPY_FILE_MAX);
    buf_init(&whole, SAID_MAX);
    buf_init(&there, SAID_MAX);
    if (!rc)
        rc = path_of(c, said, ".json", beside, e);
    if (!rc)
        rc = io_read_file(beside, &there, e);
    if (!rc)
        rc = io_read_file(path, &file, e);
    if (!rc) {
        buf_add(&whole, said);
        end_said(&whole, buf_str(&file));
        if (whole.rc || !str_eq(buf_str(&whole), buf_str(&there)))
            rc = err_set(e, E_STALE, "%s is not what %s says", path, beside);
    }
    if (!rc)
        rc = take(p, n, buf_str(&file), path, rows, e);
    buf_release(&file);
    buf_release(&whole);
    buf_release(&there);
    return rc;
}

/* The numbers first: a JSON without its numbers is no cache. */
static int keep(const struct zeroshot_prompts *p, const struct encoder *n,
                const struct zeroshot_cache *c, struct buf *said,
                const float *rows, struct err *e)
{
    const uint64_t shape[2] = {p->names.n, (uint64_t)n->dim};
    char path[IO_PATH_MAX], beside[IO_PATH_MAX], head[NPY_HEAD];
    struct buf file;
    int rc = path_of(c, buf_str(said), ".npy", path, e);

    if (!rc)
        rc = path_of(c, buf_str(said), ".json", beside, e);
    if (!rc)
        rc = io_mkdirs(c->folder, e);
    if (rc)
        return rc;
    buf_init(&file, NPY_FILE_MAX);
    npy_head(head, NPY_F32, 2, shape);
    buf_add_bytes(&file, head, sizeof head);
    buf_add_bytes(&file, rows, shape[0] * shape[1] * sizeof *rows);
    end_said(said, buf_str(&file));
    if (file.rc || said->rc)
        rc = err_set(e, E_TOOBIG, "a classifier of %zu classes", p->names.n);
    if (!rc)
        rc = io_write_file(path, buf_str(&file), e);
    if (!rc)
        rc = io_write_file(beside, buf_str(said), e);
    buf_release(&file);
    return rc;
}

int zeroshot_cached(const struct zeroshot_prompts *p, struct encoder *n,
                    struct zeroshot_cache *c, float **rows, struct err *e)
{
    struct err why = ERR_INIT;
    struct buf said;
    int rc;

    c->hit = false;
    if (!c->folder)
        return zeroshot_classifier(p, n, rows, e);
    buf_init(&said, SAID_MAX);
    rc = say(p, n, c->model, &said, e);
    if (!rc) {
        rc = load(p, n, c, buf_str(&said), rows, &why);
        c->hit = !rc;
        if (rc && rc != -E_NOTFOUND)
            log_event("warning", "a kept classifier is made anew: %s",
                      why.message);
        if (rc)
            rc = zeroshot_classifier(p, n, rows, e);
    }
    if (!rc && !c->hit) {
        rc = keep(p, n, c, &said, *rows, e);
        if (rc) {
            free(*rows);
            *rows = NULL;
        }
    }
    buf_release(&said);
    return rc;
}
