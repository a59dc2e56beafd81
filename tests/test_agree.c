/* Whether ranks can begin: the judgement, and how it reaches all by TCP. */
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

#include "base/log.h"
#include "train/collective.h"

#define RANKS 4

static const char *const names[] = {"model", "--batch", "--seed"};

static void ready(struct agree *a, uint64_t batch, uint64_t seed)
{
    agree_init(a, 0, NULL);
    agree_bytes(a, "tiny", 4);
    agree_number(a, batch);
    agree_number(a, seed);
}

static int judged(const struct agree *all, struct err *e)
{
    *e = (struct err)ERR_INIT;
    return agree_judge(all, RANKS, names, e);
}

static void test_agree__judge(void **state)
{
    struct agree all[RANKS];
    struct err why = ERR_INIT, e;

    (void)state;
    for (int r = 0; r < RANKS; r++)
        ready(&all[r], 64, 7);
    assert_int_equal(judged(all, &e), 0);

    all[3].setting[2] = 8;
    assert_int_equal(judged(all, &e), -E_USAGE);
    assert_string_equal(e.message, "rank 3 of 4 was started with another "
                                   "--seed than rank 0");
    ready(&all[2], 32, 9); /* the lowest rank, its first setting */
    assert_int_equal(judged(all, &e), -E_USAGE);
    assert_string_equal(e.message, "rank 2 of 4 was started with another "
                                   "--batch than rank 0");
    agree_number(&all[1], 1);
    assert_int_equal(judged(all, &e), -E_VERSION);

    /* who is not ready comes before who differs */
    err_set(&why, E_IO, "no such folder");
    agree_init(&all[3], -E_IO, &why);
    assert_int_equal(judged(all, &e), -E_IO);
    assert_string_equal(e.message, "rank 3 of 4: no such folder");
    agree_init(&all[0], -E_NOMEM, NULL);
    assert_int_equal(judged(all, &e), -E_NOMEM);
    assert_string_equal(e.message, "rank 0 of 4: out of memory");
}

static void test_agree__words(void **state)
{
    struct err why = ERR_INIT;
    struct agree a, b;

    (void)state;
    memset(why.message, 'x', sizeof why.message - 1); /* longer than a word */
    why.code = -E_IO;
    agree_init(&a, -E_IO, &why);
    assert_int_equal(strlen(a.message), AGREE_MESSAGE - 1);
    agree_init(&a, 0, NULL);
    agree_init(&b, 0, NULL);
    agree_bytes(&a, "one", 3);
    agree_bytes(&b, "two", 3);
    assert_true(a.setting[0] != b.setting[0]);
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* RANKS processes, of which `odd` says something else; how each ended: 0 with
 * rank 0's bytes, else E_*.  Their stderr goes into `said`. */
static void play(int odd, uint64_t seed, int code, int ended[RANKS], char *said,
                 size_t size)
{
    int port = free_port(), out[2];
    pid_t child[RANKS];
    ssize_t got;

    assert_int_equal(pipe(out), 0);
    for (int r = 0; r < RANKS; r++) {
        struct launch l = {.rank = r,
                           .size = RANKS,
                           .here = RANKS,
                           .host = "127.0.0.1",
                           .port = port};
        struct agreement a = {.names = names};
        char id[AGREE_BYTES] = "";
        struct err e = ERR_INIT;

        child[r] = fork();
        if (child[r])
            continue;
        dup2(out[1], STDERR_FILENO);
        if (r == odd && code)
            agree_init(&a.word, -code, NULL);
        else
            ready(&a.word, 64, r == odd ? seed : 7);
        if (!r)
            snprintf(id, sizeof id, "an id");
        _exit(-collective_agree_tcp(&l, &a, id, sizeof id, &e) |
              (strcmp(id, "an id") ? 128 : 0) | (e.code ? 64 : 0));
    }
    close(out[1]);
    for (int r = 0; r < RANKS; r++) {
        int status;

        waitpid(child[r], &status, 0);
        assert_true(WIFEXITED(status));
        ended[r] = WEXITSTATUS(status);
    }
    got = read(out[0], said, size - 1);
    said[got > 0 ? got : 0] = '\0';
    close(out[0]);
}

static void test_agree__by_tcp(void **state)
{
    char said[4096];
    int ended[RANKS];

    (void)state;
    play(-1, 0, 0, ended, said, sizeof said);
    for (int r = 0; r < RANKS; r++)
        assert_int_equal(ended[r], 0);
    assert_string_equal(said, "");

    /* it is said once, and nobody has a message left to say again */
    play(2, 8, 0, ended, said, sizeof said);
    for (int r = 0; r < RANKS; r++)
        assert_int_equal(ended[r] & ~128, E_CANCEL);
    assert_non_null(
        strstr(said, "rank 2 of 4 was started with another --seed"));
    assert_ptr_equal(strstr(said, "rank"),
                     strrchr(said, '{') ? strstr(strrchr(said, '{'), "rank")
                                        : NULL);

    play(3, 0, E_UNSUPPORTED, ended, said, sizeof said);
    for (int r = 0; r < RANKS; r++)
        assert_int_equal(ended[r] & ~128, E_CANCEL);
    assert_non_null(strstr(said, "rank 3 of 4: not supported by this build"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agree__judge),
        cmocka_unit_test(test_agree__words),
        cmocka_unit_test(test_agree__by_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
