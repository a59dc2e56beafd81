#include "train/cpu/cpu.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <omp.h>

#include "train/cpu/products.h"

#define HUGE_PAGE   ((size_t)2 << 20)
#define THREADS_MAX 4096
/* ThreadSanitizer does not see through libgomp, whose barriers it would report
 * one and all: under it there is one thread. */
#ifdef __SANITIZE_THREAD__
#define THREADS_SEEN(threads) ((threads) > 0)
#else
#define THREADS_SEEN(threads) (threads)
#endif

#define WORTH 16384 /* fewer are done before threads have woken up */

void cpu_base_f32_fill(struct cpu *c);
void cpu_base_bf16_fill(struct cpu *c);
#ifdef __x86_64__
void cpu_v3_f32_fill(struct cpu *c);
void cpu_v3_bf16_fill(struct cpu *c);
void cpu_v4_f32_fill(struct cpu *c);
void cpu_v4_bf16_fill(struct cpu *c);
#endif

struct variant {
    const char *name;
    void (*fill_f32)(struct cpu *c); /* NULL: not built for this machine */
    void (*fill_bf16)(struct cpu *c);
};

static const struct variant variants[CPU_ISAS] = {
    [CPU_BASE] = {"base", cpu_base_f32_fill, cpu_base_bf16_fill},
#ifdef __x86_64__
    [CPU_V3] = {"v3", cpu_v3_f32_fill, cpu_v3_bf16_fill},
    [CPU_V4] = {"v4", cpu_v4_f32_fill, cpu_v4_bf16_fill},
#else
    [CPU_V3] = {"v3", NULL, NULL},
    [CPU_V4] = {"v4", NULL, NULL},
#endif
};

/* What a level holds beyond these came with them in every processor so far;
 * __builtin_cpu_supports asks for the system's support of the registers. */
enum cpu_isa cpu_isa_best(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
        return CPU_BASE;
    if (!__builtin_cpu_supports("avx512f") ||
        !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") ||
        !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return CPU_V3;
    return CPU_V4;
#else
    return CPU_BASE;
#endif
}

const char *cpu_isa_name(enum cpu_isa isa)
{
    return variants[isa].name;
}

/* ---- memory ---- */

/* Large arrays on huge pages: a pass over a gigabyte of activations would
 * otherwise miss the TLB on every 4 KB. */
static void *memory_new(size_t bytes)
{
    bool huge = bytes >= 2 * HUGE_PAGE;
    void *p = NULL;

    if (posix_memalign(&p, huge ? HUGE_PAGE : DEVICE_ALIGN, bytes))
        return NULL;
    if (huge)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* advice; refusal is fine */
    return p;
}

void *cpu_scratch(struct device *d, size_t bytes)
{
    struct cpu *c = cpu_of(d);

    if (bytes <= c->scratch_size)
        return c->scratch;
    free(c->scratch);
    c->scratch_size = 0;
    c->scratch = (char *)memory_new(bytes);
    if (!c->scratch) {
        device_fail(d, E_NOMEM, "cpu: no room for %zu bytes of scratch", bytes);
        return NULL;
    }
    c->scratch_size = bytes;
    return c->scratch;
}

static void *op_alloc(struct device *d, size_t bytes)
{
    (void)d;
    return memory_new(bytes);
}

static void op_free(struct device *d, void *p)
{
    (void)d;
    free(p);
}

static void op_put(struct device *d, void *to, const void *host, size_t bytes)
{
    (void)d;
    memcpy(to, host, bytes);
}

static void op_get(struct device *d, void *host, const void *from, size_t bytes)
{
    (void)d;
    memcpy(host, from, bytes);
}

/* ---- open, plan, close ---- */

static void op_plan(struct device *d, enum op_kind kind, const void *op)
{
    size_t need = cpu_scratch_need(cpu_of(d), kind, op);

    if (need && !cpu_scratch(d, need))
        return;
    cpu_products_plan(d, kind, op);
}

static void op_close(struct device *d)
{
    struct cpu *c = cpu_of(d);

    cpu_products_close(c);
    free(c->scratch);
    free(c);
}

int cpu_open_isa(struct device *d, enum dtype act, int threads,
                 enum cpu_isa isa, struct err *e)
{
    struct cpu *c;
    int rc;

    if (act != DTYPE_F32 && act != DTYPE_BF16)
        return err_set(e, E_USAGE, "cpu: activations are f32 or bf16, not %s",
                       dtype_name(act));
    if (threads < 0 || threads > THREADS_MAX)
        return err_set(e, E_USAGE, "cpu: %d threads; 0 to %d, please", threads,
                       THREADS_MAX);
    if (isa > cpu_isa_best() || !variants[isa].fill_f32)
        return err_set(e, E_UNSUPPORTED, "cpu: no instruction set %s here",
                       cpu_isa_name(isa));
    c = (struct cpu *)calloc(1, sizeof *c);
    if (!c)
        return err_set(e, E_NOMEM, "cpu: no memory");
    c->threads = THREADS_SEEN(threads ? threads : omp_get_max_threads());
    c->act = act;
    c->isa = isa;
    c->worth = WORTH;
    omp_set_num_threads(c->threads);
    rc = cpu_products_open(c, e);
    if (rc) {
        free(c);
        return rc;
    }
    c->ops.name = "cpu";
    c->ops.close = op_close;
    c->ops.alloc = op_alloc;
    c->ops.free = op_free;
    c->ops.put = op_put;
    c->ops.get = op_get;
    c->ops.reads_host = true;
    c->ops.plan = op_plan;
    cpu_products_fill(&c->ops);
    if (act == DTYPE_BF16)
        variants[isa].fill_bf16(c);
    else
        variants[isa].fill_f32(c);

    memset(d, 0, sizeof *d);
    d->ops = &c->ops;
    d->state = c;
    d->act = act;
    d->real = DTYPE_F32;
    d->row_step = CPU_PRODUCTS_ROW_STEP;
    return 0;
}

int cpu_open(struct device *d, enum dtype act, int threads, struct err *e)
{
    return cpu_open_isa(d, act, threads, cpu_isa_best(), e);
}
