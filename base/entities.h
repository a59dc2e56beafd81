/*
 * entities - the named character references of HTML (section 13.5).
 *
 * Model.   entity_find() takes what stands behind an ampersand and finds the
 *          longest name that it begins with.  The list is base/entities.inc,
 *          made by tools/gen_entities.py.
 * Threads. Pure functions.
 * Cost.    A few comparisons for each letter of the name.
 */
#ifndef BASE_ENTITIES_H
#define BASE_ENTITIES_H

#include "base/str.h"
#include <stdint.h>

struct entity {
    uint32_t first;  /* code point */
    uint32_t second; /* code point, 0 for none */
    size_t n;        /* bytes of the name, its ; included if it has one */
    bool semicolon;  /* the name that matched ends in ; */
};

/* False when s begins with no name. */
bool entity_find(struct str s, struct entity *found);

/* The code point that &#NUMBER; stands for: C1 numbers read as windows-1252,
 * and U+FFFD for 0, surrogates and what lies above U+10FFFF. */
uint32_t entity_number(uint32_t number);

#endif
