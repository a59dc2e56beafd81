#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"

#define LOG_LINE_MAX 8192 /* bytes; a longer message is cut */

static bool silenced;

void log_quiet(bool quiet)
{
    silenced = quiet;
}

static void write_line(const char *p, size_t n)
{
    /* One write for one line: lines of threads do not mix. */
    ssize_t did = silenced ? 0 : write(STDERR_FILENO, p, n);

    (void)did; /* nowhere left to complain */
}

void log_json(struct str object)
{
    struct buf line;

    buf_init(&line, 4 * LOG_LINE_MAX);
    buf_add(&line, object);
    buf_add_char(&line, '\n');
    write_line(line.p, line.n);
    buf_release(&line);
}

void log_event(const char *event, const char *format, ...)
{
    char message[LOG_LINE_MAX];
    struct buf line;
    struct json_out o;
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    buf_init(&line, 8 * LOG_LINE_MAX);
    if (isatty(STDERR_FILENO)) {
        buf_addf(&line, "witmill: %s: %s", event, message);
    } else {
        json_out_init(&o, &line);
        json_out_object(&o);
        json_put_string(&o, "event", str_of(event));
        json_put_string(&o, "message", str_of(message));
        json_out_end_object(&o);
    }
    buf_add_char(&line, '\n');
    write_line(line.p, line.n);
    buf_release(&line);
}
