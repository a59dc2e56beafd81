/*
 * Encodes texts that may hold anything, line feeds included, for scripts that
 * compare and measure.
 *
 *     tokenize_records VOCABULARY clip|open_clip [ROUNDS]
 *
 * Standard input: records of a 32-bit little-endian length and that many
 * bytes.  Standard output: for each a 32-bit number of ids, its highest bit
 * set when the text looks garbled, and the ids, 32 bits each.  With ROUNDS:
 * the CPU seconds of each round over all texts instead, one a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/io.h"
#include "train/tokenizer.h"

static uint32_t u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static bool next(struct str *rest, struct str *text)
{
    uint32_t n;

    if (rest->n < 4 || (n = u32(rest->p)) > rest->n - 4)
        return false;
    *text = str_slice(*rest, 4, 4 + (size_t)n);
    *rest = str_slice(*rest, 4 + (size_t)n, rest->n);
    return true;
}

static int encode_all(const struct tokenizer *t, struct tokenizer_scratch *s,
                      struct str rest, FILE *out)
{
    struct str text;

    while (next(&rest, &text)) {
        uint32_t head;
        int rc = tokenizer_encode(t, s, text);

        if (rc)
            return rc;
        head = (uint32_t)s->n | (s->garbled ? UINT32_C(1) << 31 : 0);
        if (out) {
            fwrite(&head, sizeof head, 1, out);
            fwrite(s->ids, sizeof *s->ids, s->n, out);
        }
    }
    return 0;
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool read_input(struct buf *all)
{
    char chunk[65536];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, stdin)))
        buf_add_bytes(all, chunk, n);
    return !ferror(stdin) && !all->rc;
}

int main(int argc, char **argv)
{
    struct tokenizer *t = NULL;
    struct tokenizer_scratch s;
    struct err e = ERR_INIT;
    struct buf all;
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0, rc;

    if (argc < 3)
        return 2;
    buf_init(&all, BUF_NO_LIMIT);
    tokenizer_scratch_init(&s);
    rc = tokenizer_open(
        &t, argv[1],
        strcmp(argv[2], "clip") ? TOKENIZER_OPEN_CLIP : TOKENIZER_CLIP, &e);
    if (!rc && !read_input(&all))
        rc = err_set(&e, E_IO, "standard input could not be read");
    for (int i = 0; !rc && i < rounds; i++) {
        double begin = cpu_seconds();

        rc = encode_all(t, &s, buf_str(&all), NULL);
        printf("%.6f\n", cpu_seconds() - begin);
    }
    if (!rc && !rounds)
        rc = encode_all(t, &s, buf_str(&all), stdout);
    if (rc)
        fprintf(stderr, "%s\n", e.code ? e.message : err_name(rc));
    tokenizer_close(t);
    tokenizer_scratch_release(&s);
    buf_release(&all);
    return rc || fflush(stdout) ? 1 : 0;
}
