#include "tools/train_print.h"

#include <stdio.h>

#include "tools/train_data.h"
#include "train/checkpoint.h"

static void print_libraries(const struct backend_counts *l)
{
    if (l->products) {
        printf("  %-30s %12d of %d\n", "product shapes refused",
               l->products_refused, l->products);
        printf("  %-30s %12d of %d\n", "timed kernels taken",
               l->products_changed, l->products_timed);
    }
    if (l->convolutions)
        printf("  %-30s %12d of %d\n", "convolution shapes refused",
               l->convolutions_refused, l->convolutions);
}

static void print_evals(const struct run_summary *s)
{
    if (!s->evals)
        return;
    printf("  %-30s %12.4f  in %llu evaluations of %.1f seconds\n",
           "metric of the last", s->metric, (unsigned long long)s->evals,
           s->eval_s / (double)s->evals);
    printf("  %-30s %12.4f  behind step %llu\n", "of the best", s->best,
           (unsigned long long)s->best_step);
}

/* Where what was learned lies. */
static void print_kept(const struct run_config *c, const struct run_summary *s)
{
    char path[IO_PATH_MAX];

    if (c->folder &&
        !checkpoint_path(path, c->folder, s->begin + s->steps, "", NULL))
        printf("  %-30s %s\n", "the model", path);
    if (c->save && !s->stopped)
        printf("  %-30s %s\n", "its weights alone", c->save);
}

/* Of the steps behind the first. */
static void print_speed(const struct run_config *c, const struct run_summary *s)
{
    double mean = s->seconds / (double)s->timed;
    const char *each = c->launch.size > 1 ? "  on each rank" : "";

    printf("  %-30s %12.1f\n", "images a second", c->batch / mean);
    printf("  %-30s %12.1f\n", "by the median step", c->batch / s->median_s);
    printf("  %-30s %12.4f\n", "seconds a step", mean);
    printf("  %-30s %12.4f to %.4f\n", "seconds of 8 steps in 10", s->fast_s,
           s->slow_s);
    printf("  %-30s %12.3f\n", "useful TFLOP/s",
           (double)s->useful / mean * 1e-12);
    printf("  %-30s %12.3f\n", "executed TFLOP/s", s->executed / mean * 1e-12);
    printf("  %-30s %12.1f%s\n", "seconds waited for pairs", s->waited_s,
           c->launch.size > 1 ? "  by the slowest rank of each step" : "");
    if (c->backend == BACKEND_CUDA)
        printf("  %-30s %12.3f\n", "seconds a GPU stood for pixels",
               s->upload_s);
    printf("  %-30s %12.1f%s\n", "MiB of activations",
           (double)s->activations / 1048576, each);
    printf("  %-30s %12.1f%s\n", "MiB of weights and moments",
           (double)s->weights / 1048576, each);
    print_libraries(&s->libraries);
    print_evals(s);
    if (c->data)
        train_data_print(c->data, &s->load, s->workers, s->replaced,
                         (uint64_t)c->batch * s->steps, s->seconds,
                         s->waited_s);
}

void train_print(const struct run_config *c, const char *named,
                 const struct run_summary *s)
{
    if (!s->steps) {
        if (s->stopped)
            printf("train: stopped before a step was taken\n");
        else
            printf("train: all %llu steps have been taken\n",
                   (unsigned long long)c->steps);
        return;
    }
    printf("train: %s, %llu steps of %d pairs in %s on %s\n",
           c->model.name[0] ? c->model.name : named,
           (unsigned long long)s->steps, c->batch,
           c->act == DTYPE_BF16 ? "bf16" : "fp32", s->device);
    if (s->begin)
        printf("  %-30s %12llu\n", "steps taken before",
               (unsigned long long)s->begin);
    if (s->left_out)
        printf("  %-30s %12llu\n", "steps left out",
               (unsigned long long)s->left_out);
    if (c->launch.size > 1)
        printf("  %-30s %12d  over %s, started by %s\n", "ranks",
               c->launch.size, s->ranks, c->launch.by);
    printf("  %-30s %12.4f\n", "loss of the first step", s->first);
    if (!s->stopped)
        printf("  %-30s %12.4f\n", "of the last tenth", s->last);
    if (s->timed)
        print_speed(c, s);
    print_kept(c, s);
}
