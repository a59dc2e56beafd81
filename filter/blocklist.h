/*
 * blocklist - what a pair may not have: terms, hosts, URLs from files.
 *
 * Model.   A file is text, as it is or packed (gzip, bzip2, zstd): an entry a
 *          line; empty lines and those that begin with # do not count, nor does
 *          a byte order mark.
 *            terms   a word or phrase, found in a text by its words under the
 *                    default policy, one after another: whole words, whatever
 *                    the case, as a query is (querylist/trie.h)
 *            hosts   a host name or address, in any case and script (behind it
 *                    a # begins a remark); it stands for all names below it too
 *            urls    an http or https URL.  One whose path ends in / and that
 *                    has no query stands for all below it, any other for
 *                    itself.  Compared in canonical form, http and https as
 *                    equals: the same picture hangs at both.
 *          A prefix that could end anywhere (http://a.test/im) would cost a
 *          look-up for each byte of a URL; these cost one for each slash.
 * Owns.    Its copies of the entries.
 * Fails.   -E_FORMAT with FILE:LINE for a line that is no entry: dropping it
 *          in silence would let through what somebody wanted out.  -E_TOOBIG
 *          past the ceilings below; -E_NOTFOUND, -E_IO.
 * Threads. Constant once open.
 * Cost.    8 bytes a slot and 16 an entry beside its bytes; a look-up is one
 *          hash and usually one cache line.
 */
#ifndef FILTER_BLOCKLIST_H
#define FILTER_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "base/stream.h"
#include "querylist/strset.h"
#include "querylist/trie_make.h"
#include "querylist/words.h"

#define BLOCKLIST_LINE_MAX    ((size_t)8 << 10) /* bytes */
#define BLOCKLIST_ENTRIES_MAX ((size_t)64 << 20)
#define BLOCKLIST_BYTES_MAX   ((size_t)4 << 30) /* of memory, all told */

enum blocklist_kind { BLOCKLIST_TERMS, BLOCKLIST_HOSTS, BLOCKLIST_URLS };

struct blocklist {
    enum blocklist_kind kind;
    struct strset set;
    struct trie_maker maker;
    struct trie terms; /* made by it of the set's strings */
    bool folders;      /* some URL stands for what is below it */
};

int blocklist_open(struct blocklist *b, enum blocklist_kind kind,
                   const char *path, struct err *e);

/* The same from a stream that is open; name is for messages. */
int blocklist_read(struct blocklist *b, enum blocklist_kind kind,
                   struct stream *in, const char *name, struct err *e);
void blocklist_close(struct blocklist *b); /* also when zeroed */

/* url: canonical.  Of the lists of hosts and of URLs. */
bool blocklist_has_host(const struct blocklist *b, struct str url);
bool blocklist_has_url(const struct blocklist *b, struct str url);

/* Of the list of terms; w by the default policy. */
bool blocklist_has_term(const struct blocklist *b, const struct words *w);

#endif
