/* All ranks tell rank 0, and hear it: processes that meet over the loopback,
 * with strangers among them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "train/rendezvous_wire.h"

#define LONG 30000 /* ms; nothing here takes that unless it hangs */

/* What a rank says, and what all hear: the sum of what was said. */
struct said {
    int32_t rank, number;
};

struct heard {
    int32_t sum, size;
};

static int number_of(int rank)
{
    return 1000 + rank * rank;
}

static void judge(void *ctx, const void *all, int size, void *answer)
{
    const struct said *s = all;
    struct heard *h = answer;

    (void)ctx;
    *h = (struct heard){0, size};
    for (int r = 0; r < size; r++)
        h->sum += s[r].rank == r ? s[r].number : -1000000;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static struct launch launch_of(int rank, int size, int port)
{
    return (struct launch){.rank = rank,
                           .size = size,
                           .here = size,
                           .by = "torchrun",
                           .host = "127.0.0.1",
                           .port = port};
}

static int meet(const struct launch *l, int timeout_ms, struct err *e)
{
    struct said mine = {l->rank, number_of(l->rank)};
    struct heard h = {0};
    const struct rendezvous r = {.mine = &mine,
                                 .mine_bytes = sizeof mine,
                                 .answer = &h,
                                 .answer_bytes = sizeof h,
                                 .judge = judge,
                                 .timeout_ms = timeout_ms};
    int rc = rendezvous(l, &r, e), sum = 0;

    for (int k = 0; k < l->size; k++)
        sum += number_of(k);
    return !rc && (h.sum != sum || h.size != l->size) ? -99 : rc;
}

/* A rank in a process of its own, `late` ms behind; its exit status says how it
 * went: 0 with the right answer, else E_* of the failure. */
static pid_t start_as(const struct launch *l, int late, int timeout_ms)
{
    struct err e = ERR_INIT;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child)
        return child;
    usleep((unsigned)late * 1000);
    _exit(-meet(l, timeout_ms, &e));
}

static pid_t start(int rank, int size, int port, int late, int timeout_ms)
{
    struct launch l = launch_of(rank, size, port);

    return start_as(&l, late, timeout_ms);
}

static int end_of(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_rendezvous__all_hear(void **state)
{
    (void)state;
    for (int size = 1; size <= 8; size *= 2) {
        int port = free_port();
        pid_t child[8];

        /* the last first, rank 0 latest: the others try again */
        for (int r = size - 1; r >= 0; r--)
            child[r] = start(r, size, port, r ? 0 : 120, LONG);
        for (int r = 0; r < size; r++)
            assert_int_equal(end_of(child[r]), 0);
    }
}

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    int fd = -1;

    for (int i = 0; i < 500; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(fd, (struct sockaddr *)&a, sizeof a))
            return fd;
        close(fd);
        usleep(20000);
    }
    fail_msg("nobody listens");
    return -1;
}

static struct hello hello_of(int rank, int size)
{
    return wire_swapped((struct hello){WIRE_MAGIC, WIRE_VERSION, (uint32_t)size,
                                       (uint32_t)rank, sizeof(struct said),
                                       sizeof(struct heard)});
}

/* Who speaks something else, hangs up, stops in the middle of a word or says
 * nothing is not counted and holds up none. */
static void test_rendezvous__strangers(void **state)
{
    int port = free_port(), silent[8], fd;
    pid_t zero = start(0, 2, port, 0, LONG), one;
    struct hello h = hello_of(1, 2);
    uint64_t began;

    (void)state;
    fd = connect_to(port);
    began = clock_mono_ms();
    assert_true(write(fd, "GET / HTTP/1.1\r\nHost: here\r\n\r\n", 30) == 30);
    close(fd);
    close(connect_to(port));
    for (int i = 0; i < 8; i++) {
        silent[i] = connect_to(port);
        assert_true(write(silent[i], &h, (size_t)i) == i);
    }
    one = start(1, 2, port, 0, LONG);
    assert_int_equal(end_of(one), 0);
    assert_int_equal(end_of(zero), 0);
    /* one after the other they would have taken 2 s each */
    assert_true(clock_mono_ms() - began < 8000);
    for (int i = 0; i < 8; i++)
        close(silent[i]);
}

/* More strangers than files: the oldest are sent away, and rank 0 does not
 * spin meanwhile. */
static void test_rendezvous__files_run_out(void **state)
{
    int port = free_port(), silent[90], status;
    struct launch l = launch_of(0, 2, port);
    struct rusage used;
    pid_t zero = fork(), one;

    (void)state;
    if (!zero) {
        struct rlimit limit = {70, 70};

        setrlimit(RLIMIT_NOFILE, &limit);
        _exit(-meet(&l, LONG, NULL));
    }
    for (int i = 0; i < 90; i++)
        silent[i] = connect_to(port);
    one = start(1, 2, port, 0, LONG);
    assert_int_equal(end_of(one), 0);
    assert_int_equal(wait4(zero, &status, 0, &used), zero);
    assert_int_equal(status, 0);
    assert_true(used.ru_utime.tv_sec + used.ru_stime.tv_sec < 1);
    for (int i = 0; i < 90; i++)
        close(silent[i]);
}

static void test_rendezvous__too_many_ranks(void **state)
{
    pid_t zero = fork();

    (void)state;
    if (!zero) {
        struct launch l = launch_of(0, 40, 1);
        struct rlimit limit = {60, 60};
        struct err e = ERR_INIT;

        setrlimit(RLIMIT_NOFILE, &limit);
        _exit(meet(&l, LONG, &e) == -E_RANGE && strstr(e.message, "ulimit")
                  ? 0
                  : 1);
    }
    assert_int_equal(end_of(zero), 0);
}

/* Who hung up before the answer is waited for again. */
static void test_rendezvous__comes_again(void **state)
{
    int port = free_port(), fd;
    pid_t zero = start(0, 3, port, 0, LONG), one, two;
    struct hello h = hello_of(1, 3);
    struct said s = {1, number_of(1)};

    (void)state;
    fd = connect_to(port);
    assert_true(write(fd, &h, sizeof h) == sizeof h);
    assert_true(write(fd, &s, sizeof s) == sizeof s);
    usleep(100000);
    close(fd);
    usleep(100000);
    two = start(2, 3, port, 0, LONG);
    one = start(1, 3, port, 200, LONG);
    assert_int_equal(end_of(one), 0);
    assert_int_equal(end_of(two), 0);
    assert_int_equal(end_of(zero), 0);
}

static void test_rendezvous__another_size(void **state)
{
    int port = free_port();
    pid_t zero = start(0, 3, port, 0, 1500);
    pid_t odd = start(1, 2, port, 0, LONG);

    (void)state;
    assert_int_equal(end_of(odd), E_RANGE);
    assert_int_equal(end_of(zero), E_NET); /* nobody else came */
}

/* A rank comes twice while the first waits; when rank 0 gives up it says so to
 * who waits. */
static void test_rendezvous__a_rank_twice(void **state)
{
    int port = free_port();
    uint64_t began = clock_mono_ms();
    pid_t zero = start(0, 3, port, 0, 1500);
    pid_t one = start(1, 3, port, 0, LONG);
    pid_t again = start(1, 3, port, 600, LONG);

    (void)state;
    assert_int_equal(end_of(again), E_RANGE);
    assert_int_equal(end_of(one), E_NET);
    assert_int_equal(end_of(zero), E_NET);
    assert_true(clock_mono_ms() - began < LONG);
}

static void test_rendezvous__nobody_there(void **state)
{
    struct launch l = launch_of(1, 2, free_port());
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(meet(&l, 200, &e), -E_NET);
    assert_non_null(strstr(e.message, "rank 1"));

    e = (struct err)ERR_INIT;
    l.host[0] = '\0'; /* several nodes, and nobody says which is the first */
    assert_int_equal(meet(&l, 200, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "WITMILL_HOST"));
}

/* A name that nobody knows is asked for until the time is over. */
static void test_rendezvous__no_such_name(void **state)
{
    struct launch l = launch_of(1, 2, 1);
    struct err e = ERR_INIT;

    (void)state;
    snprintf(l.host, sizeof l.host, "%s", "nobody.invalid");
    assert_int_equal(meet(&l, 100, &e), -E_NET);
    assert_non_null(strstr(e.message, "nobody.invalid"));
    assert_non_null(strstr(e.message, "within"));
}

/* Ranks on other nodes call by an address that rank 0's name does not have
 * here: the loopback, one of another machine, none at all. */
static void test_rendezvous__where_to_listen(void **state)
{
    static const char *const names[] = {"127.0.1.1", "192.0.2.1",
                                        "nobody.invalid"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int port = free_port();
        struct launch zero = launch_of(0, 2, port);
        struct launch one = launch_of(1, 2, port);
        struct err e = ERR_INIT;
        pid_t child;

        snprintf(zero.host, sizeof zero.host, "%s", names[i]);
        zero.here = 1;
        child = start_as(&zero, 0, LONG);
        assert_int_equal(meet(&one, LONG, &e), 0);
        assert_int_equal(end_of(child), 0);
        if (!i)
            continue;
        zero.here = 2; /* then nobody else is let in */
        assert_int_equal(meet(&zero, 200, &e), -E_NET);
    }
}

/* With all ranks on this node it listens at its own address alone. */
static void test_rendezvous__not_everywhere(void **state)
{
    int port = free_port();
    pid_t zero = start(0, 2, port, 0, 1500);
    struct launch one = launch_of(1, 2, port);
    struct err e = ERR_INIT;

    (void)state;
    snprintf(one.host, sizeof one.host, "%s", "127.0.0.2");
    assert_int_equal(meet(&one, 800, &e), -E_NET);
    assert_int_equal(end_of(zero), E_NET);
}

/* What somebody else says is not taken for rank 0's. */
static void test_rendezvous__somebody_else(void **state)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n          ";
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), caller;
    char words[sizeof(struct hello) + sizeof(struct said)];
    pid_t one;

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    one = start(1, 2, ntohs(a.sin_port), 0, LONG);
    caller = accept(fd, NULL, NULL);
    assert_int_equal(recv(caller, words, sizeof words, MSG_WAITALL),
                     sizeof words);
    assert_int_equal(write(caller, text, sizeof text), sizeof text);
    assert_int_equal(end_of(one), E_NET);
    close(caller);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rendezvous__all_hear),
        cmocka_unit_test(test_rendezvous__strangers),
        cmocka_unit_test(test_rendezvous__files_run_out),
        cmocka_unit_test(test_rendezvous__too_many_ranks),
        cmocka_unit_test(test_rendezvous__comes_again),
        cmocka_unit_test(test_rendezvous__another_size),
        cmocka_unit_test(test_rendezvous__a_rank_twice),
        cmocka_unit_test(test_rendezvous__nobody_there),
        cmocka_unit_test(test_rendezvous__no_such_name),
        cmocka_unit_test(test_rendezvous__where_to_listen),
        cmocka_unit_test(test_rendezvous__not_everywhere),
        cmocka_unit_test(test_rendezvous__somebody_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
