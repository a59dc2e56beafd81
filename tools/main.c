#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "tools/command.h"
#include "tools/print.h"
#include "base/version.h"

static void overview(FILE *to)
{
    fprintf(to, "witmill " WITMILL_VERSION
                ": WebImageText-like corpora and CLIP models\n\n"
                "usage: witmill COMMAND [options]; witmill COMMAND --help "
                "explains one\n\n");
    for (size_t i = 0; command_list[i]; i++)
        fprintf(to, "  %-12s %s\n", command_list[i]->options->command,
                command_list[i]->options->summary);
    fprintf(to, "\nexit codes: 0 done, 1 negative answer, 2 usage, "
                "3 failure\n");
}

static void print_buf(void (*fn)(const struct opt_table *, struct buf *),
                      const struct opt_table *t)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    fn(t, &b);
    fwrite(b.p, 1, b.n, stdout);
    buf_release(&b);
}

/* For the shell: the commands, or the options of one. */
static int words(const char *name)
{
    const struct command *c = name ? command_find(name) : NULL;

    if (c) {
        print_buf(opt_words, c->options);
        putchar('\n');
        return 0;
    }
    for (size_t i = 0; command_list[i]; i++)
        printf("%s%s", i ? " " : "", command_list[i]->options->command);
    putchar('\n');
    return 0;
}

/* A message may quote file names and URLs of strangers. */
static void print_message(const char *command, const char *message)
{
    fprintf(stderr, "witmill %s: ", command);
    print_safe(stderr, str_of(message), 0);
    fputc('\n', stderr);
}

/* Results that did not arrive are a failure, whenever that came out: errno is
 * gone when it was before the last write. */
static int flush_results(struct err *e)
{
    if (fflush(stdout))
        return err_errno(e, E_IO, "write", "standard output");
    if (ferror(stdout))
        return err_set(e, E_IO, "standard output could not be written");
    return 0;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    _Alignas(16) char config[4096];
    struct err e = ERR_INIT;
    struct opt_set s;
    int rc;

    if (c->options->config_size > sizeof config)
        return 3;
    opt_init(&s, c->options, config);
    rc = opt_argv(&s, argc, argv, &e);
    if (!rc && s.want_help) {
        print_buf(opt_help, c->options);
        opt_release(&s);
        return 0;
    }
    if (!rc)
        rc = opt_finish(&s, &e);
    if (!rc)
        rc = c->run(config, &e);
    rc = rc ? rc : flush_results(&e);
    if (rc && e.code)
        print_message(c->options->command, e.message);
    else if (rc && rc != -E_NEGATIVE && rc != -E_CANCEL) /* said already */
        fprintf(stderr, "witmill %s: %s\n", c->options->command, err_name(rc));
    opt_release(&s);
    return command_exit_code(rc);
}

int main(int argc, char **argv)
{
    const struct command *c;

    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "help")) {
        overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("witmill " WITMILL_VERSION);
        return 0;
    }
    if (!strcmp(argv[1], "--words"))
        return words(argc > 2 ? argv[2] : NULL);
    c = command_find(argv[1]);
    if (c && argc == 3 && !strcmp(argv[2], "--markdown")) {
        print_buf(opt_markdown, c->options);
        return 0;
    }
    if (!c) {
        fprintf(stderr,
                "witmill: no command \"%s\"; witmill --help lists them\n",
                argv[1]);
        return 2;
    }
    return run_command(c, argc - 2, argv + 2);
}
