/*
 * report_run - what the folder of a training run says, for the report.
 *
 * Model.   Of RUN/, which `witmill train` made:
 *
 *              log.jsonl        losses and settings; the rest may be absent
 *              zeroshot.json    what `witmill eval zeroshot --json` printed
 *              retrieval.json   what `witmill eval retrieval --json` printed
 *              pictures.npy     of `witmill embed pictures`, and beside it ...
 *              pictures.keys    ... the keys
 *              queries.txt      texts, a line each
 *              queries.npy      of `witmill embed texts` of these
 *              queries.keys     the sample that each of them came from
 *
 *          For each of the first queries report_run_search() finds the
 *          pictures with the largest products; of equal ones the first stands
 *          first.
 * Owns.    All it read.
 * Fails.   -E_NOTFOUND without a log; -E_FORMAT, -E_RANGE naming the file that
 *          is not as said; -E_TOOBIG over the ceilings; as base/io.
 * Threads. One.
 */
#ifndef TOOLS_REPORT_RUN_H
#define TOOLS_REPORT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define REPORT_RUN_LINE_MAX    ((size_t)1 << 20)  /* bytes of a line */
#define REPORT_RUN_STEPS_MAX   ((size_t)1 << 24)  /* of a log */
#define REPORT_RUN_JSON_MAX    ((size_t)64 << 20) /* bytes of a result */
#define REPORT_RUN_NPY_MAX     ((size_t)1 << 30)  /* bytes of features */
#define REPORT_RUN_KEYS_MAX    ((size_t)1 << 24)  /* pictures */
#define REPORT_RUN_CLASSES_MAX ((size_t)1 << 20)
#define REPORT_RUN_QUERIES     12 /* of queries.txt, shown at most */
#define REPORT_RUN_BEST        5  /* pictures of a query */
#define REPORT_RUN_KS          3  /* R@1, R@5, R@10 */

struct report_run_class {
    struct str name;
    uint64_t images, right;
};

struct report_run_zeroshot {
    bool known;
    uint64_t images;
    double top1, recall; /* shares; recall: the mean of classes */
    struct report_run_class *classes;
    size_t n, cap;
};

struct report_run_retrieval {
    bool known;
    uint64_t images, texts;
    double to_text[REPORT_RUN_KS], to_picture[REPORT_RUN_KS]; /* shares */
};

struct report_run_hit {
    struct str key;
    double product; /* cosine, -1 to 1 */
};

struct report_run_query {
    struct str text;
    struct str own; /* key of its sample, or empty */
    size_t rank;    /* of that, from 1; 0: not among the pictures */
    struct report_run_hit hits[REPORT_RUN_BEST];
    size_t n;
};

struct report_run {
    float *losses; /* of each step */
    size_t n, cap;
    uint64_t steps, samples, batch; /* of the last step; pairs a step */
    double epochs;                  /* 0: there are none */
    bool infonce;                   /* guessing has the loss ln(batch) */
    struct report_run_zeroshot zeroshot;
    struct report_run_retrieval retrieval;
    struct report_run_query queries[REPORT_RUN_QUERIES];
    size_t n_queries;
    uint64_t pictures; /* that were searched */
    struct arena arena;
};

int report_run_read(struct report_run *r, const char *folder, struct err *e);
void report_run_release(struct report_run *r); /* fine when zero */

/* The mean loss of the last tenth of the steps, NAN without any. */
double report_run_last(const struct report_run *r);

/* ---- parts of report_run_read() ---- */

int report_run_log(struct report_run *r, const char *folder, struct err *e);
int report_run_results(struct report_run *r, const char *folder, struct err *e);
int report_run_search(struct report_run *r, const char *folder, struct err *e);

#endif
