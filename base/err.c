#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_name(int code)
{
    switch (code < 0 ? -code : code) {
    case 0:
        return "success";
#define X(name, value, text)                                                   \
    case name:                                                                 \
        return text;
        ERR_MAP(X)
#undef X
    }
    return "unknown error";
}

int err_set(struct err *e, int code, const char *format, ...)
{
    va_list ap;

    assert(code > 0);
    if (!e || e->code)
        return -code;
    e->code = -code;
    va_start(ap, format);
    vsnprintf(e->message, sizeof e->message, format, ap);
    va_end(ap);
    return -code;
}

int err_errno(struct err *e, int code, const char *verb, const char *path)
{
    int saved = errno;
    char text[128];

    /* The GNU strerror_r: the returned pointer may not be the buffer. */
    const char *why = strerror_r(saved, text, sizeof text);

    err_set(e, code, "%s %s: %s%s", verb, path, why,
            saved == ENOSPC || saved == EDQUOT
                ? "; free some space and run the same command again"
                : "");
    errno = saved;
    return -code;
}

int err_wrap(struct err *e, int code, const char *format, ...)
{
    char old[ERR_MESSAGE_MAX];
    va_list ap;
    int n;

    assert(code < 0);
    if (!e)
        return code;
    memcpy(old, e->message, sizeof old);
    if (!e->code)
        e->code = code;
    va_start(ap, format);
    n = vsnprintf(e->message, sizeof e->message, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof e->message)
        return code;
    n = snprintf(e->message + n, sizeof e->message - (size_t)n, ": %s",
                 old[0] ? old : err_name(code));
    (void)n; /* a message too long for its field is cut */
    return code;
}
