/* The other readers of an option table: help, docs page, completion. */
#include "base/opt.h"

#define HELP_COLUMNS 79
#define HELP_INDENT  24

/* text from column `at`, wrapped at words to indent. */
static void wrap(struct buf *out, struct str text, size_t at, size_t indent)
{
    struct str word;

    while (str_split(&text, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (at > indent && at + 1 + word.n > HELP_COLUMNS) {
            buf_addf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            buf_add_char(out, ' ');
            at++;
        }
        buf_add(out, word);
        at += word.n;
    }
    buf_add_char(out, '\n');
}

/* A table's cell: a bar would end it, inside backticks too. */
static void cell(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, text.p[i]);
    }
}

static void option_head(const struct opt *o, struct buf *out)
{
    if (o->flags & OPT_POSITIONAL)
        buf_addf(out, "%s", o->name);
    else if (o->type == OPT_BOOL)
        buf_addf(out, "--%s%s", o->def && !strcmp(o->def, "yes") ? "no-" : "",
                 o->name);
    else
        buf_addf(out, "--%s %s", o->name, o->arg ? o->arg : "VALUE");
}

/* Help, default, choices and whether it is in the fingerprint, one text. */
static void option_text(const struct opt *o, struct buf *out)
{
    buf_addf(out, "%s", o->help);
    if (o->choices) {
        buf_addf(out, " One of");
        for (int i = 0; o->choices[i]; i++)
            buf_addf(out, "%s %s", i ? "," : "", o->choices[i]);
        buf_addf(out, ".");
    }
    if (o->def && o->type != OPT_BOOL)
        buf_addf(out, " Default: %s.", o->def);
    if (o->flags & OPT_REQUIRED)
        buf_addf(out, " Required.");
}

void opt_help(const struct opt_table *t, struct buf *out)
{
    struct str rest = str_of(t->details), line;

    buf_addf(out, "witmill %s %s\n\n", t->command, t->synopsis);
    wrap(out, str_of(t->summary), 0, 0);
    for (bool first = true; t->details && str_split(&rest, '\n', &line);
         first = false) {
        if (first)
            buf_add_char(out, '\n');
        wrap(out, line, 0, 0);
    }
    buf_addf(out, "\nOptions:\n");
    for (size_t i = 0; i < t->n; i++) {
        struct buf head, text;

        if (t->rows[i].flags & OPT_HIDDEN)
            continue;
        buf_init(&head, 4096);
        buf_init(&text, 65536);
        option_head(&t->rows[i], &head);
        option_text(&t->rows[i], &text);
        buf_addf(out, "  %s", buf_str(&head).p);
        if (head.n + 3 > HELP_INDENT)
            buf_addf(out, "\n%*s", HELP_INDENT, "");
        else
            buf_addf(out, "%*s", (int)(HELP_INDENT - 2 - head.n), "");
        wrap(out, buf_str(&text), HELP_INDENT, HELP_INDENT);
        buf_release(&head);
        buf_release(&text);
    }
    buf_addf(out, "\nExamples:\n");
    rest = str_of(t->examples);
    while (str_split(&rest, '\n', &line))
        buf_addf(out, "  %.*s\n", STR_ARG(line));
}

void opt_markdown(const struct opt_table *t, struct buf *out)
{
    buf_addf(out, "# witmill %s\n\n%s\n\n    witmill %s %s\n\n", t->command,
             t->summary, t->command, t->synopsis);
    if (t->details)
        buf_addf(out, "%s\n\n", t->details);
    buf_addf(out, "| option | meaning |\n|---|---|\n");
    for (size_t i = 0; i < t->n; i++) {
        struct buf head, text;

        if (t->rows[i].flags & OPT_HIDDEN)
            continue;
        buf_init(&head, 4096);
        buf_init(&text, 65536);
        option_head(&t->rows[i], &head);
        option_text(&t->rows[i], &text);
        buf_addf(out, "| `");
        cell(out, buf_str(&head));
        buf_addf(out, "` | ");
        cell(out, buf_str(&text));
        buf_addf(out, "%s |\n",
                 t->rows[i].flags & OPT_BYTES ? " (in the fingerprint)" : "");
        buf_release(&head);
        buf_release(&text);
    }
    buf_addf(out, "\nExamples:\n\n```\n%s\n```\n", t->examples);
}

void opt_words(const struct opt_table *t, struct buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct opt *o = &t->rows[i];

        if (!(o->flags & (OPT_HIDDEN | OPT_POSITIONAL)))
            buf_addf(out, "%s--%s", out->n ? " " : "", o->name);
    }
    buf_addf(out, "%s--help", out->n ? " " : "");
}
