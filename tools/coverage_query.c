/* One query, or all hyponyms of a synset. */
#include "tools/coverage.h"

#include "querylist/words.h"
#include "tools/print.h"

/* Rows of a question, printed or written as they come. */
struct rows {
    struct coverage *v;
    struct json_out *j; /* NULL: print */
    uint64_t n;
    uint64_t group_id;
    uint64_t with_pairs; /* under: synsets whose entry was found */
};

/* ---- one query ---- */

static void print_numbers(FILE *out, const struct ask_entry *row)
{
    if (row->group_id == CATALOG_NONE) {
        fprintf(out, "  has no words: nothing can match it\n");
        return;
    }
    if (row->found == CATALOG_NONE) {
        fprintf(out, "  not counted yet: run `witmill match`, `gather` and "
                     "`merge`\n");
        return;
    }
    fprintf(out, "  %-10s %13s %13s\n", "", "contain it", "picked by it");
    fprintf(out, "  %-10s %13s %13s\n", "found", print_n(row->found), "");
    if (row->selected == CATALOG_NONE)
        return;
    fprintf(out, "  %-10s %13s %13s  cap %s\n", "selected",
            print_n(row->selected), print_n(row->picks), print_n(row->cap));
    if (row->survived != CATALOG_NONE)
        fprintf(out, "  %-10s %13s %13s\n", "survived", print_n(row->survived),
                print_n(row->survived_picks));
    if (row->packed != CATALOG_NONE)
        fprintf(out, "  %-10s %13s %13s\n", "packed", print_n(row->packed),
                print_n(row->packed_picks));
}

static int query_row(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct rows *r = ctx;
    FILE *out = r->v->out;

    (void)e;
    r->group_id = row->group_id;
    if (r->j) {
        json_out_object(r->j);
        coverage_entry_json(r->j, row);
        json_out_end_object(r->j);
        r->n++;
        return 0;
    }
    if (r->n++ == 0) {
        print_safe(out, row->norm.n ? row->norm : row->text, 0);
        fprintf(out, "\n");
        print_numbers(out, row);
        fprintf(out, "  entries of this group\n");
    }
    fprintf(out, "    %-8llu ", (unsigned long long)row->id);
    print_safe(out, row->text, 0);
    fprintf(out, "  (%.*s)", STR_ARG(row->sources));
    if (row->synset.n) {
        fprintf(out, "  %.*s: ", STR_ARG(row->synset));
        print_safe(out, row->gloss, 120);
    }
    fprintf(out, "\n");
    return 0;
}

static int pair_row(void *ctx, const struct ask_pair *p, struct err *e)
{
    struct rows *r = ctx;
    FILE *out = r->v->out;

    (void)e;
    if (r->j) {
        json_out_object(r->j);
        json_put_string(r->j, "uid", p->uid);
        json_put_string(r->j, "url", p->url);
        json_put_string(r->j, "text", p->text);
        json_put_string(r->j, "page", p->page);
        json_put_string(r->j, "from", p->found_as);
        json_put_bool(r->j, "picked", p->picked);
        json_put_u64(r->j, "round", p->round);
        json_put_string(r->j, "outcome", p->outcome);
        json_put_string(r->j, "reason", p->reason);
        json_out_end_object(r->j);
        return 0;
    }
    fprintf(out, "    ");
    print_safe(out, p->text, 200);
    fprintf(out, "\n      ");
    print_safe(out, p->url, 0);
    fprintf(out, "  %s", p->picked ? "picked" : "picked by others");
    if (p->outcome.n)
        fprintf(out, ", %.*s", STR_ARG(p->outcome));
    if (p->reason.n)
        fprintf(out, " (%.*s)", STR_ARG(p->reason));
    if (p->sample != CATALOG_NONE)
        fprintf(out, ", sample %s", print_n(p->sample));
    fprintf(out, "\n");
    return 0;
}

static int find(struct coverage *v, struct rows *r, const char *text,
                struct err *e)
{
    enum query_policy policy = (enum query_policy)v->corpus->head.policy;
    struct words w;
    int rc;

    words_init(&w);
    rc = words_norm(&w, policy, str_of(text));
    if (rc == -E_FORMAT)
        rc = err_set(e, E_USAGE, "\"%s\" is not valid UTF-8", text);
    if (!rc && w.n)
        rc = ask_norm(v->catalog, buf_str(&w.text), query_row, r, e);
    else if (!rc)
        rc = ask_text(v->catalog, str_of(text), query_row, r, e);
    words_release(&w);
    return rc;
}

static int examples(struct rows *r, struct err *e)
{
    struct coverage *v = r->v;
    uint64_t n = v->top / 4 ? v->top / 4 : 1;

    if (r->group_id == CATALOG_NONE)
        return 0;
    return ask_pairs(v->catalog, r->group_id, n, pair_row, r, e);
}

static int not_there(struct coverage *v, const char *what, const char *text)
{
    fprintf(v->out, "%s is not %s\n", text, what);
    return -E_NEGATIVE;
}

static int query_json(struct coverage *v, struct rows *r, const char *text,
                      struct err *e)
{
    struct json_out j;
    struct buf b;
    int rc;

    buf_init(&b, BUF_NO_LIMIT);
    json_out_init(&j, &b);
    r->j = &j;
    json_out_object(&j);
    json_put_string(&j, "query", str_of(text));
    json_out_name(&j, "entries");
    json_out_array(&j);
    rc = find(v, r, text, e);
    json_out_end_array(&j);
    json_out_name(&j, "pairs");
    json_out_array(&j);
    if (!rc)
        rc = examples(r, e);
    json_out_end_array(&j);
    json_out_end_object(&j);
    if (!rc)
        fprintf(v->out, "%s\n", buf_str(&b).p);
    buf_release(&b);
    return rc ? rc : r->n ? 0 : -E_NEGATIVE;
}

int coverage_query(struct coverage *v, const char *text, struct err *e)
{
    struct rows r = {.v = v, .group_id = CATALOG_NONE};
    uint64_t pairs;
    int rc;

    if (v->json)
        return query_json(v, &r, text, e);
    rc = find(v, &r, text, e);
    if (!rc && !r.n)
        return not_there(v, "in the query list", text);
    if (!rc && r.group_id != CATALOG_NONE) {
        rc = ask_pairs_loaded(v->catalog, &pairs, e);
        if (!rc && pairs)
            fprintf(v->out, "  pairs\n");
        if (!rc)
            rc = examples(&r, e);
    }
    return rc;
}

/* ---- hyponyms ---- */

#define SYNSET 36 /* columns of the table of hyponyms */
#define ENTRY  30

static int under_row(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct rows *r = ctx;
    FILE *out = r->v->out;

    (void)e;
    r->n++;
    r->with_pairs += row->found != CATALOG_NONE && row->found > 0;
    if (r->j) {
        json_out_object(r->j);
        coverage_entry_json(r->j, row);
        json_put_u64(r->j, "depth", row->depth);
        json_out_end_object(r->j);
        return 0;
    }
    if (r->n == 1)
        fprintf(out, "  %-*s %-*s %13s %11s %13s %11s\n", SYNSET, "synset",
                ENTRY, "entry", "found", "picks", "selected", "packed");
    fprintf(out, "  ");
    print_cell(out, row->synset, 2, SYNSET);
    fprintf(out, " ");
    print_cell(out, row->id == CATALOG_NONE ? STR("(none)") : row->text,
               3 + SYNSET, ENTRY);
    fprintf(out, " %13s %11s %13s %11s\n", print_n(row->found),
            print_n(row->picks), print_n(row->selected), print_n(row->packed));
    return 0;
}

int coverage_under(struct coverage *v, const char *synset, struct err *e)
{
    struct rows r = {.v = v};
    struct json_out j;
    struct buf b;
    int rc;

    if (!v->json) {
        rc = ask_under(v->catalog, str_of(synset), under_row, &r, e);
        if (!rc && !r.n)
            return not_there(v, "a synset of this query list", synset);
        if (!rc)
            fprintf(v->out, "  %s synsets, %s of them found\n", print_n(r.n),
                    print_n(r.with_pairs));
        return rc;
    }
    buf_init(&b, BUF_NO_LIMIT);
    json_out_init(&j, &b);
    r.j = &j;
    json_out_object(&j);
    json_put_string(&j, "under", str_of(synset));
    json_out_name(&j, "synsets");
    json_out_array(&j);
    rc = ask_under(v->catalog, str_of(synset), under_row, &r, e);
    json_out_end_array(&j);
    json_out_end_object(&j);
    if (!rc)
        fprintf(v->out, "%s\n", buf_str(&b).p);
    buf_release(&b);
    return rc ? rc : r.n ? 0 : -E_NEGATIVE;
}
