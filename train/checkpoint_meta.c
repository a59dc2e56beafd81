#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "train/checkpoint.h"

#define FORMAT    "witmill checkpoint"
#define SEAL      ",\"sha256\":\""
#define SEAL_END  "\"}\n"
#define SHOWN     3  /* members that a difference names */
#define VALUE_MAX 80 /* bytes of a value shown */

/* Bytes of the seal: what comes behind all that it covers. */
#define SEAL_BYTES (sizeof SEAL - 1 + SHA256_HEX - 1 + sizeof SEAL_END - 1)

/* ---- writing ---- */

static void put_state(struct json_out *o, const struct checkpoint_state *s)
{
    json_put_u64(o, "step", s->step);
    json_put_u64(o, "samples", s->samples);
    json_put_u64(o, "seed", s->seed);
    json_put_u64(o, "applied", s->applied);
    json_put_u64(o, "log_bytes", s->log_bytes);
    if (s->has_metric)
        json_put_double(o, "metric", s->metric);
    json_out_name(o, "alarms");
    alarm_write(&s->alarms, o);
}

static void put_files(struct json_out *o, const struct checkpoint_meta *m)
{
    json_out_name(o, "files");
    json_out_object(o);
    for (size_t i = 0; i < m->n; i++) {
        json_out_name(o, m->files[i].name);
        json_out_object(o);
        json_put_u64(o, "bytes", m->files[i].bytes);
        json_put_string(o, "sha256", str_of(m->files[i].sha256));
        json_out_end_object(o);
    }
    json_out_end_object(o);
}

void checkpoint_meta_write(const struct checkpoint_meta *m, struct buf *out)
{
    uint8_t sum[SHA256_SIZE];
    char hex[SHA256_HEX];
    size_t begin = out->n;
    struct json_out o;

    json_out_init(&o, out);
    json_out_object(&o);
    json_put_string(&o, "format", STR(FORMAT));
    json_put_u64(&o, "version", CHECKPOINT_VERSION);
    put_state(&o, &m->state);
    json_out_name(&o, "made");
    json_out_raw(&o, m->made.n ? m->made : STR("{}"));
    json_out_name(&o, "agree");
    json_out_raw(&o, m->agree.n ? m->agree : STR("{}"));
    put_files(&o, m);
    if (out->rc)
        return;
    hash_sha256(str_make(out->p + begin, out->n - begin), sum);
    hash_hex(sum, sizeof sum, hex);
    buf_addf(out, SEAL "%s" SEAL_END, hex);
}

/* ---- reading ---- */

/* A text being read. */
struct reading {
    struct checkpoint_meta *m;
    const char *place;
    struct json j;
    struct arena arena;
    bool has_format, has_version;
    int rc; /* sticky */
    struct err *e;
};

/* The checksum at its end is of all before it. */
static int check_seal(struct str text, const char *place, struct err *e)
{
    size_t n = text.n < SEAL_BYTES ? 0 : text.n - SEAL_BYTES;
    uint8_t sum[SHA256_SIZE];
    char hex[SHA256_HEX];
    struct str seal = str_slice(text, n, text.n), said;

    if (!n || !str_starts(seal, STR(SEAL)) || !str_ends(seal, STR(SEAL_END)))
        return err_set(e, E_DAMAGED, "%s: ends without its checksum", place);
    said = str_slice(seal, sizeof SEAL - 1, sizeof SEAL - 1 + SHA256_HEX - 1);
    hash_sha256(str_slice(text, 0, n), sum);
    hash_hex(sum, sizeof sum, hex);
    if (!str_eq(said, str_of(hex)))
        return err_set(e, E_DAMAGED,
                       "%s: its bytes have the SHA-256 %s, it says %.*s", place,
                       hex, STR_ARG(said));
    return 0;
}

/* A name that stays in its folder, and is none of ours to write. */
static bool is_plain(struct str name)
{
    if (!name.n || name.n >= CHECKPOINT_NAME_MAX || name.p[0] == '.' ||
        str_eq(name, STR(CHECKPOINT_META)) || str_ends(name, STR(".tmp")))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!str_is_alpha(name.p[i]) && !str_is_digit(name.p[i]) &&
            !strchr("._-", name.p[i]))
            return false;
    return true;
}

static int bad_file(struct reading *r, struct str name, const char *why)
{
    return r->rc = err_set(r->e, E_FORMAT, "%s: file \"%.*s\": %s", r->place,
                           name.n < 200 ? (int)name.n : 200, name.p, why);
}

static int read_file(struct reading *r, struct str name)
{
    struct checkpoint_meta *m = r->m;
    struct checkpoint_file *f;
    struct str member, hex = STR_NONE;

    if (m->n == CHECKPOINT_FILES_MAX)
        return r->rc = err_set(r->e, E_TOOBIG, "%s: more than %d files",
                               r->place, CHECKPOINT_FILES_MAX);
    if (!is_plain(name))
        return bad_file(r, name, "no name for a file of a checkpoint");
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(name, str_of(m->files[i].name)))
            return bad_file(r, name, "stands there twice");
    f = &m->files[m->n];
    *f = (struct checkpoint_file){.bytes = 0};
    memcpy(f->name, name.p, name.n);
    json_object(&r->j);
    while (json_member(&r->j, &member)) {
        if (str_eq(member, STR("bytes")))
            f->bytes = json_u64(&r->j);
        else if (str_eq(member, STR("sha256")))
            hex = json_string(&r->j);
        else
            json_skip(&r->j);
    }
    if (r->j.rc)
        return 0; /* said by who closes it */
    if (hex.n != sizeof f->sha256 - 1)
        return bad_file(r, name, "its sha256 is not 64 hex digits");
    for (size_t i = 0; i < hex.n; i++) {
        if (str_hex_digit(hex.p[i]) < 0)
            return bad_file(r, name, "its sha256 is not 64 hex digits");
        f->sha256[i] = str_lower_char(hex.p[i]);
    }
    m->n++;
    return 0;
}

static void read_files(struct reading *r)
{
    struct str name;

    json_object(&r->j);
    while (!r->rc && json_member(&r->j, &name))
        read_file(r, name);
}

/* An object's own bytes. */
static struct str read_object(struct reading *r)
{
    if (json_peek(&r->j) != JSON_OBJECT) {
        if (!r->rc && !r->j.rc)
            r->rc = err_set(r->e, E_FORMAT,
                            "%s: something else stands where an object is "
                            "expected",
                            r->place);
        return STR_NONE;
    }
    return json_raw(&r->j);
}

static void read_version(struct reading *r)
{
    uint64_t version = json_u64(&r->j);

    r->has_version = true;
    if (!r->j.rc && version != CHECKPOINT_VERSION)
        r->rc =
            err_set(r->e, E_VERSION,
                    "%s: a checkpoint of version %llu; this witmill knows "
                    "%d",
                    r->place, (unsigned long long)version, CHECKPOINT_VERSION);
}

static void read_member(struct reading *r, struct str name)
{
    struct checkpoint_state *s = &r->m->state;
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"step", &s->step},
                   {"samples", &s->samples},
                   {"seed", &s->seed},
                   {"applied", &s->applied},
                   {"log_bytes", &s->log_bytes}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (str_eq(name, str_of(numbers[i].name))) {
            *numbers[i].to = json_u64(&r->j);
            return;
        }
    if (str_eq(name, STR("format"))) {
        r->has_format = str_eq(json_string(&r->j), STR(FORMAT));
    } else if (str_eq(name, STR("version"))) {
        read_version(r);
    } else if (str_eq(name, STR("metric"))) {
        s->metric = json_double(&r->j);
        s->has_metric = true;
    } else if (str_eq(name, STR("alarms"))) {
        r->rc = alarm_read(&s->alarms, &r->j, r->e);
        if (r->rc)
            err_wrap(r->e, r->rc, "%s", r->place);
    } else if (str_eq(name, STR("made"))) {
        r->m->made = read_object(r);
    } else if (str_eq(name, STR("agree"))) {
        r->m->agree = read_object(r);
    } else if (str_eq(name, STR("files"))) {
        read_files(r);
    } else {
        json_skip(&r->j);
    }
}

static int check_whole(struct reading *r)
{
    const struct checkpoint_state *s = &r->m->state;

    if (!r->has_format || !r->has_version)
        return err_set(r->e, E_FORMAT, "%s: is not of a checkpoint", r->place);
    if (s->applied > s->step)
        return err_set(r->e, E_RANGE, "%s: step %llu is applied at step %llu",
                       r->place, (unsigned long long)s->applied,
                       (unsigned long long)s->step);
    if (!r->m->n)
        return err_set(r->e, E_FORMAT, "%s: no files", r->place);
    return 0;
}

int checkpoint_meta_parse(struct checkpoint_meta *m, struct str text,
                          const char *place, bool sealed, struct err *e)
{
    struct reading r = {.m = m, .place = place, .e = e};
    struct str name;

    memset(m, 0, sizeof *m);
    buf_init(&m->text, CHECKPOINT_META_MAX);
    if (text.n > CHECKPOINT_META_MAX)
        return err_set(e, E_TOOBIG, "%s: %zu bytes; %u are the most", place,
                       text.n, CHECKPOINT_META_MAX);
    if (sealed)
        r.rc = check_seal(text, place, e);
    if (r.rc)
        return r.rc;
    arena_init(&r.arena, 4 * (size_t)CHECKPOINT_META_MAX);
    json_open(&r.j, text, &r.arena);
    json_object(&r.j);
    while (!r.rc && json_member(&r.j, &name))
        read_member(&r, name);
    if (!r.rc) {
        r.rc = json_close(&r.j, e);
        if (r.rc)
            err_wrap(e, r.rc, "%s", place);
    }
    if (!r.rc)
        r.rc = check_whole(&r);
    arena_release(&r.arena);
    return r.rc;
}

void checkpoint_meta_release(struct checkpoint_meta *m)
{
    buf_release(&m->text);
}

/* ---- what differs ---- */

static struct str member_of(struct str object, struct str name)
{
    struct str key, v, found = STR_NONE;
    struct json j;

    json_open(&j, object, NULL); /* names are plain: ours */
    json_object(&j);
    while (json_member(&j, &key)) {
        v = json_raw(&j);
        if (str_eq(key, name))
            found = v;
    }
    return found;
}

static void add_value(struct buf *out, struct str v)
{
    if (!v.n)
        v = STR("nothing");
    buf_add(out, str_slice(v, 0, VALUE_MAX));
    if (v.n > VALUE_MAX)
        buf_add(out, STR("..."));
}

/* The shards' mark is no option's value, but of what two of them name. */
static void add_name(struct buf *out, enum checkpoint_part part,
                     struct str name)
{
    if (part == CHECKPOINT_AGREE && str_eq(name, STR("shards")))
        buf_add(out, STR("--data and --vocabulary that hold "));
    else
        buf_addf(out, "%s%.*s ", part == CHECKPOINT_MADE ? "" : "--",
                 STR_ARG(name));
}

static bool is_json_file(struct str value)
{
    return str_ends(value, STR(".json\""));
}

static bool is_same(enum checkpoint_part part, struct str name, struct str then,
                    struct str now)
{
    if (str_eq(then, now))
        return true;
    if (part != CHECKPOINT_AGREE)
        return false;
    return str_eq(name, STR("init")) ||
           (str_eq(name, STR("model")) && is_json_file(then) &&
            is_json_file(now));
}

/* In the order of `then`; what only `now` has comes last. */
unsigned checkpoint_differs(enum checkpoint_part part, struct str then,
                            struct str now, struct buf *out)
{
    unsigned n = 0;

    for (int k = 0; k < 2; k++) {
        struct str name;
        struct json j;

        json_open(&j, k ? now : then, NULL);
        json_object(&j);
        while (json_member(&j, &name)) {
            struct str x = json_raw(&j);
            struct str y = member_of(k ? then : now, name);

            if ((k && y.n > 0) || is_same(part, name, x, y))
                continue;
            if (n < SHOWN) {
                buf_add(out, n ? STR(", ") : STR_NONE);
                add_name(out, part, name);
                add_value(out, k ? y : x);
                buf_add(out, STR(", now "));
                add_value(out, k ? x : y);
            } else if (n == SHOWN) {
                buf_add(out, STR(", and more"));
            }
            n++;
        }
    }
    return n;
}
