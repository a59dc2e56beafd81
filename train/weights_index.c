#include <stdlib.h>
#include <string.h>

#include "train/weights_names.h"

struct str weights_bare_name(struct str name)
{
    static const char *const wraps[] = {"module.", "_orig_mod.", "text."};
    size_t i = 0;

    while (i < sizeof wraps / sizeof *wraps) {
        struct str wrap = str_of(wraps[i]);

        if (str_starts(name, wrap)) {
            name = str_slice(name, wrap.n, name.n);
            i = 0;
        } else {
            i++;
        }
    }
    return name;
}

enum weights_layout weights_layout_of(const struct safetensors *file)
{
    for (size_t i = 0; i < file->n; i++) {
        struct str name = weights_bare_name(file->list[i].name);

        if (str_starts(name, STR("text_model.")) ||
            str_starts(name, STR("vision_model.")))
            return WEIGHTS_TRANSFORMERS;
    }
    return WEIGHTS_OPEN_CLIP;
}

/* ---- by bare name ---- */

static int by_name(const void *a, const void *b)
{
    const struct weights_entry *x = a, *y = b;

    return str_cmp(x->name, y->name);
}

int weights_index_make(struct weights_index *x, const struct safetensors *file,
                       const char *path, struct err *e)
{
    *x = (struct weights_index){.list = malloc((file->n + 1) * sizeof *x->list),
                                .n = file->n};
    if (!x->list)
        return err_set(e, E_NOMEM, "%s: no room for its table", path);
    for (size_t i = 0; i < x->n; i++)
        x->list[i] = (struct weights_entry){
            .name = weights_bare_name(file->list[i].name), .t = &file->list[i]};
    qsort(x->list, x->n, sizeof *x->list, by_name);
    for (size_t i = 1; i < x->n; i++)
        if (str_eq(x->list[i].name, x->list[i - 1].name)) {
            int rc = err_set(e, E_FORMAT,
                             "%s: tensors %.*s and %.*s are the same but for "
                             "what wraps the model",
                             path, STR_ARG(x->list[i - 1].t->name),
                             STR_ARG(x->list[i].t->name));

            weights_index_release(x);
            return rc;
        }
    return 0;
}

void weights_index_release(struct weights_index *x)
{
    free(x->list);
    *x = (struct weights_index){.list = NULL};
}

struct weights_entry *weights_index_find(const struct weights_index *x,
                                         struct str name)
{
    struct weights_entry key = {.name = name};

    return x->n ? bsearch(&key, x->list, x->n, sizeof key, by_name) : NULL;
}
