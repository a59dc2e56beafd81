#include "querylist/list_io.h"

#include <stdbool.h>

#include "base/json.h"
#include "base/stream.h"
#include "base/utf8.h"

#define COLUMNS_MAX 256u               /* of a TSV that is read */
#define PIECE       ((size_t)1 << 20)  /* bytes written at once, about */
#define PIECE_MAX   ((size_t)16 << 20) /* a piece and its longest entry */

const char *const query_form_names[] = {"text", "tsv", "json", NULL};

enum query_form query_form_of(const char *path)
{
    static const char *const packed[] = {".gz", ".bz2", ".zst"};
    struct str name = str_of(path);

    for (size_t i = 0; i < 3; i++)
        if (str_iends(name, str_of(packed[i]))) {
            name.n -= strlen(packed[i]);
            break;
        }
    if (str_iends(name, STR(".json")))
        return QUERY_FORM_JSON;
    return str_iends(name, STR(".tsv")) ? QUERY_FORM_TSV : QUERY_FORM_TEXT;
}

/* ---- reading ---- */

static int read_json(struct query_candidates *to, struct str bytes,
                     const char *name, struct arena *arena, struct err *e)
{
    struct json j;
    int rc;

    json_open(&j, bytes, arena);
    if (json_peek(&j) != JSON_ARRAY)
        return err_set(e, E_FORMAT, "%s: expected a JSON array of strings",
                       name);
    json_array(&j);
    while (json_element(&j)) {
        struct str s;

        if (json_peek(&j) != JSON_STRING)
            return err_set(e, E_FORMAT,
                           "%s: expected a string at byte %zu of the array",
                           name, j.at);
        s = json_string(&j);
        if (!j.rc)
            query_candidates_add(to, s);
    }
    rc = json_close(&j, e);
    return rc ? err_wrap(e, rc, "%s", name) : 0;
}

/* Where the columns that matter stand; COLUMNS_MAX: nowhere. */
struct columns {
    size_t n;
    size_t text, count, pmi, views;
};

static int read_header(struct columns *c, struct str line, const char *name,
                       struct err *e)
{
    struct str field;

    *c =
        (struct columns){0, COLUMNS_MAX, COLUMNS_MAX, COLUMNS_MAX, COLUMNS_MAX};
    for (; c->n < COLUMNS_MAX && str_split(&line, '\t', &field); c->n++) {
        if (str_eq(field, STR("text")))
            c->text = c->n;
        else if (str_eq(field, STR("count")))
            c->count = c->n;
        else if (str_eq(field, STR("pmi")))
            c->pmi = c->n;
        else if (str_eq(field, STR("views")))
            c->views = c->n;
    }
    if (c->text == COLUMNS_MAX)
        return err_set(e, E_FORMAT,
                       "%s: expected a header with a column \"text\" in line "
                       "1 of a list named .tsv",
                       name);
    return 0;
}

/* s without its escapes, in the arena if there are any; false for one that is
 * none. */
static bool unescaped(struct str *s, struct arena *arena, int *rc)
{
    char *to;
    size_t n = 0;

    if (str_find_char(*s, '\\', 0) == SIZE_MAX)
        return true;
    to = arena_alloc(arena, s->n);
    if (!to) {
        *rc = -E_TOOBIG;
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        char c = s->p[i];

        if (c == '\\') {
            static const char from[] = "tnr\\", as[] = "\t\n\r\\";
            const char *at =
                ++i < s->n ? memchr(from, s->p[i], sizeof from - 1) : NULL;

            if (!at)
                return false;
            c = as[at - from];
        }
        to[n++] = c;
    }
    *s = str_make(to, n);
    return true;
}

/* Value of an optional numeric column. */
static bool number(const struct str *fields, size_t column, uint64_t *v)
{
    return column == COLUMNS_MAX || !fields[column].n ||
           !str_u64(fields[column], v);
}

static int read_row(struct query_candidates *to, const struct columns *c,
                    struct str line, struct arena *arena, struct tally *drops)
{
    struct str fields[COLUMNS_MAX];
    struct query_candidate row = {0};
    size_t n = 0;
    int rc = 0;

    while (n < c->n && str_split(&line, '\t', &fields[n]))
        n++;
    if (n < c->n || line.p) {
        tally_add(drops, "list-fields", 1);
        return 0;
    }
    if (!number(fields, c->count, &row.count) ||
        !number(fields, c->views, &row.views) ||
        (c->pmi != COLUMNS_MAX && fields[c->pmi].n &&
         str_double(fields[c->pmi], &row.pmi))) {
        tally_add(drops, "list-number", 1);
        return 0;
    }
    row.text = fields[c->text];
    if (unescaped(&row.text, arena, &rc)) {
        struct query_candidate *at = query_candidates_add(to, row.text);

        at->count = row.count;
        at->views = row.views;
        at->pmi = row.pmi;
    } else if (!rc) {
        tally_add(drops, "list-escape", 1);
    }
    return rc;
}

static int read_tsv(struct query_candidates *to, struct str bytes,
                    const char *name, struct arena *arena, struct tally *drops,
                    struct err *e)
{
    struct columns c = {0};
    struct str line;
    bool first = true;
    int rc = 0;

    while (!rc && str_split(&bytes, '\n', &line)) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (first)
            rc = read_header(&c, line, name, e);
        else if (line.n)
            rc = read_row(to, &c, line, arena, drops);
        first = false;
    }
    return rc ? err_set(e, -rc, "%s: over the ceiling of lists", name) : 0;
}

int query_list_import(struct query_candidates *to, enum query_form form,
                      struct str bytes, const char *name, struct arena *arena,
                      struct tally *drops, struct err *e)
{
    if (str_starts(bytes, STR("\xef\xbb\xbf")))
        bytes = str_slice(bytes, 3, bytes.n);
    switch (form) {
    case QUERY_FORM_JSON:
        return read_json(to, bytes, name, arena, e);
    case QUERY_FORM_TSV:
        return read_tsv(to, bytes, name, arena, drops, e);
    case QUERY_FORM_TEXT:
        break;
    }
    query_candidates_lines(to, bytes);
    return 0;
}

int query_list_read(struct query_candidates *to, const char *path,
                    struct arena *arena, struct tally *drops, struct err *e)
{
    struct stream *in;
    struct buf bytes;
    struct str kept;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    buf_init(&bytes, arena->max);
    rc = stream_read_all(in, &bytes, e);
    stream_close(in);
    kept = rc ? STR_NONE : arena_str(arena, buf_str(&bytes));
    buf_release(&bytes);
    if (rc)
        return rc;
    if (!kept.p)
        return err_set(e, E_TOOBIG, "%s: the lists need more than %zu bytes",
                       path, arena->max);
    return query_list_import(to, query_form_of(path), kept, path, arena, drops,
                             e);
}

/* ---- writing ---- */

/* Between the quotes, as Python's json does: ASCII alone. */
static void put_json(struct buf *to, struct str s)
{
    static const char plain[] = "\b\t\n\f\r", letter[] = "btnfr";
    size_t at = 0;

    while (at < s.n) {
        uint32_t cp = utf8_next(s, &at);
        const char *short_form = cp && cp < 32 ? strchr(plain, (char)cp) : NULL;

        if (cp == '"' || cp == '\\')
            buf_addf(to, "\\%c", (char)cp);
        else if (short_form)
            buf_addf(to, "\\%c", letter[short_form - plain]);
        else if (cp >= ' ' && cp <= '~')
            buf_add_char(to, (char)cp);
        else if (cp < 0x10000)
            buf_addf(to, "\\u%04x", cp);
        else
            buf_addf(to, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
                     0xdc00 + ((cp - 0x10000) & 0x3ff));
    }
}

static void put_escaped(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        static const char from[] = "\t\n\r\\", as[] = "tnr\\";
        const char *at = memchr(from, s.p[i], sizeof from - 1);

        if (at)
            buf_add_char(to, '\\');
        buf_add_char(to, at ? as[at - from] : s.p[i]);
    }
}

/* Names of the bits that are set, with commas. */
static void put_names(struct buf *to, uint32_t bits, unsigned n,
                      const char *(*name)(unsigned))
{
    bool comma = false;

    for (unsigned i = 0; i < n; i++) {
        if (!(bits & 1u << i))
            continue;
        buf_addf(to, "%s%s", comma ? "," : "", name(i));
        comma = true;
    }
}

static const char *source_name(unsigned i)
{
    return query_source_name((enum query_source)i);
}

static const char *flag_name(unsigned i)
{
    return i ? "never" : "no-words"; /* bits of enum query_flags */
}

static void put_u64(struct buf *to, uint64_t v)
{
    buf_add_char(to, '\t');
    if (v)
        buf_addf(to, "%llu", (unsigned long long)v);
}

static void put_row(const struct qlist *l, uint32_t id, struct buf *to)
{
    struct json_out number;
    struct query_entry q;
    struct qlist_synset s;

    qlist_entry(l, id, &q);
    buf_addf(to, "%u\t", id);
    put_escaped(to, q.text);
    buf_add_char(to, '\t');
    put_escaped(to, q.norm);
    buf_add_char(to, '\t');
    if (q.group != QUERY_NONE)
        buf_addf(to, "%u", q.group);
    buf_add_char(to, '\t');
    put_names(to, q.sources, QUERY_SOURCES, source_name);
    put_u64(to, q.count);
    buf_add_char(to, '\t');
    json_out_init(&number, to);
    if (q.pmi != 0 || q.sources & 1u << QUERY_BIGRAM)
        json_out_double(&number, q.pmi);
    put_u64(to, q.views);
    buf_add_char(to, '\t');
    if (q.synset != QUERY_NONE) {
        qlist_synset(l, q.synset, &s);
        put_escaped(to, s.id);
    }
    buf_add_char(to, '\t');
    put_names(to, q.flags, 2, flag_name);
    buf_add_char(to, '\n');
}

static void put_entry(const struct qlist *l, enum query_form form, uint32_t id,
                      struct buf *to)
{
    switch (form) {
    case QUERY_FORM_TEXT:
        buf_add(to, qlist_text(l, id));
        buf_add_char(to, '\n');
        break;
    case QUERY_FORM_TSV:
        put_row(l, id, to);
        break;
    case QUERY_FORM_JSON:
        buf_add(to, id ? STR(", \"") : STR("\""));
        put_json(to, qlist_text(l, id));
        buf_add_char(to, '"');
        break;
    }
}

int query_list_export(const struct qlist *l, enum query_form form,
                      query_list_put put, void *ctx, struct err *e)
{
    struct buf piece;
    int rc = 0;

    buf_init(&piece, PIECE_MAX);
    if (form == QUERY_FORM_TSV)
        buf_add(&piece, STR("id\ttext\tnorm\tgroup\tsources\tcount\tpmi\tviews"
                            "\tsynset\tflags\n"));
    else if (form == QUERY_FORM_JSON)
        buf_add_char(&piece, '[');
    for (uint32_t id = 0; !rc && id < qlist_count(l); id++) {
        put_entry(l, form, id, &piece);
        if (piece.n < PIECE && !piece.rc)
            continue;
        rc = piece.rc ? err_set(e, -piece.rc, "entry %u of the list", id)
                      : put(ctx, buf_str(&piece), e);
        buf_clear(&piece);
    }
    if (form == QUERY_FORM_JSON)
        buf_add_char(&piece, ']');
    if (!rc)
        rc = put(ctx, buf_str(&piece), e);
    buf_release(&piece);
    return rc;
}
