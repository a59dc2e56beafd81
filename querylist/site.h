/*
 * site - what a dump says of its wiki, as far as titles and links need it.
 *
 * Model.   A table of namespace names, each with its number: site_init() puts
 *          the English names and aliases in, which every wiki knows beside its
 *          own; the reader of a dump adds those of <siteinfo> (site_add) and
 *          fills the fields.  Names compare as MediaWiki does it: in any case,
 *          _ as a space, runs of spaces as one, none at the ends, marks of
 *          writing direction not at all.  A name added twice has the number
 *          given last.
 * Owns.    Everything inline: nothing to release, to be copied at will.
 * Fails.   -E_TOOBIG past the ceilings below, -E_FORMAT for invalid UTF-8.
 * Threads. One at a time while it is filled; then any number may ask.
 * Cost.    Hashed; asking allocates nothing.
 */
#ifndef QUERYLIST_SITE_H
#define QUERYLIST_SITE_H

#include "base/hash.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SITE_NAME_MAX  255 /* bytes of a name, as of a title */
#define SITE_NAMES_MAX 512
#define SITE_BYTES_MAX (32u << 10) /* of all names together */
#define SITE_SLOTS     2048 /* a power of two, above 2 * SITE_NAMES_MAX */

/* Numbers of namespaces that are the same on every wiki. */
enum site_namespace {
    SITE_MEDIA = -2,
    SITE_SPECIAL = -1,
    SITE_MAIN = 0,
    SITE_TALK = 1,
    SITE_USER = 2,
    SITE_PROJECT = 4,
    SITE_FILE = 6,
    SITE_MEDIAWIKI = 8,
    SITE_TEMPLATE = 10,
    SITE_HELP = 12,
    SITE_CATEGORY = 14,
    SITE_NONE = INT32_MIN /* the name of no namespace */
};

struct dump_site {
    char language[64]; /* xml:lang of the dump, "en"; "" unknown */
    char database[64]; /* <dbname>, "enwiki"; "" unknown */
    bool exact_case;   /* <case> is case-sensitive: else titles begin in upper
                          case whatever a link says */
    /* The table; private. */
    struct site_name {
        uint32_t at; /* in bytes */
        uint32_t n;  /* bytes */
        int32_t number;
    } names[SITE_NAMES_MAX];
    uint32_t n_names;
    uint32_t n_bytes;
    uint16_t slot[SITE_SLOTS];  /* index in names, plus one; 0: empty */
    char bytes[SITE_BYTES_MAX]; /* names, folded */
};

/* A wiki of which nothing is known but the English names. */
void site_init(struct dump_site *s);

int site_add(struct dump_site *s, struct str name, int32_t number);

/* The number of a namespace's name (what stands before a link's colon), or
 * SITE_NONE.  The empty name is SITE_NONE too. */
int32_t site_find(const struct dump_site *s, struct str name);

/* Add the names and their numbers, all that site_find() knows, to a hash. */
void site_hash(const struct dump_site *s, struct sha256 *h);

/* Copy s into a field, cut where it does not fit (between characters). */
void site_set(char *field, size_t size, struct str s);

/* Is that the prefix by which wikis link another language's page? */
bool site_is_language(struct str prefix);

#endif
