#include "crawler/crawl_page.h"
#include "base/pair.h"
#include "crawler/consent.h"

#define OUR_TOKEN STR("witmill") /* in <meta name> */

void crawl_page_init(struct crawl_page *p)
{
    *p = (struct crawl_page){0};
    buf_init(&p->pairs, BUF_NO_LIMIT);
    buf_init(&p->links, BUF_NO_LIMIT);
    tally_init(&p->counts);
    tally_init(&p->drops);
}

void crawl_page_release(struct crawl_page *p)
{
    buf_release(&p->pairs);
    buf_release(&p->links);
    tally_release(&p->counts);
    tally_release(&p->drops);
}

static void add_pairs(struct crawl_page *p, const struct markup *m,
                      struct str page)
{
    for (size_t i = 0; i < m->n_pairs; i++) {
        struct pair pair = {
            .url = m->pairs[i].url,
            .text = m->pairs[i].text,
            .from = str_of(markup_from_name(m->pairs[i].from)),
            .page = page,
            .origin = STR("crawl"),
        };

        pair_uid(pair.text, pair.url, pair.uid);
        pair_write(&pair, &p->pairs);
        buf_add_char(&p->pairs, '\n');
    }
    p->n_pairs = m->n_pairs;
}

static void add_links(struct crawl_page *p, const struct markup *m,
                      const struct crawl_scope *scope)
{
    for (size_t i = 0; i < m->n_links; i++) {
        struct str url = m->links[i].url;
        const char *no = m->links[i].nofollow ? "links-nofollow"
                                              : crawl_scope_link(scope, url);

        if (!no && p->n_links == CRAWL_LINKS_MAX)
            no = "links-many";
        if (no) {
            tally_add(&p->counts, no, 1);
            continue;
        }
        buf_add(&p->links, url);
        buf_add_char(&p->links, '\n');
        p->n_links++;
    }
}

int crawl_page_read(struct crawl_page *p, struct markup *m,
                    const struct crawl_page_source *in,
                    const struct crawl_scope *scope)
{
    struct consent consent;
    int rc;

    buf_clear(&p->pairs);
    buf_clear(&p->links);
    tally_clear(&p->counts);
    tally_clear(&p->drops);
    p->n_pairs = p->n_links = 0;
    p->refused = NULL;
    rc = markup_page(m, in->body, in->url,
                     charset_of_content_type(in->content_type));
    if (rc)
        return rc;
    consent_init(&consent);
    for (size_t i = 0; i < m->n_metas; i++)
        consent_meta(&consent, m->metas[i].name, m->metas[i].content,
                     OUR_TOKEN);
    if (consent_verdict(&consent) != CONSENT_ALLOWED)
        p->refused = consent_name(consent_verdict(&consent));
    if (in->no_pairs || p->refused)
        tally_add(&p->drops, "consent", m->n_pairs);
    else
        add_pairs(p, m, in->url);
    for (unsigned i = URL_OK + 1; i < MARKUP_DROPS; i++)
        if (m->drops[i])
            tally_add(&p->drops, markup_drop_name(i), m->drops[i]);
    if (in->no_links || consent.nofollow)
        tally_add(&p->counts, "links-nofollow", m->n_links);
    else
        add_links(p, m, scope);
    return p->pairs.rc ? p->pairs.rc : p->links.rc;
}

bool crawl_page_is_html(struct str content_type)
{
    size_t end = str_find_char(content_type, ';', 0);
    struct str type = str_trim(str_slice(
        content_type, 0, end < content_type.n ? end : content_type.n));

    return type.n == 0 || str_ieq(type, STR("text/html")) ||
           str_ieq(type, STR("application/xhtml+xml"));
}
