/* Who am I among how many (launch), and rank 0 tells the others (rendezvous).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/rendezvous.h"

#define VARIABLES 8

static const char *const known[] = {
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "LOCAL_WORLD_SIZE",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_LOCALID",
    "SLURM_LAUNCH_NODE_IPADDR",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "WITMILL_HOST",
    "WITMILL_PORT",
};

static const struct {
    const char *set[VARIABLES]; /* "NAME=value" */
    int rc, rank, size, local;
    const char *by, *host;
    int port;
} cases[] = {
    {{NULL}, 0, 0, 1, 0, "alone", "127.0.0.1", LAUNCH_PORT},
    {{"RANK=5", "WORLD_SIZE=16", "LOCAL_RANK=1", "MASTER_ADDR=node7",
      "MASTER_PORT=29500"},
     0,
     5,
     16,
     1,
     "torchrun",
     "node7",
     LAUNCH_PORT},
    {{"SLURM_PROCID=3", "SLURM_NTASKS=8", "SLURM_LOCALID=3",
      "SLURM_LAUNCH_NODE_IPADDR=10.0.0.9", "WITMILL_PORT=4000"},
     0,
     3,
     8,
     3,
     "slurm",
     "10.0.0.9",
     4000},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_RANK=1", "OMPI_COMM_WORLD_LOCAL_SIZE=4"},
     0,
     1,
     4,
     1,
     "openmpi",
     "127.0.0.1",
     LAUNCH_PORT},
    /* Open MPI under Slurm: mpirun's word counts, srun's is of its daemons */
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_SIZE=2", "SLURM_PROCID=0", "SLURM_NTASKS=2",
      "WITMILL_HOST=a"},
     0,
     1,
     4,
     0,
     "openmpi",
     "a",
     LAUNCH_PORT},
    /* two nodes, and nobody says which is the first */
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_SIZE=2"},
     -E_RANGE,
     0,
     0,
     0,
     NULL,
     NULL,
     0},
    /* a job of Slurm's with one task is one process */
    {{"SLURM_PROCID=0", "SLURM_NTASKS=1"},
     0,
     0,
     1,
     0,
     "slurm",
     "127.0.0.1",
     LAUNCH_PORT},
    {{"WORLD_SIZE=4"}, 0, 0, 1, 0, "alone", "127.0.0.1", LAUNCH_PORT},
    {{"RANK=4", "WORLD_SIZE=4"}, -E_RANGE, 0, 0, 0, NULL, NULL, 0},
    {{"RANK=-1", "WORLD_SIZE=4"}, -E_RANGE, 0, 0, 0, NULL, NULL, 0},
    {{"RANK=1x", "WORLD_SIZE=4"}, -E_RANGE, 0, 0, 0, NULL, NULL, 0},
    {{"RANK=0", "WORLD_SIZE=0"}, -E_RANGE, 0, 0, 0, NULL, NULL, 0},
    {{"RANK=0", "WORLD_SIZE=99999999999999999999"},
     -E_RANGE,
     0,
     0,
     0,
     NULL,
     NULL,
     0},
    {{"WITMILL_PORT=70000"}, -E_RANGE, 0, 0, 0, NULL, NULL, 0},
    {{"RANK=0", "WORLD_SIZE=2", "WITMILL_HOST="},
     -E_RANGE,
     0,
     0,
     0,
     NULL,
     NULL,
     0},
};

static void test_launch__environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct launch l;

        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            unsetenv(known[k]);
        for (int k = 0; k < VARIABLES && cases[i].set[k]; k++) {
            char text[128];
            char *equals;

            snprintf(text, sizeof text, "%s", cases[i].set[k]);
            equals = strchr(text, '=');
            *equals = '\0';
            setenv(text, equals + 1, 1);
        }
        if (launch_read(&l, &e) != cases[i].rc)
            fail_msg("case %zu: %s", i, e.message);
        if (cases[i].rc) {
            assert_true(e.message[0]);
            continue;
        }
        assert_int_equal(l.rank, cases[i].rank);
        assert_int_equal(l.size, cases[i].size);
        assert_int_equal(l.local, cases[i].local);
        assert_string_equal(l.by, cases[i].by);
        assert_string_equal(l.host, cases[i].host);
        assert_int_equal(l.port, cases[i].port);
    }
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        unsetenv(known[k]);
}

/* ---- rendezvous ---- */

static const char secret[] = "a communicator's id";

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
    return (struct launch){
        .rank = rank, .size = size, .host = "127.0.0.1", .port = port};
}

/* A rank in a process of its own, `late` ms behind; its exit status says how it
 * went: 0 with the secret heard, else E_* of the failure. */
static pid_t start(int rank, int size, int port, int late, int timeout_ms)
{
    struct launch l = launch_of(rank, size, port);
    char bytes[sizeof secret] = "";
    struct err e = ERR_INIT;
    pid_t child = fork();
    int rc;

    assert_true(child >= 0);
    if (child)
        return child;
    usleep((unsigned)late * 1000);
    if (!rank)
        memcpy(bytes, secret, sizeof secret);
    rc = rendezvous_share(&l, bytes, sizeof bytes, timeout_ms, &e);
    _exit(rc ? -rc : memcmp(bytes, secret, sizeof secret) != 0);
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
            child[r] = start(r, size, port, r ? 0 : 120, 20000);
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

    for (int i = 0; i < 200; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (!connect(fd, (struct sockaddr *)&a, sizeof a))
            return fd;
        close(fd);
        usleep(20000);
    }
    fail_msg("nobody listens");
    return -1;
}

/* Who speaks something else, or hangs up, is not counted and disturbs none. */
static void test_rendezvous__strangers(void **state)
{
    int port = free_port(), fd;
    pid_t zero = start(0, 2, port, 0, 20000), one;

    (void)state;
    fd = connect_to(port);
    assert_true(write(fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
    close(fd);
    close(connect_to(port));
    one = start(1, 2, port, 0, 20000);
    assert_int_equal(end_of(one), 0);
    assert_int_equal(end_of(zero), 0);
}

static void test_rendezvous__another_size(void **state)
{
    int port = free_port();
    pid_t zero = start(0, 3, port, 0, 1500);
    pid_t odd = start(1, 2, port, 0, 10000);

    (void)state;
    assert_int_equal(end_of(odd), E_RANGE);
    assert_int_equal(end_of(zero), E_NET); /* nobody else came */
}

static void test_rendezvous__a_rank_twice(void **state)
{
    int port = free_port();
    pid_t zero = start(0, 3, port, 0, 1500);
    pid_t one = start(1, 3, port, 0, 10000);
    pid_t again;

    (void)state;
    assert_int_equal(end_of(one), 0);
    again = start(1, 3, port, 0, 10000);
    assert_int_equal(end_of(again), E_RANGE);
    assert_int_equal(end_of(zero), E_NET);
}

static void test_rendezvous__nobody_there(void **state)
{
    struct launch l = launch_of(1, 2, free_port());
    struct err e = ERR_INIT;
    char bytes[4];

    (void)state;
    assert_int_equal(rendezvous_share(&l, bytes, sizeof bytes, 200, &e),
                     -E_NET);
    assert_non_null(strstr(e.message, "rank 1"));
}

/* A name that nobody knows is asked for until the time is over. */
static void test_rendezvous__no_such_name(void **state)
{
    struct launch l = launch_of(1, 2, 1);
    struct err e = ERR_INIT;
    char bytes[4];

    (void)state;
    snprintf(l.host, sizeof l.host, "%s", "nobody.invalid");
    assert_int_equal(rendezvous_share(&l, bytes, sizeof bytes, 100, &e),
                     -E_NET);
    assert_non_null(strstr(e.message, "nobody.invalid"));
    assert_non_null(strstr(e.message, "within"));
}

/* What somebody else says is not taken for rank 0's. */
static void test_rendezvous__somebody_else(void **state)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n          ";
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), caller;
    char hello[16];
    pid_t one;

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    one = start(1, 2, ntohs(a.sin_port), 0, 20000);
    caller = accept(fd, NULL, NULL);
    assert_int_equal(recv(caller, hello, sizeof hello, MSG_WAITALL), 16);
    assert_int_equal(write(caller, text, sizeof text), sizeof text);
    assert_int_equal(end_of(one), E_NET);
    close(caller);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch__environment),
        cmocka_unit_test(test_rendezvous__all_hear),
        cmocka_unit_test(test_rendezvous__strangers),
        cmocka_unit_test(test_rendezvous__another_size),
        cmocka_unit_test(test_rendezvous__a_rank_twice),
        cmocka_unit_test(test_rendezvous__nobody_there),
        cmocka_unit_test(test_rendezvous__no_such_name),
        cmocka_unit_test(test_rendezvous__somebody_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
