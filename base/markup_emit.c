/* From what a page holds to its pairs: rules 7 to 9, 11, 14, 15 and 20. */
#include "base/err.h"
#include "base/hash.h"
#include "base/markup_page.h"

/* More would need more texts than MARKUP_IMAGES_MAX images can have. */
#define PAIRS_MAX ((size_t)8 * MARKUP_IMAGES_MAX)

static struct markup_pair *pair_at(struct markup_page_state *s, size_t i)
{
    return (struct markup_pair *)s->pairs.p + i;
}

/* ---- candidates ---- */

static void add(struct markup_page_state *s, struct str url, unsigned drop,
                const struct markup_value *text, enum markup_from from)
{
    struct markup_pair *p;

    if (!text->present)
        return;
    if (!drop)
        drop = text->drop;
    if (drop) {
        s->m->drops[drop]++;
        return;
    }
    p = markup_grow(s, &s->pairs, sizeof *p, PAIRS_MAX);
    if (p)
        *p = (struct markup_pair){url, text->s, from};
}

/* Rule 11: the first usable og:image, else :url, else :secure_url. */
static void add_og(struct markup_page_state *s)
{
    const struct markup_src *src = NULL;
    unsigned drop = 0;

    for (size_t i = 0; i < 3 && !src; i++) {
        if (s->og[i].url.p)
            src = &s->og[i];
        if (!drop)
            drop = s->og[i].drop;
    }
    if (!src && !drop)
        return; /* no og:image at all: its description speaks of the page */
    for (size_t i = 0; i < 2; i++)
        add(s, src ? src->url : STR_NONE, src ? 0 : drop, &s->og_text[i],
            MARKUP_OG);
}

static void add_image(struct markup_page_state *s, struct markup_image *img)
{
    const struct markup_figure *figures = s->figures.p;
    const struct markup_caption *captions = s->captions.p;
    const struct markup_src *picture = NULL;
    struct str url = img->src.url;
    unsigned drop = img->src.drop;
    bool any = false;

    if (img->picture != WALK_NONE)
        picture = (struct markup_src *)s->pictures.p + img->picture;
    if (!url.p && picture)
        url = picture->url;
    if (!url.p)
        url = img->last_resort;
    if (!drop && picture)
        drop = picture->drop;
    if (img->pixel)
        drop = MARKUP_PIXEL;
    else if (url.p)
        drop = 0;
    else if (!drop)
        drop = MARKUP_NO_URL;
    for (size_t i = 0; i < 3; i++) {
        add(s, url, drop, &img->text[i], (enum markup_from)i);
        any = any || img->text[i].present;
    }
    if (img->figure != WALK_NONE && !img->in_figcaption) {
        add(s, url, drop, &figures[img->figure].caption, MARKUP_FIGCAPTION);
        any = any || figures[img->figure].caption.present;
    }
    for (uint32_t i = img->captions; i != WALK_NONE; i = captions[i].next) {
        add(s, url, drop, &captions[i].text, MARKUP_FIGCAPTION);
        any = true;
    }
    if (!any)
        s->m->drops[MARKUP_NO_TEXT]++;
}

/* ---- sets of pairs ---- */

/* What of two pairs must be equal. */
enum key { KEY_URL, KEY_TEXT, KEY_FROM };

static uint64_t hash_of(const struct markup_pair *p, enum key key)
{
    uint64_t h = hash_xxh3(p->url);

    if (key >= KEY_TEXT)
        h = hash_xxh3_seeded(p->text, h);
    return key >= KEY_FROM ? h + (uint64_t)p->from : h;
}

static bool same(const struct markup_pair *a, const struct markup_pair *b,
                 enum key key)
{
    return str_eq(a->url, b->url) &&
           (key < KEY_TEXT || str_eq(a->text, b->text)) &&
           (key < KEY_FROM || a->from == b->from);
}

/* Empty slots for n members, at most half full. */
static bool set_open(struct markup_page_state *s, size_t n)
{
    size_t want = 64;

    while (want < n * 2)
        want *= 2;
    if (!markup_reserve(s, &s->slots, want, sizeof(uint32_t)))
        return false;
    s->slots.n = want;
    memset(s->slots.p, 0xff, want * sizeof(uint32_t));
    return true;
}

/* The member equal to pair i, which becomes one itself if there is none. */
static uint32_t set_put(struct markup_page_state *s, uint32_t i, enum key key)
{
    uint32_t *slots = s->slots.p;
    const struct markup_pair *p = pair_at(s, i);
    size_t at = hash_of(p, key) & (s->slots.n - 1);

    while (slots[at] != WALK_NONE) {
        if (same(pair_at(s, slots[at]), p, key))
            return slots[at];
        at = (at + 1) & (s->slots.n - 1);
    }
    return slots[at] = i;
}

/* Rule 20: equal records of a page are one. */
static void drop_duplicates(struct markup_page_state *s)
{
    size_t kept = 0;

    if (!set_open(s, s->pairs.n))
        return;
    for (size_t i = 0; i < s->pairs.n; i++) {
        *pair_at(s, kept) = *pair_at(s, i);
        if (set_put(s, (uint32_t)kept, KEY_FROM) == kept)
            kept++;
        else
            s->m->drops[MARKUP_DUPLICATE]++;
    }
    s->pairs.n = kept;
}

static bool is_name(const struct markup_pair *p)
{
    return p->from == MARKUP_ALT || p->from == MARKUP_TITLE ||
           p->from == MARKUP_ARIA;
}

/* Rule 15: a URL with many different names is furniture.  first[i] is the first
 * pair with the URL of pair i, counts[i] of such a first pair the number of
 * its URL's names. */
static void drop_placeholders(struct markup_page_state *s)
{
    size_t n = s->pairs.n, kept = 0;
    uint32_t *counts, *first;

    if (n < MARKUP_PLACEHOLDER)
        return;
    if (!markup_reserve(s, &s->counts, 2 * n, sizeof(uint32_t)) ||
        !set_open(s, n))
        return;
    counts = s->counts.p;
    first = counts + n;
    memset(counts, 0, n * sizeof *counts);
    for (uint32_t i = 0; i < n; i++)
        first[i] = set_put(s, i, KEY_URL);
    memset(s->slots.p, 0xff, s->slots.n * sizeof(uint32_t));
    for (uint32_t i = 0; i < n; i++)
        if (is_name(pair_at(s, i)) && set_put(s, i, KEY_TEXT) == i)
            counts[first[i]]++;
    for (size_t i = 0; i < n; i++) {
        if (counts[first[i]] >= MARKUP_PLACEHOLDER)
            s->m->drops[MARKUP_IS_PLACEHOLDER]++;
        else
            *pair_at(s, kept++) = *pair_at(s, i);
    }
    s->pairs.n = kept;
}

int markup_emit(struct markup_page_state *s)
{
    struct markup_image *images = s->images.p;

    add_og(s);
    for (size_t i = 0; i < s->images.n; i++)
        add_image(s, &images[i]);
    drop_duplicates(s);
    drop_placeholders(s);
    return s->rc;
}
