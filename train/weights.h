/*
 * weights - a model's tensors in files others read: safetensors.
 *
 * Model.   weights_save() writes open_clip's names or transformers' CLIPModel
 *          layout (ViT only); weights_load() reads either, told apart by its
 *          names, and every tensor of the model must be there with its shape
 *          (prefixes "module." and "_orig_mod." are taken off; int64
 *          position_ids and num_batches_tracked may be absent or present).
 *          What else stands in the file is refused by name.  A file of ours
 *          carries in its metadata the config (clip_config_write) and the
 *          activation; when a file carries them they must fit the model, so
 *          that weights of QuickGELU never run with GELU unnoticed.  Position
 *          embeddings of another grid are resized as open_clip does (bicubic
 *          with antialiasing, class row kept; text: linear) when `resize`.
 * Fails.   -E_FORMAT with file and place, -E_RANGE for a shape, -E_NOTFOUND
 *          naming the missing tensor, -E_STALE for another activation or
 *          config.  After a failed load the weights are unspecified.
 * Threads. One at a time.
 * Cost.    The file is mapped and read once; F16, BF16, F32, F64 are taken.
 */
#ifndef TRAIN_WEIGHTS_H
#define TRAIN_WEIGHTS_H

#include <stdbool.h>
#include "base/err.h"
#include "train/clip.h"

enum weights_layout { WEIGHTS_OPEN_CLIP, WEIGHTS_TRANSFORMERS };

/* Atomic (base/io.h): a whole file or none. */
int weights_save(const struct clip *m, enum weights_layout layout,
                 const char *path, struct err *e);

int weights_load(struct clip *m, const char *path, bool resize,
                 struct err *e);

/* The config that a file of ours carries, or one of theirs tells by its
 * shapes where that is unambiguous: -E_NOTFOUND when it is not. */
int weights_config(struct clip_config *c, const char *path, struct err *e);

#endif
