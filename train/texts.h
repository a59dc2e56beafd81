/*
 * texts - which of a sample's texts a model reads.
 *
 * Model.   The texts of a sample are, the first that there are:
 *            with a key   the member KEY of its .json: a string, or an array
 *                         of strings
 *            `texts`      of a .json of ours: the text of each of its objects
 *            lines        of its .txt, trimmed, empty ones left out
 *          TEXTS_DRAW takes one of them by a 64-bit draw, TEXTS_FIRST the
 *          first one.  TEXTS_WHOLE takes a .txt as it is, line breaks and all,
 *          or the first text of the key.
 * Owns.    struct texts owns memory between calls; a text picked is valid
 *          until the next one, and as long as txt and json are.
 * Fails.   No text: false.  A .json that is malformed, or has no such member,
 *          has no texts; then the .txt speaks, unless a key was asked for.
 * Threads. One struct per thread.
 * Cost.    One pass; texts behind the TEXTS_MAX-th are never drawn.
 */
#ifndef TRAIN_TEXTS_H
#define TRAIN_TEXTS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/str.h"

#define TEXTS_MAX 1024 /* of a sample */

enum texts_rule { TEXTS_DRAW, TEXTS_FIRST, TEXTS_WHOLE, TEXTS_RULES };

struct texts {
    enum texts_rule rule;
    const char *key; /* of the .json, or NULL */
    struct arena arena;
    struct str list[TEXTS_MAX];
};

void texts_init(struct texts *t, enum texts_rule rule, const char *key);
void texts_release(struct texts *t);

/* Does it look into the .json at all? */
bool texts_want_json(const struct texts *t);

/* json is empty when there is none. */
bool texts_pick(struct texts *t, struct str txt, struct str json, uint64_t draw,
                struct str *text);

/* All of a sample's texts, whatever the rule: as many as it returns, at most
 * TEXTS_MAX, stand in t->list. */
size_t texts_all(struct texts *t, struct str txt, struct str json);

#endif
