#include "crawler/crawl_scope.h"
#include "base/mem.h"
#include "base/url.h"
#include <libpsl.h>
#include <stdlib.h>

#define HOST_MAX 255 /* bytes; no longer name can be in the DNS */

/* Endings of paths that lead to something else than a page. */
static const char *const suffixes[] = {
    ".7z",      ".aac",   ".apk",  ".avi",  ".avif", ".bin",   ".bmp",  ".bz2",
    ".css",     ".csv",   ".deb",  ".dmg",  ".doc",  ".docx",  ".eot",  ".epub",
    ".exe",     ".flac",  ".flv",  ".gif",  ".gz",   ".heic",  ".ico",  ".iso",
    ".jar",     ".jpeg",  ".jpg",  ".js",   ".json", ".jsonl", ".m4a",  ".m4v",
    ".mjs",     ".mkv",   ".mobi", ".mov",  ".mp3",  ".mp4",   ".mpeg", ".mpg",
    ".msi",     ".odp",   ".ods",  ".odt",  ".ogg",  ".ogv",   ".otf",  ".pdf",
    ".png",     ".ppt",   ".pptx", ".ps",   ".psd",  ".rar",   ".rpm",  ".rss",
    ".rtf",     ".svg",   ".svgz", ".swf",  ".tar",  ".tgz",   ".tif",  ".tiff",
    ".torrent", ".ttf",   ".txt",  ".wasm", ".wav",  ".webm",  ".webp", ".wmv",
    ".woff",    ".woff2", ".xls",  ".xlsx", ".xml",  ".xz",    ".zip",  ".zst",
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct str host_of(struct str url)
{
    struct url_parts p;

    return url_split(url, &p) ? p.host : STR_NONE;
}

int crawl_scope_open(struct crawl_scope *s, enum crawl_scope_kind kind,
                     char *const *seeds, size_t n_seeds, struct err *e)
{
    size_t n = 0;

    *s = (struct crawl_scope){.kind = kind, .suffixes = psl_builtin()};
    if (!s->suffixes)
        return err_set(e, E_NOMEM, "libpsl has no list of public suffixes");
    s->names = xcalloc(n_seeds ? n_seeds : 1, sizeof *s->names);
    for (size_t i = 0; i < n_seeds; i++) {
        struct str host = host_of(str_of(seeds[i]));

        if (kind == CRAWL_SCOPE_DOMAIN)
            host = crawl_scope_domain(s, host);
        s->names[i] = xstrndup(host);
    }
    s->n = n_seeds;
    qsort(s->names, s->n, sizeof *s->names, compare_names);
    for (size_t i = 0; i < s->n; i++) {
        if (n && !strcmp(s->names[n - 1], s->names[i]))
            free(s->names[i]);
        else
            s->names[n++] = s->names[i];
    }
    s->n = n;
    return 0;
}

void crawl_scope_close(struct crawl_scope *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->names[i]);
    free(s->names);
    *s = (struct crawl_scope){0};
}

/* 127.0.0.1, 10.1, [::1]: addresses have no registrable part. */
static bool is_address(struct str host)
{
    size_t last = host.n;

    if (host.n == 0 || host.p[0] == '[')
        return true;
    while (last > 0 && host.p[last - 1] != '.')
        last--;
    for (size_t i = last; i < host.n; i++)
        if (!str_is_digit(host.p[i]))
            return false;
    return true;
}

struct str crawl_scope_domain(const struct crawl_scope *s, struct str host)
{
    char name[HOST_MAX + 1];
    const char *domain;

    if (host.n > HOST_MAX || is_address(host))
        return host;
    memcpy(name, host.p, host.n);
    name[host.n] = 0;
    domain = psl_registrable_domain(s->suffixes, name);
    return domain ? str_slice(host, (size_t)(domain - name), host.n) : host;
}

bool crawl_scope_has(const struct crawl_scope *s, struct str url)
{
    struct str name = host_of(url);
    size_t low = 0, high = s->n;

    if (s->kind == CRAWL_SCOPE_ANY)
        return true;
    if (s->kind == CRAWL_SCOPE_DOMAIN)
        name = crawl_scope_domain(s, name);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_cmp(str_of(s->names[mid]), name);

        if (order == 0)
            return true;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

static bool no_page(struct str path)
{
    size_t slash = path.n;
    struct str last;

    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    last = str_slice(path, slash, path.n);
    if (str_find_char(last, ':', 0) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (str_iends(last, str_of(suffixes[i])))
            return true;
    return false;
}

static bool is_trap(struct str path)
{
    struct str segments[CRAWL_SEGMENTS_MAX], rest = path, segment;
    size_t n = 0;

    while (str_split(&rest, '/', &segment)) {
        size_t times = 1;

        if (segment.n == 0)
            continue;
        if (n == CRAWL_SEGMENTS_MAX)
            return true;
        for (size_t i = 0; i < n; i++)
            times += str_eq(segments[i], segment);
        if (times > CRAWL_REPEATS_MAX)
            return true;
        segments[n++] = segment;
    }
    return false;
}

const char *crawl_scope_link(const struct crawl_scope *s, struct str url)
{
    struct url_parts p;

    if (!url_split(url, &p) || !crawl_scope_has(s, url))
        return "links-scope";
    if (no_page(p.path))
        return "links-suffix";
    if (is_trap(p.path))
        return "links-trap";
    return NULL;
}
