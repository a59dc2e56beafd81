#include "train/alarm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define AT_CLAMP 1e-4 /* this near to its most the logit scale is at it */

static const char *const names[ALARM_KINDS] = {
    [ALARM_STUCK] = "stuck",           [ALARM_CLAMPED] = "clamped",
    [ALARM_COLLAPSING] = "collapsing", [ALARM_SPIKED] = "spike",
    [ALARM_NOT_FINITE] = "not finite",
};

const char *alarm_name(enum alarm_kind k)
{
    return names[k];
}

void alarm_begin(struct alarm_state *s)
{
    memset(s, 0, sizeof *s);
}

/* ---- spikes ---- */

/* The upper one of two in the middle; by insertion, since the library's sort
 * may allocate. */
static double median(const struct alarm_state *s)
{
    int n = s->norms_n < ALARM_WINDOW ? (int)s->norms_n : ALARM_WINDOW;
    double x[ALARM_WINDOW];

    for (int i = 0; i < n; i++) {
        int k = i;

        for (; k > 0 && x[k - 1] > s->norms[i]; k--)
            x[k] = x[k - 1];
        x[k] = s->norms[i];
    }
    return n ? x[n / 2] : 0;
}

static double factor(const struct alarm_rules *r)
{
    return r->spike > 0 ? r->spike : ALARM_SPIKE;
}

double alarm_limit(const struct alarm_rules *r, const struct alarm_state *s)
{
    return s->norms_n < ALARM_WINDOW_LEAST ? 0 : factor(r) * median(s);
}

/* ---- a point ---- */

/* Steps in a row: counted, or over. */
static void count(uint64_t *n, bool still)
{
    *n = still ? *n + 1 : 0;
}

static bool is_stuck(const struct alarm_rules *r, const struct alarm_state *s,
                     uint64_t step)
{
    return r->chance > 0 && step > r->warmup &&
           (step - r->warmup) % ALARM_STUCK_STEPS == ALARM_MEAN &&
           s->mean >= ALARM_STUCK_SHARE * r->chance;
}

static void take_loss(struct alarm_state *s, double loss)
{
    s->mean_n++;
    s->mean += (loss - s->mean) /
               (double)(s->mean_n < ALARM_MEAN ? s->mean_n : ALARM_MEAN);
}

unsigned alarm_step(const struct alarm_rules *r, struct alarm_state *s,
                    const struct alarm_point *p)
{
    bool norm = p->norm >= 0 || !isfinite(p->norm);
    bool finite = isfinite(p->loss) && (!norm || isfinite(p->norm));
    double limit = alarm_limit(r, s);
    unsigned off = 0;

    count(&s->not_finite, !finite);
    if (!finite)
        return 1u << ALARM_NOT_FINITE;
    take_loss(s, p->loss);
    if (is_stuck(r, s, p->step))
        off |= 1u << ALARM_STUCK;
    if (norm) {
        if (limit > 0 && p->norm > limit)
            off |= 1u << ALARM_SPIKED;
        s->norms[s->norms_n++ % ALARM_WINDOW] = p->norm;
    }
    if (!isnan(p->logit_scale)) {
        count(&s->clamped, p->logit_scale >= r->most - AT_CLAMP);
        count(&s->collapsed, p->logit_scale < r->begin - log(ALARM_COLLAPSED));
        if (s->clamped == ALARM_CLAMPED_STEPS)
            off |= 1u << ALARM_CLAMPED;
        if (s->collapsed == ALARM_COLLAPSED_STEPS)
            off |= 1u << ALARM_COLLAPSING;
    }
    return off;
}

/* ---- words ---- */

void alarm_text(enum alarm_kind k, const struct alarm_rules *r,
                const struct alarm_state *before, const struct alarm_point *p,
                char out[ALARM_TEXT_MAX])
{
    unsigned long long step = p->step;
    struct alarm_state s = *before;
    const char *left = p->left_out ? "left out" : "taken all the same";

    switch (k) {
    case ALARM_STUCK:
        take_loss(&s, p->loss);
        snprintf(out, ALARM_TEXT_MAX,
                 "step %llu: the loss is %.4f on average, that of chance is "
                 "%.4f (ln of the batch): the model does not tell pairs apart; "
                 "look at the learning rate, at whether captions belong to "
                 "their images, at how many pairs of a batch are the same",
                 step, s.mean, r->chance);
        break;
    case ALARM_CLAMPED:
        snprintf(out, ALARM_TEXT_MAX,
                 "step %llu: the logit scale has been at its most, %.4g, for "
                 "%d steps; late in a long run that is usual; early, look at "
                 "the learning rate and at pairs that repeat",
                 step, exp(r->most), ALARM_CLAMPED_STEPS);
        break;
    case ALARM_COLLAPSING:
        snprintf(out, ALARM_TEXT_MAX,
                 "step %llu: the logit scale has fallen to %.4g from %.4g: "
                 "similarities count for less and less; look at the learning "
                 "rate, at captions that say nothing of their images, at the "
                 "precision",
                 step, exp(p->logit_scale), exp(r->begin));
        break;
    case ALARM_SPIKED:
        snprintf(out, ALARM_TEXT_MAX,
                 "step %llu: the gradient's norm is %.4g, %.1f times the "
                 "median of the steps before, and was %s; look at the batch, "
                 "at the learning rate, at beta2 (lower forgets sooner)",
                 step, p->norm, p->norm / (alarm_limit(r, before) / factor(r)),
                 left);
        break;
    default:
        snprintf(out, ALARM_TEXT_MAX,
                 "step %llu: %s is not finite, and was %s; look at the batch, "
                 "at the learning rate, at the precision",
                 step, isfinite(p->loss) ? "the gradient" : "the loss", left);
    }
}

/* ---- the state, written down ---- */

void alarm_write(const struct alarm_state *s, struct json_out *o)
{
    json_out_object(o);
    json_put_u64(o, "norms_n", s->norms_n);
    json_out_name(o, "norms");
    json_out_array(o);
    for (uint64_t i = 0; i < s->norms_n && i < ALARM_WINDOW; i++)
        json_out_double(o, s->norms[i]);
    json_out_end_array(o);
    json_put_double(o, "mean", s->mean);
    json_put_u64(o, "mean_n", s->mean_n);
    json_put_u64(o, "clamped", s->clamped);
    json_put_u64(o, "collapsed", s->collapsed);
    json_put_u64(o, "not_finite", s->not_finite);
    json_out_end_object(o);
}

static uint64_t read_norms(struct alarm_state *s, struct json *j)
{
    uint64_t n = 0;

    json_array(j);
    while (json_element(j)) {
        double x = json_double(j);

        if (n < ALARM_WINDOW)
            s->norms[n] = x;
        n++;
    }
    return n;
}

int alarm_read(struct alarm_state *s, struct json *j, struct err *e)
{
    uint64_t n = 0;
    struct str name;

    alarm_begin(s);
    json_object(j);
    while (json_member(j, &name)) {
        if (str_eq(name, STR("norms_n")))
            s->norms_n = json_u64(j);
        else if (str_eq(name, STR("norms")))
            n = read_norms(s, j);
        else if (str_eq(name, STR("mean")))
            s->mean = json_double(j);
        else if (str_eq(name, STR("mean_n")))
            s->mean_n = json_u64(j);
        else if (str_eq(name, STR("clamped")))
            s->clamped = json_u64(j);
        else if (str_eq(name, STR("collapsed")))
            s->collapsed = json_u64(j);
        else if (str_eq(name, STR("not_finite")))
            s->not_finite = json_u64(j);
        else
            json_skip(j);
    }
    if (j->rc)
        return err_set(e, -j->rc, "alarms: %s", err_name(j->rc));
    if (n != (s->norms_n < ALARM_WINDOW ? s->norms_n : ALARM_WINDOW))
        return err_set(e, E_RANGE, "alarms: %llu norms of %llu",
                       (unsigned long long)n, (unsigned long long)s->norms_n);
    for (uint64_t i = 0; i < n; i++)
        if (!(s->norms[i] >= 0))
            return err_set(e, E_RANGE, "alarms: a norm of %g", s->norms[i]);
    return 0;
}
