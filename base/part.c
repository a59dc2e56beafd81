#include "base/part.h"

#include <stdlib.h>

/* An environment variable as a number; *set false when it is absent. */
static int variable(const char *name, uint64_t *v, bool *set, struct err *e)
{
    const char *text = getenv(name);

    *set = text != NULL;
    if (text && str_u64(str_of(text), v))
        return err_set(e, E_USAGE, "--part auto: %s is \"%s\", no number",
                       name, text);
    return 0;
}

static int from_environment(struct part *p, struct err *e)
{
    uint64_t id = 0, min = 0, step = 1, count = 0;
    bool slurm, counted, unused, kubernetes;
    int rc;

    if ((rc = variable("SLURM_ARRAY_TASK_ID", &id, &slurm, e)) ||
        (rc = variable("SLURM_ARRAY_TASK_MIN", &min, &unused, e)) ||
        (rc = variable("SLURM_ARRAY_TASK_STEP", &step, &unused, e)) ||
        (rc = variable("SLURM_ARRAY_TASK_COUNT", &count, &counted, e)))
        return rc;
    if (slurm) {
        if (!counted || step == 0 || id < min || (id - min) % step)
            return err_set(e, E_USAGE,
                           "--part auto: the SLURM_ARRAY_TASK_* variables do "
                           "not describe one array");
        id = (id - min) / step;
    } else {
        if ((rc = variable("JOB_COMPLETION_INDEX", &id, &kubernetes, e)) ||
            (rc = variable("WITMILL_PARTS", &count, &counted, e)))
            return rc;
        if (!kubernetes || !counted)
            return err_set(e, E_USAGE,
                           "--part auto needs SLURM_ARRAY_TASK_ID and its "
                           "_COUNT, or JOB_COMPLETION_INDEX and "
                           "WITMILL_PARTS");
    }
    if (count == 0 || count > UINT32_MAX || id >= count)
        return err_set(e, E_USAGE,
                       "--part auto: index %llu of %llu parts",
                       (unsigned long long)id, (unsigned long long)count);
    *p = (struct part){(uint32_t)id, (uint32_t)count};
    return 0;
}

int part_parse(struct str s, struct part *p, struct err *e)
{
    size_t slash = str_find_char(s, '/', 0);
    uint64_t i, n;

    if (str_eq(s, STR("auto")))
        return from_environment(p, e);
    if (slash == SIZE_MAX || str_u64(str_slice(s, 0, slash), &i) ||
        str_u64(str_slice(s, slash + 1, s.n), &n) || n == 0 ||
        n > UINT32_MAX || i >= n)
        return err_set(e, E_USAGE,
                       "--part %.*s: expected I/N with I from 0 to N-1, or "
                       "auto",
                       STR_ARG(s));
    *p = (struct part){(uint32_t)i, (uint32_t)n};
    return 0;
}
