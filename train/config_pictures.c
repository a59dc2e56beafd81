/* What bytes of pictures mean to a model: preprocess_cfg in model JSONs. */
#include <math.h>

#include "train/config_json.h"

#define ROWS(list) (list), sizeof(list) / sizeof *(list)

const struct config_pictures config_pictures_clip = {
    {0.48145466, 0.4578275, 0.40821073},
    {0.26862954, 0.26130258, 0.27577711},
};

static void read_three(struct members *m, struct json *j, const char *name,
                       double low, double *to)
{
    int n = 0;

    json_array(j);
    while (json_element(j)) {
        double x = json_double(j);

        if (!j->rc && !(x >= low && x <= CONFIG_PICTURES_MAX))
            members_fail(m, E_RANGE, name, "holds %g, not in %g..%d", x, low,
                         CONFIG_PICTURES_MAX);
        if (n++ < 3)
            to[n - 1] = x;
    }
    if (!j->rc && n != 3)
        members_fail(m, E_FORMAT, name, "has %d numbers, not three", n);
}

static void read_mean(struct members *m, struct json *j)
{
    struct config_pictures *p = m->to;

    read_three(m, j, "mean", -CONFIG_PICTURES_MAX, p->mean);
}

static void read_std(struct members *m, struct json *j)
{
    struct config_pictures *p = m->to;

    read_three(m, j, "std", CONFIG_STD_MIN, p->std);
}

/* open_clip's "random" is one of its training's; evaluated is bicubic. */
static const struct member pictures_members[] = {
    {"mean", MEMBER_CALL, 0, NULL, read_mean},
    {"std", MEMBER_CALL, 0, NULL, read_std},
    {"interpolation", MEMBER_FIXED, 0, "\"bicubic\"|\"random\"", NULL},
    {"resize_mode", MEMBER_FIXED, 0, "\"shortest\"", NULL},
    {"mode", MEMBER_FIXED, 0, "\"RGB\"", NULL},
    {"size", MEMBER_LEFT, 0, NULL, NULL}, /* the tower's image_size holds */
    {"fill_color", MEMBER_LEFT, 0, NULL, NULL}, /* shortest fills nothing */
};

int config_pictures_read(struct config_pictures *p, struct json *j,
                         const char *place, struct err *e)
{
    struct members m = {ROWS(pictures_members), .object = "preprocess_cfg.",
                        .place = place, .to = p, .e = e};

    return members_read(&m, j);
}

static void put_three(struct json_out *o, const char *name, const double v[3])
{
    json_out_name(o, name);
    json_out_array(o);
    for (int i = 0; i < 3; i++)
        json_out_double(o, v[i]);
    json_out_end_array(o);
}

void config_pictures_put(const struct config_pictures *p, struct json_out *o)
{
    json_out_name(o, "preprocess_cfg");
    json_out_object(o);
    put_three(o, "mean", p->mean);
    put_three(o, "std", p->std);
    json_out_end_object(o);
}

bool config_pictures_equal(const struct config_pictures *a,
                           const struct config_pictures *b)
{
    for (int i = 0; i < 3; i++)
        if (a->mean[i] != b->mean[i] || a->std[i] != b->std[i])
            return false;
    return true;
}

int config_pictures_check(const struct config_pictures *p, struct err *e)
{
    for (int i = 0; i < 3; i++)
        if (!(fabs(p->mean[i]) <= CONFIG_PICTURES_MAX) ||
            !(p->std[i] >= CONFIG_STD_MIN && p->std[i] <= CONFIG_PICTURES_MAX))
            return err_set(e, E_RANGE,
                           "preprocess_cfg has a mean of %g with a std of %g",
                           p->mean[i], p->std[i]);
    return 0;
}
