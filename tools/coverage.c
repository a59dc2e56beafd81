/* The whole corpus: funnel, drops, and how the queries are spread. */
#include "tools/coverage.h"

#include <stdlib.h>

#include "tools/funnel.h"
#include "tools/print.h"

static const struct {
    const char *stage, *label;
} stages[] = {{"gather", "found"},
              {"balance", "selected"},
              {"dedup", "survived"},
              {"pack", "packed"}};
#define STAGES (sizeof stages / sizeof *stages)

uint64_t coverage_fact(struct catalog *c, const char *name, uint64_t def)
{
    struct buf b;
    uint64_t v = def;

    buf_init(&b, 64);
    if (catalog_fact(c, name, &b, NULL) || str_u64(buf_str(&b), &v))
        v = def;
    buf_release(&b);
    return v;
}

/* ---- for people ---- */

static void print_funnel(FILE *out, const struct funnel *f)
{
    const char *stage = "";

    fprintf(out, "funnel\n");
    if (!f->n)
        fprintf(out, "  nothing yet: the first stage to run is `witmill "
                     "import` or `witmill crawl`\n");
    for (size_t i = 0; i < f->n; i++)
        fprintf(out, "  %-20s %15s  %s\n", f->rows[i].label,
                print_n(f->rows[i].n), f->rows[i].what);
    if (f->n_drops)
        fprintf(out, "\ndropped, by reason\n");
    for (size_t i = 0; i < f->n_drops; i++) {
        const struct funnel_drop *d = &f->drops[i];

        fprintf(out, "  %-10s %-28s %12s\n",
                strcmp(stage, d->stage) ? d->stage : "", d->reason,
                print_n(d->n));
        stage = d->stage;
    }
}

static void print_spread(FILE *out, const char *label,
                         const struct ask_spread *s)
{
    uint64_t sum = s->tail_sum + s->head_sum;

    if (!s->known)
        return;
    fprintf(out, "  %-9s %12s %6s %12s %12s %9s %15s\n", label,
            print_n(s->zero), print_share(s->zero, s->groups), print_n(s->tail),
            print_n(s->head), print_share(s->head_sum, sum),
            print_n(s->picks ? s->picks : UINT64_MAX));
}

static int print_spreads(struct coverage *v, struct err *e)
{
    struct ask_spread s[STAGES];
    uint64_t cap = coverage_fact(v->catalog, "cap", COVERAGE_CAP);
    int rc = 0;

    for (size_t i = 0; i < STAGES && !rc; i++)
        rc = ask_spread(v->catalog, stages[i].stage, cap, &s[i], e);
    if (rc)
        return rc;
    fprintf(v->out, "\nqueries\n  %s entries in %s groups of equal words",
            print_n(s[0].entries), print_n(s[0].groups));
    if (s[0].wordless)
        fprintf(v->out, "; %s without a word, which nothing can match",
                print_n(s[0].wordless));
    fprintf(v->out, "\n");
    if (!s[0].known) {
        fprintf(v->out, "  not counted yet: run `witmill match`, `gather` and "
                        "`merge`\n");
        return 0;
    }
    fprintf(v->out,
            "  groups by the pairs that contain them; the cap t is %s%s\n"
            "  %-9s %12s %6s %12s %12s %9s %15s\n",
            print_n(cap), s[1].known ? "" : " unless balance is told another",
            "", "zero", "", "1 to t", "above t", "hold", "picks");
    for (size_t i = 0; i < STAGES; i++)
        print_spread(v->out, stages[i].label, &s[i]);
    if (s[1].known)
        fprintf(v->out, "  most picks of one query: %s\n",
                print_n(s[1].most_picks));
    return 0;
}

struct table {
    FILE *out;
    const char *title; /* NULL once it is printed: an empty table has none */
};

static int print_entry(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct table *t = ctx;

    (void)e;
    if (t->title)
        fprintf(t->out, "\n  %-28s %13s %11s %13s %11s\n", t->title, "found",
                "picks", "selected", "packed");
    t->title = NULL;
    fprintf(t->out, "  ");
    print_cell(t->out, row->norm, 2, 28);
    fprintf(t->out, " %13s %11s %13s %11s\n", print_n(row->found),
            print_n(row->picks), print_n(row->selected), print_n(row->packed));
    return 0;
}

static int print_tables(struct coverage *v, struct err *e)
{
    static const struct {
        enum ask_list list;
        const char *title;
    } tables[] = {{ASK_HEAD, "head: most found"},
                  {ASK_TAIL, "tail: least found"},
                  {ASK_ZERO, "zero: found nowhere"}};
    int rc = 0;

    if (!catalog_section_there(v->catalog, "gather"))
        return 0;
    for (size_t i = 0; i < 3 && !rc; i++) {
        struct table t = {v->out, tables[i].title};

        rc =
            ask_entries(v->catalog, tables[i].list, v->top, print_entry, &t, e);
    }
    return rc;
}

/* ---- for scripts ---- */

static void put_known(struct json_out *j, const char *name, uint64_t n)
{
    json_out_name(j, name);
    if (n == CATALOG_NONE)
        json_out_null(j);
    else
        json_out_u64(j, n);
}

void coverage_entry_json(struct json_out *j, const struct ask_entry *row)
{
    put_known(j, "id", row->id);
    put_known(j, "group", row->group_id);
    json_put_string(j, "text", row->text);
    json_put_string(j, "norm", row->norm);
    json_put_string(j, "sources", row->sources);
    if (row->synset.n) {
        json_put_string(j, "synset", row->synset);
        json_put_string(j, "gloss", row->gloss);
    }
    put_known(j, "found", row->found);
    put_known(j, "cap", row->cap);
    put_known(j, "picks", row->picks);
    put_known(j, "selected", row->selected);
    put_known(j, "survived_picks", row->survived_picks);
    put_known(j, "survived", row->survived);
    put_known(j, "packed_picks", row->packed_picks);
    put_known(j, "packed", row->packed);
}

static int json_entry(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct json_out *j = ctx;

    (void)e;
    json_out_object(j);
    coverage_entry_json(j, row);
    json_out_end_object(j);
    return 0;
}

static void json_funnel(struct json_out *j, const struct funnel *f)
{
    json_out_name(j, "funnel");
    json_out_array(j);
    for (size_t i = 0; i < f->n; i++) {
        json_out_object(j);
        json_put_string(j, "label", str_of(f->rows[i].label));
        json_put_string(j, "stage", str_of(f->rows[i].stage));
        json_put_u64(j, "n", f->rows[i].n);
        json_out_end_object(j);
    }
    json_out_end_array(j);
    json_out_name(j, "drops");
    json_out_array(j);
    for (size_t i = 0; i < f->n_drops; i++) {
        json_out_object(j);
        json_put_string(j, "stage", str_of(f->drops[i].stage));
        json_put_string(j, "reason", str_of(f->drops[i].reason));
        json_put_u64(j, "n", f->drops[i].n);
        json_out_end_object(j);
    }
    json_out_end_array(j);
}

static int json_spreads(struct coverage *v, struct json_out *j, struct err *e)
{
    uint64_t cap = coverage_fact(v->catalog, "cap", COVERAGE_CAP);
    int rc = 0;

    json_out_name(j, "queries");
    json_out_object(j);
    json_put_u64(j, "cap", cap);
    for (size_t i = 0; i < STAGES && !rc; i++) {
        struct ask_spread s;

        rc = ask_spread(v->catalog, stages[i].stage, cap, &s, e);
        if (!rc && i == 0) {
            json_put_u64(j, "entries", s.entries);
            json_put_u64(j, "groups", s.groups);
            json_put_u64(j, "wordless", s.wordless);
        }
        if (rc || !s.known)
            continue;
        json_out_name(j, stages[i].label);
        json_out_object(j);
        json_put_u64(j, "zero", s.zero);
        json_put_u64(j, "tail", s.tail);
        json_put_u64(j, "head", s.head);
        json_put_u64(j, "tail_pairs", s.tail_sum);
        json_put_u64(j, "head_pairs", s.head_sum);
        json_put_u64(j, "picks", s.picks);
        json_put_u64(j, "most_picks", s.most_picks);
        json_out_end_object(j);
    }
    json_out_end_object(j);
    return rc;
}

static int summary_json(struct coverage *v, const struct funnel *f,
                        struct err *e)
{
    static const char *const names[] = {"head", "tail", "zero"};
    struct json_out j;
    struct buf b;
    int rc;

    buf_init(&b, BUF_NO_LIMIT);
    json_out_init(&j, &b);
    json_out_object(&j);
    json_funnel(&j, f);
    rc = json_spreads(v, &j, e);
    for (int i = ASK_HEAD; i <= ASK_ZERO && !rc; i++) {
        json_out_name(&j, names[i]);
        json_out_array(&j);
        rc = ask_entries(v->catalog, (enum ask_list)i, v->top, json_entry, &j,
                         e);
        json_out_end_array(&j);
    }
    json_out_end_object(&j);
    if (!rc)
        fprintf(v->out, "%s\n", buf_str(&b).p);
    buf_release(&b);
    return rc;
}

int coverage_summary(struct coverage *v, struct err *e)
{
    struct funnel f;
    int rc = funnel_read(&f, v->catalog, e);

    if (rc)
        return rc;
    if (v->json) {
        rc = summary_json(v, &f, e);
    } else {
        print_funnel(v->out, &f);
        rc = print_spreads(v, e);
        if (!rc)
            rc = print_tables(v, e);
    }
    funnel_release(&f);
    return rc;
}
