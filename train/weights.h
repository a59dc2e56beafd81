/*
 * weights - a model's tensors in files others read: safetensors.
 *
 * Model.   weights_save() writes open_clip's names or transformers' CLIPModel
 *          layout (ViT only), and beside the file the JSON that goes with it
 *          there: open_clip_config.json or config.json.  weights_load() reads
 *          either, told apart by its names, and every tensor of the model must
 *          be there with its shape.  Prefixes "module." and "_orig_mod." are
 *          taken off, and "text." of open_clip's CustomTextCLIP; a scalar may
 *          have the shape [1]; what carries no weights (position_ids,
 *          num_batches_tracked, the three sizes in OpenAI's files) may be there
 *          or not.  What else stands in the file is refused by name.
 *
 *          A file of ours carries in its metadata the config
 *          (clip_config_write) and the activation, which no tensor shows; for
 *          a file without, the JSON beside it is asked.  What is said must fit
 *          the model, so that weights of QuickGELU never run with GELU
 *          unnoticed; when nobody says it, an event "warning" does.
 *
 *          With `resize`, position embeddings of another size are brought to
 *          the model's as open_clip does (train/resize.h; the class row is
 *          kept), for the ResNets' attention pooling, too.
 * Fails.   -E_FORMAT with file and tensor, -E_RANGE for a shape, -E_NOTFOUND
 *          naming the missing tensor, -E_STALE for another activation or
 *          config, -E_VERSION for a file of a later witmill,
 *          -E_UNSUPPORTED for a layout that has no place for the
 *          model.  After a failed load the weights are unspecified.
 * Threads. One at a time.
 * Cost.    The file is mapped and read once; F16, BF16, F32, F64 are taken,
 *          F32 is written.  Host memory for the largest tensor, to
 *          write open_clip's layout for 4 MiB.
 */
#ifndef TRAIN_WEIGHTS_H
#define TRAIN_WEIGHTS_H

#include <stdbool.h>
#include "base/err.h"
#include "train/clip.h"

enum weights_layout { WEIGHTS_OPEN_CLIP, WEIGHTS_TRANSFORMERS };

/* Atomic (base/io.h): a whole file or none; then the JSON beside it. */
int weights_save(const struct clip *m, enum weights_layout layout,
                 const char *path, struct err *e);

/* The same, and the file's checksum: sha256[SHA256_HEX]. */
int weights_write(const struct clip *m, enum weights_layout layout,
                  const char *path, char *sha256, struct err *e);

int weights_load(struct clip *m, const char *path, bool resize, struct err *e);

/*
 * The config for a file's weights: of its metadata, else of the JSON beside it,
 * else by its shapes (heads of 64 columns, and QuickGELU for a file with
 * OpenAI's sizes).  -E_NOTFOUND when the activation is told by none of them;
 * the message then says which model's sizes they are.
 */
int weights_config(struct clip_config *c, const char *path, struct err *e);

#endif
