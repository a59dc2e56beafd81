/*
 * command - what tools/main.c knows of a subcommand.
 *
 * Model.   Each tools/cmd_<name>.c exports one `const struct command
 *          cmd_<name>`: parse, call, print.  run() gets the filled config
 *          struct of the option table, prints results to stdout and returns 0
 *          or -E_*; main() turns that into the exit code: 0 done, 1
 *          -E_NEGATIVE, 2 -E_USAGE, 3 the rest.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "base/err.h"
#include "base/opt.h"

struct command {
    const struct opt_table *options;
    int (*run)(const void *config, struct err *e);
    bool stage; /* has a section in the INI file of `witmill run` */
};

/* NULL-terminated, in the order of the chain. */
extern const struct command *const command_list[];

const struct command *command_find(const char *name);

int command_exit_code(int rc);

#endif
