#include "train/agree.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"

void agree_init(struct agree *a, int rc, const struct err *e)
{
    memset(a, 0, sizeof *a);
    a->code = -rc;
    if (rc)
        snprintf(a->message, sizeof a->message, "%.*s", AGREE_MESSAGE - 1,
                 e && e->code ? e->message : err_name(rc));
}

void agree_number(struct agree *a, uint64_t x)
{
    assert(a->settings < AGREE_SETTINGS);
    a->setting[a->settings++] = x;
}

void agree_bytes(struct agree *a, const void *p, size_t n)
{
    uint8_t digest[SHA256_SIZE];
    uint64_t x;

    hash_sha256(str_make(p, n), digest);
    memcpy(&x, digest, sizeof x);
    agree_number(a, x);
}

int agree_judge(const struct agree *all, int size, const char *const *names,
                struct err *e)
{
    for (int r = 0; r < size; r++)
        if (all[r].code)
            return err_set(e, all[r].code, "rank %d of %d: %.*s", r, size,
                           AGREE_MESSAGE - 1, all[r].message);
    for (int r = 1; r < size; r++) {
        if (all[r].settings != all[0].settings)
            return err_set(e, E_VERSION, "rank %d of %d is another version", r,
                           size);
        for (int i = 0; i < all[0].settings; i++)
            if (all[r].setting[i] != all[0].setting[i])
                return err_set(e, E_USAGE,
                               "rank %d of %d was started with another %s than "
                               "rank 0",
                               r, size, names[i]);
    }
    return 0;
}

int agree_refuse(int rank, struct err *e)
{
    if (!rank && e)
        log_event("error", "%s", e->message);
    if (e)
        *e = (struct err)ERR_INIT;
    return -E_CANCEL;
}
