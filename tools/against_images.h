/*
 * against_images - the images of evaluation sets, as `dedup --against` compares
 * them.
 *
 * Model.   Walks the sets (tools/against).  Of a sample counts
 *            sha256   its JSON's `sha256` (64 hex digits; img2dataset and our
 *                     shards write that of the original bytes), else that of
 *                     the image's bytes as they lie there
 *            phash    its JSON's `phash` (16 hex digits, as ours), else that of
 *                     the image, decoded in the jail and resized and encoded
 *                     as the corpus' images were, so that equal pictures have
 *                     equal phashes; too small or too long ones are taken all
 *                     the same
 *          A sample with neither is counted.  An even picture is compared by
 *          its bytes alone, as in a corpus.
 * Fails.   As tools/against, base/jail and filter/dedup_set.
 * Threads. One; decoding uses processes.  Call it before threads start.
 * Cost.    Decoding, some 10 ms an image; nothing where JSON has both hashes.
 */
#ifndef TOOLS_AGAINST_IMAGES_H
#define TOOLS_AGAINST_IMAGES_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/image.h"
#include "base/opt.h"
#include "base/tally.h"
#include "filter/dedup_set.h"

/* How images/ was made: download's --resize, --image-size and --quality as the
 * sidecars there have them; its defaults (keep-ratio 512, quality 95) where
 * nothing was downloaded.  Where they differ the first one's count, and a
 * warning names it and the first that is otherwise. */
int against_images_config(const struct corpus *c, struct image_config *config,
                          struct err *e);

/* All of paths into set, and their files into set->inputs.  counts: images,
 * phashes, undecoded (compared by bytes alone), skipped reasons. */
int against_images(const struct opt_list *paths, unsigned workers,
                   const struct image_config *config, struct dedup_set *set, struct tally *counts, struct err *e);

#endif
