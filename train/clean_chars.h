/*
 * clean_chars - one code point as step 1 of train/clean.h maps it.
 *
 * Model.   C1 controls as windows-1252, Latin ligatures, full and half width,
 *          curly quotes, line separators: what ftfy does to a character
 *          whatever stands around it.  Controls are told, not left out, as
 *          they keep what is around them from being an escape sequence.
 * Fails.   out says.
 * Threads. Pure.
 */
#ifndef TRAIN_CLEAN_CHARS_H
#define TRAIN_CLEAN_CHARS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

#define CLEAN_NEEDS_NFC       1u /* bits of what was appended */
#define CLEAN_NEEDS_REDUCTION 2u /* controls */

/* Append what the code point (above ASCII) becomes; bits as above. */
unsigned clean_char(uint32_t cp, struct buf *out);

/* What ftfy leaves out in the end. */
bool clean_is_control(uint32_t cp);

#endif
