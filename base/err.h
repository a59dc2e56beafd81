/*
 * err - one list of error codes, and a message for the person who will read it.
 *
 * Model.   A function that can fail returns int: 0, or -E_*, a code below with
 *          its sign turned.  Its last parameter is often `struct err *e`, which may
 *          be NULL; whoever knows the path, URL or line fills it, once.  The
 *          first message wins: callers add context with err_wrap(), they do
 *          not replace it.
 * Owns.    struct err holds its message inline; nothing to release.
 * Threads. A struct err belongs to one thread at a time.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_MESSAGE_MAX 1024 /* bytes, terminator included; longer is cut */

/* name, value, what scripts and people call it */
#define ERR_MAP(X)                                                             \
    X(E_IO, 1, "input/output error")                                         \
    X(E_NOMEM, 2, "out of memory")                                           \
    X(E_FORMAT, 3, "malformed input")                                        \
    X(E_RANGE, 4, "value out of range")                                      \
    X(E_TOOBIG, 5, "over a ceiling")                                         \
    X(E_USAGE, 6, "usage")                                                   \
    X(E_STALE, 7, "made with other options or inputs")                       \
    X(E_NOTFOUND, 8, "not found")                                            \
    X(E_BUSY, 9, "in use by another process")                                \
    X(E_DAMAGED, 10, "damaged")                                              \
    X(E_NET, 11, "network error")                                            \
    X(E_DB, 12, "database error")                                            \
    X(E_VERSION, 13, "written by another version")                           \
    X(E_CANCEL, 14, "stopped on request")                                    \
    X(E_NEGATIVE, 15, "negative answer")                                     \
    X(E_UNSUPPORTED, 16, "not supported by this build")

enum err_code {
#define X(name, value, text) name = value,
    ERR_MAP(X)
#undef X
};

struct err {
    int code;                      /* 0 or the -E_* of the message */
    char message[ERR_MESSAGE_MAX]; /* UTF-8, no newline at the end */
};

#define ERR_INIT {0, ""}

/* The fixed text of E_* or -E_*; "success" for 0, never NULL. */
const char *err_name(int code);

/* Set the message unless one is set already; code is E_*, the result -E_*,
 * so that `return err_set(e, E_FORMAT, ...)` reads well. */
int err_set(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* err_set with "VERB PATH: strerror(errno)"; errno is kept.  A full disk
 * says so, and that the run can be repeated once there is room. */
int err_errno(struct err *e, int code, const char *verb, const char *path);

/* Put "context: " before the message; code is the -E_* in hand and is what
 * comes back. */
int err_wrap(struct err *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
