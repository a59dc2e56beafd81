/*
 * report_page - the sections of report.html; private to tools/report*.c.
 *
 * Model.   report.c opens what is needed and calls each section in order; a
 *          section whose stage has not run says so in one line.
 */
#ifndef TOOLS_REPORT_PAGE_H
#define TOOLS_REPORT_PAGE_H

#include "catalog/ask.h"
#include "querylist/qlist.h"
#include "tools/funnel.h"
#include "tools/report.h"
#include "tools/report_html.h"

struct page {
    const struct corpus *corpus;
    const struct report_config *config;
    struct catalog *catalog;
    struct buf *b;
    struct qlist list;
    struct funnel funnel;
    struct ask_spread found, selected, packed;
    uint64_t cap; /* what balance was told, or its default */
};

/* "<h2 id=ID>TITLE</h2>" */
void page_heading(struct page *p, const char *id, const char *title);

int page_coverage(struct page *p, struct err *e); /* curve and spread */
int page_queries(struct page *p, struct err *e);  /* head, tail, zero */
int page_hosts(struct page *p, struct err *e);
int page_measures(struct page *p, struct err *e); /* histograms */
int page_model(struct page *p, struct err *e);    /* of config->model */
int page_pictures(struct page *p, struct err *e);

#endif
