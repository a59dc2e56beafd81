#include "querylist/wordnet.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define PARTS 4

static const char *const part_names[PARTS] = {"noun", "verb", "adj", "adv"};

/* A line of an index file: what lemma, and its synsets in order of sense. */
struct index_line {
    struct str lemma;
    struct str offsets; /* decimal numbers, a space between */
};

/* A pointer to a hypernym, by the place it has in the files. */
struct edge {
    uint32_t part;
    uint32_t offset;
};

struct loader {
    struct wordnet *w;
    struct buf data, index; /* the two files of the current part */
    struct index_line *lines;
    size_t n_lines, cap_lines;
    uint32_t *offsets; /* per synset: byte offset in its data file */
    size_t cap_synsets, cap_offsets;
    struct edge *edges;
    size_t n_edges, cap_edges;
    size_t first[PARTS + 1]; /* synset that begins each part */
    char path[IO_PATH_MAX];  /* the file being read */
    uint64_t line;
};

static int malformed(const struct loader *l, const char *what, struct err *e)
{
    return err_set(e, E_FORMAT, "%s:%llu: %s", l->path,
                   (unsigned long long)l->line, what);
}

/* The next field of *rest, fields being separated by single spaces. */
static struct str field(struct str *rest)
{
    struct str f;

    return str_split(rest, ' ', &f) ? f : STR_NONE;
}

static int number(struct str s, unsigned base, uint32_t *out)
{
    uint64_t v = 0;
    size_t i;

    if (!s.n || s.n > 8)
        return -E_FORMAT;
    for (i = 0; i < s.n; i++) {
        int d = str_hex_digit(s.p[i]);

        if (d < 0 || (unsigned)d >= base)
            return -E_FORMAT;
        v = v * base + (unsigned)d;
    }
    *out = (uint32_t)v;
    return 0;
}

static int read_part_file(struct loader *l, const char *folder,
                          const char *kind, unsigned part, struct buf *b,
                          struct err *e)
{
    char name[32];
    int rc;

    snprintf(name, sizeof name, "%s.%s", kind, part_names[part]);
    rc = io_join(l->path, folder, name, e);
    if (rc)
        return rc;
    l->line = 0;
    buf_clear(b);
    if (!io_exists(l->path))
        return err_set(e, E_NOTFOUND,
                       "%s is not there: install Debian's wordnet-base, or "
                       "say where WordNet's files are",
                       l->path);
    return io_read_file(l->path, b, e);
}

/* The next line that is not of the licence (those begin with two spaces). */
static bool next_line(struct loader *l, struct str *rest, struct str *line)
{
    while (str_split(rest, '\n', line)) {
        l->line++;
        if (line->n && line->p[0] != ' ')
            return true;
    }
    return false;
}

/* ---- index.POS: lemma pos n p_cnt [ptr...] sense_cnt tagsense_cnt off... */

static int compare_lines(const void *a, const void *b)
{
    return str_cmp(((const struct index_line *)a)->lemma,
                   ((const struct index_line *)b)->lemma);
}

static int read_index(struct loader *l, struct err *e)
{
    struct str rest = buf_str(&l->index), line;

    l->n_lines = 0;
    while (next_line(l, &rest, &line)) {
        struct index_line x;
        uint32_t pointers;

        x.lemma = field(&line);
        field(&line); /* part of speech */
        field(&line); /* number of synsets */
        if (number(field(&line), 10, &pointers))
            return malformed(l, "expected the number of pointer kinds", e);
        for (pointers += 2; pointers; pointers--)
            field(&line);
        x.offsets = str_trim(line);
        if (!x.offsets.n)
            return malformed(l, "expected offsets of synsets", e);
        l->lines =
            xgrow(l->lines, &l->cap_lines, l->n_lines + 1, sizeof *l->lines);
        l->lines[l->n_lines++] = x;
    }
    if (l->n_lines)
        qsort(l->lines, l->n_lines, sizeof *l->lines, compare_lines);
    return 0;
}

/* Place of the synset at offset among the senses of lemma, from 1; 0 if the
 * index does not know it. */
static uint32_t sense_of(const struct loader *l, struct str lemma,
                         uint32_t offset)
{
    struct index_line key = {.lemma = lemma}, *hit;
    struct str rest, f;
    uint32_t sense = 0, v;

    if (!l->n_lines)
        return 0;
    hit = bsearch(&key, l->lines, l->n_lines, sizeof key, compare_lines);
    if (!hit)
        return 0;
    rest = hit->offsets;
    while (str_split(&rest, ' ', &f)) {
        sense++;
        if (number(f, 10, &v) == 0 && v == offset)
            return sense;
    }
    return 0;
}

/* ---- data.POS ---- */

/* In lower case, without the marker of an adjective's place: "(a)", "(p)",
 * "(ip)" (wninput(5)). */
static struct str lemma_of(struct loader *l, struct str word)
{
    struct str copy;
    size_t i;

    if (str_ends(word, STR("(a)")) || str_ends(word, STR("(p)")))
        word.n -= 3;
    else if (str_ends(word, STR("(ip)")))
        word.n -= 4;
    copy = arena_str(&l->w->arena, word);
    for (i = 0; i < copy.n; i++)
        ((char *)copy.p)[i] = str_lower_char(copy.p[i]);
    return copy;
}

static int read_pointers(struct loader *l, struct str *line, struct synset *s,
                         struct err *e)
{
    uint32_t count;

    if (number(field(line), 10, &count))
        return malformed(l, "expected the number of pointers", e);
    s->first_parent = (uint32_t)l->n_edges;
    for (; count; count--) {
        struct str symbol = field(line), offset = field(line);
        struct str pos = field(line);
        struct edge x;

        if (!field(line).p || pos.n != 1 || number(offset, 10, &x.offset))
            return malformed(l, "expected symbol, offset, pos, source/target",
                             e);
        if (!str_eq(symbol, STR("@")) && !str_eq(symbol, STR("@i")))
            continue;
        x.part = pos.p[0] == 'n'   ? 0
                 : pos.p[0] == 'v' ? 1
                 : pos.p[0] == 'r' ? 3
                                   : 2;
        l->edges =
            xgrow(l->edges, &l->cap_edges, l->n_edges + 1, sizeof *l->edges);
        l->edges[l->n_edges++] = x;
        s->n_parents++;
    }
    return 0;
}

static int name_synset(struct loader *l, struct str word, uint32_t offset,
                       struct synset *s, struct err *e)
{
    struct str lemma = lemma_of(l, word);
    struct buf id;
    size_t i;

    if (!lemma.p)
        return err_set(e, E_TOOBIG, "%s: over the memory ceiling", l->path);
    s->sense = sense_of(l, lemma, offset);
    if (!s->sense)
        return malformed(l, "a synset that the index does not list", e);
    buf_init(&id, 1024);
    buf_addf(&id, "%.*s.%c.%02u", STR_ARG(lemma), s->pos, s->sense);
    s->id = arena_str(&l->w->arena, buf_str(&id));
    buf_release(&id);
    s->name = str_slice(lemma, 0, str_find_char(lemma, '.', 0));
    for (i = 0; i < s->name.n; i++)
        if (s->name.p[i] == '_')
            ((char *)s->name.p)[i] = ' ';
    return s->id.p
               ? 0
               : err_set(e, E_TOOBIG, "%s: over the memory ceiling", l->path);
}

/* offset lex_file pos w_cnt word lex_id [word lex_id...] p_cnt [ptr...]
 * [frames...] | gloss */
static int read_synset(struct loader *l, struct str line, struct err *e)
{
    struct wordnet *w = l->w;
    size_t bar = str_find(line, STR(" | "), 0);
    struct synset s = {.gloss = STR("")};
    struct str pos, word;
    uint32_t offset, words;
    int rc;

    if (bar != SIZE_MAX) {
        s.gloss =
            arena_str(&w->arena, str_trim(str_slice(line, bar + 3, line.n)));
        line = str_slice(line, 0, bar);
    }
    if (number(field(&line), 10, &offset))
        return malformed(l, "expected the offset of a synset", e);
    field(&line); /* lexicographer file */
    pos = field(&line);
    if (pos.n != 1 || !strchr("nvasr", pos.p[0]) || !pos.p[0])
        return malformed(l, "expected a part of speech", e);
    s.pos = pos.p[0];
    if (number(field(&line), 16, &words) || !words)
        return malformed(l, "expected the number of words", e);
    word = field(&line);
    for (words = words * 2 - 1; words; words--)
        field(&line);
    rc = read_pointers(l, &line, &s, e);
    if (!rc)
        rc = name_synset(l, word, offset, &s, e);
    if (rc)
        return rc;
    if (!s.gloss.p)
        return err_set(e, E_TOOBIG, "%s: over the memory ceiling", l->path);
    w->synsets =
        xgrow(w->synsets, &l->cap_synsets, w->n + 1, sizeof *w->synsets);
    l->offsets =
        xgrow(l->offsets, &l->cap_offsets, w->n + 1, sizeof *l->offsets);
    l->offsets[w->n] = offset;
    w->synsets[w->n++] = s;
    return 0;
}

static int read_part(struct loader *l, const char *folder, unsigned part,
                     struct err *e)
{
    struct str rest, line;
    int rc;

    rc = read_part_file(l, folder, "index", part, &l->index, e);
    if (!rc)
        rc = read_index(l, e);
    if (!rc)
        rc = read_part_file(l, folder, "data", part, &l->data, e);
    if (rc)
        return rc;
    l->first[part] = l->w->n;
    rest = buf_str(&l->data);
    while (!rc && next_line(l, &rest, &line))
        rc = read_synset(l, line, e);
    l->first[part + 1] = l->w->n;
    return rc;
}

/* Data files stand in order of offset, so a hypernym is found by halving. */
static uint32_t find(const struct loader *l, struct edge x)
{
    size_t lo = l->first[x.part], hi = l->first[x.part + 1];

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (l->offsets[mid] < x.offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < l->first[x.part + 1] && l->offsets[lo] == x.offset
               ? (uint32_t)lo
               : WORDNET_NONE;
}

static int link_parents(struct loader *l, struct err *e)
{
    struct wordnet *w = l->w;
    size_t i;

    w->parents = xcalloc(l->n_edges + 1, sizeof *w->parents);
    w->n_parents = l->n_edges;
    for (i = 0; i < l->n_edges; i++) {
        w->parents[i] = find(l, l->edges[i]);
        if (w->parents[i] == WORDNET_NONE)
            return err_set(e, E_FORMAT, "%s: no synset at offset %08u",
                           part_names[l->edges[i].part], l->edges[i].offset);
    }
    return 0;
}

int wordnet_load(struct wordnet *w, const char *folder, struct err *e)
{
    struct loader *l = xcalloc(1, sizeof *l);
    unsigned part;
    int rc = 0;

    *w = (struct wordnet){0};
    arena_init(&w->arena, WORDNET_MEMORY);
    l->w = w;
    buf_init(&l->data, WORDNET_FILE_MAX);
    buf_init(&l->index, WORDNET_FILE_MAX);
    for (part = 0; !rc && part < PARTS; part++)
        rc = read_part(l, folder ? folder : WORDNET_FOLDER, part, e);
    if (!rc)
        rc = link_parents(l, e);
    buf_release(&l->data);
    buf_release(&l->index);
    free(l->lines);
    free(l->offsets);
    free(l->edges);
    free(l);
    if (rc)
        wordnet_release(w);
    return rc;
}

void wordnet_release(struct wordnet *w)
{
    free(w->synsets);
    free(w->parents);
    arena_release(&w->arena);
    *w = (struct wordnet){0};
}
