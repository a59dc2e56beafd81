#include "train/texts.h"

#include "base/json.h"

#define DECODED_MAX ((size_t)4 << 20) /* bytes of a sample's texts */

void texts_init(struct texts *t, enum texts_rule rule, const char *key)
{
    t->rule = rule;
    t->key = key;
    arena_init(&t->arena, DECODED_MAX);
}

void texts_release(struct texts *t)
{
    arena_release(&t->arena);
}

bool texts_want_json(const struct texts *t)
{
    return t->key || t->rule != TEXTS_WHOLE;
}

static size_t add(struct texts *t, size_t n, struct str text)
{
    text = str_trim(text);
    if (text.n && n < TEXTS_MAX)
        t->list[n++] = text;
    return n;
}

/* A string, or an array of strings; others are passed over. */
static size_t read_strings(struct texts *t, struct json *j)
{
    size_t n = 0;

    if (json_peek(j) == JSON_STRING)
        return add(t, 0, json_string(j));
    if (json_peek(j) != JSON_ARRAY) {
        json_skip(j);
        return 0;
    }
    json_array(j);
    while (json_element(j))
        if (json_peek(j) == JSON_STRING)
            n = add(t, n, json_string(j));
        else
            json_skip(j);
    return n;
}

/* [{"text": ...}, ...] */
static size_t read_objects(struct texts *t, struct json *j)
{
    struct str name;
    size_t n = 0;

    if (json_peek(j) != JSON_ARRAY) {
        json_skip(j);
        return 0;
    }
    json_array(j);
    while (json_element(j)) {
        if (json_peek(j) != JSON_OBJECT) {
            json_skip(j);
            continue;
        }
        json_object(j);
        while (json_member(j, &name))
            if (str_eq(name, STR("text")) && json_peek(j) == JSON_STRING)
                n = add(t, n, json_string(j));
            else
                json_skip(j);
    }
    return n;
}

/* How many texts the .json has. */
static size_t read_json(struct texts *t, struct str json)
{
    struct str name, key = t->key ? str_of(t->key) : STR("texts");
    struct json j;
    size_t n = 0;

    json_open(&j, json, &t->arena);
    json_object(&j);
    while (json_member(&j, &name))
        if (!str_eq(name, key))
            json_skip(&j);
        else
            n = t->key ? read_strings(t, &j) : read_objects(t, &j);
    return json_close(&j, NULL) ? 0 : n;
}

static size_t read_lines(struct texts *t, struct str txt)
{
    struct str line;
    size_t n = 0;

    while (n < TEXTS_MAX && str_split(&txt, '\n', &line))
        n = add(t, n, line);
    return n;
}

size_t texts_all(struct texts *t, struct str txt, struct str json)
{
    size_t n = 0;

    arena_reset(&t->arena);
    if (json.n)
        n = read_json(t, json);
    if (!n && !t->key)
        n = read_lines(t, txt);
    return n;
}

bool texts_pick(struct texts *t, struct str txt, struct str json, uint64_t draw,
                struct str *text)
{
    size_t n, at = 0;

    if (t->rule == TEXTS_WHOLE && !t->key) {
        *text = txt;
        return str_trim(txt).n > 0;
    }
    n = texts_all(t, txt, json);
    if (!n)
        return false;
    if (t->rule == TEXTS_DRAW)
        at = (size_t)(((unsigned __int128)draw * n) >> 64);
    *text = t->list[at];
    return true;
}
