/* The subcommands, in the order of the chain. */
#include <stddef.h>

#include "tools/command.h"

#define COMMANDS(X)                                                            \
    X(queries)                                                                 \
    X(crawl)                                                                   \
    X(import)                                                                  \
    X(match)                                                                   \
    X(gather)                                                                  \
    X(balance)                                                                 \
    X(download)                                                                \
    X(dedup)                                                                   \
    X(pack)                                                                    \
    X(run)                                                                     \
    X(merge)                                                                   \
    X(coverage)                                                                \
    X(report)                                                                  \
    X(explain)                                                                 \
    X(verify)

#define X(name) extern const struct command cmd_##name;
COMMANDS(X)
#undef X

const struct command *const command_list[] = {
#define X(name) &cmd_##name,
    COMMANDS(X)
#undef X
    NULL};
