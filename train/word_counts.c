#include "train/word_counts.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "train/pieces.h"

#define SLOTS_FIRST 4096

void word_counts_init(struct word_counts *w)
{
    *w = (struct word_counts){0};
    buf_init(&w->bytes, WORD_COUNTS_TOTAL);
    clean_init(&w->clean);
}

void word_counts_release(struct word_counts *w)
{
    free(w->words);
    free(w->slots);
    buf_release(&w->bytes);
    clean_release(&w->clean);
    *w = (struct word_counts){0};
}

static uint32_t slot_of(const struct word_counts *w, struct str word)
{
    uint32_t at = (uint32_t)hash_xxh3(word) & w->mask;

    while (w->slots[at] && !str_eq(word_counts_word(w, w->slots[at] - 1), word))
        at = (at + 1) & w->mask;
    return at;
}

/* Room for one more word, the table at most half full. */
static int grow(struct word_counts *w)
{
    uint32_t slots = w->slots ? w->mask + 1 : 0;
    struct word_count *words;
    uint32_t *table;

    if (slots && w->n < slots / 2)
        return 0;
    if (w->n >= WORD_COUNTS_MAX)
        return -E_TOOBIG;
    slots = slots ? slots * 2 : SLOTS_FIRST;
    words = realloc(w->words, slots / 2 * sizeof *words);
    if (!words)
        return -E_NOMEM;
    w->words = words;
    table = calloc(slots, sizeof *table);
    if (!table)
        return -E_NOMEM;
    free(w->slots);
    w->slots = table;
    w->mask = slots - 1;
    for (uint32_t i = 0; i < w->n; i++)
        table[slot_of(w, word_counts_word(w, i))] = i + 1;
    return 0;
}

static int count(struct word_counts *w, struct str word)
{
    uint32_t at;
    int rc = grow(w);

    if (rc)
        return rc;
    at = slot_of(w, word);
    if (!w->slots[at]) {
        uint32_t begin = (uint32_t)w->bytes.n;

        buf_add(&w->bytes, word);
        if (w->bytes.rc)
            return w->bytes.rc;
        w->words[w->n] = (struct word_count){0, begin, (uint32_t)word.n};
        w->slots[at] = ++w->n;
    }
    w->words[w->slots[at] - 1].count++;
    w->pieces++;
    return 0;
}

int word_counts_add(struct word_counts *w, struct str text)
{
    struct pieces cut = {
        .specials = {STR("<|startoftext|>"), STR("<|endoftext|>")}};
    struct str piece;
    int special, rc = clean_text(&w->clean, text, &cut.text);

    while (!rc && pieces_next(&cut, &piece, &special))
        if (special < 0 && piece.n <= WORD_COUNTS_BYTES)
            rc = count(w, piece);
    w->texts += !rc;
    return rc;
}
