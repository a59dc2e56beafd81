/* What an evaluation found, as numbers and as JSON. */
#include <stdio.h>

#include "train/evaluator.h"

size_t evaluator_numbers(const struct evaluator *v,
                         struct record_eval list[RECORD_EVALS_MAX])
{
    const struct retrieval_result *r = &v->found;
    const struct zeroshot_score *s = &v->score;
    double images = (double)s->images;
    size_t n = 0;

    if (v->many) {
        list[n++] = (struct record_eval){"zeroshot_map", v->mean};
        return n;
    }
    if (v->c.task == EVALUATE_ZEROSHOT) {
        list[n++] =
            (struct record_eval){"zeroshot_top1", (double)s->right / images};
        if (s->classes > 5)
            list[n++] =
                (struct record_eval){"zeroshot_top5", (double)s->top5 / images};
        list[n++] = (struct record_eval){"zeroshot_recall", zeroshot_recall(s)};
        return n;
    }
    list[n++] = (struct record_eval){"retrieval_r1",
                                     (r->to_text[0] + r->to_picture[0]) / 2};
    list[n++] = (struct record_eval){"image_to_text_r1", r->to_text[0]};
    list[n++] = (struct record_eval){"image_to_text_r5", r->to_text[1]};
    list[n++] = (struct record_eval){"image_to_text_r10", r->to_text[2]};
    list[n++] = (struct record_eval){"text_to_image_r1", r->to_picture[0]};
    list[n++] = (struct record_eval){"text_to_image_r5", r->to_picture[1]};
    list[n++] = (struct record_eval){"text_to_image_r10", r->to_picture[2]};
    return n;
}

static void put_share(struct json_out *o, const char *name, uint64_t part,
                      uint64_t whole)
{
    json_put_double(o, name, (double)part / (double)whole);
}

static void put_table(const struct evaluator *v, struct json_out *o)
{
    json_out_name(o, "per_class");
    json_out_array(o);
    for (size_t i = 0; i < v->score.classes; i++) {
        const struct zeroshot_class *k = &v->score.of[i];

        json_out_object(o);
        json_put_string(o, "name", v->prompts.names.v[i]);
        json_put_u64(o, "images", k->images);
        json_put_u64(o, "right", k->right);
        json_put_u64(o, "top5", k->top5);
        json_put_u64(o, "told", k->told);
        json_out_end_object(o);
    }
    json_out_end_array(o);
}

static void put_precision_table(const struct evaluator *v, struct json_out *o)
{
    json_out_name(o, "per_class");
    json_out_array(o);
    for (size_t i = 0; i < v->precision.classes; i++) {
        json_out_object(o);
        json_put_string(o, "name", v->prompts.names.v[i]);
        json_put_u64(o, "images", v->precision.of[i].images);
        json_put_double(o, "average_precision", v->precision.of[i].average);
        json_out_end_object(o);
    }
    json_out_end_array(o);
}

static void put_precision(const struct evaluator *v, bool table,
                          struct json_out *o)
{
    json_put_u64(o, "classes", v->precision.classes);
    json_put_u64(o, "templates", v->prompts.templates.n);
    json_put_double(o, "mean_average_precision", v->mean);
    json_put_double(o, "chance", precision_chance(&v->precision));
    if (table)
        put_precision_table(v, o);
}

static void put_zeroshot(const struct evaluator *v, bool table,
                         struct json_out *o)
{
    const struct zeroshot_score *s = &v->score;

    json_put_u64(o, "classes", s->classes);
    json_put_u64(o, "templates", v->prompts.templates.n);
    put_share(o, "top1", s->right, s->images);
    if (s->classes > 5)
        put_share(o, "top5", s->top5, s->images);
    json_put_double(o, "mean_per_class_recall", zeroshot_recall(s));
    json_put_double(o, "chance", 1 / (double)s->classes);
    if (table)
        put_table(v, o);
}

static void put_retrieval(const struct evaluator *v, struct json_out *o)
{
    const struct retrieval_result *r = &v->found;
    char name[64];

    json_put_u64(o, "texts", r->texts);
    for (int k = 0; k < RETRIEVAL_KS; k++) {
        snprintf(name, sizeof name, "image_to_text_r%d", retrieval_k[k]);
        json_put_double(o, name, r->to_text[k]);
    }
    for (int k = 0; k < RETRIEVAL_KS; k++) {
        snprintf(name, sizeof name, "text_to_image_r%d", retrieval_k[k]);
        json_put_double(o, name, r->to_picture[k]);
    }
    json_put_double(o, "image_to_text_median_rank", r->rank_text);
    json_put_double(o, "text_to_image_median_rank", r->rank_picture);
}

void evaluator_json(const struct evaluator *v, bool table, struct json_out *o)
{
    bool zeroshot = v->c.task == EVALUATE_ZEROSHOT;

    json_put_string(o, "task", zeroshot ? STR("zeroshot") : STR("retrieval"));
    json_put_string(o, "data", str_of(v->c.data));
    json_put_u64(o, "samples", v->set.seen);
    json_put_u64(o, "images", v->set.given);
    json_out_name(o, "left_out");
    tally_json(&v->set.left_out, o);
    json_out_name(o, "members_left_out");
    tally_json(&v->set.members, o);
    if (v->many)
        put_precision(v, table, o);
    else if (zeroshot)
        put_zeroshot(v, table, o);
    else
        put_retrieval(v, o);
    json_put_double(o, "seconds", v->seconds);
}
