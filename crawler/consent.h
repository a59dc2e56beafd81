/*
 * consent - what a page, a response or a robots.txt says about being taken.
 *
 * Model.   Signals come from several places; each adds what it says, and the
 *          strictest wins: once something refuses, nothing takes it back.  The
 *          name of what refuses goes into the ledger.  Honoured here:
 *          X-Robots-Tag and the robots meta element (noai, noimageai, noindex,
 *          noimageindex, none, noml), and Content-Signal (ai-train=no).
 *
 *          X-Robots-Tag is a comma-separated list in which "agent:" turns the
 *          directives that follow into ones for that agent alone.  A colon
 *          also stands in valued directives (unavailable_after: DATE, whose
 *          date has colons and commas of its own); so an agent is a word that
 *          begins with a letter, holds no space and is no directive.
 * Owns.    Nothing; plain data.
 * Fails.   Never: what cannot be understood says nothing.
 * Threads. Pure functions.
 * Cost.    One pass.
 */
#ifndef CRAWLER_CONSENT_H
#define CRAWLER_CONSENT_H

#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

/* The first of the list that was seen names the refusal. */
#define CONSENT_MAP(X)                                                         \
    X(CONSENT_NOAI, "noai")                                                    \
    X(CONSENT_NOIMAGEAI, "noimageai")                                          \
    X(CONSENT_NOML, "noml")                                                    \
    X(CONSENT_NONE, "none")                                                    \
    X(CONSENT_NOINDEX, "noindex")                                              \
    X(CONSENT_NOIMAGEINDEX, "noimageindex")                                    \
    X(CONSENT_AI_TRAIN, "content-signal")

enum consent_signal {
    CONSENT_ALLOWED,
#define X(code, name) code,
    CONSENT_MAP(X)
#undef X
        CONSENT_SIGNALS
};

struct consent {
    uint32_t seen;  /* bit s: signal s refuses */
    bool nofollow;  /* links of this page are not to be followed */
    uint32_t other; /* reserved for Content-Usage, TDMRep, IPTC and C2PA; 0 */
};

void consent_init(struct consent *c);

/* The value of one X-Robots-Tag line.  token: our name in "agent:", case
 * ignored. */
void consent_header(struct consent *c, struct str value, struct str token);

/* <meta name content>; other names than robots and token say nothing. */
void consent_meta(struct consent *c, struct str name, struct str content,
                  struct str token);

/* "search=yes, ai-train=no": the signals of one Content-Signal line, without
 * its path.  1: ai-train=yes; -1: ai-train=no; 0: neither.  no beats yes. */
int consent_ai_train(struct str signals);

void consent_add(struct consent *c, enum consent_signal s);

/* CONSENT_ALLOWED, or what refuses. */
enum consent_signal consent_verdict(const struct consent *c);

/* "allowed", or the signal's name. */
const char *consent_name(enum consent_signal s);

#endif
