#include "crawler/crawl_store.h"
#include "base/clock.h"
#include <stdio.h>

#define KINDS        (CRAWLDB_DROPS + 1)
#define SAVE_CHANGES 200000 /* rows that may wait for the next save */

static const struct corpus *corpus_of(const struct crawl_store *s)
{
    return s->config.stage->corpus;
}

/* File numbers of this part: first, first + stride... */
static uint32_t stride(const struct crawl_store *s)
{
    return s->config.part.n ? s->config.part.n : 1;
}

static void part_name(uint32_t number, char out[STAGE_NAME_MAX])
{
    snprintf(out, STAGE_NAME_MAX, CRAWL_FOLDER "/part-%05u", number);
}

static int part_path(const struct crawl_store *s, uint32_t number, char *out,
                     struct err *e)
{
    char name[STAGE_NAME_MAX + 16];

    snprintf(name, sizeof name, CRAWL_FOLDER "/part-%05u.jsonl.zst", number);
    return corpus_path(corpus_of(s), name, out, e);
}

/* "crawl.db", "crawl-1-of-3.lock"... in the corpus. */
static int own_path(const struct crawl_store *s, const char *suffix,
                    char out[IO_PATH_MAX], struct err *e)
{
    struct part p = s->config.part;
    char name[64];

    if (p.n)
        snprintf(name, sizeof name, "crawl-%u-of-%u%s", p.i, p.n, suffix);
    else
        snprintf(name, sizeof name, "crawl%s", suffix);
    return corpus_path(corpus_of(s), name, out, e);
}

/* Is "part-NNNNN..." one of ours? */
static bool is_ours(const struct crawl_store *s, struct str name)
{
    uint64_t number;

    return str_starts(name, STR("part-")) &&
           !str_u64(str_slice(name, 5, str_find_char(name, '.', 0)), &number) &&
           part_has(s->config.part, number);
}

/* ---- starting anew ---- */

/* Our files in pairs/crawl that end in suffix. */
static int remove_parts(struct crawl_store *s, struct str suffix, struct err *e)
{
    struct err inner = ERR_INIT;
    struct io_list names = {0};
    char folder[IO_PATH_MAX], path[IO_PATH_MAX];
    int rc = corpus_path(corpus_of(s), CRAWL_FOLDER, folder, e);

    if (rc)
        return rc;
    if (io_list(folder, &names, &inner) == -E_NOTFOUND)
        return 0;
    for (size_t i = 0; !rc && i < names.n; i++) {
        struct str name = str_of(names.names[i]);

        if (!is_ours(s, name) || !str_ends(name, suffix))
            continue;
        rc = io_join(path, folder, names.names[i], e);
        if (!rc)
            rc = io_remove(path, e);
    }
    io_list_release(&names);
    return rc ? rc : io_sync_folder(folder, e);
}

/* Everything of an earlier crawl: sidecars, then parts, then crawl.db, so that
 * a kill in between leaves a crawl that is still refused as stale. */
static int remove_all(struct crawl_store *s, struct err *e)
{
    static const char *const files[] = {".db", ".db-wal", ".db-shm"};
    char path[IO_PATH_MAX];
    int rc = remove_parts(s, STR(".meta.json"), e);

    if (!rc)
        rc = remove_parts(s, STR(""), e);
    if (!rc)
        rc = crawl_out_remove(corpus_of(s), s->config.part, e);
    for (size_t i = 0; !rc && i < sizeof files / sizeof *files; i++) {
        rc = own_path(s, files[i], path, e);
        if (!rc)
            rc = io_remove(path, e);
    }
    return rc ? rc : io_sync_folder(corpus_of(s)->dir, e);
}

/* The fingerprint that this run's outputs will have.  -E_STALE when a closed
 * part has another one; with redo its sidecar is gone then. */
static int fingerprint(struct crawl_store *s, char out[SHA256_HEX],
                       struct err *e)
{
    struct stage_output o;
    char name[STAGE_NAME_MAX];
    bool done;
    int rc;

    part_name(s->config.part.i, name);
    rc = stage_begin(s->config.stage, &o, name, s->config.inputs, &done, e);
    memcpy(out, o.fingerprint, SHA256_HEX);
    stage_output_release(&o);
    return rc == -E_STALE
               ? err_wrap(e, rc, "this crawl began with other seeds or scope")
               : rc;
}

static int open_db(struct crawl_store *s, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = own_path(s, ".db", path, e);

    return rc ? rc : crawldb_open(&s->db, path, e);
}

/* Parts that say they are finished, and nothing that knows of them. */
static int orphans(struct crawl_store *s, bool *any, struct err *e)
{
    struct io_list names = {0};
    int rc = sidecar_list(corpus_of(s), CRAWL_FOLDER, &names, e);

    *any = false;
    for (size_t i = 0; !rc && i < names.n; i++)
        *any = *any || is_ours(s, str_of(names.names[i]));
    io_list_release(&names);
    return rc;
}

/* The crawl of crawl.db must be this one; a new one takes its name. */
static int claim(struct crawl_store *s, const char *mine, struct err *e)
{
    const char *dir = corpus_of(s)->dir;
    struct buf theirs;
    bool found, wrong = false;
    int rc;

    buf_init(&theirs, SHA256_HEX);
    rc = crawldb_get_meta(s->db, "fingerprint", &theirs, &found, e);
    if (!rc && found)
        wrong = !str_eq(buf_str(&theirs), str_of(mine));
    else if (!rc)
        rc = orphans(s, &wrong, e);
    if (rc || !wrong) {
        if (!rc && !found)
            rc = crawldb_put_meta(s->db, "fingerprint", str_of(mine), e);
    } else if (s->config.stage->redo) {
        crawldb_close(s->db);
        s->db = NULL;
        rc = remove_all(s, e);
        if (!rc)
            rc = open_db(s, e);
        if (!rc)
            rc = crawldb_put_meta(s->db, "fingerprint", str_of(mine), e);
    } else if (found) {
        rc = err_set(e, E_STALE,
                     "the crawl of %s was begun with other seeds or scope "
                     "(fingerprint %.16s... there, %.16s... now); --redo "
                     "removes that crawl and begins anew",
                     dir, theirs.p, mine);
    } else {
        rc = err_set(e, E_DAMAGED,
                     "%s/" CRAWL_FOLDER " has finished parts, but crawl.db, "
                     "which knows what they hold, is gone (or --part was "
                     "another one); --redo removes them and begins anew",
                     dir);
    }
    buf_release(&theirs);
    return rc;
}

/* ---- parts ---- */

/* The sidecar of a closed part, unless it is there. */
static int publish(struct crawl_store *s, uint32_t number, struct err *e)
{
    struct stage_output o;
    char name[STAGE_NAME_MAX], file[STAGE_NAME_MAX + 16], path[IO_PATH_MAX];
    char sha256[SHA256_HEX];
    bool done;
    int rc;

    part_name(number, name);
    snprintf(file, sizeof file, "%s.jsonl.zst", name);
    rc = stage_begin(s->config.stage, &o, name, s->config.inputs, &done, e);
    if (rc || done)
        goto out;
    rc = part_path(s, number, path, e);
    if (!rc)
        rc = jsonl_sha256(path, sha256, e);
    if (!rc)
        rc = crawldb_get_counts(s->db, number, CRAWLDB_COUNTS, &o.counts, e);
    for (int i = CRAWLDB_REFUSED; !rc && i <= CRAWLDB_DROPS; i++)
        rc = crawldb_get_counts(s->db, number, (enum crawldb_count)i, &o.drops,
                                e);
    if (!rc) {
        stage_file(&o, file, sha256);
        rc = stage_commit(&o, e);
    }
out:
    stage_output_release(&o);
    return rc;
}

static int open_part(struct crawl_store *s, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = part_path(s, s->row.number, path, e);

    if (!rc)
        rc = jsonl_append_open(&s->part, path, s->row.bytes, e);
    s->part_open = !rc;
    return rc;
}

/* Cut the open part to its durable length, give closed ones what they lack,
 * and find the number of the next. */
static int recover_parts(struct crawl_store *s, struct err *e)
{
    struct crawldb_part p;
    uint32_t next = s->config.part.i;
    bool found;
    int rc;

    while ((rc = crawldb_next_part(s->db, next, &p, &found, e)) == 0 && found) {
        if (s->part_open)
            return err_set(e, E_DAMAGED, "%s/crawl.db: two open parts",
                           corpus_of(s)->dir);
        next = p.number + stride(s);
        s->row = p;
        rc = p.closed ? publish(s, p.number, e) : open_part(s, e);
        if (rc)
            return rc;
    }
    if (!s->part_open)
        s->row = (struct crawldb_part){.number = next};
    return rc;
}

static int close_part(struct crawl_store *s, struct err *e)
{
    int rc;

    s->row.closed = true;
    rc = crawldb_put_part(s->db, &s->row, e);
    if (!rc)
        rc = crawldb_commit(s->db, e);
    if (rc)
        return rc;
    jsonl_append_close(&s->part);
    s->part_open = false;
    rc = publish(s, s->row.number, e);
    s->row = (struct crawldb_part){.number = s->row.number + stride(s)};
    return rc;
}

/* ---- public ---- */

int crawl_store_open(struct crawl_store *s, const struct crawl_store_config *c,
                     struct err *e)
{
    char path[IO_PATH_MAX], mine[SHA256_HEX];
    int rc;

    *s = (struct crawl_store){
        .config = *c, .lock = -1, .saved_ms = clock_mono_ms()};
    buf_init(&s->pairs, BUF_NO_LIMIT);
    for (int i = 0; i < KINDS; i++)
        tally_init(&s->tallies[i]);
    rc = own_path(s, ".lock", path, e);
    if (!rc)
        rc = io_lock(path, "another crawl of this corpus", &s->lock, e);
    if (!rc)
        rc = fingerprint(s, mine, e);
    if (!rc)
        rc = open_db(s, e);
    if (!rc)
        rc = claim(s, mine, e);
    if (!rc)
        rc = recover_parts(s, e);
    if (!rc)
        rc = crawl_out_open(&s->out, corpus_of(s), c->part, s->db, e);
    if (rc)
        crawl_store_close(s);
    return rc;
}

void crawl_store_close(struct crawl_store *s)
{
    crawldb_close(s->db);
    s->db = NULL;
    if (s->part_open)
        jsonl_append_close(&s->part);
    s->part_open = false;
    crawl_out_close(&s->out);
    buf_release(&s->pairs);
    for (int i = 0; i < KINDS; i++)
        tally_release(&s->tallies[i]);
    if (s->lock >= 0)
        io_unlock(s->lock);
    s->lock = -1;
}

bool crawl_store_due(const struct crawl_store *s)
{
    return s->pairs.n + crawl_out_waiting(&s->out) >= JSONL_FRAME ||
           s->changes >= SAVE_CHANGES ||
           (s->changes && clock_mono_ms() - s->saved_ms >= s->config.save_ms);
}

/* Pairs and counts go to the open part, which is made if there is none. */
static int save_part(struct crawl_store *s, struct err *e)
{
    int rc = s->pairs.rc;

    if (!rc && !s->part_open)
        rc = open_part(s, e);
    if (!rc && s->pairs.n)
        rc = jsonl_append(&s->part, buf_str(&s->pairs), e);
    if (rc)
        return rc;
    s->row.bytes = s->part.bytes;
    rc = crawldb_put_part(s->db, &s->row, e);
    for (int i = 0; !rc && i < KINDS; i++)
        rc = crawldb_add_counts(s->db, s->row.number, (enum crawldb_count)i,
                                &s->tallies[i], e);
    return rc;
}

int crawl_store_save(struct crawl_store *s, struct err *e)
{
    bool any = s->pairs.n > 0;
    int rc = crawl_out_save(&s->out, s->db, e);

    for (int i = 0; i < KINDS; i++)
        any = any || s->tallies[i].n;
    if (!rc && any)
        rc = save_part(s, e);
    if (!rc)
        rc = crawldb_commit(s->db, e);
    if (rc)
        return rc;
    buf_clear(&s->pairs);
    for (int i = 0; i < KINDS; i++)
        tally_clear(&s->tallies[i]);
    s->changes = 0;
    s->saved_ms = clock_mono_ms();
    return s->part_open && s->part.bytes >= s->config.part_bytes
               ? close_part(s, e)
               : 0;
}

int crawl_store_finish(struct crawl_store *s, struct err *e)
{
    bool none = !s->part_open && s->row.number == s->config.part.i;
    int rc = crawl_store_save(s, e);

    if (!rc && none && !s->part_open && s->row.number == s->config.part.i)
        rc = save_part(s, e); /* an empty one says that this is done */
    if (!rc && s->part_open)
        rc = close_part(s, e);
    return rc ? rc : crawldb_commit(s->db, e);
}
