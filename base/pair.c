#include "base/pair.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/pair_scan.h"
#include "base/utf8.h"

void pair_uid(struct str text, struct str url, uint8_t uid[MD5_SIZE])
{
    hash_md5_2(text, url, uid);
}

/* An array of ascending ids; the array grows inside the arena by doubling,
 * which wastes at most as much as it holds. */
static const uint32_t *read_ids(struct json *j, struct arena *a, uint32_t *n)
{
    uint32_t cap = 16, *v = arena_alloc(a, cap * sizeof *v);

    *n = 0;
    json_array(j);
    while (json_element(j)) {
        uint64_t id = json_u64(j);

        if (!v || *n >= PAIR_MATCHES_MAX || id > UINT32_MAX ||
            (*n && id <= v[*n - 1])) {
            j->rc = j->rc ? j->rc : v ? -E_RANGE : -E_NOMEM;
            return NULL;
        }
        if (*n == cap) {
            uint32_t *more = arena_alloc(a, 2 * cap * sizeof *v);

            if (!more) {
                j->rc = j->rc ? j->rc : -E_NOMEM;
                break;
            }
            memcpy(more, v, cap * sizeof *v);
            v = more;
            cap *= 2;
        }
        v[(*n)++] = (uint32_t)id;
    }
    return v;
}

static void read_member(struct json *j, struct arena *a, struct str name,
                        struct pair *p, bool *uid)
{
    if (str_eq(name, STR("uid"))) {
        *uid = !hash_unhex(json_string(j), p->uid, MD5_SIZE);
    } else if (str_eq(name, STR("url"))) {
        p->url = json_string(j);
    } else if (str_eq(name, STR("text"))) {
        p->text = json_string(j);
    } else if (str_eq(name, STR("from"))) {
        p->from = json_string(j);
    } else if (str_eq(name, STR("page"))) {
        p->page = json_string(j);
    } else if (str_eq(name, STR("origin"))) {
        p->origin = json_string(j);
    } else if (str_eq(name, STR("list_uid"))) {
        p->list_uid = json_string(j);
    } else if (str_eq(name, STR("q"))) {
        p->q = read_ids(j, a, &p->n_q);
        p->matched = true;
    } else if (str_eq(name, STR("s"))) {
        p->s = json_u64(j);
        p->selected = true;
    } else if (str_eq(name, STR("keep"))) {
        p->keep = read_ids(j, a, &p->n_keep);
    } else {
        json_skip(j);
    }
}

static const uint32_t *copy_ids(struct str ids, uint32_t n, struct arena *a)
{
    uint32_t *v = arena_alloc(a, (n ? n : 1) * sizeof *v);

    if (v)
        pair_scan_ids(ids, v);
    return v;
}

/* As most lines are; false leaves the line to the reader of any JSON. */
static bool read_plain(struct str line, struct arena *a, struct pair *p)
{
    struct pair_scan s;

    if (!pair_scan(line, &s))
        return false;
    *p = (struct pair){.url = s.url,
                       .text = s.text,
                       .from = s.from,
                       .page = s.page,
                       .origin = s.origin,
                       .list_uid = s.list_uid,
                       .matched = s.matched,
                       .n_q = s.n_q,
                       .selected = s.selected,
                       .s = s.s,
                       .n_keep = s.n_keep};
    hash_unhex(s.uid, p->uid, MD5_SIZE);
    if (s.matched)
        p->q = copy_ids(s.q, s.n_q, a);
    if (s.selected)
        p->keep = copy_ids(s.keep, s.n_keep, a);
    return (p->q || !s.matched) && (p->keep || !s.selected);
}

int pair_read(struct str line, struct arena *a, struct pair *p, struct err *e)
{
    struct json j;
    struct str name;
    bool uid = false;
    int rc;

    if (read_plain(line, a, p))
        return 0;
    *p = (struct pair){.s = 0};
    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name))
        read_member(&j, a, name, p, &uid);
    rc = json_close(&j, e);
    if (rc)
        return rc;
    if (!uid || p->url.n == 0 || p->text.n == 0)
        return err_set(e, E_FORMAT,
                       "no pair: uid (32 hex digits), url and text expected");
    return 0;
}

static void write_ids(struct json_out *o, const char *name, const uint32_t *ids,
                      uint32_t n)
{
    json_out_name(o, name);
    json_out_array(o);
    for (uint32_t i = 0; i < n; i++)
        json_out_u64(o, ids[i]);
    json_out_end_array(o);
}

static void write_text(struct json_out *o, const char *name, struct str s)
{
    if (s.n)
        json_put_string(o, name, s);
}

void pair_write(const struct pair *p, struct buf *out)
{
    char hex[2 * MD5_SIZE + 1];
    struct json_out o;

    hash_hex(p->uid, MD5_SIZE, hex);
    json_out_init(&o, out);
    json_out_object(&o);
    json_put_string(&o, "uid", str_make(hex, 2 * MD5_SIZE));
    json_put_string(&o, "url", p->url);
    json_put_string(&o, "text", p->text);
    write_text(&o, "from", p->from);
    write_text(&o, "page", p->page);
    write_text(&o, "origin", p->origin);
    write_text(&o, "list_uid", p->list_uid);
    if (p->matched)
        write_ids(&o, "q", p->q, p->n_q);
    if (p->selected) {
        json_put_u64(&o, "s", p->s);
        write_ids(&o, "keep", p->keep, p->n_keep);
    }
    json_out_end_object(&o);
}

/* The order of the steps is DESIGN's: a text of control characters alone is
 * empty, one that is too long only by its outer spaces is not. */
const char *pair_text(struct str raw, struct buf *out)
{
    size_t from = 0, to;
    char *p;

    buf_clear(out);
    if (!utf8_valid(raw))
        return "charset";
    for (size_t i = 0; i < raw.n; i++) {
        unsigned char c = (unsigned char)raw.p[i];

        if (c >= 0x20)
            continue;
        buf_add(out, str_slice(raw, from, i));
        from = i + 1;
        if (c == '\r' || c == '\n' || c == '\t')
            buf_add_char(out, ' ');
    }
    buf_add(out, str_slice(raw, from, raw.n));
    if (out->rc)
        return "text-too-long";
    p = out->p;
    for (from = 0; from < out->n && p[from] == ' ';)
        from++;
    for (to = out->n; to > from && p[to - 1] == ' ';)
        to--;
    if (from && to > from)
        memmove(p, p + from, to - from);
    out->n = to - from;
    if (out->n == 0)
        return "text-empty";
    p[out->n] = 0;
    /* What a decoder could not read is U+FFFD (extraction rule 17). */
    if (str_find(buf_str(out), STR("\xef\xbf\xbd"), 0) != SIZE_MAX)
        return "charset";
    return out->n > PAIR_TEXT_MAX ? "text-too-long" : NULL;
}

int pair_key_cmp(const struct pair_key *a, const struct pair_key *b)
{
    int c;

    if (a->h != b->h)
        return a->h < b->h ? -1 : 1;
    c = str_cmp(a->url, b->url);
    return c ? c : memcmp(a->uid, b->uid, MD5_SIZE);
}
