/*
 * download_group - one group of hosts in one pass: from a list of URLs to
 * images/GGG-RR.tar, its ledger and its sidecar.
 *
 * Model.   check -> open -> (take, answer)* -> finish -> release.
 *            check   what is on disk: nothing, done, or done before selected/
 *                    was made anew with other URLs
 *            open    the list, less what any ledger has closed and what the
 *                    journal holds already, as one chain of URLs per host
 *            take    a host's next URL
 *            answer  what became of one: into the journal
 *            finish  journal -> tar and ledger in (H(url), url) order ->
 *                    sidecar -> the journal goes
 *          A group that is done and whose list has new URLs (selected/ was
 *          made anew under the same pass) is opened again: its tar and ledger
 *          become a journal, and what they hold is not asked a second time.
 * Owns.    Its lists, its journal, its output.
 * Fails.   -E_STALE for other image options, -E_DAMAGED, -E_IO, -E_NOMEM;
 *          finish -E_CANCEL when *stop was set, which loses nothing.
 * Threads. One at a time; finish may run in another thread than the rest.
 * Cost.    28 bytes a URL and some 100 a host; GROUP_URL_BYTES is what a
 *          caller should reckon before it knows the hosts.
 */
#ifndef CRAWLER_DOWNLOAD_GROUP_H
#define CRAWLER_DOWNLOAD_GROUP_H

#include "base/arena.h"
#include "base/stage.h"
#include "crawler/download_journal.h"
#include "crawler/download_tar.h"
#include "crawler/download_todo.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GROUP_URL_BYTES 64         /* memory per URL, hosts included, about */
#define GROUP_NONE      UINT32_MAX /* no URL */

struct group_host {
    struct str name;     /* without port */
    uint32_t head, tail; /* chain of URLs not taken yet, or GROUP_NONE */
    /* The caller's: a queue of hosts that wait for room in the fetcher. */
    bool waiting;
    uint32_t group;
    struct group_host *after;
};

struct download_group {
    const struct download_pass *pass;
    uint32_t id;
    uint32_t pass_number; /* RR; another than pass->pass when it is a
                             journal that an abandoned pass left */
    char base[16];        /* "GGG-RR" */
    struct stage_output output;
    bool begun; /* output is to be released */
    bool done;  /* has a sidecar */
    struct download_journal journal;
    int list;        /* descriptor of GGG-RR.todo, or -1 */
    uint64_t *at;    /* per URL: its line in the list */
    uint32_t *next;  /* per URL: the next one of its host */
    uint32_t n, cap; /* URLs to ask */
    struct group_host *hosts;
    uint32_t n_hosts, cap_hosts;
    uint32_t *slots;  /* hash of host name -> index + 1 */
    uint32_t n_slots; /* a power of two */
    struct arena names;
    uint64_t open;    /* URLs not answered yet */
    uint64_t closed;  /* left out: closed by a ledger */
    uint64_t resumed; /* left out: in the journal already */
};

/* Nothing held: group_release() is harmless. */
void group_init(struct download_group *g);

/* What is on disk of group id in the pass; *settled: done from this very
 * selection.  Leftovers of a run that was killed are removed. */
int group_check(struct download_group *g, struct stage *stage,
                const struct download_pass *pass, uint32_t id,
                uint32_t pass_number, bool *settled, struct err *e);

/* urls: lines in its list; 0 when there is no list. */
int group_open(struct download_group *g, uint64_t urls, struct err *e);

/* The host of that name, or NULL. */
struct group_host *group_host(struct download_group *g, struct str name);

/* The next URL of a host whose head is not GROUP_NONE, into out. */
int group_take(struct download_group *g, struct group_host *h, struct buf *out,
               struct err *e);

/* One URL's outcome, for good. */
int group_answer(struct download_group *g, const struct ledger *l,
                 struct str jpeg, struct err *e);

/* Nothing was asked or found: no output is made. */
bool group_empty(const struct download_group *g);

/* Free what only asking needs, before a finish that may wait. */
void group_forget_list(struct download_group *g);

int group_finish(struct download_group *g, const struct download_tar *tar,
                 const atomic_bool *stop, struct err *e);

void group_release(struct download_group *g);

/* Bytes of memory it holds now. */
size_t group_memory(const struct download_group *g);

#endif
