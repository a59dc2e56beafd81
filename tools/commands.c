/* The subcommands, in the order of the chain. */
#include <stddef.h>
#include <string.h>

#include "tools/command.h"

#ifdef WITMILL_TRAIN_ONLY
#define COMMANDS(X) X(train)
#else
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
    X(verify)                                                                  \
    X(tokenizer)                                                               \
    X(train)                                                                   \
    X(eval)                                                                    \
    X(embed)
#endif

#define X(name) extern const struct command cmd_##name;
COMMANDS(X)
#undef X

const struct command *const command_list[] = {
#define X(name) &cmd_##name,
    COMMANDS(X)
#undef X
    NULL};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; command_list[i]; i++)
        if (!strcmp(command_list[i]->options->command, name))
            return command_list[i];
    return NULL;
}

int command_exit_code(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case -E_NEGATIVE:
        return 1;
    case -E_USAGE:
        return 2;
    }
    return 3;
}
