/* checkpoint.json of any bytes: what is accepted names plain files with whole
 * checksums, has a state that can be, and is the same when written again. */
#include <stdlib.h>
#include <string.h>

#include "train/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct checkpoint_meta *m)
{
    struct checkpoint_meta again;
    struct buf text;

    buf_init(&text, 2 * CHECKPOINT_META_MAX);
    checkpoint_meta_write(m, &text);
    /* numbers may be longer than they came: 1e300 has its digits now */
    if (text.rc || text.n > CHECKPOINT_META_MAX) {
        buf_release(&text);
        return;
    }
    if (checkpoint_meta_parse(&again, buf_str(&text), "again", true, NULL))
        abort();
    if (memcmp(&again.state, &m->state, sizeof m->state) || again.n != m->n ||
        memcmp(again.files, m->files, sizeof m->files) ||
        checkpoint_differs(CHECKPOINT_SETTINGS, m->agree, again.agree, &text) !=
            checkpoint_differs(CHECKPOINT_SETTINGS, again.agree, m->agree, &text))
        abort();
    checkpoint_meta_release(&again);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct checkpoint_meta m;
    struct err e = ERR_INIT;

    if (checkpoint_meta_parse(&m, text, "x", false, &e)) {
        if (!e.message[0])
            abort();
    } else {
        if (!m.n || m.state.applied > m.state.step)
            abort();
        for (size_t i = 0; i < m.n; i++)
            if (strlen(m.files[i].sha256) != SHA256_HEX - 1 ||
                !m.files[i].name[0] || strchr(m.files[i].name, '/'))
                abort();
        check_again(&m);
    }
    checkpoint_meta_release(&m);
    checkpoint_meta_parse(&m, text, "x", true, NULL);
    checkpoint_meta_release(&m);
    return 0;
}
