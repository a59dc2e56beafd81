/* The scanner's ways over the same bytes agree: what can be read value by value
 * can be skipped, what is raw reads again, and a string that was decoded and
 * written reads back as itself. */
#include "base/json.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void string(struct json *j)
{
    struct str s = json_string(j);
    struct json_out o;
    struct json again;
    struct arena a;
    struct buf b;

    if (j->rc)
        return;
    arena_init(&a, 1 << 22);
    buf_init(&b, 1 << 24);
    json_out_init(&o, &b);
    json_out_string(&o, s);
    json_open(&again, buf_str(&b), &a);
    if (!str_eq(json_string(&again), s) || json_close(&again, NULL))
        abort();
    buf_release(&b);
    arena_release(&a);
}

static void value(struct json *j)
{
    struct str name;

    switch (json_peek(j)) {
    case JSON_OBJECT:
        json_object(j);
        while (json_member(j, &name))
            value(j);
        break;
    case JSON_ARRAY:
        json_array(j);
        while (json_element(j))
            value(j);
        break;
    case JSON_STRING:
        string(j);
        break;
    case JSON_NUMBER:
        json_double(j);
        break;
    case JSON_BOOL:
        json_bool(j);
        break;
    default:
        json_skip(j);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size), raw;
    struct arena a;
    struct json j;
    int read, skipped;

    arena_init(&a, 1 << 24);
    json_open(&j, in, &a);
    value(&j);
    read = json_close(&j, NULL);
    arena_reset(&a);
    json_open(&j, in, &a);
    raw = json_raw(&j);
    skipped = json_close(&j, NULL);
    /* Reading is stricter in two things: the range of numbers, and surrogates,
     * which only decoding looks at. */
    if (!read && skipped)
        abort();
    if (!skipped) {
        json_open(&j, raw, &a);
        json_skip(&j);
        if (json_close(&j, NULL))
            abort();
    }
    arena_release(&a);
    return 0;
}
