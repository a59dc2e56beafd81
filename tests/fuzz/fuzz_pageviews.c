/* querylist/pageviews and title: the first byte chooses what the file's name
 * says, the rest are its lines. */
#include <stdlib.h>

#include "base/log.h"
#include "querylist/aliases.h"
#include "querylist/pageviews.h"
#include "querylist/title.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct names {
    struct title_form once, twice;
    struct titles_aliases aliases;
};

static int take(void *ctx, struct str title, const struct pageviews_slot *slots,
                size_t n, struct err *e)
{
    struct names *t = ctx;
    struct str a, b;

    (void)e;
    for (size_t i = 0; i < n; i++)
        if (slots[i].at >= PAGEVIEWS_SLOTS ||
            slots[i].views > PAGEVIEWS_VIEWS_MAX)
            abort();
    if (title_normal(&t->once, title, &a) != TITLE_FINE)
        return 0;
    if (!a.n || a.n > TITLE_MAX)
        abort();
    if (title_normal(&t->twice, a, &b) == TITLE_FINE && b.n > TITLE_MAX)
        abort();
    titles_aliases_add(&t->aliases, a, b);
    titles_aliases_add(&t->aliases, b, title);
    titles_aliases_target(&t->aliases, b);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"pageviews-20240131-130000",
                                        "pageviews-20240131-user",
                                        "pageviews-202401-user", "views"};
    struct pageviews_project project;
    struct names t;
    struct tally drops;
    struct pageviews p;
    struct stream *in;

    if (!size || pageviews_project(&project, "en", NULL))
        return 0;
    log_quiet(true);
    tally_init(&drops);
    title_form_init(&t.once);
    title_form_init(&t.twice);
    titles_aliases_init(&t.aliases, 1 << 20);
    pageviews_init(&p, &project, take, &t, &drops);
    if (!stream_open_memory(&in, str_make((const char *)data + 1, size - 1),
                            "fuzz", NULL)) {
        pageviews_read_stream(&p, in, names[data[0] % 4], NULL);
        stream_close(in);
    }
    pageviews_release(&p);
    titles_aliases_release(&t.aliases);
    title_form_release(&t.once);
    title_form_release(&t.twice);
    tally_release(&drops);
    return 0;
}
