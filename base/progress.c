#include "base/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#define SPEAK_TERMINAL_MS 200
#define SPEAK_LOG_MS      10000

static void clock_text(double seconds, char out[32])
{
    uint64_t s = (uint64_t)(seconds + 0.5);

    if (s >= 3600)
        snprintf(out, 32, "%lluh%02llum", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    else
        snprintf(out, 32, "%llum%02llus", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
}

/* end: the event that ends it, NULL on the way. */
static void speak(struct progress *p, uint64_t done, uint64_t now_ms,
                  const char *end)
{
    double seconds = (double)(now_ms - p->began_ms) / 1000;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double left =
        p->total > done && rate > 0 ? (double)(p->total - done) / rate : 0;
    char spent[32], eta[32], line[384];
    struct buf b;
    struct json_out o;
    ssize_t did;
    int n;

    if (p->terminal) {
        clock_text(seconds, spent);
        clock_text(left, eta);
        if (p->total && !end)
            n = snprintf(line, sizeof line,
                         "\r%s: %llu/%llu %s, %.0f/s, %s left%s%s\033[K",
                         p->label, (unsigned long long)done,
                         (unsigned long long)p->total, p->unit, rate, eta,
                         p->note[0] ? ", " : "", p->note);
        else
            n = snprintf(line, sizeof line,
                         "\r%s: %llu %s, %.0f/s, %s%s%s\033[K%s", p->label,
                         (unsigned long long)done, p->unit, rate, spent,
                         p->note[0] ? ", " : "", p->note, end ? "\n" : "");
        did = n > 0 ? write(STDERR_FILENO, line, (size_t)n) : 0;
        (void)did;
        return;
    }
    buf_init(&b, 4096);
    json_out_init(&o, &b);
    json_out_object(&o);
    json_put_string(&o, "event", end ? str_of(end) : STR("progress"));
    json_put_string(&o, "stage", str_of(p->label));
    json_put_u64(&o, "done", done);
    if (p->total)
        json_put_u64(&o, "total", p->total);
    json_put_string(&o, "unit", str_of(p->unit));
    json_put_double(&o, "seconds", seconds);
    json_put_double(&o, "per_second", (double)(uint64_t)(rate * 10) / 10);
    if (p->total && !end)
        json_put_double(&o, "seconds_left", (double)(uint64_t)left);
    if (p->note[0])
        json_put_string(&o, "note", str_of(p->note));
    json_out_end_object(&o);
    log_json(buf_str(&b));
    buf_release(&b);
}

void progress_begin(struct progress *p, const char *label, const char *unit,
                    uint64_t total)
{
    p->label = label;
    p->unit = unit;
    p->total = total;
    p->note[0] = '\0';
    p->terminal = isatty(STDERR_FILENO);
    p->began_ms = clock_mono_ms();
    atomic_store(&p->done, 0);
    atomic_store(&p->next_ms, p->began_ms + (p->terminal ? SPEAK_TERMINAL_MS
                                                         : SPEAK_LOG_MS));
}

void progress_add(struct progress *p, uint64_t units)
{
    uint64_t done = atomic_fetch_add(&p->done, units) + units;
    uint64_t now = clock_mono_ms();
    uint64_t due = atomic_load(&p->next_ms);

    /* Whoever moves the due time speaks; the others go on. */
    if (now >= due &&
        atomic_compare_exchange_strong(
            &p->next_ms, &due,
            now + (p->terminal ? SPEAK_TERMINAL_MS : SPEAK_LOG_MS)))
        speak(p, done, now, NULL);
}

void progress_note(struct progress *p, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(p->note, sizeof p->note, format, ap);
    va_end(ap);
}

void progress_end(struct progress *p, int rc)
{
    uint64_t done = atomic_load(&p->done);

    if (!rc || done)
        speak(p, done, clock_mono_ms(), rc ? "stopped" : "done");
}
