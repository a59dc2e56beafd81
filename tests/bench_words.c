/*
 * What cutting texts into words costs, on one thread.
 *
 * usage: bench_words TEXTS [ROUNDS]
 *
 * TEXTS has a text a line.  Under each policy, and with their case kept, those
 * that are ASCII and the others are cut in slices of SLICE texts, of each of
 * which the best of ROUNDS (9) counts, by the thread's CPU time.  Printed are
 * name=value lines: nanoseconds a text of each kind and of all, with a number
 * that two programs that cut alike print alike.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "querylist/words.h"

#define SLICE 512

enum how { METACLIP, WORDS, KEPT, HOWS };

struct texts {
    struct str *of;
    size_t n, cap;
};

static double cpu_now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int split(struct words *w, enum how how, struct str text)
{
    if (how == KEPT)
        return words_split_kept(w, text);
    return words_split(
        w, how == WORDS ? QUERY_POLICY_WORDS : QUERY_POLICY_METACLIP, text);
}

/* Round by round, so that the processor does not learn a slice by heart. */
static double time_texts(struct words *w, enum how how, const struct texts *t,
                         int rounds)
{
    size_t n = (t->n + SLICE - 1) / SLICE;
    double *best = xcalloc(n + 1, sizeof *best), sum = 0;

    for (int k = 0; k < rounds; k++)
        for (size_t i = 0; i < n; i++) {
            size_t to = (i + 1) * SLICE < t->n ? (i + 1) * SLICE : t->n;
            double cpu_s = cpu_now_s();

            for (size_t at = i * SLICE; at < to; at++)
                (void)split(w, how, t->of[at]);
            cpu_s = cpu_now_s() - cpu_s;
            best[i] = k && best[i] < cpu_s ? best[i] : cpu_s;
        }
    for (size_t i = 0; i < n; i++)
        sum += best[i];
    free(best);
    return sum;
}

/* Of all words, their places and what ends their phrases. */
static uint64_t check(struct words *w, enum how how, const struct texts *t)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < t->n; i++) {
        if (split(w, how, t->of[i]))
            continue;
        sum = hash_xxh3_seeded(buf_str(&w->text), sum);
        sum = hash_xxh3_seeded(
            str_make((char *)w->span, w->n * sizeof *w->span), sum);
        sum = hash_xxh3_seeded(str_make((char *)w->stop, w->n), sum) +
              w->stop_behind;
    }
    return sum;
}

static void add(struct texts *t, struct str text)
{
    t->of = xgrow(t->of, &t->cap, t->n + 1, sizeof *t->of);
    t->of[t->n++] = text;
}

static void time_all(const struct texts *ascii, const struct texts *other,
                     int rounds)
{
    static const char *const names[] = {"metaclip", "words", "kept"};
    struct words w;

    words_init(&w);
    for (int how = 0; how < HOWS; how++) {
        double a, o;
        uint64_t sum = check(&w, (enum how)how, ascii);

        sum = sum * 3 + check(&w, (enum how)how, other);
        a = time_texts(&w, (enum how)how, ascii, rounds);
        o = time_texts(&w, (enum how)how, other, rounds);
        printf("%s_ascii_ns=%.1f\n%s_other_ns=%.1f\n%s_ns=%.1f\n%s_sum=%llx\n",
               names[how], a * 1e9 / (double)(ascii->n ? ascii->n : 1),
               names[how], o * 1e9 / (double)(other->n ? other->n : 1),
               names[how], (a + o) * 1e9 / (double)(ascii->n + other->n),
               names[how], (unsigned long long)sum);
    }
    words_release(&w);
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 9;
    struct texts ascii = {0}, other = {0};
    struct err e = ERR_INIT;
    struct str rest, line;
    struct buf file;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_words TEXTS [ROUNDS]\n");
        return 2;
    }
    buf_init(&file, (size_t)4 << 30);
    if (io_read_file(argv[1], &file, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 3;
    }
    for (rest = buf_str(&file); str_split(&rest, '\n', &line);)
        if (rest.p || line.n)
            add(utf8_ascii_span(line) == line.n ? &ascii : &other, line);
    if (ascii.n + other.n)
        time_all(&ascii, &other, rounds);
    buf_release(&file);
    free(ascii.of);
    free(other.of);
    return 0;
}
