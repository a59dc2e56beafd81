/*
 * wordnet - the synsets of WordNet 3.0 as Debian's wordnet-base has them.
 *
 * Model.   wordnet_load() reads data.{noun,verb,adj,adv} for lemmas, pointers
 *          and glosses, and index.* for sense numbers.  Each synset gets
 *          - id: "dog.n.01" as NLTK names it: the first lemma in lower case,
 *            the part of speech (n v a s r) and the place of the synset among
 *            that lemma's senses in the index;
 *          - name: the query list's entry (facts B1): that lemma, cut at the
 *            first dot, "_" as a space.  May be empty (".22_caliber").
 *          - parents: hypernyms and instance hypernyms (@, @i).
 *          Synsets stand in the order noun, verb, adj, adv, then as in the
 *          file.  Format: wndb(5).
 * Owns.    Everything behind struct wordnet, until wordnet_release().
 * Fails.   -E_NOTFOUND with the package to install; -E_FORMAT with file and
 *          line.
 * Threads. Constant once loaded.
 * Cost.    The files in memory (30 MB) while loading; about 25 MB after.
 */
#ifndef QUERYLIST_WORDNET_H
#define QUERYLIST_WORDNET_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include <stddef.h>
#include <stdint.h>

#define WORDNET_FOLDER   "/usr/share/wordnet"
#define WORDNET_FILE_MAX (64u << 20)  /* bytes of one of its files */
#define WORDNET_MEMORY   (256u << 20) /* ceiling of what is kept */
#define WORDNET_NONE     UINT32_MAX

struct synset {
    struct str id;
    struct str name;
    struct str gloss;
    uint32_t sense;        /* from 1 */
    uint32_t first_parent; /* in wordnet.parents */
    uint32_t n_parents;
    char pos; /* n v a s r */
};

struct wordnet {
    struct synset *synsets;
    size_t n;
    uint32_t *parents; /* indexes of synsets, in file order per child */
    size_t n_parents;
    struct arena arena;
};

int wordnet_load(struct wordnet *w, const char *folder, struct err *e);
void wordnet_release(struct wordnet *w);

#endif
