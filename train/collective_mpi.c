/*
 * Ranks over MPI, for devices whose memory is the host's.  MPI_Allreduce may
 * add in any order; here every rank adds one part of the numbers, rank after
 * rank, and then tells its part: as many bytes as the best algorithms send, and
 * a sum whose bits depend on the number of ranks alone.
 */
#include "train/collective.h"

#ifdef WITMILL_MPI

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>

#include "base/mem.h"

#define PART_MAX 65536     /* numbers that a rank adds at a time, ... */
#define ROUND    (1 << 22) /* ... and all ranks, but for at least a few each */
#define PART_MIN 64
_Static_assert((int64_t)PART_MIN *LAUNCH_RANKS_MAX <= INT32_MAX,
               "MPI counts in int");

struct mpi {
    MPI_Comm ranks;
    bool started;      /* by us */
    int part;          /* numbers that a rank adds at a time */
    double *all;       /* [size * part]: every rank's numbers of my part */
    int *count, *from; /* [size] of a part, in numbers */
    int *mine, *at;    /* [size] the same for what comes in */
};

static void failed(struct device *d, const char *what, int rc)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;

    MPI_Error_string(rc, text, &n);
    device_fail(d, E_NET, "mpi: %s: %s", what, text);
}

static void mpi_gather(struct collective *c, struct device *d, const void *mine,
                       void *all, int64_t bytes)
{
    struct mpi *m = c->state;
    int rc;

    if (bytes > INT32_MAX)
        device_fail(d, E_TOOBIG,
                    "mpi: features of %lld bytes on each rank, and 2^31 - 1 "
                    "are gathered at most; use more ranks",
                    (long long)bytes);
    if (d->planning || d->rc)
        return;
    rc = MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE,
                       m->ranks);
    if (rc)
        failed(d, "gather", rc);
}

/* How n <= size * part numbers are shared out: even but for the last ones. */
static void share_out(const struct collective *c, struct mpi *m, int64_t n)
{
    int64_t each = (n + c->size - 1) / c->size;

    for (int r = 0; r < c->size; r++) {
        int64_t from = r * each < n ? r * each : n;
        int64_t end = from + each < n ? from + each : n;

        m->from[r] = (int)from;
        m->count[r] = (int)(end - from);
    }
    for (int r = 0; r < c->size; r++) {
        m->mine[r] = m->count[c->rank];
        m->at[r] = r * m->count[c->rank];
    }
}

/* all[0 .. n) = sum over the ranks, ascending, in double. */
static void add_f32(const struct collective *c, float *all, int n)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int r = 0; r < c->size; r++)
            sum += (double)all[(int64_t)r * n + i];
        all[i] = (float)sum;
    }
}

static void add_f64(const struct collective *c, double *all, int n)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;

        for (int r = 0; r < c->size; r++)
            sum += all[(int64_t)r * n + i];
        all[i] = sum;
    }
}

static void mpi_sum(struct collective *c, struct device *d, void *x,
                    int64_t count)
{
    struct mpi *m = c->state;
    bool wide = d->real == DTYPE_F64;
    MPI_Datatype type = wide ? MPI_DOUBLE : MPI_FLOAT;
    int64_t step = (int64_t)c->size * m->part;
    char *at = x;

    if (d->planning)
        return;
    while (count > 0 && !d->rc) {
        int64_t n = count < step ? count : step;
        int rc;

        share_out(c, m, n);
        rc = MPI_Alltoallv(at, m->count, m->from, type, m->all, m->mine, m->at,
                           type, m->ranks);
        if (!rc) {
            if (wide)
                add_f64(c, m->all, m->count[c->rank]);
            else
                add_f32(c, (float *)m->all, m->count[c->rank]);
            rc = MPI_Allgatherv(m->all, m->count[c->rank], type, at, m->count,
                                m->from, type, m->ranks);
        }
        if (rc)
            failed(d, "sum", rc);
        at += (size_t)n * dtype_size(d->real);
        count -= n;
    }
}

static void mpi_tell(struct collective *c, struct device *d, void *x,
                     int64_t bytes)
{
    struct mpi *m = c->state;
    char *at = x;

    if (d->planning)
        return;
    while (bytes > 0 && !d->rc) {
        int n = bytes < INT32_MAX ? (int)bytes : INT32_MAX;
        int rc = MPI_Bcast(at, n, MPI_BYTE, 0, m->ranks);

        if (rc)
            failed(d, "tell", rc);
        at += n;
        bytes -= n;
    }
}

static int mpi_meet(struct collective *c, struct device *d, const void *mine,
                    void *all, int64_t bytes, struct err *e)
{
    struct mpi *m = c->state;
    char text[MPI_MAX_ERROR_STRING] = "";
    int n, rc;

    (void)d;
    assert(bytes <= COLLECTIVE_MEET_MAX);
    rc = MPI_Allgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE,
                       m->ranks);
    if (!rc)
        return 0;
    MPI_Error_string(rc, text, &n);
    return err_set(e, E_NET, "mpi: %s", text);
}

static void mpi_abort(struct collective *c)
{
    struct mpi *m = c->state;

    MPI_Abort(m->ranks, 3);
}

static void mpi_close(struct collective *c)
{
    struct mpi *m = c->state;

    MPI_Comm_free(&m->ranks);
    if (m->started)
        MPI_Finalize();
    free(m->all);
    free(m->count);
    free(m);
}

int collective_mpi(struct collective *c, struct err *e)
{
    struct mpi *m = xcalloc(1, sizeof *m);
    int there = 0, level = 0;

    memset(c, 0, sizeof *c);
    MPI_Initialized(&there);
    if (!there && MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level)) {
        free(m);
        return err_set(e, E_NET, "mpi: cannot start; was this run by mpirun?");
    }
    m->started = !there;
    MPI_Comm_dup(MPI_COMM_WORLD, &m->ranks);
    MPI_Comm_set_errhandler(m->ranks, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->ranks, &c->rank);
    MPI_Comm_size(m->ranks, &c->size);
    if (c->size > LAUNCH_RANKS_MAX) {
        MPI_Comm_free(&m->ranks);
        free(m);
        return err_set(e, E_TOOBIG, "mpi: %d ranks; at most %d, please",
                       c->size, LAUNCH_RANKS_MAX);
    }
    m->part = ROUND / c->size < PART_MIN   ? PART_MIN
              : ROUND / c->size > PART_MAX ? PART_MAX
                                           : ROUND / c->size;
    m->all = xcalloc((size_t)c->size * (size_t)m->part, sizeof *m->all);
    m->count = xcalloc(4 * (size_t)c->size, sizeof *m->count);
    m->from = m->count + c->size;
    m->mine = m->from + c->size;
    m->at = m->mine + c->size;
    c->name = "mpi";
    c->state = m;
    c->close = mpi_close;
    c->abort = mpi_abort;
    c->meet = mpi_meet;
    c->gather = mpi_gather;
    c->sum = mpi_sum;
    c->tell = mpi_tell;
    return 0;
}

#endif
