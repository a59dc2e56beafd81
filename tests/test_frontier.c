/* The frontier: what is known, whose turn it is, what budgets allow. */
#include "base/hash.h"
#include "base/mem.h"
#include "crawler/frontier.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t key[SEEN_KEY_SIZE] = {0, 1, 2,  3,  4,  5,  6,  7,
                                           8, 9, 10, 11, 12, 13, 14, 15};

static struct str text_of(char *buf, size_t n, const char *format, uint32_t i)
{
    int len = snprintf(buf, n, format, i);

    return str_make(buf, (size_t)len);
}

static uint32_t add_host(struct frontier *f, const char *host,
                         const char *domain)
{
    uint32_t number;
    bool added;

    assert_int_equal(
        frontier_host(f, str_of(host), str_of(domain), &number, &added), 0);
    return number;
}

static uint32_t add_url(struct frontier *f, const char *url, uint32_t host,
                        unsigned depth)
{
    uint32_t number;
    bool added;

    assert_int_equal(frontier_add(f, str_of(url), host, depth, FRONTIER_WAITING,
                                  &number, &added),
                     0);
    return number;
}

/* From the reference implementation's vectors.h: input 0, 1, ... n - 1. */
static void test_frontier__siphash(void **state)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    char in[16];

    (void)state;
    for (int i = 0; i < 16; i++)
        in[i] = (char)i;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(seen_siphash(key, str_make(in, rows[i].n)),
                         rows[i].hash);
}

static void test_frontier__seen_numbers(void **state)
{
    struct seen s;
    char b[32];
    uint32_t number;
    bool added;

    (void)state;
    seen_init(&s, key);
    assert_int_equal(seen_find(&s, STR("x")), 0);
    for (uint32_t i = 1; i <= 200000; i++) {
        assert_int_equal(
            seen_add(&s, text_of(b, sizeof b, "u%" PRIu32, i), &number, &added),
            0);
        assert_true(added);
        assert_int_equal(number, i);
    }
    for (uint32_t i = 1; i <= 200000; i++) {
        struct str t = text_of(b, sizeof b, "u%" PRIu32, i);

        assert_int_equal(seen_find(&s, t), i);
        assert_int_equal(seen_add(&s, t, &number, &added), 0);
        assert_false(added);
        assert_int_equal(number, i);
    }
    assert_int_equal(seen_find(&s, STR("u0")), 0);
    seen_release(&s);
}

/* DESIGN section 3: at most 24 bytes a URL, at every size. */
static void test_frontier__memory(void **state)
{
    const struct frontier_limits limits = {.depth = 5, .ahead = 1};
    struct frontier *f = frontier_new(key, &limits);
    struct frontier_stats empty, s;
    uint32_t host = add_host(f, "a.test", "a.test");
    double worst = 0;
    char b[32];

    (void)state;
    frontier_stats(f, &empty);
    for (uint32_t i = 1; i <= 2000000; i++) {
        add_url(f, text_of(b, sizeof b, "http://a.test/%" PRIu32, i).p, host,
                1);
        if (i < 20 * SEEN_BLOCK || i % SEEN_BLOCK)
            continue; /* below, the last block's slack shows */
        frontier_stats(f, &s);
        if ((double)(s.bytes - empty.bytes) / i > worst)
            worst = (double)(s.bytes - empty.bytes) / i;
    }
    printf("frontier: at most %.1f bytes a URL\n", worst);
    assert_true(worst > 14 && worst <= 24);
    frontier_free(f);
}

static void take(struct frontier *f, uint32_t url)
{
    struct frontier_turn t;

    assert_true(frontier_take(f, &t));
    assert_int_equal(t.url, url);
}

static void take_none(struct frontier *f)
{
    struct frontier_turn t;

    assert_false(frontier_take(f, &t));
}

static void finish(struct frontier *f, uint32_t url, uint32_t host)
{
    frontier_settle(f, url, FRONTIER_ENDED);
    frontier_release(f, host);
    frontier_page(f, host);
}

/* Lower depths first, then hosts in turn; no more than `ahead` of a host. */
static void test_frontier__order(void **state)
{
    const struct frontier_limits limits = {.depth = 2, .ahead = 2};
    struct frontier *f = frontier_new(key, &limits);
    uint32_t a = add_host(f, "a.test", "a.test");
    uint32_t b = add_host(f, "b.test", "b.test");
    uint32_t a2 = add_url(f, "a2", a, 2);
    uint32_t a1 = add_url(f, "a1", a, 1), a1b = add_url(f, "a1b", a, 1);
    uint32_t b1 = add_url(f, "b1", b, 1), b1b = add_url(f, "b1b", b, 1);
    uint32_t deep = add_url(f, "b3", b, 3);
    struct frontier_stats s;

    (void)state;
    frontier_check(f);
    take(f, a1);
    take(f, b1);
    take(f, a1b);
    take(f, b1b);
    take_none(f);
    frontier_check(f);
    finish(f, a1, a);
    take(f, a2);
    finish(f, b1, b);
    finish(f, b1b, b);
    take_none(f);
    frontier_stats(f, &s);
    assert_int_equal(s.waiting, 0);
    assert_int_equal(s.deeper, 1);
    assert_int_equal(s.taken, 2);
    assert_int_equal(s.pages, 3);
    assert_int_equal(frontier_state(f, deep), FRONTIER_WAITING);
    frontier_check(f);
    frontier_free(f);
}

/* A shorter path moves a URL forward, once, also from behind the limit. */
static void test_frontier__lower(void **state)
{
    const struct frontier_limits limits = {.depth = 3, .ahead = 9};
    struct frontier *f = frontier_new(key, &limits);
    uint32_t a = add_host(f, "a.test", "a.test");
    uint32_t u[4] = {add_url(f, "u0", a, 3), add_url(f, "u1", a, 3),
                     add_url(f, "u2", a, 9), add_url(f, "u3", a, 2)};

    (void)state;
    assert_int_equal(frontier_lower(f, u[1], a, 2), 0);
    assert_int_equal(frontier_lower(f, u[1], a, 1), 0);
    assert_int_equal(frontier_lower(f, u[2], a, 3), 0);
    assert_int_equal(frontier_depth(f, u[1]), 1);
    frontier_check(f);
    take(f, u[1]);
    take(f, u[3]);
    assert_int_equal(frontier_lower(f, u[3], a, 0), 0); /* out: depth alone */
    take(f, u[2]);
    take(f, u[0]);
    take_none(f);
    assert_int_equal(frontier_depth(f, u[3]), 0);
    frontier_check(f);
    frontier_free(f);
}

static void test_frontier__hold(void **state)
{
    const struct frontier_limits limits = {.depth = 3, .ahead = 1};
    struct frontier *f = frontier_new(key, &limits);
    uint32_t a = add_host(f, "a.test", "a.test");
    uint32_t u = add_url(f, "u", a, 1);
    struct frontier_stats s;

    (void)state;
    add_url(f, "v", a, 1);
    take(f, u);
    frontier_hold(f, a);
    frontier_release(f, a);
    add_url(f, "w", a, 0);
    take_none(f);
    frontier_check(f);
    frontier_stats(f, &s);
    assert_int_equal(s.waiting, 2);
    frontier_free(f);
}

/* A redirect settles a URL that waits; its chain passes it over. */
static void test_frontier__settle_waiting(void **state)
{
    const struct frontier_limits limits = {.depth = 3, .ahead = 9};
    struct frontier *f = frontier_new(key, &limits);
    uint32_t a = add_host(f, "a.test", "a.test");
    uint32_t b = add_host(f, "b.test", "b.test");
    uint32_t u = add_url(f, "u", a, 1), v = add_url(f, "v", b, 2);
    struct frontier_stats s;

    (void)state;
    frontier_settle(f, u, FRONTIER_ENDED);
    frontier_check(f);
    take(f, v);
    take_none(f);
    frontier_stats(f, &s);
    assert_int_equal(s.waiting, 0);
    frontier_free(f);
}

static void test_frontier__budgets(void **state)
{
    const struct frontier_limits limits = {.pages = 4,
                                           .pages_per_host = 2,
                                           .pages_per_domain = 3,
                                           .depth = 9,
                                           .ahead = 9};
    struct frontier *f = frontier_new(key, &limits);
    uint32_t a = add_host(f, "a.x.test", "x.test");
    uint32_t b = add_host(f, "b.x.test", "x.test");
    uint32_t c = add_host(f, "c.test", "c.test");
    uint32_t ua[3], ub[2], uc[2];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        ua[i] = add_url(f, (char[]){'a', (char)('0' + i), 0}, a, 0);
    for (uint32_t i = 0; i < 2; i++) {
        ub[i] = add_url(f, (char[]){'b', (char)('0' + i), 0}, b, 1);
        uc[i] = add_url(f, (char[]){'c', (char)('0' + i), 0}, c, 2);
    }
    take(f, ua[0]);
    take(f, ua[1]); /* the host's two */
    take(f, ub[0]); /* the domain's three */
    take(f, uc[0]); /* all four */
    take_none(f);
    assert_false(frontier_affords(f, c));
    finish(f, uc[0], c);
    take_none(f);
    frontier_settle(f, ua[0], FRONTIER_ENDED); /* no page: free again */
    frontier_release(f, a);
    take(f, ua[2]);
    take_none(f);
    frontier_settle(f, ub[0], FRONTIER_ENDED);
    frontier_release(f, b);
    take(f, ub[1]); /* b was parked for its domain and is woken */
    take_none(f);
    frontier_check(f);
    frontier_free(f);
}

/* ---- against a model that looks at everything ---- */

#define HOSTS 7
#define URLS  600

struct model {
    struct {
        uint32_t host;
        unsigned depth;
        enum frontier_state state;
    } url[URLS + 1];
    uint32_t n;
    uint32_t out[HOSTS + 1], pages[HOSTS + 1];
    uint64_t seed;
};

static uint32_t draw(struct model *m, uint32_t n)
{
    m->seed = m->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(m->seed >> 33) % n;
}

/* Hosts 1-4 are of one domain, the others of one each. */
static bool allowed(const struct model *m, const struct frontier_limits *l,
                    uint32_t host)
{
    uint64_t all = 0, domain = 0;

    for (uint32_t h = 1; h <= HOSTS; h++) {
        uint64_t used = m->out[h] + m->pages[h];

        all += used;
        if (h == host || (h <= 4 && host <= 4))
            domain += used;
    }
    return all < l->pages &&
           (!l->pages_per_domain || domain < l->pages_per_domain) &&
           m->out[host] + m->pages[host] < l->pages_per_host &&
           m->out[host] < l->ahead;
}

static unsigned least(const struct model *m, const struct frontier_limits *l)
{
    unsigned best = UINT32_MAX;

    for (uint32_t u = 1; u <= m->n; u++)
        if (m->url[u].state == FRONTIER_WAITING && m->url[u].depth < best &&
            m->url[u].depth <= l->depth && allowed(m, l, m->url[u].host))
            best = m->url[u].depth;
    return best;
}

static void model_step(struct model *m, struct frontier *f,
                       const struct frontier_limits *l)
{
    struct frontier_turn t;
    uint32_t u = m->n ? 1 + draw(m, m->n) : 0;
    uint32_t kind = draw(m, 10);
    unsigned best;
    char b[16];

    if (kind < 3 && m->n < URLS) {
        u = ++m->n;
        m->url[u].host = 1 + draw(m, HOSTS);
        m->url[u].depth = draw(m, 12);
        m->url[u].state = FRONTIER_WAITING;
        assert_int_equal(add_url(f, text_of(b, sizeof b, "%" PRIu32, u).p,
                                 m->url[u].host, m->url[u].depth),
                         u);
    } else if (kind < 5 && u && m->url[u].depth) {
        m->url[u].depth = draw(m, m->url[u].depth);
        assert_int_equal(frontier_lower(f, u, m->url[u].host, m->url[u].depth),
                         0);
    } else if (kind < 6 && u && m->url[u].state == FRONTIER_TAKEN) {
        uint32_t host = m->url[u].host;

        m->url[u].state = FRONTIER_ENDED;
        frontier_settle(f, u, FRONTIER_ENDED);
        m->out[host]--;
        frontier_release(f, host);
        if (draw(m, 2)) {
            m->pages[host]++;
            frontier_page(f, host);
        }
    } else if (kind == 6 && u && m->url[u].state == FRONTIER_WAITING) {
        m->url[u].state = FRONTIER_REDIRECT;
        frontier_settle(f, u, FRONTIER_REDIRECT);
    } else if (kind > 6) {
        best = least(m, l);
        assert_int_equal(frontier_take(f, &t), best != UINT32_MAX);
        if (best == UINT32_MAX)
            return;
        assert_true(t.depth <= l->depth && allowed(m, l, t.host));
        if (!l->pages_per_domain) /* else parked hosts wake in any order */
            assert_int_equal(t.depth, best);
        assert_int_equal(m->url[t.url].depth, t.depth);
        assert_int_equal(m->url[t.url].host, t.host);
        assert_int_equal(m->url[t.url].state, FRONTIER_WAITING);
        m->url[t.url].state = FRONTIER_TAKEN;
        m->out[t.host]++;
    }
}

static void test_frontier__model(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 60; round++) {
        struct model *m = xcalloc(1, sizeof *m);
        struct frontier_limits l;
        struct frontier *f;
        char b[16];

        m->seed = round;
        l = (struct frontier_limits){.pages = 20 + draw(m, 300),
                                     .pages_per_host = 5 + draw(m, 60),
                                     .pages_per_domain =
                                         round % 2 ? 0 : 5 + draw(m, 100),
                                     .depth = 4 + draw(m, 9),
                                     .ahead = 1 + draw(m, 5)};
        f = frontier_new(key, &l);
        for (uint32_t h = 1; h <= HOSTS; h++) {
            struct str host = text_of(b, sizeof b, "h%" PRIu32, h);

            add_host(f, host.p, h <= 4 ? "one" : host.p);
        }
        for (int i = 0; i < 4000; i++) {
            model_step(m, f, &l);
            if (i % 50 == 0)
                frontier_check(f);
        }
        frontier_check(f);
        for (uint32_t u = 1; u <= m->n; u++) {
            assert_int_equal(frontier_state(f, u), m->url[u].state);
            assert_int_equal(frontier_depth(f, u), m->url[u].depth);
        }
        frontier_free(f);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frontier__siphash),
        cmocka_unit_test(test_frontier__seen_numbers),
        cmocka_unit_test(test_frontier__memory),
        cmocka_unit_test(test_frontier__order),
        cmocka_unit_test(test_frontier__lower),
        cmocka_unit_test(test_frontier__hold),
        cmocka_unit_test(test_frontier__settle_waiting),
        cmocka_unit_test(test_frontier__budgets),
        cmocka_unit_test(test_frontier__model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
