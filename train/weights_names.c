#include "train/weights_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* How a tensor of open_clip's stands in transformers' file. */
enum move { MOVE_PLAIN, MOVE_TRANSPOSED, MOVE_QKV };

/* A name that begins with `ours` (or is it, when nothing may follow) begins
 * with `theirs` there; facts b.6. */
struct rename {
    const char *ours, *theirs;
    enum move move;
};

static const struct rename tower_names[] = {
    {"logit_scale", "logit_scale", MOVE_PLAIN},
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight",
     MOVE_PLAIN},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight",
     MOVE_PLAIN},
    {"ln_final.", "text_model.final_layer_norm.", MOVE_PLAIN},
    {"text_projection", "text_projection.weight", MOVE_TRANSPOSED},
    {"visual.class_embedding", "vision_model.embeddings.class_embedding",
     MOVE_PLAIN},
    {"visual.conv1.weight", "vision_model.embeddings.patch_embedding.weight",
     MOVE_PLAIN},
    {"visual.positional_embedding",
     "vision_model.embeddings.position_embedding.weight", MOVE_PLAIN},
    {"visual.ln_pre.", "vision_model.pre_layrnorm.", MOVE_PLAIN}, /* sic */
    {"visual.ln_post.", "vision_model.post_layernorm.", MOVE_PLAIN},
    {"visual.proj", "visual_projection.weight", MOVE_TRANSPOSED},
};

/* Behind "transformer.resblocks.N."; %c is q, k, v. */
static const struct rename block_names[] = {
    {"ln_1.", "layer_norm1.", MOVE_PLAIN},
    {"ln_2.", "layer_norm2.", MOVE_PLAIN},
    {"attn.in_proj_weight", "self_attn.%c_proj.weight", MOVE_QKV},
    {"attn.in_proj_bias", "self_attn.%c_proj.bias", MOVE_QKV},
    {"attn.out_proj.", "self_attn.out_proj.", MOVE_PLAIN},
    {"mlp.c_fc.", "mlp.fc1.", MOVE_PLAIN},
    {"mlp.c_proj.", "mlp.fc2.", MOVE_PLAIN},
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* The row for a name, and what follows its beginning. */
static const struct rename *row_for(const struct rename *list, size_t n,
                                    struct str name, struct str *rest)
{
    for (size_t i = 0; i < n; i++) {
        struct str ours = str_of(list[i].ours);

        if (!str_starts(name, ours))
            continue;
        *rest = str_slice(name, ours.n, name.n);
        if (rest->n == 0 || ours.p[ours.n - 1] == '.')
            return &list[i];
    }
    return NULL;
}

/* The piece that holds all of tensor i under its own name. */
static struct weights_piece whole(const struct store *s, int i)
{
    const struct tensor *t = &s->list[i];
    struct weights_piece p = {.name = str_of(t->name),
                              .tensor = i,
                              .count = t->count,
                              .rank = t->rank};

    for (int k = 0; k < t->rank; k++)
        p.shape[k] = (uint64_t)t->shape[k];
    if (str_eq(p.name, STR("positional_embedding")))
        p.resize = RESIZE_LINE;
    else if (str_ends(p.name, STR("positional_embedding")))
        p.resize = RESIZE_GRID;
    return p;
}

static void add(struct weights_pieces *p, const struct weights_piece *piece)
{
    p->list = xgrow(p->list, &p->cap, p->n + 1, sizeof *p->list);
    p->list[p->n++] = *piece;
}

/* Copies into the arena, which has no ceiling worth the name: a model has as
 * many tensors as its config made. */
static struct str keep(struct weights_pieces *p, const struct buf *b)
{
    return arena_str(&p->names, buf_str(b));
}

/* ---- open_clip ---- */

/* BatchNorm's counter has no use here, but a strict load_state_dict asks for
 * it: it stands behind the running variance. */
static void add_counter(struct weights_pieces *p, struct str running_var)
{
    struct weights_piece piece = {.tensor = -1};
    struct buf b;

    buf_init(&b, SAFETENSORS_NAME_MAX);
    buf_add(&b,
            str_slice(running_var, 0, running_var.n - strlen("running_var")));
    buf_add(&b, STR("num_batches_tracked"));
    piece.name = keep(p, &b);
    buf_release(&b);
    add(p, &piece);
}

static void make_open_clip(struct weights_pieces *p, const struct clip *m)
{
    for (int i = 0; i < m->store.n; i++) {
        struct weights_piece piece = whole(&m->store, i);

        add(p, &piece);
        if (m->store.list[i].buffer &&
            str_ends(piece.name, STR(".running_var")))
            add_counter(p, piece.name);
    }
}

/* ---- transformers ---- */

/* Their beginning of a block's name; what is left of ours behind it. */
static bool block_prefix(struct buf *b, struct str name, struct str *rest)
{
    struct str vision = STR("visual.transformer.resblocks.");
    struct str text = STR("transformer.resblocks.");
    bool is_vision = str_starts(name, vision);
    size_t dot;

    if (!is_vision && !str_starts(name, text))
        return false;
    name = str_slice(name, is_vision ? vision.n : text.n, name.n);
    dot = str_find_char(name, '.', 0);
    if (dot == SIZE_MAX)
        return false;
    buf_addf(b, "%s_model.encoder.layers.%.*s.", is_vision ? "vision" : "text",
             (int)dot, name.p);
    *rest = str_slice(name, dot + 1, name.n);
    return true;
}

/* The three parts of in_proj, each a tensor of its own there. */
static void add_qkv(struct weights_pieces *p, struct weights_piece piece,
                    struct buf *prefix, const char *theirs)
{
    size_t n = prefix->n;

    piece.count /= 3;
    piece.shape[0] /= 3;
    for (const char *part = "qkv"; *part; part++) {
        const char *at = strchr(theirs, '%');

        prefix->n = n;
        buf_addf(prefix, "%.*s%c%s", (int)(at - theirs), theirs, *part, at + 2);
        piece.name = keep(p, prefix);
        add(p, &piece);
        piece.from += piece.count;
    }
}

static bool add_theirs(struct weights_pieces *p, const struct store *s, int i,
                       struct buf *b)
{
    struct weights_piece piece = whole(s, i);
    const struct rename *row;
    struct str rest;

    buf_clear(b);
    if (block_prefix(b, piece.name, &rest))
        row = row_for(block_names, COUNT(block_names), rest, &rest);
    else
        row = row_for(tower_names, COUNT(tower_names), piece.name, &rest);
    if (!row)
        return false;
    if (row->move == MOVE_QKV) {
        add_qkv(p, piece, b, row->theirs);
        return true;
    }
    buf_add(b, str_of(row->theirs));
    buf_add(b, rest);
    piece.name = keep(p, b);
    if (row->move == MOVE_TRANSPOSED) {
        uint64_t rows = piece.shape[0];

        piece.shape[0] = piece.shape[1];
        piece.shape[1] = rows;
        piece.transposed = true;
    }
    add(p, &piece);
    return true;
}

static int make_transformers(struct weights_pieces *p, const struct clip *m,
                             struct err *e)
{
    struct buf b;
    int rc = 0;

    if (m->config.vision.kind != VISION_VIT)
        return err_set(e, E_UNSUPPORTED,
                       "transformers' CLIPModel has no ResNets");
    buf_init(&b, SAFETENSORS_NAME_MAX);
    for (int i = 0; i < m->store.n && !rc; i++)
        if (!add_theirs(p, &m->store, i, &b))
            rc = err_set(e, E_UNSUPPORTED,
                         "transformers' CLIPModel has no place for %s",
                         m->store.list[i].name);
    buf_release(&b);
    return rc;
}

int weights_pieces_make(struct weights_pieces *p, const struct clip *m,
                        enum weights_layout layout, struct err *e)
{
    int rc = 0;

    *p = (struct weights_pieces){.list = NULL};
    arena_init(&p->names, SIZE_MAX);
    if (layout == WEIGHTS_OPEN_CLIP)
        make_open_clip(p, m);
    else
        rc = make_transformers(p, m, e);
    for (size_t i = 0; i < p->n && !rc; i++)
        if (!p->list[i].name.p)
            rc = err_set(e, E_NOMEM, "no room for the tensors' names");
    if (rc)
        weights_pieces_release(p);
    return rc;
}

void weights_pieces_release(struct weights_pieces *p)
{
    free(p->list);
    arena_release(&p->names);
    *p = (struct weights_pieces){.list = NULL};
}

void weights_transpose(float *to, const float *from, size_t rows,
                       size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * rows + r] = from[r * columns + c];
}
