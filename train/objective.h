/*
 * objective - captions predicted from pictures: the two objectives that the
 * paper's figure 2 sets beside CLIP's contrast, on the same towers.
 *
 * Model.   A model has one objective (config.objective), and clip_gradients()
 *          is a step of it.  f is what the picture's tower gives, not
 *          normalised.
 *
 *          bow      softmax(f W^T), W = "bow.weight" [vocab_size, embed_dim],
 *                   against the words of the caption, each token between SOT
 *                   and EOT by as often as it stands there (Joulin et al.
 *                   2016).  Mean over the captions that have words.  The text
 *                   tower is not run.
 *          caption  f "caption.projection" [embed_dim, width] is added to the
 *                   embedding of SOT, at the first place, where every token
 *                   sees it: no row more, and SOT's own embedding is the
 *                   projection's bias.  The text tower behind it is a decoder:
 *                   ln_final of a row times the token table predicts the next
 *                   token, EOT included.  The table is tied, as in the language
 *                   models whose architecture the tower has (Radford et al.
 *                   2019): as many weights as CLIP's but for one projection.
 *                   Mean over all tokens of the batch.
 *
 *          What an objective does not use (logit_scale, text_projection, for
 *          bow the text tower) stays in the model without a gradient, so that
 *          the towers of its file are CLIP's; weights that decay go on
 *          decaying.
 *
 *          Both losses are sums over pairs: a chunk is forward and backward at
 *          once, nothing is made again.  Logits exist for as many rows at a
 *          time as have `logits` numbers (clip_options), in `act`.
 * Fails.   As clip_gradients().
 * Threads. The device's.
 * Cost.    6 rows vocab_size dim operations for the logits and their gradient:
 *          for ViT-B/32's caption 0.15 GFLOP a token, beside 14.8 a pair
 *          forward for both towers.
 */
#ifndef TRAIN_OBJECTIVE_H
#define TRAIN_OBJECTIVE_H

#include "train/clip.h"

#define OBJECTIVE_LOGITS (1 << 26) /* 1,280 rows of 49,408 */

/*
 * caption: how likely each caption is for each picture, scores[i * captions->n
 * + k] the log-probability of all its tokens (divide by how many there are,
 * caption_eot(), to compare captions of different length).  The most likely
 * class's prompt is zero-shot classification.
 *
 * n in chunks of o->chunk pictures, and as many pairs, within what clip_plan()
 * was called for.  Every pair is a pass through the decoder.  In bfloat16 a
 * logit is rounded to 1/256 of itself, so that captions closer than that change
 * places: score in fp32.  -E_UNSUPPORTED for a model of another objective,
 * -E_RANGE for ids that are not in the vocabulary.
 */
int objective_score(struct clip *m, const struct clip_options *o, int n,
                    const struct pixels *pixels,
                    const struct captions *captions, float *scores,
                    struct err *e);

/*
 * bow: rows of pictures and captions, embed_dim + 1 numbers each, whose product
 * is the mean log-probability of the caption's words for the picture.  The mean
 * of the logits of words is the product with the mean of their rows of
 * bow.weight; a picture's last number is minus the log of its softmax's sum, a
 * caption's is 1.
 *
 * Pictures as objective_score().  Captions on the host, table: bow.weight as
 * floats; -E_RANGE for one without words.
 */
int objective_pictures(struct clip *m, const struct clip_options *o, int n,
                       const struct pixels *pixels, float *rows, struct err *e);
int objective_words(const struct clip *m, const float *table,
                    const struct captions *captions, float *rows,
                    struct err *e);

#endif
