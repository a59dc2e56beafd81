#include "base/survivor.h"

#include <stdio.h>

static void put_hex64(struct json_out *o, const char *name, uint64_t v)
{
    char text[17];

    snprintf(text, sizeof text, "%016llx", (unsigned long long)v);
    json_put_string(o, name, str_of(text));
}

static int hex64(struct str s, uint64_t *v)
{
    uint8_t b[8];

    if (hash_unhex(s, b, sizeof b))
        return -E_FORMAT;
    *v = 0;
    for (size_t i = 0; i < sizeof b; i++)
        *v = *v << 8 | b[i];
    return 0;
}

/* ---- reading ---- */

struct hex_fields {
    struct str h, sha256, phash;
};

static void read_member(struct json *j, struct str name, struct survivor *s,
                        struct hex_fields *hex)
{
    struct ledger *l = &s->image;
    struct {
        const char *name;
        struct str *to;
    } strings[] = {{"url", &s->url},       {"h", &hex->h},
                   {"image", &s->group},   {"sha256", &hex->sha256},
                   {"phash", &hex->phash}, {"exif", &l->exif}};
    struct {
        const char *name;
        uint64_t *to;
    } wide[] = {{"offset", &l->offset},
                {"bytes", &l->bytes},
                {"texts_total", &s->texts_total}};
    struct {
        const char *name;
        uint32_t *to;
    } narrow[] = {{"width", &l->width},
                  {"height", &l->height},
                  {"original_width", &l->original_width},
                  {"original_height", &l->original_height}};

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (str_eq(name, str_of(strings[i].name))) {
            *strings[i].to = json_string(j);
            return;
        }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (str_eq(name, str_of(wide[i].name))) {
            *wide[i].to = json_u64(j);
            return;
        }
    for (size_t i = 0; i < sizeof narrow / sizeof *narrow; i++)
        if (str_eq(name, str_of(narrow[i].name))) {
            uint64_t v = json_u64(j);

            *narrow[i].to = v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
            return;
        }
    if (str_eq(name, STR("texts")))
        s->texts = json_raw(j);
    else
        json_skip(j);
}

int survivor_read(struct str line, struct arena *a, struct survivor *s,
                  struct err *e)
{
    struct hex_fields hex = {STR_NONE, STR_NONE, STR_NONE};
    struct json j;
    struct str name;
    int rc;

    *s = (struct survivor){0};
    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name))
        read_member(&j, name, s, &hex);
    rc = json_close(&j, e);
    if (rc)
        return rc;
    s->more = s->group.n == 0;
    s->image.url = s->url;
    s->image.outcome = LEDGER_IMAGE;
    if (!s->url.n || hex64(hex.h, &s->h) || !s->texts.n)
        return err_set(e, E_FORMAT, "a survivor needs url, h and texts");
    if (!s->more && (hash_unhex(hex.sha256, s->image.sha256, SHA256_SIZE) ||
                     hex64(hex.phash, &s->image.phash) || !s->image.bytes))
        return err_set(e, E_FORMAT,
                       "a survivor with an image needs sha256, phash, bytes");
    return 0;
}

void survivor_texts_open(struct json *j, const struct survivor *s)
{
    json_open(j, s->texts, NULL);
    json_array(j);
}

int survivor_texts_next(struct json *j, struct arena *a, struct pair *p,
                        bool *more, struct err *e)
{
    struct str raw;

    *more = json_element(j);
    if (!*more)
        return json_close(j, e);
    raw = json_raw(j);
    if (j->rc)
        return json_close(j, e);
    return pair_read(raw, a, p, e);
}

/* ---- writing ---- */

static void put_image(struct json_out *o, const struct survivor *s)
{
    const struct ledger *l = &s->image;
    char sha[SHA256_HEX];

    hash_hex(l->sha256, SHA256_SIZE, sha);
    json_put_string(o, "image", s->group);
    json_put_u64(o, "offset", l->offset);
    json_put_u64(o, "bytes", l->bytes);
    json_put_string(o, "sha256", str_of(sha));
    put_hex64(o, "phash", l->phash);
    json_put_u64(o, "width", l->width);
    json_put_u64(o, "height", l->height);
    json_put_u64(o, "original_width", l->original_width);
    json_put_u64(o, "original_height", l->original_height);
    if (l->exif.n)
        json_put_string(o, "exif", l->exif);
    json_put_u64(o, "texts_total", s->texts_total);
}

static void begin_line(const struct survivor *s, bool first, struct buf *line)
{
    struct json_out o;

    buf_clear(line);
    json_out_init(&o, line);
    json_out_object(&o);
    json_put_string(&o, "url", s->url);
    put_hex64(&o, "h", s->h);
    if (first)
        put_image(&o, s);
    json_out_name(&o, "texts");
    json_out_array(&o);
}

static int end_line(struct jsonl_writer *w, struct buf *line, struct err *e)
{
    buf_add(line, STR("]}"));
    if (line->rc)
        return err_set(e, -line->rc, "a survivor's line is too long");
    return jsonl_write(w, buf_str(line), e);
}

int survivor_write(struct jsonl_writer *w, const struct survivor *s,
                   const struct str *texts, size_t n, struct buf *line,
                   struct err *e)
{
    bool empty = true;
    int rc;

    begin_line(s, true, line);
    for (size_t i = 0; i < n; i++) {
        size_t before = line->n;

        if (!empty)
            buf_add_char(line, ',');
        buf_add(line, texts[i]);
        if (line->n > SURVIVOR_LINE && !empty) {
            /* One text too many: it opens the next line. */
            line->n = before;
            rc = end_line(w, line, e);
            if (rc)
                return rc;
            begin_line(s, false, line);
            buf_add(line, texts[i]);
        }
        empty = false;
    }
    return end_line(w, line, e);
}
