#include "crawler/crawl_pool.h"
#include "base/mem.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define SPARE_MAX  64           /* empty jobs kept */
#define KEEP_BYTES (256u << 10) /* a larger buffer goes with its page */

struct list {
    struct crawl_job *first, *last;
};

struct crawl_pool {
    const struct crawl_scope *scope;
    void (*wake)(void *ctx);
    void *ctx;
    pthread_t *threads;
    unsigned n_threads;

    pthread_mutex_t lock; /* of the three below */
    pthread_cond_t work;
    struct list todo, done;
    bool ending;

    /* the owner's alone */
    struct crawl_job *spare;
    size_t n_spare, n_jobs, bytes;
};

static void append(struct list *l, struct crawl_job *j)
{
    j->next = NULL;
    if (l->last)
        l->last->next = j;
    else
        l->first = j;
    l->last = j;
}

static struct crawl_job *shift(struct list *l)
{
    struct crawl_job *j = l->first;

    if (j && !(l->first = j->next))
        l->last = NULL;
    return j;
}

static void read_page(const struct crawl_pool *p, struct markup *m,
                      struct crawl_job *j)
{
    struct crawl_page_source in = {
        .url = buf_str(&j->final_url),
        .content_type = buf_str(&j->content_type),
        .body = buf_str(&j->body),
        .no_pairs = j->refused != NULL,
        .no_links = j->no_links,
    };

    j->rc = crawl_page_read(&j->page, m, &in, p->scope);
}

static void *worker(void *arg)
{
    struct crawl_pool *p = arg;
    struct markup m;

    markup_init(&m);
    m.want_links = true;
    pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct crawl_job *j = shift(&p->todo);

        if (!j) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        pthread_mutex_unlock(&p->lock);
        read_page(p, &m, j);
        pthread_mutex_lock(&p->lock);
        append(&p->done, j);
        p->wake(p->ctx);
    }
    pthread_mutex_unlock(&p->lock);
    markup_release(&m);
    return NULL;
}

int crawl_pool_open(struct crawl_pool **out, unsigned threads,
                    const struct crawl_scope *scope, void (*wake)(void *ctx),
                    void *ctx, struct err *e)
{
    struct crawl_pool *p = xcalloc(1, sizeof *p);
    int error = 0;

    *out = p;
    p->scope = scope;
    p->wake = wake;
    p->ctx = ctx;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->threads = xcalloc(threads, sizeof *p->threads);
    while (!error && p->n_threads < threads) {
        error = pthread_create(&p->threads[p->n_threads], NULL, worker, p);
        p->n_threads += !error;
    }
    if (!error)
        return 0;
    crawl_pool_close(p);
    *out = NULL;
    errno = error;
    return err_errno(e, E_NOMEM, "start", "a thread");
}

static void job_free(struct crawl_job *j)
{
    buf_release(&j->final_url);
    buf_release(&j->content_type);
    buf_release(&j->body);
    crawl_page_release(&j->page);
    free(j);
}

static void list_free(struct crawl_job *j)
{
    while (j) {
        struct crawl_job *next = j->next;

        job_free(j);
        j = next;
    }
}

void crawl_pool_close(struct crawl_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    list_free(p->todo.first);
    list_free(p->done.first);
    list_free(p->spare);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p->threads);
    free(p);
}

struct crawl_job *crawl_pool_get(struct crawl_pool *p)
{
    struct crawl_job *j = p->spare;

    if (j) {
        p->spare = j->next;
        p->n_spare--;
        return j;
    }
    j = xcalloc(1, sizeof *j);
    buf_init(&j->final_url, BUF_NO_LIMIT);
    buf_init(&j->content_type, BUF_NO_LIMIT);
    buf_init(&j->body, BUF_NO_LIMIT);
    crawl_page_init(&j->page);
    return j;
}

void crawl_pool_give(struct crawl_pool *p, struct crawl_job *j)
{
    p->n_jobs++;
    p->bytes += j->body.n;
    pthread_mutex_lock(&p->lock);
    append(&p->todo, j);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

struct crawl_job *crawl_pool_take(struct crawl_pool *p)
{
    struct crawl_job *j;

    pthread_mutex_lock(&p->lock);
    j = shift(&p->done);
    pthread_mutex_unlock(&p->lock);
    if (j) {
        p->n_jobs--;
        p->bytes -= j->body.n;
    }
    return j;
}

/* A page of 4 MiB should not leave its buffers to every job there is. */
static void trim(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_release(b);
    buf_clear(b);
}

void crawl_pool_put(struct crawl_pool *p, struct crawl_job *j)
{
    if (p->n_spare == SPARE_MAX) {
        job_free(j);
        return;
    }
    trim(&j->final_url);
    trim(&j->content_type);
    trim(&j->body);
    trim(&j->page.pairs);
    trim(&j->page.links);
    j->next = p->spare;
    p->spare = j;
    p->n_spare++;
}

bool crawl_pool_full(const struct crawl_pool *p)
{
    return p->bytes > CRAWL_POOL_BYTES;
}

size_t crawl_pool_jobs(const struct crawl_pool *p)
{
    return p->n_jobs;
}
