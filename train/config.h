/*
 * config - which CLIP: the sizes of both towers.
 *
 * Model.   A struct clip_config says all that decides shapes and arithmetic.
 *          It comes from the table of published models, or from a model JSON
 *          as open_clip writes it (facts: embed_dim, quick_gelu, vision_cfg
 *          with layers as a number for a ViT and as four for a ResNet,
 *          text_cfg); clip_config_write() gives that JSON back, which is also
 *          what a weights file carries.
 * Fails.   -E_FORMAT for JSON that is none, -E_UNSUPPORTED for a member that
 *          asks for another architecture (named), -E_RANGE for sizes outside
 *          the ceilings below or that do not fit each other.
 * Threads. Any; plain data.
 * Source.  Radford et al. 2021, tables 18-20; open_clip's model configs.
 */
#ifndef TRAIN_CONFIG_H
#define TRAIN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CONFIG_WIDTH_MAX   16384
#define CONFIG_LAYERS_MAX  1024
#define CONFIG_IMAGE_MAX   4096    /* pixels a side */
#define CONFIG_VOCAB_MAX   4194304
#define CONFIG_CONTEXT_MAX 4096    /* tokens a caption */
#define CONFIG_JSON_MAX    (1u << 20) /* bytes of a model JSON */
#define CONFIG_NAME_MAX    64

enum vision_kind { VISION_VIT, VISION_RESNET };

struct vision_config {
    enum vision_kind kind;
    int image_size;      /* pixels a side */
    int width;           /* ViT: of a token; ResNet: channels behind the stem */
    int layers;          /* ViT: blocks */
    int stages[4];       /* ResNet: bottlenecks of each stage */
    int patch_size;      /* ViT: pixels a side */
    int head_width;      /* columns of one attention head (64) */
    double mlp_ratio;    /* hidden width of the MLP by width (4) */
};

struct text_config {
    int context_length;  /* tokens a caption, SOT and EOT included (77) */
    int vocab_size;      /* 49,408; the last id is EOT */
    int width, heads, layers;
    double mlp_ratio;
};

struct clip_config {
    char name[CONFIG_NAME_MAX]; /* "ViT-B-32"; "" for a nameless JSON */
    int embed_dim;              /* columns of the common space */
    bool quick_gelu;            /* else the exact GELU */
    double init_logit_scale;    /* ln(1/0.07), as a file says otherwise */
    bool logit_bias;            /* sigmoid loss: the model has a logit_bias */
    double init_logit_bias;     /* -10 for SigLIP */
    struct vision_config vision;
    struct text_config text;
};

/* A published model by its name (open_clip's, OpenAI's spelling with slash and
 * @, any letter case; with "-quickgelu" behind it for OpenAI's activation, the
 * exact GELU without).  -E_NOTFOUND lists the names. */
int clip_config_find(struct clip_config *c, const char *name, struct err *e);

/* The n-th name of the table, NULL behind the last. */
const char *clip_config_name(int n);

/* From an open_clip model JSON, or from open_clip_config.json (whose model_cfg
 * is taken).  place names the file in messages. */
int clip_config_parse(struct clip_config *c, struct str json,
                      const char *place, struct err *e);

/* The model JSON, appended. */
void clip_config_write(const struct clip_config *c, struct buf *to);

/* 0 when every size is inside its ceiling and they fit each other. */
int clip_config_check(const struct clip_config *c, struct err *e);

/* Whether both give the same tensors and arithmetic (the name aside). */
bool clip_config_equal(const struct clip_config *a,
                       const struct clip_config *b);

/* Derived sizes. */
int clip_config_grid(const struct clip_config *c);   /* tokens or pixels a
                                 side of what attention sees: 7 for B/32, RN50 */
int clip_config_features(const struct clip_config *c); /* columns behind the
                                 trunk: width, or 32 width for a ResNet */

#endif
