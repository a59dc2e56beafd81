/*
 * punycode - RFC 3492, encoding only: what a label of a host name becomes
 * behind its "xn--".
 *
 * Model.   No folding and no checks of IDNA: the caller has folded the label
 *          (base/url does), and a resolver refuses what is no name.
 * Fails.   -E_FORMAT for invalid UTF-8; -E_TOOBIG past PUNYCODE_MAX code
 *          points or past 32 bits of delta, which RFC 3492 6.4 calls overflow.
 * Threads. Pure.
 * Cost.    Code points times distinct non-ASCII ones.
 */
#ifndef BASE_PUNYCODE_H
#define BASE_PUNYCODE_H

#include "base/buf.h"
#include "base/str.h"

#define PUNYCODE_MAX 2048 /* code points of a label; more make no URL */

/* Append the encoded form of label, without "xn--". */
int punycode_encode(struct str label, struct buf *out);

#endif
