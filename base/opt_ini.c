#include "base/opt.h"
#include "base/stream.h"

#define INI_LINE_MAX ((size_t)64 << 10)

static int ini_line(struct str line, struct str *section, struct arena *a,
                    opt_ini_fn fn, void *ctx, struct err *e)
{
    size_t eq;

    line = str_trim(line);
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
        return 0;
    if (line.p[0] == '[') {
        if (line.n < 3 || line.p[line.n - 1] != ']')
            return err_set(e, E_USAGE, "a section is written [name]");
        *section = arena_str(a, str_trim(str_slice(line, 1, line.n - 1)));
        if (!section->p)
            return err_set(e, E_TOOBIG, "too many sections");
        return fn(ctx, *section, STR_NONE, STR_NONE, e);
    }
    eq = str_find_char(line, '=', 0);
    if (eq == SIZE_MAX || eq == 0)
        return err_set(e, E_USAGE, "expected `name = value`, found \"%.*s\"",
                       STR_ARG(str_slice(line, 0, 80)));
    return fn(ctx, *section, str_trim(str_slice(line, 0, eq)),
              str_trim(str_slice(line, eq + 1, line.n)), e);
}

int opt_ini(const char *path, opt_ini_fn fn, void *ctx, struct err *e)
{
    struct stream *in;
    struct lines lines;
    struct arena arena;
    struct str line, section = STR_NONE;
    bool more;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    arena_init(&arena, 1 << 20);
    lines_init(&lines, in, INI_LINE_MAX);
    while (!(rc = lines_next(&lines, &line, &more, e)) && more) {
        rc = ini_line(line, &section, &arena, fn, ctx, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s:%llu", path,
                          (unsigned long long)lines.number);
            break;
        }
    }
    if (!rc && lines.too_long)
        rc = err_set(e, E_USAGE, "%s: a line of over %zu bytes", path,
                     INI_LINE_MAX);
    lines_release(&lines);
    arena_release(&arena);
    stream_close(in);
    return rc;
}
