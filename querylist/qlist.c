#include "querylist/qlist.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "querylist/qlist_layout.h"

static uint32_t get16(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t get32(const unsigned char *p)
{
    return get16(p) | get16(p + 2) << 16;
}

static uint64_t get64(const unsigned char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* ---- checking ---- */

static int damaged(const char *name, const char *what, uint64_t where,
                   struct err *e)
{
    return err_set(e, E_DAMAGED,
                   "%s: %s (%llu); the `witmill queries` that made it makes "
                   "it anew",
                   name, what, (unsigned long long)where);
}

static bool within(const struct qlist *l, uint32_t at, uint32_t n)
{
    return (uint64_t)at + n <= l->bytes[QLIST_STRINGS];
}

static int check_entry(const struct qlist *l, uint32_t id, uint32_t *groups,
                       const char *name, struct err *e)
{
    const unsigned char *p = l->at[QLIST_ENTRIES] + (size_t)id * ENTRY_SIZE;
    uint32_t group = get32(p + ENTRY_GROUP), synset = get32(p + ENTRY_SYNSET);
    bool empty = get32(p + ENTRY_FLAGS) & QUERY_NO_WORDS;

    if (!within(l, get32(p + ENTRY_TEXT_AT), get16(p + ENTRY_TEXT_N)) ||
        !within(l, get32(p + ENTRY_NORM_AT), get16(p + ENTRY_NORM_N)))
        return damaged(name, "a string outside the file, query", id, e);
    if (empty ? group != QUERY_NONE : group > id)
        return damaged(name, "a group after its first entry, query", id, e);
    if (!empty && get32(l->at[QLIST_ENTRIES] + (size_t)group * ENTRY_SIZE +
                        ENTRY_GROUP) != group)
        return damaged(name, "a group that is no group, query", id, e);
    if (synset != QUERY_NONE && synset >= qlist_synsets(l))
        return damaged(name, "a synset that is not there, query", id, e);
    *groups += group == id;
    return 0;
}

static int check_synset(const struct qlist *l, uint32_t i, const char *name,
                        struct err *e)
{
    const unsigned char *p = l->at[QLIST_SYNSETS] + (size_t)i * SYNSET_SIZE;
    uint64_t parents =
        (uint64_t)get32(p + SYNSET_PARENTS) + get16(p + SYNSET_N_PARENTS);
    uint32_t query = get32(p + SYNSET_QUERY);

    if (!within(l, get32(p + SYNSET_ID_AT), get16(p + SYNSET_ID_N)) ||
        !within(l, get32(p + SYNSET_NAME_AT), get16(p + SYNSET_NAME_N)) ||
        !within(l, get32(p + SYNSET_GLOSS_AT), get16(p + SYNSET_GLOSS_N)))
        return damaged(name, "a string outside the file, synset", i, e);
    if (parents * PARENT_SIZE > l->bytes[QLIST_PARENTS])
        return damaged(name, "hypernyms outside the file, synset", i, e);
    if (query != QUERY_NONE && query >= qlist_count(l))
        return damaged(name, "a query that is not there, synset", i, e);
    return 0;
}

static int check_records(const struct qlist *l, const char *name, struct err *e)
{
    uint32_t groups = 0, i, n = qlist_synsets(l);
    int rc = 0;

    for (i = 0; !rc && i < qlist_count(l); i++)
        rc = check_entry(l, i, &groups, name, e);
    if (!rc && groups != qlist_groups(l))
        rc = damaged(name, "another number of groups than stated", groups, e);
    for (i = 0; !rc && i < n; i++)
        rc = check_synset(l, i, name, e);
    for (i = 0; !rc && i < l->bytes[QLIST_PARENTS] / PARENT_SIZE; i++)
        if (qlist_parent(l, i) >= n)
            rc = damaged(name, "a hypernym that is not there, edge", i, e);
    return rc;
}

/* Is the group of each slot, if any, one? */
static int check_groups(const struct qlist *l, const struct trie_table *t,
                        const char *name, struct err *e)
{
    for (uint64_t i = 0; i < t->n_slots; i++) {
        uint32_t group =
            trie_group(trie_get64(t->slot + i * TRIE_SLOT_SIZE + 8));

        if (group != TRIE_NO_GROUP &&
            (group >= qlist_count(l) || qlist_group(l, group) != group))
            return damaged(name, "a match of no group, slot", i, e);
    }
    return 0;
}

static int check_trie(struct qlist *l, const char *name, struct err *e)
{
    struct trie *t = &l->trie;
    uint64_t where;
    const char *why =
        trie_open(t, &l->at[QLIST_TRIE], &l->bytes[QLIST_TRIE], &where);
    int rc;

    if (why)
        return damaged(name, why, where, e);
    rc = check_groups(l, &t->words, name, e);
    return rc ? rc : check_groups(l, &t->steps, name, e);
}

static int check_sections(struct qlist *l, const char *name, struct err *e)
{
    static const unsigned record[QLIST_SECTIONS] = {
        ENTRY_SIZE, 1,         SYNSET_SIZE,    PARENT_SIZE, TRIE_SLOT_SIZE,
        2,          TRIE_UNIT, TRIE_SLOT_SIZE, 2,           1};

    int rc;

    for (int s = 0; s < QLIST_SECTIONS; s++) {
        const unsigned char *p = l->base + QLIST_TABLE + 16 * s;
        uint64_t at = get64(p), bytes = get64(p + 8);

        if (at > l->size || bytes > l->size - at || bytes % record[s] ||
            bytes / record[s] > UINT32_MAX)
            return damaged(name, "a section outside the file", (uint64_t)s, e);
        l->at[s] = l->base + at;
        l->bytes[s] = bytes;
    }
    if (l->bytes[QLIST_ENTRIES] / ENTRY_SIZE != qlist_count(l))
        return damaged(name, "another number of entries than stated",
                       qlist_count(l), e);
    if (l->head.policy > QUERY_POLICY_METACLIP)
        return damaged(name, "unknown policy", l->head.policy, e);
    rc = check_records(l, name, e);
    return rc ? rc : check_trie(l, name, e);
}

static int check(struct qlist *l, const char *name, struct err *e)
{
    struct str bytes = str_make((const char *)l->base, l->size);
    int rc;

    if (l->size < CORPUS_HEADER_SIZE)
        return err_set(e, E_FORMAT, "%s is no compiled query list", name);
    rc = corpus_header_read(bytes.p, name, &l->head, e);
    if (rc)
        return rc;
    if (l->head.file_size != l->size ||
        l->size < QLIST_TABLE + QLIST_TABLE_SIZE)
        return damaged(name, "cut short or grown, bytes", l->size, e);
    if (hash_xxh3(str_slice(bytes, CORPUS_HEADER_SIZE, l->size)) !=
        l->head.body_xxh3)
        return damaged(name, "its content does not fit its hash",
                       l->head.body_xxh3, e);
    return check_sections(l, name, e);
}

/* ---- opening ---- */

int qlist_open_memory(struct qlist *l, struct str bytes, const char *name,
                      struct err *e)
{
    int rc;

    *l =
        (struct qlist){.base = (const unsigned char *)bytes.p, .size = bytes.n};
    rc = check(l, name, e);
    if (rc)
        *l = (struct qlist){0};
    return rc;
}

int qlist_open(struct qlist *l, const char *path, struct err *e)
{
    struct stat st;
    void *map;
    int fd, rc;

    *l = (struct qlist){0};
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    if (fstat(fd, &st)) {
        rc = err_errno(e, E_IO, "stat", path);
        close(fd);
        return rc;
    }
    if (st.st_size < CORPUS_HEADER_SIZE) {
        close(fd);
        return err_set(e, E_FORMAT, "%s is no compiled query list", path);
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return err_errno(e, E_IO, "map", path);
    l->base = map;
    l->size = (size_t)st.st_size;
    l->mapped = true;
    rc = check(l, path, e);
    if (rc)
        qlist_close(l);
    return rc;
}

void qlist_close(struct qlist *l)
{
    if (l->mapped)
        munmap((void *)l->base, l->size);
    *l = (struct qlist){0};
}

/* ---- reading ---- */

static const unsigned char *entry_at(const struct qlist *l, uint32_t id)
{
    return l->at[QLIST_ENTRIES] + (size_t)id * ENTRY_SIZE;
}

static struct str string_at(const struct qlist *l, const unsigned char *at,
                            const unsigned char *n)
{
    return str_make((const char *)l->at[QLIST_STRINGS] + get32(at), get16(n));
}

struct str qlist_text(const struct qlist *l, uint32_t id)
{
    const unsigned char *p = entry_at(l, id);

    return string_at(l, p + ENTRY_TEXT_AT, p + ENTRY_TEXT_N);
}

struct str qlist_norm(const struct qlist *l, uint32_t id)
{
    const unsigned char *p = entry_at(l, id);

    return string_at(l, p + ENTRY_NORM_AT, p + ENTRY_NORM_N);
}

uint32_t qlist_group(const struct qlist *l, uint32_t id)
{
    return get32(entry_at(l, id) + ENTRY_GROUP);
}

uint32_t qlist_flags(const struct qlist *l, uint32_t id)
{
    return get32(entry_at(l, id) + ENTRY_FLAGS);
}

void qlist_entry(const struct qlist *l, uint32_t id, struct query_entry *e)
{
    const unsigned char *p = entry_at(l, id);
    uint64_t bits = get64(p + ENTRY_PMI);

    *e = (struct query_entry){
        .text = qlist_text(l, id),
        .norm = qlist_norm(l, id),
        .count = get64(p + ENTRY_COUNT),
        .views = get64(p + ENTRY_VIEWS),
        .sources = get32(p + ENTRY_SOURCES),
        .flags = get32(p + ENTRY_FLAGS),
        .group = get32(p + ENTRY_GROUP),
        .synset = get32(p + ENTRY_SYNSET),
    };
    memcpy(&e->pmi, &bits, sizeof bits);
}

uint32_t qlist_synsets(const struct qlist *l)
{
    return (uint32_t)(l->bytes[QLIST_SYNSETS] / SYNSET_SIZE);
}

void qlist_synset(const struct qlist *l, uint32_t i, struct qlist_synset *s)
{
    const unsigned char *p = l->at[QLIST_SYNSETS] + (size_t)i * SYNSET_SIZE;

    *s = (struct qlist_synset){
        .id = string_at(l, p + SYNSET_ID_AT, p + SYNSET_ID_N),
        .name = string_at(l, p + SYNSET_NAME_AT, p + SYNSET_NAME_N),
        .gloss = string_at(l, p + SYNSET_GLOSS_AT, p + SYNSET_GLOSS_N),
        .query = get32(p + SYNSET_QUERY),
        .first_parent = get32(p + SYNSET_PARENTS),
        .n_parents = get16(p + SYNSET_N_PARENTS),
    };
}

uint32_t qlist_parent(const struct qlist *l, uint32_t k)
{
    return get32(l->at[QLIST_PARENTS] + (size_t)k * PARENT_SIZE);
}
