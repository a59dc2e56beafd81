/* querylist/list_io: the first byte chooses form and policy; what is read is
 * made a list, written, and read again: the same entries. */
#include <stdlib.h>

#include "querylist/list_check.h"
#include "querylist/list_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct one {
    struct query_candidates c;
    struct query_list list;
    struct buf bytes;
    struct qlist q;
};

static int put(void *ctx, struct str bytes, struct err *e)
{
    (void)e;
    buf_add(ctx, bytes);
    return 0;
}

/* False when the bytes are no list. */
static bool read_one(struct one *o, enum query_form form,
                     enum query_policy policy, struct str bytes,
                     struct arena *arena)
{
    struct query_list_config config = {.size = 1000, .policy = policy};
    struct tally drops;
    bool good;

    *o = (struct one){0};
    buf_init(&o->bytes, 1 << 24);
    tally_init(&drops);
    config.sources[QUERY_FILE] = &o->c;
    good =
        !query_list_import(&o->c, form, bytes, "fuzz", arena, &drops, NULL) &&
        !query_list_build(&o->list, &config, NULL) &&
        !qlist_encode(&o->list, NULL, policy, 0, 6, &o->bytes, NULL);
    if (good && qlist_open_memory(&o->q, buf_str(&o->bytes), "fuzz", NULL))
        abort();
    tally_release(&drops);
    return good;
}

static void release_one(struct one *o, bool good)
{
    if (good)
        qlist_close(&o->q);
    buf_release(&o->bytes);
    if (good)
        query_list_release(&o->list);
    query_candidates_release(&o->c);
}

/* What is exported reads as the same entries; text cuts spaces at the ends. */
static void again(const struct one *o, enum query_form form,
                  enum query_policy policy, struct arena *arena)
{
    struct buf out;
    struct one b;

    buf_init(&out, 1 << 24);
    if (query_list_export(&o->q, form, put, &out, NULL) || out.rc)
        abort();
    if (!read_one(&b, form, policy, buf_str(&out), arena))
        abort();
    if (form != QUERY_FORM_TEXT) {
        if (b.list.n != o->list.n)
            abort();
        for (size_t i = 0; i < b.list.n; i++)
            if (!str_eq(b.list.v[i].text, o->list.v[i].text))
                abort();
    }
    release_one(&b, true);
    buf_release(&out);
}

static void check(const struct one *o)
{
    enum list_check_result result;
    struct list_check c;

    if (list_check_open(&c, &o->q, NULL))
        abort();
    for (uint32_t id = 0; id < qlist_count(&o->q); id++) {
        if (list_check_name(&c, qlist_text(&o->q, id), &result, NULL))
            abort();
        if ((result == LIST_CHECK_EXACT) !=
            !(qlist_flags(&o->q, id) & (QUERY_NO_WORDS | QUERY_NEVER)))
            abort();
    }
    list_check_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum query_form form;
    enum query_policy policy;
    struct arena arena;
    struct one o;
    bool good;

    if (!size || size > 1 << 16)
        return 0;
    form = (enum query_form)(data[0] % 3);
    policy = (enum query_policy)(data[0] / 3 % 2);
    arena_init(&arena, 1 << 24);
    good = read_one(&o, form, policy,
                    str_make((const char *)data + 1, size - 1), &arena);
    if (good) {
        for (int as = 0; as < 3; as++)
            again(&o, (enum query_form)as, policy, &arena);
        check(&o);
    }
    release_one(&o, good);
    arena_release(&arena);
    return 0;
}
