#include <stdio.h>
#include <string.h>

#include "train/weights_names.h"

const char *weights_activation(bool quick_gelu)
{
    return quick_gelu ? "quick_gelu" : "gelu";
}

int weights_beside(char *out, const char *path, enum weights_layout layout,
                   struct err *e)
{
    const char *name =
        layout == WEIGHTS_OPEN_CLIP ? "open_clip_config.json" : "config.json";
    const char *slash = strrchr(path, '/');
    char folder[IO_PATH_MAX] = ".";
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (n >= sizeof folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    if (slash && n == 0)
        n = 1; /* the root */
    if (slash) {
        memcpy(folder, path, n);
        folder[n] = 0;
    }
    return io_join(out, folder, name, e);
}

static int said_in_metadata(struct weights_said *said,
                            const struct safetensors *file, const char *path,
                            struct err *e)
{
    char place[IO_PATH_MAX + 32];
    struct str value;
    int rc = 0;

    if (safetensors_meta(file, STR(WEIGHTS_META_VERSION), &value) &&
        !str_eq(value, STR(WEIGHTS_VERSION)))
        return err_set(e, E_VERSION,
                       "%s: " WEIGHTS_META_VERSION
                       " is \"%.*s\"; this program knows " WEIGHTS_VERSION,
                       path, value.n < 60 ? (int)value.n : 60, value.p);
    if (safetensors_meta(file, STR(WEIGHTS_META_ACTIVATION), &value)) {
        if (str_eq(value, STR("quick_gelu")))
            said->activation = SAYS_QUICK_GELU;
        else if (str_eq(value, STR("gelu")))
            said->activation = SAYS_GELU;
        else
            return err_set(e, E_FORMAT,
                           "%s: " WEIGHTS_META_ACTIVATION
                           " is \"%.*s\", neither gelu nor quick_gelu",
                           path, value.n < 60 ? (int)value.n : 60, value.p);
    }
    if (!safetensors_meta(file, STR(WEIGHTS_META_CONFIG), &value))
        return 0;
    snprintf(place, sizeof place, "%s: " WEIGHTS_META_CONFIG, path);
    rc = clip_config_parse(&said->config, value, place, e);
    if (rc)
        return rc;
    said->has_config = true;
    if (said->activation &&
        (said->activation == SAYS_QUICK_GELU) != said->config.quick_gelu)
        return err_set(e, E_FORMAT,
                       "%s: " WEIGHTS_META_CONFIG
                       " and " WEIGHTS_META_ACTIVATION " name two activations",
                       path);
    return 0;
}

static int said_beside(struct weights_said *said,
                       const struct safetensors *file, const char *path,
                       struct err *e)
{
    char beside[IO_PATH_MAX];
    struct buf b;
    int rc = weights_beside(beside, path, weights_layout_of(file), e);

    if (rc || !io_exists(beside))
        return rc;
    buf_init(&b, CONFIG_JSON_MAX);
    rc = io_read_file(beside, &b, e);
    if (!rc)
        rc = clip_config_parse(&said->config, buf_str(&b), beside, e);
    buf_release(&b);
    said->has_config = !rc;
    return rc;
}

int weights_said(struct weights_said *said, const struct safetensors *file,
                 const char *path, struct err *e)
{
    int rc;

    *said = (struct weights_said){.activation = SAYS_NOTHING};
    rc = said_in_metadata(said, file, path, e);
    if (!rc && !said->has_config && said->activation == SAYS_NOTHING)
        rc = said_beside(said, file, path, e);
    if (!rc && said->has_config)
        said->activation =
            said->config.quick_gelu ? SAYS_QUICK_GELU : SAYS_GELU;
    return rc;
}

int weights_config(struct clip_config *c, const char *path, struct err *e)
{
    enum weights_says activation = SAYS_NOTHING;
    struct weights_said said;
    struct safetensors file;
    int rc = safetensors_open(&file, path, e);

    if (rc)
        return rc;
    rc = weights_said(&said, &file, path, e);
    if (rc || said.has_config) {
        *c = said.config;
        goto out;
    }
    rc = weights_sizes(c, &activation, &file, path, e);
    if (rc)
        goto out;
    if (said.activation != SAYS_NOTHING)
        activation = said.activation;
    c->quick_gelu = activation == SAYS_QUICK_GELU;
    clip_config_recognise(c);
    if (activation == SAYS_NOTHING)
        rc = err_set(e, E_NOTFOUND,
                     "%s: no tensor tells the activation; its sizes are those "
                     "of %s: name the model, with -quickgelu for OpenAI's",
                     path, c->name[0] ? c->name : "no model of the table");
out:
    safetensors_close(&file);
    return rc;
}
