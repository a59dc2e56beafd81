/*
 * zeroshot - a classifier made of class names, and how often it is right.
 *
 * Model.   Of each class the texts are its name in every template, in the
 *          place of each "{}" or "{c}".  The class's row is the mean of its
 *          texts' normalised features, normalised again, or of a bow model
 *          the mean of their rows as it stands (train/encoder.h); an image is
 *          told to be of the class with the largest score, of equal ones the
 *          first.  Scores: train/classifier.h.
 *          A label is in the top k when fewer than k classes stand before it.
 *
 *          zeroshot_cached() keeps classifiers in a folder, under what they
 *          were made of (docs/formats/classifier.md).
 * Owns.    Prompts own their texts; a classifier is the caller's to free().
 * Fails.   -E_FORMAT for an empty class name, a template without a place for
 *          it, or a text without lines; -E_TOOBIG over the ceilings; -E_RANGE
 *          for features that are all zeros; as encoder_*() and base/io.
 *          A cache that cannot be read is made anew.
 * Threads. The device's; scores: any.
 * Cost.    classes * templates texts encoded.
 * Source.  Radford et al. 2021, section 3.1.4; facts b.9.
 */
#ifndef TRAIN_ZEROSHOT_H
#define TRAIN_ZEROSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "train/encoder.h"

#define ZEROSHOT_CLASSES_MAX   ((size_t)1 << 20)
#define ZEROSHOT_TEMPLATES_MAX ((size_t)4096)
#define ZEROSHOT_FILE_MAX      ((size_t)64 << 20) /* bytes of names */
#define ZEROSHOT_TEMPLATE      "a photo of a {}." /* unless others are given */

/* Lines of a text, without their ends; release with zeroshot_lines_release().
 * Empty lines at the end are none. */
struct zeroshot_lines {
    struct str *v;
    size_t n;
    struct buf bytes;
};

struct zeroshot_prompts {
    struct zeroshot_lines names, templates;
};

/* Files; templates NULL: ZEROSHOT_TEMPLATE alone. */
int zeroshot_read(struct zeroshot_prompts *p, const char *names,
                  const char *templates, struct err *e);
void zeroshot_prompts_release(struct zeroshot_prompts *p);

/* From text; place names it in messages.  Of names all lines count, of
 * templates those that are not empty. */
int zeroshot_names(struct zeroshot_lines *l, struct str text, const char *place,
                   struct err *e);
int zeroshot_templates(struct zeroshot_lines *l, struct str text,
                       const char *place, struct err *e);
void zeroshot_lines_release(struct zeroshot_lines *l);

/* name in its places, appended. */
void zeroshot_prompt(struct str template, struct str name, struct buf *out);

/* ---- classifiers ---- */

/* float [classes, dim]. */
int zeroshot_classifier(const struct zeroshot_prompts *p, struct encoder *n,
                        float **rows, struct err *e);

struct zeroshot_cache {
    const char *folder; /* made if it is not there; NULL: no cache */
    const char *model;  /* SHA-256 of its file, hex */
    bool hit;           /* was it there? */
};

int zeroshot_cached(const struct zeroshot_prompts *p, struct encoder *n,
                    struct zeroshot_cache *c, float **rows, struct err *e);

/* ---- scores ---- */

struct zeroshot_class {
    uint64_t images, right, top5; /* of this label */
    uint64_t told;                /* images told to be of this class */
};

struct zeroshot_score {
    size_t classes;
    uint64_t images, right, top5;
    struct zeroshot_class *of; /* [classes] */
};

void zeroshot_score_init(struct zeroshot_score *s, size_t classes);
void zeroshot_score_release(struct zeroshot_score *s);

/* One image, a score a class; label < classes. */
void zeroshot_score_add(struct zeroshot_score *s, const float *scores,
                        uint64_t label);

/* Mean recall of the classes that have images. */
double zeroshot_recall(const struct zeroshot_score *s);

#endif
