#include "crawler/table.h"

#include "base/json.h"

#define TABLE_CELLS_MAX 4096 /* columns of a row that are looked at */

/* What lists in the wild call their columns, the commonest first: img2dataset,
 * LAION, DataComp, cc2dataset, Conceptual Captions. */
static const char *const usual[TABLE_COLUMNS][6] = {
    {"url", "URL", "image_url", "img_url", "link", NULL},
    {"text", "caption", "TEXT", "alt", "CAPTION", NULL},
    {"page", "page_url", NULL},
    {"uid", NULL},
};

static bool is_usual(enum table_column c, struct str name)
{
    for (int i = 0; usual[c][i]; i++)
        if (str_eq(name, str_of(usual[c][i])))
            return true;
    return false;
}

/* A column asked for by its number is no name. */
static const char *asked_name(const struct table *t, enum table_column c)
{
    const char *asked = t->config->column[c];
    uint64_t number;

    return asked && str_u64(str_of(asked), &number) ? asked : NULL;
}

static bool is_wanted(const struct table *t, enum table_column c,
                      struct str name)
{
    const char *asked = asked_name(t, c);

    return asked ? str_eq(name, str_of(asked)) : is_usual(c, name);
}

/* ---- rows of cells ---- */

/* One cell of a CSV row at *at; quotes doubled inside quotes (RFC 4180). */
static struct str csv_cell(struct table *t, struct str row, size_t *at)
{
    size_t from = t->cells.n, i = *at;

    if (i >= row.n || row.p[i] != '"') {
        size_t end = str_find_char(row, ',', i);
        struct str cell = str_slice(row, i, end);

        *at = end == SIZE_MAX ? row.n + 1 : end + 1;
        return cell;
    }
    for (i++; i < row.n; i++) {
        if (row.p[i] == '"' && (i + 1 >= row.n || row.p[i + 1] != '"'))
            break;
        i += row.p[i] == '"';
        buf_add_char(&t->cells, row.p[i]);
    }
    /* What follows the closing quote up to the comma is not part of it. */
    i = str_find_char(row, ',', i);
    *at = i == SIZE_MAX ? row.n + 1 : i + 1;
    return str_make(t->cells.p ? t->cells.p + from : "", t->cells.n - from);
}

static struct str tsv_cell(struct str row, size_t *at)
{
    size_t end = str_find_char(row, '\t', *at);
    struct str cell = str_slice(row, *at, end);

    *at = end == SIZE_MAX ? row.n + 1 : end + 1;
    return cell;
}

/* Called with each cell of a row, in order. */
typedef void (*cell_fn)(void *ctx, int index, struct str cell);

static void each_cell(struct table *t, struct str row, cell_fn fn, void *ctx)
{
    size_t at = 0;

    buf_clear(&t->cells);
    /* No cell outgrows its row: one reservation keeps cells where they are. */
    buf_reserve(&t->cells, row.n);
    for (int i = 0; at <= row.n && i < TABLE_CELLS_MAX; i++)
        fn(ctx, i,
           t->format == TABLE_CSV ? csv_cell(t, row, &at)
                                  : tsv_cell(row, &at));
}

static enum table_format format_of(const char *path, struct str first)
{
    static const struct str packed[] = {{".gz", 3}, {".bz2", 4}, {".zst", 4}};
    struct str name = str_of(path);

    for (int i = 0; i < 3; i++)
        if (str_iends(name, packed[i]))
            name.n -= packed[i].n;
    if (str_iends(name, STR(".csv")))
        return TABLE_CSV;
    if (str_iends(name, STR(".jsonl")) || str_iends(name, STR(".json")) ||
        str_iends(name, STR(".ndjson")))
        return TABLE_JSONL;
    if (str_iends(name, STR(".tsv")) || str_iends(name, STR(".tab")) ||
        str_find_char(first, '\t', 0) != SIZE_MAX)
        return TABLE_TSV;
    if (str_starts(str_trim(first), STR("{")))
        return TABLE_JSONL;
    return str_find_char(first, ',', 0) != SIZE_MAX ? TABLE_CSV : TABLE_TSV;
}

/* Does the row go on in the next line?  `open`: the line begins inside quotes.
 * As csv_cell() has it, a quote opens only at the begin of a cell: others are
 * inches and the like, and must not swallow the rows behind them. */
static bool is_open(struct str line, bool open)
{
    size_t i = 0;

    for (;;) {
        if (!open && i < line.n && line.p[i] == '"') {
            open = true;
            i++;
        }
        while (open) {
            i = str_find_char(line, '"', i);
            if (i == SIZE_MAX)
                return true;
            open = i + 1 < line.n && line.p[i + 1] == '"';
            i += open ? 2 : 1;
        }
        i = str_find_char(line, ',', i);
        if (i == SIZE_MAX)
            return false;
        i++;
    }
}

/* A CSV row that begins with this line: lines joined while a quote is open. */
static int join_lines(struct table *t, struct str *row, bool *bad,
                      struct err *e)
{
    bool open = is_open(*row, false), more;

    if (!open)
        return 0;
    buf_clear(&t->row);
    buf_add(&t->row, *row);
    while (open) {
        int rc = lines_next(&t->lines, row, &more, e);

        if (rc)
            return rc;
        if (more) {
            open = is_open(*row, true);
            buf_add_char(&t->row, '\n');
            buf_add(&t->row, *row);
        }
        if (!more || t->row.rc) {
            *bad = true;
            break;
        }
    }
    *row = buf_str(&t->row);
    return 0;
}

/* The next row's bytes; blank lines are none. */
static int next_bytes(struct table *t, struct str *row, uint64_t *number,
                      bool *bad, bool *more, struct err *e)
{
    int rc;

    *bad = false;
    do {
        rc = lines_next(&t->lines, row, more, e);
        *number = t->lines.number;
        if (!rc && *more && *number == 1 &&
            str_starts(*row, STR("\xef\xbb\xbf")))
            *row = str_slice(*row, 3, row->n); /* a byte order mark */
    } while (!rc && *more && row->n == 0);
    if (!rc && *more && t->format == TABLE_AUTO)
        t->format = format_of(t->path, *row);
    return rc || !*more || t->format != TABLE_CSV
               ? rc
               : join_lines(t, row, bad, e);
}

struct fill {
    const struct table *t;
    struct table_row *row;
};

static void fill_cell(void *ctx, int index, struct str cell)
{
    struct fill *f = ctx;

    for (int c = 0; c < TABLE_COLUMNS; c++)
        if (f->t->at[c] == index)
            f->row->cell[c] = cell;
}

static void read_json(struct table *t, struct str bytes, struct table_row *row)
{
    struct json j;
    struct str name;

    arena_reset(&t->arena);
    json_open(&j, bytes, &t->arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        int c = 0;

        while (c < TABLE_COLUMNS && !is_wanted(t, c, name))
            c++;
        if (c < TABLE_COLUMNS && json_peek(&j) == JSON_STRING &&
            row->cell[c].n == 0)
            row->cell[c] = json_string(&j);
        else
            json_skip(&j);
    }
    if (json_close(&j, NULL)) {
        memset(row->cell, 0, sizeof row->cell);
        row->bad = true;
    }
}

static void read_row(struct table *t, struct str bytes, struct table_row *row)
{
    struct fill f = {t, row};

    if (t->format == TABLE_JSONL)
        read_json(t, bytes, row);
    else if (!row->bad)
        each_cell(t, bytes, fill_cell, &f);
}

/* ---- opening: the format, the header ---- */

static void find_name(void *ctx, int index, struct str cell)
{
    struct table *t = ctx;

    for (int c = 0; c < TABLE_COLUMNS; c++)
        if (t->at[c] < 0 && is_wanted(t, c, str_trim(cell)))
            t->at[c] = index;
}

/* A header is a row that names the URL column, or that is said to be one:
 * numbers may then stand in for names it lacks. */
static bool read_header(struct table *t, struct str first)
{
    bool found;

    each_cell(t, first, find_name, t);
    found = t->at[TABLE_URL] >= 0 || t->config->header == TABLE_HEADER_YES;
    if (!found)
        for (int c = 0; c < TABLE_COLUMNS; c++)
            t->at[c] = -1;
    return found;
}

static int place_columns(struct table *t, bool header, struct err *e)
{
    static const int plain[TABLE_COLUMNS] = {0, 1, -1, -1};

    for (int c = 0; c < TABLE_COLUMNS; c++) {
        const char *asked = t->config->column[c];
        uint64_t number;

        if (asked && !str_u64(str_of(asked), &number)) {
            if (number == 0 || number > TABLE_CELLS_MAX)
                return err_set(e, E_USAGE, "column %s: they count from 1",
                               asked);
            t->at[c] = (int)number - 1;
        } else if (asked && t->at[c] < 0) {
            return err_set(e, E_USAGE, "%s has no column \"%s\"", t->path,
                           asked);
        } else if (!header && !asked) {
            t->at[c] = plain[c];
        }
    }
    if (t->at[TABLE_URL] < 0 || t->at[TABLE_TEXT] < 0)
        return err_set(e, E_USAGE,
                       "%s: which columns are the URL and the text? name them "
                       "with --url-column and --text-column",
                       t->path);
    return 0;
}

static int start(struct table *t, struct err *e)
{
    struct str bytes;
    bool more, bad, header = false;
    uint64_t number;
    int rc;

    t->format = (enum table_format)t->config->format;
    rc = next_bytes(t, &bytes, &number, &bad, &more, e);
    if (rc || !more)
        return rc;
    if (t->format != TABLE_JSONL) {
        if (t->config->header != TABLE_HEADER_NO)
            header = read_header(t, bytes);
        rc = place_columns(t, header, e);
        if (rc)
            return rc;
    }
    t->pending = !header;
    t->first = (struct table_row){.number = number, .bad = bad};
    if (t->pending)
        read_row(t, bytes, &t->first);
    return 0;
}

int table_open(struct table *t, const char *path,
               const struct table_config *config, struct err *e)
{
    int rc;

    *t = (struct table){.config = config, .path = path};
    for (int c = 0; c < TABLE_COLUMNS; c++)
        t->at[c] = -1;
    buf_init(&t->row, TABLE_ROW_MAX);
    buf_init(&t->cells, TABLE_ROW_MAX + 1);
    arena_init(&t->arena, 4 * TABLE_ROW_MAX);
    rc = stream_open(&t->stream, path, e);
    if (rc)
        return rc;
    lines_init(&t->lines, t->stream, TABLE_ROW_MAX);
    rc = start(t, e);
    if (rc)
        table_close(t);
    return rc;
}

int table_next(struct table *t, struct table_row *row, bool *more,
               struct err *e)
{
    struct str bytes;
    int rc;

    if (t->pending) {
        *row = t->first;
        t->pending = false;
        *more = true;
        return 0;
    }
    *row = (struct table_row){.number = 0};
    rc = next_bytes(t, &bytes, &row->number, &row->bad, more, e);
    if (!rc && *more)
        read_row(t, bytes, row);
    return rc;
}

void table_close(struct table *t)
{
    if (t->stream)
        lines_release(&t->lines);
    stream_close(t->stream);
    t->stream = NULL;
    buf_release(&t->row);
    buf_release(&t->cells);
    arena_release(&t->arena);
}
