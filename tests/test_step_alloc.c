/*
 * A step allocates nothing.  The linker turns every call of ours to malloc and
 * its like into one of the counters below (--wrap, see the Makefile); oneDNN's
 * own small change inside the shared library, an argument list a product, is
 * not ours and not seen.
 */
#include "tests/clip_world.h"
#include "train/optim.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

static unsigned allocations;

void *__wrap_malloc(size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __real_realloc(p, size);
}

int __wrap_posix_memalign(void **p, size_t align, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __real_posix_memalign(p, align, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __real_aligned_alloc(align, size);
}

/* The first step after a plan, and others with captions of other lengths: a
 * shape first seen in a step would show. */
static void count(enum world_device kind, const char *model,
                  const struct clip_options *o)
{
    const struct optim_config c = {.lr = 1e-4,
                                   .beta1 = 0.9,
                                   .beta2 = 0.98,
                                   .eps = 1e-6,
                                   .decay = 0.2,
                                   .warmup = 2,
                                   .total = 10,
                                   .clip_norm = 1};
    struct clip_config config = world_config(model);
    struct err e = ERR_INIT;
    void *volatile p;
    struct optim optim;
    struct world w;

    world_open(&w, kind, &config, 10, 5);
    assert_int_equal(clip_plan(&w.m, o, 10, &e), 0);
    assert_int_equal(optim_open(&optim, &w.m, &c, &e), 0);
    for (uint64_t step = 0; step < 6; step++) {
        struct clip_batch b;
        double loss, norm;
        int rc;

        world_captions(&w, step);
        b = world_batch(&w);
        allocations = 0;
        rc = clip_gradients(&w.m, o, &b, &loss, NULL, NULL, &e);
        if (!rc)
            rc = optim_step(&optim, step, &norm, &e);
        if (rc)
            fail_msg("%s", e.message);
        if (allocations)
            fail_msg("%s, step %d: %u allocations", model, (int)step,
                     allocations);
    }
    /* and the counter does count (volatile: no compiler may leave it out) */
    p = malloc(1);
    free(p);
    assert_int_equal(allocations, 1);
    optim_close(&optim);
    world_close(&w);
}

static void test_step__allocates_nothing(void **state)
{
    static const char *const models[] = {"tiny-vit", "tiny-resnet"};
    static const enum world_device devices[] = {REF_DOUBLE, CPU_FLOAT,
                                                CPU_BF16};
    static const struct clip_options ways[] = {
        {0},
        {.packed = true, .reduce = true},
        {.chunk = 4, .bn_batch = 2, .packed = true, .recompute = true}};

    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (size_t m = 0; m < 2 && world_has(devices[k]); m++)
            for (size_t i = 0; i < 3; i++)
                count(devices[k], models[m], &ways[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step__allocates_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
