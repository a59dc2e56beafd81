/*
 * json - a pull scanner and a writer, the hot path of every stage (RFC 8259).
 *
 * Model.   Scanner: json_open() on bytes that stay put, then walk values with
 *          json_* calls in document order; unknown members are skipped.  A
 *          failure sticks: every later call returns false or an empty value,
 *          so a record is read in one go and json_close() says whether it was
 *          sound.  Strings come back decoded; without escapes they point into
 *          the input, else into the arena given.
 *          Writer: appends compact JSON to a struct buf, UTF-8 unescaped; only
 *          `"`, `\` and U+0000-U+001F are escaped.  Commas are its business.
 * Fails.   -E_FORMAT with the byte offset; -E_TOOBIG past JSON_DEPTH_MAX or
 *          the arena's ceiling.  Invalid UTF-8 and lone surrogates are
 *          malformed; a number outside the asked type is -E_RANGE.
 * Threads. One per struct.
 * Cost.    One pass, no tree, no allocation for unescaped strings.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 64

enum json_type {
    JSON_NONE, /* end of input or an error */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL
};

struct json {
    struct str in;
    size_t at;           /* byte offset of the next token */
    int rc;              /* sticky */
    unsigned depth;      /* open objects and arrays */
    bool fresh;          /* just behind [ or { */
    struct arena *arena; /* for decoded strings; may be NULL: then a string
                            with escapes is -E_TOOBIG */
};

void json_open(struct json *j, struct str in, struct arena *arena);

/* 0 if all was sound and nothing but white space is left; else the error,
 * worded with its byte offset. */
int json_close(struct json *j, struct err *e);

/* Type of the next value, which is not consumed. */
enum json_type json_peek(struct json *j);

/* Objects: json_object(), then json_member() until false, reading or skipping
 * each value.  Arrays: json_array(), then json_element() until false. */
void json_object(struct json *j);
bool json_member(struct json *j, struct str *name);
void json_array(struct json *j);
bool json_element(struct json *j);

struct str json_string(struct json *j);
uint64_t json_u64(struct json *j);
double json_double(struct json *j);
bool json_bool(struct json *j);
void json_skip(struct json *j); /* any value, checked */

/* The next value's own bytes, checked and consumed. */
struct str json_raw(struct json *j);

/* ---- writer ---- */

/* Strings that are no UTF-8 (a file name can be) get U+FFFD for what is
 * ill-formed: what is written can always be read. */
struct json_out {
    struct buf *to;
    bool comma; /* the next value or name needs one */
};

void json_out_init(struct json_out *o, struct buf *to);
void json_out_object(struct json_out *o);
void json_out_end_object(struct json_out *o);
void json_out_array(struct json_out *o);
void json_out_end_array(struct json_out *o);
void json_out_name(struct json_out *o, const char *name);
void json_out_name_str(struct json_out *o, struct str name);
void json_out_string(struct json_out *o, struct str s);
void json_out_u64(struct json_out *o, uint64_t v);
/* Shortest form that reads back the same; NaN and infinities become null. */
void json_out_double(struct json_out *o, double v);
void json_out_bool(struct json_out *o, bool v);
void json_out_null(struct json_out *o);
void json_out_raw(struct json_out *o, struct str json);

/* Name and value in one call. */
void json_put_string(struct json_out *o, const char *name, struct str s);
void json_put_u64(struct json_out *o, const char *name, uint64_t v);
void json_put_double(struct json_out *o, const char *name, double v);
void json_put_bool(struct json_out *o, const char *name, bool v);

#endif
