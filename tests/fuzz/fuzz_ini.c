/* An INI file of any bytes: names and values come trimmed, sections before
 * their pairs, and never with a newline. */
#include "base/opt.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *ctx, struct str section, struct str name,
                struct str value, struct err *e)
{
    (void)ctx;
    if (!str_eq(section, str_trim(section)) || !str_eq(name, str_trim(name)) ||
        !str_eq(value, str_trim(value)) ||
        str_find_char(value, '\n', 0) != SIZE_MAX)
        abort();
    return value.n > 1000 ? err_set(e, E_USAGE, "long: %.*s", STR_ARG(name))
                          : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("ini", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    opt_ini(path, take, NULL, NULL);
    close(fd);
    return 0;
}
