/*
 * config - which CLIP: the sizes of both towers.
 *
 * Model.   A struct clip_config says all that decides shapes and arithmetic.
 *          It comes from the table of models, or from one of three forms of
 *          JSON, told apart by their members: open_clip's model JSON, the
 *          open_clip_config.json of its hub (whose model_cfg is taken), the
 *          config.json of transformers' CLIPModel.
 *          open_clip's JSON is read whole.  A member that would make another
 *          model (timm_model_name, ls_init_value, pool_type ...) may stand
 *          there with the value that changes nothing; with any other it is
 *          refused, as is a member nobody knows; so is a preprocess_cfg that
 *          asks for another resizing than bicubic of the shorter side.  Three
 *          are taken and left: patch_dropout (below 1; asked of training, not
 *          of the model), custom_text (other names in files, which weights.h
 *          reads) and what only speaks of a part that is absent (timm_pool).
 *          transformers' config.json holds dozens of members of its common
 *          base; those that make sizes and arithmetic are read, the rest is
 *          left.
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

#define CONFIG_WIDTH_MAX    16384
#define CONFIG_LAYERS_MAX   1024
#define CONFIG_IMAGE_MAX    4096 /* pixels a side */
#define CONFIG_VOCAB_MAX    4194304
#define CONFIG_CONTEXT_MAX  4096       /* tokens a caption */
#define CONFIG_JSON_MAX     (1u << 20) /* bytes of a model JSON */
#define CONFIG_NAME_MAX     64
#define CONFIG_PICTURES_MAX 16 /* a mean or std of pixels of 0..1 */
#define CONFIG_STD_MIN      1e-4
#define CONFIG_LOGIT_SCALE  2.6592600369327783 /* ln(1/0.07) */

enum vision_kind { VISION_VIT, VISION_RESNET };

struct vision_config {
    enum vision_kind kind;
    int image_size;   /* pixels a side */
    int width;        /* ViT: of a token; ResNet: channels behind the stem */
    int layers;       /* ViT: blocks */
    int stages[4];    /* ResNet: bottlenecks of each stage */
    int patch_size;   /* ViT: pixels a side */
    int head_width;   /* columns of one attention head (64) */
    double mlp_ratio; /* hidden width of the MLP by width (4) */
};

/* What bytes of pictures mean to the model: x / 255 of a colour becomes
 * (x / 255 - mean) / std.  Red, green, blue. */
struct config_pictures {
    double mean[3], std[3]; /* -16..16, 1e-4..16 */
};

/* Of CLIP's training set, which its models and most others have. */
extern const struct config_pictures config_pictures_clip;

struct text_config {
    int context_length; /* tokens a caption, SOT and EOT included (77) */
    int vocab_size;     /* 49,408; the last id is EOT */
    int width, heads, layers;
    double mlp_ratio;
};

/* What the model is trained for: figure 2 of the paper compares the three. */
enum objective {
    OBJECTIVE_CONTRASTIVE, /* CLIP: which caption goes with which picture */
    OBJECTIVE_BOW,         /* a picture's features predict its caption's words
                              (train/objective.h) */
    OBJECTIVE_CAPTION      /* and its caption, token by token */
};

extern const char *const objective_names[]; /* in this order, then NULL */

struct clip_config {
    char name[CONFIG_NAME_MAX]; /* "ViT-B-32"; "" for a nameless JSON */
    int embed_dim;              /* columns of the common space */
    bool quick_gelu;            /* else the exact GELU */
    double init_logit_scale;    /* ln(1/0.07), as a file says otherwise */
    bool logit_bias;            /* sigmoid loss: the model has a logit_bias */
    double init_logit_bias;     /* -10 for SigLIP */
    enum objective objective;   /* "objective" in JSON of ours; open_clip has
                                   none but the first, which is not written */
    struct config_pictures pictures; /* preprocess_cfg in JSON; CLIP's where
                                        that is not said */
    struct vision_config vision;
    struct text_config text;
};

/* A model of the table by its name: open_clip's ("ViT-L-14-336") or OpenAI's
 * ("ViT-L/14@336px"), in any letter case; with "-quickgelu" behind it for
 * OpenAI's activation, the exact GELU without.  The nine published models come
 * first; tiny-vit and tiny-resnet are ours, of a few hundred thousand
 * parameters, for tests and demos.  -E_NOTFOUND lists the names. */
int clip_config_find(struct clip_config *c, const char *name, struct err *e);

/* The n-th name of the table, NULL behind the last. */
const char *clip_config_name(int n);

/* From JSON in any of the three forms; place names the file in messages.  The
 * name is the table's when a model of it is the same, else "". */
int clip_config_parse(struct clip_config *c, struct str json, const char *place,
                      struct err *e);

/* open_clip's model JSON, appended; with preprocess_cfg beside its members
 * where pictures are not CLIP's. */
void clip_config_write(const struct clip_config *c, struct buf *to);

/* The same as open_clip_config.json, always with preprocess_cfg. */
void clip_config_write_hub(const struct clip_config *c, struct buf *to);

/* transformers' config.json; a ViT with equal activations, as all are.  That
 * has no place for preprocess_cfg, and no quarrel with it. */
void clip_config_write_transformers(const struct clip_config *c,
                                    struct buf *to);

/* 0 when every size is inside its ceiling and they fit each other. */
int clip_config_check(const struct clip_config *c, struct err *e);

/* Set the name to the table's for these sizes, "" when no model has them. */
void clip_config_recognise(struct clip_config *c);

/* Whether both give the same tensors and arithmetic: name and initial values
 * aside.  differs() names the first member that is not the same, else NULL. */
bool clip_config_equal(const struct clip_config *a,
                       const struct clip_config *b);
const char *clip_config_differs(const struct clip_config *a,
                                const struct clip_config *b);

/* Derived sizes. */
int clip_config_hidden(int width, double mlp_ratio); /* columns inside an MLP:
                                 the product, cut to an integer as open_clip's
                                 int() does */
double clip_config_ratio(int width, int hidden); /* one whose product, cut, is
                                 exactly `hidden` again */
int clip_config_vision_heads(const struct clip_config *c);
int clip_config_grid(const struct clip_config *c);     /* tokens or pixels a
                                   side of what attention sees: 7 for B/32, RN50 */
int clip_config_features(const struct clip_config *c); /* columns behind the
                                 trunk: width, or 32 width for a ResNet */

#endif
