/*
 * balance_print - what balance found, for people and for scripts.
 *
 * Threads. One.
 */
#ifndef TOOLS_BALANCE_PRINT_H
#define TOOLS_BALANCE_PRINT_H

#include "filter/balance.h"

void balance_print(const struct balance_config *b,
                   const struct balance_summary *sum);

/* One object on a line. */
void balance_print_json(const struct balance_config *b,
                        const struct balance_summary *sum);

#endif
