/* A safetensors file of any bytes: what is accepted covers its data exactly,
 * every tensor is found under its name, and its bytes can be read. */
#include "train/safetensors.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors s;
    struct err e = ERR_INIT;
    struct str value, bytes = str_make((const char *)data, size);
    uint64_t sum = 0, total = 0;

    if (safetensors_parse(&s, bytes, "x", &e)) {
        if (!e.message[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        const struct safetensor *t = &s.list[i];

        if (safetensors_find(&s, t->name) != t ||
            t->size != t->count * safetensors_dtype_size(t->dtype))
            abort();
        for (uint64_t k = 0; k < t->size; k++)
            sum += t->data[k];
        total += t->size;
    }
    for (size_t i = 0; i < s.meta_n; i++)
        if (!safetensors_meta(&s, s.meta[2 * i], &value))
            abort();
    if (total > size || sum > 255 * total)
        abort();
    safetensors_close(&s);
    return 0;
}
