/* The threads of a block as fibers; see include/cuda_runtime.h. */
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>

#include <cuda_runtime.h>

#include "tests/emulate/emulate.h"
#include "tests/emulate/threads.hh"

#if defined __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (256u << 10)
#else
#define STACK_BYTES (64u << 10)
#endif

#define THREADS_MAX 1024
#define MEET_MAX    64           /* bytes a lane gives */
#define SHARED_MAX  (227u << 10) /* what a block of an H100 can have */

enum fiber_state { READY, AT_BARRIER, AT_WARP, DONE };

static const char *const state_names[] = {"runs", "waits at __syncthreads",
                                          "waits for its warp", "is done"};

struct copy {
    void *to;
    const void *from;
    bool real;
    int group; /* of its thread's, from 0 */
};

struct fiber {
    dim3 place; /* threadIdx */
    fiber_state state;
    char *stack;
    void *sp;                 /* x86-64 */
    ucontext_t context;       /* elsewhere */
    void *fake;               /* AddressSanitizer's */
    std::vector<copy> copies; /* on their way */
    int groups;               /* of copies, committed */
};

struct warp {
    int arrived, side;
    alignas(16) char given[2][32 * MEET_MAX];
};

/* The block that runs. */
static struct {
    fiber *threads; /* [THREADS_MAX], made once */
    fiber *now;
    fiber main;        /* who runs them */
    size_t main_bytes; /* of its stack, to AddressSanitizer */
    const std::function<void()> *kernel;
    int n, waiting, left;
    warp warps[THREADS_MAX / 32];
    alignas(1024) char shared[SHARED_MAX];
} block;

dim3 threadIdx, blockIdx, blockDim, gridDim;

static uint64_t schedule_seed;

void emulate_schedule(uint64_t seed)
{
    schedule_seed = seed;
}

/* ---- switching ---- */

#if defined __x86_64__
/* Save what a call must keep on the old stack, take it from the new one. */
__asm__(".text\n"
        ".type emulate_switch, @function\n"
        "emulate_switch:\n"
        "pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n"
        "pushq %r14\n pushq %r15\n"
        "movq %rsp, (%rdi)\n"
        "movq %rsi, %rsp\n"
        "popq %r15\n popq %r14\n popq %r13\n popq %r12\n"
        "popq %rbx\n popq %rbp\n"
        "ret\n"
        ".size emulate_switch, .-emulate_switch\n");
extern "C" void emulate_switch(void **from, void *to);
#endif

static void switch_to(fiber *to)
{
    fiber *from = block.now;

    block.now = to;
    threadIdx = to->place;
#if defined __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(
        from->state == DONE ? nullptr : &from->fake, to->stack,
        to == &block.main ? block.main_bytes : STACK_BYTES);
#endif
#if defined __x86_64__
    emulate_switch(&from->sp, to->sp);
#else
    swapcontext(&from->context, &to->context);
#endif
#if defined __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
}

static void thread_main()
{
#if defined __SANITIZE_ADDRESS__
    const void *bottom;

    __sanitizer_finish_switch_fiber(nullptr, &bottom, &block.main_bytes);
    block.main.stack = (char *)bottom;
#endif
    (*block.kernel)();
    block.now->state = DONE;
    block.left--;
    switch_to(&block.main);
    abort();
}

static void prepare(fiber *f)
{
    f->state = READY;
    f->fake = nullptr;
    f->copies.clear();
    f->groups = 0;
#if defined __x86_64__
    void **top = (void **)(f->stack + STACK_BYTES - 64);

    /* six registers, then the address of the first `ret`, which leaves the
     * stack aligned as a call does */
    top[-2] = (void *)thread_main;
    f->sp = top - 8;
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&f->context, thread_main, 0);
#endif
}

static void make_threads()
{
    block.threads = new fiber[THREADS_MAX]();
    for (int i = 0; i < THREADS_MAX; i++) {
        void *p = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            perror("emulated threads");
            exit(3);
        }
        block.threads[i].stack = (char *)p;
    }
}

/* ---- meeting ---- */

void *emulate_shared()
{
    return block.shared;
}

static int place_in_block(const fiber *f)
{
    return (int)(f - block.threads);
}

void __syncthreads()
{
    if (++block.waiting < block.left) {
        block.now->state = AT_BARRIER;
        switch_to(&block.main);
        return;
    }
    block.waiting = 0;
    for (int i = 0; i < block.n; i++)
        if (block.threads[i].state == AT_BARRIER)
            block.threads[i].state = READY;
}

const void *emulate_meet(const void *mine, size_t bytes)
{
    int at = place_in_block(block.now), lane = at % 32;
    warp *w = &block.warps[at / 32];
    int side = w->side;

    if (bytes > MEET_MAX)
        abort();
    memcpy(w->given[side] + (size_t)lane * bytes, mine, bytes);
    if (++w->arrived < 32) {
        block.now->state = AT_WARP;
        switch_to(&block.main);
        return w->given[side];
    }
    w->arrived = 0;
    w->side = !side;
    for (int i = at - lane; i < at - lane + 32; i++)
        if (block.threads[i].state == AT_WARP)
            block.threads[i].state = READY;
    return w->given[side];
}

/* ---- copies that arrive later ---- */

void emulate_copy(void *to, const void *from, bool real)
{
    if ((uintptr_t)to % 16 || (real && (uintptr_t)from % 16)) {
        fprintf(stderr, "a copy of 16 bytes between places not aligned\n");
        exit(3);
    }
    memset(to, 0xff, 16);
    block.now->copies.push_back({to, from, real, block.now->groups});
}

void emulate_copy_commit()
{
    block.now->groups++;
}

void emulate_copy_wait(int left)
{
    fiber *f = block.now;
    std::vector<copy> later;

    for (const copy &c : f->copies)
        if (c.group >= f->groups - left)
            later.push_back(c);
        else if (c.real)
            memcpy(c.to, c.from, 16);
        else
            memset(c.to, 0, 16);
    f->copies.swap(later);
}

/* ---- running ---- */

static void stuck(const dim3 &where)
{
    fprintf(stderr, "a kernel's block (%u, %u, %u) can go no further:\n",
            where.x, where.y, where.z);
    for (int i = 0; i < block.n; i++)
        fprintf(stderr, "    thread %d %s\n", i,
                state_names[block.threads[i].state]);
    exit(3);
}

static uint64_t drawn(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The order of a pass over the threads. */
static void arrange(std::vector<int> *order, uint64_t *state)
{
    if (schedule_seed < 2)
        return;
    for (size_t i = order->size() - 1; i > 0; i--)
        std::swap((*order)[i], (*order)[drawn(state) % (i + 1)]);
}

/* Warps that do not run while others can: a warp runs far ahead then, and what
 * only an even pace has hidden shows.  Bit i: warp i. */
static uint32_t held_next(bool moved, uint32_t held, uint64_t *state)
{
    if (schedule_seed < 2 || (!moved && held))
        return 0;
    return held ? held : (uint32_t)drawn(state) * 2 + (drawn(state) & 1);
}

static void run_block(const dim3 &at, std::vector<int> *order)
{
    const dim3 size = blockDim;
    uint64_t state = schedule_seed + at.x * 977u + at.y * 31u + at.z;
    uint32_t held = 0;
    bool moved = true;

    blockIdx = at;
    block.left = block.n;
    block.waiting = 0;
    memset(block.warps, 0, sizeof block.warps);
    memset(block.shared, 0xff, sizeof block.shared);
    for (int i = 0; i < block.n; i++) {
        fiber *f = &block.threads[i];

        f->place = dim3((unsigned)i % size.x, (unsigned)i / size.x % size.y,
                        (unsigned)i / size.x / size.y);
        prepare(f);
    }
    while (block.left > 0) {
        if (!moved && !held)
            stuck(at);
        held = held_next(moved, held, &state);
        moved = false;
        arrange(order, &state);
        for (int i : *order)
            if (block.threads[i].state == READY && !(held >> i / 32 & 1)) {
                moved = true;
                switch_to(&block.threads[i]);
            }
    }
}

void threads_run(const cudaLaunchConfig_t &c, const std::function<void()> &run)
{
    const dim3 &size = c.blockDim, &grid = c.gridDim;
    std::vector<int> order;

    if (!block.threads)
        make_threads();
    block.n = (int)(size.x * size.y * size.z);
    if (block.n < 32 || block.n > THREADS_MAX || block.n % 32 ||
        c.dynamicSmemBytes > SHARED_MAX) {
        fprintf(stderr, "a kernel of %d threads and %zu bytes a block\n",
                block.n, c.dynamicSmemBytes);
        exit(3);
    }
    for (int i = 0; i < block.n; i++)
        order.push_back(schedule_seed == 1 ? block.n - 1 - i : i);
    blockDim = size;
    gridDim = grid;
    block.kernel = &run;
    block.now = &block.main;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++)
                run_block(dim3(x, y, z), &order);
}
