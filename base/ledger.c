#include "base/ledger.h"

#include "base/json.h"
#include "base/url.h"
#include <stdio.h>

static const char *const outcome_names[LEDGER_OUTCOMES] = {
#define X(name, text) [name] = text,
    LEDGER_OUTCOME_MAP(X)
#undef X
};

const char *ledger_outcome_name(enum ledger_outcome o)
{
    return o < LEDGER_OUTCOMES ? outcome_names[o] : "unknown";
}

uint32_t ledger_group(struct str host)
{
    return (uint32_t)(hash_xxh3(host) >> 56);
}

void ledger_name(uint32_t group, uint32_t pass, char out[16])
{
    snprintf(out, 16, "%03u-%02u", group, pass);
}

/* ---- writing ---- */

static void put_unless_empty(struct json_out *o, const char *name, struct str s)
{
    if (s.n)
        json_put_string(o, name, s);
}

static void put_image(struct json_out *o, const struct ledger *l)
{
    char hex[SHA256_HEX];

    hash_hex(l->sha256, SHA256_SIZE, hex);
    json_put_string(o, "sha256", str_of(hex));
    /* Hex, not a number: many readers of JSON keep 53 bits of one. */
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)l->phash);
    json_put_string(o, "phash", str_of(hex));
    if (l->phash_exempt)
        json_put_bool(o, "phash_exempt", true);
    json_put_u64(o, "width", l->width);
    json_put_u64(o, "height", l->height);
    json_put_u64(o, "original_width", l->original_width);
    json_put_u64(o, "original_height", l->original_height);
    json_put_u64(o, "bytes", l->bytes);
    json_put_u64(o, "offset", l->offset);
    put_unless_empty(o, "exif", l->exif);
}

void ledger_write(const struct ledger *l, struct buf *out)
{
    struct json_out o;

    json_out_init(&o, out);
    json_out_object(&o);
    json_put_string(&o, "url", l->url);
    json_put_string(&o, "outcome", str_of(ledger_outcome_name(l->outcome)));
    put_unless_empty(&o, "reason", l->reason);
    json_put_u64(&o, "status", l->status);
    json_put_u64(&o, "tries", l->tries);
    put_unless_empty(&o, "signal", l->signal);
    put_unless_empty(&o, "final_url", l->final_url);
    put_unless_empty(&o, "fetched", l->fetched);
    if (l->outcome == LEDGER_IMAGE)
        put_image(&o, l);
    json_out_end_object(&o);
}

/* ---- reading ---- */

/* What a line must have; each bit is set by the member that it names. */
enum seen {
    SEEN_URL = 1,
    SEEN_OUTCOME = 2,
    SEEN_REASON = 4,
    SEEN_SHA256 = 8,
    SEEN_PHASH = 16,
    SEEN_WIDTH = 32,
    SEEN_HEIGHT = 64,
    SEEN_BYTES = 128,
    SEEN_OFFSET = 256,
    SEEN_OF_ALL = SEEN_URL | SEEN_OUTCOME,
    SEEN_OF_IMAGE = SEEN_SHA256 | SEEN_PHASH | SEEN_WIDTH | SEEN_HEIGHT |
                    SEEN_BYTES | SEEN_OFFSET
};

struct reading {
    struct json j;
    struct ledger *l;
    unsigned seen;     /* enum seen */
    const char *wrong; /* the first member whose value is impossible */
};

static void refuse(struct reading *r, const char *what)
{
    if (!r->wrong)
        r->wrong = what;
}

static uint32_t read_u32(struct reading *r, const char *name)
{
    uint64_t v = json_u64(&r->j);

    if (v > UINT32_MAX)
        refuse(r, name);
    return (uint32_t)v;
}

static void read_outcome(struct reading *r)
{
    struct str s = json_string(&r->j);

    for (unsigned i = 0; i < LEDGER_OUTCOMES; i++) {
        if (str_eq(s, str_of(outcome_names[i]))) {
            r->l->outcome = (enum ledger_outcome)i;
            return;
        }
    }
    refuse(r, "outcome");
}

static void read_phash(struct reading *r)
{
    uint8_t bytes[8];
    uint64_t v = 0;

    if (hash_unhex(json_string(&r->j), bytes, sizeof bytes)) {
        refuse(r, "phash");
        return;
    }
    for (unsigned i = 0; i < sizeof bytes; i++)
        v = v << 8 | bytes[i];
    r->l->phash = v;
}

/* Members of every outcome; false: not one of them. */
static bool read_common(struct reading *r, struct str name)
{
    struct ledger *l = r->l;

    if (str_eq(name, STR("url"))) {
        l->url = json_string(&r->j);
        r->seen |= SEEN_URL;
        if (l->url.n == 0 || l->url.n > URL_MAX)
            refuse(r, "url");
    } else if (str_eq(name, STR("outcome"))) {
        read_outcome(r);
        r->seen |= SEEN_OUTCOME;
    } else if (str_eq(name, STR("reason"))) {
        l->reason = json_string(&r->j);
        r->seen |= l->reason.n ? SEEN_REASON : 0;
    } else if (str_eq(name, STR("status"))) {
        l->status = read_u32(r, "status");
    } else if (str_eq(name, STR("tries"))) {
        l->tries = read_u32(r, "tries");
    } else if (str_eq(name, STR("signal"))) {
        l->signal = json_string(&r->j);
    } else if (str_eq(name, STR("final_url"))) {
        l->final_url = json_string(&r->j);
    } else if (str_eq(name, STR("fetched"))) {
        l->fetched = json_string(&r->j);
    } else {
        return false;
    }
    return true;
}

/* Members of images alone; others are skipped, later versions may add some. */
static void read_image(struct reading *r, struct str name)
{
    struct ledger *l = r->l;

    if (str_eq(name, STR("sha256"))) {
        if (hash_unhex(json_string(&r->j), l->sha256, SHA256_SIZE))
            refuse(r, "sha256");
        r->seen |= SEEN_SHA256;
    } else if (str_eq(name, STR("phash"))) {
        read_phash(r);
        r->seen |= SEEN_PHASH;
    } else if (str_eq(name, STR("phash_exempt"))) {
        l->phash_exempt = json_bool(&r->j);
    } else if (str_eq(name, STR("width"))) {
        l->width = read_u32(r, "width");
        r->seen |= SEEN_WIDTH;
    } else if (str_eq(name, STR("height"))) {
        l->height = read_u32(r, "height");
        r->seen |= SEEN_HEIGHT;
    } else if (str_eq(name, STR("original_width"))) {
        l->original_width = read_u32(r, "original_width");
    } else if (str_eq(name, STR("original_height"))) {
        l->original_height = read_u32(r, "original_height");
    } else if (str_eq(name, STR("bytes"))) {
        l->bytes = json_u64(&r->j);
        r->seen |= SEEN_BYTES;
    } else if (str_eq(name, STR("offset"))) {
        l->offset = json_u64(&r->j);
        r->seen |= SEEN_OFFSET;
    } else if (str_eq(name, STR("exif"))) {
        l->exif = json_string(&r->j);
    } else {
        json_skip(&r->j);
    }
}

static const char *missing(const struct reading *r)
{
    static const struct {
        unsigned bit;
        const char *name;
    } members[] = {
        {SEEN_URL, "url"},       {SEEN_OUTCOME, "outcome"},
        {SEEN_REASON, "reason"}, {SEEN_SHA256, "sha256"},
        {SEEN_PHASH, "phash"},   {SEEN_WIDTH, "width"},
        {SEEN_HEIGHT, "height"}, {SEEN_BYTES, "bytes"},
        {SEEN_OFFSET, "offset"},
    };
    unsigned want = SEEN_OF_ALL;

    if (r->seen & SEEN_OUTCOME)
        want |= r->l->outcome == LEDGER_IMAGE ? SEEN_OF_IMAGE : SEEN_REASON;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (want & members[i].bit & ~r->seen)
            return members[i].name;
    return NULL;
}

int ledger_read(struct str line, struct arena *a, struct ledger *l,
                struct err *e)
{
    struct reading r = {.l = l};
    const char *absent;
    struct str name;
    int rc;

    memset(l, 0, sizeof *l);
    json_open(&r.j, line, a);
    json_object(&r.j);
    while (json_member(&r.j, &name))
        if (!read_common(&r, name))
            read_image(&r, name);
    rc = json_close(&r.j, e);
    if (rc)
        return err_wrap(e, rc, "ledger record");
    if (r.wrong)
        return err_set(e, E_FORMAT, "ledger record: %s has an impossible value",
                       r.wrong);
    absent = missing(&r);
    if (absent)
        return err_set(e, E_FORMAT, "ledger record: no %s", absent);
    return 0;
}
