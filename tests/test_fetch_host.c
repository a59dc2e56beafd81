/* Whose turn it is, in simulated time: thousands of requests at hosts that
 * share addresses, with the invariants checked after every step. */
#include "crawler/fetch_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"

#define SIM_HOSTS 120
#define SIM_IPS   15
#define SIM_JOBS  3000

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13; /* xorshift64 */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

struct flight {
    struct fetch_job *job;
    uint64_t ends_ms;
};

struct sim {
    struct fetch_hosts hosts;
    struct fetch_host *host[SIM_HOSTS];
    struct netguard_addr addr[SIM_HOSTS];
    uint64_t last_end[SIM_HOSTS]; /* 0: not yet asked */
    uint64_t delay[SIM_HOSTS];
    struct flight flights[4096];
    size_t n_flights, most;
    uint64_t now;
    size_t done;
};

static size_t index_of(const struct sim *s, const struct fetch_host *h)
{
    for (size_t i = 0; i < SIM_HOSTS; i++)
        if (s->host[i] == h)
            return i;
    fail();
    return 0;
}

static void add_job(struct sim *s, size_t i)
{
    struct fetch_job *j = xcalloc(1, sizeof *j + 1);

    j->host = s->host[i];
    j->origin = hosts_origin(j->host, false, 80);
    j->kind = FETCH_PAGE;
    queue_push(&j->host->queue, j);
    hosts_file(&s->hosts, j->host);
}

/* What fetch_turn does, without a network. */
static void sim_turn(struct sim *s, struct fetch_host *h)
{
    size_t i = index_of(s, h);

    while (h->queue.n && h->in_flight < h->limit && h->ready_ms <= s->now &&
           s->n_flights < s->most) {
        struct fetch_ip *ip = NULL;
        struct fetch_job *j;

        if (!h->own_limit && !(ip = hosts_take_ip(&s->hosts, h, &s->addr[i])))
            break;
        j = queue_pop(&h->queue);
        j->ip = ip;
        h->in_flight++;
        assert_true(!s->last_end[i] || h->limit > 1 ||
                    s->now >= s->last_end[i] + s->delay[i]);
        s->flights[s->n_flights++] = (struct flight){j, s->now + 1 + draw(200)};
    }
    hosts_unhold(&s->hosts, h);
}

static void sim_finish(struct sim *s, size_t at)
{
    struct fetch_job *j = s->flights[at].job;
    struct fetch_host *h = j->host;
    size_t i = index_of(s, h);

    s->flights[at] = s->flights[--s->n_flights];
    hosts_hold(&s->hosts, h);
    h->in_flight--;
    if (j->ip)
        hosts_leave_ip(&s->hosts, j->ip);
    free(j);
    s->done++;
    s->last_end[i] = s->now;
    h->ready_ms = s->now + s->delay[i];
    hosts_unhold(&s->hosts, h);
}

static void sim_open(struct sim *s, uint64_t with_seed)
{
    seed = with_seed;
    memset(s, 0, sizeof *s);
    hosts_init(&s->hosts, 10, 1 << 20);
    s->now = 1000;
    s->most = 8 + draw(60);
    for (size_t i = 0; i < SIM_HOSTS; i++) {
        char name[32];

        snprintf(name, sizeof name, "h%zu.test", i);
        s->host[i] = hosts_get(&s->hosts, str_of(name));
        s->addr[i].bytes[3] = (uint8_t)draw(SIM_IPS);
        s->delay[i] = draw(3) ? draw(1000) : 0;
        if (draw(10) == 0) {
            s->host[i]->limit = 1 + (unsigned)draw(6);
            s->host[i]->own_limit = true;
        }
    }
}

static void sim_run(struct sim *s)
{
    size_t added = 0, guard = 0;

    while (s->done < SIM_JOBS) {
        struct fetch_host *h;
        uint64_t next = UINT64_MAX;

        assert_true(guard++ < 1000000);
        while (added < SIM_JOBS && draw(4)) {
            /* a few hosts have most of the work */
            add_job(s, draw(2) ? draw(SIM_HOSTS) : draw(8));
            added++;
        }
        while (s->n_flights < s->most &&
               (h = hosts_next(&s->hosts, s->now)) != NULL)
            sim_turn(s, h);
        hosts_check(&s->hosts);
        for (size_t i = 0; i < s->n_flights; i++)
            if (s->flights[i].ends_ms < next)
                next = s->flights[i].ends_ms;
        if (s->n_flights < s->most && hosts_when(&s->hosts) < next)
            next = hosts_when(&s->hosts);
        if (next == UINT64_MAX) {
            /* nothing flies and nobody waits: all that was added is done */
            assert_int_equal(s->done, added);
            continue;
        }
        s->now = next > s->now ? next : s->now;
        for (size_t i = 0; i < s->n_flights;)
            if (s->flights[i].ends_ms <= s->now) {
                sim_finish(s, i);
                hosts_check(&s->hosts);
            } else {
                i++;
            }
    }
    assert_int_equal(s->hosts.n_ips, 0);
    assert_int_equal(s->hosts.n_idle, SIM_HOSTS);
}

static void test_fetch_host__simulated_crawls(void **state)
{
    static struct sim s;

    (void)state;
    for (uint64_t run = 1; run <= 20; run++) {
        sim_open(&s, run * UINT64_C(0x9e3779b97f4a7c15));
        sim_run(&s);
        /* forgets down to the ceiling, once the delays have passed */
        s.now += FETCH_DELAY_MAX_MS;
        for (int i = 0; i < 5; i++)
            hosts_trim(&s.hosts, s.now);
        assert_int_equal(s.hosts.n_hosts, 10);
        hosts_check(&s.hosts);
        hosts_release(&s.hosts);
    }
}

static void test_fetch_host__the_line_is_not_jumped(void **state)
{
    struct fetch_hosts s;
    struct netguard_addr a = {{10, 0, 0, 1}, false};
    struct fetch_host *h[6];
    struct fetch_ip *ip[2];

    (void)state;
    hosts_init(&s, 100, 1 << 20);
    for (int i = 0; i < 6; i++) {
        char name[8];
        struct fetch_job *j = xcalloc(1, sizeof *j + 1);

        snprintf(name, sizeof name, "%d", i);
        h[i] = hosts_get(&s, str_of(name));
        j->origin = hosts_origin(h[i], false, 80);
        queue_push(&h[i]->queue, j);
        hosts_hold(&s, h[i]);
    }
    ip[0] = hosts_take_ip(&s, h[0], &a);
    ip[1] = hosts_take_ip(&s, h[1], &a);
    assert_true(ip[0] && ip[0] == ip[1]);
    assert_null(hosts_take_ip(&s, h[2], &a));
    hosts_unhold(&s, h[2]);
    assert_null(hosts_take_ip(&s, h[3], &a));
    hosts_unhold(&s, h[3]);
    /* a place is free: it is h[2]'s, and a newcomer joins behind h[3] */
    hosts_leave_ip(&s, ip[0]);
    assert_null(hosts_take_ip(&s, h[4], &a));
    hosts_unhold(&s, h[4]);
    assert_ptr_equal(hosts_next(&s, 0), h[2]);
    assert_non_null(hosts_take_ip(&s, h[2], &a));
    hosts_unhold(&s, h[2]); /* (still in the heap, having a job) */
    hosts_check(&s);
    /* one that has nothing to do any more passes its chance on */
    hosts_leave_ip(&s, ip[0]);
    free(queue_pop(&h[3]->queue));
    hosts_file(&s, h[3]);
    assert_true(h[4]->woken == ip[0]);
    hosts_check(&s);
    for (int i = 0; i < 6; i++)
        free(queue_pop(&h[i]->queue));
    hosts_release(&s);
}

static void test_fetch_host__a_host_asked_for_peace_is_kept(void **state)
{
    struct fetch_hosts s;
    struct fetch_host *h;

    (void)state;
    hosts_init(&s, 0, 1 << 20);
    h = hosts_get(&s, STR("a"));
    h->ready_ms = 5000;
    hosts_file(&s, h);
    hosts_trim(&s, 4999);
    assert_ptr_equal(hosts_find(&s, STR("a")), h);
    hosts_trim(&s, 5000);
    assert_null(hosts_find(&s, STR("a")));
    hosts_release(&s);
}

/* Facts for the header: cost of a host, and of a turn among very many. */
static void test_fetch_host__a_hundred_thousand_hosts(void **state)
{
    struct fetch_hosts s;
    struct timespec a, b;
    double us;
    const size_t n = 100000;

    (void)state;
    hosts_init(&s, n, 1 << 20);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        struct fetch_job *j = xcalloc(1, sizeof *j + 64);
        struct fetch_host *h;

        snprintf(name, sizeof name, "www.host-%zu.example", i);
        h = hosts_get(&s, str_of(name));
        j->origin = hosts_origin(h, false, 80);
        queue_push(&h->queue, j);
        h->ready_ms = i * 7919 % n;
        hosts_file(&s, h);
    }
    for (size_t i = 0; i < n; i++) {
        struct fetch_host *h = hosts_next(&s, n);

        assert_int_equal(h->ready_ms, i); /* 7919 is prime: a permutation */
        free(queue_pop(&h->queue));
        hosts_unhold(&s, h);
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    us = ((double)(b.tv_sec - a.tv_sec) * 1e9 +
          (double)(b.tv_nsec - a.tv_nsec)) /
         1e3 / (double)n;
    printf("%zu hosts of %zu bytes, origin %zu, job %zu: %.2f us in and out\n",
           n, sizeof(struct fetch_host), sizeof(struct fetch_origin),
           sizeof(struct fetch_job), us);
    assert_true(us < 50);
    hosts_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_host__simulated_crawls),
        cmocka_unit_test(test_fetch_host__the_line_is_not_jumped),
        cmocka_unit_test(test_fetch_host__a_host_asked_for_peace_is_kept),
        cmocka_unit_test(test_fetch_host__a_hundred_thousand_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
