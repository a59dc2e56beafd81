/*
 * pages - the pages of a saved site (extraction.md rule 19).
 *
 * Model.   pages_list() finds the regular files of a folder tree whose names
 *          end in .html, .htm, .xhtml or .xht in any case, following no
 *          symbolic links, in bytewise order of their paths relative to the
 *          folder.  pages_url() gives the URL of such a path under a base.
 * Owns.    The list owns its paths.
 * Fails.   -E_NOTFOUND or -E_IO with the path; -E_TOOBIG past PAGES_MAX files,
 *          PAGES_DEPTH_MAX folders deep, or an overlong path.
 * Threads. Distinct lists are independent.
 */
#ifndef BASE_PAGES_H
#define BASE_PAGES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/url.h"

#define PAGES_MAX       10000000
#define PAGES_DEPTH_MAX 128

struct pages {
    char **paths; /* relative to the folder, with / between */
    size_t n, cap;
};

int pages_list(const char *folder, struct pages *p, struct err *e);
void pages_release(struct pages *p);

/* base, with a / if it has none at its end, then path with % ? # encoded, as a
 * canonical URL into out (cleared first). */
enum url_reason pages_url(struct str base, struct str path, struct buf *out);

#endif
