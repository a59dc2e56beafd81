/* The labels of a picture that may be of several classes, from any bytes: the
 * first says how many classes there are and whether a .npy or a .cls is read.
 * What is taken are classes, ascending, each once. */
#include <stdlib.h>

#include "train/evalset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evalset_item it = {0};
    uint64_t classes;
    struct str bytes;
    bool npy;

    if (!size)
        return 0;
    classes = 1 + data[0] / 2;
    npy = data[0] & 1;
    bytes = str_make((const char *)data + 1, size - 1);
    if (evalset_labels(npy ? &bytes : NULL, npy ? NULL : &bytes, classes,
                       &it) &&
        it.n_labels)
        abort();
    for (size_t i = 0; i < it.n_labels; i++)
        if (it.labels[i] >= classes || (i && it.labels[i] <= it.labels[i - 1]))
            abort();
    free(it.labels);
    return 0;
}
