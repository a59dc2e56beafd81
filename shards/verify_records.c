/* Records of verify: each kind parses, and comes in its order. */
#include <stdio.h>

#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/pair.h"
#include "base/survivor.h"
#include "shards/verify_output.h"

#define RECORD_MEMORY ((size_t)32 << 20) /* bytes of one record, decoded */

enum kind {
    KIND_JSON,    /* any object */
    KIND_PAIR,    /* pairs/, matched/: a pair each */
    KIND_SORTED,  /* unique/, selected/: by (H(url), url, uid), in a bucket */
    KIND_LEDGER,  /* by (H(url), url) */
    KIND_SURVIVOR /* by (H(url), url), in a bucket */
};

struct looking {
    struct verify_output *o;
    enum kind kind;
    uint32_t bucket; /* UINT32_MAX: none */
    struct arena arena;
    struct buf last_url; /* of the record before */
    uint64_t last_h;
    uint8_t last_uid[MD5_SIZE];
    bool any; /* there was a record before */
    uint64_t line;
    char place[48];
};

static enum kind kind_of(const char *name)
{
    static const struct {
        const char *prefix;
        enum kind kind;
    } kinds[] = {
        {"pairs/", KIND_PAIR},    {"matched/", KIND_PAIR},
        {"unique/", KIND_SORTED}, {"selected/", KIND_SORTED},
        {"images/", KIND_LEDGER}, {"survivors/bucket-", KIND_SURVIVOR}};

    /* What crawl parts tell each other are links, not pairs. */
    if (str_starts(str_of(name), STR("pairs/crawl/out-")))
        return KIND_JSON;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_starts(str_of(name), str_of(kinds[i].prefix)))
            return kinds[i].kind;
    return KIND_JSON;
}

/* K of "...bucket-KKKK", or UINT32_MAX. */
static uint32_t bucket_of(const char *name)
{
    const char *at = strstr(name, "/bucket-");
    uint64_t k;

    if (!at || str_u64(str_of(at + 8), &k) || k > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)k;
}

/* Records ascend by (H(url), url) and, where a URL may come again, by uid. */
static void check_order(struct looking *l, struct str url, const uint8_t *uid,
                        bool again)
{
    uint64_t h = corpus_url_hash(l->o->corpus, url);
    int c;

    if (l->any) {
        c = l->last_h != h ? (l->last_h < h ? -1 : 1)
                           : str_cmp(buf_str(&l->last_url), url);
        if (c == 0 && uid)
            c = memcmp(l->last_uid, uid, MD5_SIZE);
        else if (c == 0 && again)
            c = -1;
        if (c >= 0)
            verify_say(l->o, l->place, "is not behind the record before it");
    }
    if (l->bucket != UINT32_MAX && corpus_bucket(l->o->corpus, h) != l->bucket)
        verify_say(l->o, l->place, "belongs to another bucket");
    l->any = true;
    l->last_h = h;
    buf_clear(&l->last_url);
    buf_add(&l->last_url, url);
    if (uid)
        memcpy(l->last_uid, uid, MD5_SIZE);
}

static void check_uid(struct looking *l, const struct pair *p)
{
    uint8_t uid[MD5_SIZE];

    pair_uid(p->text, p->url, uid);
    if (memcmp(uid, p->uid, MD5_SIZE))
        verify_say(l->o, l->place, "its uid is not the md5 of text and url");
}

static void check_pair(struct looking *l, struct str line)
{
    struct err e = ERR_INIT;
    struct pair p;

    if (pair_read(line, &l->arena, &p, &e)) {
        verify_say(l->o, l->place, "%s", e.message);
        return;
    }
    if (l->kind == KIND_SORTED)
        check_order(l, p.url, p.uid, false);
    if (l->o->deep)
        check_uid(l, &p);
}

static void check_ledger(struct looking *l, struct str line)
{
    struct err e = ERR_INIT;
    struct ledger r;

    if (ledger_read(line, &l->arena, &r, &e)) {
        verify_say(l->o, l->place, "%s", e.message);
        return;
    }
    check_order(l, r.url, NULL, false);
    if (r.outcome != LEDGER_IMAGE)
        return;
    buf_add_u64le(&l->o->image_ranges, r.offset);
    buf_add_u64le(&l->o->image_ranges, r.bytes);
}

static void check_survivor(struct looking *l, struct str line)
{
    struct err e = ERR_INIT;
    struct survivor s;
    struct pair p;
    struct json j;
    bool more = true;

    if (survivor_read(line, &l->arena, &s, &e)) {
        verify_say(l->o, l->place, "%s", e.message);
        return;
    }
    check_order(l, s.url, NULL, s.more);
    survivor_texts_open(&j, &s);
    while (more) {
        if (survivor_texts_next(&j, &l->arena, &p, &more, &e)) {
            verify_say(l->o, l->place, "%s", e.message);
            return;
        }
        if (more && l->o->deep)
            check_uid(l, &p);
    }
}

static void check_json(struct looking *l, struct str line)
{
    struct err e = ERR_INIT;
    struct json j;

    json_open(&j, line, NULL);
    json_skip(&j);
    if (json_close(&j, &e))
        verify_say(l->o, l->place, "%s", e.message);
}

static void check_record(struct looking *l, struct str line)
{
    arena_reset(&l->arena);
    snprintf(l->place, sizeof l->place, "line %llu",
             (unsigned long long)l->line);
    switch (l->kind) {
    case KIND_JSON:
        check_json(l, line);
        break;
    case KIND_PAIR:
    case KIND_SORTED:
        check_pair(l, line);
        break;
    case KIND_LEDGER:
        check_ledger(l, line);
        break;
    case KIND_SURVIVOR:
        check_survivor(l, line);
        break;
    }
}

void verify_records(struct verify_output *o, const char *path,
                    const char *sha256)
{
    struct looking l = {
        .o = o, .kind = kind_of(o->name), .bucket = bucket_of(o->name)};
    struct jsonl_reader in;
    struct sha256 h;
    struct err e = ERR_INIT;
    char found[SHA256_HEX];
    struct str line;
    bool more = true;
    int rc = jsonl_open(&in, path, &e);

    o->has_ledger |= l.kind == KIND_LEDGER;
    arena_init(&l.arena, RECORD_MEMORY);
    buf_init(&l.last_url, BUF_NO_LIMIT);
    sha256_init(&h);
    while (!rc && !(rc = jsonl_next(&in, &line, &more, &e)) && more) {
        sha256_add(&h, line);
        sha256_add(&h, STR("\n"));
        l.line++;
        check_record(&l, line);
    }
    sha256_final_hex(&h, found);
    if (rc)
        verify_say(o, "", "%s", e.message);
    else if (strcmp(found, sha256))
        verify_hash(o, found, sha256);
    jsonl_close(&in);
    arena_release(&l.arena);
    buf_release(&l.last_url);
}
