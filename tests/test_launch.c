/* Who am I among how many, by the starter's variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/launch.h"

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
    "SLURM_STEP_ID",
    "SLURM_STEP_NUM_NODES",
    "CUDA_VISIBLE_DEVICES",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "WITMILL_HOST",
    "WITMILL_PORT",
};

static const struct {
    const char *set[VARIABLES]; /* "NAME=value" */
    int rc, rank, size, local, here, gpu;
    const char *by, *host;
    int port;
} cases[] = {
    {{NULL}, 0, 0, 1, 0, 1, 0, "alone", "127.0.0.1", LAUNCH_PORT},
    {{"RANK=5", "WORLD_SIZE=16", "LOCAL_RANK=1", "LOCAL_WORLD_SIZE=4",
      "MASTER_ADDR=node7", "MASTER_PORT=29500"},
     0,
     5,
     16,
     1,
     4,
     1,
     "torchrun",
     "node7",
     LAUNCH_PORT},
    {{"SLURM_PROCID=3", "SLURM_NTASKS=8", "SLURM_LOCALID=3", "SLURM_STEP_ID=0",
      "SLURM_LAUNCH_NODE_IPADDR=10.0.0.9", "WITMILL_PORT=4000"},
     0,
     3,
     8,
     3,
     0,
     3,
     "slurm",
     "10.0.0.9",
     4000},
    /* each task was given a GPU of its own, or two */
    {{"SLURM_PROCID=3", "SLURM_NTASKS=4", "SLURM_LOCALID=3", "SLURM_STEP_ID=2",
      "SLURM_STEP_NUM_NODES=1", "CUDA_VISIBLE_DEVICES=7"},
     0,
     3,
     4,
     3,
     4,
     0,
     "slurm",
     "127.0.0.1",
     LAUNCH_PORT},
    {{"RANK=1", "WORLD_SIZE=2", "LOCAL_RANK=1", "MASTER_ADDR=a",
      "CUDA_VISIBLE_DEVICES=4,5"},
     0,
     1,
     2,
     1,
     0,
     1,
     "torchrun",
     "a",
     LAUNCH_PORT},
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_RANK=1", "OMPI_COMM_WORLD_LOCAL_SIZE=4"},
     0,
     1,
     4,
     1,
     4,
     1,
     "openmpi",
     "127.0.0.1",
     LAUNCH_PORT},
    /* Open MPI under Slurm: mpirun's word counts, srun's is of its daemons */
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_SIZE=2", "SLURM_PROCID=0", "SLURM_NTASKS=2",
      "SLURM_STEP_ID=0", "WITMILL_HOST=a"},
     0,
     1,
     4,
     0,
     2,
     0,
     "openmpi",
     "a",
     LAUNCH_PORT},
    /* two nodes, and nobody says which is the first: MPI need not know */
    {{"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=4",
      "OMPI_COMM_WORLD_LOCAL_SIZE=2"},
     0,
     1,
     4,
     0,
     2,
     0,
     "openmpi",
     "",
     LAUNCH_PORT},
    /* a job of Slurm's with one task is one process */
    {{"SLURM_PROCID=0", "SLURM_NTASKS=1", "SLURM_STEP_ID=0"},
     0,
     0,
     1,
     0,
     1,
     0,
     "slurm",
     "127.0.0.1",
     LAUNCH_PORT},
    /* the shells of salloc, sbatch and an interactive step are no tasks */
    {{"SLURM_PROCID=0", "SLURM_NTASKS=8"},
     0,
     0,
     1,
     0,
     1,
     0,
     "alone",
     "127.0.0.1",
     LAUNCH_PORT},
    {{"SLURM_PROCID=0", "SLURM_NTASKS=8", "SLURM_STEP_ID=4294967291"},
     0,
     0,
     1,
     0,
     1,
     0,
     "alone",
     "127.0.0.1",
     LAUNCH_PORT},
    {{"WORLD_SIZE=4"}, 0, 0, 1, 0, 1, 0, "alone", "127.0.0.1", LAUNCH_PORT},
    {.set = {"RANK=4", "WORLD_SIZE=4"}, .rc = -E_RANGE},
    {.set = {"RANK=-1", "WORLD_SIZE=4"}, .rc = -E_RANGE},
    {.set = {"RANK=1x", "WORLD_SIZE=4"}, .rc = -E_RANGE},
    {.set = {"RANK=0", "WORLD_SIZE=0"}, .rc = -E_RANGE},
    {.set = {"RANK=0", "WORLD_SIZE=99999999999999999999"}, .rc = -E_RANGE},
    {.set = {"RANK=0", "WORLD_SIZE=2", "LOCAL_WORLD_SIZE=3"}, .rc = -E_RANGE},
    {.set = {"WITMILL_PORT=70000"}, .rc = -E_RANGE},
    {.set = {"RANK=0", "WORLD_SIZE=2", "WITMILL_HOST="}, .rc = -E_RANGE},
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
        assert_int_equal(l.here, cases[i].here);
        assert_int_equal(l.gpu, cases[i].gpu);
        assert_string_equal(l.by, cases[i].by);
        assert_string_equal(l.host, cases[i].host);
        assert_int_equal(l.port, cases[i].port);
    }
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        unsetenv(known[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_launch__environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
