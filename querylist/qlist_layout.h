/*
 * qlist_layout - where things stand in queries.bin; private to qlist*.c and
 * described for others in docs/formats/queries.md.
 *
 * Model.   Behind the 64 bytes of base/corpus.h: a table of QLIST_SECTIONS
 *          pairs (offset from the file's begin, bytes), both 64-bit; then the
 *          sections in that order, each on a multiple of 64, zeros between:
 *          slots of the match table stay within lines of a cache.
 */
#ifndef QUERYLIST_QLIST_LAYOUT_H
#define QUERYLIST_QLIST_LAYOUT_H

#include <stdint.h>

#define QLIST_TABLE      CORPUS_HEADER_SIZE
#define QLIST_TABLE_SIZE (16 * QLIST_SECTIONS)
#define QLIST_ALIGN      64

/* An entry. */
enum {
    ENTRY_TEXT_AT = 0,  /* u32, in the strings */
    ENTRY_NORM_AT = 4,  /* u32 */
    ENTRY_TEXT_N = 8,   /* u16, bytes */
    ENTRY_NORM_N = 10,  /* u16, bytes */
    ENTRY_GROUP = 12,   /* u32 */
    ENTRY_SOURCES = 16, /* u32 */
    ENTRY_FLAGS = 20,   /* u32 */
    ENTRY_SYNSET = 24,  /* u32 */
    ENTRY_COUNT = 32,   /* u64 */
    ENTRY_VIEWS = 40,   /* u64 */
    ENTRY_PMI = 48,     /* IEEE 754 double */
    ENTRY_SIZE = 56
};

/* A synset. */
enum {
    SYNSET_ID_AT = 0,      /* u32, in the strings */
    SYNSET_NAME_AT = 4,    /* u32 */
    SYNSET_GLOSS_AT = 8,   /* u32 */
    SYNSET_ID_N = 12,      /* u16, bytes */
    SYNSET_NAME_N = 14,    /* u16 */
    SYNSET_GLOSS_N = 16,   /* u16 */
    SYNSET_N_PARENTS = 18, /* u16 */
    SYNSET_PARENTS = 20,   /* u32, in the parents */
    SYNSET_QUERY = 24,     /* u32 */
    SYNSET_SIZE = 32
};

enum { PARENT_SIZE = 4 };

#endif
