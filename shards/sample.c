#include "shards/sample.h"

#include <stdio.h>

unsigned sample_digits(uint64_t samples)
{
    unsigned digits = 0;

    for (uint64_t room = 1; room < samples; room *= 10)
        digits++;
    return digits;
}

void sample_key(uint64_t shard, uint64_t i, unsigned digits,
                char out[SAMPLE_KEY_MAX])
{
    if (digits)
        snprintf(out, SAMPLE_KEY_MAX, "%05llu%0*llu", (unsigned long long)shard,
                 (int)digits, (unsigned long long)i);
    else
        snprintf(out, SAMPLE_KEY_MAX, "%05llu", (unsigned long long)shard);
}

static void put_image(struct json_out *o, const struct ledger *l)
{
    char sha[SHA256_HEX];

    json_put_u64(o, "width", l->width);
    json_put_u64(o, "height", l->height);
    json_put_u64(o, "original_width", l->original_width);
    json_put_u64(o, "original_height", l->original_height);
    /* A string that holds JSON, as img2dataset writes it. */
    json_out_name(o, "exif");
    if (l->exif.n && l->exif.n <= SAMPLE_EXIF_MAX)
        json_out_string(o, l->exif);
    else
        json_out_null(o);
    hash_hex(l->sha256, SHA256_SIZE, sha);
    json_put_string(o, "sha256", str_of(sha));
}

static void put_q(struct json_out *o, const struct pair *own)
{
    size_t from;
    uint32_t i;

    json_out_name(o, "q");
    json_out_array(o);
    from = o->to->n;
    for (i = 0; i < own->n_q && o->to->n - from < SAMPLE_IDS_MAX - 16; i++)
        json_out_u64(o, own->q[i]);
    json_out_end_array(o);
    if (i < own->n_q)
        json_put_u64(o, "q_total", own->n_q);
}

static void put_uid(struct json_out *o, const struct pair *p)
{
    char uid[2 * MD5_SIZE + 1];

    hash_hex(p->uid, MD5_SIZE, uid);
    json_put_string(o, "uid", str_of(uid));
}

void sample_begin(const struct survivor *s, const struct pair *own,
                  const char *key, struct buf *meta)
{
    struct json_out o;
    char phash[17];

    buf_clear(meta);
    json_out_init(&o, meta);
    json_out_object(&o);
    json_put_string(&o, "caption", own->text);
    json_put_string(&o, "url", s->url);
    json_put_string(&o, "key", str_of(key));
    json_put_string(&o, "status", STR("success"));
    json_out_name(&o, "error_message");
    json_out_null(&o);
    put_image(&o, &s->image);
    put_uid(&o, own);
    put_q(&o, own);
    snprintf(phash, sizeof phash, "%016llx",
             (unsigned long long)s->image.phash);
    json_put_string(&o, "phash", str_of(phash));
    json_out_name(&o, "consent"); /* reserved: what the site's signals say */
    json_out_object(&o);
    json_out_end_object(&o);
    json_put_string(&o, "page", own->page);
    json_put_u64(&o, "texts_total", s->texts_total);
    json_out_name(&o, "texts");
    json_out_array(&o);
}

bool sample_text(const struct pair *p, struct buf *meta)
{
    size_t before = meta->n;
    struct json_out o;

    json_out_init(&o, meta);
    o.comma = meta->p[meta->n - 1] != '[';
    json_out_object(&o);
    put_uid(&o, p);
    json_put_string(&o, "text", p->text);
    json_put_u64(&o, "s", p->s);
    json_out_name(&o, "keep");
    json_out_array(&o);
    for (uint32_t i = 0; i < p->n_keep; i++)
        json_out_u64(&o, p->keep[i]);
    json_out_end_array(&o);
    json_out_end_object(&o);
    if (meta->n + 2 <= SAMPLE_META_MAX)
        return true;
    meta->n = before;
    return false;
}

void sample_end(struct buf *meta)
{
    buf_add(meta, STR("]}"));
}
