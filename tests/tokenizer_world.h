/*
 * tokenizer_world - a small vocabulary of our own, made of a few sentences.
 *
 * Owns.    The caller closes what tokenizer_world() gives.
 */
#ifndef TESTS_TOKENIZER_WORLD_H
#define TESTS_TOKENIZER_WORLD_H

#include <stdlib.h>

#include "train/tokenizer.h"
#include "train/vocabulary_make.h"

#define WORLD_IDS 600 /* asked for */

static const char *const world_texts[] = {
    "A photo of a cat, a photo of a dog, a photo of two cats.",
    "The cat's photo isn't the dog's photo; they'll have cats and dogs.",
    "A drawing of a house by the sea, the house by the sea at night.",
    ("Caf\xc3\xa9, na\xc3\xafve caf\xc3\xa9s, \xce\xba\xce\xb1\xce\xb9 "
     "\xce\xba\xce\xb1\xce\xb9, 2021, 2022, 100 km"),
    "A red square on a blue circle, a blue square on a red circle",
    "photo photos photograph photographs photographer photographing",
};

static inline int world_counts(struct word_counts *w)
{
    int rc = 0;

    word_counts_init(w);
    for (size_t i = 0; !rc && i < sizeof world_texts / sizeof *world_texts; i++)
        rc = word_counts_add(w, str_of(world_texts[i]));
    return rc;
}

/* Its file; release it. */
static inline struct buf world_file(uint32_t ids, uint32_t *made)
{
    struct word_counts w;
    struct buf file;

    buf_init(&file, TOKENIZER_FILE_MAX);
    if (world_counts(&w) || vocabulary_make(&w, ids, 2, &file, made, NULL))
        abort();
    word_counts_release(&w);
    return file;
}

static inline struct tokenizer *tokenizer_world(void)
{
    struct tokenizer *t;
    uint32_t made;
    struct buf file = world_file(WORLD_IDS, &made);

    if (tokenizer_parse(&t, buf_str(&file), "world", TOKENIZER_CLIP, NULL))
        abort();
    buf_release(&file);
    return t;
}

#endif
