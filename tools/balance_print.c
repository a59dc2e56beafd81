#include "tools/balance_print.h"

#include <stdio.h>

#include "tools/print.h"
#include "tools/summary.h"

static const char *found_by(const struct balance_config *b)
{
    return b->target ? "target" : b->tail_share > 0 ? "tail-share" : "cap";
}

/* What counts alone tell, before a pair is looked at. */
static void print_counts(const struct balance_config *b,
                         const struct balance_summary *sum)
{
    uint64_t tail = sum->matches - sum->head_matches;

    summary_line("queries (groups)", sum->groups);
    summary_share("without a match", sum->zero, sum->groups);
    summary_share("tail, up to the cap", sum->tail, sum->groups);
    summary_share("head, above the cap", sum->head, sum->groups);
    summary_line("matches in all", sum->matches);
    summary_share("of the head", sum->head_matches, sum->matches);
    summary_share("of the tail", tail, sum->matches);
    summary_line("picks expected", sum->expected_picks);
    summary_share("of the head", sum->head_picks, sum->expected_picks);
    summary_share("of the tail", tail, sum->expected_picks);
    if (b->round)
        summary_line("queries that lost images", sum->raised);
    summary_line("pairs", sum->unique);
    if (sum->unique)
        printf("  %-28s %15.2f\n", "matches a pair",
               (double)sum->matches / (double)sum->unique);
    summary_share("kept, were picks independent", sum->independent,
                  sum->unique);
}

static void print_pairs(const struct balance_config *b,
                        const struct balance_summary *sum)
{
    summary_line("pairs looked at", sum->pairs);
    if (b->round == 0)
        summary_share("expected by their queries", sum->expected, sum->pairs);
    summary_line(b->dry_run ? "picks" : "picks recorded", sum->picks);
    summary_share(b->round ? "pairs added" : "pairs kept", sum->kept,
                  sum->pairs);
    if (sum->kept)
        printf("  %-28s %15.2f\n", "picks a pair",
               (double)sum->picks / (double)sum->kept);
}

static void print_top(const struct balance_summary *sum)
{
    if (!sum->n_top)
        return;
    printf("\n  %-28s %15s %8s\n", "most matched", "matches", "picked");
    for (unsigned i = 0; i < sum->n_top; i++) {
        const struct balance_top *top = &sum->top[i];

        printf("  ");
        print_cell(stdout, str_of(top->norm), 2, 28);
        printf(" %15s %8s\n", print_n(top->c),
               print_share(top->c < top->t ? top->c : top->t, top->c));
    }
}

void balance_print(const struct balance_config *b,
                   const struct balance_summary *sum)
{
    bool found = b->round == 0 && (b->target || b->tail_share > 0);

    printf("balance, round %llu%s: cap %s%s%s\n", (unsigned long long)b->round,
           b->dry_run ? " (dry run)" : "", print_n(sum->t),
           found ? ", found by --" : "", found ? found_by(b) : "");
    print_counts(b, sum);
    if (!sum->planned_only)
        print_pairs(b, sum);
    print_top(sum);
}

static void put_counts(struct json_out *j, const struct balance_summary *sum)
{
    uint64_t tail = sum->matches - sum->head_matches;

    json_put_u64(j, "groups", sum->groups);
    json_put_u64(j, "zero", sum->zero);
    json_put_u64(j, "tail", sum->tail);
    json_put_u64(j, "head", sum->head);
    json_put_u64(j, "matches", sum->matches);
    json_put_u64(j, "head_matches", sum->head_matches);
    json_put_u64(j, "tail_matches", tail);
    json_put_double(j, "tail_share",
                    sum->matches ? (double)tail / (double)sum->matches : 0);
    json_put_u64(j, "picks_expected", sum->expected_picks);
    json_put_u64(j, "pairs", sum->unique);
    json_put_u64(j, "kept_if_independent", sum->independent);
}

void balance_print_json(const struct balance_config *b,
                        const struct balance_summary *sum)
{
    struct json_out j;
    struct buf out;

    buf_init(&out, BUF_NO_LIMIT);
    json_out_init(&j, &out);
    json_out_object(&j);
    json_put_u64(&j, "round", b->round);
    json_put_bool(&j, "dry_run", b->dry_run);
    json_put_u64(&j, "cap", sum->t);
    json_put_string(&j, "cap_by", str_of(found_by(b)));
    put_counts(&j, sum);
    if (b->round)
        json_put_u64(&j, "raised", sum->raised);
    if (!sum->planned_only) {
        json_put_u64(&j, "looked_at", sum->pairs);
        if (b->round == 0)
            json_put_u64(&j, "kept_expected", sum->expected);
        json_put_u64(&j, "picks", sum->picks);
        json_put_u64(&j, "kept", sum->kept);
    }
    json_out_name(&j, "top");
    json_out_array(&j);
    for (unsigned i = 0; i < sum->n_top; i++) {
        json_out_object(&j);
        json_put_u64(&j, "id", sum->top[i].id);
        json_put_string(&j, "norm", str_of(sum->top[i].norm));
        json_put_u64(&j, "matches", sum->top[i].c);
        json_put_u64(&j, "cap", sum->top[i].t);
        json_out_end_object(&j);
    }
    json_out_end_array(&j);
    json_out_end_object(&j);
    printf("%s\n", buf_str(&out).p);
    buf_release(&out);
}
