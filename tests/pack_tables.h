/*
 * pack_tables - option tables of dedup and pack, as the stages read theirs: the
 * one option of each that changes bytes.
 */
#ifndef TESTS_PACK_TABLES_H
#define TESTS_PACK_TABLES_H

#include "filter/dedup.h"
#include "shards/pack.h"

static const struct opt rows[] = {{.name = "radius",
                                   .type = OPT_U64,
                                   .at = offsetof(struct dedup_config, radius),
                                   .help = "bits",
                                   .flags = OPT_BYTES},
                                  {.name = "samples",
                                   .type = OPT_U64,
                                   .at = offsetof(struct pack_config, samples),
                                   .help = "samples",
                                   .flags = OPT_BYTES}};
static const struct opt_table dedup_table = {.command = "dedup",
                                             .synopsis = "",
                                             .summary = "",
                                             .rows = rows,
                                             .n = 1,
                                             .config_size =
                                                 sizeof(struct dedup_config)};
static const struct opt_table pack_table = {.command = "pack",
                                            .synopsis = "",
                                            .summary = "",
                                            .rows = rows + 1,
                                            .n = 1,
                                            .config_size =
                                                sizeof(struct pack_config)};

#endif
