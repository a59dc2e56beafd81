/* A sidecar of any bytes: what is accepted has a fingerprint, files with names
 * that end and hashes of the right length. */
#include "base/stage.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char folder[] = "/tmp/witmill-fuzz-XXXXXX";
    static struct corpus c;
    struct sidecar s;
    char path[128];
    FILE *f;

    if (!c.dir[0]) {
        if (!mkdtemp(folder))
            abort();
        snprintf(c.dir, sizeof c.dir, "%s", folder);
    }
    snprintf(path, sizeof path, "%s/x.meta.json", folder);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f))
        abort();
    if (sidecar_read(&s, &c, "x", NULL) == 0) {
        if (s.n_files == 0 || !s.fingerprint[0])
            abort();
        for (size_t i = 0; i < s.n_files; i++)
            if (strlen(s.files[i].name) >= STAGE_NAME_MAX ||
                strlen(s.files[i].sha256) != SHA256_HEX - 1)
                abort();
        sidecar_release(&s);
    }
    unlink(path);
    return 0;
}
