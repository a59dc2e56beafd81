/*
 * summary - how commands say what they did: aligned lines on stdout.
 *
 * Threads. One.
 */
#ifndef TOOLS_SUMMARY_H
#define TOOLS_SUMMARY_H

#include <stdint.h>
#include "base/tally.h"

/* What a summary begins with: "match: 4 parts, 1 of them done before". */
void summary_outputs(const char *stage, uint64_t n, const char *unit,
                     uint64_t before);

/* "  label          1,234,567" */
void summary_line(const char *label, uint64_t n);

/* The same, with a share of whole in per cent. */
void summary_share(const char *label, uint64_t n, uint64_t whole);

/* "title:" and a line for each row, largest first; nothing when empty. */
void summary_tally(const char *title, const struct tally *t);

#endif
